/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.c - build a container, front to back
 *
 * Stored chunks go out as they come.  Chunk records collect in one index page,
 * models and tables in one pool page; a full page is written between the
 * chunks and only its place and checksum are kept.  The directory's sections
 * collect in memory and are written last, then the superblock at the end, and
 * only then the one at the start: a container that is not finished has none.
 */

#include "bits.h"
#include "checksum.h"
#include "coder.h"
#include "format.h"
#include "level.h"
#include "superblock.h"

#include <stdlib.h>

#define PAGE_RECORDS_LOG2 9 /* 512 records: 16 KiB */
#define POOL_PAGE_FULL 65536

struct buffer {
	uint8_t *p; /* owned */
	size_t len;
	size_t cap;
};

struct bs_writer {
	struct bs_sink sink;
	enum bs_level level;
	enum bs_result failed; /* sticky */
	uint64_t at; /* where the next bytes go */
	struct buffer members, extents, names, blobs;
	struct buffer index_pages, pool_pages; /* page records */
	struct buffer index, pool; /* the open pages */
	struct bs_blob blob; /* the open one */
	uint64_t put; /* chunks of it so far */
	int is_open;
	uint64_t n_blobs, n_chunks, n_members, n_extents;
	uint64_t total_size;
};

/* Room for 'len' more bytes at the end, zeroed; NULL: no memory. */
static uint8_t *grow(struct buffer *b, size_t len)
{
	uint8_t *p;

	if (!b->p || b->cap - b->len < len) {
		size_t cap = b->cap * 2 > b->len + len ? b->cap * 2
						       : b->len + len + 1024;

		p = realloc(b->p, cap);
		if (!p)
			return NULL;
		b->p = p;
		b->cap = cap;
	}
	p = b->p + b->len;
	memset(p, 0, len);
	b->len += len;
	return p;
}

static enum bs_result fail(struct bs_writer *w, enum bs_result res)
{
	if (res && !w->failed)
		w->failed = res;
	return res;
}

/* Write at the next multiple of 8; *ret_off is where. */
static enum bs_result emit(struct bs_writer *w, const void *p, size_t len,
			   uint64_t *ret_off)
{
	w->at = round_up8(w->at);
	*ret_off = w->at;
	if (len && w->sink.pwrite(w->sink.ctx, p, len, w->at))
		return fail(w, BS_ERR_IO);
	w->at += len;
	return BS_OK;
}

static enum bs_result flush_page(struct bs_writer *w, struct buffer *page,
				 struct buffer *records)
{
	enum bs_result res;
	uint64_t off;
	uint8_t *rec;

	if (!page->len)
		return BS_OK;
	res = emit(w, page->p, page->len, &off);
	if (res)
		return res;
	rec = grow(records, PAGE_RECORD_LEN);
	if (!rec)
		return fail(w, BS_ERR_NOMEM);
	put_u64(rec + PAGE_OFFSET, off);
	put_u32(rec + PAGE_LENGTH, (uint32_t)page->len);
	put_u64(rec + PAGE_CHECKSUM, bs_xxh3_64(page->p, page->len));
	page->len = 0;
	return BS_OK;
}

enum bs_result bs_writer_new(struct bs_writer **ret, enum bs_level level,
			     const struct bs_sink *sink)
{
	struct bs_writer *w = calloc(1, sizeof(*w));

	*ret = w;
	if (!w)
		return BS_ERR_NOMEM;
	w->sink = *sink;
	w->level = level;
	w->at = SB_LEN;
	return BS_OK;
}

void bs_writer_free(struct bs_writer *w)
{
	if (!w)
		return;
	free(w->members.p);
	free(w->extents.p);
	free(w->names.p);
	free(w->blobs.p);
	free(w->index_pages.p);
	free(w->pool_pages.p);
	free(w->index.p);
	free(w->pool.p);
	free(w);
}

/* ---- Models ------------------------------------------------------------- */

static enum bs_result put_object(struct bs_writer *w, uint32_t type,
				 const uint8_t *payload, size_t len,
				 uint64_t *ret_ref)
{
	uint64_t page = w->pool_pages.len / PAGE_RECORD_LEN;
	size_t padded = round_up8(len);
	uint8_t *p;

	*ret_ref = page << 32 | w->pool.len;
	p = grow(&w->pool, OBJECT_HEADER_LEN + padded);
	if (!p)
		return fail(w, BS_ERR_NOMEM);
	put_u32(p, type);
	put_u32(p + 4, (uint32_t)len);
	memcpy(p + OBJECT_HEADER_LEN, payload, len);
	return BS_OK;
}

