/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_encode.c - one chunk, from raw bytes to the smallest stored ones
 *
 * Tried in order: a repeated pattern; the coder's planes; zstd, where the coder
 * says so or has no planes; the bytes as they are.  rANS encodes backwards, so
 * planes, blocks and elements are all visited last first, and words and
 * escapes grow downwards from the ends of their buffers.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* memrchr() */
#endif

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
	struct bs_enc_symbol local_enc[SYMBOLS_MAX];
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

/* Bits [first, first + bits) of a plane's value, for n elements at 'src'. */
static void take_piece(const struct encoding *e, const struct bs_plane *p,
		       unsigned first, unsigned bits, const uint8_t *src,
		       uint8_t *dst, size_t n)
{
	struct bs_segment seg[PARTS_MAX];
	unsigned n_seg = bs_segments(p, first, bits, seg), s;

	for (s = 0; s < n_seg; s++)
		bs_plane_take8(dst, src, e->unit, n, seg[s].lo, seg[s].bits,
			       seg[s].src_shift);
}

static void put_piece(struct encoding *e, const struct bs_plane *p,
		      unsigned first, unsigned bits)
{
	struct bs_workspace *ws = e->ws;
	size_t i, n, padded;

	for (i = 0; i < e->n; i += n) {
		n = e->n - i < BLOCK ? e->n - i : BLOCK;
		padded = (n + 63) / 64 * 64;
		memset(ws->piece, 0, padded);
		take_piece(e, p, first, bits, e->src + i * e->unit, ws->piece,
			   n);
		if (bits == 8)
			memcpy(ws->raw + e->raw_len, ws->piece, n);
		else
			bs_piece_pack(ws->raw + e->raw_len, ws->piece, bits,
				      padded / 64);
		e->raw_len += bs_piece_len(bits, n);
	}
}

static void put_raw_section(struct encoding *e)
{
	const struct bs_model_desc *desc = &e->coder->desc;
	unsigned i, first, bits;

	for (i = 0; i < desc->n_planes; i++) {
		const struct bs_plane *p = &desc->planes[i];

		if (p->coding == PLANE_CONSTANT || p->coding == PLANE_CODED ||
		    (p->coding == PLANE_LOCAL && e->ws->local[i].prob_bits))
			continue;
		for (first = 0; first < p->width; first += bits) {
			bits = bs_piece_bits(p->width - first);
			put_piece(e, p, first, bits);
		}
	}
}

/* ---- Coded planes ------------------------------------------------------- */

/* A table for this chunk's values of a local plane, if it pays. */
static void choose_local(struct encoding *e, unsigned plane)
{
	const struct bs_plane *p = &e->coder->desc.planes[plane];
	struct bs_freq *freq = &e->ws->local[plane];
	uint64_t counts[SYMBOLS_MAX] = { 0 };
	uint64_t raw_cost = (uint64_t)p->width * e->n << 16, cost;
	uint8_t table[TABLE_SERIAL_MAX];
	size_t i, k, n;

	for (i = 0; i < e->n; i += n) {
		n = e->n - i < BLOCK ? e->n - i : BLOCK;
		memset(e->ws->piece, 0, n);
		take_piece(e, p, 0, p->width, e->src + i * e->unit,
			   e->ws->piece, n);
		for (k = 0; k < n; k++)
			counts[e->ws->piece[k]]++;
	}
	bs_freq_normalise(freq, counts, 1u << p->width, PROB_BITS_MAX);
	cost = bs_freq_cost(freq, counts, 1u << p->width) +
	       ((uint64_t)bs_freq_write(freq, table) << 19);
	if (cost > raw_cost - raw_cost / e->coder->local_gain)
		freq->prob_bits = 0;
	else
		e->has_coded = true;
}

/* Every escape of ws->sym puts its value to the side, last first. */
static bool put_escapes(struct encoding *e, unsigned plane, size_t n)
{
	const struct bs_plane *p = &e->coder->desc.planes[plane];
	unsigned len = bs_escape_len(p);
	const uint8_t *sym = e->ws->sym, *at;

	while ((at = memrchr(sym, p->escape, n))) {
		n = (size_t)(at - sym);
		if (e->escapes - e->ws->escapes < (ptrdiff_t)len)
			return false;
		e->escapes -= len;
		if (len == 1)
			*e->escapes = (uint8_t)e->ws->value[n];
		else
			put_u16(e->escapes, e->ws->value[n]);
		e->n_escapes[plane]++;
	}
	return true;
}

/* Take the base, and what its class adds, off every value. */
static void take_offsets(struct encoding *e, const struct bs_plane *p,
			 const uint16_t *q, size_t n)
{
	uint16_t mask = (uint16_t)((1u << p->width) - 1);
	uint16_t base = (uint16_t)p->base;
	unsigned log2 = p->table_log2, shift = p->shift;
	const uint16_t *restrict value = e->ws->value;
	uint16_t *restrict offset = e->ws->offset;
	size_t i;

	for (i = 0; !q && i < n; i++)
		offset[i] = (uint16_t)(value[i] - base) & mask;
	for (i = 0; q && i < n; i++)
		offset[i] = (uint16_t)(value[i] - base -
				       ((unsigned)q[i] >> log2 << shift)) &
			    mask;
}

