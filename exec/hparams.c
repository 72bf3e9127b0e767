/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hparams.c - fields of config.json and its like, checked one by one
 *
 * Everything here is hostile until it is checked: kinds, bounds, and that
 * nothing was left unread that might change what the model computes.
 */

#include "hparams.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

#define CONFIG_MAX ((size_t)16 << 20)

struct bsx_config {
	char *name; /* of the file, for sentences; owned */
	cJSON *root; /* owned unless is_inner */
	bool is_inner;
	bool *is_used; /* [fields of root], owned */
	const cJSON *at; /* the field asked for last by its number */
	size_t at_no;
	struct bsx_config *inner; /* owned */
	struct bsx_config *next; /* of the same owner */
};

/* Fields that say where a model comes from or how it is trained, and those of
 * text generation, which has a file of its own. */
static const char *const harmless[] = {
	"architectures",
	"model_type",
	"torch_dtype",
	"dtype",
	"transformers_version",
	"transformers.js_config",
	"use_cache",
	"cache_implementation",
	"bos_token_id",
	"eos_token_id",
	"pad_token_id",
	"unk_token_id",
	"initializer_range",
	"initializer_factor",
	"attention_dropout",
	"hidden_dropout",
	"embd_pdrop",
	"attn_pdrop",
	"resid_pdrop",
	"embd_dropout",
	"resid_dropout",
	"attn_dropout",
	"pretraining_tp",
	"task_specific_params",
	"is_llama_config",
	"auto_map",
	"use_return_dict",
	"return_dict",
	"output_hidden_states",
	"output_attentions",
	"id2label",
	"label2id",
	"problem_type",
	"chunk_size_feed_forward",
	"is_encoder_decoder",
	"torchscript",
	"gradient_checkpointing",
	"license",
};

/* ---- Reading ------------------------------------------------------------- */

static struct bsx_config *config_new(cJSON *root, const char *name,
				     bool is_inner)
{
	struct bsx_config *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->root = root;
	c->is_inner = is_inner;
	c->name = strdup(name);
	c->is_used = calloc((size_t)cJSON_GetArraySize(root) + 1,
			    sizeof(*c->is_used));
	if (c->name && c->is_used)
		return c;
	c->is_inner = true; /* 'root' stays the caller's */
	bsx_config_free(c);
	return NULL;
}

enum bsx_result bsx_config_read(struct bsx_config **ret,
				const struct bsx_folder *folder,
				const char *name, struct bsx_error *err)
{
	enum bsx_result res;
	cJSON *root;
	size_t len;
	char *text;

	res = bsx_file_load(folder, name, CONFIG_MAX, &text, &len, err);
	if (res)
		return res;
	root = cJSON_ParseWithLength(text, len);
	free(text);
	if (!cJSON_IsObject(root)) {
		cJSON_Delete(root);
		return bsx_fail(err, BSX_ERR_DATA, "%s is no JSON object.",
				name);
	}
	*ret = config_new(root, name, false);
	if (*ret)
		return BSX_OK;
	cJSON_Delete(root);
	return bsx_no_memory(err);
}

void bsx_config_free(struct bsx_config *c)
{
	struct bsx_config *inner, *next;

	if (!c)
		return;
	for (inner = c->inner; inner; inner = next) {
		next = inner->next;
		bsx_config_free(inner);
	}
	if (!c->is_inner)
		cJSON_Delete(c->root);
	free(c->is_used);
	free(c->name);
	free(c);
}

/* The field, noted as asked for; NULL: it is not there, or null. */
static const cJSON *field(struct bsx_config *c, const char *key)
{
	const cJSON *item;
	size_t i = 0;

	cJSON_ArrayForEach(item, c->root)
	{
		if (item->string && !strcmp(item->string, key)) {
			c->is_used[i] = true;
			return cJSON_IsNull(item) ? NULL : item;
		}
		i++;
	}
	return NULL;
}

static enum bsx_result wrong(const struct bsx_config *c, const char *key,
			     const char *what, struct bsx_error *err)
{
	return bsx_fail(err, BSX_ERR_MODEL, "%s: %s is %s.", c->name, key,
			what);
}

