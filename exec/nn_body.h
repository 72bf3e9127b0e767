/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nn_body.h - the kernels, in terms of vectors of 16 floats
 *
 * Included once by the file of each instruction set, which has defined before:
 *
 *	FN		attributes of every function
 *	v16		16 floats, and the functions v_... on them below
 *	TILE_ROWS	rows and tokens that dot() computes together: no more
 *	TILE_X		than the registers hold
 *	NAME		of the table; KERNELS its string
 *
 *	v_set(f), v_load(p), v_load_some(p, n), v_store(p, v),
 *	v_store_some(p, v, n), v_add, v_sub, v_mul, v_div, v_min, v_max,
 *	v_fma(a, b, c): a * b + c, v_shift_exponent(a, t): a times 2^(the low
 *	bits of t as an integer), v_sum, v_largest,
 *	v_bf16(p), v_bf16_some(p, n), v_f16(p), v_f16_some(p, n)
 *
 *	HAS_SUM_ROWS	and sum_rows(), if there is a better way than v_sum for
 *			TILE_ROWS at once
 *
 * What is written here is what they all compute: nothing may depend on the
 * tile.
 */

#include "nn.h"

#include <math.h>

/* ---- Elementary functions ------------------------------------------------ */

/* 1.5 * 2^23: adding it leaves the nearest integer in the low bits. */
#define ROUNDER 12582912.0f

/* e^x, for x clamped to where neither it nor 2^n leaves the normal numbers. */
FN v16 v_exp(v16 x)
{
	v16 t, n, r, p;

	x = v_min(v_max(x, v_set(-87.0f)), v_set(88.0f));
	t = v_fma(x, v_set(1.44269504f), v_set(ROUNDER));
	n = v_sub(t, v_set(ROUNDER));
	/* ln 2 in two parts, the first with few enough bits for n * it. */
	r = v_fma(n, v_set(-0.693359375f), x);
	r = v_fma(n, v_set(2.12194440e-4f), r);
	/* The Taylor series to r^7: its rest is below 2^-26 for |r| <= 0.35. */
	p = v_set(1.98412698e-4f);
	p = v_fma(p, r, v_set(1.38888889e-3f));
	p = v_fma(p, r, v_set(8.33333333e-3f));
	p = v_fma(p, r, v_set(4.16666667e-2f));
	p = v_fma(p, r, v_set(1.66666667e-1f));
	p = v_fma(p, r, v_set(0.5f));
	p = v_fma(p, r, v_set(1.0f));
	p = v_fma(p, r, v_set(1.0f));
	return v_shift_exponent(p, t);
}

FN v16 v_silu(v16 x)
{
	v16 one = v_set(1.0f);

	return v_div(x, v_add(one, v_exp(v_sub(v_set(0.0f), x))));
}

/* x / 2 * (1 + tanh(y)) with y = sqrt(2 / pi) * (x + 0.044715 x^3), which is
 * x / (1 + e^-2y). */
FN v16 v_gelu(v16 x)
{
	v16 one = v_set(1.0f);
	v16 y = v_fma(v_mul(v_mul(x, x), x), v_set(0.044715f), x);

	return v_div(x, v_add(one, v_exp(v_mul(y, v_set(-1.59576912f)))));
}

FN v16 v_tanh(v16 x)
{
	v16 one = v_set(1.0f);
	v16 e = v_exp(v_add(x, x));

	return v_sub(one, v_div(v_set(2.0f), v_add(e, one)));
}

/* ---- Sums of products ---------------------------------------------------- */

/* Of weights, in the second cache. */
#define BLOCK_BYTES ((size_t)256 << 10)

/* Tokens together, when those that are left are no whole tile. */
#define HALF_X (TILE_X > 2 ? TILE_X / 2 : 1)

static size_t rows_a_block(size_t row_bytes)
{
	size_t n = row_bytes ? BLOCK_BYTES / row_bytes : 0;

	return n < TILE_ROWS ? TILE_ROWS : n / TILE_ROWS * TILE_ROWS;
}

