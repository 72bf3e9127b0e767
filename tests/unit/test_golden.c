/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_golden.c - the library reads the golden containers as the document
 * says: the good ones to the bytes and fields that are noted beside them, the
 * others to exactly the result that is noted for them
 *
 * tests/golden/make.py says how each was made.
 */

#include "test.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>

#define PATH_LEN 256

/* Bytes that grow; NUL-terminated for people. */
struct text {
	char *p;
	size_t len;
};

static void text_add(struct text *t, const void *p, size_t len)
{
	t->p = realloc(t->p, t->len + len + 1);
	assert_non_null(t->p);
	memcpy(t->p + t->len, p, len);
	t->len += len;
	t->p[t->len] = 0;
}

__attribute__((format(printf, 2, 3))) static void
text_printf(struct text *t, const char *format, ...)
{
	char line[256];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	assert_in_range(n, 0, sizeof(line) - 1);
	text_add(t, line, (size_t)n);
}

/* ---- A container, read whole ------------------------------------------- */

struct reading {
	struct memory file; /* borrowed */
	struct bs_source src;
	struct bs_error err;
	struct bs_archive *ar;
	struct bs_workspace *ws;
	struct bs_page **pages; /* by number; NULL until needed */
	uint8_t **blobs; /* decoded */
};

static void reading_fini(struct reading *r)
{
	uint64_t i;

	for (i = 0; r->pages && i < bs_archive_n_pages(r->ar); i++)
		bs_page_free(r->pages[i]);
	for (i = 0; r->blobs && i < bs_archive_n_blobs(r->ar); i++)
		free(r->blobs[i]);
	free(r->pages);
	free(r->blobs);
	bs_workspace_free(r->ws);
	bs_archive_close(r->ar);
}

static enum bs_result digest_check(enum bs_digest alg, const uint8_t *want,
				   const void *p, size_t len)
{
	uint8_t got[BS_DIGEST_MAX] = { 0 };
	struct bs_hash *h;

	if (alg == BS_DIGEST_NONE)
		return BS_OK;
	assert_int_equal(bs_hash_new(&h, alg), BS_OK);
	bs_hash_update(h, p, len);
	bs_hash_final(h, got);
	bs_hash_free(h);
	return memcmp(got, want, sizeof(got)) ? BS_ERR_CHECKSUM : BS_OK;
}

/* Decode between guard pages, so that one byte too far is a fault. */
static enum bs_result read_chunk(struct reading *r, const struct bs_blob *blob,
				 const struct bs_model *model, uint64_t no,
				 uint8_t *dst)
{
	uint64_t page = bs_archive_page_of(r->ar, no);
	struct guarded stored, raw;
	struct bs_chunk chunk;
	enum bs_result res;
	uint64_t off;
	size_t len;

	if (!r->pages[page])
		res = bs_page_load(r->ar, page, &r->pages[page], &r->err);
	else
		res = BS_OK;
	if (res)
		return res;
	bs_page_chunk(r->ar, r->pages[page], no, &chunk);
	bs_blob_chunk_range(blob, no, &off, &len);
	assert_int_equal(chunk.no, no);
	assert_int_equal(chunk.blob_off, off);
	assert_int_equal(chunk.raw_len, len);
	assert_int_equal(bs_blob_chunk_at(blob, off), no);
	assert_int_equal(bs_blob_chunk_at(blob, off + len - 1), no);
	assert_int_equal(bs_archive_blob_of_chunk(r->ar, no), chunk.blob);

	stored = guarded_new(chunk.stored_len);
	raw = guarded_new(chunk.raw_len);
	memory_pread(&r->file, stored.p, chunk.stored_len, chunk.stored_off);
	res = bs_chunk_check_stored(&chunk, stored.p);
	if (!res)
		res = bs_chunk_decode(&chunk, blob, model, r->ws, stored.p,
				      raw.p);
	if (!res)
		memcpy(dst + off, raw.p, len);
	guarded_free(&stored);
	guarded_free(&raw);
	return res;
}

static enum bs_result read_blob(struct reading *r, uint64_t i)
{
	enum bs_result res = BS_OK;
	struct bs_model *model = NULL;
	struct bs_blob blob;
	uint64_t k;

