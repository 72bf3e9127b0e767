/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.c - columns of a matrix that have about the same values
 *
 * Lloyd's algorithm, with the bits that a column's values take by a cluster's
 * table as the distance: what is minimised is what is to be stored.  It begins
 * with columns in the order of their scales within an octave or, where signs
 * tell more, in a grid of that and of their shares of negatives.  All of it is
 * integer arithmetic, as in statistics.c.
 */

#include "cluster.h"

#include "bits.h"
#include "freq.h"
#include "kernels.h"
#include "model.h"

#include <stdlib.h>

#define KINDS_MAX TABLES_MAX
#define ROUNDS_MAX 5

/* Half octaves below the mean that have counts of their own; those above fill
 * the rest. */
#define BINS_BELOW 20

/* Values that are counted of a column, and runs of which one is for the mean. */
#define COLUMN_SAMPLE 512
#define MEAN_STEP 8

/* ---- Histograms -------------------------------------------------------------- */

/* Of a run's n values: half octaves, those of the classes taken off. */
static void half_octaves(const struct bs_stats *st,
			 const struct bs_split *split, uint64_t at,
			 const uint16_t *restrict v, int16_t *restrict ret,
			 size_t n)
{
	unsigned drop = st->fields->mantissa - 1u;
	unsigned log2 = bs_split_log2(split);
	uint16_t q[RUN];
	size_t i;

	bs_kernels()->class_sums(q, split->rows ? st->row_class : NULL,
				 st->column_class, st->width, at, n);
	for (i = 0; i < n; i++)
		ret[i] = (int16_t)(((v[i] & 0x7fff) >> drop) -
				   (q[i] >> log2 << 1));
}

static size_t run_len(const struct bs_stats *st, unsigned j)
{
	size_t n = st->n_sample - (size_t)j * RUN;

	return n < RUN ? n : RUN;
}

/* The mean of some runs, without zeros. */
static int mean_half_octave(const struct bs_stats *st,
			    const struct bs_split *split, unsigned n_runs,
			    unsigned step)
{
	int64_t sum = 0, used = 0;
	int16_t y[RUN];
	unsigned j;
	size_t i, n;

	for (j = 0; j < n_runs; j += step) {
		const uint16_t *v = st->sample + (size_t)j * RUN;

		n = run_len(st, j);
		half_octaves(st, split, bs_stats_run_at(st, j), v, y, n);
		for (i = 0; i < n; i++) {
			int is_used = (v[i] & 0x7fff) != 0;

			sum += is_used * y[i];
			used += is_used;
		}
	}
	return used ? (int)(sum / used) : 0;
}

static void count_run(struct bs_stats *st, const struct bs_split *split,
		      unsigned j, int least)
{
	const int16_t most = CLUSTER_BINS / 2 - 1;
	const uint16_t *v = st->sample + (size_t)j * RUN;
	uint64_t at = bs_stats_run_at(st, j), c = at % st->width;
	size_t n = run_len(st, j), i;
	int16_t y[RUN];

	half_octaves(st, split, at, v, y, n);
	for (i = 0; i < n; i++) {
		int16_t bin = (int16_t)(y[i] - least);

		bin = bin > 0 ? bin : 0;
		bin = bin < most ? bin : most;
		y[i] = (int16_t)(bin << 1 | v[i] >> 15);
	}
	for (i = 0; i < n; i++) {
		st->histograms[c * CLUSTER_BINS + (uint16_t)y[i]]++;
		c = c + 1 < st->width ? c + 1 : 0;
	}
}

/* About COLUMN_SAMPLE values of each column; no count gets as far as 2^15. */
static void count_columns(struct bs_stats *st, const struct bs_split *split)
{
	unsigned n_runs = (unsigned)div_up(st->n_sample, RUN), step, j;
	uint64_t want = st->width * COLUMN_SAMPLE / RUN;
	int least;

	step = want < n_runs ? (unsigned)(n_runs / want) : 1;
	least = mean_half_octave(st, split, n_runs, step * MEAN_STEP) -
		BINS_BELOW;
	memset(st->histograms, 0,
	       st->width * CLUSTER_BINS * sizeof(*st->histograms));
	for (j = 0; j < n_runs; j += step)
		count_run(st, split, j, least);
}