#ifndef HAS_SUM_ROWS
/* out[r] = the sum of a[r] */
FN void sum_rows(float *out, const v16 *a, const unsigned n)
{
	unsigned r;

	for (r = 0; r < n; r++)
		out[r] = v_sum(a[r]);
}
#endif

#define TILE(type, load, load_some)                                               \
	FN void tile_##load(float *out, size_t out_stride, const type *w,         \
			    size_t w_stride, const unsigned n_rows,               \
			    const float *x, size_t x_stride,                      \
			    const unsigned n_x, size_t n)                         \
	{                                                                         \
		v16 acc[TILE_ROWS][TILE_X], a[TILE_ROWS], b;                      \
		unsigned r, t;                                                    \
		size_t i;                                                         \
                                                                                  \
		for (r = 0; r < n_rows; r++)                                      \
			for (t = 0; t < n_x; t++)                                 \
				acc[r][t] = v_set(0.0f);                          \
		for (i = 0; i + 16 <= n; i += 16) {                               \
			for (r = 0; r < n_rows; r++)                              \
				a[r] = load(w + r * w_stride + i);                \
			for (t = 0; t < n_x; t++) {                               \
				b = v_load(x + t * x_stride + i);                 \
				for (r = 0; r < n_rows; r++)                      \
					acc[r][t] = v_fma(a[r], b, acc[r][t]);    \
			}                                                         \
		}                                                                 \
		if (i < n) {                                                      \
			for (r = 0; r < n_rows; r++)                              \
				a[r] = load_some(w + r * w_stride + i, n - i);    \
			for (t = 0; t < n_x; t++) {                               \
				b = v_load_some(x + t * x_stride + i, n - i);     \
				for (r = 0; r < n_rows; r++)                      \
					acc[r][t] = v_fma(a[r], b, acc[r][t]);    \
			}                                                         \
		}                                                                 \
		for (t = 0; t < n_x; t++) {                                       \
			for (r = 0; r < n_rows; r++)                              \
				a[r] = acc[r][t];                                 \
			sum_rows(out + t * out_stride, a, n_rows);                \
		}                                                                 \
	}                                                                         \
                                                                                  \
	/* One row more or less: each is a case of its own, unrolled. */          \
	FN void column_##load(float *out, size_t out_stride, const type *w,       \
			      size_t w_stride, size_t n_rows, const float *x,     \
			      size_t x_stride, const unsigned n_x, size_t n)      \
	{                                                                         \
		size_t r;                                                         \
                                                                                  \
		for (r = 0; r + TILE_ROWS <= n_rows; r += TILE_ROWS)              \
			tile_##load(out + r, out_stride, w + r * w_stride,        \
				    w_stride, TILE_ROWS, x, x_stride, n_x, n);    \
		for (; r < n_rows; r++)                                           \
			tile_##load(out + r, out_stride, w + r * w_stride,        \
				    w_stride, 1, x, x_stride, n_x, n);            \
	}                                                                         \
                                                                                  \
	/* A token alone: rows in the order of memory, as prefetchers like it. */ \
	TARGET static void rows_##load(float *out, const type *w,                 \
				       size_t w_stride, size_t n_rows,            \
				       const float *x, size_t n)                  \
	{                                                                         \
		size_t r;                                                         \
                                                                                  \
		for (r = 0; r < n_rows; r++)                                      \
			tile_##load(out + r, 0, w + r * w_stride, w_stride, 1,    \
				    x, 0, 1, n);                                  \
	}                                                                         \
                                                                                  \
	/* All tokens pass by some rows, which stay in the second cache. */       \
	TARGET static void dot_##load(float *out, size_t out_stride,              \
				      const void *w, size_t w_stride,             \
				      size_t n_rows, const float *x,              \
				      size_t x_stride, size_t n_x, size_t n)      \
	{                                                                         \
		const type *m = w;                                                \
		size_t step = rows_a_block(n * sizeof(*m)), r, t;                 \
                                                                                  \
		if (n_x == 1) {                                                   \
			rows_##load(out, m, w_stride, n_rows, x, n);              \
			return;                                                   \
		}                                                                 \
		for (r = 0; r < n_rows; r += step, m += step * w_stride) {        \
			float *to = out + r;                                      \
                                                                                  \
			if (step > n_rows - r)                                    \
				step = n_rows - r;                                \
			for (t = 0; t + TILE_X <= n_x; t += TILE_X)               \
				column_##load(to + t * out_stride, out_stride,    \
					      m, w_stride, step,                  \
					      x + t * x_stride, x_stride,         \
					      TILE_X, n);                         \
			for (; t + HALF_X <= n_x; t += HALF_X)                    \
				column_##load(to + t * out_stride, out_stride,    \
					      m, w_stride, step,                  \
					      x + t * x_stride, x_stride,         \
					      HALF_X, n);                         \
			for (; t < n_x; t++)                                      \
				column_##load(to + t * out_stride, out_stride,    \
					      m, w_stride, step,                  \
					      x + t * x_stride, x_stride, 1,      \
					      n);                                 \
		}                                                                 \
	}                                                                         \
                                                                                  \
	TARGET static void widen_##load(float *out, const void *w, size_t n)      \
	{                                                                         \
		const type *m = w;                                                \
		size_t i;                                                         \
                                                                                  \
		for (i = 0; i + 16 <= n; i += 16)                                 \
			v_store(out + i, load(m + i));                            \
		if (i < n)                                                        \
			v_store_some(out + i, load_some(m + i, n - i), n - i);    \
	}

