/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coder.c - the cheapest model by a blob's statistics
 *
 * What is coded is the exponent with the top 0 to 3 mantissa bits, alone or
 * with the sign: the exponent of trained weights holds 2.5 to 2.9 bits of its
 * 8, the top two mantissa bits depend on it a little (1.94 of 2), the sign only
 * where columns have a mean (peers and theory: docs/performance.md).  What the
 * scales of its row and its column tell of an exponent is scale.c's.  The low
 * mantissa bits of 16-bit floats are noise and stay raw, unless the values were
 * narrower once; then they, and the low bytes of wider floats and of integers,
 * get a table a chunk where that pays.  Floats of 8 bits are all top bits:
 * scales still tell 0.4 % of a file of them.
 *
 * Costs are whole numbers of 1/65536 bits, for the sample: no machine rounds
 * them otherwise.
 */

#include "coder.h"

#include "bits.h"
#include "plain.h"
#include "scale.h"
#include "take.h"

#include <stdlib.h>

#define BIT (UINT64_C(1) << 16)

/* ---- One coded plane ---------------------------------------------------- */

/* A way to code the values of a plane by some tables, and its cost. */
struct plane_choice {
	unsigned n_symbols;
	unsigned escape; /* or NO_ESCAPE */
	uint32_t base;
	struct bs_freq freq[TABLES_MAX];
	uint64_t cost; /* of all values and escapes */
	uint64_t side; /* of the tables: it does not grow with the blob */
};

/* Values counted: by table, and all together. */
struct values {
	unsigned n_tables;
	unsigned n; /* values from 0 on that may be symbols */
	unsigned width; /* bits of a value */
	unsigned prob_bits;
	bool has_others; /* the sample is not all, or others_of is not 0 */
	const uint64_t *counts; /* [n_tables][n] */
	const uint64_t *all; /* [n] */
	uint64_t others_of[TABLES_MAX]; /* elements of values >= n */
};

/* Whether some value that could occur has no symbol of its own. */
static bool any_missing(const struct values *v)
{
	size_t i;

	for (i = 0; i < (size_t)v->n_tables * v->n; i++) {
		if (!v->counts[i])
			return true;
	}
	return v->n < 1u << v->width;
}

/* The values that get symbols: all in use if they fit, else the run of 255
 * that covers most. */
static void choose_window(const struct values *v, struct plane_choice *c)
{
	uint64_t sum = 0, best = 0;
	unsigned lo = 0, hi = v->n - 1, i, used;
	bool escapes = v->has_others && any_missing(v);

	while (lo < hi && !v->all[lo])
		lo++;
	while (hi > lo && !v->all[hi])
		hi--;
	used = hi - lo + 1;
	c->base = lo;
	c->escape = NO_ESCAPE;
	if (used + escapes > SYMBOLS_MAX) {
		used = SYMBOLS_MAX - 1;
		escapes = true;
		for (i = lo; i <= hi; i++) {
			sum += v->all[i];
			if (i >= lo + used)
				sum -= v->all[i - used];
			if (i + 1 >= lo + used && sum > best) {
				best = sum;
				c->base = i + 1 - used;
			}
		}
	}
	c->n_symbols = used + escapes < 2 ? 2 : used + escapes;
	if (escapes)
		c->escape = used;
}

