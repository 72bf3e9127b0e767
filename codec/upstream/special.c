/* SPDX-License-Identifier: Apache-2.0 */
/*
 * special.c - tensors of few distinct values: an index a byte, and the values
 */

#include "../bits.h"
#include "plan.h"

#include <string.h>

struct lowcard {
	struct bs_up_node node;
	unsigned lane;
	unsigned n_values;
	unsigned item_len;
	uint64_t values[256]; /* those past n_values are zero */
};

/* The indexes of 'n' items into 'dst'; which is out of range, if any. */
static unsigned look_up(const struct lowcard *c, const uint8_t *index, size_t n,
			uint8_t *dst)
{
	unsigned max = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		uint64_t v = c->values[index[i]];

		max = index[i] > max ? index[i] : max;
		switch (c->item_len) {
		case 1:
			dst[i] = (uint8_t)v;
			break;
		case 2:
			put_u16(dst + 2 * i, (uint16_t)v);
			break;
		case 4:
			put_u32(dst + 4 * i, (uint32_t)v);
			break;
		default:
			put_u64(dst + 8 * i, v);
		}
	}
	return max;
}

static enum bs_result run(const struct bs_up_node *node, struct bs_up_run *r,
			  size_t n, void *dst)
{
	const struct lowcard *c = (const struct lowcard *)node;
	uint8_t *to = dst;
	enum bs_result res = BS_OK;

	while (n && !res) {
		size_t len = n < UP_BLOCK ? n : UP_BLOCK;

		res = bs_up_run_bytes(r, c->lane, r->bytes[0], len);
		if (!res && look_up(c, r->bytes[0], len, to) >= c->n_values)
			res = BS_ERR_CORRUPT;
		to += len * c->item_len;
		n -= len;
	}
	return res;
}

enum bs_result bs_up_lowcard_open(struct bs_up_plan *plan,
				  const struct bs_source *src,
				  struct bs_up_span span, uint64_t n,
				  struct bs_up_node **ret)
{
	struct lowcard *c;
	struct bs_up_reader rd;
	unsigned i;

	*ret = bs_up_node_new(plan, sizeof(*c), 0, 1);
	if (!*ret)
		return BS_ERR_NOMEM;
	c = (struct lowcard *)*ret;
	c->node.run = run;
	bs_up_reader_init(&rd, src, span);
	c->item_len = bs_up_read_u8(&rd);
	c->n_values = bs_up_read_u8(&rd);
	if (!bs_up_check(&rd, c->n_values >= 1 && c->item_len >= 1 &&
				      c->item_len <= 8 &&
				      !(c->item_len & (c->item_len - 1)) &&
				      n % c->item_len == 0))
		return rd.res;
	c->node.width = c->item_len;
	c->node.n = n / c->item_len;
	for (i = 0; i < c->n_values; i++)
		bs_up_read(&rd, &c->values[i], c->item_len);
	span = bs_up_read_prefixed(&rd);
	bs_up_check(&rd, bs_up_read_u32(&rd) == c->node.n);
	if (bs_up_read_end(&rd))
		return rd.res;
	return bs_up_plan_bytes(plan, src, UP_ZSTD, span, 1, &c->lane);
}
