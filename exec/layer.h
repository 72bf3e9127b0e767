/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer.h - a layer's weights, from the files to memory
 */

#ifndef BSX_LAYER_H
#define BSX_LAYER_H

#include "engine.h"
#include "fourbit.h"
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

/* Sets of slots, a bit for each. */
#define BSX_SLOT(slot) (UINT32_C(1) << (slot))
#define BSX_ALL_SLOTS UINT32_MAX

/* The bytes of these slots of part i: of layer i, or of what is outside of
 * layers, which is number n_layers.  BSX_ERR_MODEL: a tensor is missing, or not
 * as the model's settings have it. */
enum bsx_result bsx_part_bytes(const struct bsx_model *m, uint32_t i,
			       uint32_t slots, uint64_t *ret,
			       struct bsx_error *err);

/* What a token costs, how many weights there are, and their bytes in memory; as
 * bsx_part_bytes() otherwise. */
enum bsx_result bsx_part_work(const struct bsx_model *m, struct bsx_work *ret,
			      uint64_t *ret_n, uint64_t *ret_bytes,
			      struct bsx_error *err);

/* Read these slots of part i to 'to', which has room for them; 'once': and let
 * the kernel forget what it has of the file; stop() as for a session. */
enum bsx_result bsx_part_load(const struct bsx_model *m, uint32_t i,
			      uint32_t slots, uint8_t *to, bool once,
			      bool (*stop)(void), struct bsx_part *ret,
			      struct bsx_error *err);

/* The tensor of a slot outside of layers, without data; no rows: the model has
 * none.  The head of a model where it is tied is what embeds. */
enum bsx_result bsx_outside_shape(const struct bsx_model *m, enum bsx_slot slot,
				  struct bsx_matrix *ret,
				  struct bsx_error *err);

/* Read n rows of it from 'first' on, likewise. */
enum bsx_result bsx_rows_load(const struct bsx_model *m, enum bsx_slot slot,
			      size_t first, size_t n, uint8_t *to, bool once,
			      bool (*stop)(void), struct bsx_matrix *ret,
			      struct bsx_error *err);

#endif /* BSX_LAYER_H */
