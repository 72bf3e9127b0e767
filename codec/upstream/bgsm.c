/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bgsm.c - the containers of BigSmall (Python): .bs, .bsr (BGSM), .bsd (BGSD)
 *
 * A preamble of 10 bytes, a header in JSON, and the tensors' stored bytes one
 * after another.  What the header says is checked here as far as it can be
 * without the stored bytes: a codec that we cannot read makes the file one that
 * we cannot read.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* memmem() */
#endif

#include "upstream.h"

#include "../bits.h"
#include "canonical.h"
#include "index.h"
#include "packed_dir.h"
#include "../error.h"
#include "../safetensors.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define PREAMBLE_LEN 10
enum { VERSION = 4, HEADER_LEN = 6 };
#define VERSION_MAX 2

/* 100,000 tensors take some 40 MB; parsed it is ten times as much. */
#define HEADER_MAX (64u << 20)

/* The greatest whole number that JSON has for certain. */
#define NUMBER_MAX (UINT64_C(1) << 53)

#define NO_BLOB SIZE_MAX

struct parser {
	const struct bs_source *src; /* borrowed */
	struct bs_error *err;
	struct bs_up_file *f;
	int is_dual;
	uint32_t group; /* of a .bsd: values of one scale; 0: it cannot be */
	uint64_t data_off;
	cJSON *root; /* owned, as are the next five */
	struct bs_up_entry *entries; /* [n_entries] */
	struct bs_up_entry **by_name; /* [n_entries], sorted */
	const cJSON **items; /* [n_entries], of the same tensors, by name */
	struct bs_up_meta *meta;
	uint64_t *shapes;
	size_t n_entries;
	size_t n_meta;
	size_t n_shapes;
};

static enum bs_result corrupt(struct parser *p, const char *name,
			      const char *what)
{
	return bs_fail(p->err, BS_ERR_CORRUPT, 0, "tensor \"%.100s\": %s", name,
		       what);
}

static enum bs_result no_memory(struct parser *p)
{
	return bs_fail(p->err, BS_ERR_NOMEM, 0, "out of memory");
}

/* ---- JSON ---------------------------------------------------------------- */

static const cJSON *get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *get_string(const cJSON *object, const char *key)
{
	const cJSON *item = get(object, key);

	return cJSON_IsString(item) ? item->valuestring : NULL;
}

static int is_text(const char *have, const char *want)
{
	return have && !strcmp(have, want);
}

static int to_number(const cJSON *item, uint64_t *ret)
{
	if (!cJSON_IsNumber(item) || item->valuedouble < 0 ||
	    item->valuedouble > (double)NUMBER_MAX)
		return 0;
	*ret = (uint64_t)item->valuedouble;
	return (double)*ret == item->valuedouble;
}

static int to_md5(const char *hex, uint8_t *ret)
{
	size_t i;

	if (!hex || strlen(hex) != (size_t)2 * BS_MD5_LEN)
		return 0;
	for (i = 0; i < (size_t)2 * BS_MD5_LEN; i++) {
		const char *digits = "0123456789abcdef";
		const char *d = strchr(digits, hex[i]);

		if (!d)
			return 0;
		ret[i / 2] = (uint8_t)(ret[i / 2] << 4 | (d - digits));
	}
	return 1;
}

/* ---- One tensor ---------------------------------------------------------- */

/* The name, the dtype, the shape: what the virtual file's header has. */
static enum bs_result read_entry(struct parser *p, const cJSON *item,
				 struct bs_up_entry *e)
{
	const char *dtype = get_string(item, "dtype");
	const cJSON *shape = get(item, "shape"), *dim;
	unsigned bits = 0, pack = 0;
	uint64_t n = 1;

	e->name = get_string(item, "name");
	if (!e->name || !dtype || !cJSON_IsArray(shape))
		return bs_fail(p->err, BS_ERR_CORRUPT, 0,
			       "the header's list of tensors is not one");
	e->dtype = bs_up_dtype(dtype, &bits, &pack);
	if (!e->dtype)
		return bs_fail(
			p->err, BS_ERR_FEATURE, 0,
			"tensor \"%.100s\" is of dtype \"%.40s\", which safetensors does not have",
			e->name, dtype);
	e->shape = p->shapes + p->n_shapes;
	cJSON_ArrayForEach(dim, shape)
	{
		if (!to_number(dim, &e->shape[e->n_dims]))
			return corrupt(p, e->name, "its shape is none");
		e->n_dims++;
	}
	p->n_shapes += e->n_dims;
	if (pack > 1 && !e->n_dims)
		return corrupt(p, e->name, "its shape has no pairs");
	if (pack > 1)
		e->shape[e->n_dims - 1] *= pack;
	for (size_t i = 0; i < e->n_dims; i++)
		if (__builtin_mul_overflow(n, e->shape[i], &n))
			return corrupt(p, e->name, "its shape is too large");
	if (__builtin_mul_overflow(n, bits, &n) || n % 8)
		return corrupt(p, e->name, "its shape is no whole bytes");
	e->len = n / 8;
	return BS_OK;
}

