/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_nn.c - the engine's kernels give the scalar ones' bits, whatever the
 * lengths, and those are right
 */

#include "test.h"

#include <math.h>
#include <string.h>

#include "nn.h"

#define MAX_N 200
#define MAX_ROWS 11
#define MAX_X 14

static uint64_t state = 1;

static uint32_t next(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}

/* In [-2, 2), with the odd zero and subnormal number. */
static float number(void)
{
	uint32_t r = next();

	if (r % 61 == 0)
		return r % 2 ? 0.0f : -0.0f;
	if (r % 67 == 0)
		return (float)(r % 100) * 1e-44f;
	return (float)(int32_t)(next() % 4000 - 2000) / 1000.0f;
}

static void fill(float *x, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		x[i] = number();
}

static void assert_same(const float *a, const float *b, size_t n)
{
	assert_memory_equal(a, b, n * sizeof(*a));
}

/* ---- Sums of products ---------------------------------------------------- */

/* What a matrix of a type holds, from f32 that it can hold. */
static void narrow(void *out, const float *x, size_t n, enum bsx_type type)
{
	size_t i;

	for (i = 0; i < n; i++) {
		uint32_t bits;

		memcpy(&bits, &x[i], sizeof(bits));
		if (type == BSX_F32)
			((float *)out)[i] = x[i];
		else if (type == BSX_BF16)
			((uint16_t *)out)[i] = (uint16_t)(bits >> 16);
		else /* any bits but those of NaN */
			((uint16_t *)out)[i] = (uint16_t)(bits >> 9) & 0xfbff;
	}
}

static void check_dot(const struct bsx_kernels *k, enum bsx_type type,
		      size_t n_rows, size_t n_x, size_t n)
{
	static float raw[MAX_ROWS * MAX_N], x[MAX_X * MAX_N];
	static float want[MAX_X * MAX_ROWS], have[MAX_X * MAX_ROWS];
	static uint8_t w[MAX_ROWS * MAX_N * 4];
	size_t r, t, i;

	fill(raw, n_rows * n);
	fill(x, n_x * n);
	narrow(w, raw, n_rows * n, type);
	memset(have, 0x55, sizeof(have));
	memset(want, 0x55, sizeof(want));
	bsx_kernels_scalar.dot[type](want, n_rows, w, n, n_rows, x, n, n_x, n);
	k->dot[type](have, n_rows, w, n, n_rows, x, n, n_x, n);
	/* And nothing written past them. */
	assert_same(have, want, MAX_X * MAX_ROWS);
	bsx_kernels_scalar.widen[type](raw, w, n_rows * n);
	for (t = 0; t < n_x; t++) {
		for (r = 0; r < n_rows; r++) {
			double sum = 0, size = 0;

			for (i = 0; i < n; i++) {
				double p = (double)raw[r * n + i] *
					   (double)x[t * n + i];

				sum += p;
				size += fabs(p);
			}
			if (!(fabs(sum - (double)want[t * n_rows + r]) <=
			      1e-5 * size + 1e-30))
				fail_msg("a sum of %zu is %g, not %g", n,
					 (double)want[t * n_rows + r], sum);
		}
	}
}

static void dot_is_scalar(void **unused)
{
	const struct bsx_kernels *k;
	size_t n, x;
	unsigned i, type;

	(void)unused;
	for (i = 0; (k = bsx_kernels_at(i)); i++) {
		for (type = 0; type < BSX_N_TYPES; type++) {
			for (n = 1; n <= 70; n++)
				check_dot(k, type, 1 + n % 7, 1 + n % 5, n);
			for (x = 1; x <= MAX_X; x++)
				check_dot(k, type, MAX_ROWS, x, MAX_N);
		}
	}
}

/* More rows than fit in a block, and each of them by itself with each token. */
static void rows_are_alone(void **unused)
{
	enum { ROWS = 400, N_X = 5 };
	static float w[ROWS * MAX_N], x[N_X * MAX_N], have[N_X * ROWS];
	const struct bsx_kernels *k;
	size_t r, t;
	unsigned i;
	float one;

	(void)unused;
	fill(w, ROWS * MAX_N);
	fill(x, N_X * MAX_N);
	for (i = 0; (k = bsx_kernels_at(i)); i++) {
		k->dot[BSX_F32](have, ROWS, w, MAX_N, ROWS, x, MAX_N, N_X,
				MAX_N);
		for (t = 0; t < N_X; t++) {
			for (r = 0; r < ROWS; r++) {
				k->dot[BSX_F32](&one, 1, w + r * MAX_N, MAX_N,
						1, x + t * MAX_N, MAX_N, 1,
						MAX_N);
				assert_same(&one, have + t * ROWS + r, 1);
			}
		}
	}
}

/* ---- One by one ---------------------------------------------------------- */

