/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - containers for the fuzz targets
 *
 * Checksums hide everything behind them from random input.  Here they are made
 * right again, and containers are built by hand around one hostile chunk and
 * its hostile model, as docs/format.md has them.
 */

#ifndef FUZZ_CONTAINER_H
#define FUZZ_CONTAINER_H

#include "format.h"
#include "fuzz.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline void store_sum(uint8_t *dst, const uint8_t *p, size_t len)
{
	store64(dst, XXH3_64bits(p, len));
}

/* The part of a container that a field pair names, or NULL. */
static inline uint8_t *part(uint8_t *p, size_t len, uint64_t off, uint64_t n)
{
	return off <= len && n <= len - off ? p + off : NULL;
}

static inline void repair_records(uint8_t *p, size_t len, uint8_t *page,
				  uint32_t page_len)
{
	size_t budget = 16 << 20, i;

	for (i = 0; i + CHUNK_LEN <= page_len; i += CHUNK_LEN) {
		uint8_t *rec = page + i, *stored;
		uint32_t n = load32(rec + CHUNK_STORED_LENGTH);

		stored = part(p, len, load64(rec + CHUNK_OFFSET), n);
		if (!stored || n > budget)
			continue;
		store_sum(rec + CHUNK_STORED_CHECKSUM, stored, n);
		budget -= n;
	}
}

static inline void repair_pages(uint8_t *p, size_t len, const uint8_t *sb,
				uint8_t *pages, uint64_t pages_len)
{
	unsigned log2 = sb[SB_PAGE_RECORDS_LOG2] & 31;
	uint64_t n_index = (load64(sb + SB_CHUNK_COUNT) >> log2) + 1, i;

	for (i = 0; (i + 1) * PAGE_RECORD_LEN <= pages_len; i++) {
		uint8_t *rec = pages + i * PAGE_RECORD_LEN, *page;
		uint32_t n = load32(rec + PAGE_LENGTH);

		page = part(p, len, load64(rec + PAGE_OFFSET), n);
		if (!page)
			continue;
		if (i < n_index)
			repair_records(p, len, page, n);
		store_sum(rec + PAGE_CHECKSUM, page, n);
	}
}

/* Make every checksum of a container right, and its length, as far as its
 * fields still lead from one to the next. */
static inline void repair(uint8_t *p, size_t len)
{
	uint8_t *sb = p, *rec, *sec;
	unsigned i, n;

	if (len < 2 * SB_LEN)
		return;
	if (memcmp(sb, SB_MAGIC, SB_MAGIC_LEN))
		sb = p + len - SB_LEN;
	store64(sb + SB_CONTAINER_LENGTH, len);
	n = sb[SB_SECTION_COUNT] <= SB_SECTIONS_MAX ? sb[SB_SECTION_COUNT] : 0;
	for (i = 0; i < n; i++) {
		uint64_t sec_len;

		rec = sb + SB_SECTIONS + i * SECTION_RECORD_LEN;
		sec_len = load64(rec + SECTION_LENGTH);
		sec = part(p, len, load64(rec + SECTION_OFFSET), sec_len);
		if (!sec)
			continue;
		if (load16(rec + SECTION_TYPE) == SECTION_PAGES)
			repair_pages(p, len, sb, sec, sec_len);
		store_sum(rec + SECTION_CHECKSUM, sec, sec_len);
	}
	store_sum(sb + SB_CHECKSUM, sb, SB_CHECKSUM);
}

/* A chunk, and the pool page that holds its model. */
struct one_chunk {
	uint8_t coding;
	uint8_t dtype;
	uint32_t width;
	uint32_t before; /* bytes of the blob before the chunk */
	uint32_t raw_len; /* >= stored_len */
	uint64_t model;
	const uint8_t *pool;
	uint32_t pool_len; /* > 0 */
	const uint8_t *stored;
	uint32_t stored_len; /* > 0 */
};

/* What is being built: 'len' bytes so far. */
struct build {
	uint8_t *p;
	size_t len;
};

static inline size_t build_put(struct build *b, const void *data, size_t len)
{
	size_t off = b->len;

	memcpy(b->p + off, data, len);
	b->len = (off + len + 7) / 8 * 8;
	return off;
}

