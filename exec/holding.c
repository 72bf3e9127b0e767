/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holding.c - weights that stay, and weights that pass by
 *
 * Those that stay are in one mapping, in huge pages where the kernel has them:
 * each token passes over all of it.  A reader thread goes round and round the
 * others.  It may be ahead by one; when a pass is broken off, the next begins
 * at the first layer, and what was read for another is let go.  Parts are
 * numbered: layers, then blocks of the head.
 */

#include "holding.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN 64
#define N_PLACES 2
#define BLOCK_BYTES ((uint64_t)4 << 20) /* of the head, if layers are smaller */

struct place {
	uint8_t *base; /* borrowed from the mapping */
	uint32_t no; /* of what is there */
	struct bsx_part part;
};

struct bsx_resident {
	const struct bsx_model *m; /* borrowed */
	bool (*stop)(void);
	uint8_t *base; /* mapped */
	size_t len;
	struct bsx_holding how;
	struct bsx_part outside;
	struct bsx_part *kept; /* [n_kept], owned */
	uint32_t n_parts;

	/* The rest is for parts that are read anew; what follows 'lock' is
	 * guarded by it. */
	struct place places[N_PLACES];
	uint32_t first; /* such part */
	pthread_t reader;
	bool has_reader;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool wants_head; /* in this pass */
	uint64_t n_read; /* so far: the n-th is at n % N_PLACES */
	uint64_t n_done; /* given back */
	bool is_over;
	enum bsx_result result; /* of the read that failed */
	struct bsx_error err;
};

/* ---- Planning ------------------------------------------------------------ */

/* What of the tensors outside of layers stays. */
static uint32_t slots_kept(const struct bsx_model *m,
			   const struct bsx_holding *how)
{
	uint32_t ret = BSX_SLOT(BSX_FINAL_NORM) | BSX_SLOT(BSX_FINAL_NORM_BIAS);

	if (how->has_head)
		ret |= BSX_SLOT(m->hp.is_tied ? BSX_EMBED : BSX_HEAD);
	if (how->has_tables)
		ret |= BSX_SLOT(BSX_POSITIONS) |
		       (m->hp.is_tied ? 0 : BSX_SLOT(BSX_EMBED));
	return ret;
}

static uint64_t line_bytes(const struct bsx_matrix *m)
{
	return m->rows ? m->cols * bsx_type_size(m->type) : 0;
}

/* What a plan is made from. */
struct sizes {
	uint64_t *layer; /* [n_layers], owned */
	struct bsx_matrix head; /* without data, as are the next two */
	struct bsx_matrix embed, positions;
};

static enum bsx_result measure(const struct bsx_model *m, struct sizes *ret,
			       struct bsx_error *err)
{
	uint32_t n = m->hp.n_layers, i;
	enum bsx_result res = BSX_OK;

	ret->layer = malloc(n * sizeof(*ret->layer));
	if (!ret->layer)
		return bsx_no_memory(err);
	for (i = 0; !res && i < n; i++)
		res = bsx_part_bytes(m, i, BSX_ALL_SLOTS, &ret->layer[i], err);
	if (!res)
		res = bsx_outside_shape(m, BSX_HEAD, &ret->head, err);
	if (!res)
		res = bsx_outside_shape(m, BSX_EMBED, &ret->embed, err);
	if (!res)
		res = bsx_outside_shape(m, BSX_POSITIONS, &ret->positions, err);
	return res;
}

/* The rest of a plan whose n_kept, has_head and has_tables are chosen. */
static enum bsx_result complete(const struct bsx_model *m,
				const struct sizes *s, struct bsx_holding *how,
				struct bsx_error *err)
{
	uint64_t line = line_bytes(&s->head), kept, largest = 0;
	enum bsx_result res;
	uint32_t i;

	res = bsx_part_bytes(m, m->hp.n_layers, slots_kept(m, how), &kept, err);
	if (res)
		return res;
	how->bytes = kept;
	how->pass_bytes = 0;
	for (i = 0; i < m->hp.n_layers; i++) {
		if (i < how->n_kept) {
			how->bytes += s->layer[i];
			continue;
		}
		how->pass_bytes += s->layer[i];
		if (s->layer[i] > largest)
			largest = s->layer[i];
	}
	if (!how->has_head) {
		if (largest < BLOCK_BYTES)
			largest = BLOCK_BYTES;
		if (largest < line)
			largest = line;
		how->block = (size_t)(largest / line);
		if (how->block > s->head.rows)
			how->block = s->head.rows;
		how->pass_bytes += line * s->head.rows;
	}
	if (!how->has_head || how->n_kept < m->hp.n_layers) {
		how->place = (largest + ALIGN - 1) / ALIGN * ALIGN;
		how->bytes += N_PLACES * how->place;
	}
	if (!how->has_tables)
		how->pass_bytes += line_bytes(&s->positions);
	if (!(m->hp.is_tied ? how->has_head : how->has_tables))
		how->pass_bytes += line_bytes(&s->embed);
	return BSX_OK;
}

