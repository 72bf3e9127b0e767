/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_avx512.c - rANS decoding and merging in one loop
 *
 * Decoding waits for loads, merging for vector units: merging in the same loop
 * takes less than half of the time that it takes by itself.  Elements are of
 * two bytes, numbers all the way from a slot's low half, which does not go
 * through memory; a group is merged after the next one is decoded, 1 % faster
 * than at once.  Elements of four bytes have their coded plane merged into them
 * before the others, and gained nothing.
 */

#ifdef __x86_64__

#include "lanes_avx512.h"
#include "merge_avx512.h"

#include "../kernels.h"

/* 64 numbers of 16 bits. */
struct words {
	__m512i lo, hi;
};

/* ---- Raw bits ----------------------------------------------------------- */

INLINE __m512i widen_32(const uint8_t *src)
{
	return _mm512_cvtepu8_epi16(
		_mm256_loadu_si256((const __m256i *)(const void *)src));
}

/* A piece of 4 bits: the low halves of bytes, then the high ones. */
INLINE struct words words_of_4(const uint8_t *src)
{
	__m512i v = widen_32(src);
	struct words w = { _mm512_and_si512(v, _mm512_set1_epi16(15)),
			   _mm512_srli_epi16(v, 4) };

	return w;
}

/* Put a piece of 2 bits at 'shift': of 16 bytes first the lowest bits. */
INLINE struct words or_2(struct words w, const uint8_t *src, unsigned shift)
{
	const __m512i lo = _mm512_inserti64x4(_mm512_setzero_si512(),
					      _mm256_set1_epi16(2), 1);
	const __m512i hi = _mm512_add_epi16(lo, _mm512_set1_epi16(4));
	const __m512i mask = _mm512_set1_epi16((short)(3 << shift));
	__m512i v = _mm512_cvtepu8_epi16(_mm256_broadcastsi128_si256(
		_mm_loadu_si128((const __m128i *)(const void *)src)));

	v = _mm512_slli_epi16(v, shift);
	w.lo = _mm512_ternarylogic_epi64(w.lo, _mm512_srlv_epi16(v, lo), mask,
					 0xf8);
	w.hi = _mm512_ternarylogic_epi64(w.hi, _mm512_srlv_epi16(v, hi), mask,
					 0xf8);
	return w;
}

/* Put a piece of 1 bit at 'shift'. */
INLINE struct words or_1(struct words w, const uint8_t *src, unsigned shift)
{
	short bit = (short)(1 << shift);
	uint64_t v = get_u64(src);

	w.lo = _mm512_or_si512(w.lo, _mm512_maskz_set1_epi16((uint32_t)v, bit));
	w.hi = _mm512_or_si512(
		w.hi, _mm512_maskz_set1_epi16((uint32_t)(v >> 32), bit));
	return w;
}

/* A group's entries, from element 'at' on. */
INLINE struct words raw_words(const struct bs_term *t, size_t at)
{
	struct words w = { _mm512_setzero_si512(), _mm512_setzero_si512() };

	switch (t->entry_bits) {
	case 8:
		w.lo = widen_32(t->src[0] + at);
		w.hi = widen_32(t->src[0] + at + 32);
		return w;
	case 7:
		w = words_of_4(t->src[0] + at / 2);
		w = or_2(w, t->src[1] + at / 4, 4);
		return or_1(w, t->src[2] + at / 8, 6);
	case 6:
		w = words_of_4(t->src[0] + at / 2);
		return or_2(w, t->src[1] + at / 4, 4);
	case 5:
		w = words_of_4(t->src[0] + at / 2);
		return or_1(w, t->src[1] + at / 8, 4);
	case 4:
		return words_of_4(t->src[0] + at / 2);
	case 3:
		w = or_2(w, t->src[0] + at / 4, 0);
		return or_1(w, t->src[1] + at / 8, 2);
	case 2:
		return or_2(w, t->src[0] + at / 4, 0);
	default:
		return or_1(w, t->src[0] + at / 8, 0);
	}
}

/* ---- Merging ------------------------------------------------------------ */

/* Which terms there are, the coded plane's first: constants. */
struct counts {
	unsigned coded;
	unsigned raw;
};

INLINE struct words or_moved(struct words acc, struct words w,
			     const struct move *m)
{
	if (m->is_moved) {
		w.lo = _mm512_sll_epi16(w.lo, m->left);
		w.hi = _mm512_sll_epi16(w.hi, m->left);
	}
	acc.lo = _mm512_ternarylogic_epi64(acc.lo, w.lo, m->mask, 0xf8);
	acc.hi = _mm512_ternarylogic_epi64(acc.hi, w.hi, m->mask, 0xf8);
	return acc;
}

/* The values of a group by its symbols, the low bytes of 's'. */
INLINE struct words coded_words(struct words s, const struct move *m, size_t at)
{
	const __m512i byte = _mm512_set1_epi16(255);
	__m128i drop, shift;
	const uint16_t *q;

	s.lo = _mm512_add_epi16(_mm512_and_si512(s.lo, byte), m->add);
	s.hi = _mm512_add_epi16(_mm512_and_si512(s.hi, byte), m->add);
	if (!m->t->q)
		return s;
	q = m->t->q + at;
	drop = _mm_cvtsi32_si128(m->t->q_drop);
	shift = _mm_cvtsi32_si128(m->t->q_shift);
	s.lo = _mm512_add_epi16(s.lo, widen_q(q, drop, shift, 2));
	s.hi = _mm512_add_epi16(s.hi, widen_q(q + 32, drop, shift, 2));
	return s;
}

