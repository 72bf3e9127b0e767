/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensor.c - a stored tensor, from its span of the file to its bytes
 *
 * Nothing but the MD5 of a whole tensor tells whether its bytes are good, so no
 * byte of it may be shown before all of it was decoded once.  What that costs is
 * spent once: the bytes are kept if they are few, else the coders' states before
 * every chunk.
 */

#include "tensor.h"

#include "../bits.h"
#include "../checksum.h"
#include "../md5.h"
#include "packed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct bs_up_codec codecs[] = {
	{ "raw", NULL, bs_up_raw_open, 1 },
	{ "zstd", NULL, bs_up_zstd_open, 1 },
	{ "bf16_se_rans", NULL, bs_up_bf16_rans_open, 2 },
	{ "bf16_se_ac", NULL, bs_up_bf16_ac_open, 2 },
	{ "fp16_se_ac", NULL, bs_up_fp16_ac_open, 2 },
	{ "fp32_se_ac", NULL, bs_up_fp32_ac_open, 4 },
	{ "bf16_native_f32", NULL, bs_up_native_open, 4 },
	{ "bf16_native_f32_v2", NULL, bs_up_native2_open, 4 },
	{ "fp8_cat_ac", NULL, bs_up_fp8_open, 1 },
	{ "fp4_cat_ac", NULL, bs_up_fp4_open, 1 },
	{ "special", "lowcard", bs_up_lowcard_open, 1 },
	{ "special", "wpe_delta", bs_up_rows_open, 1 },
};

const struct bs_up_codec *bs_up_codec_find(const char *name, const char *kind)
{
	size_t i;

	for (i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
		const struct bs_up_codec *c = &codecs[i];

		if (!strcmp(c->name, name) &&
		    (!c->kind || (kind && !strcmp(c->kind, kind))))
			return c;
	}
	return NULL;
}

const struct bs_up_codec *bs_up_codec_dual(void)
{
	static const struct bs_up_codec dual = { "int4g", NULL, bs_up_dual_open,
						 2 };

	return &dual;
}

const struct bs_up_codec *bs_up_codec_packed(void)
{
	static const struct bs_up_codec packed = { "int4g_v1", NULL,
						   bs_up_packed_open, 1 };

	return &packed;
}

/* Read the tables of a tensor. */
enum bs_result bs_up_plan_open(struct bs_up_plan *plan,
			       const struct bs_up_tensor *t,
			       const struct bs_source *src)
{
	enum bs_result res;
	uint64_t n = t->raw_len / t->codec->unit;

	memset(plan, 0, sizeof(*plan));
	plan->second = t->second;
	plan->fast = t->fast;
	if (t->raw_len % t->codec->unit)
		return BS_ERR_CORRUPT;
	res = t->codec->open(plan, src, t->span, n, &plan->node);
	if (!res && plan->node->n * plan->node->width != t->raw_len)
		res = BS_ERR_CORRUPT;
	return res;
}

enum bs_result bs_up_plan_run(struct bs_up_run **ret,
			      const struct bs_up_plan *plan,
			      const struct bs_up_tensor *t,
			      const struct bs_source *src)
{
	enum bs_result res = bs_up_run_new(ret, src, plan->streams,
					   plan->n_streams, UP_CHUNK,
					   t->raw_len, plan->extra_len);

	return res ? res : bs_up_run_restart(*ret);
}

/* ---- All of it, in order ------------------------------------------------- */

struct pass {
	const struct bs_up_tensor *t;
	const struct bs_up_plan *plan;
	struct bs_up_run *run;
	struct bs_up_model *model;
};

static enum bs_result keep_place(struct bs_up_model *m,
				 const struct bs_up_run *run, uint64_t chunk);
static void keep_sum(struct bs_up_model *m, uint64_t chunk, const uint8_t *data,
		     size_t len);