/* Classes of the first plane, if the coder has some. */
static enum bs_result put_classes(struct bs_writer *w,
				  const struct bs_coder_classes *c,
				  uint64_t *ret_ref)
{
	if (!c->class)
		return BS_OK;
	return put_object(w, OBJECT_CLASSES, c->object, c->object_len, ret_ref);
}

/* A model, its tables and classes, in one page. */
static enum bs_result put_model(struct bs_writer *w,
				const struct bs_coder *coder, uint64_t *ret_ref)
{
	uint8_t serial[MODEL_HEADER_LEN + PLANES_MAX * PLANE_LEN +
		       MODEL_TABLES_MAX * sizeof(uint64_t)];
	uint64_t tables[MODEL_TABLES_MAX];
	struct bs_model_desc desc = coder->desc;
	uint8_t table[TABLE_SERIAL_MAX];
	enum bs_result res;
	unsigned i, t, n = 0;

	if (w->pool.len >= POOL_PAGE_FULL) {
		res = flush_page(w, &w->pool, &w->pool_pages);
		if (res)
			return res;
	}
	for (i = 0; i < coder->desc.n_planes; i++) {
		if (!coder->planes[i])
			continue;
		for (t = 0; t < 1u << desc.planes[i].table_log2; t++) {
			const struct bs_freq *freq = &coder->planes[i]->freq[t];

			res = put_object(w, OBJECT_TABLE, table,
					 bs_freq_write(freq, table),
					 &tables[n++]);
			if (res)
				return res;
		}
	}
	res = put_classes(w, &coder->rows, &desc.planes[0].row_classes);
	if (!res)
		res = put_classes(w, &coder->columns,
				  &desc.planes[0].column_classes);
	if (res)
		return res;
	bs_model_desc_write(&desc, tables, serial);
	return put_object(w, OBJECT_MODEL, serial, bs_model_desc_len(&desc),
			  ret_ref);
}

/* ---- Blobs and chunks --------------------------------------------------- */

void bs_blob_layout(enum bs_level level, unsigned dtype, uint64_t file_off,
		    uint64_t len, struct bs_blob *ret)
{
	const struct bs_level_params *params = bs_level_params(level);
	uint64_t unit = bs_dtype_unit(dtype), size;
	uint64_t first;

	memset(ret, 0, sizeof(*ret));
	size = UINT64_C(1) << (unit > 2 ? params->chunk_size_log2_wide
					: params->chunk_size_log2);
	first = div_up(size - file_off % size, unit) * unit;
	if (first > len)
		first = len;
	ret->len = len;
	ret->n_chunks = 1 + div_up(len - first, size);
	ret->first_chunk_len = first;
	ret->chunk_size = (uint32_t)size;
	ret->dtype = (uint8_t)dtype;
	ret->model = BS_NO_MODEL;
}

enum bs_result bs_writer_begin_blob(struct bs_writer *w, unsigned dtype,
				    const struct bs_coder *coder,
				    uint64_t file_off, uint64_t len,
				    uint64_t *ret_blob, struct bs_blob *ret)
{
	enum bs_result res;

	if (w->failed)
		return w->failed;
	if (w->is_open || !len || dtype >= BS_DTYPE_N)
		return fail(w, BS_ERR_PARAM);
	bs_blob_layout(w->level, dtype, file_off, len, &w->blob);
	w->blob.first_chunk = w->n_chunks;
	if (coder && coder->has_planes) {
		res = put_model(w, coder, &w->blob.model);
		if (res)
			return res;
		w->blob.width = coder->width;
	}
	w->put = 0;
	w->is_open = 1;
	*ret_blob = w->n_blobs;
	*ret = w->blob;
	return BS_OK;
}

enum bs_result bs_writer_put_chunk(struct bs_writer *w,
				   const struct bs_encoded *enc,
				   const void *stored)
{
	enum bs_result res;
	uint64_t off;
	size_t len;
	uint8_t *rec;

	if (w->failed)
		return w->failed;
	if (!w->is_open || w->put == w->blob.n_chunks)
		return fail(w, BS_ERR_PARAM);
	bs_blob_chunk_range(&w->blob, w->n_chunks, &off, &len);
	if (enc->raw_len != len)
		return fail(w, BS_ERR_PARAM);
	res = emit(w, stored, enc->stored_len, &off);
	if (res)
		return res;
	rec = grow(&w->index, CHUNK_LEN);
	if (!rec)
		return fail(w, BS_ERR_NOMEM);
	put_u64(rec + CHUNK_OFFSET, off);
	put_u32(rec + CHUNK_STORED_LENGTH, enc->stored_len);
	rec[CHUNK_CODING] = enc->coding;
	put_u64(rec + CHUNK_RAW_CHECKSUM, enc->raw_sum);
	put_u64(rec + CHUNK_STORED_CHECKSUM, enc->stored_sum);
	w->put++;
	w->n_chunks++;
	if (w->index.len == CHUNK_LEN << PAGE_RECORDS_LOG2)
		return flush_page(w, &w->index, &w->index_pages);
	return BS_OK;
}

