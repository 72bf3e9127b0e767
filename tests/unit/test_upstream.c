/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_upstream.c - files of BigSmall (Python) give the bytes they were made of,
 * from any place and in any order; cut, flipped or hostile ones give an error or
 * those bytes
 *
 * tests/loaders/upstream_make.py says how the files in golden/upstream were made.
 */
#include "../test.h"

#include <dirent.h>
#include <stdio.h>

#define FOLDER "golden/upstream"
#define PATH_LEN 300

static struct bs_workspace *ws;

static struct memory load(const char *name)
{
	char path[PATH_LEN + sizeof(FOLDER)];

	snprintf(path, sizeof(path), "%s/%s", FOLDER, name);
	return memory_load(path);
}

static int is_container(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && (!strcmp(dot, ".bs") || !strcmp(dot, ".bsd"));
}

/* Run 'check' with each file. */
static unsigned for_each(void (*check)(const char *name))
{
	struct dirent **entries;
	int n = scandir(FOLDER, &entries, is_container, alphasort), i;

	assert_true(n > 0);
	for (i = 0; i < n; i++) {
		check(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return (unsigned)n;
}

/* ---- Reading ------------------------------------------------------------- */

/* One chunk, by whatever model there is. */
static enum bs_result read_chunk(const struct bs_archive *ar,
				 const struct bs_model *model, uint64_t no,
				 uint8_t *dst)
{
	struct bs_chunk c;
	struct bs_page *page;
	struct bs_blob b;
	enum bs_result res;

	res = bs_page_load(ar, bs_archive_page_of(ar, no), &page, NULL);
	assert_int_equal(res, BS_OK);
	bs_page_chunk(ar, page, no, &c);
	bs_page_free(page);
	assert_int_equal(c.coding, BS_CODING_UPSTREAM);
	bs_archive_blob(ar, c.blob, &b);
	return bs_chunk_decode(&c, &b, model, ws, NULL, dst + c.blob_off);
}

/* Blob 'no', all its chunks in order, into 'dst'. */
static enum bs_result read_blob(const struct bs_archive *ar, uint64_t no,
				uint8_t *dst)
{
	struct bs_error err = { 0 };
	struct bs_model *model;
	struct bs_blob b;
	enum bs_result res;
	uint64_t i;

	bs_archive_blob(ar, no, &b);
	res = bs_model_load(ar, b.model, &model, &err);
	assert_int_equal(res, err.code);
	assert_int_equal(!!err.text[0], res != BS_OK);
	for (i = 0; i < b.n_chunks && !res; i++)
		res = read_chunk(ar, model, b.first_chunk + i, dst);
	bs_model_free(model);
	return res;
}

/* All of the virtual file; *ret is malloced where BS_OK is returned. */
static enum bs_result read_all(const struct bs_archive *ar, uint8_t **ret,
			       size_t *ret_len)
{
	enum bs_result res = BS_OK;
	struct bs_member m;
	uint64_t i;

	bs_archive_member(ar, 0, &m);
	*ret_len = (size_t)m.size;
	*ret = malloc(*ret_len + 1);
	assert_non_null(*ret);
	for (i = 0; i < m.n_extents && !res; i++) {
		struct bs_extent e;

		bs_archive_extent(ar, i, &e);
		assert_int_equal(e.blob_off, 0);
		res = read_blob(ar, e.blob, *ret + e.off);
	}
	if (res)
		free(*ret);
	return res;
}

static void check_digest(const char *name, const uint8_t *raw, size_t len)
{
	uint8_t digest[BS_DIGEST_MAX];
	char hex[2 * BS_DIGEST_MAX + 1], path[PATH_LEN];
	struct memory want;
	struct bs_hash *h;
	unsigned i;

	assert_int_equal(bs_hash_new(&h, BS_DIGEST_SHA256), BS_OK);
	bs_hash_update(h, raw, len);
	bs_hash_final(h, digest);
	bs_hash_free(h);
	for (i = 0; i < BS_DIGEST_MAX; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	snprintf(path, sizeof(path), "%.*s.sha256",
		 (int)(strrchr(name, '.') - name), name);
	want = load(path);
	assert_int_equal(want.len, 65);
	if (memcmp(want.p, hex, 64) != 0)
		fail_msg("%s gives %s", name, hex);
	free(want.p);
}

/* ---- What they give ------------------------------------------------------ */

static int append(void *ctx, uint64_t off, const void *data, size_t len)
{
	struct memory *m = ctx;

	assert_int_equal(off, m->len);
	return memory_pwrite(m, data, len, off);
}

/* A blob in one go. */
static enum bs_result decode(const struct bs_archive *ar, uint64_t blob,
			     int (*take)(void *ctx, uint64_t off,
					 const void *data, size_t len),
			     void *ctx)
{
	struct bs_upstream_job job = { .blob = blob, .take = take, .ctx = ctx };

	bs_upstream_decode(ar, &job, 1);
	return job.res;
}

/* In one go, as decompressing does. */
static void check_decode(const struct bs_archive *ar, const uint8_t *raw)
{
	struct bs_member m;
	uint64_t i;

	bs_archive_member(ar, 0, &m);
	for (i = 0; i < m.n_extents; i++) {
		struct memory got = { 0 };
		struct bs_extent e;

		bs_archive_extent(ar, i, &e);
		assert_int_equal(decode(ar, e.blob, append, &got), BS_OK);
		assert_int_equal(got.len, e.len);
		assert_memory_equal(got.p, raw + e.off, e.len);
		free(got.p);
	}
}

/* Kept whole, or decoded again from what was noted: the same. */
static void check_good(const char *name)
{
	struct memory box = load(name);
	struct bs_source src = memory_source(&box);
	struct bs_summary sum;
	struct bs_archive *ar;
	unsigned way;
	uint8_t *raw;
	size_t len;

	assert_int_equal(bs_peek(&src, &sum, NULL), BS_OK);
	for (way = 0; way < 2; way++) {
		assert_int_equal(bs_archive_open(&ar, &src, NULL), BS_OK);
		bs_archive_keep_whole(ar, way ? UINT64_MAX : 0);
		assert_int_equal(read_all(ar, &raw, &len), BS_OK);
		assert_true(sum.is_upstream);
		assert_int_equal(sum.size, len);
		assert_string_equal(sum.suffix, ".safetensors");
		check_digest(name, raw, len);
		check_decode(ar, raw);
		free(raw);
		bs_archive_close(ar);
	}
	free(box.p);
}

static void test_good(void **state)
{
	(void)state;
	assert_true(for_each(check_good) >= 9);
}

/* All blobs of a file at once, of whatever codecs and lengths. */
struct together {
	struct bs_upstream_job *jobs; /* [n] */
	struct memory *got; /* [n] */
	unsigned n;
};

static void together_new(struct together *t, const struct bs_archive *ar)
{
	unsigned i;

	t->n = (unsigned)bs_archive_n_blobs(ar);
	t->jobs = calloc(t->n, sizeof(*t->jobs));
	t->got = calloc(t->n, sizeof(*t->got));
	assert_non_null(t->jobs);
	assert_non_null(t->got);
	for (i = 0; i < t->n; i++)
		t->jobs[i] = (struct bs_upstream_job){ .blob = i,
						       .take = append,
						       .ctx = &t->got[i] };
	bs_upstream_decode(ar, t->jobs, t->n);
}

static void together_free(struct together *t)
{
	unsigned i;

	for (i = 0; i < t->n; i++)
		free(t->got[i].p);
	free(t->jobs);
	free(t->got);
}

/* One that is damaged takes no other along. */
static void check_damage(struct memory *box, const struct bs_archive *ar,
			 const struct together *good, unsigned bad)
{
	struct bs_upstream up;
	struct together now;
	uint8_t *at;
	unsigned i;

	assert_true(bs_archive_upstream(ar, bad, &up));
	if (!up.stored_len)
		return;
	at = box->p + up.stored_off + up.stored_len / 3;
	*at ^= 0x55;
	together_new(&now, ar);
	for (i = 0; i < good->n; i++) {
		if (i == bad) {
			assert_int_not_equal(now.jobs[i].res, BS_OK);
			continue;
		}
		assert_int_equal(now.jobs[i].res, BS_OK);
		assert_int_equal(now.got[i].len, good->got[i].len);
		assert_memory_equal(now.got[i].p, good->got[i].p,
				    now.got[i].len);
	}
	together_free(&now);
	*at ^= 0x55;
}

static void check_together(const char *name)
{
	struct memory box = load(name);
	struct bs_source src = memory_source(&box);
	struct bs_archive *ar;
	struct together good;
	unsigned i;

	assert_int_equal(bs_archive_open(&ar, &src, NULL), BS_OK);
	together_new(&good, ar);
	for (i = 0; i < good.n; i++) {
		struct memory want = { 0 };

		assert_int_equal(good.jobs[i].res, BS_OK);
		assert_int_equal(decode(ar, i, append, &want), BS_OK);
		assert_int_equal(good.got[i].len, want.len);
		assert_memory_equal(good.got[i].p, want.p, want.len);
		free(want.p);
	}
	for (i = 1; i < good.n; i++)
		check_damage(&box, ar, &good, i);
	together_free(&good);
	bs_archive_close(ar);
	free(box.p);
}

static void test_together(void **state)
{
	(void)state;
	for_each(check_together);
}

/* Models of all blobs at once, and chunks of any of them in any order, which
 * leads one workspace from tensor to tensor. */
static void check_order(const char *name)
{
	struct memory box = load(name);
	struct bs_source src = memory_source(&box);
	struct bs_model **models;
	struct bs_archive *ar;
	uint64_t seed = 5, n, i;
	struct bs_blob b;

	assert_int_equal(bs_archive_open(&ar, &src, NULL), BS_OK);
	bs_archive_keep_whole(ar, 0);
	n = bs_archive_n_blobs(ar);
	models = calloc(n, sizeof(*models));
	assert_non_null(models);
	for (i = 0; i < n; i++) {
		bs_archive_blob(ar, i, &b);
		assert_int_equal(bs_model_load(ar, b.model, &models[i], NULL),
				 BS_OK);
	}
	for (i = 0; i < 200; i++) {
		uint64_t no = random_u64(&seed) % bs_archive_n_chunks(ar);
		uint64_t blob = bs_archive_blob_of_chunk(ar, no), off;
		struct memory want = { 0 };
		size_t len;
		uint8_t *got;

		bs_archive_blob(ar, blob, &b);
		got = malloc(b.len);
		assert_non_null(got);
		bs_blob_chunk_range(&b, no, &off, &len);
		assert_int_equal(read_chunk(ar, models[blob], no, got), BS_OK);
		assert_int_equal(decode(ar, blob, append, &want), BS_OK);
		assert_memory_equal(got + off, want.p + off, len);
		free(want.p);
		free(got);
	}
	for (i = 0; i < n; i++)
		bs_model_free(models[i]);
	free(models);
	bs_archive_close(ar);
	free(box.p);
}

static void test_order(void **state)
{
	(void)state;
	for_each(check_order);
}

/* ---- Damage -------------------------------------------------------------- */

static uint32_t header_len(const struct memory *box)
{
	uint32_t len;

	memcpy(&len, box->p + 6, sizeof(len));
	return len + 10;
}

/* Open and read what opens: an error, or for all tensors what was there before;
 * 'good' is NULL where the header may say otherwise. */
static enum bs_result read_hostile(struct memory *box, const uint8_t *good)
{
	struct bs_source src = memory_source(box);
	struct bs_error err = { 0 };
	struct bs_archive *ar;
	struct bs_member m;
	enum bs_result worst = BS_OK, res;
	uint64_t i;

	res = bs_archive_open(&ar, &src, &err);
	assert_int_equal(res, err.code);
	assert_int_equal(!!err.text[0], res != BS_OK);
	if (res)
		return res;
	bs_archive_keep_whole(ar, 100000);
	bs_archive_member(ar, 0, &m);
	for (i = 0; i < m.n_extents; i++) {
		struct bs_extent e;
		uint8_t *raw;

		bs_archive_extent(ar, i, &e);
		/* A header may claim any size, and memory is given late. */
		if (e.len > 1 << 24) {
			res = decode(ar, e.blob, NULL, NULL);
			assert_int_not_equal(res, BS_OK);
			continue;
		}
		raw = malloc(e.len);
		assert_non_null(raw);
		res = read_blob(ar, e.blob, raw);
		if (res)
			worst = res;
		else if (good)
			assert_memory_equal(raw, good + e.off, e.len);
		free(raw);
	}
	bs_archive_close(ar);
	return worst;
}

static void check_cut(const char *name)
{
	struct memory box = load(name);
	uint32_t head = header_len(&box);
	uint64_t seed = 3;
	unsigned i;

	for (i = 0; i < rounds(60); i++) {
		uint64_t limit = i % 2 ? head : box.len;
		size_t len = random_u64(&seed) % limit;
		struct guarded g = guarded_new(len);
		struct memory cut = { g.p, len };

		memcpy(g.p, box.p, len);
		assert_int_not_equal(read_hostile(&cut, NULL), BS_OK);
		guarded_free(&g);
	}
	free(box.p);
}

static void test_cut(void **state)
{
	(void)state;
	for_each(check_cut);
}

/* Bits and whole bytes, many of them where tables begin. */
static void check_flips(const char *name)
{
	struct memory box = load(name);
	struct bs_source src = memory_source(&box);
	uint32_t head = header_len(&box);
	uint64_t seed = 11;
	struct bs_archive *ar;
	unsigned i, n_bad = 0, n_data = 0;
	uint8_t *good;
	size_t len;

	assert_int_equal(bs_archive_open(&ar, &src, NULL), BS_OK);
	assert_int_equal(read_all(ar, &good, &len), BS_OK);
	for (i = 0; i < rounds(120) && box.len > head; i++) {
		uint64_t r = random_u64(&seed), blob = r % 7;
		size_t at = (size_t)(r >> 8) % box.len;
		struct bs_upstream up;
		uint8_t was;

		blob = bs_archive_n_blobs(ar) * (r >> 40 & 255) / 256;
		if (i % 2 && bs_archive_upstream(ar, blob, &up) &&
		    up.stored_len)
			at = up.stored_off + (r >> 8) % up.stored_len % 200;
		was = box.p[at];
		box.p[at] ^= (uint8_t)(i % 3 ? 1u << (r & 7) : r & 255);
		if (was != box.p[at] && at >= head) {
			n_data++;
			n_bad += read_hostile(&box, good) != BS_OK;
		} else {
			read_hostile(&box, NULL);
		}
		box.p[at] = was;
	}
	/* Some bits of a coder's last words are of no use. */
	assert_true(n_bad * 10 >= n_data * 9);
	bs_archive_close(ar);
	free(good);
	free(box.p);
}

static void test_flips(void **state)
{
	(void)state;
	for_each(check_flips);
}

/* ---- Headers ------------------------------------------------------------- */

/* A file with this header and 'len' bytes after it. */
static enum bs_result open_text(const char *json, const char *data, size_t len)
{
	size_t n = strlen(json);
	struct memory box = { malloc(10 + n + len), 10 + n + len };
	uint32_t head = (uint32_t)n;
	enum bs_result res;

	assert_non_null(box.p);
	memcpy(box.p, "BGSM\1\0", 6);
	memcpy(box.p + 6, &head, 4);
	memcpy(box.p + 10, json, n);
	if (len)
		memcpy(box.p + 10 + n, data, len);
	res = read_hostile(&box, NULL);
	free(box.p);
	return res;
}

#define MD5_ABCD "e2fc714c4727ee9395f324cd2e7f331f"
#define TENSOR(name, dtype, shape, codec, off, len, md5)                  \
	"{\"name\":\"" name "\",\"dtype\":\"" dtype "\",\"shape\":" shape \
	",\"codec\":\"" codec "\",\"compressed_bytes\":" len              \
	",\"offset\":" off ",\"md5\":\"" md5                              \
	"\",\"extra\":{\"tied_to\":\"w\"}}"
#define FILE_OF(list) "{\"x\":[1],\"tensors\":[" list "]}"
#define W TENSOR("w", "uint8", "[4]", "raw", "0", "4", MD5_ABCD)

static void test_headers(void **state)
{
	static const struct {
		const char *json;
		enum bs_result res;
	} cases[] = {
		{ FILE_OF(W), BS_OK },
		{ FILE_OF(W) " \n", BS_OK },
		{ FILE_OF(TENSOR("w", "uint8", "[2,2]", "raw", "0", "4",
				 MD5_ABCD)),
		  BS_OK },
		/* a codec, a dtype that we lack */
		{ FILE_OF(TENSOR("w", "uint8", "[4]", "bf16_v8", "0", "4",
				 MD5_ABCD)),
		  BS_ERR_FEATURE },
		{ FILE_OF(TENSOR("w", "uint8", "[4]", "zstd_xor_delta", "0",
				 "4", MD5_ABCD)),
		  BS_ERR_FEATURE },
		{ FILE_OF(TENSOR("w", "quint8", "[4]", "raw", "0", "4",
				 MD5_ABCD)),
		  BS_ERR_FEATURE },
		/* other bytes than the MD5 says */
		{ FILE_OF(TENSOR("w", "uint8", "[4]", "raw", "0", "4",
				 "00000000000000000000000000000000")),
		  BS_ERR_CHECKSUM },
		/* no MD5, shapes and lengths that are none or contradict */
		{ FILE_OF(TENSOR("w", "uint8", "[4]", "raw", "0", "4", "")),
		  BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("w", "uint8", "[5]", "raw", "0", "4",
				 MD5_ABCD)),
		  BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("w", "uint8", "[-4]", "raw", "0", "4",
				 MD5_ABCD)),
		  BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("w", "uint8", "[4.5]", "raw", "0", "4",
				 MD5_ABCD)),
		  BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("w", "uint8",
				 "[4294967296,4294967296,4294967296]", "raw",
				 "0", "4", MD5_ABCD)),
		  BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("w", "uint8", "[4503599627370496,2048]", "raw",
				 "0", "4", MD5_ABCD)),
		  BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("w", "float4_e2m1fn_x2", "[]", "raw", "0", "1",
				 MD5_ABCD)),
		  BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("w", "uint8", "[4]", "raw", "1", "4",
				 MD5_ABCD)),
		  BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("w", "uint8", "[4]", "raw", "9007199254740992",
				 "4", MD5_ABCD)),
		  BS_ERR_CORRUPT },
		/* ties: to a tensor, to nothing, to itself, to another size */
		{ FILE_OF(W "," TENSOR("t", "int32", "[1]", "tied_ref", "0",
				       "0", MD5_ABCD)),
		  BS_OK },
		{ FILE_OF(TENSOR("t", "uint8", "[4]", "tied_ref", "0", "0",
				 MD5_ABCD)),
		  BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("w", "uint8", "[4]", "tied_ref", "0", "0",
				 MD5_ABCD)),
		  BS_ERR_CORRUPT },
		{ FILE_OF(W "," TENSOR("t", "uint8", "[3]", "tied_ref", "0",
				       "0", MD5_ABCD)),
		  BS_ERR_CORRUPT },
		/* one name twice, a name that is none, one that is taken */
		{ FILE_OF(W "," W), BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("a\\u0000b", "uint8", "[4]", "raw", "0", "4",
				 MD5_ABCD)),
		  BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("a\xff", "uint8", "[4]", "raw", "0", "4",
				 MD5_ABCD)),
		  BS_ERR_CORRUPT },
		{ FILE_OF(TENSOR("__metadata__", "uint8", "[4]", "raw", "0",
				 "4", MD5_ABCD)),
		  BS_ERR_CORRUPT },
		/* no such header */
		{ "", BS_ERR_CORRUPT },
		{ "[]", BS_ERR_CORRUPT },
		{ "{}", BS_ERR_CORRUPT },
		{ "{\"tensors\":{}}", BS_ERR_CORRUPT },
		{ FILE_OF("1"), BS_ERR_CORRUPT },
		{ FILE_OF(W) "x", BS_ERR_CORRUPT },
		{ "{\"tensor_count\":2,\"tensors\":[" W "]}", BS_ERR_CORRUPT },
		{ "{\"safetensors_metadata\":[],\"tensors\":[" W "]}",
		  BS_ERR_CORRUPT },
		{ "{\"safetensors_metadata\":{\"a\":1},\"tensors\":[" W "]}",
		  BS_ERR_CORRUPT },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		enum bs_result res = open_text(cases[i].json, "abcd", 4);

		if (res != cases[i].res)
			fail_msg("%s: %s", cases[i].json, bs_result_name(res));
	}
}

