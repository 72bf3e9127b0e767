/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nn_neon.c - the kernels for NEON: a vector is four registers
 */

#ifdef __aarch64__

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TARGET
#define FN static inline __attribute__((always_inline))

/* 16 registers of sums, 8 of rows' elements and 4 of a token's, of 32. */
#define TILE_ROWS 2
#define TILE_X 2
#define NAME bsx_kernels_neon
#define KERNELS "neon"

typedef float32x4x4_t v16;

#define QUARTERS(op, ...)                           \
	do {                                        \
		v16 v;                              \
		int i;                              \
                                                    \
		for (i = 0; i < 4; i++)             \
			v.val[i] = op(__VA_ARGS__); \
		return v;                           \
	} while (0)

FN v16 v_set(float f)
{
	QUARTERS(vdupq_n_f32, f);
}

FN v16 v_load(const float *p)
{
	QUARTERS(vld1q_f32, p + 4 * i);
}

FN v16 v_load_some(const float *p, size_t n)
{
	float all[16] = { 0 };

	memcpy(all, p, n * sizeof(*p));
	return v_load(all);
}

FN void v_store(float *p, v16 v)
{
	int i;

	for (i = 0; i < 4; i++)
		vst1q_f32(p + 4 * i, v.val[i]);
}

FN void v_store_some(float *p, v16 v, size_t n)
{
	float all[16];

	v_store(all, v);
	memcpy(p, all, n * sizeof(*p));
}

FN v16 v_add(v16 a, v16 b)
{
	QUARTERS(vaddq_f32, a.val[i], b.val[i]);
}

FN v16 v_sub(v16 a, v16 b)
{
	QUARTERS(vsubq_f32, a.val[i], b.val[i]);
}

FN v16 v_mul(v16 a, v16 b)
{
	QUARTERS(vmulq_f32, a.val[i], b.val[i]);
}

FN v16 v_div(v16 a, v16 b)
{
	QUARTERS(vdivq_f32, a.val[i], b.val[i]);
}

/* The second, if one is no number: as x86 has it. */
FN v16 v_min(v16 a, v16 b)
{
	QUARTERS(vbslq_f32, vcltq_f32(a.val[i], b.val[i]), a.val[i], b.val[i]);
}

FN v16 v_max(v16 a, v16 b)
{
	QUARTERS(vbslq_f32, vcgtq_f32(a.val[i], b.val[i]), a.val[i], b.val[i]);
}

FN v16 v_fma(v16 a, v16 b, v16 c)
{
	QUARTERS(vfmaq_f32, c.val[i], a.val[i], b.val[i]);
}

FN float32x4_t shift_exponent(float32x4_t a, float32x4_t t)
{
	uint32x4_t n = vshlq_n_u32(vreinterpretq_u32_f32(t), 23);

	return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(a), n));
}

FN v16 v_shift_exponent(v16 a, v16 t)
{
	QUARTERS(shift_exponent, a.val[i], t.val[i]);
}

FN float v_sum(v16 a)
{
	float32x4_t q = vaddq_f32(vaddq_f32(a.val[0], a.val[2]),
				  vaddq_f32(a.val[1], a.val[3]));
	float32x2_t h = vadd_f32(vget_low_f32(q), vget_high_f32(q));

	return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}

FN float v_largest(v16 a)
{
	v16 m = a;

	m.val[0] = vmaxq_f32(vmaxq_f32(a.val[0], a.val[1]),
			     vmaxq_f32(a.val[2], a.val[3]));
	return vmaxvq_f32(m.val[0]);
}

FN v16 v_bf16(const uint16_t *p)
{
	QUARTERS(vreinterpretq_f32_u32, vshll_n_u16(vld1_u16(p + 4 * i), 16));
}

FN v16 v_bf16_some(const uint16_t *p, size_t n)
{
	uint16_t all[16] = { 0 };

	memcpy(all, p, n * sizeof(*p));
	return v_bf16(all);
}

FN v16 v_f16(const uint16_t *p)
{
	QUARTERS(vcvt_f32_f16, vreinterpret_f16_u16(vld1_u16(p + 4 * i)));
}

FN v16 v_f16_some(const uint16_t *p, size_t n)
{
	uint16_t all[16] = { 0 };

	memcpy(all, p, n * sizeof(*p));
	return v_f16(all);
}

#include "../nn_body.h"

#endif
