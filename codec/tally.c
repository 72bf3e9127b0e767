/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally.c - what statistics count, for any CPU
 */

#include "tally_loops.h"

void bs_tally_top_scalar(uint16_t *dst, const void *src, unsigned unit,
			 size_t n, uint64_t *any, uint64_t *all)
{
	top_of(dst, src, unit, n, any, all);
}

void bs_tally_sums_scalar(const struct bs_tally_sums *t, uint64_t at,
			  const void *v, size_t n)
{
	sums_of(t, at, v, n);
}

void bs_tally_counts_scalar(const struct bs_tally_counts *t, uint64_t at,
			    const uint16_t *v, size_t n)
{
	counts_of(t, at, v, n);
}
