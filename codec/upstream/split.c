/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split.c - bf16_se_rans, bf16_se_ac, fp16_se_ac
 *
 * One stream has each element's sign and exponent, in order; then there is a
 * stream for each exponent, which has the mantissas of the elements with it, in
 * order.  So a block is decoded in two steps, and the first step of the next
 * block goes along with the second of this one: its long stream next to the
 * short ones.
 */

#include "../bits.h"
#include "plan.h"

#define EXPONENTS_MAX 256

struct format {
	enum bs_up_kind kind;
	unsigned exponent_bits;
	unsigned mantissa_bits;
	unsigned k_len; /* bytes of a count of symbols ... */
	unsigned symbol_len; /* and of one of them, of signs and exponents */
	unsigned mantissa_k_len; /* likewise of mantissas */
	unsigned mantissa_len;
};

static const struct format bf16_rans = { UP_ANS, 8, 7, 2, 2, 1, 1 };
static const struct format bf16_ac = { UP_RANGE, 8, 7, 2, 2, 1, 1 };
static const struct format fp16_ac = { UP_RANGE, 5, 10, 1, 1, 2, 2 };

struct split {
	struct bs_up_node node;
	const struct format *format;
	unsigned head; /* lane of signs and exponents */
	unsigned n_exponents;
	uint16_t exponents[EXPONENTS_MAX]; /* the most frequent first */
	uint16_t lane_of[EXPONENTS_MAX];
};

/* ---- Decoding ------------------------------------------------------------ */

/* Jobs for the mantissas of a block: those of exponent e go to 'dst' from
 * start[e] on.  Returns how many, or a number past the exponents' if one has no
 * stream. */
static unsigned plan_mantissas(const struct split *s, struct bs_up_lane *lanes,
			       const uint16_t *head, size_t n, uint16_t *dst,
			       uint32_t *start, struct bs_up_job *jobs)
{
	uint32_t counts[2][EXPONENTS_MAX] = { { 0 } }, at = 0;
	unsigned mask = (1u << s->format->exponent_bits) - 1;
	unsigned n_jobs = 0, i;
	size_t k;

	/* Two, as an increment waits for the last one of the same number. */
	for (k = 0; k + 2 <= n; k += 2) {
		counts[0][head[k] & mask]++;
		counts[1][head[k + 1] & mask]++;
	}
	if (k < n)
		counts[0][head[k] & mask]++;
	for (i = 0; i < s->n_exponents; i++) {
		unsigned e = s->exponents[i];
		uint32_t count = counts[0][e] + counts[1][e];

		start[e] = at;
		if (!count)
			continue;
		jobs[n_jobs].lane = &lanes[s->lane_of[e]];
		jobs[n_jobs].dst = dst + at;
		jobs[n_jobs++].n = count;
		at += count;
	}
	return at == n ? n_jobs : EXPONENTS_MAX + 1;
}

/* Put a block together. */
static void merge(const struct split *s, const uint16_t *head,
		  const uint16_t *mantissas, uint32_t *at, size_t n,
		  uint8_t *dst)
{
	unsigned e_bits = s->format->exponent_bits;
	unsigned m_bits = s->format->mantissa_bits;
	unsigned mask = (1u << e_bits) - 1;
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned e = head[i] & mask;
		unsigned v = head[i] >> e_bits << 15 | e << m_bits |
			     mantissas[at[e]++];

		put_u16(dst + 2 * i, (uint16_t)v);
	}
}

static size_t at_most(size_t n, size_t max)
{
	return n < max ? n : max;
}

static enum bs_result run(const struct bs_up_node *node, struct bs_up_run *r,
			  size_t n, void *dst)
{
	const struct split *s = (const struct split *)node;
	struct bs_up_job jobs[EXPONENTS_MAX + 1];
	uint32_t start[EXPONENTS_MAX];
	struct bs_up_lane *lane = &r->lanes[s->head];
	int is_ahead = lane->n_taken < lane->n_ahead;
	const uint16_t *head, *next;
	size_t len = at_most(n, UP_BLOCK);
	uint8_t *to = dst;
	enum bs_result res;

	head = bs_up_lane_next(lane, r->symbols[0], len, &res);
	while (n && !res) {
		size_t next_len = at_most(n - len, UP_BLOCK);
		uint16_t *room = r->symbols[head == r->symbols[0]];
		unsigned n_jobs;

		next = room;
		if (is_ahead)
			next = bs_up_lane_next(lane, room, next_len, &res);
		jobs[0] = (struct bs_up_job){ lane, room,
					      is_ahead ? 0 : next_len };
		n_jobs = plan_mantissas(s, r->lanes, head, len, r->symbols[2],
					start, jobs + 1);
		if (n_jobs > EXPONENTS_MAX)
			return BS_ERR_CORRUPT;
		res = bs_up_symbols(jobs, n_jobs + 1);
		if (res)
			break;
		merge(s, head, r->symbols[2], start, len, to);
		to += 2 * len;
		n -= len;
		len = next_len;
		head = next;
	}
	return res;
}

