/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nn_avx512.c - the kernels for AVX-512: a vector is a register
 */

#ifdef __x86_64__

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define FN TARGET static inline __attribute__((always_inline))

/* 24 sums, 4 rows' elements and a token's: 29 of 32 registers. */
#define TILE_ROWS 4
#define TILE_X 6
#define NAME bsx_kernels_avx512
#define KERNELS "avx512"

typedef __m512 v16;

/* The lowest n of 16 lanes, n <= 16. */
FN __mmask16 some(size_t n)
{
	return (__mmask16)((1u << n) - 1);
}

FN v16 v_set(float f)
{
	return _mm512_set1_ps(f);
}

FN v16 v_load(const float *p)
{
	return _mm512_loadu_ps(p);
}

FN v16 v_load_some(const float *p, size_t n)
{
	return _mm512_maskz_loadu_ps(some(n), p);
}

FN void v_store(float *p, v16 v)
{
	_mm512_storeu_ps(p, v);
}

FN void v_store_some(float *p, v16 v, size_t n)
{
	_mm512_mask_storeu_ps(p, some(n), v);
}

FN v16 v_add(v16 a, v16 b)
{
	return _mm512_add_ps(a, b);
}

FN v16 v_sub(v16 a, v16 b)
{
	return _mm512_sub_ps(a, b);
}

FN v16 v_mul(v16 a, v16 b)
{
	return _mm512_mul_ps(a, b);
}

FN v16 v_div(v16 a, v16 b)
{
	return _mm512_div_ps(a, b);
}

FN v16 v_min(v16 a, v16 b)
{
	return _mm512_min_ps(a, b);
}

FN v16 v_max(v16 a, v16 b)
{
	return _mm512_max_ps(a, b);
}

FN v16 v_fma(v16 a, v16 b, v16 c)
{
	return _mm512_fmadd_ps(a, b, c);
}

FN v16 v_shift_exponent(v16 a, v16 t)
{
	__m512i n = _mm512_slli_epi32(_mm512_castps_si512(t), 23);

	return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), n));
}

FN float v_sum(v16 a)
{
	__m256 h = _mm256_add_ps(_mm512_castps512_ps256(a),
				 _mm512_extractf32x8_ps(a, 1));
	__m128 q = _mm_add_ps(_mm256_castps256_ps128(h),
			      _mm256_extractf128_ps(h, 1));

	q = _mm_add_ps(q, _mm_movehl_ps(q, q));
	q = _mm_add_ss(q, _mm_movehdup_ps(q));
	return _mm_cvtss_f32(q);
}

#define HAS_SUM_ROWS
/* Four at once, the same pairs of lanes added as above. */
FN void sum_rows(float *out, const v16 *a, const unsigned n)
{
	v16 lo, hi, ab, cd, all;
	unsigned r;

	if (n < 4) {
		for (r = 0; r < n; r++)
			out[r] = v_sum(a[r]);
		return;
	}
	lo = _mm512_shuffle_f32x4(a[0], a[1], 0x44);
	hi = _mm512_shuffle_f32x4(a[0], a[1], 0xee);
	ab = v_add(lo, hi); /* 4 + 4 sums of each */
	lo = _mm512_shuffle_f32x4(a[2], a[3], 0x44);
	hi = _mm512_shuffle_f32x4(a[2], a[3], 0xee);
	cd = v_add(lo, hi);
	lo = _mm512_shuffle_f32x4(ab, cd, 0x88);
	hi = _mm512_shuffle_f32x4(ab, cd, 0xdd);
	all = v_add(lo, hi); /* 4 of each */
	all = v_add(all, _mm512_permute_ps(all, 0x4e));
	all = v_add(all, _mm512_permute_ps(all, 0xb1));
	_mm_storeu_ps(out, _mm512_castps512_ps128(
				   _mm512_maskz_compress_ps(0x1111, all)));
}

FN float v_largest(v16 a)
{
	return _mm512_reduce_max_ps(a);
}

FN v16 v_bf16(const uint16_t *p)
{
	__m256i h = _mm256_loadu_si256((const __m256i *)(const void *)p);

	return _mm512_castsi512_ps(
		_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

FN v16 v_bf16_some(const uint16_t *p, size_t n)
{
	__m256i h = _mm256_maskz_loadu_epi16(some(n), p);

	return _mm512_castsi512_ps(
		_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

FN v16 v_f16(const uint16_t *p)
{
	return _mm512_cvtph_ps(
		_mm256_loadu_si256((const __m256i *)(const void *)p));
}

FN v16 v_f16_some(const uint16_t *p, size_t n)
{
	return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(some(n), p));
}

#include "../nn_body.h"

#endif