static void choose_tables(const struct values *v, struct plane_choice *c)
{
	unsigned t, i;

	choose_window(v, c);
	c->cost = c->side = 0;
	for (t = 0; t < v->n_tables; t++) {
		const uint64_t *counts = v->counts + (size_t)t * v->n;
		uint64_t symbols[SYMBOLS_MAX] = { 0 },
			 escaped = v->others_of[t];

		for (i = 0; i < v->n; i++) {
			unsigned s = i - c->base;

			if (s < c->n_symbols && s != c->escape)
				symbols[s] = counts[i];
			else
				escaped += counts[i];
		}
		if (c->escape != NO_ESCAPE)
			symbols[c->escape] = escaped ? escaped : 1;
		bs_freq_normalise(&c->freq[t], symbols, c->n_symbols,
				  v->prob_bits);
		c->cost += bs_freq_cost(&c->freq[t], symbols, c->n_symbols) +
			   escaped * (v->width + 7) / 8 * 8 * BIT;
		c->side += 8 * BIT * bs_freq_len(&c->freq[t]);
	}
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
				const struct plane_choice *c, unsigned log2)
{
	size_t n = (size_t)SYMBOLS_MAX << log2;
	struct bs_coder_plane *cp;
	bool is_symbol[SYMBOLS_MAX];
	unsigned t, s;

	cp = malloc(sizeof(*cp) + n * (sizeof(*cp->enc) + sizeof(*cp->packed) +
				       sizeof(**cp->entry_of)));
	if (!cp)
		return BS_ERR_NOMEM;
	coder->planes[p - coder->desc.planes] = cp;
	cp->enc = (void *)cp->room;
	cp->packed = (void *)(cp->enc + n);
	cp->entry_of = (void *)(cp->packed + n);
	for (t = 0; t < 1u << log2; t++) {
		cp->freq[t] = c->freq[t];
		bs_freq_enc(&c->freq[t], cp->enc + SYMBOLS_MAX * t);
		bs_freq_pack(&c->freq[t], cp->packed + SYMBOLS_MAX * t);
		for (s = 0; s < SYMBOLS_MAX; s++)
			is_symbol[s] = s < c->n_symbols && s != c->escape &&
				       c->freq[t].f[s];
		bs_entry_table(cp->entry_of[t], cp->has[t], t,
			       c->escape == NO_ESCAPE ? 0 : c->escape,
			       is_symbol);
	}
	p->table_log2 = (uint8_t)log2;
	p->n_symbols = (uint16_t)c->n_symbols;
	p->escape = (uint16_t)c->escape;
	p->base = c->base & ((1u << p->width) - 1);
	return BS_OK;
}

/* The low bytes of an element, below 'top' bits: constant or local. */
static void add_low_bytes(struct bs_coder *coder, const struct bs_stats *st,
			  unsigned top)
{
	unsigned lo = 8 * st->unit - top;

	while (lo) {
		uint64_t any, all;
		struct bs_plane *p;

		lo -= 8;
		any = st->any >> lo & 255;
		all = st->all >> lo & 255;
		if (st->seen == st->n && top && any == all) {
			p = add_plane(&coder->desc, PLANE_CONSTANT);
			p->base = any;
		} else {
			p = add_plane(&coder->desc, PLANE_LOCAL);
		}
		add_part(p, lo, 8);
	}
}

/* ---- Floats ------------------------------------------------------------- */

/* Octaves that tables of a split may tell apart; rarer ones escape.  With one
 * table all may get symbols, so that zeros do. */
#define SPLIT_OCTAVES 64

/* What is paid once for the blob, as the sample's share of it. */
static uint64_t share(const struct bs_stats *st, uint64_t cost)
{
	return cost / st->n * st->n_sample +
	       cost % st->n * st->n_sample / st->n;
}

/* A float of one byte may have no raw bits, of which the lanes would carry 128
 * bytes in every chunk. */
#define CARRIED_BITS 1024

struct float_choice {
	struct bs_split split;
	unsigned t; /* mantissa bits */
	bool with_sign;
	bool is_local; /* the mantissa bits below, in the top 16 */
	struct plane_choice plane;
	uint64_t cost; /* of the sample's top bits, all included */
};

/* The counts of a split, seen from some octave on. */
struct finest {
	const uint32_t *counts;
	unsigned n_tables;
	unsigned n; /* values a table */
	unsigned start; /* the first that is looked at ... */
	unsigned n_seen; /* ... and how many are */
	uint64_t others_of[TABLES_MAX]; /* those that are not */
	bool has_others;
	uint64_t *scratch; /* [n_tables + 1][n_seen] */
};

