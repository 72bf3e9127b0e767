/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch.h - what sets one architecture apart from another
 *
 * All of them are stacks of the block in block.c, which looks at bsx_hparams
 * for what differs.  An architecture reads its fields of config.json into
 * those, and says what its tensors are called.
 */

#ifndef BSX_ARCH_H
#define BSX_ARCH_H

#include "hparams.h"

/* The tensors of a layer, then those outside of layers. */
enum bsx_slot {
	BSX_ATTN_NORM,
	BSX_ATTN_NORM_BIAS,
	BSX_Q,
	BSX_K,
	BSX_V,
	BSX_Q_BIAS,
	BSX_K_BIAS,
	BSX_V_BIAS,
	BSX_Q_NORM, /* of each head */
	BSX_K_NORM,
	BSX_O,
	BSX_O_BIAS,
	BSX_ATTN_POST_NORM, /* of what attention adds */
	BSX_FF_NORM,
	BSX_FF_NORM_BIAS,
	BSX_GATE,
	BSX_UP,
	BSX_DOWN,
	BSX_GATE_BIAS,
	BSX_UP_BIAS,
	BSX_DOWN_BIAS,
	BSX_FF_POST_NORM,
	BSX_N_LAYER_SLOTS,

	BSX_EMBED = BSX_N_LAYER_SLOTS,
	BSX_POSITIONS, /* one for each position, added to what is embedded */
	BSX_FINAL_NORM,
	BSX_FINAL_NORM_BIAS,
	BSX_HEAD,
	BSX_N_SLOTS,
};

struct bsx_arch {
	const char *name; /* model_type in config.json */
	const char *class_name; /* in its architectures */
	enum bsx_result (*read)(struct bsx_config *c, struct bsx_hparams *hp,
				struct bsx_error *err);
	const char *prefix; /* of names, which files may leave out; or NULL */
	/* A layer's number takes the place of '#'.  NULL: there is no such
	 * tensor.  Slots of one name are its rows, one after the other. */
	const char *tensors[BSX_N_SLOTS];
};

extern const struct bsx_arch bsx_arch_llama;
extern const struct bsx_arch bsx_arch_mistral;
extern const struct bsx_arch bsx_arch_qwen2;
extern const struct bsx_arch bsx_arch_qwen3;
extern const struct bsx_arch bsx_arch_gemma2;
extern const struct bsx_arch bsx_arch_gemma3;
extern const struct bsx_arch bsx_arch_phi3;
extern const struct bsx_arch bsx_arch_gpt2;

/* The architecture of a config.json, and its shape. */
enum bsx_result bsx_arch_read(struct bsx_config *c, const struct bsx_arch **ret,
			      struct bsx_hparams *hp, struct bsx_error *err);

/* Whether the model has that tensor, and its shape: a vector has one column. */
bool bsx_slot_shape(const struct bsx_arch *arch, const struct bsx_hparams *hp,
		    enum bsx_slot slot, uint64_t *ret_rows, uint64_t *ret_cols);

/* The rows of the slots that share its tensor, and how many of them are before
 * its own. */
uint64_t bsx_slot_total(const struct bsx_arch *arch,
			const struct bsx_hparams *hp, enum bsx_slot slot,
			uint64_t *ret_before);

/* Whether it is a matrix of a layer. */
bool bsx_slot_is_layer_matrix(enum bsx_slot slot);

/* Whether it is a norm's weights, without bias. */
bool bsx_slot_is_norm(enum bsx_slot slot);

/* What the tensor of a layer is called. */
void bsx_slot_name(const struct bsx_arch *arch, enum bsx_slot slot,
		   uint32_t layer, char *buf, size_t len);

/* Whether it is a vector, kept as f32. */
bool bsx_slot_is_vector(enum bsx_slot slot);

#endif /* BSX_ARCH_H */
