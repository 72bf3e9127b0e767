/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gemma.c - Gemma 2 and 3, text only
 *
 * Norms before and after each half of a layer, with weights around 0; what is
 * embedded is scaled.  The second bends scores and logits, and every other
 * layer slides; the third has norms of queries and keys, and five of six slide,
 * with angles of their own.
 */

#include <math.h>

#include "arch.h"

#define LAYER "model.layers.#."

#define COMMON                                                          \
	[BSX_ATTN_NORM] = LAYER "input_layernorm.weight",               \
	[BSX_Q] = LAYER "self_attn.q_proj.weight",                      \
	[BSX_K] = LAYER "self_attn.k_proj.weight",                      \
	[BSX_V] = LAYER "self_attn.v_proj.weight",                      \
	[BSX_Q_BIAS] = LAYER "self_attn.q_proj.bias",                   \
	[BSX_K_BIAS] = LAYER "self_attn.k_proj.bias",                   \
	[BSX_V_BIAS] = LAYER "self_attn.v_proj.bias",                   \
	[BSX_O] = LAYER "self_attn.o_proj.weight",                      \
	[BSX_O_BIAS] = LAYER "self_attn.o_proj.bias",                   \
	[BSX_ATTN_POST_NORM] = LAYER "post_attention_layernorm.weight", \
	[BSX_FF_NORM] = LAYER "pre_feedforward_layernorm.weight",       \
	[BSX_GATE] = LAYER "mlp.gate_proj.weight",                      \
	[BSX_UP] = LAYER "mlp.up_proj.weight",                          \
	[BSX_DOWN] = LAYER "mlp.down_proj.weight",                      \
	[BSX_FF_POST_NORM] = LAYER "post_feedforward_layernorm.weight", \
	[BSX_EMBED] = "model.embed_tokens.weight",                      \
	[BSX_FINAL_NORM] = "model.norm.weight", [BSX_HEAD] = "lm_head.weight"

static enum bsx_result read_common(struct bsx_config *c, struct bsx_hparams *hp,
				   struct bsx_error *err)
{
	enum bsx_result res;

	hp->norm_eps = 1e-6;
	hp->head_dim = 256;
	hp->is_tied = true;
	hp->norm_adds_one = true;
	hp->act = BSX_ACT_GELU_TANH;
	hp->attn_divisor = 256;
	hp->window = 4096;
	res = bsx_config_shape(c, hp, err);
	/* hidden_activation counts; the other is from before it. */
	bsx_config_has(c, "hidden_act");
	if (!res)
		res = bsx_config_act(c, "hidden_activation", &hp->act, err);
	if (!res)
		res = bsx_config_real(c, "query_pre_attn_scalar", 1e-3, 1e9,
				      &hp->attn_divisor, err);
	if (!res)
		res = bsx_config_uint(c, "sliding_window", 1, UINT32_MAX,
				      &hp->window, err);
	if (!res)
		res = bsx_config_real(c, "attn_logit_softcapping", 1e-3, 1e9,
				      &hp->attn_cap, err);
	if (!res)
		res = bsx_config_real(c, "final_logit_softcapping", 1e-3, 1e9,
				      &hp->final_cap, err);
	if (!res)
		res = bsx_config_bool(c, "attention_bias", &hp->has_qkv_bias,
				      err);
	hp->has_o_bias = hp->has_qkv_bias;
	hp->embed_scale = sqrt(hp->n_embd);
	return res;
}

static bool every_other(const struct bsx_hparams *hp, uint32_t layer)
{
	(void)hp;
	return layer % 2 == 0;
}

static enum bsx_result read_gemma2(struct bsx_config *c, struct bsx_hparams *hp,
				   struct bsx_error *err)
{
	enum bsx_result res;

	hp->n_context = 8192;
	hp->rope.theta = 10000;
	/* Null is none; what is not there is the default. */
	hp->attn_cap = bsx_config_names(c, "attn_logit_softcapping") ? 0 : 50;
	hp->final_cap = bsx_config_names(c, "final_logit_softcapping") ? 0 : 30;
	res = read_common(c, hp, err);
	if (!res)
		res = bsx_config_rope(c, &hp->rope, err);
	return res ? res : bsx_config_layers(c, hp, every_other, err);
}

static bool five_of_six(const struct bsx_hparams *hp, uint32_t layer)
{
	return (layer + 1) % hp->n_whole != 0;
}

/* The two kinds of angles, in the newer form or the older. */
static enum bsx_result read_ropes(struct bsx_config *c, struct bsx_hparams *hp,
				  struct bsx_error *err)
{
	struct bsx_config *in = bsx_config_inner(c, "rope_parameters");
	struct bsx_config *whole, *local;
	enum bsx_result res;

	hp->rope.theta = 1000000;
	hp->local_rope.theta = 10000;
	hp->local_rope.factor = 1;
	res = bsx_config_real(c, "rope_local_base_freq", 1, 1e12,
			      &hp->local_rope.theta, err);
	whole = in ? bsx_config_inner(in, "full_attention") : NULL;
	local = in ? bsx_config_inner(in, "sliding_attention") : NULL;
	if (!whole || !local)
		return res ? res : bsx_config_rope(c, &hp->rope, err);
	hp->rope.factor = 1;
	if (!res)
		res = bsx_config_rope_inner(whole, &hp->rope, err);
	if (!res)
		res = bsx_config_rope_inner(local, &hp->local_rope, err);
	return res ? res : bsx_config_finish(in, err);
}

static enum bsx_result read_gemma3(struct bsx_config *c, struct bsx_hparams *hp,
				   struct bsx_error *err)
{
	enum bsx_result res;

	hp->n_context = 131072;
	hp->n_whole = 6;
	res = read_common(c, hp, err);
	if (!res)
		res = read_ropes(c, hp, err);
	if (!res)
		res = bsx_config_uint(c, "sliding_window_pattern", 1,
				      BSX_MAX_LAYERS, &hp->n_whole, err);
	return res ? res : bsx_config_layers(c, hp, five_of_six, err);
}

const struct bsx_arch bsx_arch_gemma2 = {
	.name = "gemma2",
	.class_name = "Gemma2ForCausalLM",
	.read = read_gemma2,
	.tensors = { COMMON },
};

const struct bsx_arch bsx_arch_gemma3 = {
	.name = "gemma3_text",
	.class_name = "Gemma3ForCausalLM",
	.read = read_gemma3,
	.tensors = { COMMON, [BSX_Q_NORM] = LAYER "self_attn.q_norm.weight",
		     [BSX_K_NORM] = LAYER "self_attn.k_norm.weight" },
};
