/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_decode.c - one chunk, from stored bytes to checked bytes
 *
 * A chunk in planes (docs/format.md 9) is decoded in blocks that stay in the
 * second-level cache, plane after coded plane.  With the last coded plane a
 * block's raw bits are merged at once, so that with one coded plane, which is
 * usual, elements are written once and never read.  Only the end of the raw
 * section has to wait: the lanes carry it, and give it back when all symbols
 * are decoded.  Nothing here allocates, and no byte outside 'stored' and 'dst'
 * is touched.
 */

#include "bits.h"
#include "checksum.h"
#include "kernels.h"
#include "model.h"
#include "upstream/tensor.h"
#include "workspace.h"

#include <assert.h>

#define CHECK(cond)                            \
	do {                                   \
		if (!(cond))                   \
			return BS_ERR_CORRUPT; \
	} while (0)

/* A term whose source is in the raw section: eight bits of a plane or the fewer
 * that are left, or what one part of the element takes of them. */
struct raw_term {
	size_t off[PIECES_MAX]; /* of its pieces in the section */
	struct bs_term t; /* src not set */
};

/* Sources, and the parts that cut some of them. */
#define RAW_TERMS_MAX (8 + PLANES_MAX + PLANES_MAX * PARTS_MAX)

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
	size_t n_early; /* elements before any with carried bits */
	struct raw_term raw_terms[RAW_TERMS_MAX];
	unsigned n_raw_terms;
	uint8_t carried[CARRY_MAX];
};

static bool is_raw(const struct bs_plane *p, const struct bs_freq *local)
{
	return p->coding == PLANE_RAW ||
	       (p->coding == PLANE_LOCAL && !local->prob_bits);
}

/* The offsets of the pieces of 'bits' bits, at most 8, in the section. */
static void add_pieces(struct layout *lay, unsigned bits,
		       size_t off[PIECES_MAX])
{
	unsigned k = 0, here;

	for (; bits; bits -= here) {
		here = bs_piece_bits(bits);
		off[k++] = lay->raw_len;
		lay->raw_len += bs_piece_len(here, lay->n);
	}
}

static void add_raw_plane(struct layout *lay, const struct bs_plane *p)
{
	struct bs_segment seg[PARTS_MAX];
	unsigned first, bits, n_seg, i;
	size_t off[PIECES_MAX] = { 0 };

	for (first = 0; first < p->width; first += bits) {
		bits = p->width - first < 8 ? p->width - first : 8;
		add_pieces(lay, bits, off);
		n_seg = bs_segments(p, first, bits, seg);
		for (i = 0; i < n_seg; i++) {
			struct raw_term *r =
				&lay->raw_terms[lay->n_raw_terms++];

			assert(lay->n_raw_terms <= RAW_TERMS_MAX);
			memcpy(r->off, off, sizeof(off));
			r->t = (struct bs_term){
				.entry_bits = (uint8_t)bits,
				.shift = seg[i].src_shift,
				.bits = seg[i].bits,
				.lo = seg[i].lo,
			};
		}
	}
}

/* The first element, a multiple of 64, of whose bits in a piece the lanes carry
 * some. */
static size_t first_carried(const struct layout *lay, size_t off, unsigned bits)
{
	size_t here = lay->raw_stored > off ? lay->raw_stored - off : 0;

	if (here >= bs_piece_len(bits, lay->n))
		return lay->n;
	return here / (8 * (size_t)bits) * 64;
}

/* How many bytes of the raw section the lanes carry, and which elements have
 * none of their bits there: whole groups of 64. */
static void measure_carry(struct layout *lay)
{
	size_t carry = lay->has_coded ? lay->raw_len & ~(size_t)1 : 0;
	unsigned i;

	if (carry > CARRY_MAX)
		carry = CARRY_MAX;
	lay->raw_stored = lay->raw_len - carry;
	lay->n_early = lay->n;
	for (i = 0; i < lay->n_raw_terms; i++) {
		const struct raw_term *r = &lay->raw_terms[i];
		unsigned bits = r->t.entry_bits, k = 0, here;

		for (; bits; bits -= here, k++) {
			size_t n;

			here = bs_piece_bits(bits);
			n = first_carried(lay, r->off[k], here);
			if (n < lay->n_early)
				lay->n_early = n;
		}
	}
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
	size_t at = 4;
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
			add_raw_plane(lay, &lay->desc->planes[i]);
	}
	measure_carry(lay);

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

