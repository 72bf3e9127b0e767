/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_model.h - a model and a chunk as the device has them
 *
 * The image of a model is one piece of memory without pointers: a head, its
 * tables, its classes.  The host makes it of a struct bs_model, whose contents
 * were checked when it was loaded, so the device trusts it; what it does not
 * trust is stored bytes.
 *
 * A table has 2^B symbols, one a slot, and for each symbol an entry: its
 * frequency << 16 | its start.  That is a second look-up where the tables for
 * CPUs have one, and a third of their size: eight tables of 11 bits take 24 KiB
 * of a block's shared memory in place of 64.
 */

#ifndef BS_DEVICE_MODEL_H
#define BS_DEVICE_MODEL_H

#include "../format.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Planes of raw values are cut into entries of at most 8 bits. */
#define ENTRIES_MAX (8 + PLANES_MAX)
#define SEGMENTS_MAX (ENTRIES_MAX + PLANES_MAX * PARTS_MAX)

/* Bits [shift, shift + bits) of an entry stand at 'lo' of the element. */
struct bs_device_segment {
	uint8_t shift;
	uint8_t bits;
	uint8_t lo;
};

/* Some bits of a plane's value: all of a coded one's, at most 8 of others'. */
struct bs_device_entry {
	uint8_t bits;
	uint8_t first_segment;
	uint8_t n_segments;
};

struct bs_device_plane {
	uint8_t coding; /* enum plane_coding */
	uint8_t width;
	uint8_t first_entry;
	uint8_t n_entries;
	/* What follows is of coded planes. */
	uint8_t prob_bits;
	uint8_t table_log2;
	uint8_t shift;
	uint8_t escape_len; /* 0: no escape */
	uint16_t escape;
	uint16_t base;
	uint16_t n_symbols;
	uint32_t symbols; /* offset in the tables: [1 << log2][1 << prob_bits] */
	uint32_t slots; /* of entries, in the tables: [1 << log2][n_symbols] */
	uint64_t rows; /* offset of row classes in the image; 0: none */
	uint64_t n_rows;
	uint64_t columns;
	uint64_t n_columns;
};

struct bs_device_head {
	uint32_t unit;
	uint32_t n_planes;
	uint32_t has_local; /* some plane is local */
	uint32_t tables_len; /* they follow the head; a multiple of 8 */
	uint64_t constant; /* bits that constant planes give every element */
	struct bs_device_plane planes[PLANES_MAX];
	struct bs_device_entry entries[ENTRIES_MAX];
	struct bs_device_segment segments[SEGMENTS_MAX];
};

/* A chunk to decode. */
struct bs_device_chunk {
	const uint8_t *stored; /* in device memory, borrowed; likewise below */
	uint8_t *dst;
	const uint8_t *image; /* of its model; NULL: none */
	uint64_t blob_off;
	uint64_t width; /* elements a row, of the blob */
	uint64_t raw_sum;
	uint32_t raw_len;
	uint32_t stored_len;
	uint32_t coding; /* enum bs_coding: not zstd */
	uint32_t reserved;
};

struct bs_model;

/* Bytes of a model's image. */
size_t bs_device_model_len(const struct bs_model *model);

/* Make it at 'dst', which is aligned to 8. */
void bs_device_model_make(const struct bs_model *model, uint8_t *dst);

#ifdef __cplusplus
}
#endif

#endif /* BS_DEVICE_MODEL_H */
