/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nn_avx2.c - the kernels for AVX2 with FMA and F16C: a vector is two registers
 */

#ifdef __x86_64__

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define TARGET __attribute__((target("avx2,fma,f16c")))
#define FN TARGET static inline __attribute__((always_inline))

/* 8 registers of sums, 4 of rows' elements and 2 of a token's, of 16. */
#define TILE_ROWS 2
#define TILE_X 2
#define NAME bsx_kernels_avx2
#define KERNELS "avx2"

typedef struct {
	__m256 lo, hi;
} v16;

FN v16 v_set(float f)
{
	return (v16){ _mm256_set1_ps(f), _mm256_set1_ps(f) };
}

FN v16 v_load(const float *p)
{
	return (v16){ _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8) };
}

FN v16 v_load_some(const float *p, size_t n)
{
	float all[16] = { 0 };

	memcpy(all, p, n * sizeof(*p));
	return v_load(all);
}

FN void v_store(float *p, v16 v)
{
	_mm256_storeu_ps(p, v.lo);
	_mm256_storeu_ps(p + 8, v.hi);
}

FN void v_store_some(float *p, v16 v, size_t n)
{
	float all[16];

	v_store(all, v);
	memcpy(p, all, n * sizeof(*p));
}

FN v16 v_add(v16 a, v16 b)
{
	return (v16){ _mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi) };
}

FN v16 v_sub(v16 a, v16 b)
{
	return (v16){ _mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi) };
}

FN v16 v_mul(v16 a, v16 b)
{
	return (v16){ _mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi) };
}

FN v16 v_div(v16 a, v16 b)
{
	return (v16){ _mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi) };
}

FN v16 v_min(v16 a, v16 b)
{
	return (v16){ _mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi) };
}

FN v16 v_max(v16 a, v16 b)
{
	return (v16){ _mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi) };
}

FN v16 v_fma(v16 a, v16 b, v16 c)
{
	return (v16){ _mm256_fmadd_ps(a.lo, b.lo, c.lo),
		      _mm256_fmadd_ps(a.hi, b.hi, c.hi) };
}

FN __m256 shift_exponent(__m256 a, __m256 t)
{
	__m256i n = _mm256_slli_epi32(_mm256_castps_si256(t), 23);

	return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), n));
}

FN v16 v_shift_exponent(v16 a, v16 t)
{
	return (v16){ shift_exponent(a.lo, t.lo), shift_exponent(a.hi, t.hi) };
}

FN float v_sum(v16 a)
{
	__m256 h = _mm256_add_ps(a.lo, a.hi);
	__m128 q = _mm_add_ps(_mm256_castps256_ps128(h),
			      _mm256_extractf128_ps(h, 1));

	q = _mm_add_ps(q, _mm_movehl_ps(q, q));
	q = _mm_add_ss(q, _mm_movehdup_ps(q));
	return _mm_cvtss_f32(q);
}

FN float v_largest(v16 a)
{
	__m256 h = _mm256_max_ps(a.lo, a.hi);
	__m128 q = _mm_max_ps(_mm256_castps256_ps128(h),
			      _mm256_extractf128_ps(h, 1));

	q = _mm_max_ps(q, _mm_movehl_ps(q, q));
	q = _mm_max_ss(q, _mm_movehdup_ps(q));
	return _mm_cvtss_f32(q);
}

FN __m128i load_8(const uint16_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

FN __m256 bf16_8(const uint16_t *p)
{
	return _mm256_castsi256_ps(
		_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_8(p)), 16));
}

FN v16 v_bf16(const uint16_t *p)
{
	return (v16){ bf16_8(p), bf16_8(p + 8) };
}

FN v16 v_bf16_some(const uint16_t *p, size_t n)
{
	uint16_t all[16] = { 0 };

	memcpy(all, p, n * sizeof(*p));
	return v_bf16(all);
}

FN v16 v_f16(const uint16_t *p)
{
	return (v16){ _mm256_cvtph_ps(load_8(p)),
		      _mm256_cvtph_ps(load_8(p + 8)) };
}

FN v16 v_f16_some(const uint16_t *p, size_t n)
{
	uint16_t all[16] = { 0 };

	memcpy(all, p, n * sizeof(*p));
	return v_f16(all);
}

#include "../nn_body.h"

#endif
