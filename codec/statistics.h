/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statistics.h - what is known of a blob when its model is chosen
 */

#ifndef BS_STATISTICS_H
#define BS_STATISTICS_H

#include "bigsmall.h"

#include <stdbool.h>

/*
 * Floats are sampled in runs of neighbours, one at a pseudo-random place of
 * each of up to 1024 equal parts of the blob: a fixed distance would meet the
 * same columns again and again.  Up to a million elements that is all of them.
 */
#define RUN 1024
#define RUNS_MAX 1024

/* Larger arrays of scales are not made: 4 and 0.5 MiB. */
#define ROWS_MAX (UINT64_C(1) << 20)
#define COLUMNS_MAX (UINT64_C(1) << 16)

#define STATS_BLOCK 1024

/* Counts of two tables of an F64's 2^15 finest values, see scale.h. */
#define STATS_SCRATCH (2u << 15)

/* Magnitudes are summed up in steps of 1/16 octave. */
#define SCALE_STEPS_LOG2 4

/* Fields of the float types that we split, in the top 16 bits. */
struct bs_fields {
	uint8_t exponent; /* bits */
	uint8_t mantissa; /* bits of it within the top 16 */
};

struct bs_stats {
	unsigned dtype;
	unsigned unit;
	const struct bs_fields *fields; /* NULL: no float type */
	uint64_t n; /* elements of the blob */
	uint64_t seen; /* so far */
	uint64_t any; /* OR of all elements seen */
	uint64_t all; /* AND of them */
	uint64_t count[256]; /* of elements of one byte */
	uint16_t block[STATS_BLOCK]; /* top 16 bits that are not yet looked at */
	size_t n_block;

	/* Top 16 bits of the runs that are kept, in order. */
	uint16_t *sample; /* [RUNS_MAX * RUN], owned */
	size_t n_sample;
	unsigned n_runs; /* to be kept */
	unsigned run; /* the next of them */
	uint64_t run_at; /* where it begins; NONE behind the last */

	/* Sums of log2 of magnitudes, from 'low' on and up to 'high'. */
	uint64_t width; /* elements a row; 0: no rows and columns */
	uint64_t n_rows;
	bool has_rows, has_columns;
	bool has_window; /* low and high are known */
	int16_t low, high;
	uint32_t *row_sum; /* [n_rows], owned; and so on */
	uint32_t *column_sum; /* [width] */
	uint32_t *column_negative; /* [width] */
	size_t rows_allocated, columns_allocated;
	uint8_t *row_class; /* scratch of bs_coder_new(), of the same lengths */
	uint8_t *column_class;
	uint32_t *counts; /* [SPLIT_COUNTS_MAX], the same, owned */
	uint64_t *scratch; /* [STATS_SCRATCH], likewise */
};

/* Where run j begins, of bs_stats.n_runs in all. */
uint64_t bs_stats_run_at(const struct bs_stats *st, unsigned j);

/* Look at what is left of the last block: nothing is added after that. */
void bs_stats_flush(struct bs_stats *st);

#endif /* BS_STATISTICS_H */
