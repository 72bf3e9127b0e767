/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_archive.c - what the writer wrote the reader gives back; a container
 * that is cut, flipped in any bit or hostile gives an error or exactly the
 * original bytes; a source that fails is BS_ERR_IO
 */
#include "../test.h"

#include "checksum.h"
#include "format.h"
#include "superblock.h"

#include <errno.h>
#include <stdio.h>
#define MODE 0640
#define MTIME INT64_C(-1234567890123456789)
#define SUFFIX ".safetensors"
static struct bs_workspace *ws;
/* A blob to be; the file is all of them, the first one once more at its end. */
struct part {
	unsigned dtype;
	size_t len;
};

struct file {
	uint8_t *raw;
	size_t len;
	size_t n_parts;
	struct memory box;
};

static void fill(uint8_t *p, size_t len, unsigned dtype, uint64_t *seed)
{
	size_t unit = bs_dtype_unit(dtype), i;

	for (i = 0; i + unit <= len; i += unit) {
		float f = random_normal(seed) * 0.02f;
		uint64_t v;
		uint32_t u;

		memcpy(&u, &f, sizeof(u));
		v = unit == 2 ? u >> 16 : u;
		memcpy(p + i, &v, unit);
	}
	for (; i < len; i++)
		p[i] = (uint8_t)random_u64(seed);
}

static void put_blob(struct bs_writer *w, unsigned dtype, uint64_t off,
		     const uint8_t *raw, size_t len, uint64_t *ret)
{
	uint8_t *stored = malloc(BS_CHUNK_STORED_MAX), digest[16];
	struct bs_coder *coder;
	struct bs_encoded enc;
	struct bs_stats *st;
	struct bs_hash *h;
	struct bs_blob b;
	uint64_t c, at;
	size_t n;

	assert_non_null(stored);
	assert_int_equal(bs_stats_new(&st, BS_LEVEL_DEFAULT), BS_OK);
	assert_int_equal(bs_stats_begin(st, dtype, len, 0), BS_OK);
	bs_stats_add(st, raw, len);
	assert_int_equal(bs_coder_new(&coder, st), BS_OK);
	bs_stats_free(st);
	assert_int_equal(bs_writer_begin_blob(w, dtype, coder, off, len, ret,
					      &b),
			 BS_OK);
	for (c = b.first_chunk; c < b.first_chunk + b.n_chunks; c++) {
		bs_blob_chunk_range(&b, c, &at, &n);
		assert_int_equal(bs_chunk_encode(coder, ws, at, raw + at, n,
						 stored, &enc),
				 BS_OK);
		assert_int_equal(bs_writer_put_chunk(w, &enc, stored), BS_OK);
	}
	assert_int_equal(bs_hash_new(&h, BS_DIGEST_XXH3_128), BS_OK);
	bs_hash_update(h, raw, len);
	bs_hash_final(h, digest);
	bs_hash_free(h);
	assert_int_equal(bs_writer_end_blob(w, digest), BS_OK);
	bs_coder_free(coder);
	free(stored);
}

static void put_member(struct bs_writer *w, const struct file *f,
		       struct bs_extent *ext)
{
	struct bs_member m = { .type = BS_MEMBER_FILE, .name = "" };
	struct bs_hash *h;

	m.mode = MODE;
	m.mtime_ns = MTIME;
	m.size = f->len;
	m.n_extents = f->n_parts ? f->n_parts + 1 : 0;
	m.digest_alg = BS_DIGEST_SHA256;
	assert_int_equal(bs_hash_new(&h, BS_DIGEST_SHA256), BS_OK);
	bs_hash_update(h, f->raw, f->len);
	bs_hash_final(h, m.digest);
	bs_hash_free(h);
	assert_int_equal(bs_writer_add_member(w, &m, ext), BS_OK);
}

