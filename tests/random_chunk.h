/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_chunk.h - a chunk of a random model, with everything that a model may
 * have, and the bytes that it stands for
 *
 * Planes and their parts are cut at random; there are tables of any size,
 * classes, escapes, offsets, local tables.  No encoder of the library makes
 * most of it.  Symbols are drawn from the tables, so the chunk is made one
 * element at a time, as docs/format.md 9 and 10 have it.
 */

#ifndef BS_RANDOM_CHUNK_H
#define BS_RANDOM_CHUNK_H

#include "bits.h"
#include "checksum.h"
#include "model.h"
#include "test.h"

enum random_kind {
	RANDOM_ANY,
	RANDOM_CODED, /* nothing is raw, nothing escapes: words come last */
	RANDOM_WIDE, /* not good: local tables have symbols too large */
};

struct random_plane {
	struct bs_freq freq[1 << TABLE_LOG2_MAX]; /* or [0] for a local one */
	bs_slot *slots[1 << TABLE_LOG2_MAX]; /* borrowed */
	bs_slot local_slots[1 << PROB_BITS_MAX];
	bool is_coded; /* in this chunk */
	uint8_t *sym; /* [n], owned */
	uint8_t *table; /* [n], owned */
	uint64_t *value; /* [n], owned */
	uint8_t *escapes; /* [2n], owned */
	uint32_t n_escapes;
};

struct random_chunk {
	struct bs_model *model; /* as bs_model_load() makes it; owned */
	struct bs_blob blob;
	struct bs_chunk chunk;
	uint8_t *raw; /* owned */
	uint8_t *stored; /* owned */
};

static inline unsigned below(uint64_t *seed, unsigned n)
{
	return (unsigned)(random_u64(seed) >> 33) % n;
}

/* ---- The model ---------------------------------------------------------- */

/* Cut the element into ranges of bits, and deal them out to planes. */
static inline void random_parts(struct bs_model_desc *d, uint64_t *seed)
{
	unsigned bits = 8 * d->unit, n = 0, at = 0, i, k;
	struct bs_part parts[PLANES_MAX * 2];
	unsigned n_max = 1 + below(seed, bits < 24 ? bits : 24);

	while (at < bits) {
		unsigned len = bits - at;

		if (n + 1 < n_max)
			len = 1 + below(seed, len < 10 ? len : 10);
		parts[n++] = (struct bs_part){ (uint8_t)at, (uint8_t)len };
		at += len;
	}
	for (i = n; i-- > 1;) {
		struct bs_part other = parts[k = below(seed, i + 1)];

		parts[k] = parts[i];
		parts[i] = other;
	}
	for (i = 0; i < n; i += k, d->n_planes++) {
		struct bs_plane *p = &d->planes[d->n_planes];

		k = 1 + below(seed, below(seed, 2) ? 2 : PARTS_MAX);
		if (n - i > 2 * (PLANES_MAX - d->n_planes - 1u))
			k = PARTS_MAX;
		k = k > n - i ? n - i : k;
		p->n_parts = (uint8_t)k;
		memcpy(p->parts, parts + i, k * sizeof(*parts));
		for (at = 0; at < k; at++)
			p->width = (uint8_t)(p->width + p->parts[at].bits);
	}
	assert_true(d->n_planes <= PLANES_MAX);
}

static inline void random_freq(struct bs_freq *f, unsigned n,
			       unsigned prob_bits, uint64_t *seed)
{
	uint64_t counts[SYMBOLS_MAX];
	unsigned s, gaps = below(seed, 3), slope = below(seed, 40);

	for (s = 0; s < n; s++)
		counts[s] = gaps && !below(seed, gaps + 1)
				    ? 0
				    : random_u64(seed) >> (24 + s * slope / n);
	bs_freq_normalise(f, counts, n, prob_bits);
}

static inline struct bs_classes random_classes(uint64_t n, uint64_t *seed)
{
	struct bs_classes c = { malloc(n), n };
	unsigned most = below(seed, 2) ? 256 : 12;
	uint64_t i;

	assert_non_null(c.class);
	for (i = 0; i < n; i++)
		c.class[i] = (uint8_t)below(seed, most);
	return c;
}

