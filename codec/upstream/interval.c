/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interval.c - which BF16 mantissas a 4-bit value stands for
 *
 * What the quantiser (bf16.h) gives depends on the mantissas and on the
 * difference of the exponents alone, as long as nothing is subnormal or infinite:
 * so the answers for one pair of exponents serve all others.
 */

#include "interval.h"

#include "bf16.h"

#define STEPS 7 /* of a search among 128 */
#define SPAN_MIN (-8) /* differences of exponents whose answers are kept */
#define KNOWN 0x8000u

static struct bs_interval search_zero(unsigned base, float scale)
{
	unsigned lo = 0, hi = 127, i;

	for (i = 0; i < STEPS; i++) {
		unsigned mid = (lo + hi + 1) / 2;

		if (bs_bf16_quantise(base | mid, scale) == 0)
			lo = mid;
		else
			hi = mid - 1;
	}
	return (struct bs_interval){ 0, lo + 1 };
}

static struct bs_interval search(int k, unsigned base, float scale)
{
	int up = k > 0 ? 1 : -1;
	int lo = 0, hi = 127, first, i;

	for (i = 0; i < STEPS; i++) {
		int mid = (lo + hi) / 2;

		if (up * bs_bf16_quantise(base | (unsigned)mid, scale) >=
		    up * k)
			hi = mid;
		else
			lo = mid + 1;
	}
	first = lo;
	lo = 0;
	hi = 127;
	for (i = 0; i < STEPS; i++) {
		int mid = (lo + hi + 1) / 2;

		if (up * bs_bf16_quantise(base | (unsigned)mid, scale) <=
		    up * k)
			lo = mid;
		else
			hi = mid - 1;
	}
	/* Both may run over an end: then there is none, and one is named. */
	return (struct bs_interval){ (unsigned)(first > 127 ? 127 : first),
				     lo >= first ? (unsigned)(lo - first + 1)
						 : 1 };
}

static struct bs_interval compute(int k, int is_negative, unsigned e,
				  uint16_t scale)
{
	unsigned base = e << 7 | ((k ? k < 0 : is_negative) ? 0x8000u : 0);

	return k ? search(k, base, bs_bf16_to_float(scale))
		 : search_zero(base, bs_bf16_to_float(scale));
}

struct bs_interval bs_interval_of(struct bs_intervals *c, int k,
				  int is_negative, unsigned e, uint16_t scale)
{
	unsigned e_scale = scale >> 7 & 0xff,
		 abs_k = (unsigned)(k < 0 ? -k : k);
	int at = (int)e - (int)e_scale - SPAN_MIN;
	struct bs_interval v;
	uint16_t *known;

	if (scale >> 15 || e_scale == 0 || e_scale == 255 || e == 0 ||
	    e == 255 || abs_k > 7 || at < 0 || at >= BS_INTERVALS_SPAN)
		return compute(k, is_negative, e, scale);
	known = &c->known[scale & 0x7f][abs_k][at];
	if (!*known) {
		v = compute(k, is_negative, e, scale);
		*known = (uint16_t)(KNOWN | v.first << 8 | v.width);
	}
	v.first = (*known & ~KNOWN) >> 8;
	v.width = *known & 0xff;
	return v;
}
