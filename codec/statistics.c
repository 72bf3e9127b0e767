/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statistics.c - one pass over a blob: a sample, and the scales of rows and columns
 *
 * The scale of a row is the mean of log2 of its magnitudes.  Exponent and
 * mantissa, read as one number, are log2 closely enough (off by 0.09 at most),
 * and are added up in steps of 1/16 octave.  Values are first clamped to 16
 * octaves around the first ones that are not zero: a zero would otherwise count
 * as 2^-127, and a single one shift a row by some steps.  All of it is integer
 * arithmetic: a container does not depend on the machine that made it.
 */

#include "statistics.h"

#include "bits.h"
#include "freq.h"
#include "kernels.h"
#include "plain.h"
#include "scale.h"

#include <stdlib.h>

#define NONE UINT64_MAX

static const struct bs_fields *fields_of(unsigned dtype)
{
	static const struct bs_fields bf16 = { 8, 7, 16 };
	static const struct bs_fields f16 = { 5, 10, 16 };
	static const struct bs_fields f64 = { 11, 4, 16 };
	static const struct bs_fields e4m3 = { 4, 11, 8 };
	static const struct bs_fields e5m2 = { 5, 10, 8 };

	switch (dtype) {
	case BS_DTYPE_BF16:
	case BS_DTYPE_F32:
	case BS_DTYPE_C64:
		return &bf16;
	case BS_DTYPE_F16:
		return &f16;
	case BS_DTYPE_F64:
		return &f64;
	case BS_DTYPE_F8_E4M3:
		return &e4m3;
	case BS_DTYPE_F8_E5M2:
		return &e5m2;
	default:
		return NULL;
	}
}

int bs_stats_takes_sample(unsigned dtype)
{
	return !fields_of(dtype);
}

/* ---- Beginning ------------------------------------------------------------ */

enum bs_result bs_stats_new(struct bs_stats **ret, enum bs_level level)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return BS_ERR_NOMEM;
	(*ret)->level = bs_level_params(level);
	return BS_OK;
}

void bs_stats_free(struct bs_stats *st)
{
	if (!st)
		return;
	free(st->sample);
	free(st->row_sum);
	free(st->row_class);
	free(st->column_sum);
	free(st->column_negative);
	free(st->column_class);
	free(st->order);
	free(st->histograms);
	free(st->counts);
	free(st->scratch);
	bs_zstd_free(st->zstd);
	free(st);
}

uint64_t bs_stats_run_at(const struct bs_stats *st, unsigned j)
{
	uint64_t n = div_up(st->n, RUN);
	uint64_t from = n * j / st->n_runs, to = n * (j + 1) / st->n_runs;
	uint32_t mixed = (j + 1) * UINT32_C(0x9e3779b1);

	mixed ^= mixed >> 15;
	return (from + mixed % (to - from)) * RUN;
}

static enum bs_result get_rows(struct bs_stats *st)
{
	size_t n = st->n_rows;

	if (n > st->rows_allocated) {
		free(st->row_sum);
		free(st->row_class);
		st->rows_allocated = 0;
		st->row_sum = malloc(n * sizeof(*st->row_sum));
		st->row_class = malloc(n);
		if (!st->row_sum || !st->row_class)
			return BS_ERR_NOMEM;
		st->rows_allocated = n;
	}
	memset(st->row_sum, 0, n * sizeof(*st->row_sum));
	st->has_rows = true;
	return BS_OK;
}

static enum bs_result get_columns(struct bs_stats *st)
{
	size_t n = st->width;

	if (n > st->columns_allocated) {
		free(st->column_sum);
		free(st->column_negative);
		free(st->column_class);
		free(st->order);
		free(st->histograms);
		st->order = NULL;
		st->histograms = NULL;
		st->columns_allocated = 0;
		st->column_sum = malloc(n * sizeof(*st->column_sum));
		st->column_negative = malloc(n * sizeof(*st->column_negative));
		st->column_class = malloc(n);
		if (!st->column_sum || !st->column_negative ||
		    !st->column_class)
			return BS_ERR_NOMEM;
		if (st->level->clusters) {
			st->order = malloc(n * sizeof(*st->order));
			st->histograms = malloc(n * CLUSTER_BINS *
						sizeof(*st->histograms));
			if (!st->order || !st->histograms)
				return BS_ERR_NOMEM;
		}
		st->columns_allocated = n;
	}
	memset(st->column_sum, 0, n * sizeof(*st->column_sum));
	memset(st->column_negative, 0, n * sizeof(*st->column_negative));
	st->has_columns = true;
	return BS_OK;
}

static enum bs_result get_memory(struct bs_stats *st)
{
	size_t n_sample = (size_t)st->level->sample_runs * RUN;
	size_t n_counts = (size_t)STATS_TABLES(st->level) << 15;
	enum bs_result res = BS_OK;

	if (!st->scratch) {
		free(st->sample);
		free(st->counts);
		st->sample = malloc(n_sample * sizeof(*st->sample));
		st->counts = malloc(n_counts * sizeof(*st->counts));
		st->scratch = malloc(STATS_SCRATCH * sizeof(*st->scratch));
		if (!st->sample || !st->counts || !st->scratch)
			return BS_ERR_NOMEM;
	}
	/* Not where one row or column is all: a table does the same. */
	if (!st->level->tables_log2 || !st->width || st->n_rows < 2 ||
	    st->n_rows > UINT32_MAX / 256)
		return BS_OK;
	if (st->n_rows <= ROWS_MAX && st->width <= UINT32_MAX / 256)
		res = get_rows(st);
	if (!res && st->width > 1 && st->width <= COLUMNS_MAX)
		res = get_columns(st);
	return res;
}