static inline void random_coding(struct bs_plane *p, enum random_kind kind,
				 unsigned *tables_left, uint64_t *seed)
{
	uint64_t mask = p->width == 64 ? ~UINT64_C(0)
				       : (UINT64_C(1) << p->width) - 1;
	unsigned n_codings = p->width <= 8 ? 4 : p->width <= 16 ? 3 : 2;
	uint64_t value = random_u64(seed) & mask;

	p->coding = (uint8_t)below(seed, n_codings);
	if (p->width <= 16 && below(seed, 2))
		p->coding = p->width <= 8 && below(seed, 2) ? PLANE_LOCAL
							    : PLANE_CODED;
	if (kind == RANDOM_CODED)
		p->coding = p->width <= 16 ? PLANE_CODED : PLANE_CONSTANT;
	if (!*tables_left && p->coding == PLANE_CODED)
		p->coding = kind == RANDOM_CODED ? PLANE_CONSTANT : PLANE_RAW;
	p->escape = NO_ESCAPE;
	p->row_classes = p->column_classes = NO_REFERENCE;
	if (p->coding == PLANE_CONSTANT)
		p->base = value;
	if (p->coding != PLANE_CODED)
		return;
	p->base = below(seed, 2) ? value : 0;
	p->shift = (uint8_t)below(seed, 16);
	p->n_symbols = (uint16_t)(2 + below(seed, 255));
	if (kind != RANDOM_CODED && below(seed, 2))
		p->escape = (uint16_t)below(seed, p->n_symbols);
	do
		p->table_log2 = (uint8_t)below(seed, TABLE_LOG2_MAX + 1);
	while (1u << p->table_log2 > *tables_left);
	*tables_left -= 1u << p->table_log2;
}

static inline void random_tables(struct bs_model *m, unsigned i,
				 struct random_plane *rp, bs_slot *slots,
				 uint64_t *seed)
{
	const struct bs_plane *p = &m->desc.planes[i];
	unsigned t, bits = PROB_BITS_MIN + below(seed, 3);

	m->planes[i].prob_bits = bits;
	m->planes[i].slots = slots;
	rp->is_coded = true;
	for (t = 0; t < 1u << p->table_log2; t++) {
		random_freq(&rp->freq[t], p->n_symbols, bits, seed);
		rp->slots[t] = slots + ((size_t)t << bits);
		bs_freq_slots(&rp->freq[t], rp->slots[t]);
	}
}

static inline void random_local(struct random_plane *rp, unsigned n_symbols,
				enum random_kind kind, uint64_t *seed)
{
	unsigned bits = PROB_BITS_MIN + below(seed, 3);

	/* One more symbol, which is never drawn, so that others are left. */
	bool is_wide = kind == RANDOM_WIDE && n_symbols < SYMBOLS_MAX;

	do
		random_freq(rp->freq, n_symbols + is_wide, bits, seed);
	while (is_wide &&
	       (!rp->freq->f[n_symbols] || rp->freq->f[n_symbols] > 900));
	bs_freq_slots(rp->freq, rp->local_slots);
	rp->slots[0] = rp->local_slots;
	rp->is_coded = true;
}

static inline void random_model(struct random_chunk *c, struct random_plane *rp,
				enum random_kind kind, uint64_t first, size_t n,
				uint64_t *seed)
{
	struct bs_model *m = c->model;
	unsigned tables_left = MODEL_TABLES_MAX, i, kinds;
	uint64_t width = c->blob.width;
	bs_slot *slots;

	slots = calloc((size_t)MODEL_TABLES_MAX << PROB_BITS_MAX,
		       sizeof(*slots));
	assert_non_null(slots);
	m->slots = slots;
	for (i = 0; i < m->desc.n_planes; i++) {
		struct bs_plane *p = &m->desc.planes[i];

		random_coding(p, kind, &tables_left, seed);
		if (p->coding == PLANE_LOCAL && below(seed, 4))
			random_local(&rp[i], 1u << p->width, kind, seed);
		if (p->coding != PLANE_CODED)
			continue;
		random_tables(m, i, &rp[i], slots, seed);
		slots += (size_t)1 << (p->table_log2 + PROB_BITS_MAX);
		kinds = width ? below(seed, 4) : 0;
		if (kinds & 1)
			m->planes[i].rows =
				random_classes(div_up(first + n, width), seed);
		if (kinds & 2 && width <= 1 << 16)
			m->planes[i].columns = random_classes(width, seed);
		m->planes[i].q_max = 255 * (!!m->planes[i].rows.class +
					    !!m->planes[i].columns.class);
	}
}

/* ---- The elements ------------------------------------------------------- */

static inline void put_parts(uint64_t *element, const struct bs_plane *p,
			     uint64_t value)
{
	unsigned i = p->n_parts, at = 0;

	while (i-- > 0) {
		uint64_t mask = ~UINT64_C(0) >> (64 - p->parts[i].bits);

		*element |= (value >> at & mask) << p->parts[i].lo;
		at += p->parts[i].bits;
	}
}

