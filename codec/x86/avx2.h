/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx2.h - how functions for AVX2 are declared, and what several of them use
 */

#ifndef BS_AVX2_H
#define BS_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#define AVX2 __attribute__((target("avx2,popcnt")))
#define INLINE static inline __attribute__((always_inline, unused)) AVX2
/* Why: lanes_avx512.h. */
#define LEAF static __attribute__((noinline, no_stack_protector)) AVX2

/* In each lane of 'unit' bytes, which is a constant wherever this is used. */
INLINE __m256i broadcast(uint64_t v, unsigned unit)
{
	switch (unit) {
	case 1:
		return _mm256_set1_epi8((char)v);
	case 2:
		return _mm256_set1_epi16((short)v);
	case 4:
		return _mm256_set1_epi32((int)v);
	default:
		return _mm256_set1_epi64x((long long)v);
	}
}

#endif /* BS_AVX2_H */
