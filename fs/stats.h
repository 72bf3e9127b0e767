/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.h - counters, and the list of what is wrong
 */

#ifndef BSFS_STATS_H
#define BSFS_STATS_H

#include <stddef.h>
#include <stdint.h>

struct bsfs_session;

/* Counted with bsfs_count(); the names of their JSON keys are in stats.c. */
enum bsfs_counter {
	BSFS_N_READS, /* requests */
	BSFS_N_READ_BYTES, /* answered */
	BSFS_N_READ_ERRORS,
	BSFS_N_DECODES, /* chunks */
	BSFS_N_DECODED_BYTES,
	BSFS_N_REDECODES, /* of chunks that were decoded before */
	BSFS_N_PREFETCHES, /* of those decoded, ahead of their readers */
	BSFS_N_PUSHED_BYTES, /* given to the kernel before it asked */
	BSFS_N_STORE_READS,
	BSFS_N_STORE_BYTES, /* read from the store for chunks */
	BSFS_N_SHORT_READS, /* answers of the store that had to be continued */
	BSFS_N_HEALED, /* chunks that were right when read again */
	BSFS_N_BAD_CHUNKS, /* and those that were not */
	BSFS_N_STALE, /* opens answered with ESTALE */
	BSFS_N_SUPERBLOCKS, /* read to know a container's name */
	BSFS_N_OPEN_FILES, /* now */
	BSFS_N_OPEN_CONTAINERS, /* now */
	BSFS_N_OPEN_BYTES, /* of their directories, now */
	BSFS_N_RESIDENT_FILES, /* now */
	BSFS_N_RESIDENT_BYTES, /* of memory for them, now */
	BSFS_N_IN_FLIGHT, /* reads of the store, now */
	BSFS_N_IN_FLIGHT_PEAK,
	BSFS_N_COUNTERS
};

struct bsfs_stats;

/* NULL: out of memory. */
struct bsfs_stats *bsfs_stats_new(void);
void bsfs_stats_free(struct bsfs_stats *st);

/* Add to a counter; returns its new value. */
uint64_t bsfs_count(struct bsfs_stats *st, enum bsfs_counter no, int64_t n);

/* Reads of the store begin (n > 0) or end. */
void bsfs_count_in_flight(struct bsfs_stats *st, int n);

/*
 * Note what is wrong with 'path' (in the store): one sentence of what and what
 * to do.  The same about the same path is kept once; 1 if it is new.
 */
int bsfs_problem(struct bsfs_stats *st, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* 'path' is in order, or gone: forget what was said of it and of what lies below
 * it. */
void bsfs_problem_clear(struct bsfs_stats *st, const char *path);

uint64_t bsfs_n_problems(struct bsfs_stats *st);

/* The contents of .bigsmall/stats (JSON) and of .bigsmall/problems ("PATH:
 * SENTENCE", a line each).  The caller frees them; NULL: out of memory. */
char *bsfs_stats_text(const struct bsfs_session *s, size_t *ret_len);
char *bsfs_problems_text(struct bsfs_stats *st, size_t *ret_len);

#endif /* BSFS_STATS_H */
