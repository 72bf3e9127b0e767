/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lanes.c - the streams of a tensor, each read piece by piece
 *
 * The symbols of one stream are a chain of dependent operations, but streams do
 * not depend on each other: four are decoded at a time, which hides most of what
 * a step waits for.
 */

#include "lanes.h"

#include "../bits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A window has room for what is needed of the stream at a time and a quarter
 * more, and at least this. */
#define WINDOW_MIN 512

/* zstd gets its input in pieces of this. */
#define ZSTD_PIECE ((size_t)32 << 10)

#define N_PARALLEL 4

void bs_up_table_free(struct bs_up_table *t)
{
	if (t)
		free(t->whole);
	free(t);
}

static enum bs_result make_whole(struct bs_up_table *t)
{
	unsigned i;

	t->whole = malloc(UP_N_BUCKETS * sizeof(*t->whole));
	if (!t->whole)
		return BS_ERR_NOMEM;
	for (i = 0; i < UP_N_BUCKETS; i++) {
		unsigned s = t->first[i];
		uint64_t begin = t->cdf[s], width = t->cdf[s + 1] - begin;

		t->whole[i] = width << UP_WIDTH_SHIFT |
			      begin << UP_BEGIN_SHIFT | s;
	}
	return BS_OK;
}

enum bs_result bs_up_table_new(struct bs_up_table **ret, const uint32_t *counts,
			       unsigned n, int has_whole)
{
	struct bs_up_table *t =
		malloc(sizeof(*t) + ((size_t)n + 1) * sizeof(uint32_t));
	unsigned bucket = 0, s;
	enum bs_result res;

	*ret = NULL;
	if (!t)
		return BS_ERR_NOMEM;
	t->next = NULL;
	t->whole = NULL;
	res = bs_up_quantise(counts, n, t->cdf);
	if (res) {
		bs_up_table_free(t);
		return res;
	}
	for (s = 0; s < n; s++) {
		/* Buckets that begin before this symbol ends. */
		unsigned end = (t->cdf[s + 1] + (1u << UP_BUCKET_SHIFT) - 1) >>
			       UP_BUCKET_SHIFT;

		while (bucket < end)
			t->first[bucket++] = (uint16_t)s;
	}
	if (has_whole)
		res = make_whole(t);
	if (res)
		bs_up_table_free(t);
	else
		*ret = t;
	return res;
}

/* ---- Windows ------------------------------------------------------------- */

static size_t window_len(const struct bs_up_stream *s, uint64_t part,
			 uint64_t whole)
{
	double share = (double)part / (double)whole * 1.25;
	uint64_t len = WINDOW_MIN;

	if (share < 1 && (double)s->len * share > (double)len)
		len = (uint64_t)((double)s->len * share);
	if (share >= 1 || len > s->len)
		len = s->len;
	if (s->kind == UP_ZSTD && len > ZSTD_PIECE)
		len = ZSTD_PIECE;
	if (s->kind == UP_BYTES)
		len = 0; /* they are read where they are wanted */
	return (size_t)(len + 3) & ~(size_t)3;
}

/* Bring the next bytes of the stream into the window, which is empty. */
static enum bs_result refill(struct bs_up_lane *l)
{
	uint64_t n = l->unread < l->buf_len ? l->unread : l->buf_len;
	uint64_t off = l->s->kind == UP_ANS ? l->s->off + l->unread - n
					    : l->s->off + l->s->len - l->unread;

	if (n && l->src->pread(l->src->ctx, l->buf, (size_t)n, off) != 0)
		return BS_ERR_IO;
	l->unread -= n;
	l->p = l->s->kind == UP_ANS ? l->buf + n : l->buf;
	l->end = l->buf + n;
	return BS_OK;
}

/* Words in the window. */
static size_t n_words(const struct bs_up_lane *l)
{
	return (size_t)(l->s->kind == UP_ANS ? l->p - l->buf : l->end - l->p) /
	       4;
}

