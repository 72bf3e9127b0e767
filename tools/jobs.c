/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.c - several files at a time, within a number of threads
 *
 * A packer's memory grows by 9 MB a thread, with 18 MB for itself: so as many
 * packers as threads, with one thread each, take 27 MB a thread, which is what
 * the commands promise (32).
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "cmd.h"
#include "jobs.h"

/* A file gets one thread for each so many bytes: below, its own work (headers,
 * models, fsync) is what the others wait for. */
#define BYTES_A_THREAD ((uint64_t)64 << 20)

struct runner {
	const struct bst_jobs *jobs;
	pthread_mutex_t lock; /* protects all below, and is_done */
	pthread_cond_t has_ended;
	unsigned n_free; /* threads */
};

struct job {
	struct runner *runner;
	size_t no;
	unsigned n_threads;
	int is_done;
	pthread_t thread;
};

static void *job_main(void *arg)
{
	struct job *job = arg;
	struct runner *r = job->runner;

	r->jobs->run(r->jobs->ctx, job->no, job->n_threads);
	pthread_mutex_lock(&r->lock);
	r->n_free += job->n_threads;
	job->is_done = 1;
	pthread_cond_signal(&r->has_ended);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static unsigned threads_for(const struct bst_jobs *jobs, size_t i)
{
	uint64_t want = 1 + jobs->size(jobs->ctx, i) / BYTES_A_THREAD;

	return want < jobs->n_threads ? (unsigned)want : jobs->n_threads;
}

/* Wait for job 'no', or (SIZE_MAX) for so many free threads, and take them. */
static void wait_for(struct runner *r, const struct job *job,
		     unsigned n_threads)
{
	pthread_mutex_lock(&r->lock);
	while (job ? !job->is_done : r->n_free < n_threads)
		pthread_cond_wait(&r->has_ended, &r->lock);
	r->n_free -= n_threads;
	pthread_mutex_unlock(&r->lock);
}

static void start(struct runner *r, struct job *job, size_t no)
{
	job->runner = r;
	job->no = no;
	job->n_threads = threads_for(r->jobs, no);
	job->is_done = 0;
	wait_for(r, NULL, job->n_threads);
	if (pthread_create(&job->thread, NULL, job_main, job) != 0) {
		/* Then on this one. */
		job->thread = pthread_self();
		job_main(job);
	}
}

static int is_done(struct runner *r, const struct job *job)
{
	int ret;

	pthread_mutex_lock(&r->lock);
	ret = job->is_done;
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static void end(struct runner *r, struct job *job)
{
	wait_for(r, job, 0);
	if (!pthread_equal(job->thread, pthread_self()))
		pthread_join(job->thread, NULL);
	r->jobs->done(r->jobs->ctx, job->no);
}

size_t bst_run_jobs(const struct bst_jobs *jobs)
{
	struct runner r = { .jobs = jobs, .n_free = jobs->n_threads };
	/* A ring: those begun and not yet ended, in order. */
	size_t n_ring = 4 * (size_t)jobs->n_threads, begun = 0, ended = 0;
	struct job *ring = calloc(n_ring, sizeof(*ring));
	struct job one;

	if (!ring) {
		ring = &one;
		n_ring = 1;
	}
	pthread_mutex_init(&r.lock, NULL);
	pthread_cond_init(&r.has_ended, NULL);
	while (begun < jobs->n && !bst_is_interrupted()) {
		if (begun - ended == n_ring)
			end(&r, &ring[ended++ % n_ring]);
		start(&r, &ring[begun % n_ring], begun);
		begun++;
		while (ended < begun && is_done(&r, &ring[ended % n_ring]))
			end(&r, &ring[ended++ % n_ring]);
	}
	while (ended < begun)
		end(&r, &ring[ended++ % n_ring]);
	pthread_cond_destroy(&r.has_ended);
	pthread_mutex_destroy(&r.lock);
	if (ring != &one)
		free(ring);
	return begun;
}
