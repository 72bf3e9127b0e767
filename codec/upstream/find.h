/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.h - the symbol that a part of the probabilities belongs to: inner loops
 */

#ifndef BS_UP_FIND_H
#define BS_UP_FIND_H

#include "lanes.h"

#define UP_INLINE inline __attribute__((always_inline))
#define UP_PROB_MASK ((1u << UP_PROB_BITS) - 1)

struct bs_up_found {
	unsigned symbol;
	uint32_t begin;
	uint32_t width;
};

/* By two loads, one after the other.  The step to the next symbol is taken
 * without a branch: half of the buckets have two where there are many symbols. */
static UP_INLINE struct bs_up_found bs_up_find(const uint16_t *first,
					       const uint32_t *cdf, uint32_t q)
{
	unsigned s = first[q >> UP_BUCKET_SHIFT];
	struct bs_up_found f;

	s += cdf[s + 1] <= q;
	while (__builtin_expect(cdf[s + 1] <= q, 0))
		s++;
	f.symbol = s;
	f.begin = cdf[s];
	f.width = cdf[s + 1] - f.begin;
	return f;
}

/* By one load, if the bucket's first symbol is the one. */
static UP_INLINE struct bs_up_found
bs_up_find_whole(const uint64_t *whole, const uint32_t *cdf, uint32_t q)
{
	uint64_t e = whole[q >> UP_BUCKET_SHIFT];
	struct bs_up_found f;

	f.symbol = e & 0xffff;
	f.begin = (uint32_t)(e >> UP_BEGIN_SHIFT) & UP_PROB_MASK;
	f.width = (uint32_t)(e >> UP_WIDTH_SHIFT);
	if (__builtin_expect(q - f.begin >= f.width, 0)) {
		do {
			f.symbol++;
		} while (cdf[f.symbol + 1] <= q);
		f.begin = cdf[f.symbol];
		f.width = cdf[f.symbol + 1] - f.begin;
	}
	return f;
}

#endif /* BS_UP_FIND_H */