/* Begin so that the most frequent octave is in the middle. */
static void find_start(struct finest *f, bool is_split)
{
	unsigned octave = 2u << TOP_MAX, most_at = 0, i, k, t;
	uint64_t most = 0, sum;

	f->start = 0;
	f->n_seen = f->n;
	if (!is_split)
		return;
	for (i = 0; i < f->n; i += octave) {
		for (sum = 0, t = 0; t < f->n_tables; t++) {
			for (k = 0; k < octave; k++)
				sum += f->counts[t * f->n + i + k];
		}
		if (sum > most) {
			most = sum;
			most_at = i;
		}
	}
	if (f->n_seen > SPLIT_OCTAVES * octave)
		f->n_seen = SPLIT_OCTAVES * octave;
	f->start = (most_at + f->n - f->n_seen / 2) & (f->n - 1);
	for (t = 0; t < f->n_tables; t++) {
		for (i = f->n_seen; i < f->n; i++)
			f->others_of[t] +=
				f->counts[t * f->n +
					  ((f->start + i) & (f->n - 1))];
		f->has_others |= f->others_of[t] > 0;
	}
}

/* Add up every 1 << log2 neighbours of 2n counts, or those of a sign among twice
 * as many: 'from' has the signs in turns. */
static inline __attribute__((always_inline)) void
add_up(uint64_t *restrict to, const uint32_t *restrict from, size_t n,
       unsigned log2, bool with_sign)
{
	size_t of = (size_t)1 << log2, v, k;

	for (v = 0; v < n; v++, from += 2 * of) {
		uint64_t plus = 0, minus = 0;

		for (k = 0; k < of; k++) {
			plus += from[2 * k];
			minus += from[2 * k + 1];
		}
		if (with_sign) {
			to[2 * v] = plus;
			to[2 * v + 1] = minus;
		} else {
			to[v] = plus + minus;
		}
	}
}

/* The same, 'drop' being a constant in each loop. */
static void add_up_by(uint64_t *to, const uint32_t *from, size_t n,
		      unsigned drop, bool with_sign)
{
	switch (drop << 1 | with_sign) {
	case 0:
		add_up(to, from, n, 0, false);
		break;
	case 1:
		add_up(to, from, n, 0, true);
		break;
	case 2:
		add_up(to, from, n, 1, false);
		break;
	case 3:
		add_up(to, from, n, 1, true);
		break;
	case 4:
		add_up(to, from, n, 2, false);
		break;
	case 5:
		add_up(to, from, n, 2, true);
		break;
	case 6:
		add_up(to, from, n, 3, false);
		break;
	default:
		add_up(to, from, n, 3, true);
	}
}

/* Counts of exponent and t mantissa bits, with the sign or without. */
static void marginals(const struct finest *f, unsigned t, bool with_sign,
		      struct values *ret)
{
	unsigned drop = TOP_MAX - t, n = f->n_seen >> drop >> !with_sign;
	uint64_t *all = f->scratch, *counts = f->scratch + n;
	/* What is seen may begin near the end and go on at the beginning. */
	unsigned first = f->n - f->start < f->n_seen ? f->n - f->start
						     : f->n_seen;
	unsigned table, i, n_first = first >> drop >> 1;
	unsigned n_rest = (f->n_seen - first) >> drop >> 1;

	_Static_assert(TOP_MAX == 3, "add_up_by() has all of them");
	memset(all, 0, sizeof(*all) * n);
	ret->n_tables = f->n_tables;
	ret->n = n;
	ret->counts = counts;
	ret->all = all;
	for (table = 0; table < f->n_tables; table++, counts += n) {
		const uint32_t *from = f->counts + (size_t)table * f->n;

		add_up_by(counts, from + f->start, n_first, drop, with_sign);
		add_up_by(counts + (n_first << with_sign), from, n_rest, drop,
			  with_sign);
		ret->others_of[table] = f->others_of[table];
		for (i = 0; i < n; i++)
			all[i] += counts[i];
	}
}

static unsigned n_pieces(unsigned width)
{
	return width / 8 + (unsigned)__builtin_popcount(width & 7);
}

