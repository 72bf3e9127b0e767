/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range.c - a range coder: 64-bit range, 32-bit words, 24-bit probabilities;
 * words come from the beginning of the stream, zeros after its end
 *
 * The decoder's point is kept less the lower end of the range, which is never
 * needed alone.
 */

#include "../bits.h"
#include "find.h"

/* A lane in registers. */
struct cursor {
	uint64_t point;
	uint64_t range;
	uint64_t bad;
	const uint8_t *p;
	const uint64_t *whole;
	const uint16_t *first;
	const uint32_t *cdf;
	uint16_t *dst;
};

static UP_INLINE void load(struct cursor *c, const struct bs_up_lane *l,
			   uint16_t *dst)
{
	c->point = l->state;
	c->range = l->range;
	c->bad = 0;
	c->p = l->p;
	c->whole = l->s->table->whole;
	c->first = l->s->table->first;
	c->cdf = l->s->table->cdf;
	c->dst = dst;
}

static UP_INLINE void store(const struct cursor *c, struct bs_up_lane *l)
{
	l->state = c->point;
	l->range = c->range;
	l->p = c->p;
	if (c->bad && !l->res)
		l->res = BS_ERR_CORRUPT;
}

/* The point belongs to no symbol: nobody encoded this. */
static __attribute__((noinline, cold)) void give_up(struct cursor *c)
{
	c->bad = 1;
	c->point = 0;
}

/*
 * The range is 2^32 or more before and, unlike after, at least 2^8.  Only the
 * bucket is found by a division, whose quotient is short: a CPU is sooner done with
 * it.  Then multiples of the scale are compared with the point.
 */
static UP_INLINE void decode(struct cursor *c, size_t i, int is_whole)
{
	uint64_t scale = c->range >> UP_PROB_BITS, low, part;
	uint64_t bucket = c->point / (scale << UP_BUCKET_SHIFT);
	unsigned s;

	if (__builtin_expect(bucket >= UP_N_BUCKETS, 0)) {
		give_up(c);
		bucket = 0;
	}
	if (is_whole) {
		uint64_t e = c->whole[bucket];

		s = e & 0xffff;
		low = scale * (e >> UP_BEGIN_SHIFT & UP_PROB_MASK);
		part = scale * (e >> UP_WIDTH_SHIFT);
	} else {
		s = c->first[bucket];
		s += scale * c->cdf[s + 1] <= c->point;
		low = scale * c->cdf[s];
		part = scale * c->cdf[s + 1] - low;
	}
	while (__builtin_expect(c->point - low >= part, 0)) {
		s++;
		low = scale * c->cdf[s];
		part = scale * c->cdf[s + 1] - low;
	}
	c->point -= low;
	c->range = part;
	c->dst[i] = (uint16_t)s;
}

static UP_INLINE void step(struct cursor *c, size_t i, int is_whole,
			   int is_among)
{
	uint64_t more, is_short;

	decode(c, i, is_whole);
	/* A word for each 32 bits that symbols take: where that is often, a
	 * branch would be guessed wrong as often. */
	is_short = !(c->range >> 32);
	if (is_whole && !is_among) {
		if (is_short) {
			c->point = c->point << 32 | get_u32(c->p);
			c->range <<= 32;
			c->p += 4;
		}
		return;
	}
	more = c->point << 32 | get_u32(c->p);
	c->point ^= (c->point ^ more) & -is_short;
	c->range ^= (c->range ^ c->range << 32) & -is_short;
	c->p += 4 * is_short;
}

/* The last symbol has what the division leaves over. */
unsigned bs_up_range_uniform(struct bs_up_lane *l, unsigned width)
{
	uint32_t per = (1u << UP_PROB_BITS) / width;
	uint64_t scale = l->range >> UP_PROB_BITS, q = l->state / scale;
	unsigned s = (unsigned)(q / per < width ? q / per : width - 1);

	if (q > UP_PROB_MASK) {
		l->res = l->res ? l->res : BS_ERR_CORRUPT;
		l->state = 0;
		s = 0;
	}
	l->state -= scale * s * per;
	l->range =
		scale * (s + 1 < width ? per : (1u << UP_PROB_BITS) - s * per);
	if (l->range >> 32)
		return s;
	l->range <<= 32;
	l->state <<= 32;
	if (l->end - l->p >= 4) {
		l->state |= get_u32(l->p);
		l->p += 4;
	}
	return s;
}

#define NAME(x) bs_up_range_##x
#include "steps.h"

void bs_up_range_dry(struct bs_up_lane *l, uint16_t *dst, size_t n)
{
	struct cursor a;
	size_t i;

	load(&a, l, dst);
	for (i = 0; i < n; i++) {
		decode(&a, i, 0);
		if (!(a.range >> 32)) {
			a.point <<= 32;
			a.range <<= 32;
		}
	}
	store(&a, l);
}
