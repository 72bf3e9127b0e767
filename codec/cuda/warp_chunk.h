/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warp_chunk.h - one chunk by one warp, from stored bytes to decoded ones
 *
 * chunk_decode.c is the specification: the same bytes, and the same chunks
 * called corrupt.  Which bytes a corrupt chunk leaves in its place is not the
 * same; none are written outside of it.
 */

#ifndef BS_WARP_CHUNK_H
#define BS_WARP_CHUNK_H

#include "../bigsmall.h"
#include "portable.h"
#include "warp_layout.h"
#include "warp_rans.h"
#include "warp_xxh3.h"

/* ---- Raw bits that wait ------------------------------------------------- */

/* A byte of the raw section, carried or not. */
DEVICE uint32_t raw_byte(const struct warp_layout *lay,
			 const struct warp_scratch *ws, uint32_t off)
{
	if (off < lay->raw_stored)
		return fetch8(lay->stored + lay->raw_at + off);
	return ws->carried[off - lay->raw_stored];
}

/* The value of an entry of 'bits' bits at 'off' of the section. */
DEVICE uint32_t raw_value(const struct warp_layout *lay,
			  const struct warp_scratch *ws, uint32_t off,
			  unsigned bits, uint32_t i)
{
	uint32_t group = i / LANES, k = i % LANES, v = 0, byte;
	unsigned done = 0, piece;

	if (bits == 8)
		return raw_byte(lay, ws, off + i);
	for (piece = 4; piece > 1; piece /= 2) {
		uint32_t stride = 8 * piece;

		if (!(bits & piece))
			continue;
		byte = raw_byte(lay, ws, off + stride * group + k % stride);
		v |= (byte >> k / stride * piece & ((1u << piece) - 1)) << done;
		off += entry_len(lay, piece);
		done += piece;
	}
	if (bits & 1) {
		byte = raw_byte(lay, ws, off + 8 * group + k / 8);
		v |= (byte >> k % 8 & 1) << done;
	}
	return v;
}

/*
 * The raw bits of the elements from lay->n_early on: those whose bits the lanes
 * carried, and what is left of a step.
 */
DEVICE_CALL void merge_late(const struct bs_device_head *head,
			    const struct warp_layout *lay,
			    const struct warp_scratch *ws, uint8_t *dst)
{
	unsigned unit = head->unit;
	uint32_t i;

	warp_sync(); /* other lanes stored what is loaded here */
	for (i = lay->n_early; i < lay->n; i += WARP) {
		FOR_LANES (t) {
			uint8_t *p = dst + (size_t)(i + t) * unit;
			uint32_t r, k, v;
			uint64_t e = 0;

			for (r = 0; r < lay->n_raw && i + t < lay->n; r++) {
				const struct bs_device_entry *entry =
					&head->entries[ws->raw_entry[r]];
				const struct bs_device_segment *seg =
					&head->segments[entry->first_segment];

				v = raw_value(lay, ws, ws->raw_at[r],
					      entry->bits, i + t);
				for (k = 0; k < entry->n_segments; k++)
					e |= (uint64_t)(v >> seg[k].shift &
							((1u << seg[k].bits) -
							 1))
					     << seg[k].lo;
			}
			for (k = 0; k < unit && i + t < lay->n; k++)
				p[k] |= (uint8_t)(e >> 8 * k);
		}
	}
}

/* ---- Coded planes ------------------------------------------------------- */

/* A pass over the elements: one coded plane, or none and the raw ones alone. */
struct plane_job {
	const struct bs_device_head *head;
	const struct bs_device_entry *entry; /* NULL: no coded plane */
	/* Of the plane: in registers, since stores might change the head. */
	uint32_t base;
	uint32_t shift;
	uint32_t table_log2;
	uint32_t escape;
	uint32_t escape_len; /* 0: no escape */
	struct rans_tables tables;
	struct class_walk walk;
	uint32_t n_escapes; /* those left */
	const uint8_t *escapes;
	bool has_classes;
	bool is_first; /* elements are not loaded */
	bool is_last; /* raw bits come with it */
};

DEVICE uint32_t escape_at(const uint8_t *p, unsigned len)
{
	return len == 1 ? fetch8(p) : fetch16_any(p);
}

/* Whether a plane's classes cover the elements up to 'end'. */
DEVICE bool classes_suffice(const struct bs_device_plane *p, uint64_t width,
			    uint64_t end)
{
	if (!width)
		return false;
	if (p->rows && p->n_rows < end / width + (end % width != 0))
		return false;
	return !p->columns || p->n_columns >= width;
}

