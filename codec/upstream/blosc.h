/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blosc.h - a blosc2 chunk of shuffled zstd blocks
 */

#ifndef BS_UP_BLOSC_H
#define BS_UP_BLOSC_H

#include "plan.h"

struct bs_up_blosc {
	struct bs_up_span span;
	uint32_t raw_len;
	uint32_t block_len;
	unsigned item_len;
	int is_zero; /* nothing but zero bytes */
	int is_plain; /* not compressed */
	int is_split; /* whole blocks are a stream for each byte of an item */
	int is_shuffled;
};

/* Read the chunk's header, which is to say that it holds 'raw_len' bytes of
 * items of 'item_len'. */
enum bs_result bs_up_blosc_open(struct bs_up_blosc *b,
				const struct bs_source *src,
				struct bs_up_span span, uint64_t raw_len,
				unsigned item_len);

/* Block 'i' into 'dst'; 'tmp' has room for two blocks. */
enum bs_result bs_up_blosc_block(const struct bs_up_blosc *b,
				 const struct bs_source *src, struct bs_zstd *z,
				 uint32_t i, uint8_t *dst, uint8_t *tmp);

#endif /* BS_UP_BLOSC_H */
