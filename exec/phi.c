/* SPDX-License-Identifier: Apache-2.0 */
/*
 * phi.c - Phi 3 and 4 mini: queries, keys and values are one tensor, and so are
 * gate and up
 */

#include <string.h>

#include "arch.h"

#define LAYER "model.layers.#."

static enum bsx_result read_phi3(struct bsx_config *c, struct bsx_hparams *hp,
				 struct bsx_error *err)
{
	uint32_t old_context;
	enum bsx_result res;

	hp->norm_eps = 1e-5;
	hp->rope.theta = 10000;
	hp->n_context = 4096;
	res = bsx_config_shape(c, hp, err);
	if (!res)
		res = bsx_config_act(c, "hidden_act", &hp->act, err);
	if (!res)
		res = bsx_config_real(c, "partial_rotary_factor", 0.01, 1,
				      &hp->rope.part, err);
	if (!res)
		res = bsx_config_rope(c, &hp->rope, err);
	if (!res)
		res = bsx_config_uint(c, "sliding_window", 1, UINT32_MAX,
				      &hp->window, err);
	/* Only for angles of a kind that is refused. */
	if (!res)
		res = bsx_config_uint(c, "original_max_position_embeddings", 1,
				      UINT32_MAX, &old_context, err);
	if (!res)
		res = bsx_config_must(c, "attention_bias", false, err);
	memset(hp->slides, true, sizeof(hp->slides));
	return res;
}

const struct bsx_arch bsx_arch_phi3 = {
	.name = "phi3",
	.class_name = "Phi3ForCausalLM",
	.read = read_phi3,
	.tensors = {
		[BSX_ATTN_NORM] = LAYER "input_layernorm.weight",
		[BSX_Q] = LAYER "self_attn.qkv_proj.weight",
		[BSX_K] = LAYER "self_attn.qkv_proj.weight",
		[BSX_V] = LAYER "self_attn.qkv_proj.weight",
		[BSX_O] = LAYER "self_attn.o_proj.weight",
		[BSX_FF_NORM] = LAYER "post_attention_layernorm.weight",
		[BSX_GATE] = LAYER "mlp.gate_up_proj.weight",
		[BSX_UP] = LAYER "mlp.gate_up_proj.weight",
		[BSX_DOWN] = LAYER "mlp.down_proj.weight",
		[BSX_EMBED] = "model.embed_tokens.weight",
		[BSX_FINAL_NORM] = "model.norm.weight",
		[BSX_HEAD] = "lm_head.weight",
	},
};