static inline uint64_t draw_value(const struct random_chunk *c, unsigned i,
				  struct random_plane *rp, uint64_t at,
				  size_t k, uint64_t *seed)
{
	const struct bs_plane *p = &c->model->desc.planes[i];
	const struct bs_classes *rows = &c->model->planes[i].rows;
	const struct bs_classes *columns = &c->model->planes[i].columns;
	unsigned bits = rp->freq[0].prob_bits, q = 0, t, len;
	uint64_t value;

	if (rows->class)
		q += rows->class[at / c->blob.width];
	if (columns->class)
		q += columns->class[at % c->blob.width];
	t = q & ((1u << p->table_log2) - 1);
	rp->table[k] = (uint8_t)t;
	do
		rp->sym[k] = (uint8_t)rp->slots[t][below(seed, 1u << bits)];
	while (p->coding == PLANE_LOCAL && rp->sym[k] >> p->width);
	value = rp->sym[k] + p->base +
		((uint64_t)(q >> p->table_log2) << p->shift);
	if (rp->sym[k] != p->escape)
		return value;
	len = bs_escape_len(p);
	value = random_u64(seed) & 0xffff;
	memcpy(rp->escapes + (size_t)len * rp->n_escapes++, &value, len);
	return value;
}

static inline void random_elements(struct random_chunk *c,
				   struct random_plane *rp, uint64_t first,
				   size_t n, uint64_t *seed)
{
	const struct bs_model_desc *d = &c->model->desc;
	uint64_t element, value;
	size_t k;
	unsigned i;

	for (k = 0; k < n; k++) {
		element = 0;
		for (i = 0; i < d->n_planes; i++) {
			const struct bs_plane *p = &d->planes[i];

			if (rp[i].is_coded)
				value = draw_value(c, i, &rp[i], first + k, k,
						   seed);
			else if (p->coding == PLANE_CONSTANT)
				value = p->base;
			else
				value = random_u64(seed);
			if (p->width < 64)
				value &= (UINT64_C(1) << p->width) - 1;
			rp[i].value[k] = value;
			put_parts(&element, p, value);
		}
		memcpy(c->raw + k * d->unit, &element, d->unit);
	}
}

/* ---- The stored bytes --------------------------------------------------- */

static inline size_t put_raw(const struct bs_model_desc *d,
			     const struct random_plane *rp, size_t n,
			     uint8_t *dst)
{
	size_t padded = (n + 63) / 64 * 64, len = 0, k;
	uint8_t *piece = malloc(padded + 1);
	unsigned i, first, bits;

	assert_non_null(piece);
	for (i = 0; i < d->n_planes; i++) {
		const struct bs_plane *p = &d->planes[i];

		if (rp[i].is_coded || p->coding == PLANE_CONSTANT)
			continue;
		for (first = 0; first < p->width; first += bits) {
			bits = bs_piece_bits(p->width - first);
			memset(piece, 0, padded);
			for (k = 0; k < n; k++)
				piece[k] = rp[i].value[k] >> first &
					   ((1u << bits) - 1);
			if (bits == 8)
				memcpy(dst + len, piece, n);
			else
				bs_piece_pack(dst + len, piece, bits,
					      padded / 64);
			len += bs_piece_len(bits, n);
		}
	}
	free(piece);
	return len;
}

/* Returns where the words begin; they end at 'words'. */
static inline uint8_t *put_words(const struct bs_model_desc *d,
				 const struct random_plane *rp, size_t n,
				 uint32_t *x, uint8_t *words)
{
	struct bs_enc_symbol enc[SYMBOLS_MAX];
	unsigned i, t, n_t;
	size_t k;

	for (i = d->n_planes; i-- > 0;) {
		unsigned bits = rp[i].freq[0].prob_bits;
		uint16_t start[1 << TABLE_LOG2_MAX][SYMBOLS_MAX];

		if (!rp[i].is_coded)
			continue;
		n_t = 1u << d->planes[i].table_log2;
		for (t = 0; t < n_t; t++) {
			bs_freq_enc(&rp[i].freq[t], enc);
			for (k = 0; k < SYMBOLS_MAX; k++)
				start[t][k] = enc[k].start;
		}
		for (k = n; k-- > 0;) {
			unsigned s = rp[i].sym[k];
			uint32_t f, *lane = &x[k % LANES];

			t = rp[i].table[k];
			f = rp[i].freq[t].f[s];
			if (*lane >= (uint64_t)f << (32 - bits)) {
				words -= 2;
				put_u16(words, (uint16_t)*lane);
				*lane >>= 16;
			}
			*lane = (*lane / f << bits) + *lane % f + start[t][s];
		}
	}
	return words;
}

