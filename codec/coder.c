/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coder.c - statistics of a blob, and the cheapest model by them
 *
 * What is coded is the exponent with the top 0 to 3 mantissa bits, alone or
 * with the sign: the exponent of trained weights holds 2.5 to 2.9 bits of its
 * 8, the top two mantissa bits depend on it a little (1.94 of 2), the sign only
 * where columns have a mean (peers and theory: docs/performance.md).  The low
 * mantissa bits of 16-bit floats are noise and stay raw; the low bytes of wider
 * floats and of integers get a table a chunk where that pays.
 */

#include "coder.h"

#include "bits.h"

#include <math.h>
#include <stdlib.h>

#define TOP_MAX 3 /* mantissa bits beside the exponent */
#define FINEST_MAX (1u << (11 + TOP_MAX + 1)) /* values with an F64's */

struct bs_stats {
	unsigned dtype;
	unsigned unit;
	uint64_t n; /* elements seen */
	uint64_t any; /* OR of all elements */
	uint64_t all; /* AND of all elements */
	/* Counts of the top 16 bits of an element, or of its 8. */
	uint64_t count[65536];
	/* Scratch of bs_coder_new(): counts by sign, exponent and the most
	 * mantissa bits that are tried, and of fewer of them. */
	uint64_t finest[FINEST_MAX];
	uint64_t marginal[FINEST_MAX];
};

/* Fields of the float types that we split, in the top 16 bits. */
struct float_fields {
	unsigned exponent; /* bits */
	unsigned mantissa; /* bits of it within the top 16 */
};

static const struct float_fields *fields_of(unsigned dtype)
{
	static const struct float_fields bf16 = { 8, 7 };
	static const struct float_fields f16 = { 5, 10 };
	static const struct float_fields f64 = { 11, 4 };

	switch (dtype) {
	case BS_DTYPE_BF16:
	case BS_DTYPE_F32:
	case BS_DTYPE_C64:
		return &bf16;
	case BS_DTYPE_F16:
		return &f16;
	case BS_DTYPE_F64:
		return &f64;
	default:
		return NULL;
	}
}

/* ---- Statistics --------------------------------------------------------- */

enum bs_result bs_stats_new(struct bs_stats **ret, unsigned dtype)
{
	*ret = malloc(sizeof(**ret));
	if (!*ret)
		return BS_ERR_NOMEM;
	bs_stats_reset(*ret, dtype);
	return BS_OK;
}

void bs_stats_reset(struct bs_stats *st, unsigned dtype)
{
	memset(st->count, 0, sizeof(st->count));
	st->dtype = dtype;
	st->unit = bs_dtype_unit(dtype);
	st->n = 0;
	st->any = 0;
	st->all = ~UINT64_C(0);
}

void bs_stats_free(struct bs_stats *st)
{
	free(st);
}

void bs_stats_add(struct bs_stats *st, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t n = len / st->unit, i;
	uint64_t any = st->any, all = st->all, v;

	st->n += n;
	switch (st->unit) {
	case 1:
		for (i = 0; i < n; i++)
			st->count[p[i]]++;
		return;
	case 2:
		for (i = 0; i < n; i++)
			st->count[get_u16(p + 2 * i)]++;
		return;
	case 4:
		for (i = 0; i < n; i++) {
			v = get_u32(p + 4 * i);
			any |= v;
			all &= v;
			st->count[v >> 16]++;
		}
		break;
	default:
		for (i = 0; i < n; i++) {
			v = get_u64(p + 8 * i);
			any |= v;
			all &= v;
			st->count[v >> 48]++;
		}
		break;
	}
	st->any = any;
	st->all = all;
}

/* ---- One coded plane ---------------------------------------------------- */

/* A way to code a plane of 'width' bits by one table, and its cost. */
struct table_choice {
	unsigned n_symbols;
	unsigned escape; /* or NO_ESCAPE */
	uint32_t base;
	struct bs_freq freq;
	double bits; /* of all values, escapes and the table */
};

/* The values that get symbols: all in use if they fit, else the run of 255
 * that covers most. */
static void choose_window(const uint64_t *counts, unsigned n_values,
			  bool is_sample, struct table_choice *c)
{
	uint64_t sum = 0, best = 0;
	unsigned lo = 0, hi = n_values - 1, i, used;

	while (lo < hi && !counts[lo])
		lo++;
	while (hi > lo && !counts[hi])
		hi--;
	used = hi - lo + 1;
	c->base = lo;
	c->n_symbols = used < 2 ? 2 : used;
	c->escape = NO_ESCAPE;
	if (used + is_sample <= SYMBOLS_MAX) {
		if (is_sample && used < n_values)
			c->escape = used;
	} else {
		c->escape = SYMBOLS_MAX - 1;
		for (i = lo; i <= hi; i++) {
			sum += counts[i];
			if (i >= lo + c->escape)
				sum -= counts[i - c->escape];
			if (i + 1 >= lo + c->escape && sum > best) {
				best = sum;
				c->base = i + 1 - c->escape;
			}
		}
	}
	if (c->escape != NO_ESCAPE)
		c->n_symbols = c->escape + 1;
}

