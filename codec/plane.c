/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plane.c - bits of elements to planes and back: the scalar specification
 *
 * Pieces of 4, 2 and 1 bits are laid out by groups of 64 elements so that a
 * vector unpacks one with a shift and a mask: a 4-bit group holds elements 0-31
 * in its low halves and 32-63 in its high ones.
 */

#include "plane.h"

#include "bits.h"

/* Elements at any address; the compiler turns loops over them into vectors. */
typedef uint16_t u16_any __attribute__((aligned(1), may_alias));
typedef uint32_t u32_any __attribute__((aligned(1), may_alias));
typedef uint64_t u64_any __attribute__((aligned(1), may_alias));

#define OR_LOOP(dst_type, src_type)                                             \
	do {                                                                    \
		dst_type *d = dst;                                              \
		const src_type *s = src;                                        \
		dst_type mask = (dst_type)(((uint64_t)1 << bits) - 1);          \
		for (i = 0; i < n; i++)                                         \
			d[i] |= (dst_type)((dst_type)(s[i] >> src_shift & mask) \
					   << lo);                              \
	} while (0)

#define OR_UNITS(src_type)                          \
	do {                                        \
		switch (unit) {                     \
		case 1:                             \
			OR_LOOP(uint8_t, src_type); \
			break;                      \
		case 2:                             \
			OR_LOOP(u16_any, src_type); \
			break;                      \
		case 4:                             \
			OR_LOOP(u32_any, src_type); \
			break;                      \
		default:                            \
			OR_LOOP(u64_any, src_type); \
			break;                      \
		}                                   \
	} while (0)

void bs_plane_or_scalar(void *dst, unsigned unit, const void *src,
			unsigned src_bytes, size_t n, unsigned src_shift,
			unsigned bits, unsigned lo)
{
	size_t i;

	if (src_bytes == 1)
		OR_UNITS(uint8_t);
	else
		OR_UNITS(uint16_t);
}

#define TAKE_LOOP(src_type, dst_type)                                         \
	do {                                                                  \
		const src_type *s = src;                                      \
		for (i = 0; i < n; i++)                                       \
			dst[i] |=                                             \
				(dst_type)((s[i] >> lo & mask) << dst_shift); \
	} while (0)

#define TAKE_UNITS(dst_type)                          \
	do {                                          \
		switch (unit) {                       \
		case 1:                               \
			TAKE_LOOP(uint8_t, dst_type); \
			break;                        \
		case 2:                               \
			TAKE_LOOP(u16_any, dst_type); \
			break;                        \
		case 4:                               \
			TAKE_LOOP(u32_any, dst_type); \
			break;                        \
		default:                              \
			TAKE_LOOP(u64_any, dst_type); \
			break;                        \
		}                                     \
	} while (0)

void bs_plane_take8(uint8_t *dst, const void *src, unsigned unit, size_t n,
		    unsigned lo, unsigned bits, unsigned dst_shift)
{
	unsigned mask = (1u << bits) - 1;
	size_t i;

	TAKE_UNITS(uint8_t);
}

void bs_plane_take16(uint16_t *dst, const void *src, unsigned unit, size_t n,
		     unsigned lo, unsigned bits, unsigned dst_shift)
{
	unsigned mask = (1u << bits) - 1;
	size_t i;

	TAKE_UNITS(uint16_t);
}

size_t bs_piece_len(unsigned bits, size_t n)
{
	return bits == 8 ? n : (n + 63) / 64 * (8 * bits);
}

unsigned bs_piece_bits(unsigned left)
{
	return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* A 4-bit group: entries 0-31 in the low halves, 32-63 in the high ones. */
static void unpack4(uint8_t *restrict dst, const uint8_t *restrict src)
{
	unsigned k;

	for (k = 0; k < 32; k++) {
		dst[k] = src[k] & 15;
		dst[k + 32] = src[k] >> 4;
	}
}

/* A 2-bit group: entries 16m to 16m + 15 in bits 2m and 2m + 1. */
static void unpack2(uint8_t *restrict dst, const uint8_t *restrict src)
{
	unsigned k;

	for (k = 0; k < 16; k++) {
		dst[k] = src[k] & 3;
		dst[k + 16] = src[k] >> 2 & 3;
		dst[k + 32] = src[k] >> 4 & 3;
		dst[k + 48] = src[k] >> 6;
	}
}

/* A 1-bit group: bits in order.  A byte is copied into eight, of which
 * each keeps its own bit: 127 + that bit carries into the byte's top bit,
 * except for bit 7, which is there already. */
static void unpack1(uint8_t *dst, const uint8_t *src)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	unsigned k;

	for (k = 0; k < 8; k++) {
		uint64_t v = src[k] * ones & UINT64_C(0x8040201008040201);

		v = ((v & 127 * ones) + 127 * ones) | v;
		put_u64(dst + 8 * k, v >> 7 & ones);
	}
}

void bs_piece_unpack(uint8_t *dst, const uint8_t *src, unsigned bits,
		     size_t n_groups)
{
	size_t g;

	for (g = 0; g < n_groups; g++) {
		if (bits == 4)
			unpack4(dst + 64 * g, src + 32 * g);
		else if (bits == 2)
			unpack2(dst + 64 * g, src + 16 * g);
		else
			unpack1(dst + 64 * g, src + 8 * g);
	}
}

static void pack4(uint8_t *restrict dst, const uint8_t *restrict src)
{
	unsigned k;

	for (k = 0; k < 32; k++)
		dst[k] = (uint8_t)(src[k] | src[k + 32] << 4);
}

static void pack2(uint8_t *restrict dst, const uint8_t *restrict src)
{
	unsigned k;

	for (k = 0; k < 16; k++)
		dst[k] = (uint8_t)(src[k] | src[k + 16] << 2 |
				   src[k + 32] << 4 | src[k + 48] << 6);
}

/* Eight bytes of 0 or 1 times this: their bits meet in the top byte. */
static void pack1(uint8_t *dst, const uint8_t *src)
{
	unsigned k;

	for (k = 0; k < 8; k++)
		dst[k] = (uint8_t)(get_u64(src + 8 * k) *
					   UINT64_C(0x0102040810204080) >>
				   56);
}

void bs_piece_pack(uint8_t *dst, const uint8_t *src, unsigned bits,
		   size_t n_groups)
{
	size_t g;

	for (g = 0; g < n_groups; g++) {
		if (bits == 4)
			pack4(dst + 32 * g, src + 64 * g);
		else if (bits == 2)
			pack2(dst + 16 * g, src + 64 * g);
		else
			pack1(dst + 8 * g, src + 64 * g);
	}
}
