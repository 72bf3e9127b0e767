/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_bundle.c - containers of whole directories
 *
 * The writer takes members as they are given, so it also makes the bundles
 * that no reader may accept: names and links that lead out, trees that are
 * none.
 */

#include "bigsmall.h"
#include "test.h"

#define BLOB_LEN_RAW 100

struct entry {
	const char *name;
	const char *target;
	uint8_t type;
	uint8_t len; /* of a file: the first bytes of the only blob */
};

static void add_blob(struct bs_writer *w)
{
	uint8_t raw[BLOB_LEN_RAW], stored[BS_CHUNK_STORED_MAX];
	struct bs_workspace *ws;
	struct bs_encoded enc;
	struct bs_blob blob;
	uint64_t no;
	size_t i;

	for (i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)(i * 7);
	assert_int_equal(bs_writer_begin_blob(w, BS_DTYPE_BYTES, NULL, 0,
					      sizeof(raw), &no, &blob),
			 BS_OK);
	assert_int_equal(bs_workspace_new(&ws), BS_OK);
	assert_int_equal(bs_chunk_encode(NULL, ws, 0, raw, sizeof(raw), stored,
					 &enc),
			 BS_OK);
	bs_workspace_free(ws);
	assert_int_equal(bs_writer_put_chunk(w, &enc, stored), BS_OK);
	assert_int_equal(bs_writer_end_blob(w, NULL), BS_OK);
}

static void add_entry(struct bs_writer *w, const struct entry *e)
{
	struct bs_extent ext = { .len = e->len };
	struct bs_member m = {
		.type = e->type,
		.mode = 0355,
		.mtime_ns = -1,
		.size = e->len,
		.name = e->name,
		.name_len = strlen(e->name),
		.target = e->target,
		.target_len = strlen(e->target),
		.n_extents = e->len > 0,
	};

	assert_int_equal(bs_writer_add_member(w, &m, &ext), BS_OK);
}

static void make_bundle(struct memory *box, const struct entry *entries,
			size_t n)
{
	struct bs_sink sink = { memory_pwrite, box };
	struct bs_writer *w;
	uint64_t len;
	size_t i;

	memset(box, 0, sizeof(*box));
	assert_int_equal(bs_writer_new(&w, BS_LEVEL_DEFAULT, &sink), BS_OK);
	add_blob(w);
	for (i = 0; i < n; i++)
		add_entry(w, &entries[i]);
	assert_int_equal(bs_writer_finish_bundle(w, 0750, -5, &len), BS_OK);
	assert_int_equal(len, box->len);
	bs_writer_free(w);
}

static void test_members(void **state)
{
	static const struct entry entries[] = {
		{ "a", "", BS_MEMBER_DIR, 0 },
		{ "a/x", "", BS_MEMBER_FILE, 100 },
		{ "a/x.y", "..", BS_MEMBER_SYMLINK, 0 },
		{ "a.b", "", BS_MEMBER_FILE, 0 },
		{ "hard", "a/x", BS_MEMBER_HARDLINK, 0 },
		{ "z", "", BS_MEMBER_FILE, 9 },
	};
	size_t n = sizeof(entries) / sizeof(*entries), i;
	const struct bs_summary *sum;
	struct bs_archive *ar;
	struct bs_source src;
	struct memory box;

	(void)state;
	make_bundle(&box, entries, n);
	src = memory_source(&box);
	assert_int_equal(bs_archive_open(&ar, &src, NULL), BS_OK);
	sum = bs_archive_summary(ar);
	assert_int_equal(sum->is_bundle, 1);
	assert_int_equal(sum->mode, 0750);
	assert_int_equal(sum->mtime_ns, -5);
	assert_int_equal(sum->size, 109);
	assert_int_equal(bs_archive_n_members(ar), n);
	for (i = 0; i < n; i++) {
		struct bs_member m;

		bs_archive_member(ar, i, &m);
		assert_int_equal(m.type, entries[i].type);
		assert_int_equal(m.mode, 0355);
		assert_int_equal(m.mtime_ns, -1);
		assert_int_equal(m.size, entries[i].len);
		assert_int_equal(m.name_len, strlen(entries[i].name));
		assert_memory_equal(m.name, entries[i].name, m.name_len);
		assert_int_equal(m.target_len, strlen(entries[i].target));
		assert_memory_equal(m.target, entries[i].target, m.target_len);
	}
	bs_archive_close(ar);
	free(box.p);
}