static size_t chunk_len(uint64_t raw_len, uint64_t off)
{
	return raw_len - off < UP_CHUNK ? (size_t)(raw_len - off) : UP_CHUNK;
}

static enum bs_result do_chunks(struct pass *p, struct bs_md5 *md5,
				uint8_t *buf, uint8_t *whole)
{
	const struct bs_up_node *node = p->plan->node;
	enum bs_result res = BS_OK;
	uint64_t off = 0;
	size_t len;

	for (; off < p->t->raw_len && !res; off += len) {
		uint8_t *dst = whole ? whole + off : buf;

		len = chunk_len(p->t->raw_len, off);
		if (!whole)
			res = keep_place(p->model, p->run,
					 off >> UP_CHUNK_LOG2);
		if (!res)
			res = node->run(node, p->run, len / node->width, dst);
		if (res)
			break;
		bs_md5_update(md5, dst, len);
		if (!whole)
			keep_sum(p->model, off >> UP_CHUNK_LOG2, dst, len);
	}
	return res;
}

/* Decode all, into 'whole' if it is not NULL, and compare the MD5. */
static enum bs_result do_pass(struct pass *p, uint8_t *whole)
{
	uint8_t digest[BS_MD5_LEN], *buf = NULL;
	enum bs_result res = BS_OK;
	struct bs_md5 md5;

	bs_md5_init(&md5);
	if (!whole) {
		buf = malloc(UP_CHUNK);
		res = buf ? BS_OK : BS_ERR_NOMEM;
	}
	if (!res)
		res = do_chunks(p, &md5, buf, whole);
	if (!res) {
		bs_md5_final(&md5, digest);
		if (memcmp(digest, p->t->md5, sizeof(digest)) != 0)
			res = BS_ERR_CHECKSUM;
	}
	free(buf);
	return res;
}

/* What must be there was found out first: a chunk is good before it is given. */
enum bs_result bs_up_tensor_decode_packed(const struct bs_up_tensor *t,
					  const struct bs_source *src,
					  bs_up_take_fn take, void *ctx)
{
	struct bs_up_cursor *cursor = NULL;
	uint8_t *buf = malloc(UP_CHUNK);
	struct bs_up_model *m = NULL;
	enum bs_result res;
	uint64_t off;

	res = buf ? bs_up_model_load(&m, t, src, 0) : BS_ERR_NOMEM;
	for (off = 0; off < t->raw_len && !res; off += UP_CHUNK) {
		size_t len = chunk_len(t->raw_len, off);

		res = bs_up_model_decode(m, &cursor, off, len, buf);
		if (!res && take && take(ctx, off, buf, len))
			res = BS_ERR_IO;
	}
	bs_up_cursor_free(cursor);
	bs_up_model_free(m);
	free(buf);
	return res;
}

/* ---- Models -------------------------------------------------------------- */

struct bs_up_model {
	const struct bs_up_tensor *t; /* borrowed; NULL: of bytes in memory */
	const struct bs_source *src; /* borrowed */
	uint8_t *owned; /* the bytes, if they are kept */
	const uint8_t *bytes; /* the same, or borrowed; NULL: decode */
	size_t mem;

	/* All below only where the bytes are not kept. */
	struct bs_up_plan plan; /* owned, as are all below */
	struct bs_up_seek *places; /* [n_places][plan.n_streams] */
	uint8_t *kept; /* [n_places][plan.kept_len] */
	uint64_t *sums; /* [n_chunks], XXH3-64 */
	uint64_t n_chunks;
	uint64_t every; /* chunks from a place to the next */
};

/* Places are no denser than takes this part of what lies between them. */
#define PLACES_PART 16

static enum bs_result new_places(struct bs_up_model *m)
{
	size_t place = m->plan.n_streams * sizeof(struct bs_up_seek) +
		       m->plan.kept_len;
	uint64_t n;