#define ELEMENT uint32_t
#define PLANES(name) fast_##name
#define GROUPS 4
#define IS_FAST 1
#include "warp_planes.h"

#define ELEMENT uint64_t
#define PLANES(name) any_##name
#define GROUPS 1
#define IS_FAST 0
#include "warp_planes.h"

/* What the fast way is not for; it is called, and has its own registers. */
DEVICE_CALL bool decode_rest(struct plane_job *job, struct rans_lanes *lanes,
			     const struct warp_layout *lay,
			     const struct warp_scratch *ws, uint8_t *dst,
			     uint32_t at)
{
	return any_decode(job, lanes, lay, ws, dst, at, lay->n);
}

/* A pass.  'is_near': its tables are in shared memory. */
DEVICE bool decode_pass(struct plane_job *job, struct rans_lanes *lanes,
			const struct warp_layout *lay,
			const struct warp_scratch *ws, uint8_t *dst,
			bool is_near)
{
	struct warp_layout lay_left;
	struct rans_lanes lanes_left;
	struct plane_job left;
	uint32_t at = 0;

	if (is_near && job->head->unit < 8 &&
	    is_aligned(dst, 2 * job->head->unit)) {
		at = lay->n - lay->n % STEP_MAX;
		if (!fast_decode(job, lanes, lay, ws, dst, 0, at))
			return false;
	}
	if (at < lay->n) {
		left = *job;
		lanes_left = *lanes;
		lay_left = *lay;
		if (!decode_rest(&left, &lanes_left, &lay_left, ws, dst, at))
			return false;
		*lanes = lanes_left;
		job->n_escapes = left.n_escapes;
	}
	return !job->n_escapes;
}

/* Whether plane i has symbols in this chunk. */
DEVICE bool is_coded(const struct bs_device_head *head,
		     const struct warp_scratch *ws, unsigned i)
{
	return head->planes[i].coding == PLANE_CODED || ws->local_at[i];
}

/* The job of a plane that is coded here.  False: its classes do not suffice,
 * or its local table is none. */
DEVICE bool make_job(struct plane_job *job, const struct bs_device_chunk *c,
		     const struct bs_device_head *head, const uint8_t *tables,
		     const struct warp_layout *lay,
		     const struct warp_scratch *ws, struct warp_local *local,
		     unsigned i)
{
	const struct bs_device_plane *p = &head->planes[i];
	uint64_t first = c->blob_off / head->unit;

	job->entry = &head->entries[p->first_entry];
	job->base = p->base;
	job->shift = p->shift;
	job->table_log2 = p->table_log2;
	job->escape = p->escape;
	job->escape_len = p->escape_len;
	job->n_escapes = ws->n_escapes[i];
	job->escapes = lay->stored + ws->escapes_at[i];
	job->has_classes = p->rows || p->columns;
	if (p->coding == PLANE_LOCAL) {
		job->tables.symbols = local->symbols;
		job->tables.slots = (const uint8_t *)local->slots;
		job->tables.near_symbols = near_of(local->symbols);
		job->tables.near_slots = near_of(local->slots);
		job->tables.n_symbols = 256;
		job->tables.prob_bits = table_build(
			lay->stored + ws->local_at[i],
			lay->len - ws->local_at[i], p->width, local);
		return job->tables.prob_bits != 0;
	}
	job->tables.symbols = tables + p->symbols;
	job->tables.slots = tables + p->slots;
	job->tables.near_symbols = near_of(job->tables.symbols);
	job->tables.near_slots = near_of(job->tables.slots);
	job->tables.prob_bits = p->prob_bits;
	job->tables.n_symbols = p->n_symbols;
	if (!job->has_classes)
		return true;
	job->walk.rows = c->image + p->rows;
	job->walk.n_rows = (uint32_t)p->n_rows;
	job->walk.columns = c->image + p->columns;
	job->walk.has_columns = p->columns != 0;
	if (!classes_suffice(p, c->width, first + lay->n))
		return false;
	walk_begin(&job->walk, first, c->width);
	return true;
}

/* The planes of a chunk, pass after pass.  False: corrupt. */
DEVICE bool decode_passes(const struct bs_device_chunk *c,
			  const struct bs_device_head *head,
			  const uint8_t *near, const struct warp_layout *lay,
			  struct warp_scratch *ws, struct warp_local *local)
{
	const uint8_t *far = c->image + sizeof(*head);
	unsigned i, last = 0;
	struct rans_lanes lanes;
	struct plane_job job;

