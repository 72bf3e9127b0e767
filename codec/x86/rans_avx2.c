/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rans_avx2.c - rANS decoding, eight lanes a vector
 *
 * As rans_avx512.c; lanes_avx512.h explains the loads instead of a gather, and
 * their functions.
 */

#ifdef __x86_64__

#include "../expand.h"
#include "../rans.h"

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,popcnt")))
#define INLINE static inline __attribute__((always_inline)) AVX2
#define LEAF static __attribute__((noinline, no_stack_protector)) AVX2

/* Four slots by two pairs of indices. */
INLINE __m128i look_up_4(const bs_slot *slots, uint64_t a, uint64_t b)
{
	__m128i lo = _mm_cvtsi32_si128((int)slots[(uint32_t)a]);
	__m128i hi = _mm_cvtsi32_si128((int)slots[(uint32_t)b]);

	lo = _mm_insert_epi32(lo, (int)slots[a >> 32], 1);
	hi = _mm_insert_epi32(hi, (int)slots[b >> 32], 1);
	return _mm_unpacklo_epi64(lo, hi);
}

INLINE __m256i look_up(const bs_slot *slots, const uint64_t *pairs)
{
	__m128i lo = look_up_4(slots, pairs[0], pairs[1]);
	__m128i hi = look_up_4(slots, pairs[2], pairs[3]);

	return _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
}

/* The constants of one plane. */
struct plane {
	const bs_slot *slots;
	__m128i prob_bits;
	__m256i slot_mask;
	__m256i table_mask;
};

/* Which slots eight lanes want; 'q' as for bs_rans_decode_fn, or NULL. */
INLINE void put_indices(uint64_t *pairs, const struct plane *p, __m256i x,
			const uint16_t *q)
{
	__m256i index = _mm256_and_si256(x, p->slot_mask);

	if (q) {
		__m256i table = _mm256_cvtepu16_epi32(
			_mm_loadu_si128((const __m128i *)(const void *)q));

		table = _mm256_and_si256(table, p->table_mask);
		index = _mm256_or_si256(index,
					_mm256_sll_epi32(table, p->prob_bits));
	}
	_mm256_store_si256((__m256i *)(void *)pairs, index);
}

/* One step of eight lanes; symbols are the only bits of *ret's entries. */
INLINE const uint8_t *step(const struct plane *p, const uint64_t *pairs,
			   __m256i *x, const uint8_t *words, __m256i *ret)
{
	__m256i e = look_up(p->slots, pairs), next, small, w;
	__m128i bytes;
	unsigned m;

	next = _mm256_mullo_epi32(_mm256_srli_epi32(e, 20),
				  _mm256_srl_epi32(*x, p->prob_bits));
	next = _mm256_add_epi32(next,
				_mm256_and_si256(_mm256_srli_epi32(e, 8),
						 _mm256_set1_epi32(4095)));
	small = _mm256_cmpeq_epi32(_mm256_srli_epi32(next, 16),
				   _mm256_setzero_si256());
	m = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(small));
	bytes = _mm_loadu_si128((const __m128i *)(const void *)words);
	bytes = _mm_shuffle_epi8(
		bytes,
		_mm_load_si128((const __m128i *)(const void *)expand[m]));
	w = _mm256_or_si256(_mm256_slli_epi32(next, 16),
			    _mm256_cvtepu16_epi32(bytes));
	*x = _mm256_blendv_epi8(next, w, small);
	*ret = _mm256_and_si256(e, _mm256_set1_epi32(255));
	return words + 2 * (size_t)_mm_popcnt_u32(m);
}

/* One step of 32 lanes. */
INLINE const uint8_t *step_32(const struct plane *p, const uint64_t *pairs,
			      __m256i *x, const uint8_t *words, uint8_t *sym)
{
	__m256i s0, s1, s2, s3;

	words = step(p, pairs, &x[0], words, &s0);
	words = step(p, pairs + 4, &x[1], words, &s1);
	words = step(p, pairs + 8, &x[2], words, &s2);
	words = step(p, pairs + 12, &x[3], words, &s3);
	/* Packing works within halves: what comes out are runs of four. */
	s0 = _mm256_packus_epi16(_mm256_packus_epi32(s0, s1),
				 _mm256_packus_epi32(s2, s3));
	s0 = _mm256_permutevar8x32_epi32(s0, _mm256_setr_epi32(0, 4, 1, 5, 2, 6,
							       3, 7));
	_mm256_storeu_si256((__m256i *)(void *)sym, s0);
	return words;
}

/* Whole groups of 64 while 128 bytes of words remain; returns how many
 * elements.  Compiled with and without 'q'. */
INLINE size_t decode_groups(struct bs_rans_dec *d, const struct plane *p,
			    const uint16_t *q, uint8_t *sym, size_t n)
{
	uint64_t pairs[LANES / 2] __attribute__((aligned(32)));
	const uint8_t *words = d->words, *end = d->end;
	__m256i x[8];
	size_t i = 0;
	unsigned k;

	for (k = 0; k < 8; k++)
		x[k] = _mm256_loadu_si256(
			(const __m256i *)(const void *)(d->x + 8 * k));
	while (n - i >= LANES && end - words >= 2 * LANES) {
		for (k = 0; k < 8; k++)
			put_indices(pairs + 4 * k, p, x[k],
				    q ? q + i + 8 * k : NULL);
		/* Or clang takes the pairs out of the vectors after all. */
		__asm__ volatile("" : "+m"(pairs));
		words = step_32(p, pairs, x, words, sym + i);
		words = step_32(p, pairs + 16, x + 4, words, sym + i + 32);
		i += LANES;
	}
	d->words = words;
	for (k = 0; k < 8; k++)
		_mm256_storeu_si256((__m256i *)(void *)(d->x + 8 * k), x[k]);
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

AVX2 enum bs_result bs_rans_decode_avx2(struct bs_rans_dec *d,
					const bs_slot *slots,
					unsigned prob_bits, const uint16_t *q,
					unsigned table_mask, uint8_t *sym,
					size_t n)
{
	struct plane p = {
		.slots = slots,
		.prob_bits = _mm_cvtsi32_si128((int)prob_bits),
		.slot_mask = _mm256_set1_epi32((1 << prob_bits) - 1),
		.table_mask = _mm256_set1_epi32((int)table_mask),
	};
	size_t i = q ? decode_tables(d, &p, q, sym, n)
		     : decode_plain(d, &p, sym, n);

	return bs_rans_decode_scalar(d, slots, prob_bits, q ? q + i : NULL,
				     table_mask, sym + i, n - i);
}

#endif /* __x86_64__ */
