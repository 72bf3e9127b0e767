/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rans_encode_avx512.c - rANS encoding, sixteen lanes a vector
 *
 * The steps of rans.c, but a real division: x is below f * 2^22, so the
 * quotient of single precision is off by one at most, and the remainder tells.
 * That needs of an entry only frequency and start, which one 32-bit load
 * fetches.
 */

#ifdef __x86_64__

#include "../rans.h"

#include <immintrin.h>

#define AVX512 \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,popcnt")))
#define INLINE static inline __attribute__((always_inline)) AVX512

_Static_assert(offsetof(struct bs_enc_symbol, complement) == 12 &&
		       offsetof(struct bs_enc_symbol, start) == 14 &&
		       sizeof(struct bs_enc_symbol) == 24,
	       "entries are read as 32-bit words");

/* The constants of one plane. */
struct plane {
	const struct bs_enc_symbol *enc;
	__m128i prob_bits;
	__m128i limit_bits; /* 32 - prob_bits */
	__m512i whole; /* 1 << prob_bits */
	__m512i table_mask;
};

/* complement | start << 16 of the entries of sixteen symbols. */
INLINE __m512i look_up(const struct plane *p, const uint16_t *q,
		       const uint8_t *sym)
{
	__m512i at = _mm512_cvtepu8_epi32(
		_mm_loadu_si128((const __m128i *)(const void *)sym));

	if (q) {
		__m512i table = _mm512_cvtepu16_epi32(
			_mm256_loadu_si256((const __m256i *)(const void *)q));

		table = _mm512_and_si512(table, p->table_mask);
		at = _mm512_or_si512(at, _mm512_slli_epi32(table, 8));
	}
	/* Times six words of four bytes. */
	at = _mm512_add_epi32(_mm512_slli_epi32(at, 2),
			      _mm512_slli_epi32(at, 1));
	return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), 0xffff, at,
					   (const uint8_t *)p->enc + 12, 4);
}

/* Sixteen lanes; *ret_bad gets those whose symbol has no frequency. */
INLINE uint8_t *step(const struct plane *p, __m512i entry, __m512i *x,
		     uint8_t *words, __mmask16 *ret_bad)
{
	__m512i f = _mm512_sub_epi32(
		p->whole, _mm512_and_si512(entry, _mm512_set1_epi32(65535)));
	__m512i start = _mm512_srli_epi32(entry, 16), y = *x, quotient, rest;
	__mmask16 full, low, high;
	unsigned n;

	*ret_bad |= _mm512_cmpeq_epi32_mask(f, p->whole);
	full = _mm512_cmpge_epu32_mask(y, _mm512_sll_epi32(f, p->limit_bits));
	n = (unsigned)_mm_popcnt_u32(full);
	words -= 2 * (size_t)n;
	_mm256_mask_storeu_epi16(
		words, (__mmask16)((1u << n) - 1),
		_mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(full, y)));
	y = _mm512_mask_srli_epi32(y, full, y, 16);
	quotient = _mm512_cvttps_epi32(
		_mm512_div_ps(_mm512_cvtepu32_ps(y), _mm512_cvtepi32_ps(f)));
	rest = _mm512_sub_epi32(y, _mm512_mullo_epi32(quotient, f));
	low = _mm512_cmplt_epi32_mask(rest, _mm512_setzero_si512());
	high = _mm512_cmpge_epi32_mask(rest, f);
	rest = _mm512_mask_add_epi32(rest, low, rest, f);
	rest = _mm512_mask_sub_epi32(rest, high, rest, f);
	quotient = _mm512_mask_sub_epi32(quotient, low, quotient,
					 _mm512_set1_epi32(1));
	quotient = _mm512_mask_add_epi32(quotient, high, quotient,
					 _mm512_set1_epi32(1));
	*x = _mm512_add_epi32(_mm512_sll_epi32(quotient, p->prob_bits),
			      _mm512_add_epi32(rest, start));
	return words;
}

/* Whole groups of 64, last first, while there is room for 128 bytes of words;
 * returns how many elements are left.  Compiled with and without 'q'. */
INLINE size_t encode_groups(struct bs_rans_enc *e, const struct plane *p,
			    const uint16_t *q, const uint8_t *sym, size_t n,
			    bool *ret_good)
{
	__m512i x0 = _mm512_loadu_si512(e->x);
	__m512i x1 = _mm512_loadu_si512(e->x + 16);
	__m512i x2 = _mm512_loadu_si512(e->x + 32);
	__m512i x3 = _mm512_loadu_si512(e->x + 48);
	uint8_t *words = e->words, *limit = e->limit;
	__mmask16 bad = 0;

	while (n && words - limit >= 2 * LANES) {
		__m512i e0, e1, e2, e3;

		n -= LANES;
		e3 = look_up(p, q ? q + n + 48 : NULL, sym + n + 48);
		e2 = look_up(p, q ? q + n + 32 : NULL, sym + n + 32);
		e1 = look_up(p, q ? q + n + 16 : NULL, sym + n + 16);
		e0 = look_up(p, q ? q + n : NULL, sym + n);
		words = step(p, e3, &x3, words, &bad);
		words = step(p, e2, &x2, words, &bad);
		words = step(p, e1, &x1, words, &bad);
		words = step(p, e0, &x0, words, &bad);
	}
	*ret_good = !bad;
	e->words = words;
	_mm512_storeu_si512(e->x, x0);
	_mm512_storeu_si512(e->x + 16, x1);
	_mm512_storeu_si512(e->x + 32, x2);
	_mm512_storeu_si512(e->x + 48, x3);
	return n;
}

AVX512 static size_t encode_plain(struct bs_rans_enc *e, const struct plane *p,
				  const uint8_t *sym, size_t n, bool *ret_good)
{
	return encode_groups(e, p, NULL, sym, n, ret_good);
}

AVX512 static size_t encode_tables(struct bs_rans_enc *e, const struct plane *p,
				   const uint16_t *q, const uint8_t *sym,
				   size_t n, bool *ret_good)
{
	return encode_groups(e, p, q, sym, n, ret_good);
}

AVX512 bool bs_rans_encode_avx512(struct bs_rans_enc *e,
				  const struct bs_enc_symbol *enc,
				  unsigned prob_bits, const uint16_t *q,
				  unsigned table_mask, const uint8_t *sym,
				  size_t n)
{
	struct plane p = {
		.enc = enc,
		.prob_bits = _mm_cvtsi32_si128((int)prob_bits),
		.limit_bits = _mm_cvtsi32_si128(32 - (int)prob_bits),
		.whole = _mm512_set1_epi32(1 << prob_bits),
		.table_mask = _mm512_set1_epi32((int)table_mask),
	};
	size_t m = n % LANES;
	bool good;

	n -= m;
	if (!bs_rans_encode_scalar(e, enc, prob_bits, q ? q + n : NULL,
				   table_mask, sym + n, m))
		return false;
	n = q ? encode_tables(e, &p, q, sym, n, &good)
	      : encode_plain(e, &p, sym, n, &good);
	return good &&
	       bs_rans_encode_scalar(e, enc, prob_bits, q, table_mask, sym, n);
}

#endif /* __x86_64__ */