static inline size_t build_records(struct build *b, const struct one_chunk *c)
{
	size_t stored = build_put(b, c->stored, c->stored_len), off = b->len;
	uint8_t rec[2 * CHUNK_LEN] = { 0 }, *last = rec;

	if (c->before) {
		store64(rec + CHUNK_OFFSET, stored);
		store32(rec + CHUNK_STORED_LENGTH, 1);
		rec[CHUNK_CODING] = BS_CODING_CONSTANT;
		last += CHUNK_LEN;
	}
	store64(last + CHUNK_OFFSET, stored);
	store32(last + CHUNK_STORED_LENGTH, c->stored_len);
	last[CHUNK_CODING] = c->coding;
	build_put(b, rec, (size_t)(last + CHUNK_LEN - rec));
	return off;
}

static inline void build_section(struct build *b, uint8_t *sb, unsigned type,
				 const void *data, size_t len)
{
	uint8_t *rec = sb + SB_SECTIONS + (type - 1) * SECTION_RECORD_LEN;

	rec[SECTION_TYPE] = (uint8_t)type;
	rec[SECTION_FLAGS] = SECTION_FLAG_MUST;
	store64(rec + SECTION_LENGTH, len);
	store64(rec + SECTION_OFFSET, build_put(b, data, len));
}

/* Build the container around 'c': one member of one blob, of one chunk or, with
 * bytes before it, two.  Returns its length; *ret is malloced. */
static inline size_t build_container(uint8_t **ret, const struct one_chunk *c)
{
	uint8_t sb[SB_LEN] = SB_MAGIC, member[MEMBER_LEN] = { 0 };
	uint8_t extent[EXTENT_LEN] = { 0 }, blob[BLOB_LEN] = { 0 };
	uint8_t pages[2 * PAGE_RECORD_LEN] = { 0 };
	uint64_t len = (uint64_t)c->before + c->raw_len;
	unsigned n_chunks = c->before ? 2 : 1;
	struct build b = { .len = SB_LEN };

	b.p = calloc(1, 4096 + (size_t)c->stored_len + c->pool_len);
	MUST(b.p);
	store64(pages + PAGE_OFFSET, build_records(&b, c));
	store32(pages + PAGE_LENGTH, n_chunks * CHUNK_LEN);
	store32(pages + PAGE_RECORD_LEN + PAGE_LENGTH, c->pool_len);
	store64(pages + PAGE_RECORD_LEN + PAGE_OFFSET,
		build_put(&b, c->pool, c->pool_len));

	member[MEMBER_TYPE] = BS_MEMBER_FILE;
	store64(member + MEMBER_SIZE, len);
	store64(member + MEMBER_EXTENT_COUNT, 1);
	store64(extent + EXTENT_LENGTH, len);
	store64(blob + BLOB_LENGTH, len);
	store64(blob + BLOB_CHUNK_COUNT, n_chunks);
	store64(blob + BLOB_FIRST_CHUNK_LENGTH,
		c->before ? c->before : c->raw_len);
	blob[BLOB_CHUNK_SIZE_LOG2] = CHUNK_SIZE_LOG2_MAX;
	blob[BLOB_DTYPE] = c->dtype;
	store32(blob + BLOB_BASE, NO_BASE);
	store64(blob + BLOB_WIDTH, c->width);
	store64(blob + BLOB_MODEL, c->model);

	sb[SB_SUPERBLOCK_LENGTH + 1] = SB_LEN >> 8;
	store64(sb + SB_MEMBER_COUNT, 1);
	store64(sb + SB_TOTAL_SIZE, len);
	sb[SB_SECTION_COUNT] = 5;
	sb[SB_PAGE_RECORDS_LOG2] = PAGE_RECORDS_LOG2_MIN;
	store64(sb + SB_BLOB_COUNT, 1);
	store64(sb + SB_CHUNK_COUNT, n_chunks);
	store64(sb + SB_EXTENT_COUNT, 1);
	store64(sb + SB_POOL_PAGE_COUNT, 1);
	build_section(&b, sb, SECTION_MEMBERS, member, sizeof(member));
	build_section(&b, sb, SECTION_EXTENTS, extent, sizeof(extent));
	build_section(&b, sb, SECTION_NAMES, "", 0);
	build_section(&b, sb, SECTION_BLOBS, blob, sizeof(blob));
	build_section(&b, sb, SECTION_PAGES, pages, sizeof(pages));
	memcpy(b.p, sb, SB_LEN);
	b.len += SB_LEN;
	repair(b.p, b.len);
	memcpy(b.p + b.len - SB_LEN, b.p, SB_LEN);
	*ret = b.p;
	return b.len;
}

#endif /* FUZZ_CONTAINER_H */
