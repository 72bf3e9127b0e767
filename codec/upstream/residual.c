/* SPDX-License-Identifier: Apache-2.0 */
/*
 * residual.c - int4g_residual_v1, schemes 1 and 3
 *
 * Scheme 1 has two BF16 tensors: what is added to the 4-bit one, and what bits are
 * still to be flipped then.  Scheme 3 has one for each value: the words of the
 * elements that have it, their exponents less the scale's.
 */

#include "../bits.h"
#include "bf16.h"
#include "int4.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum scheme { ADD_AND_FLIP = 1, BY_VALUE = 3 };

struct residual {
	struct bs_up_node node;
	unsigned scheme;
	struct bs_up_int4 fast; /* owned */
	/* Scheme 1: what is added and what is flipped; scheme 3: a part for each
	 * value, or NULL.  Owned. */
	struct bs_up_node *part[INT4_VALUES];
};

struct scratch {
	uint64_t pos; /* elements */
	uint8_t values[UP_BLOCK];
	uint32_t order[UP_BLOCK];
	uint16_t words[2][UP_BLOCK];
	uint64_t fast[]; /* of the values' reader */
};

/* ---- Arithmetic of BF16 -------------------------------------------------- */

/*
 * r of a and b, as the x86-64 that these files were made on has it, operands in
 * that order: the first NaN goes through, made quiet, and one that comes of none
 * is negative.  On other machines, and by what compilers may swap, its sign is
 * another.
 */
static float with_nan(float r, float a, float b)
{
	uint32_t bits = 0xffc00000;

	if (!isnan(r))
		return r;
	if (isnan(a))
		memcpy(&bits, &a, sizeof(bits));
	else if (isnan(b))
		memcpy(&bits, &b, sizeof(bits));
	bits |= 0x00400000;
	memcpy(&r, &bits, sizeof(r));
	return r;
}

static enum bs_result add_and_flip(const struct residual *d,
				   struct bs_up_run *r, struct scratch *s,
				   size_t n, uint8_t *dst)
{
	enum bs_result res = BS_OK;
	size_t i;
	unsigned k;

	for (k = 0; k < 2 && !res; k++)
		res = d->part[k]->run(d->part[k], r, n, s->words[k]);
	for (i = 0; i < n && !res; i++) {
		float scale = bs_bf16_to_float(
			bs_up_int4_scale(&d->fast, s->pos + i));
		float v = (float)((int)s->values[i] - INT4_ZERO);
		uint16_t w = bs_bf16_round(with_nan(v * scale, v, scale));
		float a = bs_bf16_to_float(w),
		      b = bs_bf16_to_float(s->words[0][i]);

		w = bs_bf16_round(with_nan(a + b, a, b));
		put_u16(dst + 2 * i, w ^ s->words[1][i]);
	}
	return res;
}

static enum bs_result by_value(const struct residual *d, struct bs_up_run *r,
			       struct scratch *s, size_t n, uint8_t *dst)
{
	uint32_t counts[INT4_VALUES], *order = s->order;
	unsigned v;
	size_t i;

	bs_up_int4_sort(s->values, n, order, counts);
	for (v = 0; v < INT4_VALUES; v++) {
		const struct bs_up_node *part = d->part[v];
		enum bs_result res;

		if (!counts[v])
			continue;
		if (!part)
			return BS_ERR_CORRUPT;
		res = part->run(part, r, counts[v], s->words[0]);
		if (res)
			return res;
		for (i = 0; i < counts[v]; i++) {
			unsigned w = s->words[0][i];
			unsigned scale =
				bs_up_int4_scale(&d->fast, s->pos + order[i]);
			unsigned e = (w >> 7) + (scale >> 7);

			w = (w & 0x807f) | (e & 0xff) << 7;
			put_u16(dst + 2 * (size_t)order[i], (uint16_t)w);
		}
		order += counts[v];
	}
	return BS_OK;
}

static enum bs_result run(const struct bs_up_node *node, struct bs_up_run *r,
			  size_t n, void *dst)
{
	const struct residual *d = (const struct residual *)node;
	struct scratch *s = (struct scratch *)(void *)r->extra;
	uint8_t *to = dst;
	enum bs_result res = BS_OK;

	while (n && !res) {
		size_t len = n < UP_BLOCK ? n : UP_BLOCK;

		res = bs_up_int4_read(&d->fast, r->src, s->pos, len, s->values,
				      s->fast);
		if (res)
			break;
		res = d->scheme == BY_VALUE ? by_value(d, r, s, len, to)
					    : add_and_flip(d, r, s, len, to);
		s->pos += len;
		to += 2 * len;
		n -= len;
	}
	return res;
}

/* ---- Opening ------------------------------------------------------------- */

static void free_residual(struct bs_up_node *node)
{
	struct residual *d = (struct residual *)node;
	unsigned i;

	for (i = 0; i < INT4_VALUES; i++)
		bs_up_node_free(d->part[i]);
	bs_up_int4_fini(&d->fast);
	free(d);
}

/* The next part, which says itself how many elements it has. */
static enum bs_result open_part(struct residual *d, struct bs_up_plan *plan,
				struct bs_up_reader *rd, unsigned i,
				uint64_t *sum)
{
	struct bs_up_span span = bs_up_read_prefixed(rd);
	uint8_t n[4];

	if (rd->res || !span.len)
		return rd->res;
	if (span.len < sizeof(n))
		return BS_ERR_CORRUPT;
	if (rd->src->pread(rd->src->ctx, n, sizeof(n), span.off))
		return BS_ERR_IO;
	*sum += get_u32(n);
	return bs_up_bf16_ac_open(plan, rd->src, span, get_u32(n), &d->part[i]);
}

enum bs_result bs_up_residual_open(struct bs_up_plan *plan,
				   struct bs_up_reader *rd, unsigned scheme,
				   struct bs_up_span span, uint64_t n,
				   struct bs_up_node **ret)
{
	unsigned n_parts = scheme == BY_VALUE ? INT4_VALUES : 2, i;
	uint64_t sum = 0;
	struct residual *d;
	enum bs_result res;

	if (scheme != ADD_AND_FLIP && scheme != BY_VALUE)
		return BS_ERR_FEATURE;
	*ret = bs_up_node_new(plan, sizeof(*d), n, 2);
	if (!*ret)
		return BS_ERR_NOMEM;
	d = (struct residual *)*ret;
	d->node.run = run;
	d->node.free = free_residual;
	d->scheme = scheme;
	res = bs_up_int4_open(&d->fast, rd->src, span, n);
	for (i = 0; i < n_parts && !res; i++)
		res = open_part(d, plan, rd, i, &sum);
	if (!res)
		res = bs_up_read_end(rd);
	if (res)
		return res;
	if (scheme == ADD_AND_FLIP &&
	    (!d->part[0] || !d->part[1] || d->part[0]->n != n))
		return BS_ERR_CORRUPT;
	if (sum != (scheme == BY_VALUE ? n : 2 * n))
		return BS_ERR_CORRUPT;
	plan->mem += 2 * (size_t)div_up(n, d->fast.group);
	plan->kept_len = sizeof(uint64_t);
	plan->extra_len = sizeof(struct scratch) +
			  bs_up_int4_scratch_len(&d->fast, UP_BLOCK);
	return BS_OK;
}
