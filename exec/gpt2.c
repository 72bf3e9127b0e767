/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpt2.c - GPT-2: learned positions, norms with a mean and a bias, no gate, and
 * matrices that stand input by output
 */

#include "arch.h"

#define LAYER "transformer.h.#."

static enum bsx_result read_gpt2(struct bsx_config *c, struct bsx_hparams *hp,
				 struct bsx_error *err)
{
	/* Of a summary, which a model that only goes on does not make; and what
	 * says again how long it is. */
	static const char *const idle[] = {
		"summary_type",		 "summary_use_proj",
		"summary_activation",	 "summary_proj_to_labels",
		"summary_first_dropout", "n_ctx"
	};
	const struct {
		const char *key;
		uint32_t value, max;
		uint32_t *ret;
	} fields[] = {
		{ "n_embd", 768, 1 << 20, &hp->n_embd },
		{ "n_layer", 12, BSX_MAX_LAYERS, &hp->n_layers },
		{ "n_head", 12, 1 << 14, &hp->n_heads },
		{ "n_positions", 1024, 1 << 30, &hp->n_context },
		{ "vocab_size", 50257, 1 << 24, &hp->n_vocab },
		{ "n_inner", 0, 1 << 22, &hp->n_ff },
	};
	enum bsx_result res = BSX_OK;
	size_t i;

	for (i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
		bsx_config_has(c, idle[i]);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]) && !res; i++) {
		*fields[i].ret = fields[i].value;
		res = bsx_config_uint(c, fields[i].key, 1, fields[i].max,
				      fields[i].ret, err);
	}
	hp->norm_eps = 1e-5;
	hp->act = BSX_ACT_GELU_TANH;
	hp->is_tied = true;
	if (!res)
		res = bsx_config_real(c, "layer_norm_epsilon", 0, 1,
				      &hp->norm_eps, err);
	if (!res)
		res = bsx_config_act(c, "activation_function", &hp->act, err);
	if (!res)
		res = bsx_config_bool(c, "tie_word_embeddings", &hp->is_tied,
				      err);
	if (!res)
		res = bsx_config_must(c, "scale_attn_weights", true, err);
	if (res)
		return res;
	if (hp->n_embd % hp->n_heads || hp->act != BSX_ACT_GELU_TANH)
		return bsx_fail(err, BSX_ERR_MODEL,
				"config.json: n_head or activation_function is "
				"not as GPT-2 has it.");
	hp->n_kv_heads = hp->n_heads;
	hp->head_dim = hp->n_embd / hp->n_heads;
	if (!hp->n_ff)
		hp->n_ff = 4 * hp->n_embd;
	hp->has_qkv_bias = hp->has_o_bias = hp->has_ff_bias = true;
	hp->has_layer_norm = true;
	hp->is_transposed = true;
	return BSX_OK;
}

const struct bsx_arch bsx_arch_gpt2 = {
	.name = "gpt2",
	.class_name = "GPT2LMHeadModel",
	.read = read_gpt2,
	.prefix = "transformer.",
	.tensors = {
		[BSX_ATTN_NORM] = LAYER "ln_1.weight",
		[BSX_ATTN_NORM_BIAS] = LAYER "ln_1.bias",
		[BSX_Q] = LAYER "attn.c_attn.weight",
		[BSX_K] = LAYER "attn.c_attn.weight",
		[BSX_V] = LAYER "attn.c_attn.weight",
		[BSX_Q_BIAS] = LAYER "attn.c_attn.bias",
		[BSX_K_BIAS] = LAYER "attn.c_attn.bias",
		[BSX_V_BIAS] = LAYER "attn.c_attn.bias",
		[BSX_O] = LAYER "attn.c_proj.weight",
		[BSX_O_BIAS] = LAYER "attn.c_proj.bias",
		[BSX_FF_NORM] = LAYER "ln_2.weight",
		[BSX_FF_NORM_BIAS] = LAYER "ln_2.bias",
		[BSX_UP] = LAYER "mlp.c_fc.weight",
		[BSX_UP_BIAS] = LAYER "mlp.c_fc.bias",
		[BSX_DOWN] = LAYER "mlp.c_proj.weight",
		[BSX_DOWN_BIAS] = LAYER "mlp.c_proj.bias",
		[BSX_EMBED] = "transformer.wte.weight",
		[BSX_POSITIONS] = "transformer.wpe.weight",
		[BSX_FINAL_NORM] = "transformer.ln_f.weight",
		[BSX_FINAL_NORM_BIAS] = "transformer.ln_f.bias",
		[BSX_HEAD] = "lm_head.weight",
	},
};
