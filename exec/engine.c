/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - opening a model: everything but its weights' data
 */

#include "engine.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "layer.h"

/* A model that does not say how it is meant to be sampled is not. */
static const struct bsx_sampling greedy = { .top_p = 1 };

static enum bsx_result read_sampling(struct bsx_model *m, struct bsx_config *c,
				     struct bsx_error *err)
{
	struct bsx_sampling *s = &m->facts.sampling;
	double temperature = 1, top_p = 1;
	enum bsx_result res;
	bool samples = false;
	uint32_t top_k = 50; /* as transformers has it */

	res = bsx_config_bool(c, "do_sample", &samples, err);
	if (!res)
		res = bsx_config_real(c, "temperature", 0, 100, &temperature,
				      err);
	if (!res)
		res = bsx_config_real(c, "top_p", 0, 1, &top_p, err);
	if (!res)
		res = bsx_config_uint(c, "top_k", 0, UINT32_MAX, &top_k, err);
	if (res || !samples)
		return res;
	s->temperature = (float)temperature;
	s->top_k = top_k;
	s->top_p = (float)top_p;
	return BSX_OK;
}

static void add_stop(struct bsx_model *m, uint32_t id)
{
	if (id != BSX_NONE && !bsx_is_stop(m, id) && m->n_stops < BSX_MAX_STOPS)
		m->stops[m->n_stops++] = id;
}

static void add_stops(struct bsx_model *m, struct bsx_config *c)
{
	uint32_t ids[BSX_MAX_STOPS];
	size_t n = bsx_config_ids(c, "eos_token_id", ids, BSX_MAX_STOPS), i;

	for (i = 0; i < n; i++)
		add_stop(m, ids[i]);
}

bool bsx_is_stop(const struct bsx_model *m, uint32_t id)
{
	size_t i;

	for (i = 0; i < m->n_stops; i++) {
		if (m->stops[i] == id)
			return true;
	}
	return false;
}

static enum bsx_result read_config(struct bsx_model *m,
				   const struct bsx_folder *folder,
				   struct bsx_error *err)
{
	static const char generation[] = "generation_config.json";
	struct bsx_config *c;
	enum bsx_result res;

	res = bsx_config_read(&c, folder, "config.json", err);
	if (res)
		return res;
	res = bsx_arch_read(c, &m->arch, &m->hp, err);
	if (!res)
		add_stops(m, c);
	bsx_config_free(c);
	m->facts.sampling = greedy;
	if (res || !bsx_file_exists(folder, generation))
		return res;
	res = bsx_config_read(&c, folder, generation, err);
	if (res)
		return res;
	add_stops(m, c);
	res = read_sampling(m, c, err);
	bsx_config_free(c);
	return res;
}

static void fill_facts(struct bsx_model *m)
{
	struct bsx_facts *f = &m->facts;

	f->arch = m->arch->name;
	f->template_name = m->chat ? bsx_chat_name(m->chat) : NULL;
	f->has_template = m->chat != NULL;
	f->n_layers = m->hp.n_layers;
	f->n_vocab = m->hp.n_vocab;
	f->n_context = m->hp.n_context;
	f->is_int4 = m->hp.is_int4;
	f->file_bytes = bsx_weights_bytes(m->weights);
	/* What a file has besides is read by nobody, and counts all the same. */
	if (!f->is_int4) {
		f->n_weights = bsx_weights_count(m->weights);
		f->weight_bytes = f->file_bytes;
	}
}

/* All that is missing at once: one sentence helps more than three. */
static enum bsx_result look_for_files(const struct bsx_folder *folder,
				      struct bsx_error *err)
{
	bool config = bsx_file_exists(folder, "config.json");
	bool tokenizer = bsx_file_exists(folder, "tokenizer.json");

	if (config && tokenizer)
		return BSX_OK;
	return bsx_fail(err, BSX_ERR_MODEL,
			"%s is no model: there is no %s%s%s in it.",
			folder->path, config ? "" : "config.json",
			config || tokenizer ? "" : " and no ",
			tokenizer ? "" : "tokenizer.json");
}

enum bsx_result bsx_model_open(struct bsx_model **ret,
			       const struct bsx_folder *folder,
			       const char *file, struct bsx_error *err)
{
	struct bsx_model *m = calloc(1, sizeof(*m));
	enum bsx_result res;

	if (!m)
		return bsx_no_memory(err);
	res = look_for_files(folder, err);
	if (!res)
		res = read_config(m, folder, err);
	if (!res)
		res = bsx_weights_open(&m->weights, folder, file, err);
	/* All tensors are there, and of the right shape? */
	if (!res)
		res = bsx_part_work(m, &m->facts.work, &m->facts.n_weights,
				    &m->facts.weight_bytes, err);
	if (!res)
		res = bsx_tokenizer_read(&m->tokenizer, folder, err);
	if (!res)
		res = bsx_chat_read(&m->chat, folder, err);
	if (res) {
		bsx_model_free(m);
		return res;
	}
	if (m->chat && bsx_chat_stop(m->chat))
		add_stop(m, bsx_tokenizer_find(m->tokenizer,
					       bsx_chat_stop(m->chat)));
	fill_facts(m);
	/* A tokenizer's JSON takes many times what is kept of it. */
	malloc_trim(0);
	*ret = m;
	return BSX_OK;
}

void bsx_model_free(struct bsx_model *m)
{
	if (!m)
		return;
	bsx_chat_free(m->chat);
	bsx_tokenizer_free(m->tokenizer);
	bsx_weights_free(m->weights);
	free(m);
}

const struct bsx_facts *bsx_model_facts(const struct bsx_model *m)
{
	return &m->facts;
}

const char *bsx_model_file(const struct bsx_model *m, size_t i)
{
	return bsx_weights_file(m->weights, i);
}

enum bsx_result bsx_encode(const struct bsx_model *m, const char *text,
			   size_t len, bool with_start, uint32_t **ret,
			   size_t *ret_n, struct bsx_error *err)
{
	struct bsx_ids ids = { 0 };
	enum bsx_result res;

	res = bsx_tokenizer_encode(m->tokenizer, text, len, with_start, &ids,
				   err);
	if (res) {
		free(ids.id);
		return res;
	}
	*ret = ids.id;
	*ret_n = ids.n;
	return BSX_OK;
}
