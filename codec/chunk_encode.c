/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_encode.c - one chunk, from raw bytes to the smallest stored ones
 *
 * Tried in order: a repeated pattern; the coder's planes; zstd, where the coder
 * says so or has no planes; the bytes as they are.  rANS encodes backwards, so
 * planes, blocks and elements are all visited last first, and words and
 * escapes grow downwards from the ends of their buffers.
 */

#include "bits.h"
#include "checksum.h"
#include "coder.h"
#include "kernels.h"
#include "rans.h"
#include "scale.h"
#include "workspace.h"

#include <stdlib.h>

struct encoding {
	const struct bs_coder *coder;
	struct bs_workspace *ws;
	const uint8_t *src;
	size_t n; /* elements */
	uint64_t first; /* the number of the first one in its blob */
	unsigned unit;
	size_t raw_len; /* of the raw section */
	size_t carry; /* bytes of it that the lanes carry */
	bool has_coded;
	uint32_t n_escapes[PLANES_MAX];
	uint8_t *escapes; /* those written so far begin here */
	struct bs_rans_enc rans;
	uint16_t local_entry[1][SYMBOLS_MAX];
	uint16_t local_has[1][SYMBOLS_MAX / 16];
	struct bs_enc_symbol local_enc[SYMBOLS_MAX];
	uint32_t local_packed[SYMBOLS_MAX];
};

static enum bs_result make_buffers(struct bs_workspace *ws)
{
	if (ws->raw)
		return BS_OK;
	ws->words = malloc(BS_CHUNK_RAW_MAX);
	ws->escapes = malloc(BS_CHUNK_RAW_MAX);
	if (ws->words && ws->escapes)
		ws->raw = malloc(RAW_SECTION_MAX);
	if (ws->raw)
		return BS_OK;
	free(ws->words);
	free(ws->escapes);
	ws->words = ws->escapes = NULL;
	return BS_ERR_NOMEM;
}

/* The shortest of 1, 2, 4, 8 bytes that 'raw' repeats, or 0. */
static size_t pattern_len(const uint8_t *raw, size_t len)
{
	size_t p;

	for (p = 1; p <= 8; p *= 2) {
		if (len % p == 0 && len > p && !memcmp(raw, raw + p, len - p))
			return p;
	}
	return 0;
}

/* ---- Raw section -------------------------------------------------------- */

/* Where bits [first, first + n) of a plane's value are.  Returns in how many
 * places. */
static unsigned find_bits(const struct bs_plane *p, unsigned first, unsigned n,
			  struct bs_bits *ret)
{
	struct bs_segment seg[PARTS_MAX];
	unsigned n_seg = bs_segments(p, first, n, seg), i;

	_Static_assert(PARTS_MAX <= BITS_MAX, "a value's parts fit");
	for (i = 0; i < n_seg; i++)
		ret[i] = (struct bs_bits){ seg[i].lo, seg[i].bits,
					   seg[i].src_shift };
	return n_seg;
}

static void put_raw_section(struct encoding *e)
{
	const struct bs_model_desc *desc = &e->coder->desc;
	struct bs_bits from[BITS_MAX];
	unsigned i, first, bits, n_from;

	for (i = 0; i < desc->n_planes; i++) {
		const struct bs_plane *p = &desc->planes[i];

		if (p->coding == PLANE_CONSTANT || p->coding == PLANE_CODED ||
		    (p->coding == PLANE_LOCAL && e->ws->local[i].prob_bits))
			continue;
		for (first = 0; first < p->width; first += bits) {
			bits = bs_piece_bits(p->width - first);
			n_from = find_bits(p, first, bits, from);
			bs_kernels()->take_piece(e->ws->raw + e->raw_len, bits,
						 e->src, e->unit, e->n, from,
						 n_from);
			e->raw_len += bs_piece_len(bits, e->n);
		}
	}
}

/* ---- Coded planes ------------------------------------------------------- */

/* Count the values of a plane in the first 'part' elements of every block, and
 * make a table of them.  Returns what it saves of '*ret_raw', in 1/65536 bits. */
