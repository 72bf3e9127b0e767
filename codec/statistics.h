/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statistics.h - what is known of a blob when its model is chosen
 */

#ifndef BS_STATISTICS_H
#define BS_STATISTICS_H

#include "bigsmall.h"
#include "level.h"

#include <stdbool.h>

/*
 * Floats are sampled in runs of neighbours, one at a pseudo-random place of
 * each of up to 1024 or 4096 equal parts of the blob (level.h): a fixed distance
 * would meet the same columns again and again.  Up to a million elements that is
 * all of them.
 */
#define RUN 1024

/* Larger arrays of scales are not made: 4 and 0.5 MiB. */
#define ROWS_MAX (UINT64_C(1) << 20)
#define COLUMNS_MAX (UINT64_C(1) << 16)

/* Elements whose top 16 bits are kept until they are looked at. */
#define STATS_BLOCK 8192

/* The window is chosen by so many of them. */
#define WINDOW_BLOCK 1024

/* Counts of two tables of an F64's 2^15 finest values, see scale.h. */
#define STATS_SCRATCH (2u << 15)

/* Tables that there are counts for: of two, all values of 16 bits fit. */
#define STATS_TABLES(level) \
	(1u << ((level)->tables_log2 ? (level)->tables_log2 : 1))

/* What columns are clustered by (cluster.h), in counts a column. */
#define CLUSTER_BINS 64

/* Magnitudes are summed up in steps of 1/16 octave. */
#define SCALE_STEPS_LOG2 4

/* Fields of the float types that we split, in the top 16 bits; those of 8 bits
 * have zeros below them. */
struct bs_fields {
	uint8_t exponent; /* bits */
	uint8_t mantissa; /* bits of it within the top 16 */
	uint8_t top; /* bits of the 16 that are there */
};

/*
 * How the classes of rows and columns are made (scale.h).  Zeros: there are
 * none, and one table.
 */
struct bs_split {
	bool rows;
	bool columns;
	uint8_t phases_log2;
	uint8_t kinds_log2; /* of columns; > 0 only with them */
	bool is_clustered; /* the kinds are clusters, not shares of signs */
};

struct bs_stats {
	const struct bs_level_params *level;
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
	uint16_t *sample; /* [level->sample_runs * RUN], owned */
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

	/* Scratch of bs_coder_new(), owned. */
	uint8_t *row_class; /* [n_rows] */
	uint8_t *column_class; /* [width] */
	struct bs_split classes_of; /* whose classes these are */
	uint64_t *order; /* [width], and the next: only to cluster columns */
	int16_t *histograms; /* [width][CLUSTER_BINS] */
	uint32_t *counts; /* [STATS_TABLES(level) << 15] */
	uint64_t *scratch; /* [STATS_SCRATCH] */
	struct bs_zstd *zstd; /* for class arrays; made at first use */
};

/* Where run j begins, of bs_stats.n_runs in all. */
uint64_t bs_stats_run_at(const struct bs_stats *st, unsigned j);

/* Look at what is left of the last block: nothing is added after that. */
void bs_stats_flush(struct bs_stats *st);

#endif /* BS_STATISTICS_H */
