/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h - what rANS decoding looks up: slots by indices of 16 bits
 *
 * Why by loads: lanes_avx512.h.  Whoever includes this has INLINE of avx2.h or
 * avx512.h.
 */

#ifndef BS_SLOTS_H
#define BS_SLOTS_H

#include "../freq.h"

/* Four slots by a number of four indices. */
INLINE __m128i look_up_4(const bs_slot *slots, uint64_t i)
{
	__m128i lo = _mm_cvtsi32_si128((int)slots[(uint16_t)i]);
	__m128i hi = _mm_cvtsi32_si128((int)slots[(uint16_t)(i >> 32)]);

	lo = _mm_insert_epi32(lo, (int)slots[(uint32_t)i >> 16], 1);
	hi = _mm_insert_epi32(hi, (int)slots[i >> 48], 1);
	return _mm_unpacklo_epi64(lo, hi);
}

#endif /* BS_SLOTS_H */