	if (lay->has_coded)
		rans_begin(&lanes, lay, ws);
	for (i = 0; i < head->n_planes; i++) {
		if (is_coded(head, ws, i))
			last = i;
	}
	job.head = head;
	job.entry = NULL;
	job.n_escapes = 0;
	job.is_first = true;
	for (i = 0; i <= last; i++) {
		/* Without coded planes the first is a pass without symbols. */
		if (lay->has_coded) {
			if (!is_coded(head, ws, i))
				continue;
			if (!make_job(&job, c, head, near ? near : far, lay, ws,
				      local, i))
				return false;
		}
		job.is_last = i == last;
		if (!decode_pass(&job, &lanes, lay, ws, c->dst, near != NULL))
			return false;
		job.is_first = false;
	}
	return !lay->has_coded || rans_end(&lanes, lay, ws);
}

DEVICE bool decode_planes(const struct bs_device_chunk *c,
			  const struct bs_device_head *head,
			  const uint8_t *near, struct warp_scratch *ws,
			  struct warp_local *local)
{
	struct warp_layout found, lay;

	found.stored = c->stored;
	found.len = c->stored_len;
	found.n = c->raw_len / head->unit;
	if (!read_layout(head, &found, ws))
		return false;
	lay = found; /* one that no called function knows: in registers */
	if (!decode_passes(c, head, near, &lay, ws, local))
		return false;
	merge_late(head, &found, ws, c->dst);
	return true;
}

/* ---- Other codings ------------------------------------------------------ */

DEVICE_CALL void copy_bytes(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	uint32_t head = (uint32_t)(-(uintptr_t)dst % 8);
	uint32_t whole, i;

	if (head > len)
		head = len;
	whole = (len - head) / 8;
	FOR_LANES (t) {
		if (t < head)
			dst[t] = (uint8_t)fetch8(src + t);
		for (i = t; i < whole; i += WARP)
			write64(dst + head + 8 * (size_t)i,
				fetch64_any(src + head + 8 * (size_t)i));
		for (i = head + 8 * whole + t; i < len; i += WARP)
			dst[i] = (uint8_t)fetch8(src + i);
	}
}

/* 'pattern_len' bytes, 1, 2, 4 or 8, over 'len' bytes. */
DEVICE_CALL void fill_bytes(uint8_t *dst, uint32_t len, const uint8_t *pattern,
			    uint32_t pattern_len)
{
	uint32_t head = (uint32_t)(-(uintptr_t)dst % 8);
	uint32_t whole, i;
	uint64_t eight = 0;

	if (head > len)
		head = len;
	whole = (len - head) / 8;
	for (i = 0; i < 8; i++)
		eight |= (uint64_t)fetch8(pattern + (head + i) % pattern_len)
			 << 8 * i;
	FOR_LANES (t) {
		if (t < head)
			dst[t] = (uint8_t)fetch8(pattern + t % pattern_len);
		for (i = t; i < whole; i += WARP)
			write64(dst + head + 8 * (size_t)i, eight);
		for (i = head + 8 * whole + t; i < len; i += WARP)
			dst[i] = (uint8_t)fetch8(pattern + i % pattern_len);
	}
}

/* ---- A chunk ------------------------------------------------------------ */

/*
 * Decode a chunk; its checksum is warp_check()'s.  'head' is the model's.
 * 'near' are its tables in shared memory, or NULL: those of the image serve.
 * 'local' is needed where the model has local planes.
 */
DEVICE enum bs_result warp_decode(const struct bs_device_chunk *c,
				  const struct bs_device_head *head,
				  const uint8_t *near, struct warp_scratch *ws,
				  struct warp_local *local)
{
	uint32_t len = c->stored_len;
	bool is_good;

	switch (c->coding) {
	case BS_CODING_RAW:
		if (len != c->raw_len)
			return BS_ERR_CORRUPT;
		copy_bytes(c->dst, c->stored, len);
		return BS_OK;
	case BS_CODING_CONSTANT:
		if (!len || len > 8 || len & (len - 1) || c->raw_len % len)
			return BS_ERR_CORRUPT;
		fill_bytes(c->dst, c->raw_len, c->stored, len);
		return BS_OK;
	case BS_CODING_PLANES:
		if (!c->image || c->raw_len % head->unit ||
		    c->blob_off % head->unit)
			return BS_ERR_CORRUPT;
		is_good = decode_planes(c, head, near, ws, local);
		return is_good ? BS_OK : BS_ERR_CORRUPT;
	}
	return BS_ERR_CORRUPT;
}

/* Compare the sum of what was decoded. */
DEVICE enum bs_result warp_check(const struct bs_device_chunk *c)
{
	return warp_xxh3_64(c->dst, c->raw_len) == c->raw_sum ? BS_OK
							      : BS_ERR_CHECKSUM;
}

#endif /* BS_WARP_CHUNK_H */
