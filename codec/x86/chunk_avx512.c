/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_avx512.c - rANS decoding and merging in one loop
 *
 * Decoding waits for loads, merging for vector units: together they take a
 * twentieth more time than decoding alone, where one after the other they take
 * a third more.  Merging is two groups behind, whose symbols have left the
 * store buffer by then: one group, 4 % slower.  Elements of four bytes gained
 * nothing.
 */

#ifdef __x86_64__

#include "lanes_avx512.h"
#include "merge_avx512.h"

#include "../kernels.h"

#define BEHIND (2 * (size_t)GROUP)

/* Compiled for each shape, with and without 'q', which has n >= LANES
 * entries. */
INLINE size_t decode_merge(struct bs_rans_dec *d, const struct plane *p,
			   const uint16_t *q, uint8_t *sym, uint8_t *dst,
			   size_t n, enum usual u, const struct job *job)
{
	struct indices index[4];
	struct lanes l;
	__m512i lo, hi;
	size_t i, at;

	lanes_load(&l, index, d, p, q, false);
	for (i = 0; n - i >= LANES && lanes_ready(&l); i += LANES) {
		if (i >= BEHIND)
			merge_usual(dst, u, i - BEHIND, GROUP, job);
		if (q && n - i >= 2 * LANES)
			q += LANES;
		lanes_step(&l, index, p, q, false, &lo, &hi);
		put_symbols(sym + i, lo, hi);
	}
	lanes_store(&l, d);
	for (at = i < BEHIND ? 0 : i - BEHIND; at < i; at += GROUP)
		merge_usual(dst, u, at, GROUP, job);
	return i;
}

#define DECODE_MERGE(name, shape)                                           \
	LEAF size_t name(struct bs_rans_dec *d, const struct plane *p,      \
			 uint8_t *sym, uint8_t *dst, size_t n,              \
			 const struct job *job)                             \
	{                                                                   \
		return decode_merge(d, p, NULL, sym, dst, n, shape, job);   \
	}                                                                   \
	LEAF size_t name##_q(struct bs_rans_dec *d, const struct plane *p,  \
			     const uint16_t *q, uint8_t *sym, uint8_t *dst, \
			     size_t n, const struct job *job)               \
	{                                                                   \
		return decode_merge(d, p, q, sym, dst, n, shape, job);      \
	}

DECODE_MERGE(two_of_2, TWO_OF_2)
DECODE_MERGE(three_of_2, THREE_OF_2)

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

	if (unit != 2 || !base || n_terms > TERMS_MAX || n < LANES ||
	    (q && is_wide(prob_bits, table_mask)))
		return 0;
	job_init(&job, 2, base, terms, n_terms);
	plane_init(&p, slots, prob_bits, table_mask);
	switch (usual_shape(&job)) {
	case TWO_OF_2:
		return q ? two_of_2_q(d, &p, q, sym, dst, n, &job)
			 : two_of_2(d, &p, sym, dst, n, &job);
	case THREE_OF_2:
		return q ? three_of_2_q(d, &p, q, sym, dst, n, &job)
			 : three_of_2(d, &p, sym, dst, n, &job);
	default:
		return 0;
	}
}

#endif /* __x86_64__ */
