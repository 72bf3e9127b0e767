/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holding.c - weights that stay, and weights that pass by
 *
 * Those that stay are in one mapping, in huge pages where the kernel has them:
 * each token passes over all of it.  A reader thread goes round and round the
 * others.  It may be ahead by one; when a pass is broken off, the next begins
 * at the first layer, and what was read for another is let go.
 */

#include "holding.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define N_PLACES 2

struct place {
	uint8_t *base; /* borrowed from the mapping */
	struct bsx_part part;
};

struct bsx_resident {
	const struct bsx_model *m; /* borrowed */
	bool (*stop)(void);
	uint8_t *base; /* mapped */
	size_t len;
	struct bsx_part outside;
	struct bsx_part *kept; /* [n_kept], owned */
	uint32_t n_kept;

	/* The rest is for layers that are read anew; what follows 'lock' is
	 * guarded by it. */
	struct place places[N_PLACES];
	uint32_t n_passing; /* layers */
	pthread_t reader;
	bool has_reader;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t n_read; /* layers so far: number n is at n % N_PLACES */
	uint64_t n_done; /* given back */
	bool is_over;
	enum bsx_result result; /* of the read that failed */
	struct bsx_error err;
};

/* ---- Planning ------------------------------------------------------------ */

enum bsx_result bsx_resident_plan(const struct bsx_model *m, uint64_t budget,
				  bool streams, struct bsx_holding *ret,
				  struct bsx_error *err)
{
	uint32_t n = m->hp.n_layers, i;
	uint64_t outside, bytes, sum, largest = 0, passing = 0;
	uint64_t *size = malloc(n * sizeof(*size));
	enum bsx_result res;

	if (!size)
		return bsx_no_memory(err);
	res = bsx_part_bytes(m, n, &outside, err);
	for (i = 0, sum = outside; !res && i < n; i++) {
		res = bsx_part_bytes(m, i, &size[i], err);
		sum += size[i];
	}
	if (res)
		goto out;
	*ret = (struct bsx_holding){ .n_kept = n, .bytes = sum };
	if (!streams && sum <= budget)
		goto out;
	/* Let go of layers, the last one first, until the rest has room. */
	for (i = n; i-- > 0;) {
		sum -= size[i];
		passing += size[i];
		if (size[i] > largest)
			largest = size[i];
		bytes = sum + N_PLACES * largest;
		/* So few that they could as well stay. */
		if (n - i <= N_PLACES && n > N_PLACES)
			continue;
		*ret = (struct bsx_holding){ i, bytes, passing };
		if (!streams && bytes <= budget)
			goto out;
	}
	if (ret->bytes > budget)
		res = bsx_fail(err, BSX_ERR_REFUSED,
			       "a layer at a time, the weights alone take %llu "
			       "bytes of memory, and there is room for %llu.",
			       (unsigned long long)ret->bytes,
			       (unsigned long long)budget);
out:
	free(size);
	return res;
}

/* ---- Reading ahead ------------------------------------------------------- */

static void *read_on(void *arg)
{
	struct bsx_resident *r = arg;
	struct bsx_error err;
	enum bsx_result res;
	struct place *place;
	uint32_t layer;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->is_over && r->n_read - r->n_done >= N_PLACES)
			pthread_cond_wait(&r->changed, &r->lock);
		if (r->is_over)
			break;
		place = &r->places[r->n_read % N_PLACES];
		layer = r->n_kept + (uint32_t)(r->n_read % r->n_passing);
		pthread_mutex_unlock(&r->lock);
		res = bsx_part_load(r->m, layer, place->base, true, r->stop,
				    &place->part, &err);
		pthread_mutex_lock(&r->lock);
		if (res) {
			r->result = res;
			r->err = err;
			pthread_cond_broadcast(&r->changed);
			break;
		}
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

enum bsx_result bsx_resident_get(struct bsx_resident *r, uint32_t i,
				 const struct bsx_part **ret,
				 struct bsx_error *err)
{
	enum bsx_result res = BSX_OK;

	if (i < r->n_kept) {
		*ret = &r->kept[i];
		return BSX_OK;
	}
	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (r->n_read == r->n_done && !r->result)
			pthread_cond_wait(&r->changed, &r->lock);
		if (r->n_read == r->n_done) {
			res = r->result;
			*err = r->err;
			break;
		}
		*ret = &r->places[r->n_done % N_PLACES].part;
		if (r->n_kept + r->n_done % r->n_passing == i)
			break;
		r->n_done++;
		pthread_cond_broadcast(&r->changed);
	}
	pthread_mutex_unlock(&r->lock);
	return res;
}

void bsx_resident_put(struct bsx_resident *r, uint32_t i)
{
	if (i < r->n_kept)
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

/* ---- Beginning and end --------------------------------------------------- */

/* Read what stays, and give the places for the rest their memory. */
static enum bsx_result fill(struct bsx_resident *r, struct bsx_error *err)
{
	uint64_t len, left = r->len;
	uint32_t n = r->m->hp.n_layers, i;
	uint8_t *at = r->base;
	enum bsx_result res;

	res = bsx_part_load(r->m, n, at, false, r->stop, &r->outside, err);
	if (!res)
		res = bsx_part_bytes(r->m, n, &len, err);
	for (i = 0; !res && i < r->n_kept; i++) {
		at += len;
		left -= len;
		res = bsx_part_load(r->m, i, at, false, r->stop, &r->kept[i],
				    err);
		if (!res)
			res = bsx_part_bytes(r->m, i, &len, err);
	}
	if (res || !r->n_passing)
		return res;
	at += len;
	left -= len;
	for (i = 0; i < N_PLACES; i++)
		r->places[i].base = at + i * (left / N_PLACES);
	return start_reader(r, err);
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
	r->n_kept = holding->n_kept;
	r->n_passing = m->hp.n_layers - holding->n_kept;
	r->kept = calloc((size_t)r->n_kept + 1, sizeof(*r->kept));
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