TILE(uint16_t, v_bf16, v_bf16_some)
TILE(uint16_t, v_f16, v_f16_some)
TILE(float, v_load, v_load_some)

/* ---- Attention ----------------------------------------------------------- */

TARGET static void mix(float *out, const float *p, size_t n_p, const float *v,
		       size_t stride, size_t n)
{
	size_t i, t;

	for (i = 0; i + 64 <= n; i += 64) {
		v16 acc[4] = { v_set(0.0f), v_set(0.0f), v_set(0.0f),
			       v_set(0.0f) };
		unsigned k;

		for (t = 0; t < n_p; t++) {
			v16 weight = v_set(p[t]);

			for (k = 0; k < 4; k++)
				acc[k] = v_fma(
					weight,
					v_load(v + t * stride + i + 16 * k),
					acc[k]);
		}
		for (k = 0; k < 4; k++)
			v_store(out + i + 16 * k, acc[k]);
	}
	for (; i < n; i += 16) {
		size_t some = n - i < 16 ? n - i : 16;
		v16 acc = v_set(0.0f);

		for (t = 0; t < n_p; t++)
			acc = v_fma(v_set(p[t]),
				    v_load_some(v + t * stride + i, some), acc);
		v_store_some(out + i, acc, some);
	}
}

/* n > 0 */
TARGET static void softmax(float *x, size_t n, float scale)
{
	v16 m = v_set(-INFINITY), sum = v_set(0.0f), e;
	float lanes[16];
	size_t i, l;

	for (i = 0; i + 16 <= n; i += 16) {
		e = v_mul(v_load(x + i), v_set(scale));
		v_store(x + i, e);
		m = v_max(m, e);
	}
	v_store(lanes, m);
	for (l = 0; i + l < n; l++) {
		x[i + l] *= scale;
		if (x[i + l] > lanes[l])
			lanes[l] = x[i + l];
	}
	m = v_set(v_largest(v_load(lanes)));
	for (i = 0; i + 16 <= n; i += 16) {
		e = v_exp(v_sub(v_load(x + i), m));
		v_store(x + i, e);
		sum = v_add(sum, e);
	}
	if (i < n) {
		/* The lanes that are missing add +0. */
		e = v_exp(v_sub(v_load_some(x + i, n - i), m));
		v_store_some(x + i, e, n - i);
		sum = v_add(sum, v_load_some(x + i, n - i));
	}
	sum = v_set(v_sum(sum));
	for (i = 0; i + 16 <= n; i += 16)
		v_store(x + i, v_div(v_load(x + i), sum));
	if (i < n)
		v_store_some(x + i, v_div(v_load_some(x + i, n - i), sum),
			     n - i);
}