	bs_archive_blob(r->ar, i, &blob);
	r->blobs[i] = malloc(blob.len);
	assert_non_null(r->blobs[i]);
	/* The model goes after the pages, as a reader would have it. */
	for (k = 0; k < blob.n_chunks && !res; k++) {
		uint64_t no = blob.first_chunk + k;
		uint64_t page = bs_archive_page_of(r->ar, no);

		if (!r->pages[page])
			res = bs_page_load(r->ar, page, &r->pages[page],
					   &r->err);
	}
	if (!res && blob.model != BS_NO_MODEL)
		res = bs_model_load(r->ar, blob.model, &model, &r->err);
	for (k = 0; k < blob.n_chunks && !res; k++)
		res = read_chunk(r, &blob, model, blob.first_chunk + k,
				 r->blobs[i]);
	bs_model_free(model);
	if (!res)
		res = digest_check(blob.digest_alg, blob.digest, r->blobs[i],
				   blob.len);
	return res;
}

/* The member's bytes, and its line in the .sha256 file. */
static enum bs_result read_member(struct reading *r, const struct bs_member *m,
				  const struct text *name, struct text *sums)
{
	struct text bytes = { 0 };
	uint8_t sum[BS_DIGEST_MAX];
	enum bs_result res;
	struct bs_extent ext;
	struct bs_hash *h;
	uint64_t k;
	size_t i;

	text_add(&bytes, "", 0);
	for (k = 0; k < m->n_extents; k++) {
		uint64_t no = m->first_extent + k;

		bs_archive_extent(r->ar, no, &ext);
		assert_int_equal(ext.off, bytes.len);
		assert_int_equal(bs_member_extent_at(r->ar, m, ext.off), no);
		assert_int_equal(bs_member_extent_at(r->ar, m,
						     ext.off + ext.len - 1),
				 no);
		text_add(&bytes, r->blobs[ext.blob] + ext.blob_off, ext.len);
	}
	assert_int_equal(bytes.len, m->size);
	res = digest_check(m->digest_alg, m->digest, bytes.p, bytes.len);

	assert_int_equal(bs_hash_new(&h, BS_DIGEST_SHA256), BS_OK);
	bs_hash_update(h, bytes.p, bytes.len);
	bs_hash_final(h, sum);
	bs_hash_free(h);
	for (i = 0; i < sizeof(sum); i++)
		text_printf(sums, "%02x", sum[i]);
	text_add(sums, "  ", 2);
	text_add(sums, name->p, name->len);
	text_add(sums, "\n", 1);
	free(bytes.p);
	return res;
}

static enum bs_result read_members(struct reading *r, const char *stem,
				   struct text *list, struct text *sums)
{
	const struct bs_summary *sum = bs_archive_summary(r->ar);
	enum bs_result res = BS_OK;
	uint64_t i;

	for (i = 0; i < bs_archive_n_members(r->ar) && !res; i++) {
		struct text name = { 0 };
		struct bs_member m;

		bs_archive_member(r->ar, i, &m);
		if (!sum->is_bundle)
			text_printf(&name, "%s%s", stem, sum->suffix);
		text_add(&name, m.name, m.name_len);
		text_printf(list, "%c %o %lld %llu ", "?fdlh"[m.type], m.mode,
			    (long long)m.mtime_ns, (unsigned long long)m.size);
		text_add(list, name.p, name.len);
		if (m.target_len) {
			text_add(list, " -> ", 4);
			text_add(list, m.target, m.target_len);
		}
		text_add(list, "\n", 1);
		if (m.type == BS_MEMBER_FILE)
			res = read_member(r, &m, &name, sums);
		free(name.p);
	}
	return res;
}

/*
 * Read all of the container in 'file'; the first failure is the result.  'list'
 * and 'sums' become what the .list and .sha256 files beside it hold.
 */
static enum bs_result read_all(struct reading *r, struct memory *file,
			       const char *stem, struct text *list,
			       struct text *sums)
{
	struct bs_summary sum;
	enum bs_result res;
	uint64_t i;

