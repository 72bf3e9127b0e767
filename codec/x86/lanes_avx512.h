/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lanes_avx512.h - a step of rANS decoding, sixteen lanes a vector
 *
 * The steps of rans.c; what is special is the look-up.  A gather is one
 * instruction, but not a fast one everywhere: sixteen loads, their indices two
 * at a time from a copy of the vector in memory, decode 3.0 GB/s of symbols
 * where _mm512_i32gather_epi32 decodes 2.2 (gcc 12; 2.5 by clang 14; AMD family
 * 25 model 17), and never meet the microcode that slows gathers down on some
 * Intel CPUs.  Indices by vpextrq instead of through memory: 2.7.  Words for
 * two vectors at a time (vpexpandw): 2.5.
 *
 * The copies are in functions that call nothing (LEAF), not even on a smashed
 * stack, so that compilers address them by the stack pointer: by a frame
 * pointer it is 2.4.  A vector's copy just before its loads: 2.6.
 */

#ifndef BS_LANES_AVX512_H
#define BS_LANES_AVX512_H

#include "../rans.h"
#include "avx512.h"

/* Four slots by two pairs of indices. */
INLINE __m128i look_up_4(const bs_slot *slots, uint64_t a, uint64_t b)
{
	__m128i lo = _mm_cvtsi32_si128((int)slots[(uint32_t)a]);
	__m128i hi = _mm_cvtsi32_si128((int)slots[(uint32_t)b]);

	lo = _mm_insert_epi32(lo, (int)slots[a >> 32], 1);
	hi = _mm_insert_epi32(hi, (int)slots[b >> 32], 1);
	return _mm_unpacklo_epi64(lo, hi);
}

INLINE __m256i look_up_8(const bs_slot *slots, const uint64_t *pairs)
{
	__m128i lo = look_up_4(slots, pairs[0], pairs[1]);
	__m128i hi = look_up_4(slots, pairs[2], pairs[3]);

	return _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
}

INLINE __m512i look_up(const bs_slot *slots, const uint64_t *pairs)
{
	__m256i lo = look_up_8(slots, pairs);
	__m256i hi = look_up_8(slots, pairs + 4);

	return _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);
}

/* The constants of one plane. */
struct plane {
	const bs_slot *slots;
	__m128i prob_bits;
	__m512i slot_mask;
	__m512i table_mask;
};

/* Which slots sixteen lanes want; 'q' as for bs_rans_decode_fn, or NULL. */
INLINE void put_indices(uint64_t *pairs, const struct plane *p, __m512i x,
			const uint16_t *q)
{
	__m512i index = _mm512_and_si512(x, p->slot_mask);

	if (q) {
		__m512i table = _mm512_cvtepu16_epi32(
			_mm256_loadu_si256((const __m256i *)(const void *)q));

		table = _mm512_and_si512(table, p->table_mask);
		index = _mm512_or_si512(index,
					_mm512_sll_epi32(table, p->prob_bits));
	}
	_mm512_store_si512(pairs, index);
}

/* One step of sixteen lanes. */
INLINE const uint8_t *step(const struct plane *p, const uint64_t *pairs,
			   __m512i *x, const uint8_t *words, uint8_t *sym)
{
	__m512i e = look_up(p->slots, pairs), next, w;
	__mmask16 small;

	next = _mm512_mullo_epi32(_mm512_srli_epi32(e, 20),
				  _mm512_srl_epi32(*x, p->prob_bits));
	next = _mm512_add_epi32(next,
				_mm512_and_si512(_mm512_srli_epi32(e, 8),
						 _mm512_set1_epi32(4095)));
	small = _mm512_cmplt_epu32_mask(next, _mm512_set1_epi32(65536));
	w = _mm512_cvtepu16_epi32(
		_mm256_loadu_si256((const __m256i *)(const void *)words));
	w = _mm512_maskz_expand_epi32(small, w);
	*x = _mm512_mask_or_epi32(next, small, _mm512_slli_epi32(next, 16), w);
	_mm_storeu_si128((__m128i *)(void *)sym, _mm512_cvtepi32_epi8(e));
	return words + 2 * (size_t)_mm_popcnt_u32(small);
}

/* The lanes in registers. */
struct lanes {
	__m512i x0, x1, x2, x3;
	const uint8_t *words;
	const uint8_t *end;
};

INLINE void lanes_load(struct lanes *l, const struct bs_rans_dec *d)
{
	l->x0 = _mm512_loadu_si512(d->x);
	l->x1 = _mm512_loadu_si512(d->x + 16);
	l->x2 = _mm512_loadu_si512(d->x + 32);
	l->x3 = _mm512_loadu_si512(d->x + 48);
	l->words = d->words;
	l->end = d->end;
}

INLINE void lanes_store(const struct lanes *l, struct bs_rans_dec *d)
{
	_mm512_storeu_si512(d->x, l->x0);
	_mm512_storeu_si512(d->x + 16, l->x1);
	_mm512_storeu_si512(d->x + 32, l->x2);
	_mm512_storeu_si512(d->x + 48, l->x3);
	d->words = l->words;
}

/* Whether a group can take its words unchecked. */
INLINE bool lanes_ready(const struct lanes *l)
{
	return l->end - l->words >= 2 * LANES;
}

/* One step of all lanes; 'pairs' is room for the indices. */
INLINE void lanes_step(struct lanes *l, const struct plane *p,
		       uint64_t *restrict pairs, const uint16_t *q,
		       uint8_t *sym)
{
	put_indices(pairs, p, l->x0, q);
	put_indices(pairs + 8, p, l->x1, q ? q + 16 : NULL);
	put_indices(pairs + 16, p, l->x2, q ? q + 32 : NULL);
	put_indices(pairs + 24, p, l->x3, q ? q + 48 : NULL);
	/* Or clang takes the pairs out of the vectors after all. */
	__asm__ volatile("" : "+m"(*(uint64_t(*)[LANES / 2]) pairs));
	l->words = step(p, pairs, &l->x0, l->words, sym);
	l->words = step(p, pairs + 8, &l->x1, l->words, sym + 16);
	l->words = step(p, pairs + 16, &l->x2, l->words, sym + 32);
	l->words = step(p, pairs + 24, &l->x3, l->words, sym + 48);
}

INLINE void plane_init(struct plane *p, const bs_slot *slots,
		       unsigned prob_bits, unsigned table_mask)
{
	p->slots = slots;
	p->prob_bits = _mm_cvtsi32_si128((int)prob_bits);
	p->slot_mask = _mm512_set1_epi32((1 << prob_bits) - 1);
	p->table_mask = _mm512_set1_epi32((int)table_mask);
}

#endif /* BS_LANES_AVX512_H */
