/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx512.h - how functions for AVX-512 are declared
 */

#ifndef BS_AVX512_H
#define BS_AVX512_H

#include <immintrin.h>

#define AVX512 \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,popcnt")))
#define INLINE static inline __attribute__((always_inline, unused)) AVX512
/* Why: lanes_avx512.h. */
#define LEAF static __attribute__((noinline, no_stack_protector)) AVX512

#endif /* BS_AVX512_H */
