/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale.c - contexts from the scales of rows and columns
 *
 * Weights of a row, or a column, are noise of some scale.  Quarters of an
 * octave are fine enough: halves cost 0.1 % of bf16 more, eighths gain 0.03 %
 * and take twice the tables.  Where columns have a mean, as in embeddings, the
 * share of negative ones tells much of the sign, and with it of the exponent;
 * then tables serve better that way than for phases.  With tables enough, clusters
 * of columns (cluster.c) take up to 0.7 % less than shares of signs.
 *
 * Splits are compared by entropies of a part of the sample, each corrected by
 * half a nat for every value in use (Miller and Madow): a split into more
 * tables always looks better on what it was made from.
 */

#include "scale.h"

#include "bits.h"
#include "cluster.h"
#include "freq.h"
#include "kernels.h"

/* Splits are compared by a sixteenth of the sample, but not by less. */
#define PROBE_RUNS_MIN 16

/* Of fewer elements the classes are not worth looking for. */
#define SPLIT_MIN 4096

/* Of fewer, no more tables than by default; narrower ones are not clustered. */
#define MANY_TABLES_MIN (1 << 17)
#define CLUSTER_WIDTH_MIN 64

/* In 1/65536 bits: what a value in use adds to an entropy taken from counts,
 * and about what it takes in a table. */
#define BIAS_COST 47274
#define ENTRY_COST (UINT64_C(7) << 16)

/* ---- Classes ---------------------------------------------------------------- */

/* sum / n, in steps of 1/16 octave, as the nearest class. */
static uint32_t nearest(uint64_t sum, uint64_t n, unsigned phases_log2)
{
	uint64_t step = n << SCALE_STEPS_LOG2;

	return (uint32_t)div_53((sum << phases_log2) + step / 2, step);
}

/* The class that counts as 0, when 'least' to 'most' occur: of more than fit,
 * the least ones (zeros, mostly) become one. */
static uint32_t lowest(uint32_t least, uint32_t most, unsigned low_bits)
{
	uint32_t room = 255u >> low_bits;

	return most > least + room ? most - room : least;
}

static uint8_t class_above(uint32_t class, uint32_t base, unsigned low_bits)
{
	return class > base ? (uint8_t)((class - base) << low_bits) : 0;
}

static uint32_t row_scale(const struct bs_stats *st, uint64_t r,
			  unsigned phases_log2)
{
	uint64_t last = st->n - (st->n_rows - 1) * st->width;

	return nearest(st->row_sum[r], r + 1 < st->n_rows ? st->width : last,
		       phases_log2);
}

static void row_classes(struct bs_stats *st, const struct bs_split *split)
{
	uint32_t least = UINT32_MAX, most = 0, class;
	uint64_t r;

	for (r = 0; r < st->n_rows; r++) {
		class = row_scale(st, r, split->phases_log2);
		least = class < least ? class : least;
		most = class > most ? class : most;
	}
	least = lowest(least, most, split->kinds_log2);
	for (r = 0; r < st->n_rows; r++)
		st->row_class[r] =
			class_above(row_scale(st, r, split->phases_log2), least,
				    split->kinds_log2);
}

uint64_t bs_column_len(const struct bs_stats *st, uint64_t c)
{
	return st->seen / st->width + (c < st->seen % st->width);
}

/* Clusters want whole octaves; of shares of negatives q has the phases. */
static void column_classes(struct bs_stats *st, const struct bs_split *split)
{
	unsigned phases = split->is_clustered ? 0 : split->phases_log2;
	unsigned kinds = 1u << split->kinds_log2, low_bits = split->kinds_log2;
	uint32_t least = UINT32_MAX, most = 0, class;
	uint64_t c, n;

	if (split->is_clustered)
		low_bits += split->phases_log2;
	for (c = 0; c < st->width; c++) {
		class = nearest(st->column_sum[c], bs_column_len(st, c),
				phases);
		least = class < least ? class : least;
		most = class > most ? class : most;
	}
	least = lowest(least, most, low_bits);
	for (c = 0; c < st->width; c++) {
		n = bs_column_len(st, c);
		class = nearest(st->column_sum[c], n, phases);
		st->column_class[c] = class_above(class, least, low_bits);
		if (split->is_clustered)
			continue;
		n = (uint64_t)st->column_negative[c] * kinds / n;
		st->column_class[c] |= (uint8_t)(n < kinds ? n : kinds - 1);
	}
}