/* ---- Merging ------------------------------------------------------------ */

/* Any number of terms. */
static void merge(void *dst, unsigned unit, size_t n, const uint64_t *base,
		  const struct bs_term *terms, unsigned n_terms)
{
	const struct bs_kernels *k = bs_kernels();

	while (n_terms > TERMS_MAX) {
		k->plane_merge(dst, unit, n, base, terms, TERMS_MAX);
		base = NULL;
		terms += TERMS_MAX;
		n_terms -= TERMS_MAX;
	}
	k->plane_merge(dst, unit, n, base, terms, n_terms);
}

/* The raw bits of elements from the i-th, a multiple of 64, on; none of them
 * carried.  Returns how many terms. */
static unsigned raw_terms(const struct layout *lay, size_t i,
			  struct bs_term *ret)
{
	unsigned k, piece, bits, here;

	for (k = 0; k < lay->n_raw_terms; k++) {
		const struct raw_term *r = &lay->raw_terms[k];

		ret[k] = r->t;
		bits = r->t.entry_bits;
		for (piece = 0; bits; bits -= here, piece++) {
			here = bs_piece_bits(bits);
			ret[k].src[piece] =
				lay->raw + r->off[piece] + i * here / 8;
		}
	}
	return lay->n_raw_terms;
}

/* The raw planes of a chunk without coded ones. */
static void merge_raw(const struct layout *lay, const uint64_t *base,
		      uint8_t *dst)
{
	struct bs_term terms[RAW_TERMS_MAX];
	unsigned n_terms;
	size_t i, n;

	for (i = 0; i < lay->n; i += n) {
		n = lay->n - i < BLOCK ? lay->n - i : BLOCK;
		n_terms = raw_terms(lay, i, terms);
		merge(dst + i * lay->desc->unit, lay->desc->unit, n, base,
		      terms, n_terms);
	}
}

/* Copy 'len' bytes at 'off' of the raw section, carried bytes included. */
static void copy_raw(const struct layout *lay, uint8_t *dst, size_t off,
		     size_t len)
{
	size_t here = off < lay->raw_stored ? lay->raw_stored - off : 0;

	here = here < len ? here : len;
	memcpy(dst, lay->raw + off, here);
	if (here < len)
		memcpy(dst + here,
		       lay->carried + (off + here - lay->raw_stored),
		       len - here);
}