static void choose_table(const uint64_t *counts, unsigned width, bool is_sample,
			 struct table_choice *c)
{
	uint64_t symbols[SYMBOLS_MAX] = { 0 }, total = 0, covered = 0;
	unsigned n_values = 1u << width, i;
	uint8_t serial[TABLE_SERIAL_MAX];

	choose_window(counts, n_values, is_sample, c);
	for (i = 0; i < n_values; i++)
		total += counts[i];
	for (i = 0; i < c->n_symbols && c->base + i < n_values; i++) {
		if (i == c->escape)
			break;
		symbols[i] = counts[c->base + i];
		covered += symbols[i];
	}
	if (c->escape != NO_ESCAPE) {
		symbols[c->escape] = total - covered;
		if (is_sample && total == covered)
			symbols[c->escape] = 1;
	}
	bs_freq_normalise(&c->freq, symbols, c->n_symbols, PROB_BITS_MAX);
	c->bits = bs_freq_cost(&c->freq, symbols, c->n_symbols) +
		  (double)(total - covered) * ((width + 7) / 8 * 8) +
		  8.0 * (double)bs_freq_write(&c->freq, serial);
}

/* ---- Models ------------------------------------------------------------- */

static struct bs_plane *add_plane(struct bs_model_desc *desc, unsigned coding)
{
	struct bs_plane *p = &desc->planes[desc->n_planes++];

	memset(p, 0, sizeof(*p));
	p->coding = (uint8_t)coding;
	p->escape = NO_ESCAPE;
	p->row_classes = NO_REFERENCE;
	p->column_classes = NO_REFERENCE;
	return p;
}

static void add_part(struct bs_plane *p, unsigned lo, unsigned bits)
{
	if (!bits)
		return;
	p->parts[p->n_parts].lo = (uint8_t)lo;
	p->parts[p->n_parts].bits = (uint8_t)bits;
	p->n_parts++;
	p->width = (uint8_t)(p->width + bits);
}

static enum bs_result add_coded(struct bs_coder *coder, struct bs_plane *p,
				const struct table_choice *c)
{
	struct bs_coder_plane *cp = malloc(sizeof(*cp));

	if (!cp)
		return BS_ERR_NOMEM;
	cp->freq = c->freq;
	bs_freq_enc(&c->freq, cp->enc);
	coder->planes[p - coder->desc.planes] = cp;
	p->n_symbols = (uint16_t)c->n_symbols;
	p->escape = (uint16_t)c->escape;
	p->base = c->base;
	return BS_OK;
}

/* The low bytes of an element, below 'top' bits: constant or local. */
static void add_low_bytes(struct bs_coder *coder, const struct bs_stats *st,
			  bool is_sample, unsigned top)
{
	unsigned lo = 8 * st->unit - top;

	while (lo) {
		uint64_t any, all;
		struct bs_plane *p;

		lo -= 8;
		any = st->any >> lo & 255;
		all = st->all >> lo & 255;
		if (!is_sample && top && any == all) {
			p = add_plane(&coder->desc, PLANE_CONSTANT);
			p->base = any;
		} else {
			p = add_plane(&coder->desc, PLANE_LOCAL);
		}
		add_part(p, lo, 8);
	}
}

/* Values of exponent and 'top' mantissa bits, and the sign below them.  From
 * these the others follow in a sixteenth of the time, which small tensors are
 * mostly made of. */
static void count_finest(struct bs_stats *st, const struct float_fields *f,
			 unsigned top)
{
	unsigned drop = f->mantissa - top, i;

	memset(st->finest, 0, sizeof(*st->finest) << (f->exponent + top + 1));
	for (i = 0; i < 65536; i++)
		st->finest[(i & 0x7fff) >> drop << 1 | i >> 15] += st->count[i];
}

/* The same of exponent and 't' mantissa bits, with the sign or without. */
static void marginals(struct bs_stats *st, const struct float_fields *f,
		      unsigned top, unsigned t, bool with_sign)
{
	unsigned drop = top - t, n = 1u << (f->exponent + top + 1), i;

	memset(st->marginal, 0,
	       sizeof(*st->marginal) << (f->exponent + t + with_sign));
	for (i = 0; i < n; i++) {
		unsigned v = i >> 1 >> drop;

		st->marginal[with_sign ? v << 1 | (i & 1) : v] += st->finest[i];
	}
}

struct float_choice {
	unsigned t;
	bool with_sign;
	struct table_choice table;
	double bits; /* of the top 16 */
};

static unsigned n_pieces(unsigned width)
{
	return width / 8 + (unsigned)__builtin_popcount(width & 7);
}

