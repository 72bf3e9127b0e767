/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rans_avx512.c - rANS decoding, sixteen lanes a vector
 *
 * The steps of rans.c; what is special is the look-up.  A gather is one
 * instruction, but not a fast one everywhere: sixteen loads, their indices two
 * at a time from a copy of the vector in memory, decode 3.0 GB/s of symbols
 * where _mm512_i32gather_epi32 decodes 2.2 (gcc 12; 2.5 by clang 14; AMD family
 * 25 model 17), and never meet the microcode that slows gathers down on some
 * Intel CPUs.  Indices by vpextrq instead of through memory: 2.7.  Words for
 * two vectors at a time (vpexpandw): 2.5.
 *
 * The copies are in a function of their own that calls nothing, not even on a
 * smashed stack, so that compilers address them by the stack pointer: by a
 * frame pointer it is 2.4.  A vector's copy just before its loads: 2.6.
 *
 * The end of the words and of the elements is left to the scalar code.
 */

#ifdef __x86_64__

#include "../rans.h"

#include <immintrin.h>

#define AVX512 \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,popcnt")))
#define INLINE static inline __attribute__((always_inline)) AVX512
#define LEAF static __attribute__((noinline, no_stack_protector)) AVX512

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

/* Whole groups of 64 while 128 bytes of words remain; returns how many
 * elements.  Compiled with and without 'q'. */
INLINE size_t decode_groups(struct bs_rans_dec *d, const struct plane *p,
			    const uint16_t *q, uint8_t *sym, size_t n)
{
	uint64_t pairs[LANES / 2] __attribute__((aligned(64)));
	__m512i x0 = _mm512_loadu_si512(d->x);
	__m512i x1 = _mm512_loadu_si512(d->x + 16);
	__m512i x2 = _mm512_loadu_si512(d->x + 32);
	__m512i x3 = _mm512_loadu_si512(d->x + 48);
	const uint8_t *words = d->words, *end = d->end;
	size_t i = 0;

	while (n - i >= LANES && end - words >= 2 * LANES) {
		const uint16_t *at = q ? q + i : NULL;

		put_indices(pairs, p, x0, at);
		put_indices(pairs + 8, p, x1, q ? at + 16 : NULL);
		put_indices(pairs + 16, p, x2, q ? at + 32 : NULL);
		put_indices(pairs + 24, p, x3, q ? at + 48 : NULL);
		/* Or clang takes the pairs out of the vectors after all. */
		__asm__ volatile("" : "+m"(pairs));
		words = step(p, pairs, &x0, words, sym + i);
		words = step(p, pairs + 8, &x1, words, sym + i + 16);
		words = step(p, pairs + 16, &x2, words, sym + i + 32);
		words = step(p, pairs + 24, &x3, words, sym + i + 48);
		i += LANES;
	}
	d->words = words;
	_mm512_storeu_si512(d->x, x0);
	_mm512_storeu_si512(d->x + 16, x1);
	_mm512_storeu_si512(d->x + 32, x2);
	_mm512_storeu_si512(d->x + 48, x3);
	return i;
}

LEAF size_t decode_plain(struct bs_rans_dec *d, const struct plane *p,
			 uint8_t *sym, size_t n)
{
	return decode_groups(d, p, NULL, sym, n);
}

LEAF size_t decode_tables(struct bs_rans_dec *d, const struct plane *p,
			  const uint16_t *q, uint8_t *sym, size_t n)
{
	return decode_groups(d, p, q, sym, n);
}

AVX512 enum bs_result
bs_rans_decode_avx512(struct bs_rans_dec *d, const bs_slot *slots,
		      unsigned prob_bits, const uint16_t *q,
		      unsigned table_mask, uint8_t *sym, size_t n)
{
	struct plane p = {
		.slots = slots,
		.prob_bits = _mm_cvtsi32_si128((int)prob_bits),
		.slot_mask = _mm512_set1_epi32((1 << prob_bits) - 1),
		.table_mask = _mm512_set1_epi32((int)table_mask),
	};
	size_t i = q ? decode_tables(d, &p, q, sym, n)
		     : decode_plain(d, &p, sym, n);

	return bs_rans_decode_scalar(d, slots, prob_bits, q ? q + i : NULL,
				     table_mask, sym + i, n - i);
}

#endif /* __x86_64__ */
