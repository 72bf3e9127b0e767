/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.c - tensors stored as they are, or as one zstd frame
 */

#include "plan.h"

struct bytes {
	struct bs_up_node node;
	unsigned lane;
};

static enum bs_result run(const struct bs_up_node *node, struct bs_up_run *r,
			  size_t n, void *dst)
{
	const struct bytes *b = (const struct bytes *)node;

	return bs_up_run_bytes(r, b->lane, dst, n * node->width);
}

static enum bs_result open(struct bs_up_plan *plan, const struct bs_source *src,
			   struct bs_up_span span, uint64_t n,
			   enum bs_up_kind kind, unsigned width,
			   struct bs_up_node **ret)
{
	struct bytes *b;

	*ret = bs_up_node_new(plan, sizeof(*b), n, width);
	if (!*ret)
		return BS_ERR_NOMEM;
	b = (struct bytes *)*ret;
	b->node.run = run;
	return bs_up_plan_bytes(plan, src, kind, span, width, &b->lane);
}

enum bs_result bs_up_raw_open(struct bs_up_plan *plan,
			      const struct bs_source *src,
			      struct bs_up_span span, uint64_t n,
			      struct bs_up_node **ret)
{
	if (span.len != n)
		return BS_ERR_CORRUPT;
	return open(plan, src, span, n, UP_BYTES, 1, ret);
}

enum bs_result bs_up_zstd_open(struct bs_up_plan *plan,
			       const struct bs_source *src,
			       struct bs_up_span span, uint64_t n,
			       struct bs_up_node **ret)
{
	return open(plan, src, span, n, UP_ZSTD, 1, ret);
}

enum bs_result bs_up_zstd16_open(struct bs_up_plan *plan,
				 const struct bs_source *src,
				 struct bs_up_span span, uint64_t n,
				 struct bs_up_node **ret)
{
	return open(plan, src, span, n, UP_ZSTD, 2, ret);
}