/* The raw bits of the elements that had to wait for carried ones: few. */
static void merge_late(const struct layout *lay, struct bs_workspace *ws,
		       uint8_t *dst)
{
	unsigned unit = lay->desc->unit, k, piece, bits, here;
	size_t i, n, len;

	for (i = lay->n_early; i < lay->n; i += n) {
		n = lay->n - i < BLOCK ? lay->n - i : BLOCK;
		for (k = 0; k < lay->n_raw_terms; k++) {
			const struct raw_term *r = &lay->raw_terms[k];
			struct bs_term t = r->t;
			uint8_t *to = ws->patch;

			bits = t.entry_bits;
			for (piece = 0; bits; bits -= here, piece++) {
				here = bs_piece_bits(bits);
				len = bs_piece_len(here, n);
				copy_raw(lay, to, r->off[piece] + i * here / 8,
					 len);
				t.src[piece] = to;
				to += len;
			}
			merge(dst + i * unit, unit, n, NULL, &t, 1);
		}
	}
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

/* What decoding one plane needs, the same for shared and local tables. */
struct plane_job {
	const struct bs_plane *p;
	unsigned index;
	unsigned prob_bits;
	const bs_slot *slots;
	const struct bs_classes *rows; /* NULL: no classes */
	const struct bs_classes *columns;
	unsigned q_max; /* of any row and column together */
	uint64_t width; /* elements a row */
	uint64_t first; /* the chunk's first element, in the blob */
	const uint64_t *base; /* of elements; NULL: they have it already */
	bool is_last; /* raw bits are merged with this plane */
};

/* Where the bits of a coded plane come from.  Returns how many terms. */
static unsigned coded_terms(const struct plane_job *job,
			    const struct bs_workspace *ws, struct bs_term *ret)
{
	const struct bs_plane *p = job->p;
	struct bs_segment seg[PARTS_MAX];
	unsigned n = bs_segments(p, 0, p->width, seg), i;

	for (i = 0; i < n; i++) {
		ret[i] = (struct bs_term){
			.src = { ws->sym },
			.q = job->q_max >> p->table_log2 ? ws->q : NULL,
			.add = (uint16_t)p->base,
			.entry_bits = 8,
			.q_drop = p->table_log2,
			.q_shift = p->shift,
			.shift = seg[i].src_shift,
			.bits = seg[i].bits,
			.lo = seg[i].lo,
		};
	}
	return n;
}

/* Put the next escapes in place of the values of escaped elements.  'terms'
 * are the plane's own. */
static enum bs_result take_escapes(struct layout *lay, unsigned plane,
				   const uint8_t *sym,
				   const struct bs_term *terms,
				   unsigned n_terms, uint8_t *dst, size_t n)
{
	const struct bs_plane *p = &lay->desc->planes[plane];
	unsigned len = bs_escape_len(p), unit = lay->desc->unit, k;
	const uint8_t *end = sym + n, *at = sym;

	/* Escapes are rare: memchr() passes over the rest. */
	while ((at = memchr(at, p->escape, (size_t)(end - at)))) {
		uint8_t *to = dst + (size_t)(at - sym) * unit;
		uint64_t element = 0, value;

		CHECK(lay->n_escapes[plane] > 0);
		lay->n_escapes[plane]--;
		value = len == 1 ? *lay->escapes : get_u16(lay->escapes);
		lay->escapes += len;
		memcpy(&element, to, unit);
		for (k = 0; k < n_terms; k++) {
			const struct bs_term *t = &terms[k];
			uint64_t mask = (UINT64_C(1) << t->bits) - 1;

			element &= ~(mask << t->lo);
			element |= (value >> t->shift & mask) << t->lo;
		}
		memcpy(to, &element, unit);
		at++;
	}
	return BS_OK;
}

/* Symbols of n elements, and what 'terms' make of them. */
static enum bs_result decode_and_merge(const struct plane_job *job,
				       unsigned unit, struct bs_rans_dec *d,
				       struct bs_workspace *ws, uint8_t *dst,
				       size_t n, struct bs_term *terms,
				       unsigned n_terms)
{
	const struct bs_kernels *k = bs_kernels();
	unsigned table_mask = (1u << job->p->table_log2) - 1, t;
	const uint16_t *q = job->rows && table_mask ? ws->q : NULL;
	enum bs_result res;
	size_t i = 0;

	if (k->decode_merge) {
		i = k->decode_merge(d, job->slots, job->prob_bits, q,
				    table_mask, ws->sym, dst, unit, n,
				    job->base, terms, n_terms);
		for (t = 0; t < n_terms; t++)
			bs_term_skip(&terms[t], i);
	}
	res = k->rans_decode(d, job->slots, job->prob_bits, q ? q + i : NULL,
			     table_mask, ws->sym + i, n - i);
	if (!res && i < n)
		merge(dst + i * unit, unit, n - i, job->base, terms, n_terms);
	return res;
}

/* Elements [i, i + n) of one plane, all or none of them early. */
static enum bs_result decode_step(const struct plane_job *job,
				  struct layout *lay, struct bs_rans_dec *d,
				  struct bs_workspace *ws, uint8_t *dst,
				  size_t i, size_t n)
{
	struct bs_term terms[PARTS_MAX + RAW_TERMS_MAX];
	unsigned n_coded = coded_terms(job, ws, terms), n_terms = n_coded;
	enum bs_result res;

	if (job->is_last && i < lay->n_early)
		n_terms += raw_terms(lay, i, terms + n_coded);
	if (job->rows)
		bs_kernels()->class_sums(ws->q, job->rows->class,
					 job->columns->class, job->width,
					 job->first + i, n);
	dst += i * lay->desc->unit;
	res = decode_and_merge(job, lay->desc->unit, d, ws, dst, n, terms,
			       n_terms);
	if (res || job->p->escape == NO_ESCAPE)
		return res;
	return take_escapes(lay, job->index, ws->sym, terms, n_coded, dst, n);
}

static enum bs_result decode_plane(const struct plane_job *job,
				   struct layout *lay, struct bs_rans_dec *d,
				   struct bs_workspace *ws, uint8_t *dst)
{
	enum bs_result res;
	size_t i, n;

	for (i = 0; i < lay->n; i += n) {
		size_t end = i < lay->n_early ? lay->n_early : lay->n;

		n = end - i < BLOCK ? end - i : BLOCK;
		res = decode_step(job, lay, d, ws, dst, i, n);
		if (res)
			return res;
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

/* The job of plane i, if it is coded here. */
static bool make_job(struct plane_job *ret, const struct layout *lay,
		     const struct bs_model *m, struct bs_workspace *ws,
		     unsigned i)
{
	const struct bs_plane *p = &lay->desc->planes[i];

	*ret = (struct plane_job){ .p = p, .index = i };
	if (p->coding == PLANE_CODED) {
		ret->prob_bits = m->planes[i].prob_bits;
		ret->slots = m->planes[i].slots;
		ret->q_max = m->planes[i].q_max;
		if (m->planes[i].rows.class || m->planes[i].columns.class) {
			ret->rows = &m->planes[i].rows;
			ret->columns = &m->planes[i].columns;
		}
		return true;
	}
	ret->prob_bits = ws->local[i].prob_bits;
	ret->slots = ws->local_slots;
	return p->coding == PLANE_LOCAL && ret->prob_bits;
}

static enum bs_result decode_coded(struct layout *lay, const struct bs_model *m,
				   uint64_t width, uint64_t first,
				   const uint64_t *base,
				   struct bs_workspace *ws, uint8_t *dst)
{
	struct plane_job job;
	struct bs_rans_dec d;
	enum bs_result res;
	unsigned i, last = 0;

	for (i = 0; i < LANES; i++)
		d.x[i] = get_u32(lay->states + 4 * (size_t)i);
	d.words = lay->words;
	d.end = lay->words_end;
	for (i = 0; i < lay->desc->n_planes; i++) {
		if (make_job(&job, lay, m, ws, i))
			last = i;
	}
	for (i = 0; i <= last; i++) {
		if (!make_job(&job, lay, m, ws, i))
			continue;
		job.width = width;
		job.first = first;
		job.base = base;
		job.is_last = i == last;
		base = NULL;
		if (job.rows) {
			res = check_classes(job.rows, job.columns, width,
					    first + lay->n);
			if (res)
				return res;
		}
		if (job.p->coding == PLANE_LOCAL)
			bs_freq_slots(&ws->local[i], ws->local_slots);
		res = decode_plane(&job, lay, &d, ws, dst);
		if (res)
			return res;
	}
	return take_carried(lay, &d);
}

/* ---- Planes ------------------------------------------------------------- */

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
	struct layout lay;
	uint64_t element;
	enum bs_result res;

	CHECK(m && chunk->raw_len % m->desc.unit == 0 &&
	      chunk->blob_off % m->desc.unit == 0);
	/* Not the arrays: they are filled as far as they are used. */
	lay.has_coded = false;
	lay.raw_len = 0;
	lay.n_raw_terms = 0;
	memset(lay.n_escapes, 0, sizeof(lay.n_escapes));
	lay.desc = &m->desc;
	lay.n = chunk->raw_len / m->desc.unit;
	res = read_layout(&lay, ws, stored, chunk->stored_len);
	if (res)
		return res;
	element = constant_bits(&m->desc);
	if (!lay.has_coded) {
		merge_raw(&lay, &element, dst);
		return BS_OK;
	}
	res = decode_coded(&lay, m, blob->width, chunk->blob_off / m->desc.unit,
			   &element, ws, dst);
	if (res)
		return res;
	merge_late(&lay, ws, dst);
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
	case BS_CODING_UPSTREAM:
		CHECK(model && model->up);
		return bs_up_model_decode(model->up, &ws->cursor,
					  chunk->blob_off, chunk->raw_len, dst);
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
	/* Of upstream's the model knows the checksums. */
	if (chunk->coding != BS_CODING_UPSTREAM &&
	    bs_xxh3_64(dst, chunk->raw_len) != chunk->raw_sum)
		return BS_ERR_CHECKSUM;
	return BS_OK;
}

enum bs_result bs_chunk_check_stored(const struct bs_chunk *chunk,
				     const void *stored)
{
	if (chunk->coding != BS_CODING_UPSTREAM &&
	    bs_xxh3_64(stored, chunk->stored_len) != chunk->stored_sum)
		return BS_ERR_CHECKSUM;
	return BS_OK;
}
