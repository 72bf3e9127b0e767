/* SPDX-License-Identifier: Apache-2.0 */
/*
 * together.c - some tensors in one go, a piece of each in turns
 *
 * What of a tensor others wait for is one chain of operations that wait for each
 * other, and so is its MD5: a thread that has one tensor is idle for most of the
 * time.  So a few are decoded side by side: the symbols that are to come first
 * of all of them, then each one's piece, then all MD5s.
 */

#include "tensor.h"

#include "../bits.h"
#include "../md5.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A piece: what stays near the CPU, of all of them. */
#define PIECE ((size_t)32 << 10)

/* Windows of zstd may have so much of a thread's memory; a tensor with more is
 * decoded alone. */
#define WINDOWS_MAX (UINT64_C(48) << 20)

#define TOGETHER BS_UPSTREAM_TOGETHER

struct one {
	struct bs_up_decode *d; /* borrowed */
	struct bs_up_plan plan; /* owned, as is all below */
	struct bs_up_run *run;
	uint8_t *buf; /* [UP_CHUNK] */
	struct bs_md5 md5;
	uint64_t off; /* what is decoded */
	size_t len; /* of the piece in 'buf' */
};

static void close_one(struct one *o)
{
	bs_up_run_free(o->run);
	bs_up_plan_fini(&o->plan);
	free(o->buf);
	o->run = NULL;
	o->buf = NULL;
}

/* In lanes of tensors with residuals elements are sorted by something else. */
static int has_even_lanes(const struct one *o)
{
	return !o->plan.second.len;
}

static void begin(struct one *o, const struct bs_source *src, int is_alone)
{
	enum bs_result *res = &o->d->res;

	*res = bs_up_plan_run(&o->run, &o->plan, o->d->t, src);
	if (!*res && !is_alone && has_even_lanes(o))
		*res = bs_up_run_look_ahead(o->run,
					    PIECE / o->plan.node->width);
	o->buf = malloc(UP_CHUNK);
	if (!*res && !o->buf)
		*res = BS_ERR_NOMEM;
	bs_md5_init(&o->md5);
	o->off = 0;
	if (*res)
		close_one(o);
}

/* Decode the symbols of all pieces that are waited for, of one coder. */
static void look_ahead(struct one *const *o, unsigned n, enum bs_up_kind kind)
{
	struct bs_up_job jobs[2 * TOGETHER]; /* of two halves at most */
	unsigned n_jobs = 0, i, k;

	for (i = 0; i < n; i++) {
		size_t len = o[i]->len / o[i]->plan.node->width;

		for (k = 0; k < o[i]->run->n_lanes; k++) {
			struct bs_up_lane *l = &o[i]->run->lanes[k];

			if (!l->ahead || l->s->kind != kind)
				continue;
			assert(n_jobs < sizeof(jobs) / sizeof(*jobs));
			l->n_taken = 0;
			l->n_ahead = len * l->s->unit;
			jobs[n_jobs++] =
				(struct bs_up_job){ l, l->ahead, l->n_ahead };
		}
	}
	/* Whoever takes the symbols sees what became of the lane. */
	(void)bs_up_symbols(jobs, n_jobs);
}

/* The MD5s of the pieces that are there, 'n' of them. */
static void sum(struct one *const *o, unsigned n)
{
	struct bs_md5 *m[TOGETHER];
	const uint8_t *data[TOGETHER];
	unsigned n_same = 0, i;

	for (i = 0; i < n; i++) {
		if (o[i]->len != PIECE) {
			bs_md5_update(&o[i]->md5, o[i]->buf, o[i]->len);
			continue;
		}
		m[n_same] = &o[i]->md5;
		data[n_same++] = o[i]->buf;
	}
	bs_md5_update_many(m, data, n_same, PIECE);
}

/* Give out a piece; at the end, compare. */
static void give(struct one *o)
{
	struct bs_up_decode *d = o->d;
	uint8_t digest[BS_MD5_LEN];

	if (d->take && d->take(d->ctx, o->off, o->buf, o->len))
		d->res = BS_ERR_IO;
	o->off += o->len;
	if (d->res || o->off < d->t->raw_len)
		return;
	bs_md5_final(&o->md5, digest);
	if (memcmp(digest, d->t->md5, sizeof(digest)) != 0)
		d->res = BS_ERR_CHECKSUM;
}

/* A piece of each: those that have more to come are moved to the front, and
 * their number is returned. */
static unsigned step(struct one **o, unsigned n)
{
	/* Alone, a longer piece: within it the symbols that are waited for go
	 * along with the others. */
	size_t len = n > 1 ? PIECE : UP_CHUNK;
	unsigned i, n_left = 0;

	for (i = 0; i < n; i++) {
		uint64_t left = o[i]->d->t->raw_len - o[i]->off;

		o[i]->len = left < len ? (size_t)left : len;
	}
	if (n > 1) {
		look_ahead(o, n, UP_ANS);
		look_ahead(o, n, UP_RANGE);
	}
	for (i = 0; i < n; i++) {
		const struct bs_up_node *node = o[i]->plan.node;

		o[i]->d->res = node->run(node, o[i]->run,
					 o[i]->len / node->width, o[i]->buf);
		if (o[i]->d->res)
			close_one(o[i]);
		else
			o[n_left++] = o[i];
	}
	n = n_left;
	sum(o, n);
	for (i = 0, n_left = 0; i < n; i++) {
		give(o[i]);
		if (o[i]->d->res || o[i]->off == o[i]->d->t->raw_len)
			close_one(o[i]);
		else
			o[n_left++] = o[i];
	}
	return n_left;
}

/* All of 'n', whose plans are open. */
static void decode(struct one *all, unsigned n, const struct bs_source *src)
{
	struct one *o[TOGETHER];
	unsigned n_left = 0, i;

	for (i = 0; i < n; i++) {
		begin(&all[i], src, n == 1);
		if (!all[i].d->res)
			o[n_left++] = &all[i];
	}
	while (n_left)
		n_left = step(o, n_left);
}

void bs_up_tensors_decode(struct bs_up_decode *d, unsigned n,
			  const struct bs_source *src)
{
	struct one all[TOGETHER];
	uint64_t window = 0;
	unsigned n_open = 0, i;

	memset(all, 0, sizeof(all));
	for (i = 0; i < n; i++) {
		struct one *o = &all[n_open];

		if (d[i].t->fast.n) {
			d[i].res = bs_up_tensor_decode_packed(
				d[i].t, src, d[i].take, d[i].ctx);
			continue;
		}
		o->d = &d[i];
		d[i].res = bs_up_plan_open(&o->plan, d[i].t, src);
		if (d[i].res) {
			close_one(o);
			continue;
		}
		window += o->plan.window;
		if (n_open && window > WINDOWS_MAX) {
			struct one last = *o;

			decode(all, n_open, src);
			window = last.plan.window;
			all[0] = last;
			n_open = 0;
		}
		if (++n_open < TOGETHER)
			continue;
		decode(all, n_open, src);
		window = n_open = 0;
	}
	decode(all, n_open, src);
}