/* A stretch of the data section. */
static int to_span(const struct parser *p, const cJSON *off, const cJSON *len,
		   struct bs_up_span *ret)
{
	uint64_t room = p->src->size - p->data_off;

	if (!to_number(off, &ret->off) || !to_number(len, &ret->len) ||
	    !in_range(ret->off, ret->len, room))
		return 0;
	ret->off += p->data_off;
	return 1;
}

static enum bs_result find_codec(struct parser *p, const char *name,
				 const char *codec, const char *kind,
				 const struct bs_up_codec **ret)
{
	if (!codec)
		return corrupt(p, name, "it has no codec");
	*ret = bs_up_codec_find(codec, kind);
	if (*ret)
		return BS_OK;
	if (!strcmp(codec, "zstd_xor_delta"))
		return bs_fail(
			p->err, BS_ERR_FEATURE, 0,
			"tensor \"%.100s\" is the difference from a base model; only with that model can the file be read, which this program cannot do yet",
			name);
	return bs_fail(
		p->err, BS_ERR_FEATURE, 0,
		"tensor \"%.100s\" is coded with \"%.40s%s%.40s\", which this program cannot read",
		name, codec, kind ? " " : "", kind ? kind : "");
}

/* A tensor of a .bsd: stored once, or as 4-bit values and their residual. */
static enum bs_result read_members(struct parser *p, const cJSON *item,
				   const char *name, struct bs_up_tensor *t)
{
	const cJSON *members = get(item, "members");
	const cJSON *fast = get(members, "fast"), *shared;
	const cJSON *residual = get(members, "residual");
	const char *kind;

	shared = get(members, "shared");
	if (shared) {
		if (!to_span(p, get(shared, "offset"), get(shared, "bytes"),
			     &t->span))
			return corrupt(p, name,
				       "its stored bytes lie past the end");
		kind = get_string(get(shared, "extra"), "special_kind");
		return find_codec(p, name, get_string(shared, "codec"), kind,
				  &t->codec);
	}
	if (!is_text(get_string(fast, "codec"), "int4g_v1") ||
	    !is_text(get_string(residual, "codec"), "int4g_residual_v1"))
		return bs_fail(
			p->err, BS_ERR_FEATURE, 0,
			"tensor \"%.100s\" has no members that this program can read",
			name);
	if (!to_span(p, get(fast, "offset"), get(fast, "bytes"), &t->span) ||
	    !to_span(p, get(residual, "offset"), get(residual, "bytes"),
		     &t->second))
		return corrupt(p, name, "its stored bytes lie past the end");
	t->codec = bs_up_codec_dual();
	return BS_OK;
}

/* Where a tensor's stored bytes are and how they are coded. */
static enum bs_result read_stored(struct parser *p, const cJSON *item,
				  const char *name, struct bs_up_tensor *t)
{
	const char *kind = get_string(get(item, "extra"), "special_kind");

	if (p->is_dual)
		return read_members(p, item, name, t);
	if (!to_span(p, get(item, "offset"), get(item, "compressed_bytes"),
		     &t->span))
		return corrupt(p, name, "its stored bytes lie past the end");
	return find_codec(p, name, get_string(item, "codec"), kind, &t->codec);
}

static uint8_t dtype_of(const char *name)
{
	uint8_t i;

	for (i = 1; i < BS_DTYPE_N; i++)
		if (!strcmp(bs_dtype_name(i), name))
			return i;
	return BS_DTYPE_BYTES;
}

static const char *tied_to(const cJSON *item)
{
	const char *codec = get_string(item, "codec");

	if (!codec || strcmp(codec, "tied_ref") != 0)
		return NULL;
	return get_string(get(item, "extra"), "tied_to");
}

/* A tensor with bytes of its own becomes the next blob. */
static enum bs_result add_tensor(struct parser *p, const cJSON *item,
				 struct bs_up_entry *e)
{
	struct bs_up_tensor *t = &p->f->tensors[p->f->n_tensors];
	enum bs_result res = read_entry(p, item, e);

