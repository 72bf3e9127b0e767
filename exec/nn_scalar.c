/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nn_scalar.c - the kernels in plain C: what the others have to give
 */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TARGET
#define FN static inline

#define TILE_ROWS 1
#define TILE_X 1
#define NAME bsx_kernels_scalar
#define KERNELS "scalar"

typedef struct {
	float lane[16];
} v16;

/* A function of lanes i of what its name says. */
#define LANES(expression)                         \
	do {                                      \
		v16 v;                            \
		unsigned i;                       \
                                                  \
		for (i = 0; i < 16; i++)          \
			v.lane[i] = (expression); \
		return v;                         \
	} while (0)

FN v16 v_set(float f)
{
	LANES(f);
}

FN v16 v_load(const float *p)
{
	LANES(p[i]);
}

FN v16 v_load_some(const float *p, size_t n)
{
	LANES(i < n ? p[i] : 0.0f);
}

FN void v_store_some(float *p, v16 v, size_t n)
{
	memcpy(p, v.lane, n * sizeof(*p));
}

FN void v_store(float *p, v16 v)
{
	v_store_some(p, v, 16);
}

FN v16 v_add(v16 a, v16 b)
{
	LANES(a.lane[i] + b.lane[i]);
}

FN v16 v_sub(v16 a, v16 b)
{
	LANES(a.lane[i] - b.lane[i]);
}

FN v16 v_mul(v16 a, v16 b)
{
	LANES(a.lane[i] * b.lane[i]);
}

FN v16 v_div(v16 a, v16 b)
{
	LANES(a.lane[i] / b.lane[i]);
}

/* The second, if one is no number: as x86 has it. */
FN v16 v_min(v16 a, v16 b)
{
	LANES(a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]);
}

FN v16 v_max(v16 a, v16 b)
{
	LANES(a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]);
}

FN v16 v_fma(v16 a, v16 b, v16 c)
{
	LANES(fmaf(a.lane[i], b.lane[i], c.lane[i]));
}

FN float add_to_exponent(float a, float t)
{
	uint32_t bits, n;

	memcpy(&bits, &a, sizeof(bits));
	memcpy(&n, &t, sizeof(n));
	bits += n << 23;
	memcpy(&a, &bits, sizeof(a));
	return a;
}

FN v16 v_shift_exponent(v16 a, v16 t)
{
	LANES(add_to_exponent(a.lane[i], t.lane[i]));
}

FN float v_sum(v16 a)
{
	unsigned half, i;

	for (half = 8; half; half /= 2) {
		for (i = 0; i < half; i++)
			a.lane[i] += a.lane[i + half];
	}
	return a.lane[0];
}

FN float v_largest(v16 a)
{
	unsigned half, i;

	for (half = 8; half; half /= 2) {
		for (i = 0; i < half; i++) {
			if (!(a.lane[i] > a.lane[i + half]))
				a.lane[i] = a.lane[i + half];
		}
	}
	return a.lane[0];
}

FN float widen_bf16(uint16_t h)
{
	uint32_t bits = (uint32_t)h << 16;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* Exact, subnormal numbers, infinities and NaN included. */
FN float widen_f16(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16;
	uint32_t exponent = h >> 10 & 31, mantissa = h & 1023, bits;
	float f;

	if (!exponent) {
		f = (float)mantissa * 0x1p-24f;
		return sign ? -f : f;
	}
	bits = (exponent == 31 ? 255 : exponent + 112) << 23 | mantissa << 13;
	/* What converts it in hardware makes NaN quiet. */
	if (exponent == 31 && mantissa)
		bits |= 1u << 22;
	bits |= sign;
	memcpy(&f, &bits, sizeof(f));
	return f;
}

FN v16 v_bf16(const uint16_t *p)
{
	LANES(widen_bf16(p[i]));
}

FN v16 v_bf16_some(const uint16_t *p, size_t n)
{
	LANES(i < n ? widen_bf16(p[i]) : 0.0f);
}

FN v16 v_f16(const uint16_t *p)
{
	LANES(widen_f16(p[i]));
}

FN v16 v_f16_some(const uint16_t *p, size_t n)
{
	LANES(i < n ? widen_f16(p[i]) : 0.0f);
}

#include "nn_body.h"
