/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_upstream.c - any bytes as a file of BigSmall (Python), as one tensor's
 * stored bytes, as the index of a directory
 *
 * The first byte says which.  A tensor's bytes get a header made for them that has
 * a wrong MD5, and are decoded; if they give anything, once more with the right
 * one: then all ways to read the tensor give the same bytes.
 *
 *   0        all that follows is a file
 *   1        all that follows is an index
 *   else     u24 length of the tensor, u16 length of the first of two stored parts,
 *            the parts: the codec is the one of that number in the list
 */

#include "fuzz.h"
#include "md5.h"

/* What one input may cost. */
#define RAW_MAX (1u << 20)
#define ORDERS 8

static const struct codec {
	const char *name;
	const char *kind;
} codecs[] = {
	{ "raw", NULL },
	{ "zstd", NULL },
	{ "bf16_se_rans", NULL },
	{ "bf16_se_ac", NULL },
	{ "fp16_se_ac", NULL },
	{ "fp32_se_ac", NULL },
	{ "bf16_native_f32", NULL },
	{ "bf16_native_f32_v2", NULL },
	{ "fp8_cat_ac", NULL },
	{ "fp4_cat_ac", NULL },
	{ "special", "lowcard" },
	{ "special", "wpe_delta" },
	{ NULL, NULL }, /* 4-bit values and their residual */
};
#define N_CODECS (sizeof(codecs) / sizeof(*codecs))

static struct bs_workspace *ws;

/* ---- Reading ------------------------------------------------------------- */

struct sink {
	uint8_t *p; /* [RAW_MAX], owned */
	uint64_t len;
};

static int take(void *ctx, uint64_t off, const void *data, size_t len)
{
	struct sink *s = ctx;

	MUST(off == s->len);
	if (len > RAW_MAX - off)
		return 1;
	memcpy(s->p + off, data, len);
	s->len += len;
	return 0;
}

/* Blobs 1 to 'n' at once, each into its own place. */
static void decode(const struct bs_archive *ar, unsigned n, struct sink *s,
		   enum bs_result *res)
{
	struct bs_upstream_job jobs[2 * BS_UPSTREAM_TOGETHER];
	unsigned i;

	MUST(n <= 2 * BS_UPSTREAM_TOGETHER);
	for (i = 0; i < n; i++) {
		s[i].len = 0;
		jobs[i] = (struct bs_upstream_job){
			.blob = i + 1,
			.take = take,
			.ctx = &s[i],
			.res = BS_ERR_PARAM,
		};
	}
	bs_upstream_decode(ar, jobs, n);
	for (i = 0; i < n; i++)
		res[i] = jobs[i].res;
}

/* Chunks of a good blob, in some order, are those of 'want'. */
static void check_chunks(struct bs_archive *ar, uint64_t keep_whole,
			 const struct sink *want)
{
	struct bs_model *model;
	struct bs_page *page;
	struct bs_blob b;
	uint64_t i;

	bs_archive_keep_whole(ar, keep_whole);
	bs_archive_blob(ar, 1, &b);
	MUST(b.len == want->len);
	MUST(!bs_model_load(ar, b.model, &model, NULL));
	MUST(!bs_page_load(ar, bs_archive_page_of(ar, b.first_chunk), &page,
			   NULL));
	for (i = 0; i < ORDERS; i++) {
		static struct guarded out;
		struct bs_chunk c;
		uint8_t *raw;

		bs_page_chunk(ar, page,
			      b.first_chunk + (i * 5 + i / 2) % b.n_chunks, &c);
		raw = guarded_get(&out, c.raw_len);
		MUST(!bs_chunk_decode(&c, &b, model, ws, NULL, raw));
		MUST(!memcmp(raw, want->p + c.blob_off, c.raw_len));
	}
	bs_page_free(page);
	bs_model_free(model);
}

/* ---- A file as it is ----------------------------------------------------- */