	e->blob = NO_BLOB;
	if (res || !e->len || tied_to(item))
		return res;
	if (!to_md5(get_string(item, "md5"), t->md5))
		return corrupt(p, e->name, "its MD5 is none");
	res = read_stored(p, item, e->name, t);
	if (t->codec == bs_up_codec_dual()) {
		t->fast.group = p->group;
		p->f->summary.n_int4 += p->group > 0;
	}
	t->raw_len = e->len;
	t->dtype = dtype_of(e->dtype);
	e->blob = ++p->f->n_tensors;
	return res;
}

/* ---- Ties ---------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
	const struct bs_up_entry *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int compare_to_name(const void *name, const void *entry)
{
	const struct bs_up_entry *const *e = entry;

	return strcmp(name, (*e)->name);
}

/* p->items are in the order of p->entries. */
static enum bs_result tie(struct parser *p, struct bs_up_entry *e)
{
	const cJSON *item = p->items[e - p->entries];
	const char *name = tied_to(item);
	struct bs_up_entry **found;
	uint8_t md5[BS_MD5_LEN] = { 0 };

	if (!name || !e->len)
		return BS_OK;
	found = bsearch(name, p->by_name, p->n_entries, sizeof(*p->by_name),
			compare_to_name);
	if (!found || (*found)->blob == NO_BLOB || (*found)->len != e->len ||
	    tied_to(p->items[*found - p->entries]))
		return corrupt(p, e->name, "it is tied to none like it");
	e->blob = (*found)->blob;
	if (!to_md5(get_string(item, "md5"), md5) ||
	    memcmp(md5, p->f->tensors[e->blob - 1].md5, sizeof(md5)) != 0)
		return corrupt(p, e->name,
			       "its MD5 is not that of what it is tied to");
	return BS_OK;
}

static enum bs_result tie_all(struct parser *p)
{
	enum bs_result res = BS_OK;
	size_t i;

	p->by_name = malloc((p->n_entries + 1) * sizeof(*p->by_name));
	if (!p->by_name)
		return no_memory(p);
	for (i = 0; i < p->n_entries; i++)
		p->by_name[i] = &p->entries[i];
	if (p->n_entries)
		qsort(p->by_name, p->n_entries, sizeof(*p->by_name),
		      compare_entries);
	for (i = 0; i < p->n_entries && !res; i++)
		res = tie(p, &p->entries[i]);
	return res;
}

/* ---- The header ---------------------------------------------------------- */

/* Read and parse the JSON. */
static enum bs_result read_json(struct parser *p)
{
	uint8_t pre[PREAMBLE_LEN];
	const char *end;
	uint32_t len;
	char *text;
	int io;

	if (p->src->size < PREAMBLE_LEN)
		return bs_fail(p->err, BS_ERR_TRUNCATED, 0,
			       "the file is cut off within its header");
	io = p->src->pread(p->src->ctx, pre, sizeof(pre), 0);
	if (io)
		return bs_fail(p->err, BS_ERR_IO, 0, "reading failed: %s",
			       strerror(-io));
	p->is_dual = pre[3] == 'D';
	p->f->summary.version = get_u16(pre + VERSION);
	if (!p->f->summary.version || p->f->summary.version > VERSION_MAX)
		return bs_fail(
			p->err, BS_ERR_VERSION, VERSION,
			"a file of BigSmall (Python) of version %u; this program reads 1 and 2",
			p->f->summary.version);
	len = get_u32(pre + HEADER_LEN);
	if (len > p->src->size - PREAMBLE_LEN)
		return bs_fail(p->err, BS_ERR_TRUNCATED, 0,
			       "the file is cut off within its header");
	if (len > HEADER_MAX)
		return bs_fail(p->err, BS_ERR_FEATURE, 0,
			       "the header has more than %u bytes", HEADER_MAX);
	p->data_off = PREAMBLE_LEN + len;
	text = malloc((size_t)len + 1);
	if (!text)
		return no_memory(p);
	io = len ? p->src->pread(p->src->ctx, text, len, PREAMBLE_LEN) : 0;
	/* cJSON's strings end at a zero. */
	if (!io && !memchr(text, 0, len) && !memmem(text, len, "\\u0000", 6))
		p->root = cJSON_ParseWithLengthOpts(text, len, &end, 0);
	while (p->root && end < text + len && strchr(" \t\r\n", *end))
		end++;
	if (p->root && end != text + len) {
		cJSON_Delete(p->root);
		p->root = NULL;
	}
	free(text);
	if (io)
		return bs_fail(p->err, BS_ERR_IO, PREAMBLE_LEN,
			       "reading failed: %s", strerror(-io));
	if (!cJSON_IsObject(p->root) || !cJSON_IsArray(get(p->root, "tensors")))
		return bs_fail(p->err, BS_ERR_CORRUPT, PREAMBLE_LEN,
			       "the header is not the JSON it should be");
	return BS_OK;
}