void bs_split_classes(struct bs_stats *st, const struct bs_split *split)
{
	if (!memcmp(&st->classes_of, split, sizeof(*split)) ||
	    (!split->rows && !split->columns))
		return;
	if (split->rows)
		row_classes(st, split);
	if (split->columns)
		column_classes(st, split);
	if (split->is_clustered)
		bs_cluster_columns(st, split);
	st->classes_of = *split;
}

/* ---- Counts ------------------------------------------------------------------- */

size_t bs_split_count(struct bs_stats *st, const struct bs_split *split,
		      unsigned n_runs)
{
	unsigned kept = (unsigned)div_up(st->n_sample, RUN), i;
	bool is_split = split->rows || split->columns;
	struct bs_tally_counts t = {
		.width = is_split ? st->width : UINT64_MAX,
		.row_class = split->rows ? st->row_class : NULL,
		.column_class = split->columns ? st->column_class : NULL,
		.table_log2 = (uint8_t)bs_split_log2(split),
		.drop = (uint8_t)(st->fields->mantissa - TOP_MAX),
		.shift = TOP_MAX + 1,
		.value_bits = (uint8_t)FINEST_WIDTH(st->fields),
		.counts = st->counts,
	};
	size_t total = 0;

	if (n_runs > kept)
		n_runs = kept;
	memset(st->counts, 0,
	       sizeof(*st->counts)
		       << bs_split_log2(split) << FINEST_WIDTH(st->fields));
	for (i = 0; i < n_runs; i++) {
		/* Not at equal distances: see statistics.h. */
		unsigned from = kept * i / n_runs;
		unsigned to = kept * (i + 1) / n_runs;
		unsigned run = from + (i * 7 + 3) % (to - from);
		size_t at = (size_t)run * RUN, n = st->n_sample - at;

		n = n < RUN ? n : RUN;
		bs_kernels()->tally_counts(&t, bs_stats_run_at(st, run),
					   st->sample + at, n);
		total += n;
	}
	return total;
}

/* ---- Costs, in 1/65536 bits --------------------------------------------------- */

/* Of 'n' counts, and of how many are in use. */
static uint64_t entropy(const uint32_t *counts, size_t n, unsigned *used)
{
	uint64_t total = 0, cost = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!counts[i])
			continue;
		total += counts[i];
		cost += counts[i] * (uint64_t)bs_log2(counts[i]);
		(*used)++;
	}
	return total * bs_log2(total) - cost;
}

static uint64_t class_cost(const uint8_t *class, uint64_t n)
{
	uint32_t counts[256] = { 0 };
	unsigned used = 0;
	uint64_t i;

	for (i = 0; i < n; i++)
		counts[class[i]]++;
	return entropy(counts, 256, &used);
}

uint64_t bs_split_side_cost(const struct bs_stats *st,
			    const struct bs_split *split)
{
	uint64_t cost = 0;

	if (split->rows)
		cost += class_cost(st->row_class, st->n_rows);
	if (split->columns)
		cost += class_cost(st->column_class, st->width);
	return cost;
}

/* What the n elements that were counted cost by exponent, two more bits and the
 * sign, which is coded where tables tell signs apart; with their share of what
 * tables and classes cost. */
static uint64_t probe_cost(const struct bs_stats *st,
			   const struct bs_split *split, size_t n)
{
	unsigned width = FINEST_WIDTH(st->fields), used = 0, t;
	size_t n_values = (size_t)1 << (width - 1), i;
	uint64_t cost = 0, side;

	for (t = 0; t < 1u << bs_split_log2(split); t++) {
		uint32_t *c = st->counts + ((size_t)t << width);

		if (split->kinds_log2) {
			for (i = 0; i < n_values / 2; i++) {
				c[2 * i] = c[4 * i] + c[4 * i + 2];
				c[2 * i + 1] = c[4 * i + 1] + c[4 * i + 3];
			}
			cost += entropy(c, n_values, &used);
			continue;
		}
		for (i = 0; i < n_values / 2; i++)
			c[i] = c[4 * i] + c[4 * i + 1] + c[4 * i + 2] +
			       c[4 * i + 3];
		cost += entropy(c, n_values / 2, &used);
	}
	if (!split->kinds_log2)
		cost += (uint64_t)n << 16;
	if (n < st->n)
		cost += (uint64_t)used * BIAS_COST;
	side = used * ENTRY_COST + bs_split_side_cost(st, split);
	return cost + side / st->n * n + side % st->n * n / st->n;
}

