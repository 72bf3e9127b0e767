/* SPDX-License-Identifier: Apache-2.0 */
/*
 * llama.c - Llama 1 to 3, SmolLM, and Mistral, which adds a sliding window
 */

#include <string.h>

#include "arch.h"

#define TENSORS                                                            \
	{                                                                  \
		[BSX_ATTN_NORM] = "model.layers.#.input_layernorm.weight", \
		[BSX_Q] = "model.layers.#.self_attn.q_proj.weight",        \
		[BSX_K] = "model.layers.#.self_attn.k_proj.weight",        \
		[BSX_V] = "model.layers.#.self_attn.v_proj.weight",        \
		[BSX_Q_BIAS] = "model.layers.#.self_attn.q_proj.bias",     \
		[BSX_K_BIAS] = "model.layers.#.self_attn.k_proj.bias",     \
		[BSX_V_BIAS] = "model.layers.#.self_attn.v_proj.bias",     \
		[BSX_O] = "model.layers.#.self_attn.o_proj.weight",        \
		[BSX_O_BIAS] = "model.layers.#.self_attn.o_proj.bias",     \
		[BSX_FF_NORM] =                                            \
			"model.layers.#.post_attention_layernorm.weight",  \
		[BSX_GATE] = "model.layers.#.mlp.gate_proj.weight",        \
		[BSX_UP] = "model.layers.#.mlp.up_proj.weight",            \
		[BSX_DOWN] = "model.layers.#.mlp.down_proj.weight",        \
		[BSX_GATE_BIAS] = "model.layers.#.mlp.gate_proj.bias",     \
		[BSX_UP_BIAS] = "model.layers.#.mlp.up_proj.bias",         \
		[BSX_DOWN_BIAS] = "model.layers.#.mlp.down_proj.bias",     \
		[BSX_EMBED] = "model.embed_tokens.weight",                 \
		[BSX_FINAL_NORM] = "model.norm.weight",                    \
		[BSX_HEAD] = "lm_head.weight",                             \
	}

static enum bsx_result read_common(struct bsx_config *c, struct bsx_hparams *hp,
				   struct bsx_error *err)
{
	enum bsx_result res;

	hp->norm_eps = 1e-6;
	hp->rope.theta = 10000;
	res = bsx_config_shape(c, hp, err);
	if (!res)
		res = bsx_config_act(c, "hidden_act", &hp->act, err);
	if (!res)
		res = bsx_config_rope(c, &hp->rope, err);
	return res;
}

static enum bsx_result read_llama(struct bsx_config *c, struct bsx_hparams *hp,
				  struct bsx_error *err)
{
	enum bsx_result res;

	hp->n_context = 2048;
	res = read_common(c, hp, err);
	if (!res)
		res = bsx_config_bool(c, "attention_bias", &hp->has_qkv_bias,
				      err);
	if (!res)
		res = bsx_config_bool(c, "mlp_bias", &hp->has_ff_bias, err);
	hp->has_o_bias = hp->has_qkv_bias;
	return res;
}

static enum bsx_result read_mistral(struct bsx_config *c,
				    struct bsx_hparams *hp,
				    struct bsx_error *err)
{
	enum bsx_result res;

	hp->n_context = 4096 * 32;
	hp->n_kv_heads = 8;
	hp->window = bsx_config_names(c, "sliding_window") ? 0 : 4096;
	res = read_common(c, hp, err);
	if (!res)
		res = bsx_config_uint(c, "sliding_window", 1, UINT32_MAX,
				      &hp->window, err);
	memset(hp->slides, true, sizeof(hp->slides));
	return res;
}

const struct bsx_arch bsx_arch_llama = {
	.name = "llama",
	.class_name = "LlamaForCausalLM",
	.read = read_llama,
	.tensors = TENSORS,
};

const struct bsx_arch bsx_arch_mistral = {
	.name = "mistral",
	.class_name = "MistralForCausalLM",
	.read = read_mistral,
	.tensors = TENSORS,
};