static void check_rest(const struct bsx_kernels *k, size_t n)
{
	const struct bsx_kernels *s = &bsx_kernels_scalar;
	static float a[MAX_N], b[MAX_N], want[MAX_N + 1], have[MAX_N + 1];
	static float v[7 * MAX_N];
	size_t i;
	double sum = 0;

	fill(a, n);
	fill(b, n);
	fill(v, 7 * n);
	want[n] = have[n] = 7;

	memcpy(want, a, n * sizeof(*a));
	memcpy(have, a, n * sizeof(*a));
	s->softmax(want, n, 3.5f);
	k->softmax(have, n, 3.5f);
	assert_same(have, want, n + 1);
	for (i = 0; i < n; i++)
		sum += (double)want[i];
	assert_true(fabs(sum - 1) < 1e-5);

	s->rms_norm(want, a, b, n, 1e-5f);
	k->rms_norm(have, a, b, n, 1e-5f);
	assert_same(have, want, n + 1);

	memcpy(want, a, n * sizeof(*a));
	memcpy(have, a, n * sizeof(*a));
	s->silu_mul(want, b, n);
	k->silu_mul(have, b, n);
	assert_same(have, want, n + 1);
	for (i = 0; i < n; i++) {
		double x = (double)a[i];

		assert_true(fabs(x / (1 + exp(-x)) * (double)b[i] -
				 (double)want[i]) < 1e-6);
	}

	memcpy(want, a, n * sizeof(*a));
	memcpy(have, a, n * sizeof(*a));
	s->gelu_mul(want, b, n);
	k->gelu_mul(have, b, n);
	assert_same(have, want, n + 1);
	for (i = 0; i < n; i++) {
		double x = (double)a[i], y = x + 0.044715 * x * x * x;

		assert_true(fabs(x / 2 * (1 + tanh(sqrt(2 / M_PI) * y)) *
					 (double)b[i] -
				 (double)want[i]) < 1e-6);
	}
	memcpy(want, a, n * sizeof(*a));
	memcpy(have, a, n * sizeof(*a));
	s->gelu(want, n);
	k->gelu(have, n);
	assert_same(have, want, n + 1);

	memcpy(want, a, n * sizeof(*a));
	memcpy(have, a, n * sizeof(*a));
	s->soft_cap(want, n, 2, 3);
	k->soft_cap(have, n, 2, 3);
	assert_same(have, want, n + 1);
	for (i = 0; i < n; i++)
		assert_true(fabs(3 * tanh(2 * (double)a[i] / 3) -
				 (double)want[i]) < 1e-6);

	s->layer_norm(want, a, b, v, n, 1e-5f);
	k->layer_norm(have, a, b, v, n, 1e-5f);
	assert_same(have, want, n + 1);

	s->mix(want, a, n < 7 ? n : 7, v, n, n);
	k->mix(have, a, n < 7 ? n : 7, v, n, n);
	assert_same(have, want, n + 1);
}

static void rest_is_scalar(void **unused)
{
	const struct bsx_kernels *k;
	size_t n;
	unsigned i;

	(void)unused;
	for (i = 0; (k = bsx_kernels_at(i)); i++) {
		for (n = 1; n <= MAX_N; n++)
			check_rest(k, n);
	}
}

/* Every half there is, NaN aside, is the float that it says. */
static void widen_is_exact(void **unused)
{
	const struct bsx_kernels *k;
	unsigned i, h;

	(void)unused;
	for (i = 0; (k = bsx_kernels_at(i)); i++) {
		for (h = 0; h < 0x10000; h++) {
			uint16_t half = (uint16_t)h;
			int e = (int)(h >> 10 & 31), m = (int)(h & 1023);
			double want = e ? ldexp(1024 + m, e - 25)
					: ldexp(m, -24);
			float have;

			k->widen[BSX_F16](&have, &half, 1);
			if (e == 31 && m) {
				assert_true(isnan(have));
				continue;
			}
			if (e == 31)
				want = INFINITY;
			if (h & 0x8000)
				want = -want;
			assert_true((double)have == want);
			assert_true(!signbit(have) == !(h & 0x8000));
		}
	}
}

/* The extremes: nothing overflows, nothing is no number. */
static void softmax_of_extremes(void **unused)
{
	const struct bsx_kernels *k;
	unsigned i;

	(void)unused;
	for (i = 0; (k = bsx_kernels_at(i)); i++) {
		float x[20] = { 1e30f, -1e30f, 1e30f, 0 };

		k->softmax(x, 20, 1);
		assert_true(x[0] == 0.5f && x[2] == 0.5f);
		assert_true(x[1] < 1e-30f && x[19] < 1e-30f && x[1] >= 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dot_is_scalar),
		cmocka_unit_test(rows_are_alone),
		cmocka_unit_test(rest_is_scalar),
		cmocka_unit_test(widen_is_exact),
		cmocka_unit_test(softmax_of_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
