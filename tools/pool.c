/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - an ordered pipeline of threads
 *
 * Item number s lives in place s % n_items of the ring.  The counters only
 * grow: 'submitted' by the producer, 'taken' by the workers, 'pos' by each
 * sink.  A place is free again when its item was worked on and every sink has
 * passed it.  One lock guards all of it: items are megabytes of work.
 */

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "pool.h"

struct sink {
	struct bst_pool *pool;
	uint64_t pos; /* items this sink has passed; protected by pool->lock */
	unsigned no;
};

struct worker {
	struct bst_pool *pool;
	unsigned no;
};

struct bst_pool {
	struct bst_pool_conf conf;
	struct worker *workers; /* [n_threads], owned */
	pthread_t *threads; /* [n_threads + n_sinks], owned */
	unsigned n_started;

	pthread_mutex_t lock; /* protects all below */
	pthread_cond_t has_work; /* for workers */
	pthread_cond_t has_item; /* for sinks */
	pthread_cond_t has_room; /* for the producer */
	uint64_t submitted;
	uint64_t taken;
	struct sink sink[BST_POOL_SINKS_MAX];
	unsigned char *worked; /* [n_items], owned */
	struct bst_task *first;
	struct bst_task **last;
	int is_closed; /* nothing more will be submitted */
	int code; /* not 0: stop */
};

static void *item_at(struct bst_pool *pool, uint64_t seq)
{
	size_t place = (size_t)(seq % pool->conf.n_items);

	return (char *)pool->conf.items + place * pool->conf.item_len;
}

/* Call with the lock held. */
static void fail_locked(struct bst_pool *pool, int code)
{
	if (!code)
		return;
	if (!pool->code)
		pool->code = code;
	pthread_cond_broadcast(&pool->has_work);
	pthread_cond_broadcast(&pool->has_item);
	pthread_cond_broadcast(&pool->has_room);
}

static void run_task(struct bst_pool *pool, unsigned no)
{
	struct bst_task *task = pool->first;
	int code;

	pool->first = task->next;
	if (!pool->first)
		pool->last = &pool->first;
	pthread_mutex_unlock(&pool->lock);
	code = task->run(pool->conf.ctx, no, task);
	pthread_mutex_lock(&pool->lock);
	task->is_done = 1;
	fail_locked(pool, code);
	pthread_cond_broadcast(&pool->has_room);
}