static void file_new(struct file *f, const struct part *parts, size_t n_parts)
{
	struct bs_sink sink = { memory_pwrite, &f->box };
	struct bs_extent *ext = calloc(n_parts + 1, sizeof(*ext));
	uint64_t seed = 42, len;
	struct bs_writer *w;
	size_t i, pos = 0;

	memset(f, 0, sizeof(*f));
	f->n_parts = n_parts;
	for (i = 0; i < n_parts; i++)
		f->len += parts[i].len;
	f->len += n_parts ? parts[0].len : 0;
	f->raw = malloc(f->len + 1);
	assert_true(f->raw && ext);
	assert_int_equal(bs_writer_new(&w, BS_LEVEL_DEFAULT, &sink), BS_OK);
	for (i = 0; i < n_parts; i++) {
		ext[i].off = pos;
		ext[i].len = parts[i].len;
		fill(f->raw + pos, parts[i].len, parts[i].dtype, &seed);
		put_blob(w, parts[i].dtype, pos, f->raw + pos, parts[i].len,
			 &ext[i].blob);
		pos += parts[i].len;
	}
	if (n_parts) {
		memcpy(f->raw + pos, f->raw, parts[0].len);
		ext[i].off = pos;
		ext[i].len = parts[0].len;
		ext[i].blob = ext[0].blob;
	}
	put_member(w, f, ext);
	assert_int_equal(bs_writer_finish(w, SUFFIX, &len), BS_OK);
	assert_int_equal(len, f->box.len);
	bs_writer_free(w);
	free(ext);
}

static void file_free(struct file *f)
{
	free(f->box.p);
	free(f->raw);
}

/* Every coding, in some 3 kB: what each bit of is flipped. */
static const struct part small_parts[] = {
	{ BS_DTYPE_BYTES, 24 },
	{ BS_DTYPE_BF16, 900 },
	{ BS_DTYPE_U8, 33 },
};

#define N_SMALL (sizeof(small_parts) / sizeof(*small_parts))

/* ---- Reading ------------------------------------------------------------- */

/* Chunk 'no' whole, into 'dst' of its length. */
static enum bs_result read_chunk(const struct bs_archive *ar,
				 const struct bs_source *src, uint64_t no,
				 uint8_t *dst)
{
	struct bs_error err = { 0 };
	struct bs_model *model = NULL;
	struct bs_page *page;
	struct bs_chunk c;
	struct bs_blob b;
	enum bs_result res;
	uint8_t *stored;

	res = bs_page_load(ar, bs_archive_page_of(ar, no), &page, &err);
	assert_int_equal(res, err.code);
	if (res)
		return res;
	bs_page_chunk(ar, page, no, &c);
	bs_page_free(page);
	bs_archive_blob(ar, c.blob, &b);
	if (c.coding == BS_CODING_PLANES && b.model == BS_NO_MODEL)
		return BS_ERR_CORRUPT;
	if (c.coding == BS_CODING_PLANES)
		res = bs_model_load(ar, b.model, &model, &err);
	assert_int_equal(res, err.code);
	stored = malloc(c.stored_len);
	assert_non_null(stored);
	if (!res && src->pread(src->ctx, stored, c.stored_len, c.stored_off))
		res = BS_ERR_IO;
	if (!res)
		res = bs_chunk_check_stored(&c, stored);
	if (!res)
		res = bs_chunk_decode(&c, &b, model, ws, stored, dst);
	free(stored);
	bs_model_free(model);
	return res;
}

/* The whole extent into 'dst', each of its chunks decoded. */
static enum bs_result read_extent(const struct bs_archive *ar,
				  const struct bs_source *src,
				  const struct bs_extent *e, uint8_t *dst)
{
	enum bs_result res = BS_OK;
	uint64_t at = e->blob_off, end = at + e->len, c, off;
	struct bs_blob b;
	size_t len;

	bs_archive_blob(ar, e->blob, &b);
	while (at < end && !res) {
		struct guarded g;

		c = bs_blob_chunk_at(&b, at);
		bs_blob_chunk_range(&b, c, &off, &len);
		assert_true(off <= at && at < off + len);
		g = guarded_new(len);
		res = read_chunk(ar, src, c, g.p);
		if (off + len > end)
			len = (size_t)(end - off);
		if (!res)
			memcpy(dst + (at - e->blob_off), g.p + (at - off),
			       (size_t)(off + len - at));
		at = off + len;
		guarded_free(&g);
	}
	return res;
}

/* Member 'no', *ret malloced where BS_OK is returned. */
static enum bs_result read_member(const struct bs_archive *ar,
				  const struct bs_source *src, uint64_t no,
				  uint8_t **ret, size_t *ret_len)
{
	enum bs_result res = BS_OK;
	struct bs_member m;
	uint64_t i;

	bs_archive_member(ar, no, &m);
	*ret_len = (size_t)m.size;
	*ret = malloc(*ret_len + 1);
	assert_non_null(*ret);
	for (i = 0; i < m.n_extents && !res; i++) {
		struct bs_extent e;

		bs_archive_extent(ar, m.first_extent + i, &e);
		assert_true(e.off + e.len <= m.size);
		res = read_extent(ar, src, &e, *ret + e.off);
	}
	if (res) {
		free(*ret);
		*ret = NULL;
	}
	return res;
}