/* A plane more that is coded decodes slower by a third: it must save one part
 * in so many of the top bits. */
#define LOW_GAIN 200

/* What a symbol takes in a table, about. */
#define ENTRY_BITS 7

/* Elements that the entropy of low mantissa bits is taken from, at most. */
#define LOW_SAMPLE 4096

/* What the mantissa bits of the sample below the first 0 .. TOP_MAX cost by a
 * table; UINT64_MAX: a local plane cannot hold them.  They are noise, unless
 * the values were of a narrower type, or zeros, before. */
static void cost_low_bits(const struct bs_stats *st, uint64_t *ret)
{
	const struct bs_fields *f = st->fields;
	unsigned below = 16 - f->top, bits = f->mantissa - below, t, i;
	size_t step = st->n_sample / LOW_SAMPLE | 1, n = 0, k;
	uint64_t n_chunks = div_up(st->n * st->unit,
				   UINT64_C(1) << st->level->chunk_size_log2);
	uint64_t counts[256] = { 0 };

	for (k = 0; k < st->n_sample; k += step, n++)
		counts[st->sample[k] >> below & 255]++;
	if (bits < 8) {
		for (i = 1u << bits; i < 256; i++)
			counts[i & ((1u << bits) - 1)] += counts[i];
	}
	for (t = 0; t <= TOP_MAX; t++) {
		uint64_t cost = n * (uint64_t)bs_log2(n), used = 0;

		ret[t] = UINT64_MAX;
		if (t + 8 < bits || t >= bits)
			continue;
		for (i = 0; i < 1u << (bits - t); i++) {
			if (!counts[i])
				continue;
			used++;
			/* As much is missing from an entropy by counts. */
			cost += BIT * 72 / 100;
			cost -= counts[i] * (uint64_t)bs_log2(counts[i]);
		}
		ret[t] = cost / n * st->n_sample +
			 st->n_sample * f->top * BIT / LOW_GAIN +
			 share(st, used * n_chunks * ENTRY_BITS * BIT);
		/* The next one has a bit less. */
		for (i = 0; i < 1u << (bits - t - 1); i++)
			counts[i] += counts[i + (1u << (bits - t - 1))];
	}
}

/* What is not coded costs, of which the mantissa's part may be local. */
static uint64_t cost_rest(const struct bs_stats *st, struct float_choice *c,
			  uint64_t low_cost, uint64_t piece_cost)
{
	unsigned sign = !c->with_sign;
	unsigned rest = st->fields->top - 1u - st->fields->exponent - c->t;
	uint64_t raw = st->n_sample * (rest + sign) * BIT +
		       piece_cost * n_pieces(rest + sign);
	uint64_t local = sign * (st->n_sample * BIT + piece_cost);

	c->is_local = low_cost < raw && local + low_cost < raw;
	return c->is_local ? local + low_cost : raw;
}

/* The best of one split, if it beats 'best'. */
static void try_float(struct bs_stats *st, const struct bs_split *split,
		      const uint64_t *low_costs, struct float_choice *best)
{
	unsigned top = st->fields->top, below = 16 - top;
	/* A raw piece more costs about a tenth of the decoding time. */
	const uint64_t piece_cost =
		st->n_sample * top * BIT / st->level->piece_gain;
	bool is_split = split->rows || split->columns;
	unsigned s, t;
	struct values v = { 0 };
	struct finest f = { .counts = st->counts, .scratch = st->scratch };
	uint64_t shared = 0;
	struct float_choice c;

	f.n_tables = 1u << bs_split_log2(split);
	f.n = 1u << FINEST_WIDTH(st->fields);
	bs_split_classes(st, split);
	bs_split_count(st, split, st->n_runs);
	if (is_split)
		shared = st->n_sample * top * BIT / st->level->split_gain +
			 share(st, bs_split_side_cost(st, split));
	find_start(&f, is_split);
	v.has_others = st->n_sample < st->n || f.has_others;
	v.prob_bits = f.n_tables > 1 ? st->level->prob_bits : PROB_BITS_MAX;
	for (t = 0; t <= TOP_MAX && t + below <= st->fields->mantissa; t++) {
		for (s = 0; s < 2; s++) {
			v.width = st->fields->exponent + t + s;
			c.split = *split;
			c.t = t;
			c.with_sign = s;
			marginals(&f, t, s, &v);
			choose_tables(&v, &c.plane);
			c.plane.base += f.start >> (TOP_MAX - t) >> !s;
			c.cost = c.plane.cost + shared +
				 cost_rest(st, &c, low_costs[t], piece_cost) +
				 share(st, c.plane.side);
			if (v.width == top)
				c.cost += st->n_sample * CARRIED_BITS * BIT >>
					  st->level->chunk_size_log2;
			if (c.cost < best->cost)
				*best = c;
		}
	}
}