/* The word at the lane's place, which is there. */
static uint64_t next_word(struct bs_up_lane *l)
{
	uint64_t word;

	if (l->s->kind == UP_ANS) {
		l->p -= 4;
		return get_u32(l->p);
	}
	word = get_u32(l->p);
	l->p += 4;
	return word;
}

/* What a coder has before its first symbol. */
static enum bs_result begin_symbols(struct bs_up_lane *l)
{
	unsigned i;

	l->state = 0;
	l->range = UINT64_MAX;
	for (i = 0; i < 2; i++) {
		if (!n_words(l) && l->unread) {
			enum bs_result res = refill(l);

			if (res)
				return res;
		}
		if (n_words(l))
			l->state = l->state << 32 | next_word(l);
		else if (l->s->kind == UP_RANGE)
			l->state <<= 32;
		/* One word makes a state, if it is not too small. */
		if (l->s->kind == UP_ANS && !i && !l->state && l->s->len)
			return BS_ERR_CORRUPT;
	}
	return BS_OK;
}

static enum bs_result begin_lane(struct bs_up_lane *l)
{
	l->unread = l->s->len;
	l->done = 0;
	l->res = BS_OK;
	l->p = l->end = l->buf;
	if (l->s->kind == UP_ANS || l->s->kind == UP_RANGE)
		return begin_symbols(l);
	if (l->z)
		return bs_unzstd_reset(l->z);
	return l->s->kind == UP_ZSTD ? bs_unzstd_new(&l->z) : BS_OK;
}

/* ---- Runs ---------------------------------------------------------------- */

enum bs_result bs_up_run_new(struct bs_up_run **ret,
			     const struct bs_source *src,
			     const struct bs_up_stream *streams, unsigned n,
			     uint64_t part, uint64_t whole, size_t extra_len)
{
	struct bs_up_run *r = calloc(1, sizeof(*r));
	size_t len = 0;
	unsigned i;

	*ret = NULL;
	if (!r)
		return BS_ERR_NOMEM;
	r->src = src;
	r->n_lanes = n;
	for (i = 0; i < n; i++)
		len += window_len(&streams[i], part, whole);
	r->lanes = calloc(n + 1, sizeof(*r->lanes));
	r->buf = malloc(len + 1);
	r->extra = calloc(1, extra_len + 1);
	if (!r->lanes || !r->buf || !r->extra) {
		bs_up_run_free(r);
		return BS_ERR_NOMEM;
	}
	for (i = 0, len = 0; i < n; i++) {
		r->lanes[i].s = &streams[i];
		r->lanes[i].src = src;
		r->lanes[i].buf = r->buf + len;
		r->lanes[i].buf_len = window_len(&streams[i], part, whole);
		len += r->lanes[i].buf_len;
	}
	*ret = r;
	return BS_OK;
}

void bs_up_run_free(struct bs_up_run *r)
{
	unsigned i;

	if (!r)
		return;
	for (i = 0; r->lanes && i < r->n_lanes; i++)
		bs_unzstd_free(r->lanes[i].z);
	bs_zstd_free(r->zstd);
	free(r->lanes);
	free(r->buf);
	free(r->extra);
	free(r->ahead);
	free(r);
}

enum bs_result bs_up_run_look_ahead(struct bs_up_run *r, size_t n)
{
	size_t room = 0;
	unsigned i;

	for (i = 0; i < r->n_lanes; i++)
		if (bs_up_is_awaited(r->lanes[i].s))
			room += n * r->lanes[i].s->unit;
	r->ahead = malloc((room + 1) * sizeof(*r->ahead));
	if (!r->ahead)
		return BS_ERR_NOMEM;
	for (i = 0, room = 0; i < r->n_lanes; i++) {
		if (!bs_up_is_awaited(r->lanes[i].s))
			continue;
		r->lanes[i].ahead = r->ahead + room;
		room += n * r->lanes[i].s->unit;
	}
	return BS_OK;
}

enum bs_result bs_up_run_restart(struct bs_up_run *r)
{
	enum bs_result res = BS_OK;
	unsigned i;

