/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coder.h - a chosen model with its encoding tables
 */

#ifndef BS_CODER_H
#define BS_CODER_H

#include "bigsmall.h"
#include "freq.h"
#include "model.h"

#include <stdbool.h>

struct bs_coder_plane {
	struct bs_freq freq;
	struct bs_enc_symbol enc[SYMBOLS_MAX];
};

/* One table a plane: table_log2 is 0 and there are no classes. */
struct bs_coder {
	bool has_planes; /* else: constant, zstd or raw */
	bool try_zstd; /* also where planes are used: keep the smaller */
	struct bs_model_desc desc;
	struct bs_coder_plane *planes[PLANES_MAX]; /* owned; coded ones */
};

#endif /* BS_CODER_H */