static inline void random_stored(struct random_chunk *c,
				 const struct random_plane *rp, size_t n)
{
	const struct bs_model_desc *d = &c->model->desc;
	size_t words_max = 2 * n * d->n_planes, raw_len, carry = 0, at = 4, len;
	uint8_t *section = malloc(n * 8 + 64 * 128);
	uint8_t *words = malloc(words_max + 1), *begin;
	uint32_t x[LANES];
	bool has_coded = false;
	unsigned i;

	c->stored = malloc(words_max + n * 8 + 64 * 128 + 2 * n * PLANES_MAX +
			   PLANES_MAX * (4 + TABLE_SERIAL_MAX) + 1024);
	assert_true(section && words && c->stored);
	raw_len = put_raw(d, rp, n, section);
	for (i = 0; i < d->n_planes; i++) {
		has_coded |= rp[i].is_coded;
		if (d->planes[i].escape == NO_ESCAPE)
			continue;
		put_u32(c->stored + at, rp[i].n_escapes);
		at += 4;
	}
	for (i = 0; i < d->n_planes; i++) {
		if (d->planes[i].coding != PLANE_LOCAL)
			continue;
		c->stored[at] = 0;
		at += rp[i].is_coded ? bs_freq_write(rp[i].freq, c->stored + at)
				     : 1;
	}
	begin = words + words_max;
	if (has_coded) {
		carry = raw_len / 2 * 2;
		carry = carry > CARRY_MAX ? CARRY_MAX : carry;
		for (i = 0; i < LANES; i++)
			x[i] = 65536u + (i < carry / 2
						 ? get_u16(section + raw_len -
							   carry + 2 * i)
						 : 0);
		begin = put_words(d, rp, n, x, begin);
		memcpy(c->stored + at, x, STATES_LEN);
		at += STATES_LEN;
	}
	len = (size_t)(words + words_max - begin);
	put_u32(c->stored, (uint32_t)(len / 2));
	memcpy(c->stored + at, begin, len);
	at += len;
	for (i = 0; i < d->n_planes; i++) {
		if (d->planes[i].escape == NO_ESCAPE)
			continue;
		len = (size_t)rp[i].n_escapes * bs_escape_len(&d->planes[i]);
		memcpy(c->stored + at, rp[i].escapes, len);
		at += len;
	}
	memcpy(c->stored + at, section, raw_len - carry);
	c->chunk.stored_len = (uint32_t)(at + raw_len - carry);
	free(section);
	free(words);
}

/* ---- A chunk ------------------------------------------------------------ */

/* Up to n_max elements. */
static inline void random_chunk_make(struct random_chunk *c,
				     enum random_kind kind, size_t n_max,
				     uint64_t *seed)
{
	struct random_plane *rp = calloc(PLANES_MAX, sizeof(*rp));
	size_t n = 1 + below(seed, (unsigned)n_max);
	uint64_t first = below(seed, 5000);
	unsigned i, unit = 1u << below(seed, 4);

	memset(c, 0, sizeof(*c));
	c->model = calloc(1, sizeof(*c->model));
	c->raw = malloc(n * unit);
	assert_true(rp && c->model && c->raw);
	if (below(seed, 4))
		c->blob.width = 1 + below(seed, below(seed, 2) ? 80 : 3000);
	if (!below(seed, 8)) /* longer than anybody counts */
		c->blob.width = (UINT64_C(1) << (30 + below(seed, 30))) +
				below(seed, 100);
	if (c->blob.width > 1 << 16 && below(seed, 2)) /* but a row ends */
		first = c->blob.width - below(seed, (unsigned)n);
	if (c->blob.width > UINT64_C(1) << 40)
		first = below(seed, 5000);
	c->model->desc.unit = unit;
	random_parts(&c->model->desc, seed);
	random_model(c, rp, kind, first, n, seed);
	for (i = 0; i < c->model->desc.n_planes; i++) {
		rp[i].sym = malloc(n);
		rp[i].table = malloc(n);
		rp[i].value = malloc(n * sizeof(*rp[i].value));
		rp[i].escapes = malloc(2 * n);
		assert_true(rp[i].sym && rp[i].table && rp[i].value &&
			    rp[i].escapes);
	}
	random_elements(c, rp, first, n, seed);
	random_stored(c, rp, n);
	c->chunk.coding = BS_CODING_PLANES;
	c->chunk.raw_len = (uint32_t)(n * unit);
	c->chunk.blob_off = first * unit;
	c->chunk.raw_sum = bs_xxh3_64(c->raw, n * unit);
	for (i = 0; i < c->model->desc.n_planes; i++) {
		free(rp[i].sym);
		free(rp[i].table);
		free(rp[i].value);
		free(rp[i].escapes);
	}
	free(rp);
}

static inline void random_chunk_free(struct random_chunk *c)
{
	bs_model_free(c->model);
	free(c->raw);
	free(c->stored);
}

#endif /* BS_RANDOM_CHUNK_H */
