/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_decode.c - one chunk, from stored bytes to checked bytes
 *
 * A chunk in planes (docs/format.md 9) is decoded in blocks that stay in the
 * first-level cache.  The coded planes come first, each OR-ed into the
 * elements; then the lanes' states give back the carried bytes, and with them
 * the raw section is whole and can be merged.  Nothing here allocates, and no
 * byte outside 'stored' and 'dst' is touched.
 */

#include "bits.h"
#include "checksum.h"
#include "kernels.h"
#include "model.h"
#include "workspace.h"

#define CHECK(cond)                            \
	do {                                   \
		if (!(cond))                   \
			return BS_ERR_CORRUPT; \
	} while (0)

/* The parts of the stored bytes, found and measured. */
struct layout {
	const struct bs_model_desc *desc;
	size_t n; /* elements */
	bool has_coded;
	uint32_t n_escapes[PLANES_MAX];
	const uint8_t *states;
	const uint8_t *words;
	const uint8_t *words_end;
	const uint8_t *escapes;
	const uint8_t *raw;
	size_t raw_len; /* of the section */
	size_t raw_stored; /* without the carried bytes */
	uint8_t carried[CARRY_MAX];
};

static bool is_raw(const struct bs_plane *p, const struct bs_freq *local)
{
	return p->coding == PLANE_RAW ||
	       (p->coding == PLANE_LOCAL && !local->prob_bits);
}

static size_t raw_plane_len(const struct bs_plane *p, size_t n)
{
	unsigned left = p->width, bits;
	size_t len = 0;

	for (; left; left -= bits) {
		bits = bs_piece_bits(left);
		len += bs_piece_len(bits, n);
	}
	return len;
}

/* Local tables; *ret_at moves past them. */
static enum bs_result read_local(struct layout *lay, struct bs_workspace *ws,
				 const uint8_t *stored, size_t len,
				 size_t *ret_at)
{
	size_t at = *ret_at, used;
	enum bs_result res;
	unsigned i;

	for (i = 0; i < lay->desc->n_planes; i++) {
		const struct bs_plane *p = &lay->desc->planes[i];

		if (p->coding != PLANE_LOCAL)
			continue;
		CHECK(at < len);
		ws->local[i].prob_bits = 0;
		used = 1;
		if (stored[at]) {
			res = bs_freq_read(&ws->local[i], stored + at, len - at,
					   &used);
			if (res)
				return res;
			CHECK(bs_freq_n_symbols(&ws->local[i]) <=
			      1u << p->width);
			lay->has_coded = true;
		}
		at += used;
	}
	*ret_at = at;
	return BS_OK;
}

static enum bs_result read_layout(struct layout *lay, struct bs_workspace *ws,
				  const uint8_t *stored, size_t len)
{
	uint64_t escapes_len = 0, words_len;
	enum bs_result res;
	size_t at = 4, carry;
	unsigned i;

	CHECK(len >= at);
	words_len = 2 * (uint64_t)get_u32(stored);
	for (i = 0; i < lay->desc->n_planes; i++) {
		const struct bs_plane *p = &lay->desc->planes[i];

		lay->has_coded |= p->coding == PLANE_CODED;
		if (p->escape == NO_ESCAPE)
			continue;
		CHECK(in_range(at, 4, len));
		lay->n_escapes[i] = get_u32(stored + at);
		escapes_len += (uint64_t)lay->n_escapes[i] * bs_escape_len(p);
		at += 4;
	}
	res = read_local(lay, ws, stored, len, &at);
	if (res)
		return res;
	for (i = 0; i < lay->desc->n_planes; i++) {
		if (is_raw(&lay->desc->planes[i], &ws->local[i]))
			lay->raw_len +=
				raw_plane_len(&lay->desc->planes[i], lay->n);
	}
	carry = lay->has_coded ? lay->raw_len & ~(size_t)1 : 0;
	if (carry > CARRY_MAX)
		carry = CARRY_MAX;
	lay->raw_stored = lay->raw_len - carry;

	lay->states = stored + at;
	at += lay->has_coded ? STATES_LEN : 0;
	CHECK(at <= len && in_range(at, words_len, len));
	lay->words = stored + at;
	at += words_len;
	lay->words_end = stored + at;
	CHECK(in_range(at, escapes_len, len));
	lay->escapes = stored + at;
	at += escapes_len;
	lay->raw = stored + at;
	CHECK(len - at == lay->raw_stored);
	CHECK(lay->has_coded || !words_len);
	return BS_OK;
}

/* ---- Coded planes ------------------------------------------------------- */

