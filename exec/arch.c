/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch.c - the table of architectures
 */

#include "arch.h"

#include <stdio.h>
#include <string.h>

#include "fourbit.h"

static const struct bsx_arch *const archs[] = {
	&bsx_arch_llama,  &bsx_arch_mistral, &bsx_arch_qwen2, &bsx_arch_qwen3,
	&bsx_arch_gemma2, &bsx_arch_gemma3,  &bsx_arch_phi3,  &bsx_arch_gpt2,
};

enum bsx_result bsx_arch_read(struct bsx_config *c, const struct bsx_arch **ret,
			      struct bsx_hparams *hp, struct bsx_error *err)
{
	const char *type = NULL, *class_name;
	enum bsx_result res;
	size_t i;

	res = bsx_config_text(c, "model_type", &type, err);
	if (res)
		return res;
	class_name = bsx_config_first(c, "architectures");
	if (!type)
		return bsx_fail(err, BSX_ERR_MODEL,
				"config.json: model_type is missing.");
	for (i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
		if (!strcmp(type, archs[i]->name))
			break;
	}
	if (i == sizeof(archs) / sizeof(archs[0]))
		return bsx_fail(err, BSX_ERR_MODEL,
				"config.json: model_type is %s, an "
				"architecture that is not known here.",
				type);
	/* One that classifies or embeds has the same model_type. */
	if (class_name && strcmp(class_name, archs[i]->class_name) != 0)
		return bsx_fail(err, BSX_ERR_MODEL,
				"config.json: architectures says %s; only %s "
				"can be run.",
				class_name, archs[i]->class_name);
	memset(hp, 0, sizeof(*hp));
	res = archs[i]->read(c, hp, err);
	if (res)
		return res;
	*ret = archs[i];
	res = bsx_config_packed(c, hp, err);
	return res ? res : bsx_config_finish(c, err);
}

bool bsx_slot_is_vector(enum bsx_slot slot)
{
	switch (slot) {
	case BSX_Q:
	case BSX_K:
	case BSX_V:
	case BSX_O:
	case BSX_GATE:
	case BSX_UP:
	case BSX_DOWN:
	case BSX_EMBED:
	case BSX_POSITIONS:
	case BSX_HEAD:
		return false;
	default:
		return true;
	}
}

static bool is_present(const struct bsx_hparams *hp, enum bsx_slot slot)
{
	switch (slot) {
	case BSX_Q_BIAS:
	case BSX_K_BIAS:
	case BSX_V_BIAS:
		return hp->has_qkv_bias;
	case BSX_O_BIAS:
		return hp->has_o_bias;
	case BSX_GATE_BIAS:
	case BSX_UP_BIAS:
	case BSX_DOWN_BIAS:
		return hp->has_ff_bias;
	case BSX_HEAD:
		return !hp->is_tied;
	default:
		return true;
	}
}

/* The rows that a slot has: what it gives. */
static uint64_t rows_of(const struct bsx_hparams *hp, enum bsx_slot slot)
{
	switch (slot) {
	case BSX_Q:
	case BSX_Q_BIAS:
		return (uint64_t)hp->n_heads * hp->head_dim;
	case BSX_K:
	case BSX_V:
	case BSX_K_BIAS:
	case BSX_V_BIAS:
		return (uint64_t)hp->n_kv_heads * hp->head_dim;
	case BSX_GATE:
	case BSX_UP:
	case BSX_GATE_BIAS:
	case BSX_UP_BIAS:
		return hp->n_ff;
	case BSX_Q_NORM:
	case BSX_K_NORM:
		return hp->head_dim;
	case BSX_POSITIONS:
		return hp->n_context;
	case BSX_EMBED:
	case BSX_HEAD:
		return hp->n_vocab;
	default:
		return hp->n_embd;
	}
}

bool bsx_slot_shape(const struct bsx_arch *arch, const struct bsx_hparams *hp,
		    enum bsx_slot slot, uint64_t *ret_rows, uint64_t *ret_cols)
{
	if (!arch->tensors[slot] || !is_present(hp, slot))
		return false;
	*ret_rows = rows_of(hp, slot);
	if (bsx_slot_is_vector(slot))
		*ret_cols = 1;
	else if (slot == BSX_O)
		*ret_cols = (uint64_t)hp->n_heads * hp->head_dim;
	else if (slot == BSX_DOWN)
		*ret_cols = hp->n_ff;
	else
		*ret_cols = hp->n_embd;
	return true;
}

uint64_t bsx_slot_total(const struct bsx_arch *arch,
			const struct bsx_hparams *hp, enum bsx_slot slot,
			uint64_t *ret_before)
{
	uint64_t total = 0;
	unsigned i;

	*ret_before = 0;
	for (i = 0; i < BSX_N_SLOTS; i++) {
		if (!arch->tensors[i] ||
		    strcmp(arch->tensors[i], arch->tensors[slot]) != 0)
			continue;
		if (i < slot)
			*ret_before += rows_of(hp, (enum bsx_slot)i);
		total += rows_of(hp, (enum bsx_slot)i);
	}
	return total;
}

bool bsx_slot_is_layer_matrix(enum bsx_slot slot)
{
	return slot < BSX_N_LAYER_SLOTS && !bsx_slot_is_vector(slot);
}

bool bsx_slot_is_norm(enum bsx_slot slot)
{
	switch (slot) {
	case BSX_ATTN_NORM:
	case BSX_Q_NORM:
	case BSX_K_NORM:
	case BSX_ATTN_POST_NORM:
	case BSX_FF_NORM:
	case BSX_FF_POST_NORM:
	case BSX_FINAL_NORM:
		return true;
	default:
		return false;
	}
}

void bsx_slot_name(const struct bsx_arch *arch, enum bsx_slot slot,
		   uint32_t layer, char *buf, size_t len)
{
	const char *name = arch->tensors[slot];
	size_t before = strcspn(name, "#");

	if (name[before])
		snprintf(buf, len, "%.*s%u%s", (int)before, name,
			 (unsigned)layer, name + before + 1);
	else
		snprintf(buf, len, "%s", name);
}