static struct bs_archive *open_file(struct mem *m, struct bs_source *src)
{
	struct bs_error err = { 0 };
	struct bs_archive *ar;
	struct bs_summary sum;
	enum bs_result res = bs_peek(src, &sum, NULL);

	(void)m;
	MUST(!bs_archive_open(&ar, src, &err) || (err.code && err.text[0]));
	MUST(!res == !err.code || !src->is_index);
	return err.code ? NULL : ar;
}

static void fuzz_file(struct mem *m, int is_index)
{
	static struct sink s[BS_UPSTREAM_TOGETHER];
	enum bs_result res[BS_UPSTREAM_TOGETHER];
	struct bs_source src = mem_source(m);
	struct bs_archive *ar;
	unsigned n, i;

	src.is_index = is_index;
	ar = open_file(m, &src);
	if (!ar)
		return;
	n = bs_archive_summary(ar)->is_upstream
		    ? (unsigned)bs_archive_n_blobs(ar) - 1
		    : 0;
	n = n < BS_UPSTREAM_TOGETHER ? n : BS_UPSTREAM_TOGETHER;
	for (i = 0; i < n && !s[i].p; i++)
		MUST((s[i].p = malloc(RAW_MAX)) != NULL);
	if (n)
		decode(ar, n, s, res);
	bs_archive_close(ar);
}

/* An index beside a shard that has what it names. */
static void fuzz_index(struct mem *m)
{
	static const char shard[] =
		"BGSM\1\0\0\0\0\0{\"tensors\":[{\"name\":\"w\",\"shape\":[0],"
		"\"dtype\":\"uint8\",\"codec\":\"raw\",\"offset\":0,"
		"\"compressed_bytes\":0,\"md5\":"
		"\"d41d8cd98f00b204e9800998ecf8427e\"}]}";
	uint8_t copy[sizeof(shard) - 1];
	struct mem beside = { copy, sizeof(copy) };
	struct bs_source src = mem_source(m);
	struct bs_error err = { 0 };
	struct bs_archive *ar;

	memcpy(copy, shard, sizeof(copy));
	store32(copy + 6, sizeof(copy) - 10);
	struct bs_index *ix;

	MUST(!bs_index_read(&ix, &src, &err) || (!ix && err.text[0]));
	if (ix) {
		struct bs_source with = mem_source(&beside);

		with.index = ix;
		if (!bs_archive_open(&ar, &with, NULL))
			bs_archive_close(ar);
		bs_index_free(ix);
	}
	fuzz_file(m, 1);
}

/* ---- A tensor ------------------------------------------------------------ */

#define COPIES 3 /* of it in one file, which are decoded at once */

struct tensor {
	const struct codec *codec;
	uint32_t raw_len;
	size_t first_len; /* of two parts */
	const uint8_t *stored;
	size_t stored_len;
	char md5[2 * BS_MD5_LEN + 1];
};

static size_t put_entry(char *to, size_t room, const struct tensor *t,
			unsigned i)
{
	int n;

	if (t->codec->name)
		n = snprintf(
			to, room,
			"{\"name\":\"%u\",\"shape\":[%u],"
			"\"dtype\":\"uint8\",\"codec\":\"%s\",\"offset\":0,"
			"\"compressed_bytes\":%zu,\"md5\":\"%s\","
			"\"extra\":{\"special_kind\":\"%s\"}}",
			i, t->raw_len, t->codec->name, t->stored_len, t->md5,
			t->codec->kind ? t->codec->kind : "");
	else
		n = snprintf(
			to, room,
			"{\"name\":\"%u\",\"shape\":[%u],"
			"\"dtype\":\"bfloat16\",\"md5\":\"%s\","
			"\"members\":{\"fast\":{\"offset\":0,\"bytes\":%zu,"
			"\"codec\":\"int4g_v1\"},\"residual\":{"
			"\"offset\":%zu,\"bytes\":%zu,"
			"\"codec\":\"int4g_residual_v1\"}}}",
			i, t->raw_len / 2, t->md5, t->first_len, t->first_len,
			t->stored_len - t->first_len);
	MUST(n > 0 && (size_t)n < room);
	return (size_t)n;
}

