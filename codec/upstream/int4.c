/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int4.c - a tensor in 4-bit values: int4g_v1
 */

#include "int4.h"

#include "../bits.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_MAX (1u << 19)

/* A stored chunk is smaller than its elements; this is for what is not of any
 * size. */
#define STORED_SLACK (64u << 10)

/* ---- Chunks -------------------------------------------------------------- */

void bs_up_chunks_read(struct bs_up_reader *rd, struct bs_up_chunks *c,
		       uint64_t n)
{
	if (!bs_up_check(rd, !rd->res && c->len >= 1 && c->len <= CHUNK_MAX &&
				     c->n == div_up(n, c->len)))
		return;
	c->offsets = bs_up_read_span(rd, 4 * ((uint64_t)c->n + 1)).off;
	c->base = rd->pos;
	c->end = rd->end;
}

size_t bs_up_chunks_stored(const struct bs_up_chunks *c)
{
	return 3 * (size_t)c->len + STORED_SLACK;
}

enum bs_result bs_up_chunks_load(const struct bs_up_chunks *c,
				 const struct bs_source *src, uint32_t i,
				 uint8_t *dst, size_t *ret_len)
{
	uint8_t b[8];
	uint32_t from, to;

	if (src->pread(src->ctx, b, sizeof(b), c->offsets + 4 * (uint64_t)i))
		return BS_ERR_IO;
	from = get_u32(b);
	to = get_u32(b + 4);
	if (from > to || to > c->end - c->base ||
	    to - from > bs_up_chunks_stored(c))
		return BS_ERR_CORRUPT;
	*ret_len = to - from;
	if (*ret_len && src->pread(src->ctx, dst, *ret_len, c->base + from))
		return BS_ERR_IO;
	return BS_OK;
}

/* ---- Opening ------------------------------------------------------------- */

static enum bs_result open_coded(struct bs_up_int4 *v, struct bs_up_reader *rd)
{
	uint32_t freq[INT4_VALUES];
	unsigned i;

	bs_up_reader_init(rd, rd->src, v->packed);
	bs_up_check(rd, bs_up_read_u8(rd) == R16_BITS);
	v->chunks.len = bs_up_read_u32(rd);
	v->chunks.n = bs_up_read_u32(rd);
	for (i = 0; i < INT4_VALUES; i++)
		freq[i] = bs_up_read_u32(rd);
	bs_up_chunks_read(rd, &v->chunks, v->n);
	return rd->res ? rd->res
		       : bs_r16_table_init(&v->table, freq, INT4_VALUES);
}

/* What a reader of symbols has. */
struct symbols {
	uint64_t next; /* where the lane is */
	uint64_t has_begun;
	struct bs_up_lane lane;
	uint16_t block[UP_BLOCK];
	uint8_t window[UP_BLOCK];
};

/* A blob of fp4_cat_ac, a symbol a value.  It is read once to note places, as
 * readers want any value. */
static enum bs_result find_places(struct bs_up_int4 *v,
				  const struct bs_source *src)
{
	struct symbols *s = malloc(sizeof(*s));
	struct bs_up_job job = { &s->lane, NULL, 0 };
	enum bs_result res = BS_ERR_NOMEM;
	uint64_t at;

	v->places =
		malloc((size_t)div_up(v->n, INT4_PLACE) * sizeof(*v->places));
	if (s && v->places)
		res = bs_up_lane_begin(&s->lane, &v->symbols, src, s->window,
				       sizeof(s->window));
	for (at = 0; at < v->n && !res; at += UP_BLOCK) {
		if (at % INT4_PLACE == 0)
			bs_up_lane_save(&s->lane, &v->places[at / INT4_PLACE]);
		job.dst = s->block;
		job.n = v->n - at < UP_BLOCK ? (size_t)(v->n - at) : UP_BLOCK;
		res = bs_up_symbols(&job, 1);
	}
	free(s);
	return res;
}

