/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge_avx512.h - merging planes, a group of 64 elements at a time
 *
 * A group fills as many vectors as an element has bytes.  They are made in
 * registers, term by term, and written once.  Elements of four bytes are made
 * as two halves of two, in half as many operations, where no term stands in
 * both; none does in floats, except where elements are merged into others.
 */

#ifndef BS_MERGE_AVX512_H
#define BS_MERGE_AVX512_H

#include "../bits.h"
#include "../plane.h"
#include "avx512.h"

#define GROUP 64
#define VECTORS_MAX 8

/* A term in the form that the loops want. */
struct move {
	const struct bs_term *t;
	__m512i add;
	__m512i mask; /* where its bits stand in an element */
	__m128i left; /* one of these two is 0 */
	__m128i right;
	bool is_sum; /* something is added */
	bool is_moved;
	bool same; /* as the term before, the entries are */
};

/* Operations on lanes of 'unit' bytes, where a byte is what its neighbours'
 * bits are masked off from.  'unit' is a constant wherever these are used. */

INLINE __m512i widen(const uint8_t *entry, unsigned unit)
{
	const void *p = entry;

	switch (unit) {
	case 1:
		return _mm512_loadu_si512(p);
	case 2:
		return _mm512_cvtepu8_epi16(_mm256_loadu_si256(p));
	case 4:
		return _mm512_cvtepu8_epi32(_mm_loadu_si128(p));
	default:
		return _mm512_cvtepu8_epi64(_mm_loadl_epi64(p));
	}
}

/* The low bytes of entries of two bytes suffice for elements of one. */
INLINE __m512i widen_q(const uint16_t *q, __m128i drop, __m128i shift,
		       unsigned unit)
{
	const void *p = q;
	__m512i v, w;

	switch (unit) {
	case 1:
		v = _mm512_loadu_si512(p);
		w = _mm512_loadu_si512(q + 32);
		v = _mm512_sll_epi16(_mm512_srl_epi16(v, drop), shift);
		w = _mm512_sll_epi16(_mm512_srl_epi16(w, drop), shift);
		return _mm512_inserti64x4(
			_mm512_castsi256_si512(_mm512_cvtepi16_epi8(v)),
			_mm512_cvtepi16_epi8(w), 1);
	case 2:
		v = _mm512_loadu_si512(p);
		return _mm512_sll_epi16(_mm512_srl_epi16(v, drop), shift);
	case 4:
		v = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p));
		return _mm512_sll_epi32(_mm512_srl_epi32(v, drop), shift);
	default:
		v = _mm512_cvtepu16_epi64(_mm_loadu_si128(p));
		return _mm512_sll_epi64(_mm512_srl_epi64(v, drop), shift);
	}
}

INLINE __m512i add(__m512i a, __m512i b, unsigned unit)
{
	switch (unit) {
	case 1:
		return _mm512_add_epi8(a, b);
	case 2:
		return _mm512_add_epi16(a, b);
	case 4:
		return _mm512_add_epi32(a, b);
	default:
		return _mm512_add_epi64(a, b);
	}
}

INLINE __m512i move_bits(__m512i v, const struct move *m, unsigned unit,
			 bool right)
{
	switch (unit) {
	case 1:
	case 2:
		v = _mm512_sll_epi16(v, m->left);
		return right ? _mm512_srl_epi16(v, m->right) : v;
	case 4:
		v = _mm512_sll_epi32(v, m->left);
		return right ? _mm512_srl_epi32(v, m->right) : v;
	default:
		v = _mm512_sll_epi64(v, m->left);
		return right ? _mm512_srl_epi64(v, m->right) : v;
	}
}

/* 64 entries of a piece. */

INLINE __m512i unpack4(const uint8_t *src)
{
	const void *p = src;
	__m256i lo = _mm256_loadu_si256(p), hi = _mm256_srli_epi16(lo, 4);
	__m512i v = _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);

	return _mm512_and_si512(v, _mm512_set1_epi8(15));
}

INLINE __m512i unpack2(const uint8_t *src)
{
	const void *p = src;
	__m512i v = _mm512_broadcast_i32x4(_mm_loadu_si128(p));

	v = _mm512_srlv_epi64(v, _mm512_setr_epi64(0, 0, 2, 2, 4, 4, 6, 6));
	return _mm512_and_si512(v, _mm512_set1_epi8(3));
}

INLINE __m512i unpack1(const uint8_t *src)
{
	return _mm512_maskz_set1_epi8(get_u64(src), 1);
}