static void choose_float(struct bs_stats *st, const struct float_fields *f,
			 bool is_sample, struct float_choice *best)
{
	/* A raw piece more costs about a tenth of the decoding time: it must
	 * save 0.05 % of the 16 bits. */
	const double piece_bits = 0.0005 * 16 * (double)st->n;
	unsigned top = f->mantissa < TOP_MAX ? f->mantissa : TOP_MAX, t, s;

	count_finest(st, f, top);
	best->bits = INFINITY;
	for (t = 0; t <= top; t++) {
		for (s = 0; s < 2; s++) {
			unsigned width = f->exponent + t + s;
			struct float_choice c = { .t = t, .with_sign = s };

			marginals(st, f, top, t, s);
			choose_table(st->marginal, width, is_sample, &c.table);
			c.bits = c.table.bits + (double)st->n * (16 - width) +
				 piece_bits * n_pieces(16 - width);
			if (c.bits < best->bits)
				*best = c;
		}
	}
}

static enum bs_result float_model(struct bs_coder *coder, struct bs_stats *st,
				  const struct float_fields *f, bool is_sample,
				  double *ret_bits)
{
	unsigned low = 8 * st->unit - 16, rest;
	struct float_choice c;
	struct bs_plane *p;
	enum bs_result res;

	choose_float(st, f, is_sample, &c);
	*ret_bits = c.bits;
	rest = f->mantissa - c.t;
	p = add_plane(&coder->desc, PLANE_CODED);
	add_part(p, low + rest, f->exponent + c.t);
	if (c.with_sign)
		add_part(p, low + 15, 1);
	res = add_coded(coder, p, &c.table);
	if (rest || !c.with_sign) {
		p = add_plane(&coder->desc, PLANE_RAW);
		if (!c.with_sign)
			add_part(p, low + 15, 1);
		add_part(p, low, rest);
	}
	add_low_bytes(coder, st, is_sample, 16);
	return res;
}

static enum bs_result byte_model(struct bs_coder *coder,
				 const struct bs_stats *st, bool is_sample,
				 double *ret_bits)
{
	struct table_choice c;
	struct bs_plane *p;

	choose_table(st->count, 8, is_sample, &c);
	*ret_bits = c.bits;
	p = add_plane(&coder->desc, PLANE_CODED);
	add_part(p, 0, 8);
	return add_coded(coder, p, &c);
}

/* Whether one value is so frequent that repeats are likely: zeroed or padded
 * weights, where zstd may win. */
static bool is_repetitive(const struct bs_stats *st)
{
	uint64_t most = 0;
	unsigned i;

	for (i = 0; i < 65536; i++) {
		if (st->count[i] > most)
			most = st->count[i];
	}
	return most > st->n / 4;
}

static bool is_float(unsigned dtype)
{
	return fields_of(dtype) || dtype == BS_DTYPE_F8_E4M3 ||
	       dtype == BS_DTYPE_F8_E5M2 || dtype == BS_DTYPE_F8_E8M0;
}

/* Bytes that a model costs beside its tables: object headers and padding
 * included. */
static double model_bits(const struct bs_coder *coder)
{
	return 8.0 * (double)(bs_model_desc_len(&coder->desc) + 32);
}

static enum bs_result choose_model(struct bs_coder *coder, struct bs_stats *st,
				   bool is_sample)
{
	const struct float_fields *f = fields_of(st->dtype);
	double bits, raw_bits = 16.0 * (double)st->n;
	enum bs_result res = BS_OK;

	coder->desc.unit = st->unit;
	coder->try_zstd = !is_float(st->dtype) || is_repetitive(st);
	if (f) {
		res = float_model(coder, st, f, is_sample, &bits);
	} else if (st->unit == 1) {
		res = byte_model(coder, st, is_sample, &bits);
		raw_bits = 8.0 * (double)st->n;
	} else {
		add_low_bytes(coder, st, is_sample, 0);
		bits = 0;
	}
	/* Wider elements may gain by their low bytes; a chunk that does not
	 * is stored raw all the same. */
	if (f && st->unit > 2)
		bits -= raw_bits / 16;
	coder->has_planes = bits + model_bits(coder) < raw_bits;
	return res;
}

enum bs_result bs_coder_new(struct bs_coder **ret, struct bs_stats *st,
			    int is_sample)
{
	struct bs_coder *coder;
	enum bs_result res = BS_OK;

	*ret = NULL;
	coder = calloc(1, sizeof(*coder));
	if (!coder)
		return BS_ERR_NOMEM;
	if (st->dtype != BS_DTYPE_BYTES && st->n)
		res = choose_model(coder, st, is_sample != 0);
	if (res) {
		bs_coder_free(coder);
		return res;
	}
	*ret = coder;
	return BS_OK;
}

void bs_coder_free(struct bs_coder *coder)
{
	unsigned i;

	if (!coder)
		return;
	for (i = 0; i < PLANES_MAX; i++)
		free(coder->planes[i]);
	free(coder);
}