static int64_t try_local(struct encoding *e, const struct bs_plane *p,
			 size_t part, struct bs_freq *freq, uint64_t *ret_raw)
{
	uint64_t counts[SYMBOLS_MAX] = { 0 };
	struct bs_bits from[BITS_MAX];
	unsigned n_from = find_bits(p, 0, p->width, from);
	size_t at, n, total = 0;
	uint64_t cost;

	for (at = 0; at < e->n; at += BLOCK, total += n) {
		n = e->n - at < part ? e->n - at : part;
		bs_kernels()->take_piece(e->ws->piece, 8, e->src + at * e->unit,
					 e->unit, n, from, n_from);
		bs_count_bytes(counts, e->ws->piece, n);
	}
	bs_freq_normalise(freq, counts, 1u << p->width, PROB_BITS_MAX);
	cost = bs_freq_cost(freq, counts, 1u << p->width);
	*ret_raw = (uint64_t)p->width * total << 16;
	return (int64_t)*ret_raw - (int64_t)cost;
}

/*
 * A table for this chunk's values of a local plane, if it pays.  Low bits of
 * mantissas are mostly noise: a quarter of each block shows it, by which a table
 * looks better than it is.
 */
static void choose_local(struct encoding *e, unsigned plane)
{
	const struct bs_plane *p = &e->coder->desc.planes[plane];
	struct bs_freq *freq = &e->ws->local[plane];
	uint32_t gain = e->coder->local_gain;
	uint64_t raw, table;
	int64_t saved;

	saved = try_local(e, p, BLOCK / 4, freq, &raw);
	if (saved >= (int64_t)(raw / gain / 2)) {
		saved = try_local(e, p, BLOCK, freq, &raw);
		table = (uint64_t)bs_freq_len(freq) << 19;
		if (saved - (int64_t)table >= (int64_t)(raw / gain)) {
			e->has_coded = true;
			return;
		}
	}
	freq->prob_bits = 0;
}

/* The value of one element. */
static uint16_t value_at(const struct encoding *e,
			 const struct bs_entry_rule *rule, size_t i)
{
	uint64_t element = 0, value = 0;
	unsigned k;

	memcpy(&element, e->src + i * e->unit, e->unit);
	for (k = 0; k < rule->n_from; k++) {
		const struct bs_bits *b = &rule->from[k];

		value |= (element >> b->lo & ((UINT64_C(1) << b->bits) - 1))
			 << b->shift;
	}
	return (uint16_t)value;
}

/* The values of elements from 'at' on that have no symbol go to the side, last
 * first. */
static bool put_escapes(struct encoding *e, unsigned plane,
			const struct bs_entry_rule *rule, size_t at,
			const uint64_t *others, size_t n)
{
	const struct bs_plane *p = &e->coder->desc.planes[plane];
	unsigned len = bs_escape_len(p), bit;
	size_t word = div_up(n, 64);

	if (p->escape == NO_ESCAPE)
		return false;
	while (word-- > 0) {
		uint64_t left = others[word];

		for (; left; left ^= UINT64_C(1) << bit) {
			uint8_t value[2];

			bit = 63 - (unsigned)__builtin_clzll(left);
			if (e->escapes - e->ws->escapes < (ptrdiff_t)len)
				return false;
			put_u16(value, value_at(e, rule, at + 64 * word + bit));
			e->escapes -= len;
			memcpy(e->escapes, value, len);
			e->n_escapes[plane]++;
		}
	}
	return true;
}

/* The classes of elements [at, at + n), or NULL. */
static const uint16_t *sum_classes(struct encoding *e, unsigned plane,
				   size_t at, size_t n)
{
	const struct bs_coder *coder = e->coder;

	if (plane || !coder->width)
		return NULL;
	bs_kernels()->class_sums(e->ws->q, coder->rows.class,
				 coder->columns.class, coder->width,
				 e->first + at, n);
	return e->ws->q;
}

/* How a plane is encoded. */
struct way {
	struct bs_entry_rule rule;
	struct bs_enc_tables tables;
};

static void find_way(struct encoding *e, unsigned plane, struct way *ret)
{
	const struct bs_plane *p = &e->coder->desc.planes[plane];
	const struct bs_coder_plane *cp = e->coder->planes[plane];
	const struct bs_freq *freq = cp ? cp->freq : &e->ws->local[plane];
	bool is_symbol[SYMBOLS_MAX];
	unsigned s;

	memset(ret, 0, sizeof(*ret));
	ret->rule.unit = e->unit;
	ret->rule.n_from = find_bits(p, 0, p->width, ret->rule.from);
	ret->rule.mask = (uint16_t)((1u << p->width) - 1);
	ret->tables.prob_bits = freq->prob_bits;
	if (!cp) {
		for (s = 0; s < SYMBOLS_MAX; s++)
			is_symbol[s] = freq->f[s];
		bs_entry_table(e->local_entry[0], e->local_has[0], 0, 0,
			       is_symbol);
		bs_freq_enc(freq, e->local_enc);
		bs_freq_pack(freq, e->local_packed);
		ret->rule.entry_of = e->local_entry;
		ret->rule.has = e->local_has;
		ret->tables.symbols = e->local_enc;
		ret->tables.packed = e->local_packed;
		return;
	}
	ret->rule.base = (uint16_t)p->base;
	ret->rule.table_log2 = p->table_log2;
	ret->rule.shift = p->shift;
	ret->rule.other = p->escape == NO_ESCAPE ? 0 : (uint8_t)p->escape;
	ret->rule.entry_of = cp->entry_of;
	ret->rule.has = cp->has;
	ret->tables.symbols = cp->enc;
	ret->tables.packed = cp->packed;
}

