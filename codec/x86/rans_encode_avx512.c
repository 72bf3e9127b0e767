/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rans_encode_avx512.c - rANS encoding, sixteen lanes a vector
 *
 * The steps of rans.c, but a real division, rounded towards zero: x is below
 * f * 2^22, and each of the two roundings of single precision takes less than
 * 2^-23 of it off, so the quotient is right or one too small, and the remainder
 * tells.  That needs of an entry only frequency and start, which one 32-bit load
 * fetches: loads instead of a gather, as in lanes_avx512.h, 2.6 symbols a ns
 * instead of 1.8.
 */

#ifdef __x86_64__

#include "../rans.h"
#include "avx512.h"
#include "look_up.h"

#define DOWN (_MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)

INLINE __m512i look_up(const uint32_t *packed, const uint16_t *entries)
{
	__m256i lo = look_up_8(packed, entries);
	__m256i hi = look_up_8(packed, entries + 8);

	return _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);
}

/* The constants of one plane. */
struct plane {
	const uint32_t *packed;
	__m128i prob_bits;
	__m128i limit_bits; /* 32 - prob_bits */
	__m512i whole; /* 1 << prob_bits */
};

/* Put the low 16 bits of the lanes in 'full' before 'words', in order; what is
 * in the 32 bytes before them is overwritten. */
INLINE uint8_t *put_words(uint8_t *words, __m512i x, __mmask16 full)
{
	const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
						10, 11, 12, 13, 14, 15);
	unsigned n = (unsigned)_mm_popcnt_u32(full);

	/* To the front, and from there to the end. */
	x = _mm512_maskz_compress_epi32(full, x);
	x = _mm512_permutexvar_epi32(
		_mm512_add_epi32(lanes, _mm512_set1_epi32((int)n)), x);
	_mm256_storeu_si256((__m256i *)(void *)(words - 32),
			    _mm512_cvtepi32_epi16(x));
	return words - 2 * (size_t)n;
}

/* Sixteen lanes; *least is the least frequency so far. */
INLINE uint8_t *step(const struct plane *p, __m512i entry, __m512i *x,
		     uint8_t *words, __m512i *least)
{
	__m512i f = _mm512_and_si512(entry, _mm512_set1_epi32(65535));
	__m512i start = _mm512_srli_epi32(entry, 16), y = *x, quotient, rest;
	__mmask16 full, low;

	*least = _mm512_min_epu32(*least, f);
	full = _mm512_cmpge_epu32_mask(y, _mm512_sll_epi32(f, p->limit_bits));
	words = put_words(words, y, full);
	y = _mm512_mask_srli_epi32(y, full, y, 16);
	quotient = _mm512_cvttps_epi32(
		_mm512_div_round_ps(_mm512_cvt_roundepu32_ps(y, DOWN),
				    _mm512_cvtepi32_ps(f), DOWN));
	rest = _mm512_sub_epi32(y, _mm512_mullo_epi32(quotient, f));
	low = _mm512_cmpge_epu32_mask(rest, f);
	y = _mm512_add_epi32(_mm512_sll_epi32(quotient, p->prob_bits),
			     _mm512_add_epi32(rest, start));
	/* One more of the quotient, one f less of the rest. */
	*x = _mm512_mask_add_epi32(y, low, y, _mm512_sub_epi32(p->whole, f));
	return words;
}

/* Whole groups of 64, last first, while there is room for 128 bytes of words;
 * returns how many elements are left. */
LEAF size_t encode_groups(struct bs_rans_enc *e, const struct plane *p,
			  const uint16_t *entries, size_t n, bool *ret_good)
{
	__m512i x0 = _mm512_loadu_si512(e->x);
	__m512i x1 = _mm512_loadu_si512(e->x + 16);
	__m512i x2 = _mm512_loadu_si512(e->x + 32);
	__m512i x3 = _mm512_loadu_si512(e->x + 48);
	uint8_t *words = e->words, *limit = e->limit;
	__m512i least = _mm512_set1_epi32(1);

	while (n && words - limit >= 2 * LANES) {
		__m512i e0, e1, e2, e3;

		n -= LANES;
		e3 = look_up(p->packed, entries + n + 48);
		e2 = look_up(p->packed, entries + n + 32);
		e1 = look_up(p->packed, entries + n + 16);
		e0 = look_up(p->packed, entries + n);
		words = step(p, e3, &x3, words, &least);
		words = step(p, e2, &x2, words, &least);
		words = step(p, e1, &x1, words, &least);
		words = step(p, e0, &x0, words, &least);
	}
	*ret_good = !_mm512_testn_epi32_mask(least, least);
	e->words = words;
	_mm512_storeu_si512(e->x, x0);
	_mm512_storeu_si512(e->x + 16, x1);
	_mm512_storeu_si512(e->x + 32, x2);
	_mm512_storeu_si512(e->x + 48, x3);
	return n;
}

AVX512 bool bs_rans_encode_avx512(struct bs_rans_enc *e,
				  const struct bs_enc_tables *tables,
				  const uint16_t *entries, size_t n)
{
	int bits = (int)tables->prob_bits;
	struct plane p = {
		.packed = tables->packed,
		.prob_bits = _mm_cvtsi32_si128(bits),
		.limit_bits = _mm_cvtsi32_si128(32 - bits),
		.whole = _mm512_set1_epi32(1 << bits),
	};
	size_t m = n % LANES;
	bool good;

	n -= m;
	if (!bs_rans_encode_scalar(e, tables, entries + n, m))
		return false;
	n = encode_groups(e, &p, entries, n, &good);
	return good && bs_rans_encode_scalar(e, tables, entries, n);
}

#endif /* __x86_64__ */