enum bs_result bs_stats_begin(struct bs_stats *st, unsigned dtype, uint64_t len,
			      uint64_t width)
{
	uint64_t n_runs;

	memset(st->count, 0, sizeof(st->count));
	st->dtype = dtype;
	st->unit = bs_dtype_unit(dtype);
	st->fields = fields_of(dtype);
	st->n = len / st->unit;
	st->seen = 0;
	st->n_block = 0;
	st->any = 0;
	st->all = ~UINT64_C(0);
	n_runs = div_up(st->n, RUN);
	st->n_runs = n_runs < st->level->sample_runs ? (unsigned)n_runs
						     : st->level->sample_runs;
	st->run = 0;
	st->n_sample = 0;
	st->width = width;
	st->n_rows = width ? div_up(st->n, width) : 0;
	st->has_rows = st->has_columns = st->has_window = false;
	memset(&st->classes_of, 0, sizeof(st->classes_of));
	if (!st->fields || !st->n)
		return BS_OK;
	st->run_at = bs_stats_run_at(st, 0);
	return get_memory(st);
}

/* ---- One block -------------------------------------------------------------- */

/* Eight octaves below and above what is usual in the first block that has
 * anything but zeros. */
static void find_window(struct bs_stats *st, const uint16_t *v, size_t n)
{
	int octave = 1 << st->fields->mantissa, centre, low, high;
	uint32_t sum = 0, used = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		uint32_t x = v[i] & 0x7fff;

		if (x < (uint32_t)octave || x > 0x7fffu - (uint32_t)octave)
			continue;
		sum += x;
		used++;
	}
	if (!used)
		return;
	centre = (int)(sum / used);
	low = centre - 8 * octave;
	high = centre + 8 * octave - 1;
	st->low = (int16_t)(low < 0 ? 0 : low);
	st->high = (int16_t)(high > 0x7fff ? 0x7fff : high);
	st->has_window = true;
}

/* The elements at 'at' and on. */
static void add_scales(struct bs_stats *st, uint64_t at, const uint16_t *v,
		       size_t n)
{
	struct bs_tally_sums t = {
		.low = st->low,
		.high = st->high,
		.drop = (uint8_t)(st->fields->mantissa - SCALE_STEPS_LOG2),
		.width = st->width,
		.row_sum = st->has_rows ? st->row_sum : NULL,
		.column_sum = st->has_columns ? st->column_sum : NULL,
		.column_negative = st->column_negative,
	};

	bs_kernels()->tally_sums(&t, at, v, n);
}

/* The window depends on what is in its block: those are of one size, however
 * the bytes come.  Blocks before it have only zeros, which add nothing. */
static void add_block_scales(struct bs_stats *st, const uint16_t *v, size_t n)
{
	size_t i, m;

	for (i = 0; i < n && !st->has_window; i += m) {
		m = n - i < WINDOW_BLOCK ? n - i : WINDOW_BLOCK;
		find_window(st, v + i, m);
		if (st->has_window)
			break;
	}
	if (i < n)
		add_scales(st, st->seen + i, v + i, n - i);
}

/* Keep what of the block is in runs that are kept. */
static void sample_block(struct bs_stats *st, const uint8_t *v, size_t n)
{
	while (st->run_at < st->seen + n) {
		uint64_t end = st->run_at + RUN;
		size_t from = 0, to = n;

		if (st->run_at > st->seen)
			from = (size_t)(st->run_at - st->seen);
		if (end < st->seen + n)
			to = (size_t)(end - st->seen);
		memcpy(st->sample + st->n_sample, v + 2 * from,
		       2 * (to - from));
		st->n_sample += to - from;
		if (end > st->seen + n)
			break;
		st->run++;
		st->run_at = st->run < st->n_runs ? bs_stats_run_at(st, st->run)
						  : NONE;
	}
}

/* Elements whose top 16 bits are at 'v', which needs no alignment. */
static void add_top(struct bs_stats *st, const void *v, size_t n)
{
	if (st->has_rows || st->has_columns)
		add_block_scales(st, v, n);
	sample_block(st, v, n);
	st->seen += n;
}

void bs_stats_flush(struct bs_stats *st)
{
	size_t n = st->n_block;

	st->n_block = 0;
	if (st->fields)
		add_top(st, st->block, n);
	else
		st->seen += n;
}

/* Elements as their top 16 bits. */
static void take_top(struct bs_stats *st, const uint8_t *p, uint16_t *v,
		     size_t n)
{
	size_t i;

	if (st->unit == 2)
		memcpy(v, p, 2 * n);
	else if (st->unit > 2)
		bs_kernels()->tally_top(v, p, st->unit, n, &st->any, &st->all);
	else
		for (i = 0; i < n; i++)
			v[i] = (uint16_t)(p[i] << 8);
}

void bs_stats_add(struct bs_stats *st, const void *data, size_t len)
{
	bool direct = st->fields && st->unit == 2;
	size_t n = len / st->unit, m;
	const uint8_t *p = data;

	if (st->unit == 1 && !st->fields) {
		bs_count_bytes(st->count, p, n);
		st->seen += n;
		return;
	}
	for (; n; n -= m, p += m * st->unit) {
		if (direct && !st->n_block && st->has_window) {
			add_top(st, p, n);
			return;
		}
		m = STATS_BLOCK - st->n_block;
		m = n < m ? n : m;
		take_top(st, p, st->block + st->n_block, m);
		st->n_block += m;
		if (st->n_block == STATS_BLOCK)
			bs_stats_flush(st);
	}
}
