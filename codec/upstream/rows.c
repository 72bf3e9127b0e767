/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.c - tensors whose rows are stored as differences from the row before
 *
 * The place in the tensor has, besides the lanes' (there are none), how many
 * bytes were given, and the last row.
 */

#include "../bits.h"
#include "blosc.h"

#include <string.h>

struct rows {
	struct bs_up_node node;
	struct bs_up_blosc blosc;
	uint64_t row_len; /* bytes */
	int is_delta;
};

/* What a run has of it. */
struct memory {
	uint64_t pos;
	uint8_t *row; /* [row_len] */
	uint64_t *block; /* which one is in 'raw', and 1 */
	uint8_t *raw; /* [block_len] */
	uint8_t *tmp; /* [2 * block_len] */
};

static uint64_t kept_len(const struct rows *s)
{
	return 8 + round_up8(s->is_delta ? s->row_len : 0);
}

static void find_memory(const struct rows *s, struct bs_up_run *r,
			struct memory *ret)
{
	ret->pos = get_u64(r->extra);
	ret->row = r->extra + 8;
	ret->block = (uint64_t *)(void *)(r->extra + kept_len(s));
	ret->raw = r->extra + kept_len(s) + 8;
	ret->tmp = ret->raw + s->blosc.block_len;
}

/* Add the row before to 'n' bytes, and note them as such for the next. */
static void add_row(const uint8_t *raw, uint8_t *row, uint8_t *dst, size_t n,
		    unsigned item_len)
{
	size_t i;

	switch (item_len) {
	case 1:
		for (i = 0; i < n; i++)
			row[i] = (uint8_t)(row[i] + raw[i]);
		break;
	case 2:
		for (i = 0; i < n; i += 2)
			put_u16(row + i, (uint16_t)(get_u16(row + i) +
						    get_u16(raw + i)));
		break;
	case 4:
		for (i = 0; i < n; i += 4)
			put_u32(row + i, get_u32(row + i) + get_u32(raw + i));
		break;
	default:
		for (i = 0; i < n; i += 8)
			put_u64(row + i, get_u64(row + i) + get_u64(raw + i));
	}
	memcpy(dst, row, n);
}

static enum bs_result run(const struct bs_up_node *node, struct bs_up_run *r,
			  size_t n, void *dst)
{
	const struct rows *s = (const struct rows *)node;
	uint64_t len = (uint64_t)n * node->width;
	struct memory m;
	uint8_t *to = dst;
	enum bs_result res;

	res = r->zstd ? BS_OK : bs_zstd_new(&r->zstd);
	find_memory(s, r, &m);
	while (len && !res) {
		uint64_t block = m.pos / s->blosc.block_len;
		uint64_t at = m.pos % s->blosc.block_len;
		uint64_t col = m.pos % s->row_len;
		uint64_t k = s->blosc.block_len - at;

		if (*m.block != block + 1) {
			*m.block = 0;
			res = bs_up_blosc_block(&s->blosc, r->src, r->zstd,
						(uint32_t)block, m.raw, m.tmp);
			if (res)
				break;
			*m.block = block + 1;
		}
		k = k < len ? k : len;
		if (s->is_delta && k > s->row_len - col)
			k = s->row_len - col;
		if (s->is_delta)
			add_row(m.raw + at, m.row + col, to, (size_t)k,
				node->width);
		else
			memcpy(to, m.raw + at, (size_t)k);
		to += k;
		m.pos += k;
		len -= k;
	}
	put_u64(r->extra, m.pos);
	return res;
}

enum bs_result bs_up_rows_open(struct bs_up_plan *plan,
			       const struct bs_source *src,
			       struct bs_up_span span, uint64_t n,
			       struct bs_up_node **ret)
{
	unsigned item_len, delta;
	uint64_t rows, cols;
	struct bs_up_reader rd;
	struct rows *s;
	enum bs_result res;

	*ret = bs_up_node_new(plan, sizeof(*s), 0, 1);
	if (!*ret)
		return BS_ERR_NOMEM;
	s = (struct rows *)*ret;
	s->node.run = run;
	bs_up_reader_init(&rd, src, span);
	item_len = bs_up_read_u8(&rd);
	delta = bs_up_read_u8(&rd);
	rows = bs_up_read_u32(&rd);
	cols = bs_up_read_u32(&rd);
	span = bs_up_read_prefixed(&rd);
	bs_up_check(&rd, item_len && item_len <= 8 &&
				 !(item_len & (item_len - 1)) && delta <= 1 &&
				 rows && cols && n % item_len == 0 &&
				 n / item_len / rows == cols &&
				 n / item_len % rows == 0);
	res = bs_up_read_end(&rd);
	if (!res)
		res = bs_up_blosc_open(&s->blosc, src, span, n, item_len);
	if (res)
		return res;
	s->node.width = item_len;
	s->node.n = n / item_len;
	s->row_len = cols * item_len;
	s->is_delta = (int)delta;
	plan->kept_len = (size_t)kept_len(s);
	plan->extra_len = plan->kept_len + 8 + 3 * (size_t)s->blosc.block_len;
	return BS_OK;
}
