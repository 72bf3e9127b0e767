/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally_avx2.c - what statistics count, in vectors of AVX2
 */

#ifdef __x86_64__

#include "../tally_loops.h"
#include "avx2.h"

AVX2 void bs_tally_top_avx2(uint16_t *dst, const void *src, unsigned unit,
			    size_t n, uint64_t *any, uint64_t *all)
{
	top_of(dst, src, unit, n, any, all);
}

AVX2 void bs_tally_sums_avx2(const struct bs_tally_sums *t, uint64_t at,
			     const void *v, size_t n)
{
	sums_of(t, at, v, n);
}

AVX2 void bs_tally_counts_avx2(const struct bs_tally_counts *t, uint64_t at,
			       const uint16_t *v, size_t n)
{
	counts_of(t, at, v, n);
}

#endif /* __x86_64__ */
