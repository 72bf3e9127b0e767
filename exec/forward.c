/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.c - weights in memory, and tokens that went through them
 */

#include <stdlib.h>
#include <string.h>

#include "block.h"

/* Tokens that pass a layer before the next layer's turn: a few batches. */
#define STRETCH (5 * (size_t)BSX_BATCH)

struct bsx_session {
	const struct bsx_model *m; /* borrowed */
	struct bsx_resident *weights; /* owned, as is all below */
	struct bsx_team *team;
	struct bsx_block block;
	float *x; /* [STRETCH][n_embd] */
	float *row; /* [n_embd], twice */
	bool (*stop)(void);
	bool has_positions;
	uint32_t n; /* tokens */
};

/* How weights are held, and the bytes of all else. */
static enum bsx_result plan(const struct bsx_model *m,
			    const struct bsx_session_options *options,
			    struct bsx_holding *ret, uint64_t *ret_rest,
			    struct bsx_error *err)
{
	uint64_t rest = bsx_block_bytes(&m->hp, options->n_context,
					options->n_threads) +
			(STRETCH + 2) * m->hp.n_embd * sizeof(float);
	enum bsx_result res;

	if (rest >= options->budget)
		return bsx_fail(
			err, BSX_ERR_REFUSED,
			"without any weights, %u tokens take %llu bytes "
			"of memory, and there is room for %llu.",
			(unsigned)options->n_context, (unsigned long long)rest,
			(unsigned long long)options->budget);
	*ret_rest = rest;
	res = bsx_resident_plan(m, options->budget - rest, options->streams,
				ret, err);
	ret->once = options->once;
	return res;
}

enum bsx_result bsx_session_plan(const struct bsx_model *m,
				 const struct bsx_session_options *options,
				 struct bsx_plan *ret, struct bsx_error *err)
{
	struct bsx_holding holding = { 0 };
	enum bsx_result res;
	uint64_t rest = 0;

	res = plan(m, options, &holding, &rest, err);
	if (res)
		return res;
	ret->n_kept = holding.n_kept;
	ret->pass_bytes = holding.pass_bytes;
	ret->bytes = holding.bytes + rest;
	return BSX_OK;
}

enum bsx_result bsx_session_new(struct bsx_session **ret,
				const struct bsx_model *m,
				const struct bsx_session_options *options,
				struct bsx_error *err)
{
	struct bsx_session *s = calloc(1, sizeof(*s));
	struct bsx_holding holding = { 0 };
	struct bsx_matrix positions = { 0 };
	enum bsx_result res;
	uint64_t rest = 0;

	if (!s)
		return bsx_no_memory(err);
	s->m = m;
	s->stop = options->stop;
	s->x = malloc(STRETCH * m->hp.n_embd * sizeof(float));
	s->row = malloc((size_t)2 * m->hp.n_embd * sizeof(float));
	res = s->x && s->row ? BSX_OK : bsx_no_memory(err);
	if (!res)
		res = bsx_outside_shape(m, BSX_POSITIONS, &positions, err);
	s->has_positions = positions.rows > 0;
	if (!res)
		res = plan(m, options, &holding, &rest, err);
	if (!res)
		res = bsx_team_new(&s->team, options->n_threads, err);
	if (!res)
		res = bsx_block_init(&s->block, &m->hp, s->team,
				     options->n_context, err);
	if (!res)
		res = bsx_resident_new(&s->weights, m, &holding, options->stop,
				       err);
	if (res) {
		bsx_session_free(s);
		return res;
	}
	*ret = s;
	return BSX_OK;
}

void bsx_session_free(struct bsx_session *s)
{
	if (!s)
		return;
	bsx_resident_free(s->weights);
	bsx_block_fini(&s->block);
	bsx_team_free(s->team);
	free(s->row);
	free(s->x);
	free(s);
}

uint32_t bsx_session_length(const struct bsx_session *s)
{
	return s->n;
}

void bsx_session_rewind(struct bsx_session *s, uint32_t n)
{
	if (n < s->n)
		s->n = n;
}

/* Row i of a table outside of layers as f32, from memory or from the files. */
static enum bsx_result get_row(struct bsx_session *s, enum bsx_slot slot,
			       size_t i, float *to, struct bsx_error *err)
{
	const struct bsx_part *part = bsx_resident_outside(s->weights);
	struct bsx_matrix m = part->slot[slot];
	size_t width = s->m->hp.n_embd;
	enum bsx_result res = BSX_OK;
	const uint8_t *data;

	if (m.data) {
		data = m.data;
		data += i * width * bsx_type_size(m.type);
	} else {
		uint8_t *raw = (uint8_t *)(s->row + width);

		res = bsx_rows_load(s->m, slot, i, 1, raw, false, s->stop, &m,
				    err);
		data = raw;
	}
	if (!res)
		s->block.k->widen[m.type](to, data, width);
	return res;
}