static enum bs_result read_metadata(struct parser *p)
{
	const cJSON *meta = get(p->root, "safetensors_metadata"), *item;

	int holds = cJSON_IsObject(meta);

	/* A .bsd never has any; what torch writes is likeliest. */
	if (p->is_dual && !meta) {
		p->meta = calloc(1, sizeof(*p->meta));
		if (!p->meta)
			return no_memory(p);
		p->meta[p->n_meta++] = (struct bs_up_meta){ "format", "pt" };
		return BS_OK;
	}
	if (!meta || cJSON_IsNull(meta))
		return BS_OK;
	p->meta =
		calloc((size_t)cJSON_GetArraySize(meta) + 1, sizeof(*p->meta));
	if (!p->meta)
		return no_memory(p);
	cJSON_ArrayForEach(item, meta)
	{
		holds = holds && cJSON_IsString(item);
		p->meta[p->n_meta].key = item->string;
		p->meta[p->n_meta++].text = item->valuestring;
	}
	return holds ? BS_OK
		     : bs_fail(p->err, BS_ERR_CORRUPT, 0,
			       "the metadata is not keys and texts");
}

#define GROUP_DEFAULT 128

/* Each tensor has it as well. */
static void read_group(struct parser *p)
{
	const cJSON *item = get(p->root, "group");
	uint64_t group = GROUP_DEFAULT;

	if (item && (!to_number(item, &group) || group > UINT16_MAX))
		group = 0;
	p->group = p->is_dual ? (uint32_t)group : 0;
}

static enum bs_result read_tensors(struct parser *p)
{
	const cJSON *list = get(p->root, "tensors"), *item;
	size_t n = (size_t)cJSON_GetArraySize(list), n_dims = 0, n_more = 0;
	enum bs_result res = BS_OK;
	uint64_t count;

	read_group(p);
	if (p->src->index)
		bs_up_index_aliases(p->src->index, &n_more);
	if (to_number(get(p->root, "tensor_count"), &count) && count != n)
		return bs_fail(p->err, BS_ERR_CORRUPT, 0,
			       "the header lists %zu tensors and counts %llu",
			       n, (unsigned long long)count);
	cJSON_ArrayForEach(item, list)
		n_dims += (size_t)cJSON_GetArraySize(get(item, "shape"));
	p->entries = calloc(n + n_more + 1, sizeof(*p->entries));
	p->items = calloc(n + 1, sizeof(cJSON *));
	p->shapes = calloc(n_dims + 1, sizeof(*p->shapes));
	p->f->tensors = calloc(n + 1, sizeof(*p->f->tensors));
	if (!p->entries || !p->items || !p->shapes || !p->f->tensors)
		return no_memory(p);
	cJSON_ArrayForEach(item, list)
	{
		if (res)
			break;
		p->items[p->n_entries] = item;
		res = add_tensor(p, item, &p->entries[p->n_entries++]);
	}
	return res ? res : tie_all(p);
}

static struct bs_up_entry *find_entry(struct parser *p, size_t n,
				      const char *name)
{
	struct bs_up_entry key = { .name = name }, *k = &key;
	struct bs_up_entry **found = bsearch(
		&k, p->by_name, n, sizeof(*p->by_name), compare_entries);

	return found ? *found : NULL;
}

/* Show tensors that the directory's index says are equal to one of ours; a name
 * that is here already is left alone. */
static void add_aliases(struct parser *p)
{
	size_t n_aliases = 0, n = p->n_entries, i;
	const struct bs_up_alias *a = NULL;

	if (p->src->index)
		a = bs_up_index_aliases(p->src->index, &n_aliases);
	for (i = 0; i < n_aliases; i++) {
		const struct bs_up_entry *of = find_entry(p, n, a[i].of);

		if (!of || find_entry(p, n, a[i].name))
			continue;
		p->entries[p->n_entries] = *of;
		p->entries[p->n_entries++].name = a[i].name;
	}
}

/* ---- The virtual file ---------------------------------------------------- */

static enum bs_result lay_out_int4(struct parser *p)
{
	enum bs_result res = bs_up_packed_lay_out(p->f, p->entries,
						  p->n_entries, p->src->int4);

