/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resident.h - the weights in memory
 */

#ifndef BSX_RESIDENT_H
#define BSX_RESIDENT_H

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

struct bsx_resident;

/* The bytes that it takes; BSX_ERR_MODEL: a tensor is missing, or not as the
 * model's settings have it. */
enum bsx_result bsx_resident_bytes(const struct bsx_model *m, uint64_t *ret,
				   struct bsx_error *err);

/* Read them all; stop() as for a session.  The caller frees *ret. */
enum bsx_result bsx_resident_new(struct bsx_resident **ret,
				 const struct bsx_model *m, bool (*stop)(void),
				 struct bsx_error *err);
void bsx_resident_free(struct bsx_resident *r);

/* Of layer i; the part outside of layers is number n_layers. */
const struct bsx_part *bsx_resident_part(const struct bsx_resident *r,
					 uint32_t i);

#endif /* BSX_RESIDENT_H */