/* ---- The first kinds ----------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* A column's scale, less whole octaves, in 2^-20. */
static uint64_t residue(const struct bs_stats *st, uint64_t c)
{
	return ((uint64_t)st->column_sum[c] << (20 - SCALE_STEPS_LOG2)) /
		       bs_column_len(st, c) &
	       0xfffff;
}

/* Sort columns by share of negatives into 1 << signs_log2 groups, and each by
 * scale; equal parts are the kinds. */
static void begin_kinds(const struct bs_stats *st, uint8_t *kind,
			unsigned kinds_log2, unsigned signs_log2)
{
	uint64_t *order = st->order, i, c, width = st->width;

	for (c = 0; c < width; c++)
		order[c] = ((uint64_t)st->column_negative[c] << 16) /
					   bs_column_len(st, c)
				   << 32 |
			   c;
	qsort(order, width, sizeof(*order), compare);
	for (i = 0; i < width; i++) {
		c = order[i] & UINT32_MAX;
		order[i] = (i << signs_log2) / width << 56 |
			   residue(st, c) << 32 | c;
	}
	qsort(order, width, sizeof(*order), compare);
	for (i = 0; i < width; i++)
		kind[order[i] & UINT32_MAX] =
			(uint8_t)((i << kinds_log2) / width);
}

/* ---- Lloyd's algorithm ------------------------------------------------------------ */

struct tables {
	uint32_t counts[KINDS_MAX][CLUSTER_BINS];
	/* Of a value, in 1/256 bits. */
	int16_t costs[KINDS_MAX][CLUSTER_BINS];
};

static void find_costs(const struct bs_stats *st, const uint8_t *kind,
		       unsigned n_kinds, struct tables *t)
{
	uint64_t c;
	unsigned k, b;

	memset(t->counts, 0, n_kinds * sizeof(t->counts[0]));
	for (c = 0; c < st->width; c++) {
		const int16_t *h = st->histograms + c * CLUSTER_BINS;
		uint32_t *counts = t->counts[kind[c]];

		for (b = 0; b < CLUSTER_BINS; b++)
			counts[b] += (uint32_t)h[b];
	}
	for (k = 0; k < n_kinds; k++) {
		uint64_t sum = CLUSTER_BINS;
		uint32_t whole;

		for (b = 0; b < CLUSTER_BINS; b++)
			sum += t->counts[k][b];
		whole = bs_log2(sum);
		for (b = 0; b < CLUSTER_BINS; b++)
			t->costs[k][b] =
				(int16_t)((whole -
					   bs_log2(t->counts[k][b] + 1u)) >>
					  8);
	}
}

/* Of 2^16 values at most, each below 2^13: no sum overflows. */
static int32_t cost_by(const int16_t *restrict h, const int16_t *restrict costs)
{
	int32_t sum = 0;
	unsigned b;

	for (b = 0; b < CLUSTER_BINS; b++)
		sum += h[b] * costs[b];
	return sum;
}

/* Give every column the cheapest kind; whether any changed. */
static bool assign(const struct bs_stats *st, const struct tables *t,
		   unsigned n_kinds, uint8_t *kind)
{
	bool changed = false;
	uint64_t c;
	unsigned k;

	for (c = 0; c < st->width; c++) {
		const int16_t *h = st->histograms + c * CLUSTER_BINS;
		unsigned best = kind[c];
		int32_t least = cost_by(h, t->costs[best]);

		for (k = 0; k < n_kinds; k++) {
			int32_t cost = cost_by(h, t->costs[k]);

			if (cost < least) {
				least = cost;
				best = k;
			}
		}
		changed |= best != kind[c];
		kind[c] = (uint8_t)best;
	}
	return changed;
}

void bs_cluster_columns(struct bs_stats *st, const struct bs_split *split)
{
	unsigned n_kinds = 1u << split->kinds_log2, i;
	uint8_t *kind = (uint8_t *)st->scratch;
	struct tables t;
	uint64_t c;

	count_columns(st, split);
	begin_kinds(st, kind, split->kinds_log2, (split->kinds_log2 + 1u) / 2);
	for (i = 0; i < ROUNDS_MAX; i++) {
		find_costs(st, kind, n_kinds, &t);
		if (!assign(st, &t, n_kinds, kind))
			break;
	}
	for (c = 0; c < st->width; c++)
		st->column_class[c] |= kind[c];
}