/* Finding by path, and stepping over what is below a directory. */
static void test_paths(void **state)
{
	static const struct entry entries[] = {
		{ "a", "", BS_MEMBER_DIR, 0 },
		{ "a/b", "", BS_MEMBER_DIR, 0 },
		{ "a/b/c", "", BS_MEMBER_FILE, 3 },
		{ "a/b/d", "", BS_MEMBER_FILE, 0 },
		{ "a/b.c", "", BS_MEMBER_FILE, 0 },
		{ "a-b", "", BS_MEMBER_FILE, 0 },
		{ "ab", "", BS_MEMBER_DIR, 0 },
		{ "ab/z", "", BS_MEMBER_FILE, 3 },
	};
	static const uint64_t next[] = { 5, 4, 3, 4, 5, 6, 8, 8 };
	static const char *const absent[] = { "",      "a/",	 "a/b/",
					      "a/b/e", "b",	 "A",
					      "ab/",   "ab/z/z", "a/b/c/" };
	size_t n = sizeof(entries) / sizeof(*entries), i;
	struct bs_archive *ar;
	struct bs_source src;
	struct memory box;

	(void)state;
	make_bundle(&box, entries, n);
	src = memory_source(&box);
	assert_int_equal(bs_archive_open(&ar, &src, NULL), BS_OK);
	for (i = 0; i < n; i++) {
		const char *name = entries[i].name;

		assert_int_equal(bs_archive_find(ar, name, strlen(name)), i);
		assert_int_equal(bs_archive_skip(ar, i), next[i]);
	}
	for (i = 0; i < sizeof(absent) / sizeof(*absent); i++)
		assert_int_equal(
			bs_archive_find(ar, absent[i], strlen(absent[i])), n);
	bs_archive_close(ar);
	free(box.p);
}

/* Names that would lead out of the bundle, and trees that are none. */
static void test_bad_bundles(void **state)
{
	static const struct entry bad[][2] = {
		{ { "..", "", BS_MEMBER_DIR, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "/etc", "", BS_MEMBER_DIR, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "", BS_MEMBER_DIR, 0 },
		  { "a/../z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "", BS_MEMBER_DIR, 0 },
		  { "a/./z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "", BS_MEMBER_DIR, 0 },
		  { "a//z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "", BS_MEMBER_DIR, 0 },
		  { "a/", "", BS_MEMBER_FILE, 4 } },
		{ { "", "", BS_MEMBER_DIR, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } },
		{ { ".", "", BS_MEMBER_DIR, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "z", "", BS_MEMBER_DIR, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } }, /* twice */
		{ { "z", "", BS_MEMBER_DIR, 0 },
		  { "a", "", BS_MEMBER_FILE, 4 } }, /* order */
		{ { "a.b", "", BS_MEMBER_DIR, 0 },
		  { "a/b", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "", BS_MEMBER_DIR, 0 },
		  { "b/z", "", BS_MEMBER_FILE, 4 } }, /* parent */
		{ { "a", "x", BS_MEMBER_SYMLINK, 0 },
		  { "a/z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "", BS_MEMBER_FILE, 0 },
		  { "a/z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "b", BS_MEMBER_HARDLINK, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "a", BS_MEMBER_HARDLINK, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "", BS_MEMBER_SYMLINK, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "z", BS_MEMBER_DIR, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "/z", BS_MEMBER_SYMLINK, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } }, /* links */
		{ { "a", "../z", BS_MEMBER_SYMLINK, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "z/../..", BS_MEMBER_SYMLINK, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "./a", BS_MEMBER_SYMLINK, 0 },
		  { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "", 5, 0 }, { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "", 0, 0 }, { "z", "", BS_MEMBER_FILE, 4 } },
		{ { "a", "", BS_MEMBER_FILE, 0 },
		  { "z", "", BS_MEMBER_DIR, 4 } },
	};
	struct bs_error err;
	struct memory box;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct bs_archive *ar;
		struct bs_source src;

		make_bundle(&box, bad[i], 2);
		src = memory_source(&box);
		if (bs_archive_open(&ar, &src, &err) != BS_ERR_CORRUPT)
			fail_msg("bundle %zu is not refused", i);
		free(box.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_bad_bundles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
