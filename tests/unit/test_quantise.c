/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_quantise.c - the probabilities that upstream's coders use are those of
 * constriction 0.5.0, to the last bit, for 12,000 tables of counts
 *
 * The digest is what tests/loaders/upstream_tables.py prints with that library.
 */
#include "../test.h"

#include "upstream/quantise.h"

static const char want[] =
	"06efaf746512b5d96232242b010fba3f4206b0021e0185611cc420df739481cd";

static uint32_t count(unsigned kind, uint32_t same, uint64_t r)
{
	switch (kind) {
	case 0:
		return (uint32_t)(r >> 33 & 1023);
	case 1:
		return r >> 32 & 1 ? (uint32_t)(r >> 36 >> (r & 31)) : 0;
	case 2:
		return same;
	default:
		return (r >> 32 & 7) == 0 ? 1u << (r >> 40 & 15)
					  : (uint32_t)(r >> 33 & 1);
	}
}

/* Table 'i' of the 12,000; returns how many symbols it has. */
static unsigned make_table(unsigned i, uint32_t *counts)
{
	static const uint16_t alphabets[] = {
		2, 5, 16, 64, 128, 256, 512, 1024
	};
	uint64_t state = i + 1, head = random_u64(&state);
	unsigned n = alphabets[head >> 8 & 7], s;

	for (s = 0; s < n; s++)
		counts[s] = count(head >> 16 & 3, head >> 24 & 4095,
				  random_u64(&state));
	return n;
}

static void test_tables(void **state)
{
	static uint32_t counts[UP_ALPHABET_MAX], cdf[UP_ALPHABET_MAX + 1];
	uint8_t digest[BS_DIGEST_MAX];
	char hex[2 * BS_DIGEST_MAX + 1];
	struct bs_hash *h;
	unsigned i, s, n;

	(void)state;
	assert_int_equal(bs_hash_new(&h, BS_DIGEST_SHA256), BS_OK);
	for (i = 0; i < 12000; i++) {
		n = make_table(i, counts);
		assert_int_equal(bs_up_quantise(counts, n, cdf), BS_OK);
		assert_int_equal(cdf[n], 1 << UP_PROB_BITS);
		for (s = 0; s < n; s++)
			assert_true(cdf[s] < cdf[s + 1]);
		bs_hash_update(h, cdf, n * sizeof(*cdf));
	}
	bs_hash_final(h, digest);
	bs_hash_free(h);
	for (i = 0; i < BS_DIGEST_MAX; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(hex, want);
}

/* Whatever a file says, the sums are in order: a decoder relies on it. */
static void test_hostile(void **state)
{
	static uint32_t counts[UP_ALPHABET_MAX], cdf[UP_ALPHABET_MAX + 1];
	uint64_t seed = 7;
	unsigned i, s, n;

	(void)state;
	for (i = 0; i < 2000; i++) {
		n = i % 50 == 0 ? 1 : 1 + random_u64(&seed) % UP_ALPHABET_MAX;
		for (s = 0; s < n; s++) {
			uint64_t r = random_u64(&seed);

			counts[s] = r & 1 ? (uint32_t)(r >> 32) >> (r >> 8 & 31)
					  : (r >> 8 & 3) * (UINT32_MAX / 3);
		}
		assert_int_equal(bs_up_quantise(counts, n, cdf), BS_OK);
		assert_int_equal(cdf[0], 0);
		assert_int_equal(cdf[n], 1 << UP_PROB_BITS);
		for (s = 0; s < n; s++)
			assert_true(cdf[s] < cdf[s + 1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
