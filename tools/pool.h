/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - an ordered pipeline of threads
 *
 *	claim, submit ──► workers, any order ──► sinks, each in order
 *
 * One producer fills items in order; N workers process them in any order; each
 * sink is a thread of its own that sees every item in the order of submission.
 * The items are a ring, so that what is in flight is bounded by its length.
 */

#ifndef BST_POOL_H
#define BST_POOL_H

#include <stddef.h>

#define BST_POOL_SINKS_MAX 2

/* 'run' returns 0, or another value that stops the pipeline. */
struct bst_pool_sink {
	int (*run)(void *ctx, void *item);
	int is_early; /* sees an item once submitted, worked or not */
};

struct bst_pool_conf {
	unsigned n_threads;
	unsigned n_items;
	unsigned n_sinks;
	void *items; /* [n_items] of item_len bytes; borrowed */
	size_t item_len;
	int (*work)(void *ctx, unsigned worker, void *item);
	struct bst_pool_sink sink[BST_POOL_SINKS_MAX];
	void *ctx;
};

/* Work outside the order, done before any waiting item.  The caller owns it
 * and keeps it until it was waited for or the pool is freed. */
struct bst_task {
	int (*run)(void *ctx, unsigned worker, struct bst_task *task);
	struct bst_task *next;
	int is_done; /* protected by the pool's lock */
};

struct bst_pool;

/* Start the threads: 0, or -errno and *ret is NULL. */
int bst_pool_new(struct bst_pool **ret, const struct bst_pool_conf *conf);

/* The next free item, or NULL once the pipeline has failed. */
void *bst_pool_claim(struct bst_pool *pool);

/* Hand over the item that was claimed last. */
void bst_pool_submit(struct bst_pool *pool);

void bst_pool_task(struct bst_pool *pool, struct bst_task *task);

/* Wait until 'task' is done: 0, or what the pipeline failed with. */
int bst_pool_wait(struct bst_pool *pool, struct bst_task *task);

/* Stop the pipeline; 'code' counts if nothing failed before. */
void bst_pool_fail(struct bst_pool *pool, int code);

/*
 * Let everything submitted finish, or stop at a failure; end the threads and
 * free the pool.  0, or the first value that stopped it.  NULL is allowed.
 */
int bst_pool_end(struct bst_pool *pool);

#endif /* BST_POOL_H */