enum bs_result bs_writer_end_blob(struct bs_writer *w, const uint8_t *digest)
{
	uint8_t *b;

	if (w->failed)
		return w->failed;
	if (!w->is_open || w->put != w->blob.n_chunks)
		return fail(w, BS_ERR_PARAM);
	b = grow(&w->blobs, BLOB_LEN);
	if (!b)
		return fail(w, BS_ERR_NOMEM);
	put_u64(b + BLOB_LENGTH, w->blob.len);
	put_u64(b + BLOB_FIRST_CHUNK, w->blob.first_chunk);
	put_u64(b + BLOB_CHUNK_COUNT, w->blob.n_chunks);
	put_u64(b + BLOB_FIRST_CHUNK_LENGTH, w->blob.first_chunk_len);
	b[BLOB_CHUNK_SIZE_LOG2] = (uint8_t)__builtin_ctz(w->blob.chunk_size);
	b[BLOB_DTYPE] = w->blob.dtype;
	put_u32(b + BLOB_BASE, NO_BASE);
	put_u64(b + BLOB_WIDTH, w->blob.width);
	put_u64(b + BLOB_MODEL, w->blob.model);
	if (digest) {
		b[BLOB_DIGEST_ALGORITHM] = BS_DIGEST_XXH3_128;
		memcpy(b + BLOB_DIGEST, digest, 16);
	}
	w->n_blobs++;
	w->is_open = 0;
	return BS_OK;
}

/* ---- Members ------------------------------------------------------------ */

static enum bs_result put_name(struct bs_writer *w, const char *s, size_t len,
			       uint64_t *ret_off)
{
	uint8_t *p;

	*ret_off = w->names.len;
	if (len > NAME_LEN_MAX)
		return fail(w, BS_ERR_PARAM);
	p = grow(&w->names, len);
	if (!p)
		return fail(w, BS_ERR_NOMEM);
	if (len)
		memcpy(p, s, len);
	return BS_OK;
}

static enum bs_result put_extents(struct bs_writer *w,
				  const struct bs_member *m,
				  const struct bs_extent *ext)
{
	uint64_t at = 0, i;
	uint8_t *b;

	for (i = 0; i < m->n_extents; i++) {
		if (ext[i].off != at || !ext[i].len)
			return fail(w, BS_ERR_PARAM);
		at += ext[i].len;
		b = grow(&w->extents, EXTENT_LEN);
		if (!b)
			return fail(w, BS_ERR_NOMEM);
		put_u64(b + EXTENT_FILE_OFFSET, ext[i].off);
		put_u64(b + EXTENT_LENGTH, ext[i].len);
		put_u64(b + EXTENT_BLOB, ext[i].blob);
		put_u64(b + EXTENT_BLOB_OFFSET, ext[i].blob_off);
	}
	return at == m->size ? BS_OK : fail(w, BS_ERR_PARAM);
}

enum bs_result bs_writer_add_member(struct bs_writer *w,
				    const struct bs_member *m,
				    const struct bs_extent *ext)
{
	uint64_t name_off, target_off;
	enum bs_result res;
	uint8_t *b;

	if (w->failed)
		return w->failed;
	res = put_name(w, m->name, m->name_len, &name_off);
	if (!res)
		res = put_name(w, m->target, m->target_len, &target_off);
	if (!res)
		res = put_extents(w, m, ext);
	if (res)
		return res;
	b = grow(&w->members, MEMBER_LEN);
	if (!b)
		return fail(w, BS_ERR_NOMEM);
	b[MEMBER_TYPE] = (uint8_t)m->type;
	b[MEMBER_DIGEST_ALGORITHM] = m->digest_alg;
	put_u32(b + MEMBER_MODE, m->mode & 07777);
	put_u64(b + MEMBER_MTIME, (uint64_t)m->mtime_ns);
	put_u64(b + MEMBER_SIZE, m->size);
	put_u64(b + MEMBER_NAME_OFFSET, name_off);
	put_u32(b + MEMBER_NAME_LENGTH, (uint32_t)m->name_len);
	put_u32(b + MEMBER_TARGET_LENGTH, (uint32_t)m->target_len);
	put_u64(b + MEMBER_TARGET_OFFSET, target_off);
	put_u64(b + MEMBER_FIRST_EXTENT, w->n_extents);
	put_u64(b + MEMBER_EXTENT_COUNT, m->n_extents);
	memcpy(b + MEMBER_DIGEST, m->digest, BS_DIGEST_MAX);
	w->n_extents += m->n_extents;
	w->n_members++;
	w->total_size += m->size;
	return BS_OK;
}

