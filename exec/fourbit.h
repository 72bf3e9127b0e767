/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fourbit.h - matrices of 4-bit values that stand for BF16
 *
 * The form that compressed-tensors calls pack-quantized: of NAME.weight there
 * are NAME.weight_packed, eight values an I32, NAME.weight_scale, a BF16 for
 * each group of a row, and NAME.weight_shape.
 */

#ifndef BSX_FOURBIT_H
#define BSX_FOURBIT_H

#include "hparams.h"
#include "weights.h"

/* quantization_config, if there is one: of that form, or refused; and whether a
 * mount of ours says that the weights are 4-bit values. */
enum bsx_result bsx_config_packed(struct bsx_config *c, struct bsx_hparams *hp,
				  struct bsx_error *err);

struct bsx_packed {
	const struct bsx_tensor *values; /* NULL: there is no such matrix */
	const struct bsx_tensor *scales;
	const struct bsx_tensor *shape;
};

/* The three tensors of the matrix 'name', of that many rows and columns. */
enum bsx_result bsx_packed_find(const struct bsx_weights *w, const char *name,
				uint64_t rows, uint64_t cols, uint32_t group,
				struct bsx_packed *ret, struct bsx_error *err);

/* Read n rows from 'first' on as BF16. */
enum bsx_result bsx_packed_read(const struct bsx_weights *w,
				const struct bsx_packed *p, uint64_t first,
				uint64_t n, uint64_t cols, uint32_t group,
				uint16_t *to, bool once, bool (*stop)(void),
				struct bsx_error *err);

#endif /* BSX_FOURBIT_H */
