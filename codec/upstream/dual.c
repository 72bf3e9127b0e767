/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dual.c - a 4-bit tensor and what restores its BF16 source: int4g_residual_v1,
 * scheme 5
 *
 * The residual says, for the elements of each value apart, which exponent they had and which
 * mantissa among those that give that value.  Its chunks decode alone: a run keeps
 * one, and gives its elements in order.
 */

#include "../bits.h"
#include "int4.h"
#include "interval.h"

#include <stdlib.h>
#include <string.h>

#define VALUES INT4_VALUES
#define ZERO INT4_ZERO

#define SCHEME 5

struct bucket {
	unsigned n; /* exponents */
	uint8_t exponents[256]; /* less the scale's */
	struct bs_r16_table table; /* of them, if there are two or more */
};

struct dual {
	struct bs_up_node node;
	struct bs_up_int4 fast; /* owned */
	struct bs_up_chunks residual;
	struct bucket buckets[VALUES];
	uint32_t n_zero_k, n_zeros, n_negative; /* of elements of k = 0 */
	struct bs_r16_table zeros, signs;
};

/* A run's memory: the first field is its place, in elements. */
struct scratch {
	uint64_t pos;
	uint64_t chunk; /* which one 'words' has, and 1 */
	struct bs_intervals intervals;
	void *fast; /* of the values' reader */
	uint32_t *order; /* [residual.len]: elements by their value */
	uint16_t *words; /* [residual.len] */
	uint8_t *values; /* [residual.len] */
	uint8_t *symbols; /* [residual.len] */
	uint8_t *flags; /* [residual.len] */
	uint8_t *stored; /* of a chunk */
};

static size_t scratch_len(const struct dual *d)
{
	size_t n = d->residual.len;

	return sizeof(struct scratch) + 16 +
	       bs_up_int4_scratch_len(&d->fast, n) + n * (4 + 2 + 3) +
	       bs_up_chunks_stored(&d->residual);
}

static struct scratch *find_scratch(const struct dual *d, struct bs_up_run *r)
{
	struct scratch *s = (struct scratch *)(void *)r->extra;
	uint8_t *p = r->extra + ((sizeof(*s) + 15) & ~(size_t)15);
	size_t n = d->residual.len;

	s->fast = p;
	p += bs_up_int4_scratch_len(&d->fast, n);
	s->order = (uint32_t *)(void *)p;
	s->words = (uint16_t *)(void *)(s->order + n);
	s->values = (uint8_t *)(s->words + n);
	s->symbols = s->values + n;
	s->flags = s->symbols + n;
	s->stored = s->flags + n;
	return s;
}

/* ---- Pieces -------------------------------------------------------------- */

/* What a chunk stores, each with its length before it. */
struct pieces {
	const uint8_t *p;
	size_t left;
};

static enum bs_result next_piece(struct pieces *c, const uint8_t **ret,
				 size_t *ret_len)
{
	uint32_t len;

	if (c->left < 4)
		return BS_ERR_CORRUPT;
	len = get_u32(c->p);
	if (len > c->left - 4)
		return BS_ERR_CORRUPT;
	*ret = c->p + 4;
	*ret_len = len;
	c->p += 4 + len;
	c->left -= 4 + len;
	return BS_OK;
}

/* 'n' symbols of the next piece; all 'only' where there is no table. */
static enum bs_result read_symbols(struct pieces *c,
				   const struct bs_r16_table *t, unsigned only,
				   uint8_t *dst, size_t n)
{
	const uint8_t *p;
	struct bs_r16 r;
	enum bs_result res;
	size_t len;

	if (!t) {
		memset(dst, (int)only, n);
		return BS_OK;
	}
	res = next_piece(c, &p, &len);
	if (!res)
		res = bs_r16_init(&r, p, len);
	if (!res)
		bs_r16_symbols(&r, t, dst, n);
	return res;
}

/* ---- Words --------------------------------------------------------------- */

/* Exponents and mantissas of 'n' elements of value 'v', which stand in the chunk
 * at 'order'; s->flags has the sign of each, by its place there. */