static bool encode_plane(struct encoding *e, unsigned plane)
{
	const struct bs_kernels *k = bs_kernels();
	size_t at = (e->n - 1) / BLOCK * BLOCK, n = e->n - at;
	uint64_t others[BLOCK / 64];
	struct way w;

	find_way(e, plane, &w);
	for (;;) {
		const uint16_t *q = sum_classes(e, plane, at, n);

		if (k->take_entries(e->ws->entry, e->src + at * e->unit, n,
				    &w.rule, q, others) &&
		    !put_escapes(e, plane, &w.rule, at, others, n))
			return false;
		if (!k->rans_encode(&e->rans, &w.tables, e->ws->entry, n))
			return false;
		if (!at)
			return true;
		at -= BLOCK;
		n = BLOCK;
	}
}

static bool encode_coded(struct encoding *e)
{
	const struct bs_model_desc *desc = &e->coder->desc;
	size_t k;
	unsigned i;

	e->carry = e->raw_len & ~(size_t)1;
	if (e->carry > CARRY_MAX)
		e->carry = CARRY_MAX;
	for (k = 0; k < LANES; k++)
		e->rans.x[k] = 65536;
	for (k = 0; k < e->carry / 2; k++)
		e->rans.x[k] +=
			get_u16(e->ws->raw + e->raw_len - e->carry + 2 * k);
	e->rans.limit = e->ws->words;
	e->rans.words = e->ws->words + BS_CHUNK_RAW_MAX;
	for (i = desc->n_planes; i-- > 0;) {
		if ((desc->planes[i].coding == PLANE_CODED ||
		     (desc->planes[i].coding == PLANE_LOCAL &&
		      e->ws->local[i].prob_bits)) &&
		    !encode_plane(e, i))
			return false;
	}
	return true;
}

/* ---- Putting it together ------------------------------------------------ */

struct out {
	uint8_t *p;
	size_t len;
	size_t cap;
};

static bool put(struct out *o, const void *src, size_t len)
{
	if (len > o->cap - o->len)
		return false;
	if (len)
		memcpy(o->p + o->len, src, len);
	o->len += len;
	return true;
}

static bool put32(struct out *o, uint32_t v)
{
	uint8_t b[4];

	put_u32(b, v);
	return put(o, b, sizeof(b));
}

static bool put_prefix(struct encoding *e, struct out *o, size_t words_len)
{
	const struct bs_model_desc *desc = &e->coder->desc;
	uint8_t table[TABLE_SERIAL_MAX];
	bool fits = put32(o, (uint32_t)(words_len / 2));
	unsigned i;

	for (i = 0; i < desc->n_planes; i++) {
		if (desc->planes[i].escape != NO_ESCAPE)
			fits = fits && put32(o, e->n_escapes[i]);
	}
	for (i = 0; i < desc->n_planes; i++) {
		size_t len = 1;

		if (desc->planes[i].coding != PLANE_LOCAL)
			continue;
		table[0] = 0;
		if (e->ws->local[i].prob_bits)
			len = bs_freq_write(&e->ws->local[i], table);
		fits = fits && put(o, table, len);
	}
	return fits;
}