/* 64 values of fewer than 8 bits from their pieces. */
INLINE __m512i unpack(const struct bs_term *t, size_t at)
{
	switch (t->entry_bits) {
	case 7:
		return _mm512_or_si512(
			_mm512_or_si512(
				unpack4(t->src[0] + at / 2),
				_mm512_slli_epi16(unpack2(t->src[1] + at / 4),
						  4)),
			_mm512_slli_epi16(unpack1(t->src[2] + at / 8), 6));
	case 6:
		return _mm512_or_si512(
			unpack4(t->src[0] + at / 2),
			_mm512_slli_epi16(unpack2(t->src[1] + at / 4), 4));
	case 5:
		return _mm512_or_si512(
			unpack4(t->src[0] + at / 2),
			_mm512_slli_epi16(unpack1(t->src[1] + at / 8), 4));
	case 4:
		return unpack4(t->src[0] + at / 2);
	case 3:
		return _mm512_or_si512(
			unpack2(t->src[0] + at / 4),
			_mm512_slli_epi16(unpack1(t->src[1] + at / 8), 2));
	case 2:
		return unpack2(t->src[0] + at / 4);
	default:
		return unpack1(t->src[0] + at / 8);
	}
}

/* Where a group's entries are, as bytes: at their source, or in 'scratch'.
 * 'live' has a bit for each. */
INLINE const uint8_t *entries(const struct bs_term *t, size_t at, uint64_t live,
			      uint8_t *scratch)
{
	__m512i v;

	if (t->entry_bits < 8)
		v = unpack(t, at);
	else if (live == UINT64_MAX)
		return t->src[0] + at;
	else
		v = _mm512_maskz_loadu_epi8(live, t->src[0] + at);
	_mm512_store_si512(scratch, v);
	return scratch;
}

/* The same for q; 'scratch' has 64 entries. */
INLINE const uint16_t *entries_q(const struct bs_term *t, size_t at,
				 uint64_t live, uint16_t *scratch)
{
	const uint16_t *q = t->q + at;

	if (live == UINT64_MAX)
		return q;
	_mm512_storeu_si512(scratch,
			    _mm512_maskz_loadu_epi16((uint32_t)live, q));
	_mm512_storeu_si512(scratch + 32,
			    _mm512_maskz_loadu_epi16((uint32_t)(live >> 32),
						     q + 32));
	return scratch;
}

/* The bits of a term into the vectors of a group. */
INLINE void merge_term(__m512i *acc, const struct move *m, const uint8_t *entry,
		       size_t at, unsigned unit, uint64_t live, bool right)
{
	uint16_t scratch[GROUP];
	unsigned k, per = GROUP / unit;
	__m128i drop, shift;
	const uint16_t *q;

	if (!m->is_sum) {
		for (k = 0; k < unit; k++) {
			__m512i v = widen(entry + k * per, unit);

			v = move_bits(v, m, unit, right);
			acc[k] = _mm512_ternarylogic_epi64(acc[k], v, m->mask,
							   0xf8);
		}
		return;
	}
	drop = _mm_cvtsi32_si128(m->t->q_drop);
	shift = _mm_cvtsi32_si128(m->t->q_shift);
	q = m->t->q ? entries_q(m->t, at, live, scratch) : NULL;
	for (k = 0; k < unit; k++) {
		__m512i v = add(widen(entry + k * per, unit), m->add, unit);

		if (q)
			v = add(v, widen_q(q + k * per, drop, shift, unit),
				unit);
		v = move_bits(v, m, unit, right);
		acc[k] = _mm512_ternarylogic_epi64(acc[k], v, m->mask, 0xf8);
	}
}

/* The bytes of vector k that 'left' bytes from the group's start leave. */
INLINE __mmask64 bytes_of(size_t left, unsigned k)
{
	if (left >= 64 * (size_t)(k + 1))
		return UINT64_MAX;
	return left > 64 * (size_t)k
		       ? (UINT64_C(1) << (left - 64 * (size_t)k)) - 1
		       : 0;
}

/* Elements of four bytes from their low and high halves. */
INLINE void join_halves(__m512i *acc)
{
	const __m512i first = _mm512_setr_epi32(
		0x200000, 0x210001, 0x220002, 0x230003, 0x240004, 0x250005,
		0x260006, 0x270007, 0x280008, 0x290009, 0x2a000a, 0x2b000b,
		0x2c000c, 0x2d000d, 0x2e000e, 0x2f000f);
	const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
	__m512i lo0 = acc[0], lo1 = acc[1], hi0 = acc[2], hi1 = acc[3];

	acc[0] = _mm512_permutex2var_epi16(lo0, first, hi0);
	acc[1] = _mm512_permutex2var_epi16(lo0, second, hi0);
	acc[2] = _mm512_permutex2var_epi16(lo1, first, hi1);
	acc[3] = _mm512_permutex2var_epi16(lo1, second, hi1);
}

/* How the loops are to be compiled: constants. */
struct shape {
	unsigned unit;
	bool halves;
	bool right; /* some term is moved right */
};

INLINE void begin_group(__m512i *acc, struct shape sh, const uint8_t *dst,
			size_t n, const uint64_t *base)
{
	unsigned k;

	for (k = 0; k < sh.unit; k++) {
		if (sh.halves)
			acc[k] = broadcast(*base >> 16 * (k / 2), 2);
		else if (base)
			acc[k] = broadcast(*base, sh.unit);
		else if (n == GROUP)
			acc[k] = _mm512_loadu_si512(dst + 64 * k);
		else
			acc[k] = _mm512_maskz_loadu_epi8(
				bytes_of(n * sh.unit, k), dst + 64 * k);
	}
}