bool bsx_config_has(struct bsx_config *c, const char *key)
{
	return field(c, key) != NULL;
}

bool bsx_config_names(struct bsx_config *c, const char *key)
{
	return cJSON_HasObjectItem(c->root, key);
}

enum bsx_result bsx_config_real(struct bsx_config *c, const char *key,
				double min, double max, double *ret,
				struct bsx_error *err)
{
	const cJSON *item = field(c, key);

	if (!item)
		return BSX_OK;
	if (!cJSON_IsNumber(item))
		return wrong(c, key, "no number", err);
	if (!(item->valuedouble >= min && item->valuedouble <= max))
		return bsx_fail(err, BSX_ERR_MODEL,
				"%s: %s is %g, which is out of bounds.",
				c->name, key, item->valuedouble);
	*ret = item->valuedouble;
	return BSX_OK;
}

enum bsx_result bsx_config_uint(struct bsx_config *c, const char *key,
				uint32_t min, uint32_t max, uint32_t *ret,
				struct bsx_error *err)
{
	enum bsx_result res;
	double v = -1;

	res = bsx_config_real(c, key, min, max, &v, err);
	if (res || v < 0)
		return res;
	if (v != floor(v))
		return wrong(c, key, "no whole number", err);
	*ret = (uint32_t)v;
	return BSX_OK;
}

enum bsx_result bsx_config_bool(struct bsx_config *c, const char *key,
				bool *ret, struct bsx_error *err)
{
	const cJSON *item = field(c, key);

	if (!item)
		return BSX_OK;
	if (!cJSON_IsBool(item))
		return wrong(c, key, "neither true nor false", err);
	*ret = cJSON_IsTrue(item);
	return BSX_OK;
}

enum bsx_result bsx_config_text(struct bsx_config *c, const char *key,
				const char **ret, struct bsx_error *err)
{
	const cJSON *item = field(c, key);

	if (!item)
		return BSX_OK;
	if (!cJSON_IsString(item))
		return wrong(c, key, "no text", err);
	*ret = item->valuestring;
	return BSX_OK;
}

const char *bsx_config_word(struct bsx_config *c, const char *key, size_t i)
{
	const cJSON *item = field(c, key);

	if (!cJSON_IsArray(item))
		return NULL;
	for (item = item->child; item && i; item = item->next)
		i--;
	return cJSON_IsString(item) ? item->valuestring : NULL;
}

const char *bsx_config_first(struct bsx_config *c, const char *key)
{
	const cJSON *item = field(c, key);

	return cJSON_IsString(item) ? item->valuestring
				    : bsx_config_word(c, key, 0);
}

const char *bsx_config_value(struct bsx_config *c, size_t i)
{
	const cJSON *item = c->root->child;
	size_t left;

	/* Calls with rising numbers go on where the last one was. */
	if (i && c->at && c->at_no == i - 1)
		item = c->at->next;
	else
		for (left = i; item && left; item = item->next)
			left--;
	c->at = item;
	c->at_no = i;
	return cJSON_IsString(item) ? item->valuestring : NULL;
}

struct bsx_config *bsx_config_inner(struct bsx_config *c, const char *key)
{
	const cJSON *item = field(c, key);
	struct bsx_config *inner;
	cJSON *own;

	if (!cJSON_IsObject(item))
		return NULL;
	/* Found by its name again, without const. */
	own = cJSON_GetObjectItemCaseSensitive(c->root, key);
	inner = config_new(own, c->name, true);
	if (!inner)
		return NULL;
	inner->next = c->inner;
	c->inner = inner;
	return inner;
}

static bool id_of(const cJSON *item, uint32_t *ret)
{
	if (!cJSON_IsNumber(item) || item->valuedouble < 0 ||
	    item->valuedouble >= UINT32_MAX)
		return false;
	*ret = (uint32_t)item->valuedouble;
	return true;
}