	for (i = 0; i < r->n_lanes && !res; i++)
		res = begin_lane(&r->lanes[i]);
	return res;
}

enum bs_result bs_up_lane_begin(struct bs_up_lane *l,
				const struct bs_up_stream *s,
				const struct bs_source *src, uint8_t *window,
				size_t len)
{
	memset(l, 0, sizeof(*l));
	l->s = s;
	l->src = src;
	l->buf = window;
	l->buf_len = len;
	return begin_lane(l);
}

void bs_up_lane_save(const struct bs_up_lane *l, struct bs_up_seek *ret)
{
	ret->state = l->state;
	ret->range = l->range;
	ret->unread = l->unread + (uint64_t)(l->s->kind == UP_ANS
						     ? l->p - l->buf
						     : l->end - l->p);
}

void bs_up_lane_restore(struct bs_up_lane *l, const struct bs_up_seek *seek)
{
	l->res = BS_OK;
	l->state = seek->state;
	l->range = seek->range;
	l->unread = seek->unread;
	l->p = l->end = l->buf;
}

void bs_up_run_save(const struct bs_up_run *r, struct bs_up_seek *ret)
{
	unsigned i;

	for (i = 0; i < r->n_lanes; i++)
		bs_up_lane_save(&r->lanes[i], &ret[i]);
}

/* Read a frame up to 'to' bytes of its content, from where the lane is. */
static enum bs_result skip_to(struct bs_up_run *r, unsigned lane, uint64_t to)
{
	struct bs_up_lane *l = &r->lanes[lane];
	enum bs_result res = BS_OK;

	if (!l->z || l->done > to)
		res = begin_lane(l);
	while (!res && l->done < to) {
		uint64_t n = to - l->done;

		if (n > UP_BLOCK)
			n = UP_BLOCK;
		res = bs_up_run_bytes(r, lane, r->bytes[0], (size_t)n);
	}
	return res;
}

enum bs_result bs_up_run_restore(struct bs_up_run *r,
				 const struct bs_up_seek *seek, uint64_t at)
{
	enum bs_result res = BS_OK;
	unsigned i;

	for (i = 0; i < r->n_lanes && !res; i++) {
		struct bs_up_lane *l = &r->lanes[i];

		if (l->s->kind == UP_ZSTD)
			res = skip_to(r, i, at * l->s->unit);
		else
			bs_up_lane_restore(l, &seek[i]);
	}
	return res;
}

/* ---- Symbols ------------------------------------------------------------- */

/* How many symbols of a job can be decoded at once: what is left of it, or the
 * words in its window, brought there if it was empty; 0: the stream is read to
 * the end, or as far as it can be. */
static size_t prepare(const struct bs_up_job *job)
{
	struct bs_up_lane *l = job->lane;
	size_t n = n_words(l);

	if (!n && l->unread && !l->res) {
		l->res = refill(l);
		n = n_words(l);
	}
	return n < job->n ? n : job->n;
}

static void advance(struct bs_up_job *job, size_t n)
{
	job->dst += n;
	job->n -= n;
}

/* A job alone, to its end. */
static void finish(struct bs_up_job *job)
{
	struct bs_up_lane *l = job->lane;
	int is_ans = l->s->kind == UP_ANS;

	while (job->n) {
		size_t n = prepare(job);

		if (!n) {
			n = job->n;
			(is_ans ? bs_up_ans_dry : bs_up_range_dry)(l, job->dst,
								   n);
		} else if (l->s->table->whole) {
			(is_ans ? bs_up_ans_1_whole
				: bs_up_range_1_whole)(l, job->dst, n);
		} else {
			(is_ans ? bs_up_ans_1 : bs_up_range_1)(l, job->dst, n);
		}
		advance(job, n);
	}
}

/* Two to four jobs at once, as far as all of them go.  A job whose stream is at
 * its end is finished alone.  Where there are fewer than four, one is done more
 * than once, which takes no longer. */