/* ---- Indexes of shards --------------------------------------------------- */

/* A shard with what an index says of it: how many extents it has then, or 0 if
 * either cannot be read. */
static uint64_t open_with(struct memory *index, struct memory *box)
{
	struct bs_source src = memory_source(index);
	struct bs_index *ix;
	struct bs_archive *ar;
	struct bs_member m = { 0 };
	uint8_t *raw;
	size_t len;

	if (bs_index_read(&ix, &src, NULL) != BS_OK)
		return 0;
	src = memory_source(box);
	src.index = ix;
	if (bs_archive_open(&ar, &src, NULL) == BS_OK) {
		/* the index is not needed any more */
		bs_index_free(ix);
		ix = NULL;
		bs_archive_member(ar, 0, &m);
		assert_int_equal(read_all(ar, &raw, &len), BS_OK);
		free(raw);
		bs_archive_close(ar);
	}
	bs_index_free(ix);
	return m.n_extents;
}

static void test_index(void **state)
{
	struct memory index = load("hub/" BS_INDEX_NAME);
	struct memory box = load("hub/model-00001-of-00002.bs");
	struct bs_source src = memory_source(&index);
	uint64_t seed = 9;
	struct bs_archive *ar;
	uint8_t *raw;
	unsigned i;
	size_t len;

	(void)state;
	/* the header, five tensors and two that are equal to some of them */
	assert_int_equal(open_with(&index, &box), 8);
	src.is_index = 1;
	assert_int_equal(bs_archive_open(&ar, &src, NULL), BS_OK);
	assert_int_equal(read_all(ar, &raw, &len), BS_OK);
	assert_true(len > 100 && raw[0] == '{' && raw[len - 1] == '\n');
	free(raw);
	bs_archive_close(ar);
	for (i = 0; i < rounds(3000); i++) {
		uint64_t r = random_u64(&seed);
		uint8_t *p = &index.p[(r >> 32) % index.len], was = *p;

		*p = (uint8_t)(i % 2 ? was ^ 1u << (r & 7) : r & 127);
		assert_true(open_with(&index, &box) <= 8);
		if (bs_archive_open(&ar, &src, NULL) == BS_OK)
			bs_archive_close(ar);
		*p = was;
	}
	free(index.p);
	free(box.p);
}

static void test_preamble(void **state)
{
	static const uint8_t version3[] = "BGSM\3\0\2\0\0\0{}";
	static const uint8_t too_long[] = "BGSM\1\0\3\0\0\0{}";
	uint8_t copy[12];
	struct memory box = { copy, 12 };
	size_t len;

	(void)state;
	memcpy(copy, version3, 12);
	assert_int_equal(read_hostile(&box, NULL), BS_ERR_VERSION);
	memcpy(copy, too_long, 12);
	assert_int_equal(read_hostile(&box, NULL), BS_ERR_TRUNCATED);
	for (len = 4; len < 12; len++) {
		box.len = len;
		assert_int_equal(read_hostile(&box, NULL), BS_ERR_TRUNCATED);
	}
	for (len = 0; len < 4; len++) {
		box.len = len;
		assert_int_equal(read_hostile(&box, NULL), BS_ERR_MAGIC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	 cmocka_unit_test(test_order),
		cmocka_unit_test(test_together), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_flips),	 cmocka_unit_test(test_headers),
		cmocka_unit_test(test_preamble), cmocka_unit_test(test_index),
	};
	int failed;

	if (bs_workspace_new(&ws))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	bs_workspace_free(ws);
	return failed;
}