static void check_summary(const struct bs_summary *s, const struct file *f)
{
	assert_true(s->version <= 1);
	assert_int_equal(s->is_bundle, 0);
	assert_int_equal(s->mode, MODE);
	assert_true(s->mtime_ns == MTIME);
	assert_int_equal(s->size, f->len);
	assert_int_equal(s->container_len, f->box.len);
	assert_int_equal(s->n_members, 1);
	assert_int_equal(s->digest_alg, BS_DIGEST_SHA256);
	assert_string_equal(s->suffix, SUFFIX);
}

/* Open and read all of it.  BS_OK: it was exactly the original. */
static enum bs_result read_all(struct memory *box, const struct file *f,
			       int *ret_degraded)
{
	struct bs_source src = memory_source(box);
	struct bs_error err = { 0 };
	struct bs_archive *ar;
	enum bs_result res;
	uint8_t *raw;
	size_t len;

	res = bs_archive_open(&ar, &src, &err);
	assert_int_equal(res, err.code);
	assert_int_equal(!ar, res != BS_OK);
	assert_int_equal(!!err.text[0], res != BS_OK);
	if (res)
		return res;
	check_summary(bs_archive_summary(ar), f);
	if (ret_degraded)
		*ret_degraded = bs_archive_is_degraded(ar);
	res = read_member(ar, &src, 0, &raw, &len);
	if (!res) {
		assert_int_equal(len, f->len);
		assert_memory_equal(raw, f->raw, len);
		free(raw);
	}
	bs_archive_close(ar);
	return res;
}

/* ---- Round trips --------------------------------------------------------- */

/* The look-ups agree with the records, at every edge. */
static void check_directory(const struct bs_archive *ar, const struct file *f)
{
	uint64_t n_blobs = bs_archive_n_blobs(ar), end = 0, i;
	struct bs_member m;

	bs_archive_member(ar, 0, &m);
	assert_int_equal(m.type, BS_MEMBER_FILE);
	assert_int_equal(m.name_len, 0);
	assert_int_equal(m.n_extents, f->n_parts ? f->n_parts + 1 : 0);
	assert_int_equal(n_blobs, f->n_parts);
	for (i = 0; i < m.n_extents; i++) {
		struct bs_extent e;

		bs_archive_extent(ar, i, &e);
		assert_int_equal(bs_member_extent_at(ar, &m, e.off), i);
		assert_int_equal(bs_member_extent_at(ar, &m, e.off + e.len - 1),
				 i);
		assert_int_equal(e.blob, i < f->n_parts ? i : 0);
	}
	for (i = 0; i < n_blobs; i++) {
		struct bs_blob b;

		bs_archive_blob(ar, i, &b);
		assert_int_equal(b.first_chunk, end);
		end += b.n_chunks;
		assert_int_equal(bs_archive_blob_of_chunk(ar, b.first_chunk),
				 i);
		assert_int_equal(bs_archive_blob_of_chunk(ar, end - 1), i);
		assert_int_equal(b.digest_alg, BS_DIGEST_XXH3_128);
	}
	assert_int_equal(bs_archive_n_chunks(ar), end);
}

static void check_file(const struct part *parts, size_t n)
{
	struct bs_summary summary;
	struct bs_archive *ar;
	struct bs_source src;
	struct file f;
	int degraded;

	file_new(&f, parts, n);
	src = memory_source(&f.box);
	assert_int_equal(bs_peek(&src, &summary, NULL), BS_OK);
	check_summary(&summary, &f);
	assert_int_equal(bs_archive_open(&ar, &src, NULL), BS_OK);
	check_directory(ar, &f);
	bs_archive_close(ar);
	assert_int_equal(read_all(&f.box, &f, &degraded), BS_OK);
	assert_int_equal(degraded, 0);
	file_free(&f);
}

