/* SPDX-License-Identifier: Apache-2.0 */
/*
 * residual.c - int4g_residual_v1, schemes 1, 3 and 4
 *
 * Scheme 1 has two BF16 tensors: what is added to the 4-bit one, and what bits are
 * still to be flipped then.  Scheme 3 has one for each value: the words of the
 * elements that have it, their exponents less the scale's.  Scheme 4 has that for
 * value 0; for the others an exponent of each, and which of the mantissas that
 * give the value it is.
 */

#include "../bits.h"
#include "bf16.h"
#include "int4.h"
#include "interval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum scheme { ADD_AND_FLIP = 1, BY_VALUE = 3, BY_INTERVAL = 4 };

/* Scheme 4: the elements of a value that is not 0. */
struct bucket {
	unsigned n; /* exponents */
	uint8_t exponents[UINT8_MAX]; /* less the scale's */
	unsigned indexes; /* lane: which of them; where there are two or more */
	unsigned offsets; /* lane */
};

struct residual {
	struct bs_up_node node;
	unsigned scheme;
	struct bs_up_int4 fast; /* owned */
	/* Scheme 1: what is added and what is flipped; schemes 3 and 4: a part for
	 * each value, or NULL.  Owned. */
	struct bs_up_node *part[INT4_VALUES];
	struct bucket buckets[INT4_VALUES];
};

struct scratch {
	uint64_t pos; /* elements */
	uint8_t values[UP_BLOCK];
	uint32_t order[UP_BLOCK];
	uint16_t words[2][UP_BLOCK];
	struct bs_intervals intervals;
	uint64_t fast[]; /* of the values' reader */
};

/* ---- Arithmetic of BF16 -------------------------------------------------- */

/*
 * r of a and b, as the x86-64 that these files were made on has it, operands in
 * that order: the first NaN goes through, made quiet, and one that comes of none
 * is negative.  On other machines, and by what compilers may swap, its sign is
 * another.
 */
static float with_nan(float r, float a, float b)
{
	uint32_t bits = 0xffc00000;

	if (!isnan(r))
		return r;
	if (isnan(a))
		memcpy(&bits, &a, sizeof(bits));
	else if (isnan(b))
		memcpy(&bits, &b, sizeof(bits));
	bits |= 0x00400000;
	memcpy(&r, &bits, sizeof(r));
	return r;
}

static enum bs_result add_and_flip(const struct residual *d,
				   struct bs_up_run *r, struct scratch *s,
				   size_t n, uint8_t *dst)
{
	enum bs_result res = BS_OK;
	size_t i;
	unsigned k;

	for (k = 0; k < 2 && !res; k++)
		res = d->part[k]->run(d->part[k], r, n, s->words[k]);
	for (i = 0; i < n && !res; i++) {
		float scale = bs_bf16_to_float(
			bs_up_int4_scale(&d->fast, s->pos + i));
		float v = (float)((int)s->values[i] - INT4_ZERO);
		uint16_t w = bs_bf16_round(with_nan(v * scale, v, scale));
		float a = bs_bf16_to_float(w),
		      b = bs_bf16_to_float(s->words[0][i]);

		w = bs_bf16_round(with_nan(a + b, a, b));
		put_u16(dst + 2 * i, w ^ s->words[1][i]);
	}
	return res;
}

/* The words of 'n' elements of value 'v', which stand at 'order'. */
static enum bs_result rebase(const struct residual *d, struct bs_up_run *r,
			     struct scratch *s, unsigned v,
			     const uint32_t *order, size_t n, uint8_t *dst)
{
	const struct bs_up_node *part = d->part[v];
	enum bs_result res;
	size_t i;

	if (!part)
		return BS_ERR_CORRUPT;
	res = part->run(part, r, n, s->words[0]);
	for (i = 0; i < n && !res; i++) {
		unsigned w = s->words[0][i];
		unsigned scale = bs_up_int4_scale(&d->fast, s->pos + order[i]);
		unsigned e = (w >> 7) + (scale >> 7);

		w = (w & 0x807f) | (e & 0xff) << 7;
		put_u16(dst + 2 * (size_t)order[i], (uint16_t)w);
	}
	return res;
}

static enum bs_result choose(const struct residual *d, struct bs_up_run *r,
			     struct scratch *s, unsigned v,
			     const uint32_t *order, size_t n, uint8_t *dst)
{
	const struct bucket *b = &d->buckets[v];
	int k = (int)v - INT4_ZERO;
	enum bs_result res = BS_OK;
	struct bs_up_lane *offsets;
	size_t i;

	if (!b->n)
		return BS_ERR_CORRUPT;
	offsets = &r->lanes[b->offsets];
	if (b->n > 1) {
		struct bs_up_job job = { &r->lanes[b->indexes], s->words[0],
					 n };

		res = bs_up_symbols(&job, 1);
	}
	for (i = 0; i < n && !res; i++) {
		uint16_t scale = bs_up_int4_scale(&d->fast, s->pos + order[i]);
		unsigned index = b->n > 1 ? s->words[0][i] : 0;
		unsigned e = (b->exponents[index] + (scale >> 7)) & 255;
		struct bs_interval in =
			bs_interval_of(&s->intervals, k, 0, e, scale);
		unsigned m = in.first;

		if (in.width > 1)
			m += bs_up_lane_uniform(offsets, in.width);
		res = offsets->res;
		put_u16(dst + 2 * (size_t)order[i],
			(uint16_t)((k < 0) << 15 | e << 7 | m));
	}
	return res;
}

static enum bs_result by_value(const struct residual *d, struct bs_up_run *r,
			       struct scratch *s, size_t n, uint8_t *dst)
{
	uint32_t counts[INT4_VALUES], *order = s->order;
	enum bs_result res = BS_OK;
	unsigned v;