static enum bsx_result embed(struct bsx_session *s, const uint32_t *ids,
			     size_t n, uint32_t pos, struct bsx_error *err)
{
	float scale = (float)s->m->hp.embed_scale;
	size_t t, i, width = s->m->hp.n_embd;
	enum bsx_result res = BSX_OK;

	for (t = 0; !res && t < n; t++) {
		float *x = s->x + t * width;

		res = get_row(s, BSX_EMBED, ids[t], x, err);
		for (i = 0; !res && scale > 0 && i < width; i++)
			x[i] *= scale;
		if (res || !s->has_positions)
			continue;
		res = get_row(s, BSX_POSITIONS, pos + t, s->row, err);
		for (i = 0; !res && i < width; i++)
			x[i] += s->row[i];
	}
	return res;
}

/* Logits of the n tokens at x, which goes through the last norm. */
static enum bsx_result speak(struct bsx_session *s, float *x, size_t n,
			     float *logits, struct bsx_error *err)
{
	const struct bsx_part *part = bsx_resident_outside(s->weights);
	size_t n_vocab = s->m->hp.n_vocab, width = s->m->hp.n_embd;
	uint32_t i = s->m->hp.n_layers, end = bsx_resident_parts(s->weights);
	float cap = (float)s->m->hp.final_cap, *to = logits;
	size_t done, some;

	bsx_final_norm(&s->block, part, x, x, n);
	for (; i < end; i++) {
		enum bsx_result res =
			bsx_resident_get(s->weights, i, &part, err);

		if (res)
			return res;
		for (done = 0; done < n; done += some) {
			some = n - done < BSX_BATCH ? n - done : BSX_BATCH;
			bsx_matmul(&s->block, to + done * n_vocab, n_vocab,
				   &part->slot[BSX_HEAD], x + done * width,
				   some);
		}
		to += part->slot[BSX_HEAD].rows;
		bsx_resident_put(s->weights, i);
	}
	if (cap > 0)
		s->block.k->soft_cap(logits, n * n_vocab, 1, cap);
	return BSX_OK;
}

/* All layers for n <= STRETCH tokens at x. */
static enum bsx_result pass(struct bsx_session *s, size_t n, uint32_t pos,
			    struct bsx_error *err)
{
	size_t width = s->m->hp.n_embd, done, some;
	uint32_t layer;

	for (layer = 0; layer < s->m->hp.n_layers; layer++) {
		const struct bsx_part *part;
		enum bsx_result res;

		if (s->stop && s->stop())
			return bsx_fail(err, BSX_ERR_STOPPED, "interrupted.");
		res = bsx_resident_get(s->weights, layer, &part, err);
		if (res)
			return res;
		for (done = 0; done < n; done += some) {
			some = n - done < BSX_BATCH ? n - done : BSX_BATCH;
			bsx_block_run(&s->block, part, layer,
				      s->x + done * width, some,
				      pos + (uint32_t)done);
		}
		bsx_resident_put(s->weights, layer);
	}
	return BSX_OK;
}

enum bsx_result bsx_session_feed(struct bsx_session *s, const uint32_t *ids,
				 size_t n, float *logits, size_t n_last,
				 struct bsx_error *err)
{
	size_t done, some, skip, n_vocab = s->m->hp.n_vocab, i;
	enum bsx_result res;

	if (n > s->block.n_context - s->n)
		return bsx_fail(err, BSX_ERR_REFUSED,
				"there is room for %u tokens, not for %zu.",
				(unsigned)s->block.n_context, (size_t)s->n + n);
	for (i = 0; i < n; i++) {
		if (ids[i] >= n_vocab)
			return bsx_fail(err, BSX_ERR_MODEL,
					"the tokenizer has the token %u, and "
					"the model knows %zu.",
					(unsigned)ids[i], n_vocab);
	}
	for (done = 0; done < n; done += some) {
		bool speaks;

		some = n - done < STRETCH ? n - done : STRETCH;
		/* Some of this stretch are among the last. */
		speaks = done + some > n - n_last;
		bsx_resident_begin(s->weights, speaks);
		res = embed(s, ids + done, some, s->n + (uint32_t)done, err);
		if (!res)
			res = pass(s, some, s->n + (uint32_t)done, err);
		skip = done < n - n_last ? n - n_last - done : 0;
		if (!res && speaks)
			res = speak(
				s, s->x + skip * s->m->hp.n_embd, some - skip,
				logits + (done + skip - (n - n_last)) * n_vocab,
				err);
		if (res)
			return res;
	}
	s->n += (uint32_t)n;
	return BSX_OK;
}
