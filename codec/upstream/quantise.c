/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantise.c - from counts to the 24-bit probabilities that coders use
 *
 * The probabilities are not in the file: writer and reader both derive them in
 * floating point, and one unit of difference loses the tensor.  So every
 * operation here is one IEEE binary64 operation in a fixed order: no contraction
 * to fused multiply-adds, sums in the order of NumPy's pairwise addition, and a
 * log1p of our own.  Ties are decided by exact equality, and are frequent.
 */

#include "quantise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off")
#endif

#define TOTAL (1u << UP_PROB_BITS)

/* ---- log1p --------------------------------------------------------------- */

static uint64_t bits_of(double x)
{
	uint64_t u;

	memcpy(&u, &x, sizeof(u));
	return u;
}

static double double_of(uint64_t u)
{
	double x;

	memcpy(&x, &u, sizeof(x));
	return x;
}

/*
 * log(1 + x) as fdlibm computes it, for -1 <= x <= 1, which is all that is asked
 * for.  Method and constants are those of s_log1p.c:
 *
 * Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.
 * Developed at SunPro, a Sun Microsystems, Inc. business.
 * Permission to use, copy, modify, and distribute this
 * software is freely granted, provided that this notice
 * is preserved.
 */
static double log1p_fixed(double x)
{
	static const double lg[] = {
		6.666666666666735130e-01, 3.999999999940941908e-01,
		2.857142874366239149e-01, 2.222219843214978396e-01,
		1.818357216161805012e-01, 1.531383769920937332e-01,
		1.479819860511658591e-01,
	};
	static const double ln2_hi = 6.93147180369123816490e-01;
	static const double ln2_lo = 1.90821492927058770002e-10;
	uint32_t hx = (uint32_t)(bits_of(x) >> 32), hu;
	double f = x, c = 0, hfsq, s, z, w, t1, t2, r, u;
	int k = 0;

	if (x == -1.0)
		return -INFINITY;
	if ((hx & 0x7fffffff) < 0x3ca00000)
		return x; /* |x| < 2^-53 */
	/* Outside sqrt(1/2) - 1 .. sqrt(2) - 1 a power of two is taken out. */
	if (hx >> 31 ? hx > 0xbfd2bec4 : hx >= 0x3fda827a) {
		u = 1 + x;
		hu = (uint32_t)(bits_of(u) >> 32) + 0x3ff00000 - 0x3fe6a09e;
		k = (int)(hu >> 20) - 0x3ff;
		c = k >= 2 ? 1 - (u - x) : x - (u - 1);
		c /= u;
		hu = (hu & 0x000fffff) + 0x3fe6a09e;
		f = double_of((uint64_t)hu << 32 | (bits_of(u) & 0xffffffff)) -
		    1;
	}
	hfsq = 0.5 * f * f;
	s = f / (2.0 + f);
	z = s * s;
	w = z * z;
	t1 = w * (lg[1] + w * (lg[3] + w * lg[5]));
	t2 = z * (lg[0] + w * (lg[2] + w * (lg[4] + w * lg[6])));
	r = t2 + t1;
	return s * (hfsq + r) + (k * ln2_lo + c) - hfsq + f + k * ln2_hi;
}

/* ---- Sums ---------------------------------------------------------------- */

static double sum_in_order(const double *p, size_t n)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += p[i];
	return sum;
}

/* As NumPy adds float64: halves down to 128 terms, there eight sums. */
static double sum_pairwise(const double *p, size_t n)
{
	double r[8], sum;
	size_t i, k;

	if (n < 8)
		return sum_in_order(p, n);
	if (n > 128) {
		size_t half = n / 2;

		half -= half % 8;
		return sum_pairwise(p, half) + sum_pairwise(p + half, n - half);
	}
	for (k = 0; k < 8; k++)
		r[k] = p[k];
	for (i = 8; i + 8 <= n; i += 8)
		for (k = 0; k < 8; k++)
			r[k] += p[i + k];
	sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
	for (; i < n; i++)
		sum += p[i];
	return sum;
}

/* ---- Trading units ------------------------------------------------------- */

/* A symbol's place in the market: what one unit more would win, and one less
 * would lose, in bits times probability. */
struct slot {
	unsigned symbol;
	uint32_t weight;
	double p;
	double win;
	double loss;
};

static double win_of(const struct slot *s)
{
	return s->p * log1p_fixed(1.0 / s->weight);
}

static double loss_of(const struct slot *s)
{
	return s->weight == 1 ? INFINITY
			      : -s->p * log1p_fixed(-1.0 / s->weight);
}

/* Stable, best win first. */
static void sort_by_win(struct slot *a, struct slot *tmp, size_t n)
{
	size_t half = n / 2, i = 0, j = half, k = 0;

	if (n < 2)
		return;
	sort_by_win(a, tmp, half);
	sort_by_win(a + half, tmp, n - half);
	memcpy(tmp, a, n * sizeof(*a));
	while (i < half && j < n)
		a[k++] = tmp[j].win > tmp[i].win ? tmp[j++] : tmp[i++];
	while (i < half)
		a[k++] = tmp[i++];
	while (j < n)
		a[k++] = tmp[j++];
}