static enum bs_result open_symbols(struct bs_up_int4 *v,
				   struct bs_up_reader *rd)
{
	uint32_t counts[INT4_VALUES];
	struct bs_up_span span;
	enum bs_result res;
	unsigned k;

	bs_up_reader_init(rd, rd->src, v->packed);
	bs_up_check(rd, bs_up_read_u32(rd) == v->n);
	k = bs_up_read_u8(rd);
	bs_up_check(rd, bs_up_read_u8(rd) == 0); /* a symbol, not two, a byte */
	bs_up_read_counts(rd, k, 1, counts, INT4_VALUES, v->n);
	span = bs_up_read_prefixed(rd);
	if (bs_up_read_end(rd))
		return rd->res;
	if (span.len % 4)
		return BS_ERR_CORRUPT;
	res = bs_up_table_new(&v->symbol_table, counts, INT4_VALUES, 1);
	v->symbols = (struct bs_up_stream){ .kind = UP_RANGE,
					    .off = span.off,
					    .len = span.len,
					    .table = v->symbol_table };
	return res ? res : find_places(v, rd->src);
}

enum bs_result bs_up_int4_open(struct bs_up_int4 *v,
			       const struct bs_source *src,
			       struct bs_up_span span, uint64_t n)
{
	struct bs_up_reader rd;
	uint64_t n_groups;
	unsigned coding;

	v->n = n;
	bs_up_reader_init(&rd, src, span);
	bs_up_check(&rd, bs_up_read_u32(&rd) == n);
	v->group = bs_up_read_u16(&rd);
	n_groups = bs_up_read_u32(&rd);
	if (!bs_up_check(&rd, v->group && n_groups == div_up(n, v->group) &&
				      2 * n_groups <= rd.end - rd.pos))
		return rd.res;
	v->scales = malloc((size_t)(2 * n_groups));
	if (!v->scales)
		return BS_ERR_NOMEM;
	bs_up_read(&rd, v->scales, (size_t)(2 * n_groups));
	coding = bs_up_read_u8(&rd);
	v->packed = bs_up_read_prefixed(&rd);
	if (bs_up_read_end(&rd))
		return rd.res;
	if (coding > INT4_CHUNKS)
		return BS_ERR_FEATURE;
	v->coding = (enum bs_up_int4_coding)coding;
	if (v->coding == INT4_CHUNKS)
		return open_coded(v, &rd);
	if (v->coding == INT4_SYMBOLS)
		return open_symbols(v, &rd);
	return v->packed.len == (n + 1) / 2 ? BS_OK : BS_ERR_CORRUPT;
}

void bs_up_int4_fini(struct bs_up_int4 *v)
{
	free(v->scales);
	bs_up_table_free(v->symbol_table);
	free(v->places);
	v->scales = NULL;
	v->symbol_table = NULL;
	v->places = NULL;
}

uint16_t bs_up_int4_scale(const struct bs_up_int4 *v, uint64_t at)
{
	return get_u16(v->scales + at / v->group * 2);
}

/* ---- Values -------------------------------------------------------------- */

/* What a reader has. */
struct scratch {
	uint64_t chunk; /* which one 'bytes' begins with, and 1 */
	uint8_t bytes[]; /* [chunks.len] values, then stored bytes */
};

size_t bs_up_int4_scratch_len(const struct bs_up_int4 *v, size_t n_max)
{
	size_t len = n_max / 2 + 1;

	if (v->coding == INT4_SYMBOLS)
		return (sizeof(struct symbols) + 15) & ~(size_t)15;
	if (v->coding == INT4_CHUNKS)
		len = v->chunks.len + bs_up_chunks_stored(&v->chunks);
	return (sizeof(struct scratch) + len + 15) & ~(size_t)15;
}