static enum bs_result check_classes(const struct bs_classes *rows,
				    const struct bs_classes *columns,
				    uint64_t width, uint64_t end)
{
	if (!rows->class && !columns->class)
		return BS_OK;
	CHECK(width > 0);
	CHECK(!rows->class || rows->n >= div_up(end, width));
	CHECK(!columns->class || columns->n >= width);
	return BS_OK;
}

/* q[i] = class of the row + class of the column of element at + i */
static void sum_classes(uint16_t *q, const struct bs_classes *rows,
			const struct bs_classes *columns, uint64_t width,
			uint64_t at, size_t n)
{
	uint64_t row = at / width, column = at % width;
	size_t i = 0;

	while (i < n) {
		size_t m = n - i;
		unsigned base = rows->class ? rows->class[row] : 0;
		size_t k;

		if (m > width - column)
			m = width - column;
		for (k = 0; k < m; k++)
			q[i + k] =
				(uint16_t)(base +
					   (columns->class ? columns->class
								     [column + k]
							   : 0));
		i += m;
		row++;
		column = 0;
	}
}

/*
 * Symbols to values, bytes where the plane's width allows: half the work for
 * all that follows.  'q' as for rans_decode.  Sums are of 'type', so that
 * vectors hold as many as they can.
 */
#define TO_VALUES(type)                                                      \
	do {                                                                 \
		type *restrict to = value;                                   \
		type mask = (type)((1u << p->width) - 1);                    \
		type base = (type)p->base;                                   \
                                                                             \
		for (i = 0; i < n; i++) {                                    \
			type v = (type)(sym[i] + base);                      \
                                                                             \
			if (q)                                               \
				v = (type)(v + ((uint32_t)q[i] >>            \
						p->table_log2 << p->shift)); \
			to[i] = v & mask;                                    \
		}                                                            \
	} while (0)

static void to_values(const struct bs_plane *p, const uint8_t *restrict sym,
		      const uint16_t *restrict q, void *value, size_t n)
{
	size_t i;

	if (p->width <= 8)
		TO_VALUES(uint8_t);
	else
		TO_VALUES(uint16_t);
}

/* Replace the values of escaped elements by the next escapes. */
static enum bs_result take_escapes(struct layout *lay, unsigned plane,
				   const uint8_t *sym, void *value, size_t n)
{
	const struct bs_plane *p = &lay->desc->planes[plane];
	unsigned len = bs_escape_len(p);
	uint32_t mask = (1u << p->width) - 1;
	const uint8_t *end = sym + n, *at = sym;

	/* Escapes are rare: memchr() passes over the rest. */
	while ((at = memchr(at, p->escape, (size_t)(end - at)))) {
		CHECK(lay->n_escapes[plane] > 0);
		lay->n_escapes[plane]--;
		if (len == 1)
			((uint8_t *)value)[at - sym] =
				(uint8_t)(*lay->escapes & mask);
		else
			((uint16_t *)value)[at - sym] =
				(uint16_t)(get_u16(lay->escapes) & mask);
		lay->escapes += len;
		at++;
	}
	return BS_OK;
}

/* What decoding one plane needs, the same for shared and local tables. */
struct plane_job {
	const struct bs_plane *p;
	unsigned index;
	unsigned prob_bits;
	const bs_slot *slots;
	const struct bs_classes *rows;
	const struct bs_classes *columns;
	uint64_t width; /* elements a row */
	uint64_t first; /* the chunk's first element, in the blob */
};

static enum bs_result decode_plane(const struct plane_job *job,
				   struct layout *lay, struct bs_rans_dec *d,
				   struct bs_workspace *ws, uint8_t *dst)
{
	const struct bs_kernels *k = bs_kernels();
	const struct bs_plane *p = job->p;
	bool has_q = job->rows && (job->rows->class || job->columns->class);
	const uint16_t *q = has_q ? ws->q : NULL;
	unsigned unit = lay->desc->unit, n_seg, s;
	struct bs_segment seg[PARTS_MAX];
	enum bs_result res;
	size_t i, n;