	return res ? bs_fail(p->err, res, 0, "its 4-bit tensors: %s",
			     bs_result_text(res))
		   : BS_OK;
}

static enum bs_result make_member(struct bs_up_file *f)
{
	f->members = calloc(1, sizeof(*f->members));
	if (!f->members)
		return BS_ERR_NOMEM;
	f->members[f->n_members++] = (struct bs_up_member){
		.name = "", .size = f->summary.size, .n_extents = f->n_extents
	};
	return BS_OK;
}

static enum bs_result lay_out(struct parser *p)
{
	struct bs_up_file *f = p->f;
	uint64_t off;
	struct bs_st *st;
	enum bs_result res;
	size_t i;

	bs_up_sort_entries(p->entries, p->n_entries);
	res = bs_up_write_header(&f->head, &f->head_len, p->entries,
				 p->n_entries, p->meta, p->n_meta);
	f->extents = calloc(p->n_entries + 1, sizeof(*f->extents));
	if (res || !f->extents)
		return no_memory(p);
	off = f->head_len;
	f->extents[f->n_extents++] = (struct bs_extent){ .len = off };
	for (i = 0; i < p->n_entries; i++) {
		const struct bs_up_entry *e = &p->entries[i];

		if (!e->len)
			continue;
		f->extents[f->n_extents++] = (struct bs_extent){
			.off = off, .len = e->len, .blob = e->blob
		};
		if (__builtin_add_overflow(off, e->len, &off) ||
		    off > INT64_MAX)
			return bs_fail(p->err, BS_ERR_CORRUPT, 0,
				       "the tensors are too large");
	}
	f->summary.size = off;
	if (make_member(f))
		return no_memory(p);
	/* What is left to check: names, twice or no UTF-8. */
	res = bs_st_parse(&st, f->head, f->head_len, off, p->err);
	bs_st_free(st);
	return res == BS_ERR_SYNTAX && p->err ? (p->err->code = BS_ERR_CORRUPT)
	       : res == BS_ERR_SYNTAX	      ? BS_ERR_CORRUPT
					      : res;
}

static void fill_summary(struct bs_summary *s, const struct bs_source *src)
{
	s->is_upstream = 1;
	s->mode = 0644;
	s->container_len = src->size;
	s->n_members = 1;
	strcpy(s->suffix, ".safetensors");
}

/* The directory's index is a file without tensors. */
static enum bs_result open_index(struct bs_up_file *f,
				 const struct bs_source *src,
				 struct bs_error *err)
{
	struct bs_index *ix;
	enum bs_result res = bs_index_read(&ix, src, err);

	if (res)
		return res;
	res = bs_up_index_write(ix, &f->head, &f->head_len);
	bs_index_free(ix);
	f->extents = calloc(1, sizeof(*f->extents));
	if (res || !f->extents)
		return bs_fail(err, BS_ERR_NOMEM, 0, "out of memory");
	f->extents[f->n_extents++].len = f->head_len;
	f->summary.size = f->head_len;
	f->summary.suffix[0] = '\0';
	if (make_member(f))
		return bs_fail(err, BS_ERR_NOMEM, 0, "out of memory");
	return BS_OK;
}

enum bs_result bs_up_file_open(struct bs_up_file *ret,
			       const struct bs_source *src,
			       struct bs_error *err)
{
	struct parser p = { .src = src, .err = err, .f = ret };
	enum bs_result res;

	memset(ret, 0, sizeof(*ret));
	fill_summary(&ret->summary, src);
	if (src->is_index) {
		res = open_index(ret, src, err);
		if (res)
			bs_up_file_close(ret);
		return res;
	}
	res = read_json(&p);
	if (!res)
		res = read_metadata(&p);
	if (!res)
		res = read_tensors(&p);
	if (!res && src->int4) {
		res = ret->summary.n_int4 ? lay_out_int4(&p)
					  : bs_fail(err, BS_ERR_PARAM, 0,
						    "it has no 4-bit tensors");
	} else if (!res) {
		add_aliases(&p);
		res = lay_out(&p);
	}
	cJSON_Delete(p.root);
	free(p.entries);
	free(p.by_name);
	free(p.items);
	free(p.meta);
	free(p.shapes);
	if (res)
		bs_up_file_close(ret);
	return res;
}

void bs_up_file_close(struct bs_up_file *f)
{
	free(f->head);
	free(f->tensors);
	free(f->members);
	free(f->extents);
	f->head = NULL;
	f->tensors = NULL;
	f->members = NULL;
	f->extents = NULL;
}
