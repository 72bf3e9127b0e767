/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_scale.c - contexts from the scales of rows and columns: whatever the
 * width and the values, seen or not, blobs come back; where scales differ they
 * are used, and pay
 */

#include "../test.h"

#include "model.h"

#include <math.h>
#include <stdbool.h>

static struct bs_workspace *ws;
static enum bs_level level;

enum kind {
	SCALED, /* rows and columns of different scale */
	ROWS,
	COLUMNS,
	MEANS, /* columns with a mean, too */
	ZERO_ROWS,
	CONSTANT_COLUMNS,
	STRANGE, /* NaN, infinities, the largest and the least */
	SPARSE,
	SHAPES, /* columns of several distributions */
	PLAIN,
	RANDOM,
	N_KINDS
};

static double scale_of(uint64_t i)
{
	static const double steps[] = { 1, 0.1, 3, 0.7, 20, 1.5, 0.02, 5 };

	return steps[(i * 5 + i / 8) % 8];
}

/* One of eight distributions: of one sign, narrow, with gaps, long-tailed. */
static double shaped(uint64_t shape, double noise, uint64_t *seed)
{
	double v = fabs(noise);

	if (shape & 1)
		v = 0.02 + v / 8;
	if (shape & 2)
		v *= random_u64(seed) % 4 ? 1 : 0.05;
	if (shape & 4)
		v *= exp2((double)random_normal(seed));
	return random_u64(seed) % 8 < shape ? v : -v;
}

static double value(enum kind kind, uint64_t row, uint64_t column,
		    uint64_t *seed)
{
	double noise = (double)random_normal(seed) * 0.02;

	switch (kind) {
	case SCALED:
		return noise * scale_of(row) * scale_of(column + 3);
	case ROWS:
		return noise * scale_of(row);
	case COLUMNS:
		return noise * scale_of(column);
	case MEANS:
		return (noise + (column % 3 ? 0.03 : -0.03)) * scale_of(column);
	case ZERO_ROWS:
		return row % 5 ? noise * scale_of(column) : 0;
	case CONSTANT_COLUMNS:
		return column % 3 ? noise : scale_of(column);
	case STRANGE:
		switch (random_u64(seed) % 50) {
		case 0:
			return NAN;
		case 1:
			return -INFINITY;
		case 2:
			return 3e38 * noise;
		case 3:
			return 1e-42;
		default:
			return noise * scale_of(row);
		}
	case SHAPES:
		return shaped(column * 7 / 4 % 8, noise, seed);
	case SPARSE:
		return random_u64(seed) % 3 ? 0 : noise * scale_of(row);
	default:
		return noise;
	}
}

/* The nearest of the floats of so many bits; what is too large is infinite. */
static uint16_t narrow(double v, int exponent, int mantissa)
{
	int bias = (1 << (exponent - 1)) - 1, e = 1 - bias;
	int infinite = ((1 << exponent) - 1) << mantissa;
	int sign = signbit(v) ? 1 << (exponent + mantissa) : 0;
	double a = fabs(v);

	if (isnan(v))
		return (uint16_t)(infinite | 1);
	if (a >= ldexp(1, bias + 1))
		return (uint16_t)(sign | infinite);
	if (a >= ldexp(1, e))
		e = ilogb(a);
	/* Rounding up may carry into the exponent. */
	return (uint16_t)(sign | (((e + bias - 1) << mantissa) +
				  (int)lrint(ldexp(a, mantissa - e))));
}

static void put_value(uint8_t *p, unsigned dtype, double v)
{
	float f = (float)v;
	uint16_t half = narrow(v, 5, 10);
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	switch (dtype) {
	case BS_DTYPE_BF16:
		memcpy(p, (uint8_t *)&u + 2, 2);
		break;
	case BS_DTYPE_F16:
		memcpy(p, &half, 2);
		break;
	case BS_DTYPE_F64:
		memcpy(p, &v, 8);
		break;
	case BS_DTYPE_F8_E4M3:
		/* So small a range wants a scale, which files have apart. */
		*p = (uint8_t)narrow(64 * v, 4, 3);
		break;
	case BS_DTYPE_F8_E5M2:
		*p = (uint8_t)narrow(v, 5, 2);
		break;
	default:
		memcpy(p, &u, 4);
	}
}