static void test_round_trip(void **state)
{
	static const struct part sizes[] = {
		{ BS_DTYPE_BYTES, 312 },      { BS_DTYPE_BF16, 700000 },
		{ BS_DTYPE_BF16, 2 },	      { BS_DTYPE_F32, 524288 },
		{ BS_DTYPE_U8, 1 },	      { BS_DTYPE_F64, 262152 },
		{ BS_DTYPE_BYTES, 1 << 20 },  { BS_DTYPE_F16, 131074 },
		{ BS_DTYPE_F8_E4M3, 131071 }, { BS_DTYPE_I64, 800 },
	};
	struct part many[3000];
	size_t i;

	(void)state;
	check_file(NULL, 0);
	check_file(small_parts, N_SMALL);
	for (i = 1; i <= sizeof(sizes) / sizeof(*sizes); i++)
		check_file(sizes, i);
	/* more chunks than an index page has, more models than a pool page */
	for (i = 0; i < 3000; i++) {
		many[i].dtype = BS_DTYPE_BF16;
		many[i].len = 2 * (100 + i % 500);
	}
	check_file(many, 3000);
}

/* What the caller gets wrong is refused, and the writer stays refused. */
static void test_writer_misuse(void **state)
{
	struct bs_member m = { .type = BS_MEMBER_FILE, .name = "" };
	struct bs_extent ext = { .off = 0, .len = 10 };
	char suffix[BS_SUFFIX_MAX + 2];
	struct memory box = { 0 };
	struct bs_sink sink = { memory_pwrite, &box };
	struct bs_writer *w;
	uint64_t len;
	int i;

	(void)state;
	memset(suffix, 'x', sizeof(suffix));
	suffix[BS_SUFFIX_MAX + 1] = '\0';
	m.n_extents = 1;
	for (i = 0; i < 5; i++) {
		assert_int_equal(bs_writer_new(&w, BS_LEVEL_DEFAULT, &sink),
				 BS_OK);
		ext.off = i == 0;
		ext.len = i == 1 ? 0 : 10;
		m.size = i == 2 ? 11 : 10;
		if (i < 3) {
			assert_int_equal(bs_writer_add_member(w, &m, &ext),
					 BS_ERR_PARAM);
			assert_int_equal(bs_writer_finish(w, "", &len),
					 BS_ERR_PARAM);
		} else {
			/* no member at all; a suffix too long */
			assert_int_equal(
				bs_writer_finish(w, i == 3 ? "" : suffix, &len),
				BS_ERR_PARAM);
		}
		bs_writer_free(w);
	}
	bs_writer_free(NULL);
	bs_archive_close(NULL);
	free(box.p);
}

/* ---- Damage -------------------------------------------------------------- */

static void test_truncation(void **state)
{
	struct guarded g;
	struct file f;
	size_t len;

	(void)state;
	file_new(&f, small_parts, N_SMALL);
	for (len = 0; len < f.box.len; len++) {
		struct memory cut;
		enum bs_result res;

		g = guarded_new(len);
		memcpy(g.p, f.box.p, len);
		cut.p = g.p;
		cut.len = len;
		res = read_all(&cut, &f, NULL);
		assert_int_equal(res,
				 len < 8 ? BS_ERR_MAGIC : BS_ERR_TRUNCATED);
		guarded_free(&g);
	}
	/* nor is a container longer than it says */
	g = guarded_new(f.box.len + 1);
	memcpy(g.p, f.box.p, f.box.len);
	g.p[f.box.len] = 0;
	assert_int_equal(read_all(&(struct memory){ g.p, f.box.len + 1 }, &f,
				  NULL),
			 BS_ERR_CORRUPT);
	guarded_free(&g);
	file_free(&f);
}

static void test_every_bit(void **state)
{
	size_t n_fine = 0, i;
	struct file f;
	unsigned bit;

	(void)state;
	file_new(&f, small_parts, N_SMALL);
	for (i = 0; i < f.box.len; i++) {
		for (bit = 0; bit < 8; bit++) {
			int in_first = i < SB_LEN, degraded = -1;
			int in_last = i >= f.box.len - SB_LEN;
			enum bs_result res;

			f.box.p[i] ^= (uint8_t)(1 << bit);
			res = read_all(&f.box, &f, &degraded);
			f.box.p[i] ^= (uint8_t)(1 << bit);
			if (in_first || in_last)
				assert_int_equal(res, BS_OK);
			if (!res)
				assert_int_equal(degraded, in_first);
			else
				assert_int_equal(res, BS_ERR_CHECKSUM);
			n_fine += !res;
		}
	}
	/* The superblocks, and at most 7 bytes of padding after each part. */
	assert_true(n_fine >= 8 * 2 * SB_LEN);
	assert_true(n_fine <= 8 * (2 * SB_LEN + 7 * 20));
	file_free(&f);
}

