/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer.h - a layer's weights, from the files to memory
 */

#ifndef BSX_LAYER_H
#define BSX_LAYER_H

#include "engine.h"
#include "nn.h"

/* One tensor as the kernels take it; vectors are f32. */
struct bsx_matrix {
	const void *data; /* NULL: the model has none */
	enum bsx_type type;
	size_t rows, cols;
};

/* A layer's tensors, or those outside of layers. */
struct bsx_part {
	struct bsx_matrix slot[BSX_N_SLOTS];
};

/* The bytes of part i: of layer i, or of what is outside of layers, which is
 * number n_layers.  BSX_ERR_MODEL: a tensor is missing, or not as the model's
 * settings have it. */
enum bsx_result bsx_part_bytes(const struct bsx_model *m, uint32_t i,
			       uint64_t *ret, struct bsx_error *err);

/* Read part i to 'to', which has room for it; 'once': and let the kernel forget
 * what it has of the file; stop() as for a session. */
enum bsx_result bsx_part_load(const struct bsx_model *m, uint32_t i,
			      uint8_t *to, bool once, bool (*stop)(void),
			      struct bsx_part *ret, struct bsx_error *err);

#endif /* BSX_LAYER_H */
