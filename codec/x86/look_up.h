/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look_up.h - what rANS encoding looks up: eight entries of struct bs_enc_tables
 *
 * By loads instead of a gather, as in lanes_avx512.h.  Whoever includes this
 * has defined INLINE.
 */

#ifndef BS_LOOK_UP_H
#define BS_LOOK_UP_H

#include <immintrin.h>
#include <stdint.h>

INLINE __m128i look_up_4(const uint32_t *packed, const uint16_t *entries)
{
	__m128i lo = _mm_cvtsi32_si128((int)packed[entries[0]]);
	__m128i hi = _mm_cvtsi32_si128((int)packed[entries[2]]);

	lo = _mm_insert_epi32(lo, (int)packed[entries[1]], 1);
	hi = _mm_insert_epi32(hi, (int)packed[entries[3]], 1);
	return _mm_unpacklo_epi64(lo, hi);
}

INLINE __m256i look_up_8(const uint32_t *packed, const uint16_t *entries)
{
	__m128i lo = look_up_4(packed, entries);
	__m128i hi = look_up_4(packed, entries + 4);

	return _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
}

#endif /* BS_LOOK_UP_H */
