/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_int4.c - the directory that a .bsd's 4-bit tensors are: cut, flipped or
 * hostile files give an error or the same bytes; what becomes of a config.json
 *
 * Which bytes they are to be, tests/fs/int4.sh says.
 */
#include "../test.h"

#define FOLDER "golden/upstream/"
#define CONFIG "{\"a\": 1.0}"

static const struct bs_int4_dir dir = { CONFIG, sizeof(CONFIG) - 1, 1 << 11 };

static int append(void *ctx, uint64_t off, const void *data, size_t len)
{
	struct memory *m = ctx;

	assert_int_equal(off, m->len);
	return memory_pwrite(m, data, len, off);
}

static enum bs_result open_dir(struct bs_archive **ret, struct memory *box,
			       const struct bs_int4_dir *with)
{
	struct bs_source src = memory_source(box);
	struct bs_error err = { 0 };
	enum bs_result res;

	src.int4 = with;
	res = bs_archive_open(ret, &src, &err);
	assert_int_equal(res, err.code);
	assert_int_equal(!!err.text[0], res != BS_OK);
	return res;
}

/* All blobs, each all of it; *ret is theirs one after another. */
static enum bs_result read_blobs(const struct bs_archive *ar,
				 struct memory *ret, const struct memory *good)
{
	enum bs_result worst = BS_OK, res;
	uint64_t i, at = 0;

	for (i = 0; i < bs_archive_n_blobs(ar); i++) {
		struct memory got = { 0 };
		struct bs_upstream_job job = { .blob = i,
					       .take = append,
					       .ctx = &got };
		struct bs_blob b;

		bs_archive_blob(ar, i, &b);
		bs_upstream_decode(ar, &job, 1);
		res = job.res;
		worst = res ? res : worst;
		if (!res)
			assert_int_equal(got.len, b.len);
		if (!res && good)
			assert_memory_equal(got.p, good->p + at, got.len);
		if (!res && ret)
			assert_int_equal(memory_pwrite(ret, got.p, got.len, at),
					 0);
		at += b.len;
		free(got.p);
	}
	return worst;
}

static enum bs_result read_hostile(struct memory *box,
				   const struct memory *good)
{
	struct bs_archive *ar;
	enum bs_result res = open_dir(&ar, box, &dir);

	if (res)
		return res;
	/* A header may claim any size. */
	if (bs_archive_summary(ar)->size < 1 << 24)
		res = read_blobs(ar, NULL, good);
	bs_archive_close(ar);
	return res;
}

static void check_damage(const char *path)
{
	struct memory box = memory_load(path), good = { 0 };
	struct bs_archive *ar;
	uint64_t seed = 7;
	uint32_t head;
	unsigned i;

	memcpy(&head, box.p + 6, sizeof(head));
	head += 10;
	assert_int_equal(open_dir(&ar, &box, &dir), BS_OK);
	assert_int_equal(read_blobs(ar, &good, NULL), BS_OK);
	bs_archive_close(ar);
	for (i = 0; i < rounds(60); i++) {
		uint64_t r = random_u64(&seed);
		size_t at = (size_t)(r >> 8) % (i % 2 ? box.len : head);

		box.p[at] ^= (uint8_t)(1u << (r & 7));
		read_hostile(&box, at < head ? NULL : &good);
		box.p[at] ^= (uint8_t)(1u << (r & 7));
	}
	for (i = 0; i < rounds(20); i++) {
		size_t len = (size_t)(random_u64(&seed) % box.len);
		struct guarded g = guarded_new(len);
		struct memory cut = { g.p, len };

		memcpy(g.p, box.p, len);
		assert_int_not_equal(read_hostile(&cut, NULL), BS_OK);
		guarded_free(&g);
	}
	free(good.p);
	free(box.p);
}

static void test_damage(void **state)
{
	(void)state;
	check_damage(FOLDER "dual.bsd");
	check_damage(FOLDER "dual_hand.bsd");
}

/* ---- Members ------------------------------------------------------------- */

static void find(const struct bs_archive *ar, const char *name,
		 struct bs_member *ret)
{
	uint64_t i = bs_archive_find(ar, name, strlen(name));

	assert_true(i < bs_archive_n_members(ar));
	bs_archive_member(ar, i, ret);
}

static void test_members(void **state)
{
	struct memory box = memory_load(FOLDER "dual.bsd");
	struct memory other = memory_load(FOLDER "bf16.bs");
	struct bs_int4_dir alone = { 0 };
	struct bs_archive *ar;
	struct bs_summary sum;
	struct bs_source src = memory_source(&box);
	struct bs_member m;

	(void)state;
	assert_int_equal(bs_peek(&src, &sum, NULL), BS_OK);
	assert_int_equal(sum.n_int4, 2);
	assert_int_equal(sum.is_bundle, 0);
	assert_int_equal(open_dir(&ar, &box, &dir), BS_OK);
	assert_int_equal(bs_archive_n_members(ar), 4);
	find(ar, "config.json", &m);
	find(ar, bs_int4_link(11), &m);
	assert_int_equal(m.type, BS_MEMBER_SYMLINK);
	assert_int_equal(m.target_len, m.name_len + 3);
	assert_memory_equal(m.target, "../", 3);
	assert_memory_equal(m.target + 3, m.name, m.name_len);
	bs_archive_close(ar);
	assert_int_equal(open_dir(&ar, &box, &alone), BS_OK);
	assert_int_equal(bs_archive_n_members(ar), 3);
	find(ar, "quantization_config.json", &m);
	bs_archive_close(ar);
	assert_int_equal(open_dir(&ar, &other, &alone), BS_ERR_PARAM);
	free(other.p);
	free(box.p);
}

/* ---- config.json --------------------------------------------------------- */

static void test_config(void **state)
{
	static const char *const good[] = { "{}", "{\"a\":{}}", " { } \r\n",
					    "{\"a\":\"}\"}" };
	static const char *const bad[] = {
		"",	"[]",	"{",	    "{} x",
		"null", "{}{}", "{\"a\":}", "{\"quantization_config\":null}"
	};
	struct bs_error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct guarded g = guarded_new(strlen(good[i]));

		memcpy(g.p, good[i], strlen(good[i]));
		assert_int_equal(bs_int4_config_check((char *)g.p,
						      strlen(good[i]), &err),
				 BS_OK);
		guarded_free(&g);
	}
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct guarded g = guarded_new(strlen(bad[i]));

		memcpy(g.p, bad[i], strlen(bad[i]));
		assert_int_equal(bs_int4_config_check((char *)g.p,
						      strlen(bad[i]), &err),
				 BS_ERR_SYNTAX);
		guarded_free(&g);
	}
	assert_int_equal(bs_int4_config_check("{}\0", 3, &err), BS_ERR_SYNTAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