enum bsx_result bsx_resident_plan(const struct bsx_model *m, uint64_t budget,
				  bool streams, struct bsx_holding *ret,
				  struct bsx_error *err)
{
	struct bsx_holding way, least = { .bytes = UINT64_MAX };
	uint32_t n = m->hp.n_layers, i, end = streams ? 1 : 4 * (n + 1);
	bool is_found = false;
	struct sizes s = { 0 };
	enum bsx_result res;

	res = measure(m, &s, err);
	/* All ways: layers that stay, with the head and the tables or not. */
	for (i = 0; !res && i < end; i++) {
		way = (struct bsx_holding){
			.n_kept = i / 4,
			.has_head = i & 1,
			.has_tables = i & 2,
		};
		res = complete(m, &s, &way, err);
		if (way.bytes < least.bytes)
			least = way;
		if (res || way.bytes > budget ||
		    (is_found && way.pass_bytes >= ret->pass_bytes))
			continue;
		*ret = way;
		is_found = true;
	}
	if (!res && !is_found)
		res = bsx_fail(err, BSX_ERR_REFUSED,
			       "a layer at a time, the weights alone take %llu "
			       "bytes of memory, and there is room for %llu.",
			       (unsigned long long)least.bytes,
			       (unsigned long long)budget);
	free(s.layer);
	return res;
}

/* ---- Reading ahead ------------------------------------------------------- */

static enum bsx_result read_part(struct bsx_resident *r, struct place *place,
				 struct bsx_error *err)
{
	uint32_t n_layers = r->m->hp.n_layers;
	size_t first, n;

	if (place->no < n_layers)
		return bsx_part_load(r->m, place->no, BSX_ALL_SLOTS,
				     place->base, true, r->stop, &place->part,
				     err);
	first = (place->no - n_layers) * r->how.block;
	n = r->m->hp.n_vocab - first;
	return bsx_rows_load(r->m, BSX_HEAD, first,
			     n < r->how.block ? n : r->how.block, place->base,
			     true, r->stop, &place->part.slot[BSX_HEAD], err);
}

/* The part that is read after part i. */
static uint32_t part_after(const struct bsx_resident *r, uint32_t i)
{
	bool goes_on = i + 1 < r->m->hp.n_layers ||
		       (!r->how.has_head && r->wants_head);

	return goes_on && i + 1 < r->n_parts ? i + 1 : r->first;
}

static void *read_on(void *arg)
{
	struct bsx_resident *r = arg;
	uint32_t next = r->first;
	struct bsx_error err;
	enum bsx_result res;
	struct place *place;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->is_over && r->n_read - r->n_done >= N_PLACES)
			pthread_cond_wait(&r->changed, &r->lock);
		if (r->is_over)
			break;
		place = &r->places[r->n_read % N_PLACES];
		place->no = next;
		pthread_mutex_unlock(&r->lock);
		res = read_part(r, place, &err);
		pthread_mutex_lock(&r->lock);
		if (res) {
			r->result = res;
			r->err = err;
			pthread_cond_broadcast(&r->changed);
			break;
		}
		next = part_after(r, next);
		r->n_read++;
		pthread_cond_broadcast(&r->changed);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* Signals are for the caller's thread. */
static enum bsx_result start_reader(struct bsx_resident *r,
				    struct bsx_error *err)
{
	sigset_t all, old;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	code = pthread_create(&r->reader, NULL, read_on, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (code)
		return bsx_fail(err, BSX_ERR_SYSTEM,
				"a thread cannot be started: %s.",
				strerror(code));
	r->has_reader = true;
	return BSX_OK;
}

/* Whether part i stays. */
static bool is_kept(const struct bsx_resident *r, uint32_t i)
{
	return i < r->m->hp.n_layers ? i < r->how.n_kept : r->how.has_head;
}

void bsx_resident_begin(struct bsx_resident *r, bool with_head)
{
	pthread_mutex_lock(&r->lock);
	r->wants_head = with_head;
	pthread_mutex_unlock(&r->lock);
}

enum bsx_result bsx_resident_get(struct bsx_resident *r, uint32_t i,
				 const struct bsx_part **ret,
				 struct bsx_error *err)
{
	enum bsx_result res = BSX_OK;
	struct place *place;

