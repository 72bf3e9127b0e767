/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plane.h - bits of elements to planes and back (docs/format.md 8.1, 9.2)
 *
 * An element is a little-endian integer of 'unit' bytes (1, 2, 4 or 8);
 * buffers of elements need no alignment.
 */

#ifndef BS_PLANE_H
#define BS_PLANE_H

#include <stddef.h>
#include <stdint.h>

/*
 * dst element i |= (src[i] >> src_shift & (1 << bits) - 1) << lo, i < n;
 * 'src_bytes' (1 or 2) is the width of src's entries.
 */
typedef void (*bs_plane_or_fn)(void *dst, unsigned unit, const void *src,
			       unsigned src_bytes, size_t n, unsigned src_shift,
			       unsigned bits, unsigned lo);

void bs_plane_or_scalar(void *dst, unsigned unit, const void *src,
			unsigned src_bytes, size_t n, unsigned src_shift,
			unsigned bits, unsigned lo);

/* dst[i] |= (element i >> lo & (1 << bits) - 1) << dst_shift, i < n */
void bs_plane_take8(uint8_t *dst, const void *src, unsigned unit, size_t n,
		    unsigned lo, unsigned bits, unsigned dst_shift);
void bs_plane_take16(uint16_t *dst, const void *src, unsigned unit, size_t n,
		     unsigned lo, unsigned bits, unsigned dst_shift);

/* Bytes of a piece of 8, 4, 2 or 1 bits over n elements. */
size_t bs_piece_len(unsigned bits, size_t n);

/* The widest piece that a plane of 'left' more bits is cut into next. */
unsigned bs_piece_bits(unsigned left);

/* Unpack a piece of 4, 2 or 1 bits; reads and writes whole groups of 64. */
void bs_piece_unpack(uint8_t *dst, const uint8_t *src, unsigned bits,
		     size_t n_groups);

/* Pack likewise; entries of 'src' are below 1 << bits. */
void bs_piece_pack(uint8_t *dst, const uint8_t *src, unsigned bits,
		   size_t n_groups);

#endif /* BS_PLANE_H */