static uint8_t *make(unsigned dtype, enum kind kind, size_t n, uint64_t width,
		     uint64_t *seed)
{
	size_t unit = bs_dtype_unit(dtype), i;
	uint8_t *raw = malloc(n * unit);
	uint64_t x, row, column;

	assert_non_null(raw);
	for (i = 0; i < n; i++) {
		row = width ? i / width : 0;
		column = width ? i % width : i;
		x = random_u64(seed);
		if (kind == RANDOM)
			memcpy(raw + i * unit, &x, unit);
		else
			put_value(raw + i * unit, dtype,
				  value(kind, row, column, seed));
	}
	return raw;
}

/* A blob in a container, and what became of it. */
struct one {
	struct memory mem;
	struct bs_model_desc desc; /* n_planes 0: no model */
	uint64_t n_planes_chunks;
};

static struct bs_coder *choose(const uint8_t *raw, size_t len, unsigned dtype,
			       uint64_t width, size_t seen, size_t step)
{
	struct bs_coder *coder;
	struct bs_stats *st;
	size_t at, n;

	assert_int_equal(bs_stats_new(&st, level), BS_OK);
	/* What went before leaves nothing behind. */
	assert_int_equal(bs_stats_begin(st, BS_DTYPE_F32, 400, 5), BS_OK);
	bs_stats_add(st, raw, len < 400 ? len / 4 * 4 : 400);
	assert_int_equal(bs_stats_begin(st, dtype, len, width), BS_OK);
	for (at = 0; at < seen; at += n) {
		n = seen - at < step ? seen - at : step;
		bs_stats_add(st, raw + at, n);
	}
	assert_int_equal(bs_coder_new(&coder, st), BS_OK);
	bs_stats_free(st);
	return coder;
}

static void write_chunks(struct bs_writer *w, const struct bs_coder *coder,
			 const struct bs_blob *b, const uint8_t *raw)
{
	uint8_t *stored = malloc(BS_CHUNK_STORED_MAX);
	struct bs_encoded enc;
	uint64_t c, at;
	size_t n;

	assert_non_null(stored);
	for (c = b->first_chunk; c < b->first_chunk + b->n_chunks; c++) {
		bs_blob_chunk_range(b, c, &at, &n);
		assert_int_equal(bs_chunk_encode(coder, ws, at, raw + at, n,
						 stored, &enc),
				 BS_OK);
		assert_true(enc.stored_len <= n);
		assert_int_equal(bs_writer_put_chunk(w, &enc, stored), BS_OK);
	}
	free(stored);
}

/* Read it all back. */
static void check(struct one *o, const uint8_t *raw)
{
	struct bs_source src = memory_source(&o->mem);
	struct bs_model *model = NULL;
	struct bs_archive *ar;
	struct bs_page *page;
	struct bs_chunk chunk;
	struct bs_blob b;
	uint64_t c;

	assert_int_equal(bs_archive_open(&ar, &src, NULL), BS_OK);
	bs_archive_blob(ar, 0, &b);
	if (b.model != BS_NO_MODEL) {
		assert_int_equal(bs_model_load(ar, b.model, &model, NULL),
				 BS_OK);
		o->desc = model->desc;
	}
	assert_int_equal(bs_page_load(ar, 0, &page, NULL), BS_OK);
	for (c = 0; c < b.n_chunks; c++) {
		struct guarded in, out;

		bs_page_chunk(ar, page, c, &chunk);
		in = guarded_new(chunk.stored_len);
		out = guarded_new(chunk.raw_len);
		memcpy(in.p, o->mem.p + chunk.stored_off, chunk.stored_len);
		assert_int_equal(bs_chunk_decode(&chunk, &b, model, ws, in.p,
						 out.p),
				 BS_OK);
		assert_memory_equal(out.p, raw + chunk.blob_off, chunk.raw_len);
		o->n_planes_chunks += chunk.coding == BS_CODING_PLANES;
		guarded_free(&in);
		guarded_free(&out);
	}
	bs_page_free(page);
	bs_model_free(model);
	bs_archive_close(ar);
}