/* Whether the constant planes really are, in this chunk. */
static bool constants_hold(const struct encoding *e)
{
	const struct bs_model_desc *desc = &e->coder->desc;
	uint64_t mask = 0, want = 0, differ = 0, last = 0;
	size_t len = e->n * e->unit, at;
	struct bs_bits from[BITS_MAX];
	unsigned i, k, n_from;

	for (i = 0; i < desc->n_planes; i++) {
		const struct bs_plane *p = &desc->planes[i];

		if (p->coding != PLANE_CONSTANT)
			continue;
		n_from = find_bits(p, 0, p->width, from);
		for (k = 0; k < n_from; k++) {
			uint64_t low = UINT64_MAX >> (64 - from[k].bits);

			mask |= low << from[k].lo;
			want |= (p->base >> from[k].shift & low) << from[k].lo;
		}
	}
	if (!mask)
		return true;
	for (i = e->unit; i < 8; i *= 2) {
		mask |= mask << 8 * i;
		want |= want << 8 * i;
	}
	for (at = 0; len - at >= 8; at += 8)
		differ |= (get_u64(e->src + at) ^ want) & mask;
	k = 8 * (unsigned)(len - at);
	memcpy(&last, e->src + at, len - at);
	differ |= ((last ^ want) & mask) & ((UINT64_C(1) << k) - 1);
	return !differ;
}

/* Stored length of the chunk in planes, or 0: not codable, or not smaller. */
static size_t encode_planes(struct encoding *e, uint8_t *dst, size_t cap)
{
	const struct bs_model_desc *desc = &e->coder->desc;
	uint8_t *escapes_end = e->ws->escapes + BS_CHUNK_RAW_MAX;
	uint8_t *words_end = e->ws->words + BS_CHUNK_RAW_MAX;
	struct out o = { .p = dst, .cap = cap };
	size_t words_len = 0;
	unsigned i;

	e->escapes = escapes_end;
	if (!constants_hold(e))
		return 0;
	for (i = 0; i < desc->n_planes; i++) {
		e->has_coded |= desc->planes[i].coding == PLANE_CODED;
		if (desc->planes[i].coding == PLANE_LOCAL)
			choose_local(e, i);
	}
	put_raw_section(e);
	if (e->has_coded) {
		if (!encode_coded(e))
			return 0;
		words_len = (size_t)(words_end - e->rans.words);
	}
	if (!put_prefix(e, &o, words_len))
		return 0;
	if (e->has_coded && (!put(&o, e->rans.x, STATES_LEN) ||
			     !put(&o, e->rans.words, words_len)))
		return 0;
	if (!put(&o, e->escapes, (size_t)(escapes_end - e->escapes)) ||
	    !put(&o, e->ws->raw, e->raw_len - e->carry))
		return 0;
	return o.len;
}

static void encode_best(const struct bs_coder *coder, struct bs_workspace *ws,
			uint64_t off, const uint8_t *raw, size_t len,
			uint8_t *dst, struct bs_encoded *ret)
{
	size_t best = len, n;

	n = pattern_len(raw, len);
	if (n) {
		memcpy(dst, raw, n);
		ret->stored_len = (uint32_t)n;
		ret->coding = BS_CODING_CONSTANT;
		return;
	}
	ret->coding = BS_CODING_RAW;
	if (coder && coder->has_planes && len % coder->desc.unit == 0) {
		struct encoding e = {
			.coder = coder,
			.ws = ws,
			.src = raw,
			.n = len / coder->desc.unit,
			.first = off / coder->desc.unit,
			.unit = coder->desc.unit,
		};

		n = encode_planes(&e, dst, best - 1);
		if (n) {
			best = n;
			ret->coding = BS_CODING_PLANES;
		}
	}
	if (!coder || !coder->has_planes || coder->try_zstd ||
	    ret->coding == BS_CODING_RAW) {
		n = bs_zstd_encode(ws->zstd, ws->words, best - 1, raw, len);
		if (n) {
			best = n;
			memcpy(dst, ws->words, n);
			ret->coding = BS_CODING_ZSTD;
		}
	}
	if (ret->coding == BS_CODING_RAW)
		memcpy(dst, raw, len);
	ret->stored_len = (uint32_t)best;
}

enum bs_result bs_chunk_encode(const struct bs_coder *coder,
			       struct bs_workspace *ws, uint64_t off,
			       const void *raw, size_t raw_len, void *dst,
			       struct bs_encoded *ret)
{
	enum bs_result res = make_buffers(ws);

	memset(ret, 0, sizeof(*ret));
	if (res)
		return res;
	if (!raw_len || raw_len > BS_CHUNK_RAW_MAX)
		return BS_ERR_PARAM;
	ret->raw_len = (uint32_t)raw_len;
	ret->raw_sum = bs_xxh3_64(raw, raw_len);
	encode_best(coder, ws, off, raw, raw_len, dst, ret);
	ret->stored_sum = bs_xxh3_64(dst, ret->stored_len);
	return BS_OK;
}
