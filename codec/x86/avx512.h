/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx512.h - how functions for AVX-512 are declared, and what several of them use
 */

#ifndef BS_AVX512_H
#define BS_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#define AVX512 \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,popcnt")))
#define INLINE static inline __attribute__((always_inline, unused)) AVX512
/* Why: lanes_avx512.h. */
#define LEAF static __attribute__((noinline, no_stack_protector)) AVX512

/* In each lane of 'unit' bytes, which is a constant wherever this is used. */
INLINE __m512i broadcast(uint64_t v, unsigned unit)
{
	switch (unit) {
	case 1:
		return _mm512_set1_epi8((char)v);
	case 2:
		return _mm512_set1_epi16((short)v);
	case 4:
		return _mm512_set1_epi32((int)v);
	default:
		return _mm512_set1_epi64((long long)v);
	}
}

#endif /* BS_AVX512_H */
