/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f32.c - fp32_se_ac, bf16_native_f32, bf16_native_f32_v2
 *
 * The first has signs and exponents as symbols and the mantissa as three zstd
 * frames, a byte an element each.  The others have the upper 16 bits, which may
 * have been a BF16 once, as such, and the lower ones apart.
 */

#include "../bits.h"
#include "plan.h"

#include <stdlib.h>

/* ---- Signs, exponents and three bytes ------------------------------------ */

struct f32 {
	struct bs_up_node node;
	unsigned head;
	unsigned byte[3]; /* lanes; least significant first */
};

static enum bs_result run_f32(const struct bs_up_node *node,
			      struct bs_up_run *r, size_t n, void *dst)
{
	const struct f32 *f = (const struct f32 *)node;
	uint8_t *to = dst;
	enum bs_result res = BS_OK;

	while (n && !res) {
		size_t len = n < UP_BLOCK ? n : UP_BLOCK, i;
		const uint16_t *head;
		unsigned k;

		head = bs_up_lane_next(&r->lanes[f->head], r->symbols[0], len,
				       &res);
		for (k = 0; k < 3 && !res; k++)
			res = bs_up_run_bytes(r, f->byte[k], r->bytes[k], len);
		for (i = 0; i < len && !res; i++) {
			uint32_t s = head[i];
			uint32_t low = (uint32_t)r->bytes[2][i] << 16 |
				       (uint32_t)r->bytes[1][i] << 8 |
				       r->bytes[0][i];

			put_u32(to + 4 * i,
				s >> 8 << 31 | (s & 0xff) << 23 | low);
		}
		to += 4 * len;
		n -= len;
	}
	return res;
}

enum bs_result bs_up_fp32_ac_open(struct bs_up_plan *plan,
				  const struct bs_source *src,
				  struct bs_up_span span, uint64_t n,
				  struct bs_up_node **ret)
{
	uint32_t counts[512];
	struct bs_up_reader rd;
	enum bs_result res;
	struct f32 *f;
	unsigned k;

	*ret = bs_up_node_new(plan, sizeof(*f), n, 4);
	if (!*ret)
		return BS_ERR_NOMEM;
	f = (struct f32 *)*ret;
	f->node.run = run_f32;
	bs_up_reader_init(&rd, src, span);
	bs_up_check(&rd, bs_up_read_u32(&rd) == n);
	bs_up_read_counts(&rd, bs_up_read_u16(&rd), 2, counts, 512, n);
	span = bs_up_read_prefixed(&rd);
	res = rd.res ? rd.res
		     : bs_up_plan_symbols(plan, UP_RANGE, span, counts, 512, 1,
					  &f->head);
	for (k = 0; k < 3 && !res; k++) {
		span = bs_up_read_prefixed(&rd);
		res = rd.res ? rd.res
			     : bs_up_plan_bytes(plan, src, UP_ZSTD, span, 1,
						&f->byte[k]);
	}
	return res ? res : bs_up_read_end(&rd);
}

/* ---- Two halves ---------------------------------------------------------- */

/* As many elements at a time as a half's block has. */
#define HALVES (4 * UP_BLOCK)

struct native {
	struct bs_up_node node;
	struct bs_up_node *half[2]; /* owned; the upper one first */
};

static enum bs_result run_native(const struct bs_up_node *node,
				 struct bs_up_run *r, size_t n, void *dst)
{
	const struct native *v = (const struct native *)node;
	uint8_t *to = dst;
	enum bs_result res = BS_OK;

	while (n && !res) {
		size_t len = n < HALVES ? n : HALVES, i;
		unsigned k;

		for (k = 0; k < 2 && !res; k++)
			res = v->half[k]->run(v->half[k], r, len, r->halves[k]);
		for (i = 0; i < len && !res; i++)
			put_u32(to + 4 * i, (uint32_t)r->halves[0][i] << 16 |
						    r->halves[1][i]);
		to += 4 * len;
		n -= len;
	}
	return res;
}

static void free_native(struct bs_up_node *node)
{
	struct native *v = (struct native *)node;

	bs_up_node_free(v->half[0]);
	bs_up_node_free(v->half[1]);
	free(v);
}

/* A half, whose coding 'open' is to be. */
static enum bs_result open_half(struct native *v, struct bs_up_plan *plan,
				struct bs_up_reader *rd, unsigned k,
				bs_up_open_fn open)
{
	struct bs_up_span span = bs_up_read_prefixed(rd);

	if (rd->res)
		return rd->res;
	return open(plan, rd->src, span, v->node.n, &v->half[k]);
}

static enum bs_result native_new(struct bs_up_plan *plan,
				 struct bs_up_reader *rd,
				 const struct bs_source *src,
				 struct bs_up_span span, uint64_t n,
				 struct bs_up_node **ret)
{
	*ret = bs_up_node_new(plan, sizeof(struct native), n, 4);
	if (!*ret)
		return BS_ERR_NOMEM;
	(*ret)->run = run_native;
	(*ret)->free = free_native;
	bs_up_reader_init(rd, src, span);
	bs_up_check(rd, bs_up_read_u32(rd) == n);
	return rd->res;
}

enum bs_result bs_up_native_open(struct bs_up_plan *plan,
				 const struct bs_source *src,
				 struct bs_up_span span, uint64_t n,
				 struct bs_up_node **ret)
{
	struct bs_up_reader rd;
	enum bs_result res = native_new(plan, &rd, src, span, n, ret);
	struct native *v = (struct native *)*ret;

	if (!res)
		res = open_half(v, plan, &rd, 0, bs_up_bf16_ac_open);
	if (!res)
		res = open_half(v, plan, &rd, 1, bs_up_zstd16_open);
	return res ? res : bs_up_read_end(&rd);
}

enum bs_result bs_up_native2_open(struct bs_up_plan *plan,
				  const struct bs_source *src,
				  struct bs_up_span span, uint64_t n,
				  struct bs_up_node **ret)
{
	static const bs_up_open_fn codings[] = { bs_up_zstd16_open,
						 bs_up_bf16_rans_open,
						 bs_up_bf16_ac_open };
	struct bs_up_reader rd;
	enum bs_result res = native_new(plan, &rd, src, span, n, ret);
	struct native *v = (struct native *)*ret;
	unsigned k;

	for (k = 0; k < 2 && !res; k++) {
		unsigned coding = bs_up_read_u8(&rd);

		if (rd.res || coding >= 3)
			return rd.res ? rd.res : BS_ERR_CORRUPT;
		res = open_half(v, plan, &rd, k, codings[coding]);
	}
	return res ? res : bs_up_read_end(&rd);
}
