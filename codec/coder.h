/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coder.h - a chosen model with its encoding tables
 */

#ifndef BS_CODER_H
#define BS_CODER_H

#include "bigsmall.h"
#include "freq.h"
#include "level.h"
#include "model.h"

#include <stdbool.h>

struct bs_coder_plane {
	struct bs_freq freq[TABLES_MAX];
	/* Symbols of values, the base taken off: where a table has no
	 * frequency for one, the escape. */
	uint8_t symbol_of[TABLES_MAX][SYMBOLS_MAX];
	struct bs_enc_symbol enc[]; /* [tables][SYMBOLS_MAX] */
};

struct bs_coder_classes {
	uint8_t *class; /* [n], owned; NULL: none */
	uint64_t n;
	uint8_t *object; /* as docs/format.md 8.3, owned */
	size_t object_len;
};

/* Only the first plane may have several tables and classes. */
struct bs_coder {
	bool has_planes; /* else: constant, zstd or raw */
	bool try_zstd; /* also where planes are used: keep the smaller */
	uint32_t local_gain; /* as bs_level_params has it */
	struct bs_model_desc desc;
	struct bs_coder_plane *planes[PLANES_MAX]; /* owned; coded ones */
	uint64_t width; /* elements a row; 0: no classes */
	struct bs_coder_classes rows;
	struct bs_coder_classes columns;
};

#endif /* BS_CODER_H */