	memset(r, 0, sizeof(*r));
	r->file = *file;
	r->src = memory_source(&r->file);
	res = bs_archive_open(&r->ar, &r->src, &r->err);
	if (res) {
		assert_null(r->ar);
		assert_int_equal(r->err.code, res);
		return res;
	}
	assert_int_equal(bs_peek(&r->src, &sum, NULL), BS_OK);
	assert_memory_equal(&sum, bs_archive_summary(r->ar), sizeof(sum));
	assert_int_equal(bs_workspace_new(&r->ws), BS_OK);
	r->pages = calloc(bs_archive_n_pages(r->ar) + 1, sizeof(*r->pages));
	r->blobs = calloc(bs_archive_n_blobs(r->ar) + 1, sizeof(*r->blobs));
	assert_non_null(r->pages);
	assert_non_null(r->blobs);
	for (i = 0; i < bs_archive_n_blobs(r->ar); i++) {
		res = read_blob(r, i);
		if (res)
			return res;
	}
	return read_members(r, stem, list, sums);
}

/* ---- Good --------------------------------------------------------------- */

static void expect_text(const char *stem, const char *end,
			const struct text *got)
{
	char path[PATH_LEN];
	struct memory want;

	snprintf(path, sizeof(path), "golden/good/%s.%s", stem, end);
	want = memory_load(path);
	if (want.len != got->len ||
	    (want.len && memcmp(want.p, got->p, want.len) != 0))
		fail_msg("%s differs; read was:\n%s", path,
			 got->p ? got->p : "");
	free(want.p);
}

static void check_good(const char *stem)
{
	struct text list = { 0 }, sums = { 0 };
	char path[PATH_LEN];
	struct reading r;
	struct memory m;
	enum bs_result res;

	snprintf(path, sizeof(path), "golden/good/%s.bs", stem);
	m = memory_load(path);
	res = read_all(&r, &m, stem, &list, &sums);
	if (res)
		fail_msg("%s: %s: %s", path, bs_result_name(res), r.err.text);
	expect_text(stem, "list", &list);
	expect_text(stem, "sha256", &sums);
	assert_int_equal(bs_archive_is_degraded(r.ar),
			 strncmp(stem, "first-block-", 12) == 0);
	reading_fini(&r);
	free(list.p);
	free(sums.p);
	free(m.p);
}

static void test_good(void **state)
{
	DIR *dir = opendir("golden/good");
	const struct dirent *ent;
	size_t n = 0;

	(void)state;
	assert_non_null(dir);
	while ((ent = readdir(dir)) != NULL) {
		size_t len = strlen(ent->d_name);
		char stem[PATH_LEN / 2];

		if (len < 4 || len >= sizeof(stem) ||
		    strcmp(ent->d_name + len - 3, ".bs") != 0)
			continue;
		memcpy(stem, ent->d_name, len - 3);
		stem[len - 3] = 0;
		check_good(stem);
		n++;
	}
	closedir(dir);
	assert_true(n >= 20);
}

/* ---- Bad, and of the future --------------------------------------------- */

static int check_refused(const char *folder, const char *file, const char *want)
{
	struct text list = { 0 }, sums = { 0 };
	char path[PATH_LEN];
	struct reading r;
	struct memory m;
	enum bs_result res;
	int is_right;

	snprintf(path, sizeof(path), "golden/%s/%s", folder, file);
	m = memory_load(path);
	res = read_all(&r, &m, "x", &list, &sums);
	is_right = strcmp(bs_result_name(res), want) == 0;
	if (!is_right)
		print_error("%s: %s (%s) instead of %s\n", path,
			    bs_result_name(res), r.err.text, want);
	reading_fini(&r);
	free(list.p);
	free(sums.p);
	free(m.p);
	return is_right;
}

/* Every line of FOLDER/expect.txt: a file and the name of a result. */
static void check_folder(const char *folder, size_t n_least)
{
	char path[PATH_LEN], line[PATH_LEN], file[PATH_LEN / 2], want[64];
	size_t n = 0, n_wrong = 0;
	FILE *f;

	snprintf(path, sizeof(path), "golden/%s/expect.txt", folder);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		assert_int_equal(sscanf(line, "%127s %63s", file, want), 2);
		n_wrong += !check_refused(folder, file, want);
		n++;
	}
	fclose(f);
	assert_int_equal(n_wrong, 0);
	assert_true(n >= n_least);
}

static void test_bad(void **state)
{
	(void)state;
	check_folder("bad", 80);
}

static void test_future(void **state)
{
	(void)state;
	check_folder("future", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_future),
	};

	need_kernels();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
