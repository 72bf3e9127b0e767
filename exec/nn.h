/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nn.h - the arithmetic of a neural network, in an order that is fixed
 *
 * All sums are in f32, and their order is part of what a function is: a sum of
 * n products is 16 sums, one of the elements i with i mod 16 == l for each lane
 * l, each a chain of fused multiply-adds from +0 in rising order, with zeros
 * for what is missing in the last 16; then lanes l and l + 8 are added, l and
 * l + 4, l and l + 2, l and l + 1.  So every CPU gives the same bits, however
 * many rows or tokens are computed together.
 *
 * exp() is a polynomial with its own fixed steps, good to 2 units in the last
 * place.
 */

#ifndef BSX_NN_H
#define BSX_NN_H

#include <stddef.h>
#include <stdint.h>

/* Element types of matrices. */
enum bsx_type { BSX_BF16, BSX_F16, BSX_F32, BSX_N_TYPES };

static inline size_t bsx_type_size(enum bsx_type type)
{
	return type == BSX_F32 ? 4 : 2;
}

/*
 * out[t * out_stride + r] = the sum of w[r * w_stride + i] * x[t * x_stride + i]
 * for i < n, of rows r < n_rows and tokens t < n_x; strides are in elements.
 */
typedef void (*bsx_dot_fn)(float *out, size_t out_stride, const void *w,
			   size_t w_stride, size_t n_rows, const float *x,
			   size_t x_stride, size_t n_x, size_t n);

struct bsx_kernels {
	const char *name; /* "scalar", ...: what $BIGSMALL_CPU accepts */
	bsx_dot_fn dot[BSX_N_TYPES];

	/* out[i] = the sum of p[t] * v[t * stride + i] for t < n_p, in rising
	 * order of t; i < n. */
	void (*mix)(float *out, const float *p, size_t n_p, const float *v,
		    size_t stride, size_t n);

	/* x[i] = exp(scale * x[i] - m) / sum, m their maximum. */
	void (*softmax)(float *x, size_t n, float scale);

	/* out[i] = x[i] / sqrt(mean of squares + eps) * w[i]; in place is
	 * allowed. */
	void (*rms_norm)(float *out, const float *x, const float *w, size_t n,
			 float eps);

	/* out[i] = (x[i] - mean) / sqrt(variance + eps) * w[i] + bias[i]; in
	 * place is allowed. */
	void (*layer_norm)(float *out, const float *x, const float *w,
			   const float *bias, size_t n, float eps);

	/* gate[i] = act(gate[i]) * up[i] */
	void (*silu_mul)(float *gate, const float *up, size_t n);
	void (*gelu_mul)(float *gate, const float *up, size_t n);

	/* x[i] = gelu(x[i]), by tanh */
	void (*gelu)(float *x, size_t n);

	/* x[i] = cap * tanh(scale * x[i] / cap) */
	void (*soft_cap)(float *x, size_t n, float scale, float cap);

	/* out[i] = the value of a row's element i, as f32. */
	void (*widen[BSX_N_TYPES])(float *out, const void *w, size_t n);
};

/* The best table for this CPU, chosen once. */
const struct bsx_kernels *bsx_kernels(void);

/* The i-th table that this CPU can run, best first; NULL past the last. */
const struct bsx_kernels *bsx_kernels_at(unsigned i);

extern const struct bsx_kernels bsx_kernels_scalar;
#ifdef __x86_64__
extern const struct bsx_kernels bsx_kernels_avx2;
extern const struct bsx_kernels bsx_kernels_avx512;
#endif
#ifdef __aarch64__
extern const struct bsx_kernels bsx_kernels_neon;
#endif

#endif /* BSX_NN_H */
