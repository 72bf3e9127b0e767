/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ans.c - asymmetric numeral systems: 64-bit state, 32-bit words, 24-bit
 * probabilities; words come from the end of the stream
 */

#include "../bits.h"
#include "lanes.h"

#define INLINE inline __attribute__((always_inline))
#define MASK ((1u << UP_PROB_BITS) - 1)

/* A lane in registers. */
struct cursor {
	uint64_t state;
	const uint8_t *p;
	const uint16_t *first;
	const uint32_t *cdf;
	uint16_t *dst;
};

static INLINE void load(struct cursor *c, const struct bs_up_lane *l,
			uint16_t *dst)
{
	c->state = l->state;
	c->p = l->p;
	c->first = l->s->table->first;
	c->cdf = l->s->table->cdf;
	c->dst = dst;
}

static INLINE void store(const struct cursor *c, struct bs_up_lane *l)
{
	l->state = c->state;
	l->p = c->p;
}

static INLINE void decode(struct cursor *c, size_t i)
{
	uint32_t q = c->state & MASK, begin;
	unsigned s = c->first[q >> UP_BUCKET_SHIFT];

	while (c->cdf[s + 1] <= q)
		s++;
	begin = c->cdf[s];
	c->state = (c->state >> UP_PROB_BITS) * (c->cdf[s + 1] - begin) +
		   (q - begin);
	c->dst[i] = (uint16_t)s;
}

static INLINE void step(struct cursor *c, size_t i)
{
	uint64_t more;

	decode(c, i);
	more = c->state << 32 | get_u32(c->p - 4);
	c->p -= c->state >> 32 ? 0 : 4;
	c->state = c->state >> 32 ? c->state : more;
}

void bs_up_ans_4(struct bs_up_lane *const *l, uint16_t *const *dst, size_t n)
{
	struct cursor a, b, c, d;
	size_t i;

	load(&a, l[0], dst[0]);
	load(&b, l[1], dst[1]);
	load(&c, l[2], dst[2]);
	load(&d, l[3], dst[3]);
	for (i = 0; i < n; i++) {
		step(&a, i);
		step(&b, i);
		step(&c, i);
		step(&d, i);
	}
	store(&a, l[0]);
	store(&b, l[1]);
	store(&c, l[2]);
	store(&d, l[3]);
}

void bs_up_ans_1(struct bs_up_lane *l, uint16_t *dst, size_t n)
{
	struct cursor a;
	size_t i;

	load(&a, l, dst);
	for (i = 0; i < n; i++)
		step(&a, i);
	store(&a, l);
}

void bs_up_ans_dry(struct bs_up_lane *l, uint16_t *dst, size_t n)
{
	struct cursor a;
	size_t i;

	load(&a, l, dst);
	for (i = 0; i < n; i++)
		decode(&a, i);
	store(&a, l);
}