/* Of 'len' bytes the first 'seen' are counted, 'step' at a time. */
static struct one round_trip(const uint8_t *raw, size_t len, unsigned dtype,
			     uint64_t width, size_t seen, size_t step)
{
	struct bs_coder *coder = choose(raw, len, dtype, width, seen, step);
	struct one o = { .mem = { 0 } };
	struct bs_sink sink = { memory_pwrite, &o.mem };
	struct bs_extent ext = { .len = len };
	struct bs_member m = { .type = BS_MEMBER_FILE,
			       .size = len,
			       .name = "",
			       .target = "",
			       .n_extents = 1 };
	struct bs_writer *w;
	struct bs_blob b;
	uint64_t no, total;

	assert_int_equal(bs_writer_new(&w, level, &sink), BS_OK);
	/* Chunks begin within a row. */
	assert_int_equal(bs_writer_begin_blob(w, dtype, coder, 200004, len, &no,
					      &b),
			 BS_OK);
	write_chunks(w, coder, &b, raw);
	assert_int_equal(bs_writer_end_blob(w, NULL), BS_OK);
	assert_int_equal(bs_writer_add_member(w, &m, &ext), BS_OK);
	assert_int_equal(bs_writer_finish(w, "", &total), BS_OK);
	bs_writer_free(w);
	bs_coder_free(coder);
	check(&o, raw);
	return o;
}

static void everything(void)
{
	static const unsigned dtypes[] = { BS_DTYPE_BF16,   BS_DTYPE_F16,
					   BS_DTYPE_F32,    BS_DTYPE_F64,
					   BS_DTYPE_C64,    BS_DTYPE_F8_E4M3,
					   BS_DTYPE_F8_E5M2 };
	static const uint64_t widths[] = { 0,	  1,	  2,
					   65,	  100,	  3000,
					   70000, 123456, UINT64_C(1) << 40 };
	uint64_t seed = 11;
	unsigned d, k, w;

	for (d = 0; d < sizeof(dtypes) / sizeof(dtypes[0]); d++)
		for (k = 0; k < N_KINDS; k++)
			for (w = 0; w < sizeof(widths) / sizeof(widths[0]);
			     w++) {
				size_t unit = bs_dtype_unit(dtypes[d]);
				size_t n = 60000, seen;
				uint8_t *raw;
				struct one o;

				/* Enough for more tables. */
				if (level == BS_LEVEL_STORAGE)
					n = 140000;
				seen = (k + w + d) % 3 ? n : n / 3;
				seen *= unit;
				raw = make(dtypes[d], (enum kind)k, n,
					   widths[w], &seed);
				o = round_trip(raw, n * unit, dtypes[d],
					       widths[w], seen, seen);
				free(o.mem.p);
				free(raw);
			}
}

static void test_everything(void **state)
{
	(void)state;
	everything();
	level = BS_LEVEL_INFERENCE;
	everything();
	level = BS_LEVEL_STORAGE;
	everything();
	level = BS_LEVEL_DEFAULT;
}

/* Each level is denser than the next faster one, by as much as what it knows
 * of columns is worth; and what it does is seen in the model. */