	bs_up_int4_sort(s->values, n, order, counts);
	for (v = 0; v < INT4_VALUES && !res; v++) {
		int is_interval = d->scheme == BY_INTERVAL && v != INT4_ZERO;

		if (counts[v])
			res = (is_interval ? choose : rebase)(d, r, s, v, order,
							      counts[v], dst);
		order += counts[v];
	}
	return res;
}

static enum bs_result run(const struct bs_up_node *node, struct bs_up_run *r,
			  size_t n, void *dst)
{
	const struct residual *d = (const struct residual *)node;
	struct scratch *s = (struct scratch *)(void *)r->extra;
	uint8_t *to = dst;
	enum bs_result res = BS_OK;

	while (n && !res) {
		size_t len = n < UP_BLOCK ? n : UP_BLOCK;

		res = bs_up_int4_read(&d->fast, r->src, s->pos, len, s->values,
				      s->fast);
		if (res)
			break;
		res = d->scheme == ADD_AND_FLIP ? add_and_flip(d, r, s, len, to)
						: by_value(d, r, s, len, to);
		s->pos += len;
		to += 2 * len;
		n -= len;
	}
	return res;
}

/* ---- Opening ------------------------------------------------------------- */

static void free_residual(struct bs_up_node *node)
{
	struct residual *d = (struct residual *)node;
	unsigned i;

	for (i = 0; i < INT4_VALUES; i++)
		bs_up_node_free(d->part[i]);
	bs_up_int4_fini(&d->fast);
	free(d);
}

/* The next part, which says itself how many elements it has. */
static enum bs_result open_part(struct residual *d, struct bs_up_plan *plan,
				struct bs_up_reader *rd, unsigned i,
				uint64_t *sum)
{
	struct bs_up_span span = bs_up_read_prefixed(rd);
	uint8_t n[4];

	if (rd->res || !span.len)
		return rd->res;
	if (span.len < sizeof(n))
		return BS_ERR_CORRUPT;
	if (rd->src->pread(rd->src->ctx, n, sizeof(n), span.off))
		return BS_ERR_IO;
	*sum += get_u32(n);
	return bs_up_bf16_ac_open(plan, rd->src, span, get_u32(n), &d->part[i]);
}

/* The next bucket of scheme 4. */
static enum bs_result open_bucket(struct bucket *b, struct bs_up_plan *plan,
				  struct bs_up_reader *rd, uint64_t *sum)
{
	struct bs_up_stream offsets = { .kind = UP_RANGE };
	uint32_t counts[UINT8_MAX] = { 0 };
	struct bs_up_span span;
	enum bs_result res = BS_OK;
	unsigned i;

	b->n = bs_up_read_u8(rd);
	if (!b->n)
		return rd->res;
	bs_up_read(rd, b->exponents, b->n);
	for (i = 0; i < b->n; i++) {
		counts[i] = bs_up_read_u32(rd);
		*sum += counts[i];
	}
	span = bs_up_read_prefixed(rd);
	if (!rd->res && b->n > 1)
		res = bs_up_plan_symbols(plan, UP_RANGE, span, counts, b->n, 0,
					 &b->indexes);
	span = bs_up_read_prefixed(rd);
	offsets.off = span.off;
	offsets.len = span.len;
	if (rd->res || res)
		return rd->res ? rd->res : res;
	return span.len % 4 ? BS_ERR_CORRUPT
			    : bs_up_plan_add(plan, &offsets, &b->offsets);
}

/* All parts; *sum is how many elements they have. */
static enum bs_result open_parts(struct residual *d, struct bs_up_plan *plan,
				 struct bs_up_reader *rd, uint64_t *sum)
{
	unsigned n = d->scheme == ADD_AND_FLIP ? 2 : INT4_VALUES, i;
	enum bs_result res = BS_OK;

	for (i = 0; i < n && !res; i++)
		res = d->scheme == BY_INTERVAL && i != INT4_ZERO
			      ? open_bucket(&d->buckets[i], plan, rd, sum)
			      : open_part(d, plan, rd, i, sum);
	return res ? res : bs_up_read_end(rd);
}

enum bs_result bs_up_residual_open(struct bs_up_plan *plan,
				   struct bs_up_reader *rd, unsigned scheme,
				   struct bs_up_span span, uint64_t n,
				   struct bs_up_node **ret)
{
	uint64_t sum = 0;
	struct residual *d;
	enum bs_result res;

	if (scheme != ADD_AND_FLIP && scheme != BY_VALUE &&
	    scheme != BY_INTERVAL)
		return BS_ERR_FEATURE;
	*ret = bs_up_node_new(plan, sizeof(*d), n, 2);
	if (!*ret)
		return BS_ERR_NOMEM;
	d = (struct residual *)*ret;
	d->node.run = run;
	d->node.free = free_residual;
	d->scheme = scheme;
	res = bs_up_int4_open(&d->fast, rd->src, span, n);
	if (!res)
		res = open_parts(d, plan, rd, &sum);
	if (res)
		return res;
	if (scheme == ADD_AND_FLIP &&
	    (!d->part[0] || !d->part[1] || d->part[0]->n != n))
		return BS_ERR_CORRUPT;
	if (sum != (scheme == ADD_AND_FLIP ? 2 * n : n))
		return BS_ERR_CORRUPT;
	plan->mem += 2 * (size_t)div_up(n, d->fast.group);
	plan->kept_len = sizeof(uint64_t);
	plan->extra_len = sizeof(struct scratch) +
			  bs_up_int4_scratch_len(&d->fast, UP_BLOCK);
	return BS_OK;
}