struct search {
	struct bs_stats *st; /* borrowed */
	unsigned n_runs;
	struct bs_split best;
	uint64_t cost;
	uint64_t plain; /* of an element without classes */
};

static void try_split(struct search *s, struct bs_split split)
{
	struct bs_stats *st = s->st;
	uint64_t cost;
	size_t n;

	if (bs_split_log2(&split) > st->level->tables_log2)
		return;
	bs_split_classes(st, &split);
	n = bs_split_count(st, &split, s->n_runs);
	cost = probe_cost(st, &split, n);
	/* A cluster was chosen by the sample that it is now judged by. */
	if (split.is_clustered)
		cost += (uint64_t)(split.kinds_log2 << 16) * st->width * n /
			st->n_sample;
	if (split.rows || split.columns)
		cost += (n << 16) * st->fields->top / st->level->split_gain;
	else
		s->plain = cost / n;
	if (cost < s->cost) {
		s->cost = cost;
		s->best = split;
	}
}

/* Whether the columns' shares of negatives could save 0.01 bits a sign, more
 * than chance gives. */
static bool signs_differ(const struct bs_stats *st)
{
	uint64_t cost = 0, negative = 0, c;
	uint32_t of[2];
	unsigned used = 0;

	for (c = 0; c < st->width; c++) {
		of[0] = st->column_negative[c];
		of[1] = (uint32_t)bs_column_len(st, c) - of[0];
		negative += of[0];
		cost += entropy(of, 2, &used) + BIAS_COST;
	}
	if (st->seen > UINT32_MAX)
		return cost < (st->seen << 16) / 100 * 99;
	of[0] = (uint32_t)negative;
	of[1] = (uint32_t)(st->seen - negative);
	return cost + (st->seen << 16) / 100 < entropy(of, 2, &used);
}

/* More tables, for what they gain. */
static void try_many(struct search *s, bool rows, bool rows_help)
{
	const struct bs_stats *st = s->st;
	unsigned log2 = st->level->tables_log2, phases;

	try_split(s, (struct bs_split){ rows, st->has_columns, 3, 0, 0 });
	if (!st->has_columns)
		return;
	if (signs_differ(st))
		try_split(s, (struct bs_split){ rows, 1, 2, log2 - 2, 0 });
	if (!st->level->clusters || st->width < CLUSTER_WIDTH_MIN)
		return;
	for (phases = 0; phases <= 2; phases += 2) {
		if (!phases || rows_help)
			try_split(s, (struct bs_split){ phases != 0, 1, phases,
							log2 - phases, true });
	}
}

uint64_t bs_split_choose(struct bs_stats *st, struct bs_split *ret)
{
	/* Phases and signs of eight tables. */
	static const uint8_t log2s[][2] = { { 2, 1 }, { 1, 2 }, { 0, 3 } };
	struct search s = { .st = st, .cost = UINT64_MAX };
	/* A row that was not seen has no scale. */
	bool rows = st->has_rows && st->seen == st->n, all_rows = rows;
	unsigned i;

	memset(ret, 0, sizeof(*ret));
	if ((!st->has_rows && !st->has_columns) || !st->has_window ||
	    st->seen < SPLIT_MIN || st->seen < st->width)
		return 0;
	s.n_runs = (unsigned)(st->n_sample / RUN / 16);
	if (s.n_runs < PROBE_RUNS_MIN)
		s.n_runs = PROBE_RUNS_MIN;
	if (s.n_runs > st->level->probe_runs)
		s.n_runs = st->level->probe_runs;
	try_split(&s, (struct bs_split){ 0 });
	if (rows)
		try_split(&s, (struct bs_split){ 1, 0, 2, 0, 0 });
	if (st->has_columns)
		try_split(&s, (struct bs_split){ 0, 1, 2, 0, 0 });
	if (rows && st->has_columns)
		try_split(&s, (struct bs_split){ 1, 1, 2, 0, 0 });
	rows = s.best.rows;
	for (i = 0; i < 3 && st->has_columns && signs_differ(st); i++)
		try_split(&s, (struct bs_split){ rows, 1, log2s[i][0],
						 log2s[i][1], 0 });
	if (st->level->tables_log2 > 3 && st->n >= MANY_TABLES_MIN)
		try_many(&s, all_rows, rows);
	*ret = s.best;
	return s.plain;
}
