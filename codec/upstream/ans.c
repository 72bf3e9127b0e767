/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ans.c - asymmetric numeral systems: 64-bit state, 32-bit words, 24-bit
 * probabilities; words come from the end of the stream
 */

#include "../bits.h"
#include "find.h"

/* A lane in registers. */
struct cursor {
	uint64_t state;
	const uint8_t *p;
	const uint64_t *whole;
	const uint16_t *first;
	const uint32_t *cdf;
	uint16_t *dst;
};

static UP_INLINE void load(struct cursor *c, const struct bs_up_lane *l,
			   uint16_t *dst)
{
	c->state = l->state;
	c->p = l->p;
	c->whole = l->s->table->whole;
	c->first = l->s->table->first;
	c->cdf = l->s->table->cdf;
	c->dst = dst;
}

static UP_INLINE void store(const struct cursor *c, struct bs_up_lane *l)
{
	l->state = c->state;
	l->p = c->p;
}

static UP_INLINE void decode(struct cursor *c, size_t i, int is_whole)
{
	uint32_t q = c->state & UP_PROB_MASK;
	struct bs_up_found f = is_whole ? bs_up_find_whole(c->whole, c->cdf, q)
					: bs_up_find(c->first, c->cdf, q);

	c->state = (c->state >> UP_PROB_BITS) * f.width + (q - f.begin);
	c->dst[i] = (uint16_t)f.symbol;
}

static UP_INLINE void step(struct cursor *c, size_t i, int is_whole,
			   int is_among)
{
	uint64_t more;
	unsigned is_short;

	decode(c, i, is_whole);
	/* A word for each 32 bits that symbols take: where that is often, a
	 * branch would be guessed wrong as often. */
	is_short = !(c->state >> 32);
	if (is_whole && !is_among) {
		if (is_short) {
			c->p -= 4;
			c->state = c->state << 32 | get_u32(c->p);
		}
		return;
	}
	more = c->state << 32 | get_u32(c->p - 4);
	c->p -= 4 * (size_t)is_short;
	c->state ^= (c->state ^ more) & -(uint64_t)is_short;
}

#define NAME(x) bs_up_ans_##x
#include "steps.h"

void bs_up_ans_dry(struct bs_up_lane *l, uint16_t *dst, size_t n)
{
	struct cursor a;
	size_t i;

	load(&a, l, dst);
	for (i = 0; i < n; i++) {
		uint64_t before = a.state;

		decode(&a, i, 0);
		if (a.state != before)
			continue;
		/* So it is with all that follow: zeros take no words. */
		for (; i + 1 < n; i++)
			dst[i + 1] = dst[i];
	}
	store(&a, l);
}
