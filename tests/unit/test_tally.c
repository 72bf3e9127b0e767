/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tally.c - what every kernel counts for statistics is what tally.h says,
 * element by element, for rows of any width and data at any address
 */

#include "../test.h"
#include "kernels.h"
#include "tally.h"

#define N 5000
#define WIDTH_MAX 600
#define VALUE_BITS_MAX 15

/* n values at an odd address if 'off' is odd; freed by its base. */
static uint8_t *make_values(struct guarded *g, size_t n, unsigned off,
			    uint64_t *seed)
{
	uint16_t centre = (uint16_t)random_u64(seed);
	size_t i;

	*g = guarded_new(2 * n + off);
	for (i = 0; i < n; i++) {
		/* Some far away, most around one value. */
		uint64_t r = random_u64(seed);
		uint16_t v =
			(uint16_t)(r % 8 ? centre + (r >> 8 & 2047) : r >> 8);

		v ^= (uint16_t)((r >> 40 & 1) << 15);
		memcpy(g->p + 2 * i, &v, 2);
	}
	memmove(g->p + off, g->p, 2 * n);
	return g->p + off;
}

static uint16_t value_at(const uint8_t *p, size_t i)
{
	uint16_t v;

	memcpy(&v, p + 2 * i, 2);
	return v;
}

static void check_top(const struct bs_kernels *k, uint64_t *seed)
{
	unsigned unit = random_u64(seed) % 2 ? 4 : 8;
	uint64_t any = random_u64(seed) & random_u64(seed) & 255;
	uint64_t all = random_u64(seed) | random_u64(seed), e;
	uint64_t want_any = any, want_all = all;
	size_t n = random_u64(seed) % 700, i;
	struct guarded src = guarded_new(n * unit), dst = guarded_new(2 * n);

	for (i = 0; i < n * unit; i++)
		src.p[i] = (uint8_t)(random_u64(seed) & random_u64(seed));
	k->tally_top((uint16_t *)(void *)dst.p, src.p, unit, n, &any, &all);
	for (i = 0; i < n; i++) {
		e = 0;
		memcpy(&e, src.p + i * unit, unit);
		assert_int_equal(value_at(dst.p, i), e >> (8 * unit - 16));
		want_any |= e;
		want_all &= unit == 8 ? e : e | UINT64_MAX << 32;
	}
	assert_int_equal(any, want_any);
	/* Of 32 bits, the upper ones say nothing. */
	if (unit == 8)
		assert_int_equal(all, want_all);
	else
		assert_int_equal((uint32_t)all, (uint32_t)want_all);
	guarded_free(&src);
	guarded_free(&dst);
}

/* ---- Sums --------------------------------------------------------------- */

struct sums {
	uint32_t row[N + 1];
	uint32_t column[WIDTH_MAX];
	uint32_t negative[WIDTH_MAX];
};

static void add_sums(struct sums *s, const struct bs_tally_sums *t, uint64_t at,
		     const uint8_t *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++, at++) {
		uint16_t value = value_at(v, i);
		int x = value & 0x7fff;

		x = x < t->low ? t->low : x;
		x = x > t->high ? t->high : x;
		x = (x - t->low) >> t->drop;
		if (t->row_sum)
			s->row[at / t->width] += (uint32_t)x;
		if (t->column_sum) {
			s->column[at % t->width] += (uint32_t)x;
			s->negative[at % t->width] += value >> 15;
		}
	}
}

