/* SPDX-License-Identifier: Apache-2.0 */
/*
 * level.h - what enum bs_level stands for
 */

#ifndef BS_LEVEL_H
#define BS_LEVEL_H

#include "bigsmall.h"

/* Tables that a float's plane may have at any level. */
#define TABLES_LOG2_MAX 4
#define TABLES_MAX (1 << TABLES_LOG2_MAX)

/* Gains are of one part in so many: less is not worth the time in decoding. */
struct bs_level_params {
	uint8_t chunk_size_log2;
	uint8_t chunk_size_log2_wide; /* of elements of 4 and 8 bytes */
	uint8_t tables_log2; /* of contexts by rows and columns; 0: none */
	uint8_t prob_bits; /* where there are several tables */
	uint8_t clusters; /* whether columns may be clustered */
	uint16_t sample_runs; /* that a float tensor's sample has */
	uint16_t probe_runs; /* of them that splits are compared by, at most */
	uint32_t split_gain; /* by classes, of 16 bits an element */
	uint32_t piece_gain; /* by one raw piece less, of the same */
	uint32_t local_gain; /* by a local table, of its plane */
};

const struct bs_level_params *bs_level_params(enum bs_level level);

#endif /* BS_LEVEL_H */
