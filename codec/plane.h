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

/* Pieces of fewer than 8 bits that a value is cut into: 4, 2, 1. */
#define PIECES_MAX 3

/*
 * Where some bits of each element come from: entry i of the source, to which
 * 'add' and (q[i] >> q_drop) << q_shift are added; then bits [shift, shift +
 * bits) of the sum stand at bit 'lo' of element i.  shift + bits <= 16, and <=
 * 8 where elements have one byte.
 */
struct bs_term {
	/* Bytes; or the pieces of values of fewer bits (9.2), widest first.
	 * Borrowed. */
	const uint8_t *src[PIECES_MAX];
	const uint16_t *q; /* borrowed; NULL: nothing is added for it */
	uint16_t add;
	uint8_t entry_bits; /* 1 to 8 */
	uint8_t q_drop;
	uint8_t q_shift;
	uint8_t shift;
	uint8_t bits;
	uint8_t lo;
};

#define TERMS_MAX 16

/*
 * Each of n elements becomes *base, or with no base stays what it is, OR its
 * bits of all terms.  Exactly n elements are written, n entries of 8 bits and
 * of 'q' read; of pieces, whole groups of 64.  n_terms <= TERMS_MAX.
 */
typedef void (*bs_plane_merge_fn)(void *dst, unsigned unit, size_t n,
				  const uint64_t *base,
				  const struct bs_term *terms,
				  unsigned n_terms);

void bs_plane_merge_scalar(void *dst, unsigned unit, size_t n,
			   const uint64_t *base, const struct bs_term *terms,
			   unsigned n_terms);
#ifdef __x86_64__
void bs_plane_merge_avx2(void *dst, unsigned unit, size_t n,
			 const uint64_t *base, const struct bs_term *terms,
			 unsigned n_terms);
void bs_plane_merge_avx512(void *dst, unsigned unit, size_t n,
			   const uint64_t *base, const struct bs_term *terms,
			   unsigned n_terms);
#endif
#ifdef __aarch64__
void bs_plane_merge_neon(void *dst, unsigned unit, size_t n,
			 const uint64_t *base, const struct bs_term *terms,
			 unsigned n_terms);
#endif

/* Go on to element n of a term's source, a multiple of 64. */
void bs_term_skip(struct bs_term *t, size_t n);

/* The elements from 'at' on that a kernel has left: by scalar code. */
void bs_plane_merge_rest(void *dst, unsigned unit, size_t at, size_t n,
			 const uint64_t *base, const struct bs_term *terms,
			 unsigned n_terms);

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
