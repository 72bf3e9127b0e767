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

enum coding { CODING_NIBBLES = 0, CODING_R16 = 2 };

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
	v->is_coded = coding == CODING_R16;
	if (v->is_coded)
		return open_coded(v, &rd);
	if (coding != CODING_NIBBLES)
		return BS_ERR_FEATURE;
	return v->packed.len == (n + 1) / 2 ? BS_OK : BS_ERR_CORRUPT;
}

void bs_up_int4_fini(struct bs_up_int4 *v)
{
	free(v->scales);
	v->scales = NULL;
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
	size_t len = v->is_coded
			     ? v->chunks.len + bs_up_chunks_stored(&v->chunks)
			     : n_max / 2 + 1;

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

	if (!v->is_coded)
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