static enum bs_result read_words(const struct dual *d, struct pieces *c,
				 unsigned v, uint64_t first,
				 const uint32_t *order, size_t n,
				 struct scratch *s)
{
	const struct bucket *b = &d->buckets[v];
	int k = (int)v - ZERO;
	struct bs_r16 coder = { 0 };
	const uint8_t *p;
	enum bs_result res;
	size_t len, i;

	if (!b->n)
		return BS_ERR_CORRUPT;
	res = read_symbols(c, b->n > 1 ? &b->table : NULL, 0, s->symbols, n);
	if (!res)
		res = next_piece(c, &p, &len);
	if (!res && len)
		res = bs_r16_init(&coder, p, len);
	for (i = 0; i < n && !res; i++) {
		uint16_t scale = bs_up_int4_scale(&d->fast, first + order[i]);
		unsigned e = (b->exponents[s->symbols[i]] + (scale >> 7)) & 255;
		unsigned sign = k ? k < 0 : s->flags[i];
		struct bs_interval in =
			bs_interval_of(&s->intervals, k, (int)sign, e, scale);
		unsigned m = in.first;

		if (in.width > 1 && len)
			m += bs_r16_uniform(&coder, in.width);
		s->words[order[i]] = (uint16_t)(sign << 15 | e << 7 | m);
	}
	return res;
}

/* Those of value 0: some are zeros, the others have exponents as well. */
static enum bs_result read_zeros(const struct dual *d, struct pieces *c,
				 uint64_t first, uint32_t *order, size_t n,
				 struct scratch *s)
{
	int has_both = d->n_zeros && d->n_zeros < d->n_zero_k;
	int has_signs = d->n_negative && d->n_negative < d->n_zero_k;
	size_t i, n_left = 0;
	enum bs_result res;

	res = read_symbols(c, has_both ? &d->zeros : NULL, d->n_zeros > 0,
			   s->symbols, n);
	if (!res)
		res = read_symbols(c, has_signs ? &d->signs : NULL,
				   d->n_negative > 0, s->flags, n);
	for (i = 0; i < n && !res; i++) {
		s->words[order[i]] = (uint16_t)(s->flags[i] << 15);
		if (s->symbols[i])
			continue;
		s->flags[n_left] = s->flags[i];
		order[n_left++] = order[i];
	}
	if (res || !n_left)
		return res;
	return read_words(d, c, ZERO, first, order, n_left, s);
}

static enum bs_result decode_chunk(const struct dual *d, struct bs_up_run *r,
				   uint32_t no, struct scratch *s)
{
	uint64_t first = (uint64_t)no * d->residual.len;
	uint64_t n = d->node.n - first;
	uint32_t counts[VALUES], *order = s->order;
	struct pieces c;
	enum bs_result res;
	size_t len;
	unsigned v;

	if (n > d->residual.len)
		n = d->residual.len;
	res = bs_up_int4_read(&d->fast, r->src, first, (size_t)n, s->values,
			      s->fast);
	if (!res)
		res = bs_up_chunks_load(&d->residual, r->src, no, s->stored,
					&len);
	if (res)
		return res;
	bs_up_int4_sort(s->values, (size_t)n, order, counts);
	c = (struct pieces){ s->stored, len };
	for (v = 0; v < VALUES && !res; v++) {
		if (counts[v] && v == ZERO)
			res = read_zeros(d, &c, first, order, counts[v], s);
		else if (counts[v])
			res = read_words(d, &c, v, first, order, counts[v], s);
		order += counts[v];
	}
	return !res && c.left ? BS_ERR_CORRUPT : res;
}

static enum bs_result run(const struct bs_up_node *node, struct bs_up_run *r,
			  size_t n, void *dst)
{
	const struct dual *d = (const struct dual *)node;
	struct scratch *s = find_scratch(d, r);
	uint8_t *to = dst;

	while (n) {
		uint64_t no = s->pos / d->residual.len;
		size_t at = (size_t)(s->pos % d->residual.len);
		size_t len = d->residual.len - at;

		if (s->chunk != no + 1) {
			enum bs_result res;

			s->chunk = 0;
			res = decode_chunk(d, r, (uint32_t)no, s);
			if (res)
				return res;
			s->chunk = no + 1;
		}
		len = len < n ? len : n;
		memcpy(to, s->words + at, 2 * len);
		to += 2 * len;
		s->pos += len;
		n -= len;
	}
	return BS_OK;
}