static bool is_in_half(const struct bs_term *t)
{
	return t->lo / 16 == (t->lo + t->bits - 1) / 16;
}

static bool is_same_source(const struct bs_term *t, const struct bs_term *u)
{
	return t->entry_bits == u->entry_bits &&
	       !memcmp(t->src, u->src, sizeof(t->src));
}

/* One group of n elements, at most 64.  Moves [n_low, n_moves) are of high
 * halves. */
INLINE void merge_group(uint8_t *dst, struct shape sh, size_t at, size_t n,
			const uint64_t *base, const struct move *moves,
			unsigned n_low, unsigned n_moves)
{
	uint64_t live = n == GROUP ? UINT64_MAX : (UINT64_C(1) << n) - 1;
	uint8_t scratch[GROUP] __attribute__((aligned(64)));
	const uint8_t *entry = NULL;
	__m512i acc[VECTORS_MAX];
	unsigned k, i;

	begin_group(acc, sh, dst, n, base);
	for (i = 0; i < n_low; i++) {
		const struct move *m = &moves[i];

		if (!m->same)
			entry = entries(m->t, at, live, scratch);
		merge_term(acc, m, entry, at, sh.halves ? 2 : sh.unit, live,
			   sh.right);
	}
	for (; i < n_moves; i++) {
		const struct move *m = &moves[i];

		if (!m->same)
			entry = entries(m->t, at, live, scratch);
		merge_term(acc + 2, m, entry, at, 2, live, sh.right);
	}
	if (sh.halves)
		join_halves(acc);
	for (k = 0; k < sh.unit; k++) {
		if (n == GROUP)
			_mm512_storeu_si512(dst + 64 * k, acc[k]);
		else
			_mm512_mask_storeu_epi8(
				dst + 64 * k, bytes_of(n * sh.unit, k), acc[k]);
	}
}

INLINE void merge_groups(uint8_t *dst, struct shape sh, size_t n,
			 const uint64_t *base, const struct move *moves,
			 unsigned n_low, unsigned n_moves)
{
	size_t at;

	for (at = 0; n - at >= GROUP; at += GROUP)
		merge_group(dst + at * sh.unit, sh, at, GROUP, base, moves,
			    n_low, n_moves);
	if (at < n)
		merge_group(dst + at * sh.unit, sh, at, n - at, base, moves,
			    n_low, n_moves);
}

/* Lanes have 'unit' bytes. */
INLINE void make_move(struct move *m, const struct bs_term *t, unsigned unit)
{
	unsigned lo = t->lo % (8 * unit);
	int left = (int)lo - t->shift;

	m->t = t;
	m->add = broadcast(t->add, unit);
	m->mask = broadcast(((UINT64_C(1) << t->bits) - 1) << lo, unit);
	m->left = _mm_cvtsi32_si128(left > 0 ? left : 0);
	m->right = _mm_cvtsi32_si128(left < 0 ? -left : 0);
	m->is_sum = t->add || t->q;
	m->is_moved = left != 0;
}

/* All terms, those of low halves first where there are 'halves'.  Returns
 * how many come first, and whether some are moved right. */
INLINE unsigned make_moves(struct move *moves, unsigned unit, bool halves,
			   const struct bs_term *terms, unsigned n_terms,
			   bool *ret_right)
{
	const struct bs_term *prev = NULL;
	unsigned i, half, n = 0, n_low = 0;

	*ret_right = false;
	for (half = 0; half <= halves; half++) {
		for (i = 0; i < n_terms; i++) {
			const struct bs_term *t = &terms[i];
			struct move *m = &moves[n];

			if (halves && t->lo / 16u != half)
				continue;
			make_move(m, t, halves ? 2 : unit);
			m->same = prev && is_same_source(t, prev);
			prev = t;
			*ret_right |= t->lo % (halves ? 16 : 64) < t->shift;
			n++;
		}
		n_low = half ? n_low : n;
	}
	return n_low;
}

/* All that merging takes. */
struct job {
	struct shape sh;
	const uint64_t *base;
	struct move moves[TERMS_MAX];
	unsigned n_low;
	unsigned n_moves;
};

INLINE void job_init(struct job *job, unsigned unit, const uint64_t *base,
		     const struct bs_term *terms, unsigned n_terms)
{
	unsigned i;

	job->sh = (struct shape){ .unit = unit, .halves = unit == 4 && base };
	for (i = 0; i < n_terms; i++)
		job->sh.halves = job->sh.halves && is_in_half(&terms[i]);
	job->base = base;
	job->n_moves = n_terms;
	job->n_low = make_moves(job->moves, unit, job->sh.halves, terms,
				n_terms, &job->sh.right);
}

#endif /* BS_MERGE_AVX512_H */