static void do_some(struct bs_up_job *jobs, unsigned n_jobs)
{
	struct bs_up_lane *l[N_PARALLEL], again[N_PARALLEL - 2];
	uint16_t *dst[N_PARALLEL];
	unsigned n_whole = 0, i;
	size_t n = SIZE_MAX;
	int is_ans = jobs->lane->s->kind == UP_ANS;

	for (i = 0; i < n_jobs; i++) {
		size_t m = prepare(&jobs[i]);

		if (!m) {
			finish(&jobs[i]);
			return;
		}
		n = m < n ? m : n;
		l[i] = jobs[i].lane;
		dst[i] = jobs[i].dst;
		n_whole += l[i]->s->table->whole != NULL;
	}
	for (; i < N_PARALLEL; i++) {
		l[i] = &again[i - 2];
		again[i - 2] = *jobs[n_jobs - 1].lane;
		dst[i] = jobs[n_jobs - 1].dst;
	}
	if (n_whole == n_jobs)
		(is_ans ? bs_up_ans_4_whole : bs_up_range_4_whole)(l, dst, n);
	else if (l[0]->s->table->whole)
		(is_ans ? bs_up_ans_4_first : bs_up_range_4_first)(l, dst, n);
	else
		(is_ans ? bs_up_ans_4 : bs_up_range_4)(l, dst, n);
	for (i = 0; i < n_jobs; i++)
		advance(&jobs[i], n);
}

enum bs_result bs_up_symbols(struct bs_up_job *jobs, unsigned n)
{
	struct bs_up_job now[N_PARALLEL];
	unsigned n_now = 0, next = 0, i;

	do {
		while (n_now < N_PARALLEL && next < n) {
			if (jobs[next].n)
				now[n_now++] = jobs[next];
			next++;
		}
		if (n_now > 1)
			do_some(now, n_now);
		else if (n_now)
			finish(now);
		for (i = n_now; i-- > 0;)
			if (!now[i].n)
				now[i] = now[--n_now];
	} while (n_now);
	for (i = 0; i < n; i++)
		if (jobs[i].lane->res)
			return jobs[i].lane->res;
	return BS_OK;
}

unsigned bs_up_lane_uniform(struct bs_up_lane *l, unsigned width)
{
	struct bs_up_job job = { l, NULL, 1 };

	(void)prepare(&job);
	return bs_up_range_uniform(l, width);
}

const uint16_t *bs_up_lane_next(struct bs_up_lane *l, uint16_t *dst, size_t n,
				enum bs_result *ret)
{
	struct bs_up_job job = { l, dst, n };

	if (l->n_taken < l->n_ahead) {
		assert(n <= l->n_ahead - l->n_taken);
		l->n_taken += n;
		*ret = l->res;
		return l->ahead + l->n_taken - n;
	}
	*ret = bs_up_symbols(&job, 1);
	return dst;
}

/* ---- Bytes --------------------------------------------------------------- */

enum bs_result bs_up_run_bytes(struct bs_up_run *r, unsigned lane, void *dst,
			       size_t len)
{
	struct bs_up_lane *l = &r->lanes[lane];
	uint8_t *to = dst;
	enum bs_result res = BS_OK;

	if (l->s->kind == UP_BYTES) {
		if (len > l->unread)
			return BS_ERR_CORRUPT;
		if (len && r->src->pread(r->src->ctx, dst, len,
					 l->s->off + l->s->len - l->unread))
			return BS_ERR_IO;
		l->unread -= len;
		return BS_OK;
	}
	l->done += len;
	while (len && !res) {
		size_t in_len = (size_t)(l->end - l->p), out_len = len;

		if (!in_len && l->unread) {
			res = refill(l);
			continue;
		}
		res = bs_unzstd_read(l->z, l->p, &in_len, to, &out_len);
		l->p += in_len;
		/* Neither taken nor given: the frame has ended. */
		if (!res && !in_len && !out_len)
			res = BS_ERR_CORRUPT;
		to += out_len;
		len -= out_len;
	}
	return res;
}
