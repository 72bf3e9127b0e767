/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps.h - lanes of one entropy coder, one or four at a time
 *
 * Whoever includes this has a struct cursor, a lane in registers, and load(),
 * step() and store() of it; NAME(x) is what bs_up_..._x of lanes.h is called.
 * Of four, the first may have a table with 'whole': the others wait for it.
 */

#ifndef BS_UP_STEPS_H
#define BS_UP_STEPS_H

#include "find.h"

static UP_INLINE void four(struct bs_up_lane *const *l, uint16_t *const *dst,
			   size_t n, int is_first_whole, int is_whole)
{
	struct cursor a, b, c, d;
	size_t i;

	load(&a, l[0], dst[0]);
	load(&b, l[1], dst[1]);
	load(&c, l[2], dst[2]);
	load(&d, l[3], dst[3]);
	for (i = 0; i < n; i++) {
		step(&a, i, is_first_whole, is_whole);
		step(&b, i, is_whole, is_whole);
		step(&c, i, is_whole, is_whole);
		step(&d, i, is_whole, is_whole);
	}
	store(&a, l[0]);
	store(&b, l[1]);
	store(&c, l[2]);
	store(&d, l[3]);
}

void NAME(4)(struct bs_up_lane *const *l, uint16_t *const *dst, size_t n)
{
	four(l, dst, n, 0, 0);
}

void NAME(4_first)(struct bs_up_lane *const *l, uint16_t *const *dst, size_t n)
{
	four(l, dst, n, 1, 0);
}

void NAME(4_whole)(struct bs_up_lane *const *l, uint16_t *const *dst, size_t n)
{
	four(l, dst, n, 1, 1);
}

static UP_INLINE void one(struct bs_up_lane *l, uint16_t *dst, size_t n,
			  int is_whole)
{
	struct cursor a;
	size_t i;

	load(&a, l, dst);
	for (i = 0; i < n; i++)
		step(&a, i, is_whole, 0);
	store(&a, l);
}

void NAME(1)(struct bs_up_lane *l, uint16_t *dst, size_t n)
{
	one(l, dst, n, 0);
}

void NAME(1_whole)(struct bs_up_lane *l, uint16_t *dst, size_t n)
{
	one(l, dst, n, 1);
}

#endif /* BS_UP_STEPS_H */