INLINE void merge_words(uint8_t *dst, size_t at, struct words s,
			const struct job *job, struct counts n)
{
	__m512i base = broadcast(*job->base, 2);
	const struct move *m = job->moves;
	struct words acc = { base, base }, w = acc;
	unsigned i;

	s = coded_words(s, m, at);
	for (i = 0; i < n.coded; i++)
		acc = or_moved(acc, s, &m[i]);
	for (; i < n.coded + n.raw; i++) {
		if (!m[i].same)
			w = raw_words(m[i].t, at);
		acc = or_moved(acc, w, &m[i]);
	}
	_mm512_storeu_si512(dst + 2 * at, acc.lo);
	_mm512_storeu_si512(dst + 2 * at + 64, acc.hi);
}

/* Compiled for all usual counts, with and without 'q', which has n >= LANES
 * entries. */
INLINE size_t decode_merge(struct bs_rans_dec *d, const struct plane *p,
			   const uint16_t *q, uint8_t *sym, uint8_t *dst,
			   size_t n, const struct job *job,
			   struct counts counts)
{
	struct indices index[4];
	struct words now, before;
	struct lanes l;
	size_t i;

	before.lo = before.hi = _mm512_setzero_si512();
	lanes_load(&l, index, d, p, q, false);
	for (i = 0; n - i >= LANES && lanes_ready(&l); i += LANES) {
		if (i)
			merge_words(dst, i - GROUP, before, job, counts);
		if (q && n - i >= 2 * LANES)
			q += LANES;
		lanes_step(&l, index, p, q, false, &now.lo, &now.hi);
		put_symbols(sym + i, now.lo, now.hi);
		before = now;
	}
	lanes_store(&l, d);
	if (i)
		merge_words(dst, i - GROUP, before, job, counts);
	return i;
}

#define DECODE_MERGE(name, ...)                                             \
	LEAF size_t name(struct bs_rans_dec *d, const struct plane *p,      \
			 uint8_t *sym, uint8_t *dst, size_t n,              \
			 const struct job *job)                             \
	{                                                                   \
		return decode_merge(d, p, NULL, sym, dst, n, job,           \
				    (struct counts){ __VA_ARGS__ });        \
	}                                                                   \
	LEAF size_t name##_q(struct bs_rans_dec *d, const struct plane *p,  \
			     const uint16_t *q, uint8_t *sym, uint8_t *dst, \
			     size_t n, const struct job *job)               \
	{                                                                   \
		return decode_merge(d, p, q, sym, dst, n, job,              \
				    (struct counts){ __VA_ARGS__ });        \
	}

DECODE_MERGE(merge_1_1, 1, 1)
DECODE_MERGE(merge_1_2, 1, 2)
DECODE_MERGE(merge_2_1, 2, 1)

static bool is_same_sum(const struct bs_term *t, const struct bs_term *u)
{
	return t->src[0] == u->src[0] && t->add == u->add && t->q == u->q &&
	       t->q_drop == u->q_drop && t->q_shift == u->q_shift;
}

/* How many terms are of symbols, if they come first and are of one sum; else
 * 0. */
static unsigned count_coded(const uint8_t *sym, const struct bs_term *terms,
			    unsigned n_terms)
{
	unsigned i, n = 0;

	while (n < n_terms && terms[n].src[0] == sym &&
	       is_same_sum(&terms[n], &terms[0]))
		n++;
	for (i = n; i < n_terms; i++) {
		if (terms[i].src[0] == sym || terms[i].add || terms[i].q)
			return 0;
	}
	return n;
}

AVX512 size_t bs_decode_merge_avx512(struct bs_rans_dec *d,
				     const bs_slot *slots, unsigned prob_bits,
				     const uint16_t *q, unsigned table_mask,
				     uint8_t *sym, void *dst, unsigned unit,
				     size_t n, const uint64_t *base,
				     const struct bs_term *terms,
				     unsigned n_terms)
{
	struct plane p;
	struct job job;

	if (unit != 2 || !base || n_terms > 3 || n < LANES)
		return 0;
	job_init(&job, 2, base, terms, n_terms);
	if (job.sh.right || (q && is_wide(prob_bits, table_mask)))
		return 0;
	plane_init(&p, slots, prob_bits, q ? table_mask : 0);
	switch (4 * count_coded(sym, terms, n_terms) + n_terms) {
	case 4 + 2:
		return q ? merge_1_1_q(d, &p, q, sym, dst, n, &job)
			 : merge_1_1(d, &p, sym, dst, n, &job);
	case 4 + 3:
		return q ? merge_1_2_q(d, &p, q, sym, dst, n, &job)
			 : merge_1_2(d, &p, sym, dst, n, &job);
	case 8 + 3:
		return q ? merge_2_1_q(d, &p, q, sym, dst, n, &job)
			 : merge_2_1(d, &p, sym, dst, n, &job);
	default:
		return 0;
	}
}

#endif /* __x86_64__ */
