/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bf16.h - BF16 words, and how upstream makes 4 bits of them
 */

#ifndef BS_UP_BF16_H
#define BS_UP_BF16_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float bs_bf16_to_float(unsigned word)
{
	uint32_t bits = (uint32_t)word << 16;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* To the nearest, ties to even; nothing is special. */
static inline uint16_t bs_bf16_round(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* w / scale in binary32, rounded to the nearest whole number, ties to even, no
 * further from 0 than 7; 0 where the quotient is not finite. */
static inline int bs_bf16_quantise(unsigned word, float scale)
{
	float x = bs_bf16_to_float(word) / scale;

	if (!isfinite(x))
		return 0;
	x = rintf(x);
	return x > 7 ? 7 : x < -7 ? -7 : (int)x;
}

#endif /* BS_UP_BF16_H */