static void check_sums(const struct bs_kernels *k, uint64_t *seed)
{
	static struct sums got, want;
	size_t n = random_u64(seed) % N;
	struct bs_tally_sums t = {
		.width = 1 + random_u64(seed) % WIDTH_MAX,
		.drop = (uint8_t)(random_u64(seed) % 7),
		.low = (int16_t)(random_u64(seed) & 0x7fff),
	};
	unsigned kinds = 1 + (unsigned)(random_u64(seed) % 3);
	uint64_t at = random_u64(seed) % 700 % (N - n + 1);
	int high = t.low + (256 << t.drop) - 1;
	struct guarded g;
	uint8_t *v;

	v = make_values(&g, n, random_u64(seed) % 2, seed);
	t.high = (int16_t)(high < 0x7fff ? high : 0x7fff);
	memset(&got, 0, sizeof(got));
	memset(&want, 0, sizeof(want));
	if (kinds & 1)
		t.row_sum = got.row;
	if (kinds & 2) {
		t.column_sum = got.column;
		t.column_negative = got.negative;
	}
	k->tally_sums(&t, at, v, n);
	add_sums(&want, &t, at, v, n);
	assert_memory_equal(&got, &want, sizeof(got));
	guarded_free(&g);
}

/* ---- Counts ------------------------------------------------------------- */

static uint32_t counts[16 << VALUE_BITS_MAX], want_counts[16 << VALUE_BITS_MAX];

static void check_counts(const struct bs_kernels *k, uint64_t *seed)
{
	/* Of bf16, f16, f64 and e4m3: what is dropped of the mantissa, and what
	 * is left of a value. */
	static const uint8_t floats[][2] = {
		{ 4, 12 }, { 7, 9 }, { 1, 15 }, { 8, 8 }
	};
	const uint8_t *type = floats[random_u64(seed) % 4];
	size_t n = random_u64(seed) % (TALLY_MAX + 1), i;
	unsigned kinds = (unsigned)(random_u64(seed) % 4);
	static uint8_t rows[N], columns[WIDTH_MAX];
	uint64_t at = random_u64(seed) % 3000;
	struct bs_tally_counts t = {
		.width = 1 + random_u64(seed) % WIDTH_MAX,
		.drop = type[0],
		.value_bits = type[1],
		.shift = 4,
		.table_log2 = (uint8_t)(random_u64(seed) % 5),
		.counts = counts,
	};
	size_t len = sizeof(counts[0]) << t.table_log2 << t.value_bits;
	struct guarded g;

	for (i = 0; i < N; i++)
		rows[i] = (uint8_t)random_u64(seed);
	for (i = 0; i < WIDTH_MAX; i++)
		columns[i] = (uint8_t)random_u64(seed);
	if (kinds & 1)
		t.row_class = rows;
	if (kinds & 2)
		t.column_class = columns;
	if (!kinds && random_u64(seed) % 2)
		t.width = UINT64_MAX;
	make_values(&g, n, 0, seed);
	memset(counts, 0, len);
	memset(want_counts, 0, len);
	k->tally_counts(&t, at, (const uint16_t *)(const void *)g.p, n);
	for (i = 0; i < n; i++) {
		uint32_t q = 0, y = value_at(g.p, i);

		if (kinds & 1)
			q += rows[(at + i) / t.width];
		if (kinds & 2)
			q += columns[(at + i) % t.width];
		y = (y & 0x7fff) >> t.drop << 1 | y >> 15;
		y -= q >> t.table_log2 << t.shift;
		y &= (1u << t.value_bits) - 1;
		q &= (1u << t.table_log2) - 1;
		want_counts[q << t.value_bits | y]++;
	}
	assert_memory_equal(counts, want_counts, len);
	guarded_free(&g);
}

static void each(void (*check)(const struct bs_kernels *, uint64_t *),
		 unsigned n)
{
	const struct bs_kernels *k;
	uint64_t seed = 31;
	unsigned t, round;

	for (t = 0; (k = bs_kernels_at(t)); t++)
		for (round = 0; round < rounds(n); round++)
			check(k, &seed);
}

static void test_top(void **state)
{
	(void)state;
	each(check_top, 500);
}

static void test_sums(void **state)
{
	(void)state;
	each(check_sums, 1500);
}

static void test_counts(void **state)
{
	(void)state;
	each(check_counts, 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
