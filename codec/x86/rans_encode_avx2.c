/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rans_encode_avx2.c - rANS encoding, eight lanes a vector
 *
 * As rans_encode_avx512.c, without what AVX2 lacks.  There are no conversions of
 * unsigned numbers: half of x, without its lowest bit, is divided by half of f.
 * There is no rounding of one's own choice: the quotient is off by one at most,
 * either way.  Words are brought together by a table of shuffles.
 */

#ifdef __x86_64__

#include "../rans.h"
#include "avx2.h"
#include "look_up.h"

/* For the words set in m, in order, at the end of eight: which word, as bytes of
 * a shuffle.  What is before them does not matter. */
#define RANK(m, k) __builtin_popcount((m) & ((1u << (k)) - 1))
#define IF_NTH(m, n, k) (((m) >> (k)&1 && RANK(m, k) == (n)) * (k))
#define NTH(m, n)                                              \
	(IF_NTH(m, n, 1) + IF_NTH(m, n, 2) + IF_NTH(m, n, 3) + \
	 IF_NTH(m, n, 4) + IF_NTH(m, n, 5) + IF_NTH(m, n, 6) + \
	 IF_NTH(m, n, 7))
#define WORD(m, at) (0x0202 * NTH(m, (at) + __builtin_popcount(m) - 8) + 0x0100)
#define ROW(m)                                                              \
	{                                                                   \
		WORD(m, 0), WORD(m, 1), WORD(m, 2), WORD(m, 3), WORD(m, 4), \
			WORD(m, 5), WORD(m, 6), WORD(m, 7)                  \
	}
#define ROWS4(m) ROW(m), ROW((m) + 1), ROW((m) + 2), ROW((m) + 3)
#define ROWS16(m) ROWS4(m), ROWS4((m) + 4), ROWS4((m) + 8), ROWS4((m) + 12)
#define ROWS64(m) \
	ROWS16(m), ROWS16((m) + 16), ROWS16((m) + 32), ROWS16((m) + 48)

static const uint16_t to_end[256][8]
	__attribute__((aligned(16))) = { ROWS64(0u), ROWS64(64u), ROWS64(128u),
					 ROWS64(192u) };

/* The constants of one plane. */
struct plane {
	const uint32_t *packed;
	__m128i prob_bits;
	__m128i limit_bits; /* 32 - prob_bits */
	__m256i whole; /* 1 << prob_bits */
};

/* Put the low 16 bits of the lanes in 'full' before 'words', in order; what is
 * in the 16 bytes before them is overwritten. */
INLINE uint8_t *put_words(uint8_t *words, __m256i x, unsigned full)
{
	__m256i low = _mm256_and_si256(x, _mm256_set1_epi32(65535));
	__m128i w = _mm_packus_epi32(_mm256_castsi256_si128(low),
				     _mm256_extracti128_si256(low, 1));

	w = _mm_shuffle_epi8(
		w, _mm_load_si128((const __m128i *)(const void *)to_end[full]));
	_mm_storeu_si128((__m128i *)(void *)(words - 16), w);
	return words - 2 * (size_t)_mm_popcnt_u32(full);
}

/* Eight lanes; *least is the least frequency so far. */
INLINE uint8_t *step(const struct plane *p, __m256i entry, __m256i *x,
		     uint8_t *words, __m256i *least)
{
	__m256i f = _mm256_and_si256(entry, _mm256_set1_epi32(65535));
	__m256i limit = _mm256_sll_epi32(f, p->limit_bits), y = *x;
	__m256i full, quotient, rest, fits, less, change;
	__m256 half;

	*least = _mm256_min_epu32(*least, f);
	full = _mm256_cmpeq_epi32(_mm256_max_epu32(y, limit), y);
	words = put_words(
		words, y,
		(unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(full)));
	y = _mm256_blendv_epi8(y, _mm256_srli_epi32(y, 16), full);
	half = _mm256_cvtepi32_ps(_mm256_srli_epi32(y, 1));
	half = _mm256_div_ps(half, _mm256_mul_ps(_mm256_cvtepi32_ps(f),
						 _mm256_set1_ps(0.5f)));
	quotient = _mm256_cvttps_epi32(half);
	rest = _mm256_sub_epi32(y, _mm256_mullo_epi32(quotient, f));
	y = _mm256_add_epi32(_mm256_sll_epi32(quotient, p->prob_bits),
			     _mm256_add_epi32(rest,
					      _mm256_srli_epi32(entry, 16)));
	/* One more of the quotient is one f less of the rest. */
	change = _mm256_sub_epi32(p->whole, f);
	less = _mm256_srai_epi32(rest, 31);
	fits = _mm256_cmpgt_epi32(f, rest);
	y = _mm256_add_epi32(y, _mm256_andnot_si256(fits, change));
	*x = _mm256_sub_epi32(y, _mm256_and_si256(less, change));
	return words;
}

/* Whole groups of 64, last first, while there is room for 128 bytes of words;
 * returns how many elements are left. */
LEAF size_t encode_groups(struct bs_rans_enc *e, const struct plane *p,
			  const uint16_t *entries, size_t n, bool *ret_good)
{
	uint8_t *words = e->words, *limit = e->limit;
	__m256i least = _mm256_set1_epi32(1), x[8];
	int k;

	for (k = 0; k < 8; k++)
		x[k] = _mm256_loadu_si256(
			(const __m256i *)(const void *)(e->x + 8 * k));
	while (n && words - limit >= 2 * LANES) {
		n -= LANES;
		for (k = 7; k >= 0; k--) {
			__m256i entry =
				look_up_8(p->packed, entries + n + 8 * k);

			words = step(p, entry, &x[k], words, &least);
		}
	}
	for (k = 0; k < 8; k++)
		_mm256_storeu_si256((__m256i *)(void *)(e->x + 8 * k), x[k]);
	*ret_good = !_mm256_movemask_epi8(
		_mm256_cmpeq_epi32(least, _mm256_setzero_si256()));
	e->words = words;
	return n;
}

AVX2 bool bs_rans_encode_avx2(struct bs_rans_enc *e,
			      const struct bs_enc_tables *tables,
			      const uint16_t *entries, size_t n)
{
	int bits = (int)tables->prob_bits;
	struct plane p = {
		.packed = tables->packed,
		.prob_bits = _mm_cvtsi32_si128(bits),
		.limit_bits = _mm_cvtsi32_si128(32 - bits),
		.whole = _mm256_set1_epi32(1 << bits),
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
