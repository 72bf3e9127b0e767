/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.h - several files at a time, within a number of threads
 */

#ifndef BST_JOBS_H
#define BST_JOBS_H

#include <stddef.h>
#include <stdint.h>

struct bst_jobs {
	size_t n;
	unsigned n_threads;

	/* The bytes that job i has to work through: a big one gets all the
	 * threads, small ones get one each and run side by side. */
	uint64_t (*size)(void *ctx, size_t i);

	/* Do job i with 'n_threads' threads; on a thread of its own. */
	void (*run)(void *ctx, size_t i, unsigned n_threads);

	/* Job i is done: called by the calling thread, in order. */
	void (*done)(void *ctx, size_t i);
	void *ctx;
};

/* Run them all; once interrupted, no more are begun, and 'done' is called for
 * those that were.  Returns how many were begun. */
size_t bst_run_jobs(const struct bst_jobs *jobs);

#endif /* BST_JOBS_H */