static void test_levels(void **state)
{
	static const struct {
		enum kind kind;
		unsigned tables_log2; /* for storage */
		double gain; /* of it, and of the default over inference */
		double gain_default;
	} cases[] = {
		{ SHAPES, 4, 0.04, 0.03 },
		{ SCALED, 4, 0.001, 0.10 },
		{ PLAIN, 0, 0, -0.0005 },
	};
	uint64_t seed = 18;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = 1024 * 600, len = 2 * n;
		uint8_t *raw =
			make(BS_DTYPE_BF16, cases[i].kind, n, 1024, &seed);
		struct one normal, fast, dense;

		normal = round_trip(raw, len, BS_DTYPE_BF16, 1024, len, len);
		level = BS_LEVEL_INFERENCE;
		fast = round_trip(raw, len, BS_DTYPE_BF16, 1024, len, len);
		level = BS_LEVEL_STORAGE;
		dense = round_trip(raw, len, BS_DTYPE_BF16, 1024, len, len);
		level = BS_LEVEL_DEFAULT;
		assert_int_equal(fast.desc.planes[0].table_log2, 0);
		assert_true(fast.desc.planes[0].row_classes == NO_REFERENCE);
		assert_true(fast.desc.planes[0].column_classes == NO_REFERENCE);
		assert_int_equal(dense.desc.planes[0].table_log2,
				 cases[i].tables_log2);
		assert_true((double)dense.mem.len <
			    (1 - cases[i].gain) * (double)normal.mem.len);
		assert_true((double)normal.mem.len <
			    (1 - cases[i].gain_default) * (double)fast.mem.len);
		free(normal.mem.p);
		free(fast.mem.p);
		free(dense.mem.p);
		free(raw);
	}
}

/* Blobs larger than the sample, too: 300 rows are 1.2 million. */
static void test_scales_pay(void **state)
{
	static const struct {
		unsigned dtype;
		enum kind kind;
		size_t rows;
		bool has_rows, has_columns;
		unsigned tables_log2;
		double gain; /* of the size without them */
	} cases[] = {
		{ BS_DTYPE_BF16, SCALED, 30, true, true, 2, 0.11 },
		{ BS_DTYPE_BF16, SCALED, 300, true, true, 2, 0.13 },
		{ BS_DTYPE_BF16, ROWS, 300, true, false, 2, 0.10 },
		{ BS_DTYPE_BF16, COLUMNS, 300, false, true, 2, 0.10 },
		{ BS_DTYPE_BF16, MEANS, 300, false, true, 3, 0.18 },
		{ BS_DTYPE_BF16, PLAIN, 300, false, false, 0, -0.0001 },
		{ BS_DTYPE_F8_E4M3, ROWS, 300, true, false, 2, 0.15 },
		{ BS_DTYPE_F8_E5M2, SCALED, 300, true, true, 2, 0.21 },
		{ BS_DTYPE_F8_E5M2, PLAIN, 300, false, false, 0, -0.0001 },
	};
	uint64_t seed = 12;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned dtype = cases[i].dtype;
		size_t n = 4100 * cases[i].rows;
		size_t len = bs_dtype_unit(dtype) * n;
		uint8_t *raw = make(dtype, cases[i].kind, n, 4100, &seed);
		struct one with = round_trip(raw, len, dtype, 4100, len, len);
		struct one without = round_trip(raw, len, dtype, 0, len, len);
		const struct bs_plane *p = &with.desc.planes[0];

		assert_int_equal(p->row_classes != NO_REFERENCE,
				 cases[i].has_rows);
		assert_int_equal(p->column_classes != NO_REFERENCE,
				 cases[i].has_columns);
		assert_int_equal(p->table_log2, cases[i].tables_log2);
		assert_true((double)with.mem.len <
			    (1 - cases[i].gain) * (double)without.mem.len + 1);
		free(with.mem.p);
		free(without.mem.p);
		free(raw);
	}
}

/* Values that the statistics have not seen escape: planes all the same. */
static void test_unseen(void **state)
{
	size_t n = 200 * 1000, half = n / 2, i;
	uint64_t seed = 13;
	uint8_t *raw = make(BS_DTYPE_BF16, SCALED, n, 1000, &seed);
	struct one o;

	(void)state;
	for (i = half; i < n; i += 100)
		put_value(raw + 2 * i, BS_DTYPE_BF16, i % 200 ? 1e30 : -1e-30);
	o = round_trip(raw, 2 * n, BS_DTYPE_BF16, 1000, n, n);
	assert_int_not_equal(o.desc.planes[0].escape, NO_ESCAPE);
	assert_true(o.desc.planes[0].column_classes != NO_REFERENCE);
	assert_int_equal(o.n_planes_chunks, 3);
	free(o.mem.p);
	free(raw);
}