/* Give every section, and both superblocks, the checksums they need. */
static void repair(struct memory *box)
{
	uint8_t *sb = box->p;
	uint64_t sum;
	unsigned i;

	for (i = 0; i < 5; i++) {
		uint8_t *rec = sb + SB_SECTIONS + i * SECTION_RECORD_LEN;
		uint64_t off, len;

		memcpy(&off, rec + SECTION_OFFSET, 8);
		memcpy(&len, rec + SECTION_LENGTH, 8);
		if (off > box->len || len > box->len - off)
			continue;
		sum = bs_xxh3_64(box->p + off, (size_t)len);
		memcpy(rec + SECTION_CHECKSUM, &sum, 8);
	}
	sum = bs_xxh3_64(sb, SB_CHECKSUM);
	memcpy(sb + SB_CHECKSUM, &sum, 8);
	memcpy(box->p + box->len - SB_LEN, sb, SB_LEN);
}

/* Read all that opens: wrong fields may give other bytes or an error, nothing
 * worse. */
static void read_hostile(struct memory *box)
{
	struct bs_source src = memory_source(box);
	struct bs_error err = { 0 };
	struct bs_archive *ar;
	uint64_t i;

	if (bs_archive_open(&ar, &src, &err)) {
		assert_true(!ar && err.code && err.text[0]);
		return;
	}
	for (i = 0; i < bs_archive_n_members(ar); i++) {
		struct bs_member m;
		uint8_t *raw;
		size_t len;

		bs_archive_member(ar, i, &m);
		assert_true(m.size < 1 << 24);
		if (!read_member(ar, &src, i, &raw, &len))
			free(raw);
	}
	bs_archive_close(ar);
}

/* The same flips, unseen by the checksums of sections and superblocks: the
 * checks of the fields themselves are what is left. */
static void test_every_field(void **state)
{
	struct memory box = { 0 };
	struct file f;
	unsigned bit;
	size_t i;

	(void)state;
	file_new(&f, small_parts, N_SMALL);
	box.len = f.box.len;
	box.p = malloc(box.len);
	assert_non_null(box.p);
	for (i = 0; i < box.len - SB_LEN; i++) {
		for (bit = 0; bit < 9; bit++) {
			memcpy(box.p, f.box.p, box.len);
			if (bit < 8)
				box.p[i] ^= (uint8_t)(1 << bit);
			else
				box.p[i] = 0xff;
			repair(&box);
			read_hostile(&box);
		}
	}
	free(box.p);
	file_free(&f);
}

/* ---- Superblocks --------------------------------------------------------- */

static void damage(uint8_t *sb, int how)
{
	uint64_t seed = 99;
	size_t i;

	if (how == 0)
		memset(sb, 0, SB_LEN);
	else if (how == 1)
		sb[SB_SUFFIX] ^= 1;
	else
		for (i = 0; i < SB_LEN; i++)
			sb[i] = (uint8_t)random_u64(&seed);
}

static void test_second_superblock(void **state)
{
	/* nothing left of ours, or a superblock that does not add up */
	static const enum bs_result both[3] = { BS_ERR_MAGIC, BS_ERR_CHECKSUM,
						BS_ERR_MAGIC };
	struct bs_summary summary;
	int how, degraded;
	struct file f;

	(void)state;
	for (how = 0; how < 3; how++) {
		struct bs_source src;

		file_new(&f, small_parts, N_SMALL);
		damage(f.box.p, how);
		src = memory_source(&f.box);
		assert_int_equal(bs_peek(&src, &summary, NULL), BS_OK);
		check_summary(&summary, &f);
		assert_int_equal(read_all(&f.box, &f, &degraded), BS_OK);
		assert_int_equal(degraded, 1);
		damage(f.box.p + f.box.len - SB_LEN, 0);
		assert_int_equal(read_all(&f.box, &f, NULL), both[how]);
		file_free(&f);
	}
}

/* What this version does not know is named so, not called damaged. */
static void test_refused(void **state)
{
	struct memory tiny = { (uint8_t[8]){ 0 }, 0 };
	struct file f;

	(void)state;
	file_new(&f, small_parts, N_SMALL);
	f.box.p[SB_VERSION] = 2;
	repair(&f.box);
	assert_int_equal(read_all(&f.box, &f, NULL), BS_ERR_VERSION);
	f.box.p[SB_VERSION] = 0;
	repair(&f.box);
	assert_int_equal(read_all(&f.box, &f, NULL), BS_OK);
	f.box.p[SB_FEATURES_MUST] = 1;
	repair(&f.box);
	assert_int_equal(read_all(&f.box, &f, NULL), BS_ERR_FEATURE);
	f.box.p[SB_FEATURES_MUST] = 0;
	f.box.p[SB_FEATURES_MAY + 7] = 0x80;
	repair(&f.box);
	assert_int_equal(read_all(&f.box, &f, NULL), BS_OK);
	assert_int_equal(read_all(&tiny, &f, NULL), BS_ERR_MAGIC);
	file_free(&f);
}