	if (is_kept(r, i)) {
		*ret = i < r->m->hp.n_layers ? &r->kept[i] : &r->outside;
		return BSX_OK;
	}
	pthread_mutex_lock(&r->lock);
	assert(i < r->m->hp.n_layers || r->wants_head);
	for (;;) {
		while (r->n_read == r->n_done && !r->result)
			pthread_cond_wait(&r->changed, &r->lock);
		if (r->n_read == r->n_done) {
			res = r->result;
			*err = r->err;
			break;
		}
		place = &r->places[r->n_done % N_PLACES];
		*ret = &place->part;
		if (place->no == i)
			break;
		r->n_done++;
		pthread_cond_broadcast(&r->changed);
	}
	pthread_mutex_unlock(&r->lock);
	return res;
}

void bsx_resident_put(struct bsx_resident *r, uint32_t i)
{
	if (is_kept(r, i))
		return;
	pthread_mutex_lock(&r->lock);
	r->n_done++;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

const struct bsx_part *bsx_resident_outside(const struct bsx_resident *r)
{
	return &r->outside;
}

uint32_t bsx_resident_parts(const struct bsx_resident *r)
{
	return r->n_parts;
}

/* ---- Beginning and end --------------------------------------------------- */

/* Read what stays, and give the places for the rest their memory. */
static enum bsx_result fill(struct bsx_resident *r, struct bsx_error *err)
{
	uint32_t n = r->m->hp.n_layers, slots = slots_kept(r->m, &r->how), i;
	uint8_t *at = r->base;
	enum bsx_result res;
	uint64_t len;

	res = bsx_part_load(r->m, n, slots, at, r->how.once, r->stop,
			    &r->outside, err);
	if (!res)
		res = bsx_part_bytes(r->m, n, slots, &len, err);
	for (i = 0; !res && i < r->how.n_kept; i++) {
		at += len;
		res = bsx_part_load(r->m, i, BSX_ALL_SLOTS, at, r->how.once,
				    r->stop, &r->kept[i], err);
		if (!res)
			res = bsx_part_bytes(r->m, i, BSX_ALL_SLOTS, &len, err);
	}
	if (res || r->first == r->n_parts)
		return res;
	at += len;
	for (i = 0; i < N_PLACES; i++)
		r->places[i].base = at + i * r->how.place;
	return start_reader(r, err);
}

/* How many blocks the head has, and where what passes by begins. */
static void number_parts(struct bsx_resident *r)
{
	uint32_t n = r->m->hp.n_layers;
	size_t block = r->how.block;

	r->n_parts = n + 1;
	if (!r->how.has_head)
		r->n_parts =
			n + (uint32_t)((r->m->hp.n_vocab + block - 1) / block);
	r->first = r->how.n_kept;
	if (r->first == n && r->how.has_head)
		r->first = r->n_parts;
}

enum bsx_result bsx_resident_new(struct bsx_resident **ret,
				 const struct bsx_model *m,
				 const struct bsx_holding *holding,
				 bool (*stop)(void), struct bsx_error *err)
{
	struct bsx_resident *r = calloc(1, sizeof(*r));
	enum bsx_result res;
	void *mem;

	if (!r)
		return bsx_no_memory(err);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	r->m = m;
	r->stop = stop;
	r->how = *holding;
	number_parts(r);
	r->kept = calloc((size_t)r->how.n_kept + 1, sizeof(*r->kept));
	mem = mmap(NULL, (size_t)holding->bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem != MAP_FAILED) {
		r->base = mem;
		r->len = (size_t)holding->bytes;
		madvise(mem, r->len, MADV_HUGEPAGE); /* only for speed */
	}
	res = r->kept && r->base ? fill(r, err) : bsx_no_memory(err);
	if (res) {
		bsx_resident_free(r);
		return res;
	}
	*ret = r;
	return BSX_OK;
}

void bsx_resident_free(struct bsx_resident *r)
{
	if (!r)
		return;
	if (r->has_reader) {
		pthread_mutex_lock(&r->lock);
		r->is_over = true;
		pthread_cond_broadcast(&r->changed);
		pthread_mutex_unlock(&r->lock);
		pthread_join(r->reader, NULL);
	}
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	if (r->base)
		munmap(r->base, r->len);
	free(r->kept);
	free(r);
}
