/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_md5.c - MD5 is RFC 1321's at every length, however it is cut, and several
 * at a time give what each gives alone
 */
#include "../test.h"

#include "bigsmall.h"
#include "md5.h"

#define LONGEST 300

static void to_hex(struct bs_md5 *m, char *ret)
{
	uint8_t digest[BS_MD5_LEN];
	unsigned i;

	bs_md5_final(m, digest);
	for (i = 0; i < BS_MD5_LEN; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

/* RFC 1321, A.5. */
static void test_vectors(void **state)
{
	static const char *const vectors[][2] = {
		{ "", "d41d8cd98f00b204e9800998ecf8427e" },
		{ "a", "0cc175b9c0f1b6a831c399e269772661" },
		{ "abc", "900150983cd24fb0d6963f7d28e17f72" },
		{ "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
		{ "abcdefghijklmnopqrstuvwxyz",
		  "c3fcd3d76192e4007dfb496cca67e13b" },
	};
	char hex[2 * BS_MD5_LEN + 1];
	struct bs_md5 m;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		bs_md5_init(&m);
		bs_md5_update(&m, vectors[i][0], strlen(vectors[i][0]));
		to_hex(&m, hex);
		assert_string_equal(hex, vectors[i][1]);
	}
}

/* The MD5 of the MD5s of 0 to 300 bytes, in pieces, by Python's hashlib. */
static void test_lengths(void **state)
{
	uint8_t bytes[LONGEST + 5], digest[BS_MD5_LEN];
	char hex[2 * BS_MD5_LEN + 1];
	struct bs_md5 all, m;
	uint64_t seed = 1;
	size_t n, at, len;

	(void)state;
	for (n = 0; n < sizeof(bytes); n++)
		bytes[n] = (uint8_t)(n * 7 + n / 251);
	bs_md5_init(&all);
	for (n = 0; n <= LONGEST; n++) {
		bs_md5_init(&m);
		for (at = 0; at < n; at += len) {
			len = random_u64(&seed) % 90;
			len = len < n - at ? len : n - at;
			bs_md5_update(&m, bytes + n % 5 + at, len);
		}
		bs_md5_final(&m, digest);
		bs_md5_update(&all, digest, sizeof(digest));
	}
	to_hex(&all, hex);
	assert_string_equal(hex, "728a980c34e970dfee876021cdf5c382");
}

static void test_many(void **state)
{
	uint8_t bytes[BS_MD5_LANES][LONGEST], one[BS_MD5_LEN], many[BS_MD5_LEN];
	uint64_t seed = 2;
	unsigned n, i, k;

	(void)state;
	for (i = 0; i < BS_MD5_LANES; i++)
		for (k = 0; k < LONGEST; k++)
			bytes[i][k] = (uint8_t)random_u64(&seed);
	for (n = 0; n <= BS_MD5_LANES; n++) {
		struct bs_md5 m[BS_MD5_LANES], alone;
		struct bs_md5 *to[BS_MD5_LANES] = { NULL };
		const uint8_t *data[BS_MD5_LANES] = { NULL };

		for (i = 0; i < n; i++) {
			bs_md5_init(&m[i]);
			/* They may have had different lengths before. */
			bs_md5_update(&m[i], bytes[i],
				      (size_t)i * BS_MD5_BLOCK);
			to[i] = &m[i];
			data[i] = bytes[i] + 1;
		}
		bs_md5_update_many(to, data, n, (size_t)3 * BS_MD5_BLOCK);
		for (i = 0; i < n; i++) {
			bs_md5_update(&m[i], "end", 3);
			bs_md5_final(&m[i], many);
			bs_md5_init(&alone);
			bs_md5_update(&alone, bytes[i],
				      (size_t)i * BS_MD5_BLOCK);
			bs_md5_update(&alone, bytes[i] + 1,
				      (size_t)3 * BS_MD5_BLOCK);
			bs_md5_update(&alone, "end", 3);
			bs_md5_final(&alone, one);
			assert_memory_equal(one, many, sizeof(one));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