struct market {
	struct slot slots[UP_ALPHABET_MAX];
	union {
		struct slot scratch[UP_ALPHABET_MAX];
		/* Two tournaments over the slots: leaves from n_leaves on; each
		 * node names the slot that won below it. */
		struct {
			uint16_t buyer[2 * UP_ALPHABET_MAX];
			uint16_t seller[2 * UP_ALPHABET_MAX];
		} tree;
	} u;
	double p[UP_ALPHABET_MAX];
	unsigned n;
	unsigned n_leaves;
};

/* The last of those with the greatest win. */
static uint16_t better_buyer(const struct market *m, uint16_t a, uint16_t b)
{
	return b < m->n && m->slots[b].win >= m->slots[a].win ? b : a;
}

/* The first of those with the least loss. */
static uint16_t better_seller(const struct market *m, uint16_t a, uint16_t b)
{
	return b < m->n && m->slots[b].loss < m->slots[a].loss ? b : a;
}

static void play(struct market *m, unsigned node)
{
	uint16_t *b = m->u.tree.buyer, *s = m->u.tree.seller;

	b[node] = better_buyer(m, b[2 * node], b[2 * node + 1]);
	s[node] = better_seller(m, s[2 * node], s[2 * node + 1]);
}

static void replay(struct market *m, unsigned slot)
{
	unsigned node = (m->n_leaves + slot) / 2;

	for (; node; node /= 2)
		play(m, node);
}

/* Move single units while that helps; who bought never sells again, and who
 * sold never buys. */
static void trade(struct market *m)
{
	unsigned i;

	for (m->n_leaves = 1; m->n_leaves < m->n;)
		m->n_leaves *= 2;
	for (i = 0; i < m->n_leaves; i++) {
		m->u.tree.buyer[m->n_leaves + i] = (uint16_t)i;
		m->u.tree.seller[m->n_leaves + i] = (uint16_t)i;
	}
	for (i = m->n_leaves - 1; i; i--)
		play(m, i);
	for (;;) {
		unsigned b = m->u.tree.buyer[1], s = m->u.tree.seller[1];
		struct slot *buyer = &m->slots[b], *seller = &m->slots[s];

		if (b == s || buyer->win <= seller->loss)
			return;
		seller->weight--;
		seller->win = -INFINITY;
		seller->loss = loss_of(seller);
		buyer->weight++;
		buyer->loss = INFINITY;
		buyer->win = win_of(buyer);
		replay(m, b);
		replay(m, s);
	}
}

/* Give everybody his share, rounded down, and 1; what is left over goes to who
 * wins most by it. */
static void distribute(struct market *m)
{
	uint32_t left = TOTAL - m->n;
	double scale = (double)left / sum_in_order(m->p, m->n);
	unsigned i;

	for (i = 0; i < m->n; i++) {
		uint32_t share = (uint32_t)(m->p[i] * scale);
		struct slot *s = &m->slots[i];

		if (share > left)
			share = left; /* no counts are known that do it */
		left -= share;
		s->symbol = i;
		s->weight = share + 1;
		s->p = m->p[i];
		/* Most symbols of most tensors do not occur. */
		if (i && s->p == s[-1].p && s->weight == s[-1].weight) {
			s->win = s[-1].win;
			s->loss = s[-1].loss;
		} else {
			s->win = win_of(s);
			s->loss = loss_of(s);
		}
	}
	while (left) {
		uint32_t n = left < m->n ? left : m->n;

		sort_by_win(m->slots, m->u.scratch, m->n);
		for (i = 0; i < n; i++) {
			m->slots[i].weight++;
			m->slots[i].win = win_of(&m->slots[i]);
			m->slots[i].loss = loss_of(&m->slots[i]);
		}
		left -= n;
	}
}

enum bs_result bs_up_quantise(const uint32_t *counts, unsigned n, uint32_t *ret)
{
	struct market *m = malloc(sizeof(*m));
	double sum;
	unsigned i;

	if (!m)
		return BS_ERR_NOMEM;
	m->n = n;
	for (i = 0; i < n; i++)
		m->p[i] = (double)counts[i] + 0.01;
	sum = sum_pairwise(m->p, n);
	for (i = 0; i < n; i++)
		m->p[i] /= sum;
	if (n > 1) {
		distribute(m);
		trade(m);
	} else {
		m->slots[0].symbol = 0;
		m->slots[0].weight = TOTAL;
	}
	for (i = 0; i < n; i++)
		ret[m->slots[i].symbol + 1] = m->slots[i].weight;
	ret[0] = 0;
	for (i = 0; i < n; i++)
		ret[i + 1] += ret[i];
	free(m);
	return BS_OK;
}
