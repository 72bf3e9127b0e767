/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.c - what codecs share: reading tables, adding streams
 */

#include "plan.h"

#include "../bits.h"

#include <stdlib.h>
#include <string.h>

void bs_up_plan_fini(struct bs_up_plan *plan)
{
	while (plan->tables) {
		struct bs_up_table *t = plan->tables;

		plan->tables = t->next;
		bs_up_table_free(t);
	}
	bs_up_node_free(plan->node);
	free(plan->streams);
	memset(plan, 0, sizeof(*plan));
}

static void free_plainly(struct bs_up_node *node)
{
	free(node);
}

struct bs_up_node *bs_up_node_new(struct bs_up_plan *plan, size_t len,
				  uint64_t n, unsigned width)
{
	struct bs_up_node *node = calloc(1, len);

	if (!node)
		return NULL;
	node->free = free_plainly;
	node->width = width;
	node->n = n;
	plan->mem += len;
	return node;
}

void bs_up_node_free(struct bs_up_node *node)
{
	if (node)
		node->free(node);
}

/* ---- Stored bytes -------------------------------------------------------- */

void bs_up_reader_init(struct bs_up_reader *rd, const struct bs_source *src,
		       struct bs_up_span span)
{
	rd->src = src;
	rd->pos = span.off;
	rd->end = span.off + span.len;
	rd->res = in_range(span.off, span.len, src->size) ? BS_OK
							  : BS_ERR_CORRUPT;
	rd->buf_off = 0;
	rd->buf_len = 0;
}

int bs_up_check(struct bs_up_reader *rd, int holds)
{
	if (!holds && !rd->res)
		rd->res = BS_ERR_CORRUPT;
	return holds;
}

static void fill(struct bs_up_reader *rd)
{
	uint64_t n = rd->end - rd->pos;

	if (n > sizeof(rd->buf))
		n = sizeof(rd->buf);
	rd->buf_off = rd->pos;
	rd->buf_len = (size_t)n;
	if (rd->src->pread(rd->src->ctx, rd->buf, (size_t)n, rd->pos) != 0) {
		rd->res = BS_ERR_IO;
		rd->buf_len = 0;
	}
}

void bs_up_read(struct bs_up_reader *rd, void *dst, size_t len)
{
	uint8_t *to = dst;

	bs_up_check(rd, rd->res || len <= rd->end - rd->pos);
	while (len && !rd->res) {
		uint64_t at = rd->pos - rd->buf_off;
		size_t n;

		if (rd->pos < rd->buf_off || at >= rd->buf_len) {
			fill(rd);
			continue;
		}
		n = rd->buf_len - (size_t)at;
		if (n > len)
			n = len;
		memcpy(to, rd->buf + at, n);
		rd->pos += n;
		to += n;
		len -= n;
	}
	if (len)
		memset(to, 0, len);
}

unsigned bs_up_read_u8(struct bs_up_reader *rd)
{
	uint8_t v;

	bs_up_read(rd, &v, sizeof(v));
	return v;
}

unsigned bs_up_read_u16(struct bs_up_reader *rd)
{
	uint8_t b[2];

	bs_up_read(rd, b, sizeof(b));
	return get_u16(b);
}

uint32_t bs_up_read_u32(struct bs_up_reader *rd)
{
	uint8_t b[4];

	bs_up_read(rd, b, sizeof(b));
	return get_u32(b);
}

struct bs_up_span bs_up_read_span(struct bs_up_reader *rd, uint64_t len)
{
	struct bs_up_span span = { rd->pos, 0 };

	if (rd->res || !bs_up_check(rd, len <= rd->end - rd->pos))
		return span;
	span.len = len;
	rd->pos += len;
	return span;
}

struct bs_up_span bs_up_read_prefixed(struct bs_up_reader *rd)
{
	uint32_t len = bs_up_read_u32(rd);

	return bs_up_read_span(rd, len);
}

enum bs_result bs_up_read_end(struct bs_up_reader *rd)
{
	bs_up_check(rd, rd->pos == rd->end);
	return rd->res;
}

void bs_up_read_counts(struct bs_up_reader *rd, unsigned k, unsigned symbol_len,
		       uint32_t *counts, unsigned n, uint64_t total)
{
	uint16_t symbols[UP_ALPHABET_MAX];
	uint64_t sum = 0;
	unsigned i;

	memset(counts, 0, n * sizeof(*counts));
	if (!bs_up_check(rd, k >= 1 && k <= n))
		return;
	for (i = 0; i < k; i++) {
		symbols[i] = (uint16_t)(symbol_len == 1 ? bs_up_read_u8(rd)
							: bs_up_read_u16(rd));
		if (rd->res ||
		    !bs_up_check(rd,
				 symbols[i] < n &&
					 (!i || symbols[i] > symbols[i - 1])))
			return;
	}
	for (i = 0; i < k; i++) {
		counts[symbols[i]] = bs_up_read_u32(rd);
		sum += counts[symbols[i]];
	}
	bs_up_check(rd, sum == total);
}

/* ---- Streams ------------------------------------------------------------- */

enum bs_result bs_up_plan_add(struct bs_up_plan *plan,
			      const struct bs_up_stream *s, unsigned *ret)
{
	if (plan->n_streams == plan->n_allocated) {
		unsigned n = plan->n_allocated ? 2 * plan->n_allocated : 8;
		struct bs_up_stream *more =
			realloc(plan->streams, n * sizeof(*more));

		if (!more)
			return BS_ERR_NOMEM;
		plan->mem += (n - plan->n_allocated) * sizeof(*more);
		plan->streams = more;
		plan->n_allocated = n;
	}
	*ret = plan->n_streams;
	plan->streams[plan->n_streams++] = *s;
	return BS_OK;
}

enum bs_result bs_up_plan_symbols(struct bs_up_plan *plan, enum bs_up_kind kind,
				  struct bs_up_span span,
				  const uint32_t *counts, unsigned n,
				  int is_awaited, unsigned *ret)
{
	struct bs_up_stream s = {
		.kind = kind, .off = span.off, .len = span.len, .unit = 1
	};
	struct bs_up_table *table;
	enum bs_result res;

	if (span.len % 4)
		return BS_ERR_CORRUPT;
	res = bs_up_table_new(&table, counts, n, is_awaited);
	if (res)
		return res;
	table->next = plan->tables;
	plan->tables = table;
	plan->mem += sizeof(*table) + n * sizeof(uint32_t);
	if (is_awaited)
		plan->mem += UP_N_BUCKETS * sizeof(*table->whole);
	s.table = table;
	return bs_up_plan_add(plan, &s, ret);
}

enum bs_result bs_up_plan_bytes(struct bs_up_plan *plan,
				const struct bs_source *src,
				enum bs_up_kind kind, struct bs_up_span span,
				unsigned unit, unsigned *ret)
{
	struct bs_up_stream s = {
		.kind = kind, .off = span.off, .len = span.len, .unit = unit
	};
	uint8_t head[BS_ZSTD_HEAD_LEN];
	size_t len = sizeof(head);

	if (kind == UP_ZSTD) {
		if (len > span.len)
			len = (size_t)span.len;
		if (len && src->pread(src->ctx, head, len, span.off))
			return BS_ERR_IO;
		/* Formats of before 2016 are read by Debian's library. */
		if (!bs_zstd_is_frame(head, len))
			return BS_ERR_CORRUPT;
		plan->window += bs_zstd_window(head, len);
	}
	return bs_up_plan_add(plan, &s, ret);
}
