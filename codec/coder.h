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

/* The arrays have as many tables as the plane. */
struct bs_coder_plane {
	struct bs_freq freq[TABLES_MAX];
	/* Which values, the base taken off, are symbols: take.h. */
	uint16_t has[TABLES_MAX][SYMBOLS_MAX / 16];
	uint16_t (*entry_of)[SYMBOLS_MAX];
	uint32_t *packed;
	struct bs_enc_symbol *enc;
	uint64_t room[]; /* for the three */
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