	n_seg = bs_segments(p, 0, p->width, seg);
	for (i = 0; i < lay->n; i += n) {
		const void *src = ws->sym;
		unsigned src_bytes = 1;

		n = lay->n - i < BLOCK ? lay->n - i : BLOCK;
		if (has_q)
			sum_classes(ws->q, job->rows, job->columns, job->width,
				    job->first + i, n);
		res = k->rans_decode(d, job->slots, job->prob_bits, q,
				     (1u << p->table_log2) - 1, ws->sym, n);
		if (res)
			return res;
		if (p->coding == PLANE_CODED) {
			to_values(p, ws->sym, q, ws->value, n);
			src = ws->value;
			src_bytes = bs_escape_len(p);
		}
		if (p->escape != NO_ESCAPE) {
			res = take_escapes(lay, job->index, ws->sym, ws->value,
					   n);
			if (res)
				return res;
		}
		for (s = 0; s < n_seg; s++)
			k->plane_or(dst + i * unit, unit, src, src_bytes, n,
				    seg[s].src_shift, seg[s].bits, seg[s].lo);
	}
	return lay->n_escapes[job->index] ? BS_ERR_CORRUPT : BS_OK;
}

/* What the lanes carried, once every plane is decoded. */
static enum bs_result take_carried(struct layout *lay,
				   const struct bs_rans_dec *d)
{
	size_t n = (lay->raw_len - lay->raw_stored) / 2, i;

	CHECK(d->words == d->end);
	for (i = 0; i < LANES; i++) {
		CHECK(d->x[i] >> 16 == 1);
		if (i < n)
			put_u16(lay->carried + 2 * i, (uint16_t)d->x[i]);
		else
			CHECK((uint16_t)d->x[i] == 0);
	}
	return BS_OK;
}

static enum bs_result decode_coded(struct layout *lay, const struct bs_model *m,
				   uint64_t width, uint64_t first,
				   struct bs_workspace *ws, uint8_t *dst)
{
	struct bs_rans_dec d;
	enum bs_result res;
	unsigned i;

	for (i = 0; i < LANES; i++)
		d.x[i] = get_u32(lay->states + 4 * (size_t)i);
	d.words = lay->words;
	d.end = lay->words_end;
	for (i = 0; i < lay->desc->n_planes; i++) {
		const struct bs_plane *p = &lay->desc->planes[i];
		struct plane_job job = { .p = p, .index = i };

		if (p->coding == PLANE_CODED) {
			job.prob_bits = m->planes[i].prob_bits;
			job.slots = m->planes[i].slots;
			job.rows = &m->planes[i].rows;
			job.columns = &m->planes[i].columns;
			job.width = width;
			job.first = first;
			res = check_classes(job.rows, job.columns, width,
					    first + lay->n);
			if (res)
				return res;
		} else if (p->coding == PLANE_LOCAL && ws->local[i].prob_bits) {
			job.prob_bits = ws->local[i].prob_bits;
			bs_freq_slots(&ws->local[i], ws->local_slots);
			job.slots = ws->local_slots;
		} else {
			continue;
		}
		res = decode_plane(&job, lay, &d, ws, dst);
		if (res)
			return res;
	}
	return take_carried(lay, &d);
}

/* ---- Raw and constant planes -------------------------------------------- */

/* 'len' bytes at 'off' of the raw section, carried bytes included. */
static const uint8_t *raw_bytes(const struct layout *lay,
				struct bs_workspace *ws, size_t off, size_t len)
{
	size_t here;

	if (off + len <= lay->raw_stored)
		return lay->raw + off;
	here = off < lay->raw_stored ? lay->raw_stored - off : 0;
	memcpy(ws->patch, lay->raw + off, here);
	memcpy(ws->patch + here, lay->carried + (off + here - lay->raw_stored),
	       len - here);
	return ws->patch;
}

/* Value bits [first, first + bits) of n elements at 'dst', from a piece's
 * bytes at 'off' of the raw section. */
static void merge_piece(const struct layout *lay, struct bs_workspace *ws,
			const struct bs_plane *p, unsigned first, unsigned bits,
			size_t off, uint8_t *dst, size_t n)
{
	const struct bs_kernels *k = bs_kernels();
	const uint8_t *src = raw_bytes(lay, ws, off, bs_piece_len(bits, n));
	struct bs_segment seg[PARTS_MAX];
	unsigned n_seg, s;

	if (bits < 8) {
		bs_piece_unpack(ws->piece, src, bits, (n + 63) / 64);
		src = ws->piece;
	}
	n_seg = bs_segments(p, first, bits, seg);
	for (s = 0; s < n_seg; s++)
		k->plane_or(dst, lay->desc->unit, src, 1, n, seg[s].src_shift,
			    seg[s].bits, seg[s].lo);
}

