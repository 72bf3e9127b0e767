/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_freq.c - frequencies: any counts give a valid table, and every table
 * survives being written; what is no table is refused
 */

#include "../test.h"
#include "freq.h"

#include <math.h>

static void check_table(const struct bs_freq *freq)
{
	uint8_t serial[TABLE_SERIAL_MAX];
	struct bs_freq back;
	struct guarded g;
	size_t len, used;
	unsigned s, sum = 0;

	for (s = 0; s < SYMBOLS_MAX; s++) {
		assert_true(freq->f[s] < 1u << freq->prob_bits);
		sum += freq->f[s];
	}
	assert_int_equal(sum, 1u << freq->prob_bits);
	len = bs_freq_write(freq, serial);
	assert_true(len <= sizeof(serial));
	g = guarded_new(len);
	memcpy(g.p, serial, len);
	assert_int_equal(bs_freq_read(&back, g.p, len, &used), BS_OK);
	assert_int_equal(used, len);
	assert_memory_equal(&back, freq, sizeof(back));
	/* A byte less is not a table; what it reads ends at the guard. */
	memmove(g.p + 1, g.p, len - 1);
	assert_int_equal(bs_freq_read(&back, g.p + 1, len - 1, &used),
			 BS_ERR_CORRUPT);
	guarded_free(&g);
}

static void test_any_counts(void **state)
{
	uint64_t seed = 1, counts[SYMBOLS_MAX];
	struct bs_freq freq;
	unsigned round, bits, s;

	(void)state;
	for (round = 0; round < 3000; round++) {
		unsigned n = 1 + (unsigned)(random_u64(&seed) % SYMBOLS_MAX);
		unsigned skew = (unsigned)(random_u64(&seed) % 50);

		for (s = 0; s < n; s++)
			counts[s] = (random_u64(&seed) >> 8) >>
				    (random_u64(&seed) % (skew + 1));
		for (bits = PROB_BITS_MIN; bits <= PROB_BITS_MAX; bits++) {
			bs_freq_normalise(&freq, counts, n, bits);
			for (s = 0; s < n; s++)
				assert_int_equal(!!counts[s] && !freq.f[s], 0);
			check_table(&freq);
		}
	}
}

static void test_extremes(void **state)
{
	uint64_t counts[SYMBOLS_MAX] = { 0 };
	struct bs_freq freq;
	unsigned s;

	(void)state;
	bs_freq_normalise(&freq, counts, SYMBOLS_MAX, 12);
	check_table(&freq);
	for (s = 0; s < SYMBOLS_MAX; s += 51) {
		memset(counts, 0, sizeof(counts));
		counts[s] = UINT64_MAX >> 8;
		bs_freq_normalise(&freq, counts, SYMBOLS_MAX, 12);
		assert_int_equal(freq.f[s], 4095);
		check_table(&freq);
	}
	for (s = 0; s < SYMBOLS_MAX; s++)
		counts[s] = s == 77 ? UINT64_MAX >> 8 : 1;
	bs_freq_normalise(&freq, counts, SYMBOLS_MAX, 10);
	check_table(&freq);
}

/* Random bytes are refused or are a table that writes back the same. */
static void test_garbage(void **state)
{
	uint64_t seed = 2;
	unsigned round;

	(void)state;
	for (round = 0; round < 20000; round++) {
		struct guarded g = guarded_new(64);
		struct bs_freq freq;
		size_t used, i;

		for (i = 0; i < 64; i++)
			g.p[i] = (uint8_t)random_u64(&seed);
		g.p[0] = (uint8_t)(9 + random_u64(&seed) % 5);
		g.p[1] = (uint8_t)(random_u64(&seed) % 8);
		if (!bs_freq_read(&freq, g.p, 64, &used))
			check_table(&freq);
		guarded_free(&g);
	}
}

/* In whole numbers, near enough to the real one. */
static void test_log2(void **state)
{
	uint64_t seed = 3, v;
	unsigned round;

	(void)state;
	assert_int_equal(bs_log2(0), 0);
	assert_int_equal(bs_log2(1), 0);
	for (round = 0; round < 64; round++)
		assert_int_equal(bs_log2(UINT64_C(1) << round), round << 16);
	for (round = 0; round < 100000; round++) {
		v = random_u64(&seed) >> random_u64(&seed) % 64 | 1;
		assert_true(fabs(bs_log2(v) - 65536 * log2((double)v)) < 6);
	}
	assert_true(bs_log2(UINT64_MAX) <= 64u << 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_counts),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_log2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