	m->n_chunks = div_up(m->t->raw_len, UP_CHUNK);
	m->every = 1 + PLACES_PART * (uint64_t)place / UP_CHUNK;
	n = div_up(m->n_chunks, m->every);
	m->places = malloc(
		(size_t)n * m->plan.n_streams * sizeof(struct bs_up_seek) + 1);
	m->kept = malloc((size_t)n * m->plan.kept_len + 1);
	m->sums = malloc((size_t)m->n_chunks * sizeof(*m->sums));
	m->mem += (size_t)n * place + (size_t)m->n_chunks * sizeof(*m->sums) +
		  m->plan.mem;
	return m->places && m->kept && m->sums ? BS_OK : BS_ERR_NOMEM;
}

static enum bs_result keep_place(struct bs_up_model *m,
				 const struct bs_up_run *run, uint64_t chunk)
{
	uint64_t i = chunk / m->every;

	if (chunk % m->every)
		return BS_OK;
	bs_up_run_save(run, m->places + i * m->plan.n_streams);
	if (m->plan.kept_len)
		memcpy(m->kept + i * m->plan.kept_len, run->extra,
		       m->plan.kept_len);
	return BS_OK;
}

static void keep_sum(struct bs_up_model *m, uint64_t chunk, const uint8_t *data,
		     size_t len)
{
	m->sums[chunk] = bs_xxh3_64(data, len);
}

/* Any place can be gone to: it is an offset. */
static enum bs_result load_summed(struct bs_up_model *m)
{
	enum bs_result res = bs_up_plan_open(&m->plan, m->t, m->src);
	uint64_t i;

	if (!res)
		res = new_places(m);
	if (res)
		return res;
	assert(m->plan.kept_len == sizeof(uint64_t) && !m->plan.n_streams);
	for (i = 0; i < div_up(m->n_chunks, m->every); i++) {
		uint64_t off = (i * m->every) << UP_CHUNK_LOG2;

		memcpy(m->kept + i * sizeof(off), &off, sizeof(off));
	}
	return bs_up_packed_sum_up(m->t, m->src, m->sums);
}

static enum bs_result load(struct bs_up_model *m, uint64_t whole_max)
{
	int is_whole = m->t->raw_len <= whole_max;
	struct pass p = { .t = m->t, .plan = &m->plan, .model = m };
	enum bs_result res;

	res = bs_up_plan_open(&m->plan, m->t, m->src);
	if (!res)
		res = bs_up_plan_run(&p.run, &m->plan, m->t, m->src);
	if (!res && is_whole) {
		m->owned = malloc((size_t)m->t->raw_len);
		m->mem += (size_t)m->t->raw_len;
		res = m->owned ? BS_OK : BS_ERR_NOMEM;
	} else if (!res) {
		res = new_places(m);
	}
	if (!res)
		res = do_pass(&p, m->owned);
	bs_up_run_free(p.run);
	if (is_whole)
		bs_up_plan_fini(&m->plan);
	m->bytes = m->owned;
	return res;
}

enum bs_result bs_up_model_load(struct bs_up_model **ret,
				const struct bs_up_tensor *t,
				const struct bs_source *src, uint64_t whole_max)
{
	struct bs_up_model *m = calloc(1, sizeof(*m));
	enum bs_result res;

	*ret = NULL;
	if (!m)
		return BS_ERR_NOMEM;
	m->t = t;
	m->src = src;
	m->mem = sizeof(*m);
	res = t->fast.n ? load_summed(m) : load(m, whole_max);
	if (res)
		bs_up_model_free(m);
	else
		*ret = m;
	return res;
}

enum bs_result bs_up_model_of_bytes(struct bs_up_model **ret, const void *bytes)
{
	struct bs_up_model *m = calloc(1, sizeof(*m));

	*ret = m;
	if (!m)
		return BS_ERR_NOMEM;
	m->bytes = bytes;
	m->mem = sizeof(*m);
	return BS_OK;
}

size_t bs_up_model_mem(const struct bs_up_model *m)
{
	return m->mem;
}

