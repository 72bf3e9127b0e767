/* SPDX-License-Identifier: Apache-2.0 */
/*
 * team.c - a hundred small things a token, each over all threads
 *
 * Between two things there are microseconds, so a thread looks for the next one
 * for a while before it goes to sleep; on a machine with other work it soon
 * sleeps.  Items are taken one by one, since threads are not equally fast.
 */

#include "team.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LOOKS 1500 /* about 30 microseconds */

struct member {
	struct bsx_team *team; /* borrowed */
	pthread_t thread;
	unsigned who;
};

struct bsx_team {
	unsigned n_threads;
	unsigned n_started; /* besides the caller's own */
	struct member *members; /* [n_threads], owned; 0 is the caller */

	/* Written by the caller before 'round' rises. */
	void (*run)(void *ctx, size_t item, unsigned who);
	void *ctx;
	size_t n;
	int is_over;

	atomic_size_t next; /* item */
	atomic_uint round;
	atomic_uint n_at_work; /* members besides the caller */

	pthread_mutex_t lock; /* for sleeping only */
	pthread_cond_t begun;
	pthread_cond_t done;
};

static void relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

static void work(struct bsx_team *t, unsigned who)
{
	size_t item;

	while ((item = atomic_fetch_add(&t->next, 1)) < t->n)
		t->run(t->ctx, item, who);
}

/* Wait until 'round' is another than 'seen'. */
static void wait_for_round(struct bsx_team *t, unsigned seen)
{
	unsigned i;

	for (i = 0; i < LOOKS; i++) {
		if (atomic_load(&t->round) != seen)
			return;
		relax();
	}
	pthread_mutex_lock(&t->lock);
	while (atomic_load(&t->round) == seen)
		pthread_cond_wait(&t->begun, &t->lock);
	pthread_mutex_unlock(&t->lock);
}

static void *member_main(void *arg)
{
	struct member *m = arg;
	struct bsx_team *t = m->team;
	unsigned round = 0;

	for (;;) {
		wait_for_round(t, round);
		round++;
		if (t->is_over)
			return NULL;
		work(t, m->who);
		if (atomic_fetch_sub(&t->n_at_work, 1) == 1) {
			pthread_mutex_lock(&t->lock);
			pthread_cond_signal(&t->done);
			pthread_mutex_unlock(&t->lock);
		}
	}
}

static void begin_round(struct bsx_team *t)
{
	pthread_mutex_lock(&t->lock);
	atomic_fetch_add(&t->round, 1);
	pthread_cond_broadcast(&t->begun);
	pthread_mutex_unlock(&t->lock);
}

void bsx_team_run(struct bsx_team *t, size_t n,
		  void (*run)(void *ctx, size_t item, unsigned who), void *ctx)
{
	unsigned i;

	t->run = run;
	t->ctx = ctx;
	t->n = n;
	atomic_store(&t->next, 0);
	if (!t->n_started || n < 2) {
		work(t, 0);
		return;
	}
	atomic_store(&t->n_at_work, t->n_started);
	begin_round(t);
	work(t, 0);
	for (i = 0; i < LOOKS && atomic_load(&t->n_at_work); i++)
		relax();
	pthread_mutex_lock(&t->lock);
	while (atomic_load(&t->n_at_work))
		pthread_cond_wait(&t->done, &t->lock);
	pthread_mutex_unlock(&t->lock);
}

/* Signals are for the caller's thread. */
static int start(struct member *m)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&m->thread, NULL, member_main, m);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

enum bsx_result bsx_team_new(struct bsx_team **ret, unsigned n_threads,
			     struct bsx_error *err)
{
	struct bsx_team *t = calloc(1, sizeof(*t));

	if (!t)
		return bsx_no_memory(err);
	t->n_threads = n_threads;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->begun, NULL);
	pthread_cond_init(&t->done, NULL);
	t->members = calloc(n_threads, sizeof(*t->members));
	if (!t->members) {
		bsx_team_free(t);
		return bsx_no_memory(err);
	}
	while (t->n_started + 1 < n_threads) {
		struct member *m = &t->members[t->n_started + 1];

		m->team = t;
		m->who = t->n_started + 1;
		if (start(m) != 0) {
			bsx_team_free(t);
			return bsx_fail(err, BSX_ERR_SYSTEM,
					"%u threads cannot be started.",
					n_threads);
		}
		t->n_started++;
	}
	*ret = t;
	return BSX_OK;
}

void bsx_team_free(struct bsx_team *t)
{
	unsigned i;

	if (!t)
		return;
	t->is_over = 1;
	begin_round(t);
	for (i = 1; i <= t->n_started; i++)
		pthread_join(t->members[i].thread, NULL);
	pthread_cond_destroy(&t->done);
	pthread_cond_destroy(&t->begun);
	pthread_mutex_destroy(&t->lock);
	free(t->members);
	free(t);
}

unsigned bsx_team_size(const struct bsx_team *t)
{
	return t->n_threads;
}
