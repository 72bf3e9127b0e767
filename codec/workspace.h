/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workspace.h - the scratch memory of one decode or encode in flight
 */

#ifndef BS_WORKSPACE_H
#define BS_WORKSPACE_H

#include "bigsmall.h"
#include "format.h"
#include "freq.h"
#include "plain.h"
#include "plane.h"

/* Elements that go through all stages at a time, a multiple of LANES: few, for
 * a block of all buffers below is to stay in the second-level cache, and so
 * many that beginning one costs little (4096: 3 % of decoding). */
#define BLOCK 8192

/* A raw section: each of at most 64 pieces may be padded to a group. */
#define RAW_SECTION_MAX (BS_CHUNK_RAW_MAX + 64 * 64)

struct bs_workspace {
	struct bs_zstd *zstd; /* owned */
	struct bs_freq local[PLANES_MAX]; /* prob_bits 0: raw in this chunk */
	bs_slot local_slots[1 << PROB_BITS_MAX];
	uint8_t sym[BLOCK];
	uint16_t entry[BLOCK]; /* of encoding tables */
	uint16_t q[BLOCK];
	uint8_t piece[BLOCK];
	uint8_t patch[BLOCK]; /* raw bytes, carried ones put back */

	struct bs_up_cursor *cursor; /* owned; NULL until the first upstream's */

	/* Encoding only; NULL until the first. */
	uint8_t *raw; /* owned, RAW_SECTION_MAX */
	uint8_t *words; /* owned, BS_CHUNK_RAW_MAX; filled from its end */
	uint8_t *escapes; /* owned, BS_CHUNK_RAW_MAX; filled from its end */
};

/* Repeat 'unit_len' bytes of 'unit' over 'len' bytes, a multiple of it. */
void bs_fill(void *dst, size_t len, const void *unit, size_t unit_len);

/* A value of some plane, cut where the element's parts are: bits
 * [src_shift, src_shift + bits) of the piece stand at 'lo' of the element. */
struct bs_segment {
	uint8_t src_shift;
	uint8_t bits;
	uint8_t lo;
};

struct bs_plane;

/* The segments of value bits [first, first + n) of plane 'p'; at most
 * PARTS_MAX.  Returns how many. */
unsigned bs_segments(const struct bs_plane *p, unsigned first, unsigned n,
		     struct bs_segment *ret);

#endif /* BS_WORKSPACE_H */