size_t bsx_config_ids(struct bsx_config *c, const char *key, uint32_t *ret,
		      size_t max)
{
	const cJSON *item = field(c, key), *one;
	size_t n = 0;

	if (!cJSON_IsArray(item))
		return max && id_of(item, ret);
	cJSON_ArrayForEach(one, item)
	{
		if (n < max)
			n += id_of(one, ret + n);
	}
	return n;
}

static bool is_harmless(const char *key)
{
	size_t i;

	/* Notes of tools, to themselves. */
	if (key[0] == '_' || !strncmp(key, "unsloth", 7))
		return true;
	for (i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		if (!strcmp(key, harmless[i]))
			return true;
	}
	return false;
}

enum bsx_result bsx_config_finish(struct bsx_config *c, struct bsx_error *err)
{
	const cJSON *item;
	size_t i = 0;

	cJSON_ArrayForEach(item, c->root)
	{
		/* What is null or off asks for nothing. */
		if (!c->is_used[i++] && !is_harmless(item->string) &&
		    !cJSON_IsNull(item) && !cJSON_IsFalse(item))
			return bsx_fail(err, BSX_ERR_MODEL,
					"%s: the option %s is not known here, "
					"so the model might run wrong.",
					c->name, item->string);
	}
	return BSX_OK;
}

/* ---- Shape --------------------------------------------------------------- */

static enum bsx_result read_llama3(struct bsx_config *in, struct bsx_rope *ret,
				   struct bsx_error *err)
{
	enum bsx_result res;

	ret->kind = BSX_ROPE_LLAMA3;
	res = bsx_config_real(in, "low_freq_factor", 1e-3, 1e6,
			      &ret->low_freq_factor, err);
	if (!res)
		res = bsx_config_real(in, "high_freq_factor", 1e-3, 1e6,
				      &ret->high_freq_factor, err);
	if (!res)
		res = bsx_config_real(in, "original_max_position_embeddings", 1,
				      1e9, &ret->old_context, err);
	if (res)
		return res;
	if (!(ret->low_freq_factor > 0 && ret->old_context > 0 &&
	      ret->high_freq_factor > ret->low_freq_factor))
		return wrong(in, "rope_scaling", "incomplete", err);
	return BSX_OK;
}

enum bsx_result bsx_config_rope_inner(struct bsx_config *in,
				      struct bsx_rope *ret,
				      struct bsx_error *err)
{
	const char *kind = "default";
	enum bsx_result res;

	/* The older name of rope_type. */
	res = bsx_config_text(in, "type", &kind, err);
	if (!res)
		res = bsx_config_text(in, "rope_type", &kind, err);
	if (!res)
		res = bsx_config_real(in, "rope_theta", 1, 1e12, &ret->theta,
				      err);
	if (!res)
		res = bsx_config_real(in, "factor", 1, 1e6, &ret->factor, err);
	if (!res)
		res = bsx_config_real(in, "partial_rotary_factor", 0.01, 1,
				      &ret->part, err);
	if (res)
		return res;
	if (!strcmp(kind, "linear")) {
		ret->kind = BSX_ROPE_LINEAR;
	} else if (!strcmp(kind, "llama3")) {
		res = read_llama3(in, ret, err);
	} else if (strcmp(kind, "default") != 0) {
		return bsx_fail(err, BSX_ERR_MODEL,
				"config.json: rope_scaling of the type %s is "
				"not known here.",
				kind);
	}
	return res ? res : bsx_config_finish(in, err);
}

enum bsx_result bsx_config_rope(struct bsx_config *c, struct bsx_rope *ret,
				struct bsx_error *err)
{
	static const char *const keys[] = { "rope_scaling", "rope_parameters" };
	enum bsx_result res;
	size_t i;

	ret->factor = 1;
	res = bsx_config_real(c, "rope_theta", 1, 1e12, &ret->theta, err);
	for (i = 0; i < 2 && !res; i++) {
		struct bsx_config *in = bsx_config_inner(c, keys[i]);

		if (in)
			res = bsx_config_rope_inner(in, ret, err);
		else if (bsx_config_has(c, keys[i]))
			res = wrong(c, keys[i], "no object", err);
	}
	return res;
}

