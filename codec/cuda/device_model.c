/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_model.c - the image of a model, made on the host
 */

#include "device_model.h"

#include "../bits.h"
#include "../model.h"
#include "../workspace.h"

#include <assert.h>

static unsigned n_tables(const struct bs_plane *p)
{
	return p->coding == PLANE_CODED ? 1u << p->table_log2 : 0;
}

/* Symbols first, since entries are aligned to 4: slots are a multiple of it. */
static size_t symbols_len(const struct bs_model *m, unsigned plane)
{
	const struct bs_plane *p = &m->desc.planes[plane];

	return (size_t)n_tables(p) << m->planes[plane].prob_bits;
}

static size_t slots_len(const struct bs_model *m, unsigned plane)
{
	const struct bs_plane *p = &m->desc.planes[plane];

	return 4 * (size_t)n_tables(p) * p->n_symbols;
}

static size_t tables_len(const struct bs_model *m)
{
	size_t len = 0;
	unsigned i;

	for (i = 0; i < m->desc.n_planes; i++)
		len += symbols_len(m, i) + slots_len(m, i);
	return round_up8(len);
}

size_t bs_device_model_len(const struct bs_model *model)
{
	size_t len = sizeof(struct bs_device_head) + tables_len(model);
	unsigned i;

	for (i = 0; i < model->desc.n_planes; i++)
		len += model->planes[i].rows.n + model->planes[i].columns.n;
	return round_up8(len);
}

/* ---- The head ----------------------------------------------------------- */

/* Where entries and segments go next. */
struct cursor {
	struct bs_device_head *head;
	unsigned entry;
	unsigned segment;
};

static void add_entry(struct cursor *c, const struct bs_plane *p,
		      unsigned first, unsigned bits)
{
	struct bs_device_entry *e = &c->head->entries[c->entry++];
	struct bs_segment seg[PARTS_MAX];
	unsigned n = bs_segments(p, first, bits, seg), i;

	assert(c->entry <= ENTRIES_MAX && c->segment + n <= SEGMENTS_MAX);
	e->bits = (uint8_t)bits;
	e->first_segment = (uint8_t)c->segment;
	e->n_segments = (uint8_t)n;
	for (i = 0; i < n; i++) {
		struct bs_device_segment *s = &c->head->segments[c->segment++];

		s->shift = seg[i].src_shift;
		s->bits = seg[i].bits;
		s->lo = seg[i].lo;
	}
}

/* Coded planes have one entry, others as many as the raw section has them. */
static void add_entries(struct cursor *c, const struct bs_plane *p,
			struct bs_device_plane *ret)
{
	unsigned first = 0, bits = p->width;

	ret->first_entry = (uint8_t)c->entry;
	for (; first < p->width; first += bits) {
		if (p->coding != PLANE_CODED)
			bits = p->width - first < 8 ? p->width - first : 8;
		add_entry(c, p, first, bits);
	}
	ret->n_entries = (uint8_t)(c->entry - ret->first_entry);
}

static uint64_t constant_bits(const struct bs_plane *p)
{
	struct bs_segment seg[PARTS_MAX];
	unsigned n = bs_segments(p, 0, p->width, seg), i;
	uint64_t element = 0;

	for (i = 0; i < n; i++) {
		uint64_t mask = ~UINT64_C(0) >> (64 - seg[i].bits);

		element |= (p->base >> seg[i].src_shift & mask) << seg[i].lo;
	}
	return element;
}

/* ---- Tables and classes ------------------------------------------------- */

static void add_tables(const struct bs_model *m, unsigned plane, uint8_t *dst,
		       struct bs_device_plane *ret)
{
	const struct bs_plane *p = &m->desc.planes[plane];
	unsigned prob_bits = m->planes[plane].prob_bits, t;
	const bs_slot *slots = m->planes[plane].slots;
	uint8_t *symbols = dst + ret->symbols;
	uint32_t i;

	for (t = 0; t < n_tables(p); t++) {
		uint8_t *entries = dst + ret->slots + 4 * t * p->n_symbols;

		for (i = 0; i < 1u << prob_bits; i++) {
			uint8_t s = (uint8_t)*slots;
			uint32_t bias = *slots >> 8 & 4095;

			*symbols++ = s;
			put_u32(entries + 4 * (size_t)s,
				*slots >> 20 << 16 | (i - bias));
			slots++;
		}
	}
}

/* Returns where they begin, or 0. */
static uint64_t add_classes(const struct bs_classes *c, uint8_t *dst,
			    uint64_t *at)
{
	uint64_t begin = *at;

	if (!c->class)
		return 0;
	memcpy(dst + begin, c->class, c->n);
	*at += c->n;
	return begin;
}

static void add_coded(const struct bs_model *m, unsigned plane,
		      struct bs_device_plane *ret)
{
	const struct bs_plane *p = &m->desc.planes[plane];

	ret->prob_bits = (uint8_t)m->planes[plane].prob_bits;
	ret->table_log2 = p->table_log2;
	ret->shift = p->shift;
	ret->escape = p->escape;
	ret->escape_len = 0;
	if (p->escape != NO_ESCAPE)
		ret->escape_len = (uint8_t)bs_escape_len(p);
	ret->base = (uint16_t)p->base;
	ret->n_symbols = p->n_symbols;
	ret->n_rows = m->planes[plane].rows.n;
	ret->n_columns = m->planes[plane].columns.n;
}

void bs_device_model_make(const struct bs_model *model, uint8_t *dst)
{
	struct bs_device_head *head = (struct bs_device_head *)dst;
	uint8_t *tables = dst + sizeof(*head);
	uint64_t at = sizeof(*head) + tables_len(model);
	struct cursor c = { .head = head };
	size_t table = 0;
	unsigned i;

	memset(dst, 0, bs_device_model_len(model));
	head->unit = model->desc.unit;
	head->n_planes = model->desc.n_planes;
	head->tables_len = (uint32_t)tables_len(model);
	for (i = 0; i < model->desc.n_planes; i++) {
		const struct bs_plane *p = &model->desc.planes[i];
		struct bs_device_plane *d = &head->planes[i];

		d->coding = p->coding;
		d->width = p->width;
		head->has_local |= p->coding == PLANE_LOCAL;
		if (p->coding == PLANE_CONSTANT) {
			head->constant |= constant_bits(p);
			continue;
		}
		add_entries(&c, p, d);
		if (p->coding != PLANE_CODED)
			continue;
		add_coded(model, i, d);
		d->symbols = (uint32_t)table;
		d->slots = (uint32_t)(table + symbols_len(model, i));
		table += symbols_len(model, i) + slots_len(model, i);
		add_tables(model, i, tables, d);
		d->rows = add_classes(&model->planes[i].rows, dst, &at);
		d->columns = add_classes(&model->planes[i].columns, dst, &at);
	}
}
