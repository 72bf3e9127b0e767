/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qwen.c - Qwen 2, 2.5 and 3
 *
 * The second has biases where queries, keys and values are made, the third
 * norms of queries and keys in their place.
 */

#include "arch.h"

#define LAYER "model.layers.#."

#define COMMON                                                   \
	[BSX_ATTN_NORM] = LAYER "input_layernorm.weight",        \
	[BSX_Q] = LAYER "self_attn.q_proj.weight",               \
	[BSX_K] = LAYER "self_attn.k_proj.weight",               \
	[BSX_V] = LAYER "self_attn.v_proj.weight",               \
	[BSX_Q_BIAS] = LAYER "self_attn.q_proj.bias",            \
	[BSX_K_BIAS] = LAYER "self_attn.k_proj.bias",            \
	[BSX_V_BIAS] = LAYER "self_attn.v_proj.bias",            \
	[BSX_O] = LAYER "self_attn.o_proj.weight",               \
	[BSX_FF_NORM] = LAYER "post_attention_layernorm.weight", \
	[BSX_GATE] = LAYER "mlp.gate_proj.weight",               \
	[BSX_UP] = LAYER "mlp.up_proj.weight",                   \
	[BSX_DOWN] = LAYER "mlp.down_proj.weight",               \
	[BSX_EMBED] = "model.embed_tokens.weight",               \
	[BSX_FINAL_NORM] = "model.norm.weight", [BSX_HEAD] = "lm_head.weight"

/* The first n_whole layers do not, and none if there is no window. */
static bool slides(const struct bsx_hparams *hp, uint32_t layer)
{
	return hp->window && layer >= hp->n_whole;
}

static enum bsx_result read_qwen(struct bsx_config *c, struct bsx_hparams *hp,
				 struct bsx_error *err)
{
	bool has_window = false;
	uint32_t window = 4096;
	enum bsx_result res;

	hp->norm_eps = 1e-6;
	hp->rope.theta = 10000;
	hp->n_context = 32768;
	hp->n_whole = 28;
	res = bsx_config_shape(c, hp, err);
	if (!res)
		res = bsx_config_act(c, "hidden_act", &hp->act, err);
	if (!res)
		res = bsx_config_rope(c, &hp->rope, err);
	if (!res)
		res = bsx_config_bool(c, "use_sliding_window", &has_window,
				      err);
	if (!res)
		res = bsx_config_uint(c, "sliding_window", 1, UINT32_MAX,
				      &window, err);
	if (!res)
		res = bsx_config_uint(c, "max_window_layers", 0, UINT32_MAX,
				      &hp->n_whole, err);
	hp->window = has_window ? window : 0;
	return res ? res : bsx_config_layers(c, hp, slides, err);
}

static enum bsx_result read_qwen2(struct bsx_config *c, struct bsx_hparams *hp,
				  struct bsx_error *err)
{
	hp->has_qkv_bias = true;
	return read_qwen(c, hp, err);
}

static enum bsx_result read_qwen3(struct bsx_config *c, struct bsx_hparams *hp,
				  struct bsx_error *err)
{
	enum bsx_result res;

	hp->head_dim = 128;
	res = read_qwen(c, hp, err);
	if (!res)
		res = bsx_config_bool(c, "attention_bias", &hp->has_qkv_bias,
				      err);
	hp->has_o_bias = hp->has_qkv_bias;
	return res;
}

const struct bsx_arch bsx_arch_qwen2 = {
	.name = "qwen2",
	.class_name = "Qwen2ForCausalLM",
	.read = read_qwen2,
	.tensors = { COMMON },
};

const struct bsx_arch bsx_arch_qwen3 = {
	.name = "qwen3",
	.class_name = "Qwen3ForCausalLM",
	.read = read_qwen3,
	.tensors = { COMMON, [BSX_O_BIAS] = LAYER "self_attn.o_proj.bias",
		     [BSX_Q_NORM] = LAYER "self_attn.q_norm.weight",
		     [BSX_K_NORM] = LAYER "self_attn.k_norm.weight" },
};
