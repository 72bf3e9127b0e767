/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range.c - a range coder: 64-bit range, 32-bit words, 24-bit probabilities;
 * words come from the beginning of the stream, zeros after its end
 *
 * The decoder's point is kept less the lower end of the range, which is never
 * needed alone.
 */

#include "../bits.h"
#include "lanes.h"

#define INLINE inline __attribute__((always_inline))
#define MASK ((1u << UP_PROB_BITS) - 1)

/* A lane in registers. */
struct cursor {
	uint64_t point;
	uint64_t range;
	uint64_t bad;
	const uint8_t *p;
	const uint16_t *first;
	const uint32_t *cdf;
	uint16_t *dst;
};

static INLINE void load(struct cursor *c, const struct bs_up_lane *l,
			uint16_t *dst)
{
	c->point = l->state;
	c->range = l->range;
	c->bad = 0;
	c->p = l->p;
	c->first = l->s->table->first;
	c->cdf = l->s->table->cdf;
	c->dst = dst;
}

static INLINE void store(const struct cursor *c, struct bs_up_lane *l)
{
	l->state = c->point;
	l->range = c->range;
	l->p = c->p;
	l->is_bad |= c->bad != 0;
}

/* The range is 2^32 or more before and, unlike after, at least 2^8. */
static INLINE void decode(struct cursor *c, size_t i)
{
	uint64_t scale = c->range >> UP_PROB_BITS;
	uint64_t quotient = c->point / scale;
	uint32_t q = quotient & MASK, begin;
	unsigned s = c->first[q >> UP_BUCKET_SHIFT];

	c->bad |= quotient >> UP_PROB_BITS;
	while (c->cdf[s + 1] <= q)
		s++;
	begin = c->cdf[s];
	c->point -= scale * begin;
	c->range = scale * (c->cdf[s + 1] - begin);
	c->dst[i] = (uint16_t)s;
}

static INLINE void step(struct cursor *c, size_t i)
{
	uint64_t more;
	int is_short;

	decode(c, i);
	is_short = !(c->range >> 32);
	more = c->point << 32 | get_u32(c->p);
	c->point = is_short ? more : c->point;
	c->range = is_short ? c->range << 32 : c->range;
	c->p += is_short ? 4 : 0;
}

void bs_up_range_4(struct bs_up_lane *const *l, uint16_t *const *dst, size_t n)
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

void bs_up_range_1(struct bs_up_lane *l, uint16_t *dst, size_t n)
{
	struct cursor a;
	size_t i;

	load(&a, l, dst);
	for (i = 0; i < n; i++)
		step(&a, i);
	store(&a, l);
}

void bs_up_range_dry(struct bs_up_lane *l, uint16_t *dst, size_t n)
{
	struct cursor a;
	size_t i;

	load(&a, l, dst);
	for (i = 0; i < n; i++) {
		decode(&a, i);
		if (!(a.range >> 32)) {
			a.point <<= 32;
			a.range <<= 32;
		}
	}
	store(&a, l);
}