static enum bs_result make_classes(struct bs_coder_classes *ret,
				   struct bs_stats *st, const uint8_t *class,
				   uint64_t n)
{
	size_t cap = CLASSES_HEADER_LEN + 4 + n, len;

	ret->n = n;
	ret->class = malloc(n);
	ret->object = calloc(1, cap);
	if (!ret->class || !ret->object)
		return BS_ERR_NOMEM;
	memcpy(ret->class, class, n);
	if (!st->zstd && bs_zstd_new(&st->zstd))
		return BS_ERR_NOMEM;
	put_u64(ret->object, n);
	len = bs_zstd_encode(st->zstd, ret->object + CLASSES_HEADER_LEN + 4, n,
			     class, n);
	ret->object[8] = len != 0;
	if (len) {
		put_u32(ret->object + CLASSES_HEADER_LEN, (uint32_t)len);
		len += 4;
	} else {
		memcpy(ret->object + CLASSES_HEADER_LEN, class, n);
		len = n;
	}
	ret->object_len = CLASSES_HEADER_LEN + len;
	return BS_OK;
}

/* The classes of the split that won. */
static enum bs_result add_classes(struct bs_coder *coder, struct bs_stats *st,
				  const struct bs_split *split)
{
	enum bs_result res = BS_OK;

	if (!split->rows && !split->columns)
		return BS_OK;
	coder->width = st->width;
	bs_split_classes(st, split);
	if (split->rows)
		res = make_classes(&coder->rows, st, st->row_class, st->n_rows);
	if (!res && split->columns)
		res = make_classes(&coder->columns, st, st->column_class,
				   st->width);
	return res;
}

static void choose_float(struct bs_stats *st, struct float_choice *best)
{
	unsigned rest = st->fields->top - (st->fields->exponent + 3u);
	static const struct bs_split none;
	uint64_t low_costs[TOP_MAX + 1];
	struct bs_split split;
	uint64_t plain;

	cost_low_bits(st, low_costs);
	best->cost = UINT64_MAX;
	plain = bs_split_choose(st, &split) + rest * BIT;
	if (split.rows || split.columns)
		try_float(st, &split, low_costs, best);
	/* The estimate knows nothing of escapes. */
	if (best->cost > plain * st->n_sample)
		try_float(st, &none, low_costs, best);
}

static enum bs_result float_model(struct bs_coder *coder, struct bs_stats *st,
				  uint64_t *ret_cost)
{
	const struct bs_fields *f = st->fields;
	unsigned low = 8 * st->unit - f->top, rest;
	struct float_choice c;
	struct bs_plane *p;
	enum bs_result res;

	choose_float(st, &c);
	*ret_cost = c.cost;
	rest = f->top - 1u - f->exponent - c.t;
	p = add_plane(&coder->desc, PLANE_CODED);
	add_part(p, low + rest, f->exponent + c.t);
	if (c.with_sign)
		add_part(p, low + f->top - 1, 1);
	res = add_coded(coder, p, &c.plane, bs_split_log2(&c.split));
	if (!res)
		res = add_classes(coder, st, &c.split);
	if (coder->width)
		p->shift = (uint8_t)(c.t + c.with_sign);
	p = NULL;
	if (!c.with_sign || (rest && !c.is_local))
		p = add_plane(&coder->desc, PLANE_RAW);
	if (!c.with_sign)
		add_part(p, low + f->top - 1, 1);
	if (c.is_local)
		p = add_plane(&coder->desc, PLANE_LOCAL);
	if (rest)
		add_part(p, low, rest);
	add_low_bytes(coder, st, f->top);
	return res;
}