/* Values far from all others, seen, escape likewise, and cost little more. */
static void test_far(void **state)
{
	size_t n = 200 * 1000, i;
	uint64_t seed = 16;
	uint8_t *raw = make(BS_DTYPE_BF16, SCALED, n, 1000, &seed);
	struct one near =
		round_trip(raw, 2 * n, BS_DTYPE_BF16, 1000, 2 * n, 2 * n);
	struct one o;

	(void)state;
	for (i = 0; i < n; i += 200)
		put_value(raw + 2 * i, BS_DTYPE_BF16, i % 400 ? 0 : 1e30);
	o = round_trip(raw, 2 * n, BS_DTYPE_BF16, 1000, 2 * n, 2 * n);
	assert_int_not_equal(o.desc.planes[0].escape, NO_ESCAPE);
	assert_true(o.desc.planes[0].row_classes != NO_REFERENCE);
	assert_int_equal(o.n_planes_chunks, 3);
	assert_true(o.mem.len < near.mem.len * 102 / 100);
	free(near.mem.p);
	free(o.mem.p);
	free(raw);
}

/* However the blob is cut for counting, the container is the same. */
static void any_pieces(void)
{
	static const size_t steps[] = { 8, 24, 1000, 2048, 65536 };
	size_t n = 150 * 1000;
	uint64_t seed = 14;
	uint8_t *raw = make(BS_DTYPE_F32, MEANS, n, 1000, &seed);
	struct one whole =
		round_trip(raw, 4 * n, BS_DTYPE_F32, 1000, 4 * n, 4 * n);
	unsigned i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct one o = round_trip(raw, 4 * n, BS_DTYPE_F32, 1000, 4 * n,
					  steps[i]);

		assert_int_equal(o.mem.len, whole.mem.len);
		assert_memory_equal(o.mem.p, whole.mem.p, o.mem.len);
		free(o.mem.p);
	}
	free(whole.mem.p);
	free(raw);
}

static void test_any_pieces(void **state)
{
	(void)state;
	any_pieces();
	level = BS_LEVEL_STORAGE;
	any_pieces();
	level = BS_LEVEL_DEFAULT;
}

/* A sample at equal distances would meet one quarter of these columns. */
static void test_sample_meets_all(void **state)
{
	size_t n = 4096 * 1024, i;
	uint64_t seed = 17;
	uint8_t *raw = make(BS_DTYPE_BF16, PLAIN, n, 4096, &seed);
	unsigned quarter;

	(void)state;
	for (quarter = 0; quarter < 4; quarter++) {
		uint8_t *some = malloc(2 * n);
		struct one o;

		assert_non_null(some);
		memcpy(some, raw, 2 * n);
		for (i = 0; i < n; i++) {
			if (i / 1024 % 4 == quarter)
				put_value(some + 2 * i, BS_DTYPE_BF16, 1);
		}
		o = round_trip(some, 2 * n, BS_DTYPE_BF16, 4096, 2 * n, 2 * n);
		assert_true(o.mem.len < 2 * n * 57 / 100);
		free(o.mem.p);
		free(some);
	}
	free(raw);
}

/* Floats of a wider type that hold narrower ones: their low bytes cost nothing,
 * in a blob of any size. */
static void test_narrow_values(void **state)
{
	size_t n = 1500 * 1000, i;
	uint64_t seed = 15;
	uint8_t *raw = make(BS_DTYPE_F32, PLAIN, n, 1000, &seed);
	struct one o;

	(void)state;
	for (i = 0; i < n; i++)
		memset(raw + 4 * i, 0, 2);
	o = round_trip(raw, 4 * n, BS_DTYPE_F32, 1000, 4 * n, 4 * n);
	assert_true(o.mem.len < 4 * n * 34 / 100);
	free(o.mem.p);
	free(raw);
}

static int setup(void **state)
{
	(void)state;
	return bs_workspace_new(&ws);
}

static int teardown(void **state)
{
	(void)state;
	bs_workspace_free(ws);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_scales_pay),
		cmocka_unit_test(test_unseen),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_any_pieces),
		cmocka_unit_test(test_sample_meets_all),
		cmocka_unit_test(test_narrow_values),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
