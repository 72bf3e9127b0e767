/* SPDX-License-Identifier: Apache-2.0 */
/*
 * categories.c - fp8_cat_ac, fp4_cat_ac: whole elements as symbols
 */

#include "plan.h"

struct categories {
	struct bs_up_node node;
	unsigned lane;
	int is_packed; /* two symbols make a byte, the lower half first */
};

static enum bs_result run(const struct bs_up_node *node, struct bs_up_run *r,
			  size_t n, void *dst)
{
	const struct categories *c = (const struct categories *)node;
	size_t max = c->is_packed ? UP_BLOCK / 2 : UP_BLOCK;
	uint8_t *to = dst;
	enum bs_result res = BS_OK;

	while (n && !res) {
		size_t len = n < max ? n : max, i;
		const uint16_t *s;

		s = bs_up_lane_next(&r->lanes[c->lane], r->symbols[0],
				    c->is_packed ? 2 * len : len, &res);
		for (i = 0; i < len && !c->is_packed; i++)
			to[i] = (uint8_t)s[i];
		for (i = 0; i < len && c->is_packed; i++)
			to[i] = (uint8_t)(s[2 * i] | s[2 * i + 1] << 4);
		to += len;
		n -= len;
	}
	return res;
}

static struct categories *new (struct bs_up_plan *plan, uint64_t n,
			       struct bs_up_node **ret)
{
	*ret = bs_up_node_new(plan, sizeof(struct categories), n, 1);
	if (*ret)
		(*ret)->run = run;
	return (struct categories *)*ret;
}

enum bs_result bs_up_fp8_open(struct bs_up_plan *plan,
			      const struct bs_source *src,
			      struct bs_up_span span, uint64_t n,
			      struct bs_up_node **ret)
{
	struct categories *c = new (plan, n, ret);
	uint32_t counts[256];
	struct bs_up_reader rd;

	if (!c)
		return BS_ERR_NOMEM;
	bs_up_reader_init(&rd, src, span);
	bs_up_check(&rd, bs_up_read_u32(&rd) == n);
	bs_up_read_counts(&rd, bs_up_read_u16(&rd), 1, counts, 256, n);
	span = bs_up_read_prefixed(&rd);
	if (bs_up_read_end(&rd))
		return rd.res;
	return bs_up_plan_symbols(plan, UP_RANGE, span, counts, 256, 1,
				  &c->lane);
}

enum bs_result bs_up_fp4_open(struct bs_up_plan *plan,
			      const struct bs_source *src,
			      struct bs_up_span span, uint64_t n,
			      struct bs_up_node **ret)
{
	struct categories *c = new (plan, n, ret);
	uint32_t counts[16], n_symbols;
	unsigned k, packed;
	struct bs_up_reader rd;
	enum bs_result res;

	if (!c)
		return BS_ERR_NOMEM;
	bs_up_reader_init(&rd, src, span);
	n_symbols = bs_up_read_u32(&rd);
	k = bs_up_read_u8(&rd);
	packed = bs_up_read_u8(&rd);
	c->is_packed = packed == 1;
	bs_up_check(&rd, packed <= 1 && n_symbols == (packed ? 2 * n : n));
	bs_up_read_counts(&rd, k, 1, counts, 16, n_symbols);
	span = bs_up_read_prefixed(&rd);
	if (bs_up_read_end(&rd))
		return rd.res;
	res = bs_up_plan_symbols(plan, UP_RANGE, span, counts, 16, 1, &c->lane);
	if (!res && packed)
		plan->streams[c->lane].unit = 2;
	return res;
}