/* ---- Everything else ------------------------------------------------------ */

static enum bs_result byte_model(struct bs_coder *coder,
				 const struct bs_stats *st, uint64_t *ret_cost)
{
	struct values v = { .n_tables = 1,
			    .n = 256,
			    .width = 8,
			    .prob_bits = PROB_BITS_MAX,
			    .has_others = st->seen < st->n,
			    .counts = st->count,
			    .all = st->count };
	struct plane_choice c;
	struct bs_plane *p;

	choose_tables(&v, &c);
	*ret_cost = c.cost + c.side;
	p = add_plane(&coder->desc, PLANE_CODED);
	add_part(p, 0, 8);
	return add_coded(coder, p, &c, 0);
}

/* Whether one value is so frequent that repeats are likely: zeroed or padded
 * weights, where zstd may win. */
static bool is_repetitive(struct bs_stats *st)
{
	size_t step = st->n_sample / 8192 | 1, n = 0, i;
	uint32_t most = 0;

	memset(st->counts, 0, 65536 * sizeof(*st->counts));
	for (i = 0; i < st->n_sample; i += step, n++) {
		uint32_t seen = ++st->counts[st->sample[i]];

		most = seen > most ? seen : most;
	}
	return most > n / 4;
}

/* What a model costs beside its tables and classes: object headers and padding
 * included. */
static uint64_t model_cost(const struct bs_coder *coder)
{
	return 8 * BIT * (bs_model_desc_len(&coder->desc) + 32);
}

static enum bs_result choose_model(struct bs_coder *coder, struct bs_stats *st)
{
	uint64_t cost = 0, raw_cost;
	enum bs_result res = BS_OK;

	coder->desc.unit = st->unit;
	coder->local_gain = st->level->local_gain;
	if (st->fields) {
		coder->try_zstd = is_repetitive(st);
		res = float_model(coder, st, &cost);
		raw_cost = st->fields->top * BIT * st->n_sample;
		cost += share(st, model_cost(coder));
		/* Wider elements may gain by their low bytes; a chunk that does
		 * not is stored raw all the same. */
		if (st->unit > 2 && cost < raw_cost + raw_cost / 16)
			cost = 0;
		coder->has_planes = cost < raw_cost;
	} else if (st->unit == 1) {
		coder->try_zstd = true;
		res = byte_model(coder, st, &cost);
		raw_cost = 8 * BIT * st->seen;
		coder->has_planes = cost + model_cost(coder) < raw_cost;
	} else {
		coder->try_zstd = true;
		add_low_bytes(coder, st, 0);
		coder->has_planes = model_cost(coder) < 16 * BIT * st->seen;
	}
	return res;
}

enum bs_result bs_coder_new(struct bs_coder **ret, struct bs_stats *st)
{
	struct bs_coder *coder;
	enum bs_result res = BS_OK;

	*ret = NULL;
	bs_stats_flush(st);
	coder = calloc(1, sizeof(*coder));
	if (!coder)
		return BS_ERR_NOMEM;
	if (st->dtype != BS_DTYPE_BYTES && st->seen &&
	    (!st->fields || st->n_sample))
		res = choose_model(coder, st);
	if (res) {
		bs_coder_free(coder);
		return res;
	}
	*ret = coder;
	return BS_OK;
}

static void classes_fini(struct bs_coder_classes *c)
{
	free(c->class);
	free(c->object);
}

void bs_coder_free(struct bs_coder *coder)
{
	unsigned i;

	if (!coder)
		return;
	for (i = 0; i < PLANES_MAX; i++)
		free(coder->planes[i]);
	classes_fini(&coder->rows);
	classes_fini(&coder->columns);
	free(coder);
}