/* A file of 'n' such tensors, which the caller frees. */
static struct mem make_file(const struct tensor *t, unsigned n)
{
	size_t room = 100 + n * 600 + t->stored_len, len = 10;
	char *text = malloc(room);
	unsigned i;

	MUST(text);
	memcpy(text, t->codec->name ? "BGSM\1\0" : "BGSD\2\0", 6);
	len += (size_t)sprintf(text + len, "{\"tensors\":[");
	for (i = 0; i < n; i++) {
		text[len] = ',';
		len += i > 0;
		len += put_entry(text + len, room - len, t, i);
	}
	len += (size_t)sprintf(text + len, "]}");
	store32((uint8_t *)text + 6, (uint32_t)(len - 10));
	memcpy(text + len, t->stored, t->stored_len);
	return (struct mem){ (uint8_t *)text, len + t->stored_len };
}

/* All ways to read it give 's'. */
static void check_good(struct tensor *t, const struct sink *s)
{
	static struct sink copies[COPIES];
	enum bs_result res[COPIES];
	uint8_t digest[BS_MD5_LEN];
	struct bs_archive *ar;
	struct bs_source src;
	struct bs_md5 md5;
	struct mem m;
	unsigned i;

	bs_md5_init(&md5);
	bs_md5_update(&md5, s->p, s->len);
	bs_md5_final(&md5, digest);
	for (i = 0; i < BS_MD5_LEN; i++)
		snprintf(t->md5 + 2 * i, 3, "%02x", digest[i]);
	m = make_file(t, COPIES);
	src = mem_source(&m);
	ar = open_file(&m, &src);
	MUST(ar);
	for (i = 0; i < COPIES && !copies[i].p; i++)
		MUST((copies[i].p = malloc(RAW_MAX)) != NULL);
	decode(ar, COPIES, copies, res);
	for (i = 0; i < COPIES; i++) {
		MUST(!res[i] && copies[i].len == s->len);
		MUST(!memcmp(copies[i].p, s->p, s->len));
	}
	check_chunks(ar, 0, s);
	check_chunks(ar, UINT64_MAX, s);
	bs_archive_close(ar);
	free((void *)(uintptr_t)m.p);
}

static void fuzz_tensor(const struct codec *codec, const uint8_t *p, size_t len)
{
	static struct sink s;
	struct tensor t = { .codec = codec };
	struct bs_archive *ar;
	struct bs_source src;
	enum bs_result res;
	struct mem m;

	if (len < 5)
		return;
	t.raw_len =
		(p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16) % RAW_MAX;
	t.first_len = load16(p + 3);
	t.stored = p + 5;
	t.stored_len = len - 5;
	if (t.first_len > t.stored_len)
		t.first_len = t.stored_len;
	if (!codec->name)
		t.raw_len &= ~1u;
	memset(t.md5, '0', sizeof(t.md5) - 1);
	m = make_file(&t, 1);
	src = mem_source(&m);
	ar = open_file(&m, &src);
	MUST(ar);
	if (!s.p)
		MUST((s.p = malloc(RAW_MAX)) != NULL);
	if (t.raw_len) {
		decode(ar, 1, &s, &res);
		MUST(res != BS_OK);
		if (res == BS_ERR_CHECKSUM) {
			MUST(s.len == t.raw_len);
			check_good(&t, &s);
		}
	}
	bs_archive_close(ar);
	free((void *)(uintptr_t)m.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mem m = { .p = data + 1, .len = size ? size - 1 : 0 };

	if (!size)
		return 0;
	if (!ws)
		MUST(!bs_workspace_new(&ws));
	if (data[0] == 0)
		fuzz_file(&m, 0);
	else if (data[0] == 1)
		fuzz_index(&m);
	else
		fuzz_tensor(&codecs[(data[0] - 2) % N_CODECS], m.p, m.len);
	return 0;
}