/* ---- Opening ------------------------------------------------------------- */

static void free_dual(struct bs_up_node *node)
{
	bs_up_int4_fini(&((struct dual *)node)->fast);
	free(node);
}

static enum bs_result read_bucket(struct bs_up_reader *rd, struct bucket *b)
{
	uint32_t counts[256], freq[256];
	unsigned i;

	b->n = bs_up_read_u16(rd);
	if (!bs_up_check(rd, b->n <= 256))
		return rd->res;
	for (i = 0; i < b->n; i++)
		b->exponents[i] = (uint8_t)bs_up_read_u8(rd);
	for (i = 0; i < b->n; i++)
		counts[i] = bs_up_read_u32(rd);
	if (rd->res || b->n < 2)
		return rd->res;
	bs_r16_quantise(counts, b->n, freq);
	return bs_r16_table_init(&b->table, freq, b->n);
}

/* The table of what occurs 'n' times of 'total', and of what does not. */
static enum bs_result init_flags(struct bs_r16_table *t, uint32_t n,
				 uint32_t total)
{
	uint32_t counts[2] = { total - n, n }, freq[2];

	bs_r16_quantise(counts, 2, freq);
	return bs_r16_table_init(t, freq, 2);
}

static enum bs_result read_residual(struct dual *d, struct bs_up_reader *rd)
{
	enum bs_result res = BS_OK;
	unsigned v;

	d->residual.len = bs_up_read_u32(rd);
	d->residual.n = bs_up_read_u32(rd);
	for (v = 0; v < VALUES && !res; v++) {
		if (v == ZERO) {
			d->n_zero_k = bs_up_read_u32(rd);
			d->n_zeros = bs_up_read_u32(rd);
			d->n_negative = bs_up_read_u32(rd);
			bs_up_check(rd, d->n_zeros <= d->n_zero_k &&
						d->n_negative <= d->n_zero_k);
		}
		res = read_bucket(rd, &d->buckets[v]);
	}
	if (res)
		return res;
	bs_up_chunks_read(rd, &d->residual, d->node.n);
	if (rd->res)
		return rd->res;
	res = init_flags(&d->zeros, d->n_zeros, d->n_zero_k);
	return res ? res : init_flags(&d->signs, d->n_negative, d->n_zero_k);
}

static enum bs_result open_chunks(struct bs_up_plan *plan,
				  struct bs_up_reader *rd,
				  struct bs_up_span span, uint64_t n,
				  struct bs_up_node **ret)
{
	enum bs_result res;
	struct dual *d;

	*ret = bs_up_node_new(plan, sizeof(*d), n, 2);
	if (!*ret)
		return BS_ERR_NOMEM;
	d = (struct dual *)*ret;
	d->node.run = run;
	d->node.free = free_dual;
	res = bs_up_int4_open(&d->fast, rd->src, span, n);
	if (!res)
		res = read_residual(d, rd);
	if (res)
		return res;
	plan->mem += 2 * (size_t)div_up(n, d->fast.group);
	plan->kept_len = sizeof(uint64_t);
	plan->extra_len = scratch_len(d);
	return BS_OK;
}

enum bs_result bs_up_dual_open(struct bs_up_plan *plan,
			       const struct bs_source *src,
			       struct bs_up_span span, uint64_t n,
			       struct bs_up_node **ret)
{
	struct bs_up_reader rd;
	unsigned scheme;

	bs_up_reader_init(&rd, src, plan->second);
	scheme = bs_up_read_u8(&rd);
	if (bs_up_read_u32(&rd) != n || rd.res)
		return rd.res ? rd.res : BS_ERR_CORRUPT;
	if (scheme == SCHEME)
		return open_chunks(plan, &rd, span, n, ret);
	return bs_up_residual_open(plan, &rd, scheme, span, n, ret);
}