static enum bs_result read_packed(const struct bs_up_int4 *v,
				  const struct bs_source *src, uint64_t first,
				  size_t n, uint8_t *dst, struct scratch *s)
{
	size_t len = (size_t)((first + n + 1) / 2 - first / 2), i;

	if (src->pread(src->ctx, s->bytes, len, v->packed.off + first / 2))
		return BS_ERR_IO;
	for (i = 0; i < n; i++) {
		uint64_t at = first + i;

		dst[i] = s->bytes[at / 2 - first / 2] >> at % 2 * 4 & 15;
	}
	return BS_OK;
}

/* From the last place before 'first', or from where the reader is. */
static enum bs_result read_symbols(const struct bs_up_int4 *v,
				   const struct bs_source *src, uint64_t first,
				   size_t n, uint8_t *dst, struct symbols *s)
{
	enum bs_result res = BS_OK;
	size_t i;

	if (!s->has_begun)
		res = bs_up_lane_begin(&s->lane, &v->symbols, src, s->window,
				       sizeof(s->window));
	s->has_begun = !res;
	if (!res && (s->next > first || first - s->next > INT4_PLACE)) {
		bs_up_lane_restore(&s->lane, &v->places[first / INT4_PLACE]);
		s->next = first / INT4_PLACE * INT4_PLACE;
	}
	while (n && !res) {
		size_t skip = first - s->next < UP_BLOCK
				      ? (size_t)(first - s->next)
				      : UP_BLOCK;
		size_t len = UP_BLOCK - skip < n ? UP_BLOCK - skip : n;
		struct bs_up_job job = { &s->lane, s->block, skip + len };

		res = bs_up_symbols(&job, 1);
		s->next += skip + len;
		if (skip == UP_BLOCK)
			continue;
		for (i = 0; i < len; i++)
			dst[i] = (uint8_t)s->block[skip + i];
		first += len;
		dst += len;
		n -= len;
	}
	return res;
}

/* Have chunk 'i' in 's'. */
static enum bs_result load(const struct bs_up_int4 *v,
			   const struct bs_source *src, uint64_t i,
			   struct scratch *s)
{
	uint64_t n = v->n - i * v->chunks.len;
	uint8_t *stored = s->bytes + v->chunks.len;
	struct bs_r16 coder;
	enum bs_result res;
	size_t len;

	if (s->chunk == i + 1)
		return BS_OK;
	s->chunk = 0;
	res = bs_up_chunks_load(&v->chunks, src, (uint32_t)i, stored, &len);
	if (!res)
		res = bs_r16_init(&coder, stored, len);
	if (res)
		return res;
	bs_r16_symbols(&coder, &v->table, s->bytes,
		       n < v->chunks.len ? (size_t)n : v->chunks.len);
	s->chunk = i + 1;
	return BS_OK;
}

enum bs_result bs_up_int4_read(const struct bs_up_int4 *v,
			       const struct bs_source *src, uint64_t first,
			       size_t n, uint8_t *dst, void *scratch)
{
	struct scratch *s = scratch;

	if (v->coding == INT4_SYMBOLS)
		return read_symbols(v, src, first, n, dst, scratch);
	if (v->coding == INT4_PACKED)
		return read_packed(v, src, first, n, dst, s);
	while (n) {
		size_t skip = (size_t)(first % v->chunks.len);
		size_t len = v->chunks.len - skip;
		enum bs_result res = load(v, src, first / v->chunks.len, s);

		if (res)
			return res;
		len = len < n ? len : n;
		memcpy(dst, s->bytes + skip, len);
		dst += len;
		first += len;
		n -= len;
	}
	return BS_OK;
}

void bs_up_int4_sort(const uint8_t *values, size_t n, uint32_t *order,
		     uint32_t *counts)
{
	uint32_t at[INT4_VALUES], sum = 0;
	unsigned v;
	size_t i;

	memset(counts, 0, INT4_VALUES * sizeof(*counts));
	for (i = 0; i < n; i++)
		counts[values[i]]++;
	for (v = 0; v < INT4_VALUES; v++) {
		at[v] = sum;
		sum += counts[v];
	}
	for (i = 0; i < n; i++)
		order[at[values[i]]++] = (uint32_t)i;
}