/* ---- Sources and sinks that fail ----------------------------------------- */

struct failing {
	struct memory *box;
	int countdown; /* calls that still work */
	int err;
};

static int failing_pread(void *ctx, void *buf, size_t len, uint64_t off)
{
	struct failing *f = ctx;

	if (f->countdown-- <= 0)
		return -f->err;
	return memory_pread(f->box, buf, len, off);
}

static int failing_pwrite(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct failing *f = ctx;

	if (f->countdown-- <= 0)
		return -f->err;
	return memory_pwrite(f->box, buf, len, off);
}

static enum bs_result read_failing(struct failing *bad, const struct file *f)
{
	struct bs_source src = { .pread = failing_pread,
				 .ctx = bad,
				 .size = bad->box->len };
	struct bs_error err = { 0 };
	struct bs_archive *ar;
	enum bs_result res;
	uint8_t *raw;
	size_t len;

	res = bs_archive_open(&ar, &src, &err);
	assert_int_equal(res, err.code);
	if (res) {
		assert_true(!ar && strstr(err.text, strerror(bad->err)));
		return res;
	}
	res = read_member(ar, &src, 0, &raw, &len);
	if (!res) {
		assert_memory_equal(raw, f->raw, f->len);
		free(raw);
	}
	bs_archive_close(ar);
	return res;
}

static void check_failing_source(struct file *f)
{
	struct failing bad = { .box = &f->box, .err = EIO };
	struct bs_source src = { .pread = failing_pread,
				 .ctx = &bad,
				 .size = f->box.len };
	struct bs_summary summary;
	enum bs_result res;
	int n = 0;

	assert_int_equal(bs_peek(&src, &summary, NULL), BS_ERR_IO);
	do {
		bad.countdown = n++;
		bad.err = n % 2 ? EIO : ESTALE;
		res = read_failing(&bad, f);
		assert_true(res == BS_OK || res == BS_ERR_IO);
	} while (res);
	/* superblock, 5 sections less empty names, page, model, chunk */
	assert_true(n > 8);
}

static void test_failing_source(void **state)
{
	struct file f;

	(void)state;
	file_new(&f, small_parts, N_SMALL);
	check_failing_source(&f);
	/* the way over the second superblock */
	memset(f.box.p, 0, SB_LEN);
	check_failing_source(&f);
	file_free(&f);
}

static void test_failing_sink(void **state)
{
	struct bs_member m = { .type = BS_MEMBER_FILE, .name = "" };
	struct memory box = { 0 };
	struct failing bad = { .box = &box, .err = ENOSPC };
	struct bs_sink sink = { failing_pwrite, &bad };
	struct bs_encoded enc = { .raw_len = 5, .stored_len = 5 };
	struct bs_extent ext = { .len = 5 };
	enum bs_result res;
	uint64_t len;
	int n = 0;

	(void)state;
	m.size = 5;
	m.n_extents = 1;
	do {
		struct bs_writer *w;
		struct bs_blob b;

		bad.countdown = n++;
		assert_int_equal(bs_writer_new(&w, BS_LEVEL_DEFAULT, &sink),
				 BS_OK);
		res = bs_writer_begin_blob(w, BS_DTYPE_BYTES, NULL, 0, 5,
					   &ext.blob, &b);
		if (!res)
			res = bs_writer_put_chunk(w, &enc, "12345");
		if (!res)
			res = bs_writer_end_blob(w, NULL);
		if (!res)
			res = bs_writer_add_member(w, &m, &ext);
		if (!res)
			res = bs_writer_finish(w, "", &len);
		assert_true(res == BS_OK || res == BS_ERR_IO);
		/* failed once, failed for good */
		if (res)
			assert_int_equal(bs_writer_finish(w, "", &len),
					 BS_ERR_IO);
		bs_writer_free(w);
	} while (res);
	assert_true(n > 6);
	free(box.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_writer_misuse),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_second_superblock),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_failing_source),
		cmocka_unit_test(test_failing_sink),
	};
	int ret;

	if (bs_workspace_new(&ws))
		return 1;
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	bs_workspace_free(ws);
	return ret;
}