static void run_item(struct bst_pool *pool, unsigned no)
{
	uint64_t seq = pool->taken++;
	int code;

	pthread_mutex_unlock(&pool->lock);
	code = pool->conf.work(pool->conf.ctx, no, item_at(pool, seq));
	pthread_mutex_lock(&pool->lock);
	pool->worked[seq % pool->conf.n_items] = 1;
	fail_locked(pool, code);
	pthread_cond_broadcast(&pool->has_item);
	pthread_cond_signal(&pool->has_room);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct bst_pool *pool = w->pool;

	pthread_mutex_lock(&pool->lock);
	while (!pool->code) {
		if (pool->first)
			run_task(pool, w->no);
		else if (pool->taken < pool->submitted)
			run_item(pool, w->no);
		else if (pool->is_closed)
			break;
		else
			pthread_cond_wait(&pool->has_work, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static int sink_may_run(const struct bst_pool *pool, const struct sink *s)
{
	if (s->pos == pool->submitted)
		return 0;
	return pool->conf.sink[s->no].is_early ||
	       pool->worked[s->pos % pool->conf.n_items];
}

static void *sink_main(void *arg)
{
	struct sink *s = arg;
	struct bst_pool *pool = s->pool;
	int code;

	pthread_mutex_lock(&pool->lock);
	while (!pool->code) {
		if (sink_may_run(pool, s)) {
			void *item = item_at(pool, s->pos);

			pthread_mutex_unlock(&pool->lock);
			code = pool->conf.sink[s->no].run(pool->conf.ctx, item);
			pthread_mutex_lock(&pool->lock);
			s->pos++;
			fail_locked(pool, code);
			pthread_cond_signal(&pool->has_room);
		} else if (pool->is_closed && s->pos == pool->submitted) {
			break;
		} else {
			pthread_cond_wait(&pool->has_item, &pool->lock);
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static int start_threads(struct bst_pool *pool)
{
	unsigned i;
	int err;

	for (i = 0; i < pool->conf.n_sinks; i++) {
		pool->sink[i].pool = pool;
		pool->sink[i].no = i;
		err = pthread_create(&pool->threads[pool->n_started], NULL,
				     sink_main, &pool->sink[i]);
		if (err)
			return -err;
		pool->n_started++;
	}
	for (i = 0; i < pool->conf.n_threads; i++) {
		pool->workers[i].pool = pool;
		pool->workers[i].no = i;
		err = pthread_create(&pool->threads[pool->n_started], NULL,
				     worker_main, &pool->workers[i]);
		if (err)
			return -err;
		pool->n_started++;
	}
	return 0;
}

int bst_pool_new(struct bst_pool **ret, const struct bst_pool_conf *conf)
{
	struct bst_pool *pool;
	int err;

	*ret = NULL;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->conf = *conf;
	pool->last = &pool->first;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->has_work, NULL);
	pthread_cond_init(&pool->has_item, NULL);
	pthread_cond_init(&pool->has_room, NULL);
	pool->workers = calloc(conf->n_threads, sizeof(*pool->workers));
	pool->threads =
		calloc(conf->n_threads + conf->n_sinks, sizeof(*pool->threads));
	pool->worked = calloc(conf->n_items, 1);
	err = -ENOMEM;
	if (pool->workers && pool->threads && pool->worked)
		err = start_threads(pool);
	if (err) {
		bst_pool_fail(pool, err);
		bst_pool_end(pool);
		return err;
	}
	*ret = pool;
	return 0;
}

/* Whether the place that the next item needs is free; lock held. */
static int has_room(const struct bst_pool *pool)
{
	uint64_t old;
	unsigned i;

	if (pool->submitted < pool->conf.n_items)
		return 1;
	old = pool->submitted - pool->conf.n_items;
	for (i = 0; i < pool->conf.n_sinks; i++)
		if (pool->sink[i].pos <= old)
			return 0;
	return pool->worked[old % pool->conf.n_items];
}

void *bst_pool_claim(struct bst_pool *pool)
{
	void *item = NULL;

	pthread_mutex_lock(&pool->lock);
	while (!pool->code && !has_room(pool))
		pthread_cond_wait(&pool->has_room, &pool->lock);
	if (!pool->code)
		item = item_at(pool, pool->submitted);
	pthread_mutex_unlock(&pool->lock);
	return item;
}

void bst_pool_submit(struct bst_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->worked[pool->submitted % pool->conf.n_items] = 0;
	pool->submitted++;
	pthread_cond_signal(&pool->has_work);
	pthread_cond_broadcast(&pool->has_item);
	pthread_mutex_unlock(&pool->lock);
}

void bst_pool_task(struct bst_pool *pool, struct bst_task *task)
{
	pthread_mutex_lock(&pool->lock);
	task->next = NULL;
	task->is_done = 0;
	*pool->last = task;
	pool->last = &task->next;
	pthread_cond_signal(&pool->has_work);
	pthread_mutex_unlock(&pool->lock);
}

int bst_pool_wait(struct bst_pool *pool, struct bst_task *task)
{
	int code;

	pthread_mutex_lock(&pool->lock);
	while (!pool->code && !task->is_done)
		pthread_cond_wait(&pool->has_room, &pool->lock);
	code = pool->code;
	pthread_mutex_unlock(&pool->lock);
	return code;
}

void bst_pool_fail(struct bst_pool *pool, int code)
{
	pthread_mutex_lock(&pool->lock);
	fail_locked(pool, code);
	pthread_mutex_unlock(&pool->lock);
}

int bst_pool_end(struct bst_pool *pool)
{
	unsigned i;
	int code;

	if (!pool)
		return 0;
	pthread_mutex_lock(&pool->lock);
	pool->is_closed = 1;
	pthread_cond_broadcast(&pool->has_work);
	pthread_cond_broadcast(&pool->has_item);
	pthread_mutex_unlock(&pool->lock);
	for (i = 0; i < pool->n_started; i++)
		pthread_join(pool->threads[i], NULL);

	code = pool->code;
	pthread_cond_destroy(&pool->has_room);
	pthread_cond_destroy(&pool->has_item);
	pthread_cond_destroy(&pool->has_work);
	pthread_mutex_destroy(&pool->lock);
	free(pool->worked);
	free(pool->threads);
	free(pool->workers);
	free(pool);
	return code;
}
