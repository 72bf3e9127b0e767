/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_checksum.c - XXH3 is what it is elsewhere, whichever kernels sum; bytes
 * outside the buffer do not count and are not read
 */

#include "../test.h"
#include "checksum.h"

/* Of bytes 0, 1, 2, ..., by golden/xxh3.py, which has its own code. */
static void test_known(void **state)
{
	static const struct {
		size_t len;
		uint64_t sum;
	} known[] = {
		{ 0, UINT64_C(0x2d06800538d394c2) },
		{ 1, UINT64_C(0xc44bdff4074eecdb) },
		{ 8, UINT64_C(0x3a1c2d7c85af88f8) },
		{ 16, UINT64_C(0x8355e3a6f61770db) },
		{ 17, UINT64_C(0x9ef341a99de37328) },
		{ 128, UINT64_C(0x85c6174c7ff4c46b) },
		{ 129, UINT64_C(0xec7642b431ba3e5a) },
		{ 240, UINT64_C(0x375a384d957fe865) },
		{ 241, UINT64_C(0x02e8cd95421c6d02) },
		{ 1024, UINT64_C(0xa870f92984398d22) },
		{ 1025, UINT64_C(0x78c86e91ee939852) },
		{ 5000, UINT64_C(0x1b74bda2c82a8c7a) },
	};
	const struct bs_kernels *k;
	uint8_t bytes[5000];
	unsigned i, t;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (t = 0; (k = bs_kernels_at(t)); t++)
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			assert_int_equal(k->xxh3_64(bytes, known[i].len),
					 known[i].sum);
}

static void test_kernels_agree(void **state)
{
	const struct bs_kernels *k;
	uint64_t seed = 5, want;
	unsigned t, i, round;
	size_t len;

	(void)state;
	for (round = 0; round < 1500; round++) {
		struct guarded g;

		len = round < 1200 ? round : random_u64(&seed) % 300000;
		g = round & 1 ? guarded_new(len) : guarded_new_low(len);
		for (i = 0; i < len; i++)
			g.p[i] = (uint8_t)random_u64(&seed);
		want = bs_xxh3_64_scalar(g.p, len);
		assert_int_equal(bs_xxh3_64(g.p, len), want);
		for (t = 0; (k = bs_kernels_at(t)); t++)
			assert_int_equal(k->xxh3_64(g.p, len), want);
		guarded_free(&g);
	}
}

/* XXH3-128 of the same bytes, from the same code, whatever pieces they come
 * in; this program runs once for each table of kernels. */
static void test_pieces(void **state)
{
	static const struct {
		size_t len;
		const char *digest;
	} known[] = {
		{ 0, "\x99\xaa\x06\xd3\x01\x47\x98\xd8"
		     "\x60\x01\xc3\x24\x46\x8d\x49\x7f" },
		{ 17, "\x68\x5b\xc4\x58\xb3\x7d\x05\x7f"
		      "\xc0\x6e\x23\x3d\xf7\x72\x92\x17" },
		{ 240, "\x65\xb5\xbe\x86\xda\x55\x40\xe7"
		       "\xc9\x2b\x68\xe1\x6f\x83\xbb\xb6" },
		{ 241, "\x1d\xa1\xcb\x61\xbc\xb8\xa2\xa1"
		       "\x02\xe8\xcd\x95\x42\x1c\x6d\x02" },
		{ 1024, "\x83\x88\x5e\x85\x3b\xb6\x64\x0c"
			"\xa8\x70\xf9\x29\x84\x39\x8d\x22" },
		{ 100000, "\x07\x7f\x8d\x86\xa6\x1f\x4d\x74"
			  "\x39\xcf\x9d\x03\x5d\x60\xad\x58" },
	};
	static uint8_t bytes[100000];
	uint8_t digest[BS_DIGEST_MAX];
	uint64_t seed = 6;
	unsigned i, round;
	struct bs_hash *h;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(bs_hash_new(&h, BS_DIGEST_XXH3_128), BS_OK);
	for (round = 0; round < 300; round++) {
		size_t len, at = 0, most, n;

		i = round % (sizeof(known) / sizeof(known[0]));
		len = known[i].len;
		most = 1 + random_u64(&seed) % (round % 3 ? 700 : 100000);
		while (at < len) {
			n = 1 + random_u64(&seed) % most;
			n = n < len - at ? n : len - at;
			bs_hash_update(h, bytes + at, n);
			at += n;
		}
		bs_hash_final(h, digest);
		assert_memory_equal(digest, known[i].digest, 16);
	}
	bs_hash_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_kernels_agree),
		cmocka_unit_test(test_pieces),
	};

	need_kernels();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