enum bsx_result bsx_config_layers(struct bsx_config *c, struct bsx_hparams *hp,
				  bool (*slides)(const struct bsx_hparams *hp,
						 uint32_t layer),
				  struct bsx_error *err)
{
	const char *word;
	uint32_t i;

	for (i = 0; i < hp->n_layers; i++) {
		if (!bsx_config_has(c, "layer_types")) {
			hp->slides[i] = slides(hp, i);
			continue;
		}
		word = bsx_config_word(c, "layer_types", i);
		if (!word || (strcmp(word, "sliding_attention") != 0 &&
			      strcmp(word, "full_attention") != 0))
			return bsx_fail(err, BSX_ERR_MODEL,
					"%s: layer_types has %s for a layer, "
					"which is not known here.",
					c->name, word ? word : "nothing");
		hp->slides[i] = word[0] == 's';
	}
	return BSX_OK;
}

enum bsx_result bsx_config_must(struct bsx_config *c, const char *key,
				bool want, struct bsx_error *err)
{
	enum bsx_result res;
	bool have = want;

	res = bsx_config_bool(c, key, &have, err);
	if (!res && have != want)
		return bsx_fail(err, BSX_ERR_MODEL,
				"%s: %s is %s, which is not known here.",
				c->name, key, have ? "true" : "false");
	return res;
}

enum bsx_result bsx_config_act(struct bsx_config *c, const char *key,
			       enum bsx_act *ret, struct bsx_error *err)
{
	const char *name = NULL;
	enum bsx_result res = bsx_config_text(c, key, &name, err);

	if (res || !name)
		return res;
	if (!strcmp(name, "silu") || !strcmp(name, "swish"))
		*ret = BSX_ACT_SILU;
	else if (!strcmp(name, "gelu_new") ||
		 !strcmp(name, "gelu_pytorch_tanh"))
		*ret = BSX_ACT_GELU_TANH;
	else
		return bsx_fail(err, BSX_ERR_MODEL,
				"%s: %s is %s, which is not known here.",
				c->name, key, name);
	return BSX_OK;
}

enum bsx_result bsx_config_shape(struct bsx_config *c, struct bsx_hparams *ret,
				 struct bsx_error *err)
{
	const struct {
		const char *key;
		uint32_t max;
		uint32_t *ret;
		bool may_miss;
	} fields[] = {
		{ "hidden_size", 1 << 20, &ret->n_embd, false },
		{ "num_hidden_layers", BSX_MAX_LAYERS, &ret->n_layers, false },
		{ "num_attention_heads", 1 << 14, &ret->n_heads, false },
		{ "num_key_value_heads", 1 << 14, &ret->n_kv_heads, true },
		{ "head_dim", 1 << 14, &ret->head_dim, true },
		{ "intermediate_size", 1 << 22, &ret->n_ff, false },
		{ "vocab_size", 1 << 24, &ret->n_vocab, false },
		{ "max_position_embeddings", 1 << 30, &ret->n_context, true },
	};
	enum bsx_result res;
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		res = bsx_config_uint(c, fields[i].key, 1, fields[i].max,
				      fields[i].ret, err);
		if (res)
			return res;
		if (!*fields[i].ret && !fields[i].may_miss)
			return wrong(c, fields[i].key, "missing", err);
	}
	if (!ret->n_kv_heads)
		ret->n_kv_heads = ret->n_heads;
	if (ret->n_heads % ret->n_kv_heads)
		return wrong(c, "num_attention_heads",
			     "no multiple of num_key_value_heads", err);
	if (!ret->head_dim) {
		if (ret->n_embd % ret->n_heads)
			return wrong(c, "hidden_size",
				     "no multiple of num_attention_heads", err);
		ret->head_dim = ret->n_embd / ret->n_heads;
	}
	if (ret->head_dim % 2)
		return wrong(c, "head_dim", "odd", err);
	res = bsx_config_real(c, "rms_norm_eps", 0, 1, &ret->norm_eps, err);
	if (!res)
		res = bsx_config_bool(c, "tie_word_embeddings", &ret->is_tied,
				      err);
	return res;
}