/* Values to symbols; escapes go to the side.  False: not codable.  (A symbol
 * without a frequency and without an escape is for bs_rans_encode() to see.) */
static bool to_symbols(struct encoding *e, unsigned plane, const uint16_t *q,
		       size_t n)
{
	const struct bs_plane *p = &e->coder->desc.planes[plane];
	const struct bs_coder_plane *cp = e->coder->planes[plane];
	const uint16_t *restrict offset = e->ws->offset;
	unsigned table_mask = (1u << p->table_log2) - 1;
	uint8_t *restrict sym = e->ws->sym;
	uint16_t most = 0;
	size_t i;

	take_offsets(e, p, q, n);
	if (p->escape == NO_ESCAPE) {
		for (i = 0; i < n; i++) {
			most = offset[i] > most ? offset[i] : most;
			sym[i] = (uint8_t)offset[i];
		}
		return most < p->n_symbols;
	}
	for (i = 0; !q && i < n; i++)
		sym[i] = offset[i] < SYMBOLS_MAX ? cp->symbol_of[0][offset[i]]
						 : (uint8_t)p->escape;
	for (i = 0; q && i < n; i++)
		sym[i] = offset[i] < SYMBOLS_MAX
				 ? cp->symbol_of[q[i] & table_mask][offset[i]]
				 : (uint8_t)p->escape;
	return put_escapes(e, plane, n);
}

/* Elements [at, at + n) of one plane into ws->sym. */
static bool take_symbols(struct encoding *e, unsigned plane, const uint16_t *q,
			 size_t at, size_t n)
{
	const struct bs_plane *p = &e->coder->desc.planes[plane];
	const uint8_t *src = e->src + at * e->unit;
	struct bs_segment seg[PARTS_MAX];
	unsigned n_seg, s;

	if (p->coding == PLANE_LOCAL) {
		memset(e->ws->sym, 0, n);
		take_piece(e, p, 0, p->width, src, e->ws->sym, n);
		return true;
	}
	memset(e->ws->value, 0, n * sizeof(e->ws->value[0]));
	n_seg = bs_segments(p, 0, p->width, seg);
	for (s = 0; s < n_seg; s++)
		bs_plane_take16(e->ws->value, src, e->unit, n, seg[s].lo,
				seg[s].bits, seg[s].src_shift);
	return to_symbols(e, plane, q, n);
}

/* The classes of elements [at, at + n), or NULL. */
static const uint16_t *sum_classes(struct encoding *e, unsigned plane,
				   size_t at, size_t n)
{
	const struct bs_coder *coder = e->coder;

	if (plane || !coder->width)
		return NULL;
	bs_class_sums(e->ws->q, coder->rows.class, coder->columns.class,
		      coder->width, e->first + at, n);
	return e->ws->q;
}

static bool encode_plane(struct encoding *e, unsigned plane)
{
	const struct bs_plane *p = &e->coder->desc.planes[plane];
	unsigned table_mask = (1u << p->table_log2) - 1;
	const struct bs_coder_plane *cp = e->coder->planes[plane];
	const struct bs_freq *freq = cp ? cp->freq : &e->ws->local[plane];
	const struct bs_enc_symbol *enc = cp ? cp->enc : e->local_enc;
	size_t at = (e->n - 1) / BLOCK * BLOCK, n = e->n - at;

	if (!cp)
		bs_freq_enc(freq, e->local_enc);
	for (;;) {
		const uint16_t *q = sum_classes(e, plane, at, n);

		if (!take_symbols(e, plane, q, at, n) ||
		    !bs_kernels()->rans_encode(&e->rans, enc, freq->prob_bits,
					       q, table_mask, e->ws->sym, n))
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
	unsigned i, first;
	size_t at, n, k;

	for (i = 0; i < desc->n_planes; i++) {
		const struct bs_plane *p = &desc->planes[i];

		if (p->coding != PLANE_CONSTANT)
			continue;
		for (first = 0; first < p->width; first += 8) {
			unsigned bits = p->width - first;
			uint8_t want;

			bits = bits < 8 ? bits : 8;
			want = p->base >> first & ((1u << bits) - 1);
			for (at = 0; at < e->n; at += n) {
				n = e->n - at < BLOCK ? e->n - at : BLOCK;
				memset(e->ws->piece, 0, n);
				take_piece(e, p, first, bits,
					   e->src + at * e->unit, e->ws->piece,
					   n);
				for (k = 0; k < n; k++) {
					if (e->ws->piece[k] != want)
						return false;
				}
			}
		}
	}
	return true;
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