void bs_up_model_free(struct bs_up_model *m)
{
	if (!m)
		return;
	bs_up_plan_fini(&m->plan);
	free(m->places);
	free(m->kept);
	free(m->sums);
	free(m->owned);
	free(m);
}

/* ---- A chunk ------------------------------------------------------------- */

struct bs_up_cursor {
	struct bs_up_run *run; /* owned; NULL: nowhere */
	/* Where it is.  A model that was freed may have had the address that
	 * another has now; then the tensors differ. */
	const struct bs_up_model *model;
	struct bs_up_tensor t;
	uint64_t off; /* of the chunk that comes next */
	uint8_t skip[UP_CHUNK / 16]; /* for what nobody wants */
};

void bs_up_cursor_free(struct bs_up_cursor *c)
{
	if (!c)
		return;
	bs_up_run_free(c->run);
	free(c);
}

static int is_of(const struct bs_up_cursor *c, const struct bs_up_model *m)
{
	return c->run && c->model == m && c->run->src == m->src &&
	       c->run->n_lanes == m->plan.n_streams &&
	       (!c->run->n_lanes || c->run->lanes->s == m->plan.streams) &&
	       c->t.span.off == m->t->span.off &&
	       c->t.span.len == m->t->span.len &&
	       c->t.raw_len == m->t->raw_len && c->t.codec == m->t->codec &&
	       !memcmp(c->t.md5, m->t->md5, sizeof(c->t.md5));
}

/* Go to the last place at or before chunk 'no'. */
static enum bs_result go_back(const struct bs_up_model *m,
			      struct bs_up_cursor *c, uint64_t no)
{
	uint64_t i = no / m->every;
	enum bs_result res = BS_OK;

	if (!is_of(c, m)) {
		bs_up_run_free(c->run);
		c->run = NULL;
		res = bs_up_plan_run(&c->run, &m->plan, m->t, m->src);
		c->model = m;
		c->t = *m->t;
	}
	c->off = (i * m->every) << UP_CHUNK_LOG2;
	if (!res)
		res = bs_up_run_restore(c->run,
					m->places + i * m->plan.n_streams,
					c->off / m->plan.node->width);
	if (!res && m->plan.kept_len)
		memcpy(c->run->extra, m->kept + i * m->plan.kept_len,
		       m->plan.kept_len);
	return res;
}

static enum bs_result decode(const struct bs_up_model *m,
			     struct bs_up_cursor *c, uint64_t off, size_t len,
			     uint8_t *dst)
{
	const struct bs_up_node *node = m->plan.node;
	size_t skip_len = sizeof(c->skip);
	uint64_t no = off >> UP_CHUNK_LOG2;
	enum bs_result res = BS_OK;

	if (!is_of(c, m) || c->off > off ||
	    c->off >> UP_CHUNK_LOG2 < no / m->every * m->every)
		res = go_back(m, c, no);
	for (; !res && c->off < off; c->off += skip_len)
		res = node->run(node, c->run, skip_len / node->width, c->skip);
	if (!res)
		res = node->run(node, c->run, len / node->width, dst);
	c->off += len;
	/* The file may have changed since it was good. */
	if (!res && bs_xxh3_64(dst, len) != m->sums[no])
		res = BS_ERR_CHECKSUM;
	return res;
}

enum bs_result bs_up_model_decode(const struct bs_up_model *m,
				  struct bs_up_cursor **cursor, uint64_t off,
				  size_t len, void *dst)
{
	enum bs_result res;

	if (m->bytes) {
		memcpy(dst, m->bytes + off, len);
		return BS_OK;
	}
	if (!*cursor)
		*cursor = calloc(1, sizeof(**cursor));
	if (!*cursor)
		return BS_ERR_NOMEM;
	res = decode(m, *cursor, off, len, dst);
	if (res) {
		bs_up_cursor_free(*cursor);
		*cursor = NULL;
	}
	return res;
}