/* ---- The rest of a layer ------------------------------------------------- */

TARGET static void rms_norm(float *out, const float *x, const float *w,
			    size_t n, float eps)
{
	v16 sum = v_set(0.0f), a, scale;
	size_t i;

	for (i = 0; i < n; i += 16) {
		a = n - i < 16 ? v_load_some(x + i, n - i) : v_load(x + i);
		sum = v_fma(a, a, sum);
	}
	scale = v_set(1.0f / sqrtf(v_sum(sum) / (float)n + eps));
	for (i = 0; i + 16 <= n; i += 16)
		v_store(out + i,
			v_mul(v_mul(v_load(x + i), scale), v_load(w + i)));
	if (i < n) {
		a = v_mul(v_load_some(x + i, n - i), scale);
		v_store_some(out + i, v_mul(a, v_load_some(w + i, n - i)),
			     n - i);
	}
}

TARGET static void layer_norm(float *out, const float *x, const float *w,
			      const float *bias, size_t n, float eps)
{
	v16 sum = v_set(0.0f), a, mean, scale;
	size_t i, some;

	for (i = 0; i < n; i += 16) {
		a = n - i < 16 ? v_load_some(x + i, n - i) : v_load(x + i);
		sum = v_add(sum, a);
	}
	mean = v_set(v_sum(sum) / (float)n);
	sum = v_set(0.0f);
	for (i = 0; i < n; i += 16) {
		some = n - i < 16 ? n - i : 16;
		a = v_sub(v_load_some(x + i, some), mean);
		/* What is missing is 0, not -mean. */
		v_store_some(out + i, a, some);
		a = v_load_some(out + i, some);
		sum = v_fma(a, a, sum);
	}
	scale = v_set(1.0f / sqrtf(v_sum(sum) / (float)n + eps));
	for (i = 0; i < n; i += 16) {
		some = n - i < 16 ? n - i : 16;
		a = v_mul(v_load_some(out + i, some), scale);
		a = v_fma(a, v_load_some(w + i, some),
			  v_load_some(bias + i, some));
		v_store_some(out + i, a, some);
	}
}

#define ACT_MUL(act)                                                         \
	TARGET static void act##_mul(float *gate, const float *up, size_t n) \
	{                                                                    \
		size_t i;                                                    \
                                                                             \
		for (i = 0; i + 16 <= n; i += 16)                            \
			v_store(gate + i, v_mul(v_##act(v_load(gate + i)),   \
						v_load(up + i)));            \
		if (i < n)                                                   \
			v_store_some(                                        \
				gate + i,                                    \
				v_mul(v_##act(v_load_some(gate + i, n - i)), \
				      v_load_some(up + i, n - i)),           \
				n - i);                                      \
	}

ACT_MUL(silu)
ACT_MUL(gelu)

TARGET static void gelu(float *x, size_t n)
{
	size_t i, some;

	for (i = 0; i < n; i += 16) {
		some = n - i < 16 ? n - i : 16;
		v_store_some(x + i, v_gelu(v_load_some(x + i, some)), some);
	}
}

TARGET static void soft_cap(float *x, size_t n, float scale, float cap)
{
	v16 in = v_set(scale / cap), out = v_set(cap);
	size_t i, some;

	for (i = 0; i < n; i += 16) {
		some = n - i < 16 ? n - i : 16;
		v_store_some(x + i,
			     v_mul(out,
				   v_tanh(v_mul(v_load_some(x + i, some), in))),
			     some);
	}
}

const struct bsx_kernels NAME = {
	.name = KERNELS,
	.dot = { dot_v_bf16, dot_v_f16, dot_v_load },
	.mix = mix,
	.softmax = softmax,
	.rms_norm = rms_norm,
	.layer_norm = layer_norm,
	.silu_mul = silu_mul,
	.gelu_mul = gelu_mul,
	.gelu = gelu,
	.soft_cap = soft_cap,
	.widen = { widen_v_bf16, widen_v_f16, widen_v_load },
};