/* ---- Opening ------------------------------------------------------------- */

static unsigned read_number(struct bs_up_reader *rd, unsigned len)
{
	return len == 1 ? bs_up_read_u8(rd) : bs_up_read_u16(rd);
}

/* Note the streams of the mantissas; 'exponents' stand in the file's order. */
static enum bs_result read_mantissas(struct split *s, struct bs_up_plan *plan,
				     struct bs_up_reader *rd,
				     const uint16_t *exponents,
				     uint32_t *counts, uint32_t *sizes)
{
	const struct format *f = s->format;
	unsigned alphabet = 1u << f->mantissa_bits, lane, i;
	uint64_t sum = 0;

	for (i = 0; i < s->n_exponents; i++) {
		struct bs_up_span span;
		enum bs_result res;

		sizes[i] = bs_up_read_u32(rd);
		sum += sizes[i];
		bs_up_read_counts(rd, read_number(rd, f->mantissa_k_len),
				  f->mantissa_len, counts, alphabet, sizes[i]);
		span = bs_up_read_prefixed(rd);
		if (rd->res)
			return rd->res;
		res = bs_up_plan_symbols(plan, f->kind, span, counts, alphabet,
					 0, &lane);
		if (res)
			return res;
		s->lane_of[exponents[i]] = (uint16_t)lane;
	}
	bs_up_check(rd, sum == s->node.n);
	return bs_up_read_end(rd);
}

/* The most frequent first: the longest jobs of four at a time begin together.
 * By insertion; there are some dozens. */
static void order_exponents(struct split *s, uint16_t *exponents,
			    uint32_t *sizes)
{
	unsigned i, k;

	for (i = 0; i < s->n_exponents; i++) {
		uint16_t e = exponents[i];
		uint32_t size = sizes[i];

		for (k = i; k && sizes[k - 1] < size; k--) {
			sizes[k] = sizes[k - 1];
			s->exponents[k] = s->exponents[k - 1];
		}
		sizes[k] = size;
		s->exponents[k] = e;
	}
}

static enum bs_result read_all(struct split *s, struct bs_up_plan *plan,
			       struct bs_up_reader *rd)
{
	uint32_t counts[UP_ALPHABET_MAX], sizes[EXPONENTS_MAX];
	const struct format *f = s->format;
	unsigned alphabet = 2u << f->exponent_bits, i;
	uint16_t exponents[EXPONENTS_MAX];
	struct bs_up_span span;
	enum bs_result res;
	uint32_t n;

	bs_up_check(rd, bs_up_read_u32(rd) == s->node.n);
	bs_up_read_counts(rd, read_number(rd, f->k_len), f->symbol_len, counts,
			  alphabet, s->node.n);
	span = bs_up_read_prefixed(rd);
	bs_up_check(rd, bs_up_read_u32(rd) == rd->end - rd->pos);
	if (rd->res)
		return rd->res;
	res = bs_up_plan_symbols(plan, f->kind, span, counts, alphabet, 1,
				 &s->head);
	if (res)
		return res;
	n = bs_up_read_u32(rd);
	if (!bs_up_check(rd, n >= 1 && n <= alphabet / 2))
		return rd->res;
	s->n_exponents = n;
	for (i = 0; i < n && !rd->res; i++) {
		exponents[i] = (uint16_t)read_number(rd, f->symbol_len);
		bs_up_check(rd,
			    exponents[i] < alphabet / 2 &&
				    (!i || exponents[i] > exponents[i - 1]));
	}
	if (rd->res)
		return rd->res;
	res = read_mantissas(s, plan, rd, exponents, counts, sizes);
	order_exponents(s, exponents, sizes);
	return res;
}

static enum bs_result open(struct bs_up_plan *plan, const struct bs_source *src,
			   struct bs_up_span span, uint64_t n,
			   const struct format *format, struct bs_up_node **ret)
{
	struct bs_up_reader rd;
	struct split *s;

	*ret = bs_up_node_new(plan, sizeof(*s), n, 2);
	if (!*ret)
		return BS_ERR_NOMEM;
	s = (struct split *)*ret;
	s->node.run = run;
	s->format = format;
	bs_up_reader_init(&rd, src, span);
	return read_all(s, plan, &rd);
}

enum bs_result bs_up_bf16_rans_open(struct bs_up_plan *plan,
				    const struct bs_source *src,
				    struct bs_up_span span, uint64_t n,
				    struct bs_up_node **ret)
{
	return open(plan, src, span, n, &bf16_rans, ret);
}

enum bs_result bs_up_bf16_ac_open(struct bs_up_plan *plan,
				  const struct bs_source *src,
				  struct bs_up_span span, uint64_t n,
				  struct bs_up_node **ret)
{
	return open(plan, src, span, n, &bf16_ac, ret);
}

enum bs_result bs_up_fp16_ac_open(struct bs_up_plan *plan,
				  const struct bs_source *src,
				  struct bs_up_span span, uint64_t n,
				  struct bs_up_node **ret)
{
	return open(plan, src, span, n, &fp16_ac, ret);
}