/* All pieces of n elements from the i-th, a multiple of 64, at 'dst'. */
static void merge_block(const struct layout *lay, struct bs_workspace *ws,
			size_t i, uint8_t *dst, size_t n)
{
	size_t off = 0; /* of the piece */
	unsigned k, first, bits;

	for (k = 0; k < lay->desc->n_planes; k++) {
		const struct bs_plane *p = &lay->desc->planes[k];

		if (!is_raw(p, &ws->local[k]))
			continue;
		for (first = 0; first < p->width; first += bits) {
			bits = bs_piece_bits(p->width - first);
			merge_piece(lay, ws, p, first, bits,
				    off + bs_piece_len(bits, i), dst, n);
			off += bs_piece_len(bits, lay->n);
		}
	}
}

static void merge_raw(const struct layout *lay, struct bs_workspace *ws,
		      uint8_t *dst)
{
	size_t i, n;

	for (i = 0; i < lay->n; i += n) {
		n = lay->n - i < BLOCK ? lay->n - i : BLOCK;
		merge_block(lay, ws, i, dst + i * lay->desc->unit, n);
	}
}

/* The bits that constant planes give every element. */
static uint64_t constant_bits(const struct bs_model_desc *desc)
{
	uint64_t element = 0;
	unsigned i, k, at;

	for (i = 0; i < desc->n_planes; i++) {
		const struct bs_plane *p = &desc->planes[i];

		if (p->coding != PLANE_CONSTANT)
			continue;
		for (k = p->n_parts, at = 0; k-- > 0;) {
			unsigned bits = p->parts[k].bits;
			uint64_t mask = bits == 64 ? ~UINT64_C(0)
						   : (UINT64_C(1) << bits) - 1;

			element |= (p->base >> at & mask) << p->parts[k].lo;
			at += bits;
		}
	}
	return element;
}

static enum bs_result decode_planes(const struct bs_chunk *chunk,
				    const struct bs_blob *blob,
				    const struct bs_model *m,
				    struct bs_workspace *ws,
				    const uint8_t *stored, uint8_t *dst)
{
	struct layout lay = { 0 };
	uint64_t element;
	enum bs_result res;

	CHECK(m && chunk->raw_len % m->desc.unit == 0 &&
	      chunk->blob_off % m->desc.unit == 0);
	lay.desc = &m->desc;
	lay.n = chunk->raw_len / m->desc.unit;
	res = read_layout(&lay, ws, stored, chunk->stored_len);
	if (res)
		return res;
	element = constant_bits(&m->desc);
	if (element)
		bs_fill(dst, chunk->raw_len, &element, m->desc.unit);
	else
		memset(dst, 0, chunk->raw_len);
	if (lay.has_coded)
		res = decode_coded(&lay, m, blob->width,
				   chunk->blob_off / m->desc.unit, ws, dst);
	if (res)
		return res;
	merge_raw(&lay, ws, dst);
	return BS_OK;
}

/* ---- A chunk ------------------------------------------------------------ */

static enum bs_result decode(const struct bs_chunk *chunk,
			     const struct bs_blob *blob,
			     const struct bs_model *model,
			     struct bs_workspace *ws, const void *stored,
			     void *dst)
{
	switch ((enum bs_coding)chunk->coding) {
	case BS_CODING_RAW:
		CHECK(chunk->stored_len == chunk->raw_len);
		memcpy(dst, stored, chunk->raw_len);
		return BS_OK;
	case BS_CODING_CONSTANT:
		CHECK(chunk->stored_len && chunk->stored_len <= 8 &&
		      !(chunk->stored_len & (chunk->stored_len - 1)) &&
		      chunk->raw_len % chunk->stored_len == 0);
		bs_fill(dst, chunk->raw_len, stored, chunk->stored_len);
		return BS_OK;
	case BS_CODING_ZSTD:
		return bs_zstd_decode(ws->zstd, dst, chunk->raw_len, stored,
				      chunk->stored_len);
	case BS_CODING_PLANES:
		return decode_planes(chunk, blob, model, ws, stored, dst);
	}
	return BS_ERR_CORRUPT;
}

enum bs_result bs_chunk_decode(const struct bs_chunk *chunk,
			       const struct bs_blob *blob,
			       const struct bs_model *model,
			       struct bs_workspace *ws, const void *stored,
			       void *dst)
{
	enum bs_result res;

	res = decode(chunk, blob, model, ws, stored, dst);
	if (res)
		return res;
	if (bs_xxh3_64(dst, chunk->raw_len) != chunk->raw_sum)
		return BS_ERR_CHECKSUM;
	return BS_OK;
}

enum bs_result bs_chunk_check_stored(const struct bs_chunk *chunk,
				     const void *stored)
{
	if (bs_xxh3_64(stored, chunk->stored_len) != chunk->stored_sum)
		return BS_ERR_CHECKSUM;
	return BS_OK;
}