/* ---- The end ------------------------------------------------------------ */

static enum bs_result put_section(struct bs_writer *w, struct bs_superblock *sb,
				  unsigned type, const struct buffer *b)
{
	struct bs_section *s = &sb->sections[sb->n_sections++];

	s->type = (uint16_t)type;
	s->flags = SECTION_FLAG_MUST;
	s->len = b->len;
	s->sum = bs_xxh3_64(b->p, b->len);
	if (s->len > SECTION_LENGTH_MAX)
		return fail(w, BS_ERR_PARAM);
	return emit(w, b->p, b->len, &s->off);
}

static enum bs_result put_sections(struct bs_writer *w,
				   struct bs_superblock *sb)
{
	struct buffer *pages = &w->index_pages;
	enum bs_result res;
	uint8_t *p;

	res = put_section(w, sb, SECTION_MEMBERS, &w->members);
	if (!res)
		res = put_section(w, sb, SECTION_EXTENTS, &w->extents);
	if (!res)
		res = put_section(w, sb, SECTION_NAMES, &w->names);
	if (!res)
		res = put_section(w, sb, SECTION_BLOBS, &w->blobs);
	if (res)
		return res;
	p = grow(pages, w->pool_pages.len);
	if (!p)
		return fail(w, BS_ERR_NOMEM);
	if (w->pool_pages.len)
		memcpy(p, w->pool_pages.p, w->pool_pages.len);
	return put_section(w, sb, SECTION_PAGES, pages);
}

/* The fields that a single file's superblock repeats from its member. */
static void single_summary(const struct bs_writer *w, struct bs_summary *s)
{
	const uint8_t *b = w->members.p;

	s->mode = get_u32(b + MEMBER_MODE);
	s->mtime_ns = (int64_t)get_u64(b + MEMBER_MTIME);
	s->digest_alg = b[MEMBER_DIGEST_ALGORITHM];
	memcpy(s->digest, b + MEMBER_DIGEST, BS_DIGEST_MAX);
}

/* The directory and both superblocks; the caller has set what differs between
 * a single file and a bundle. */
static enum bs_result finish(struct bs_writer *w, struct bs_superblock *sb,
			     uint64_t *ret_len)
{
	uint8_t block[SB_LEN];
	enum bs_result res;
	uint64_t off;

	res = flush_page(w, &w->index, &w->index_pages);
	if (!res)
		res = flush_page(w, &w->pool, &w->pool_pages);
	if (res)
		return res;
	sb->page_records_log2 = PAGE_RECORDS_LOG2;
	sb->n_pool_pages = w->pool_pages.len / PAGE_RECORD_LEN;
	res = put_sections(w, sb);
	if (res)
		return res;
	sb->n_blobs = w->n_blobs;
	sb->n_chunks = w->n_chunks;
	sb->n_extents = w->n_extents;
	sb->summary.n_members = w->n_members;
	sb->summary.size = w->total_size;
	sb->summary.container_len = round_up8(w->at) + SB_LEN;
	bs_superblock_write(sb, block);
	res = emit(w, block, SB_LEN, &off);
	if (!res && w->sink.pwrite(w->sink.ctx, block, SB_LEN, 0))
		res = fail(w, BS_ERR_IO);
	*ret_len = w->at;
	return res;
}

enum bs_result bs_writer_finish(struct bs_writer *w, const char *suffix,
				uint64_t *ret_len)
{
	struct bs_superblock sb = { 0 };

	if (w->failed)
		return w->failed;
	if (w->is_open || w->n_members != 1 || w->names.len ||
	    strlen(suffix) > BS_SUFFIX_MAX)
		return fail(w, BS_ERR_PARAM);
	single_summary(w, &sb.summary);
	memcpy(sb.summary.suffix, suffix, strlen(suffix));
	return finish(w, &sb, ret_len);
}

enum bs_result bs_writer_finish_bundle(struct bs_writer *w, uint32_t mode,
				       int64_t mtime_ns, uint64_t *ret_len)
{
	struct bs_superblock sb = { 0 };

	if (w->failed)
		return w->failed;
	if (w->is_open)
		return fail(w, BS_ERR_PARAM);
	sb.summary.is_bundle = 1;
	sb.summary.mode = mode & 07777;
	sb.summary.mtime_ns = mtime_ns;
	return finish(w, &sb, ret_len);
}
