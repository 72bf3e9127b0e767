/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interval.h - which BF16 mantissas a 4-bit value stands for
 */

#ifndef BS_UP_INTERVAL_H
#define BS_UP_INTERVAL_H

#include "../bigsmall.h"

/* Values of +-7 at most, zeros apart. */
struct bs_interval {
	unsigned first;
	unsigned width; /* >= 1 */
};

/* What was found: by the scale's mantissa, the value without its sign, and the
 * difference of the exponents.  All zeros at first. */
#define BS_INTERVALS_SPAN 16
struct bs_intervals {
	uint16_t known[128][8][BS_INTERVALS_SPAN];
};

/*
 * The mantissas m for which the BF16 of value k's sign (or, where k is 0, of
 * 'is_negative'), exponent 'e' and mantissa m is quantised to 'k' by 'scale', a
 * BF16: one stretch, from the first that reaches k to the last that does not pass
 * it; from 0 on where k is 0.
 */
struct bs_interval bs_interval_of(struct bs_intervals *c, int k,
				  int is_negative, unsigned e, uint16_t scale);

#endif /* BS_UP_INTERVAL_H */
