/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.c - the description of a blob's planes, read, checked and built
 *
 * A model, its tables and its class arrays may lie in different pool pages;
 * mostly they lie in one.  A struct pool holds the page read last, so that a
 * load costs one read where the writer kept them together.
 */

#include "model.h"

#include "archive.h"
#include "bits.h"
#include "error.h"
#include "plain.h"
#include "upstream/tensor.h"

#include <stdlib.h>

#define CHECK(cond)                            \
	do {                                   \
		if (!(cond))                   \
			return BS_ERR_CORRUPT; \
	} while (0)

/* ---- The description ---------------------------------------------------- */

static unsigned n_tables(const struct bs_plane *p)
{
	return p->coding == PLANE_CODED ? 1u << p->table_log2 : 0;
}

size_t bs_model_desc_len(const struct bs_model_desc *desc)
{
	size_t len = MODEL_HEADER_LEN + PLANE_LEN * (size_t)desc->n_planes;
	unsigned i;

	for (i = 0; i < desc->n_planes; i++)
		len += 8 * (size_t)n_tables(&desc->planes[i]);
	return len;
}

static void plane_write(const struct bs_plane *p, uint8_t *dst)
{
	unsigned i;

	dst[PLANE_CODING] = p->coding;
	dst[PLANE_WIDTH] = p->width;
	dst[PLANE_PART_COUNT] = p->n_parts;
	dst[PLANE_TABLE_LOG2] = p->table_log2;
	for (i = 0; i < p->n_parts; i++) {
		dst[PLANE_PARTS + 2 * i] = p->parts[i].lo;
		dst[PLANE_PARTS + 2 * i + 1] = p->parts[i].bits;
	}
	put_u16(dst + PLANE_SYMBOL_COUNT, p->n_symbols);
	put_u16(dst + PLANE_ESCAPE, p->escape);
	put_u64(dst + PLANE_BASE, p->base);
	dst[PLANE_SHIFT] = p->shift;
	put_u64(dst + PLANE_ROW_CLASSES, p->row_classes);
	put_u64(dst + PLANE_COLUMN_CLASSES, p->column_classes);
}

void bs_model_desc_write(const struct bs_model_desc *desc,
			 const uint64_t *tables, uint8_t *dst)
{
	unsigned i, n = 0;

	memset(dst, 0, bs_model_desc_len(desc));
	dst[MODEL_UNIT] = (uint8_t)desc->unit;
	dst[MODEL_PLANE_COUNT] = (uint8_t)desc->n_planes;
	dst += MODEL_HEADER_LEN;
	for (i = 0; i < desc->n_planes; i++, dst += PLANE_LEN) {
		plane_write(&desc->planes[i], dst);
		n += n_tables(&desc->planes[i]);
	}
	for (i = 0; i < n; i++)
		put_u64(dst + 8 * (size_t)i, tables[i]);
}

/* The parts of a plane: within the element, and adding up to its width. */
static enum bs_result parts_read(struct bs_plane *p, const uint8_t *src,
				 unsigned unit, uint64_t *bits_seen)
{
	unsigned i, width = 0;

	CHECK(p->n_parts >= 1 && p->n_parts <= PARTS_MAX);
	CHECK(is_zero(src + 2 * p->n_parts, 2 * (PARTS_MAX - p->n_parts)));
	for (i = 0; i < p->n_parts; i++) {
		unsigned lo = src[2 * i], bits = src[2 * i + 1];
		uint64_t mask;

		CHECK(bits >= 1 && bits <= 64 && lo < 64 &&
		      lo + bits <= 8 * unit);
		mask = (bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1)
		       << lo;
		CHECK(!(*bits_seen & mask));
		*bits_seen |= mask;
		p->parts[i].lo = (uint8_t)lo;
		p->parts[i].bits = (uint8_t)bits;
		width += bits;
	}
	CHECK(width == p->width);
	return BS_OK;
}

static enum bs_result plane_check(const struct bs_plane *p)
{
	uint64_t above = p->width == 64 ? 0 : ~UINT64_C(0) << p->width;

	if (p->coding == PLANE_CODED) {
		CHECK(p->width <= 16 && p->table_log2 <= TABLE_LOG2_MAX);
		CHECK(p->n_symbols >= 2 && p->n_symbols <= SYMBOLS_MAX);
		CHECK(p->escape == NO_ESCAPE || p->escape < p->n_symbols);
		CHECK(p->shift < 16 && !(p->base & above));
		return BS_OK;
	}
	CHECK(p->coding <= PLANE_LOCAL);
	CHECK(!p->table_log2 && !p->n_symbols && !p->shift);
	CHECK(p->escape == NO_ESCAPE);
	CHECK(p->row_classes == NO_REFERENCE &&
	      p->column_classes == NO_REFERENCE);
	CHECK(p->coding == PLANE_CONSTANT ? !(p->base & above) : !p->base);
	CHECK(p->coding != PLANE_LOCAL || p->width <= 8);
	return BS_OK;
}

static enum bs_result plane_read(struct bs_plane *p, const uint8_t *src,
				 unsigned unit, uint64_t *bits_seen)
{
	enum bs_result res;

	p->coding = src[PLANE_CODING];
	p->width = src[PLANE_WIDTH];
	p->n_parts = src[PLANE_PART_COUNT];
	p->table_log2 = src[PLANE_TABLE_LOG2];
	p->n_symbols = get_u16(src + PLANE_SYMBOL_COUNT);
	p->escape = get_u16(src + PLANE_ESCAPE);
	p->base = get_u64(src + PLANE_BASE);
	p->shift = src[PLANE_SHIFT];
	p->row_classes = get_u64(src + PLANE_ROW_CLASSES);
	p->column_classes = get_u64(src + PLANE_COLUMN_CLASSES);
	CHECK(p->width >= 1 && p->width <= 64);
	CHECK(is_zero(src + PLANE_RESERVED, 7));
	res = parts_read(p, src + PLANE_PARTS, unit, bits_seen);
	return res ? res : plane_check(p);
}

enum bs_result bs_model_desc_read(struct bs_model_desc *ret, const uint8_t *src,
				  size_t len, size_t *ret_tables,
				  unsigned *ret_n)
{
	uint64_t bits_seen = 0;
	enum bs_result res;
	unsigned i;

	memset(ret, 0, sizeof(*ret));
	CHECK(len >= MODEL_HEADER_LEN);
	ret->unit = src[MODEL_UNIT];
	ret->n_planes = src[MODEL_PLANE_COUNT];
	CHECK(ret->unit == 1 || ret->unit == 2 || ret->unit == 4 ||
	      ret->unit == 8);
	CHECK(ret->n_planes >= 1 && ret->n_planes <= PLANES_MAX);
	CHECK(is_zero(src + MODEL_RESERVED, 6));
	*ret_tables = MODEL_HEADER_LEN + PLANE_LEN * (size_t)ret->n_planes;
	CHECK(len >= *ret_tables);
	*ret_n = 0;
	for (i = 0; i < ret->n_planes; i++) {
		res = plane_read(&ret->planes[i],
				 src + MODEL_HEADER_LEN + PLANE_LEN * i,
				 ret->unit, &bits_seen);
		if (res)
			return res;
		*ret_n += n_tables(&ret->planes[i]);
	}
	CHECK(bits_seen == (ret->unit == 8
				    ? ~UINT64_C(0)
				    : (UINT64_C(1) << 8 * ret->unit) - 1));
	CHECK(*ret_n <= MODEL_TABLES_MAX);
	CHECK(len == bs_model_desc_len(ret));
	return BS_OK;
}

/* ---- Building ----------------------------------------------------------- */

struct pool {
	const struct bs_archive *ar; /* borrowed */
	struct bs_error *err;
	uint64_t page; /* number of 'data', or NO_REFERENCE */
	uint8_t *data; /* owned */
	size_t len;
};

/* The payload of the object that 'ref' names; valid until the next call. */
static enum bs_result pool_get(struct pool *pool, uint64_t ref, uint32_t type,
			       const uint8_t **ret, size_t *ret_len)
{
	uint64_t page = ref >> 32, off = ref & UINT32_MAX;
	enum bs_result res;

	if (pool->page != page) {
		free(pool->data);
		pool->data = NULL;
		pool->page = NO_REFERENCE;
		res = bs_archive_pool_page(pool->ar, page, &pool->data,
					   &pool->len, pool->err);
		if (res)
			return res;
		pool->page = page;
	}
	CHECK(off % 8 == 0 && in_range(off, OBJECT_HEADER_LEN, pool->len));
	CHECK(get_u32(pool->data + off) == type);
	*ret_len = get_u32(pool->data + off + 4);
	off += OBJECT_HEADER_LEN;
	CHECK(in_range(off, *ret_len, pool->len));
	*ret = pool->data + off;
	return BS_OK;
}

static enum bs_result classes_decode(struct bs_classes *ret, const uint8_t *src,
				     size_t len, unsigned encoding)
{
	struct bs_zstd *z;
	enum bs_result res;
	size_t frame_len;

	if (encoding == 0) {
		CHECK(len >= ret->n && len - ret->n <= 7);
		memcpy(ret->class, src, ret->n);
		return is_zero(src + ret->n, len - ret->n) ? BS_OK
							   : BS_ERR_CORRUPT;
	}
	CHECK(encoding == 1 && len >= 4);
	frame_len = get_u32(src);
	src += 4;
	len -= 4;
	CHECK(frame_len <= len && len - frame_len <= 7);
	CHECK(is_zero(src + frame_len, len - frame_len));
	res = bs_zstd_new(&z);
	if (res)
		return res;
	res = bs_zstd_decode(z, ret->class, ret->n, src, frame_len);
	bs_zstd_free(z);
	return res;
}

static enum bs_result classes_load(struct bs_model *m, struct pool *pool,
				   uint64_t ref, uint64_t *left,
				   struct bs_classes *ret)
{
	enum bs_result res;
	const uint8_t *src;
	size_t len;

	if (ref == NO_REFERENCE)
		return BS_OK;
	res = pool_get(pool, ref, OBJECT_CLASSES, &src, &len);
	if (res)
		return res;
	CHECK(len >= CLASSES_HEADER_LEN);
	ret->n = get_u64(src);
	CHECK(ret->n >= 1 && ret->n <= *left && is_zero(src + 9, 7));
	*left -= ret->n;
	ret->class = malloc(ret->n);
	if (!ret->class)
		return BS_ERR_NOMEM;
	m->mem += ret->n;
	return classes_decode(ret, src + CLASSES_HEADER_LEN,
			      len - CLASSES_HEADER_LEN, src[8]);
}

/* Read the tables of one plane and build their slots at 'slots'. */
static enum bs_result tables_load(struct pool *pool, const struct bs_plane *p,
				  const uint64_t *refs, bs_slot *slots,
				  unsigned *ret_prob_bits)
{
	struct bs_freq freq;
	enum bs_result res;
	const uint8_t *src;
	size_t len, used;
	unsigned i;

	for (i = 0; i < n_tables(p); i++) {
		res = pool_get(pool, refs[i], OBJECT_TABLE, &src, &len);
		if (!res)
			res = bs_freq_read(&freq, src, len, &used);
		if (res)
			return res;
		CHECK(len - used <= 7 && is_zero(src + used, len - used));
		CHECK(bs_freq_n_symbols(&freq) <= p->n_symbols);
		CHECK(i == 0 || freq.prob_bits == *ret_prob_bits);
		*ret_prob_bits = freq.prob_bits;
		bs_freq_slots(&freq, slots + ((size_t)i << freq.prob_bits));
	}
	return BS_OK;
}

static unsigned class_max(const struct bs_classes *c)
{
	unsigned most = 0;
	uint64_t i;

	for (i = 0; c->class && i < c->n; i++)
		most = c->class[i] > most ? c->class[i] : most;
	return most;
}

static enum bs_result planes_load(struct bs_model *m, struct pool *pool,
				  const uint64_t *refs)
{
	uint64_t left = CLASSES_MAX;
	bs_slot *slots = m->slots;
	enum bs_result res = BS_OK;
	unsigned i;

	for (i = 0; i < m->desc.n_planes && !res; i++) {
		const struct bs_plane *p = &m->desc.planes[i];

		if (p->coding != PLANE_CODED)
			continue;
		m->planes[i].slots = slots;
		res = tables_load(pool, p, refs, slots,
				  &m->planes[i].prob_bits);
		if (!res)
			res = classes_load(m, pool, p->row_classes, &left,
					   &m->planes[i].rows);
		if (!res)
			res = classes_load(m, pool, p->column_classes, &left,
					   &m->planes[i].columns);
		if (!res)
			m->planes[i].q_max = class_max(&m->planes[i].rows) +
					     class_max(&m->planes[i].columns);
		refs += n_tables(p);
		slots += (size_t)n_tables(p) << PROB_BITS_MAX;
	}
	return res;
}

static enum bs_result model_load(struct bs_model *m, struct pool *pool,
				 uint64_t ref)
{
	uint64_t refs[MODEL_TABLES_MAX];
	const uint8_t *src;
	size_t len, tables, size;
	enum bs_result res;
	unsigned n, i;

	res = pool_get(pool, ref, OBJECT_MODEL, &src, &len);
	if (!res)
		res = bs_model_desc_read(&m->desc, src, len, &tables, &n);
	if (res)
		return res;
	for (i = 0; i < n; i++)
		refs[i] = get_u64(src + tables + 8 * (size_t)i);
	size = ((size_t)n << PROB_BITS_MAX) * sizeof(bs_slot);
	m->mem = sizeof(*m) + size;
	if (n) {
		m->slots = malloc(size);
		if (!m->slots)
			return BS_ERR_NOMEM;
	}
	return planes_load(m, pool, refs);
}

static enum bs_result load_upstream(struct bs_model *m,
				    const struct bs_archive *ar, uint64_t blob,
				    struct bs_error *err)
{
	enum bs_result res = bs_archive_load_upstream(&m->up, ar, blob);

	if (res == BS_ERR_CHECKSUM)
		return bs_fail(err, res, 0,
			       "the tensor is damaged: its MD5 does not agree");
	if (res == BS_ERR_CORRUPT)
		return bs_fail(err, res, 0,
			       "the tensor is damaged: it cannot be decoded");
	if (res)
		return bs_fail(err, res, 0, "%s", bs_result_text(res));
	m->mem = sizeof(*m) + bs_up_model_mem(m->up);
	return BS_OK;
}

enum bs_result bs_model_load(const struct bs_archive *ar, uint64_t model,
			     struct bs_model **ret, struct bs_error *err)
{
	struct bs_error inner = { 0 };
	struct pool pool = { .ar = ar, .err = &inner, .page = NO_REFERENCE };
	struct bs_model *m;
	enum bs_result res;

	*ret = NULL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return bs_fail(err, BS_ERR_NOMEM, 0, "out of memory");
	if (bs_archive_summary(ar)->is_upstream)
		res = load_upstream(m, ar, model, &inner);
	else
		res = model_load(m, &pool, model);
	free(pool.data);
	if (res) {
		bs_model_free(m);
		if (inner.code)
			return bs_fail(err, res, inner.off, "%s", inner.text);
		return bs_fail(err, res, 0,
			       "the model at page %llu, offset %llu: %s",
			       (unsigned long long)(model >> 32),
			       (unsigned long long)(model & UINT32_MAX),
			       bs_result_text(res));
	}
	*ret = m;
	return BS_OK;
}

size_t bs_model_mem(const struct bs_model *model)
{
	return model->mem;
}

void bs_model_free(struct bs_model *model)
{
	unsigned i;

	if (!model)
		return;
	for (i = 0; i < PLANES_MAX; i++) {
		free(model->planes[i].rows.class);
		free(model->planes[i].columns.class);
	}
	free(model->slots);
	bs_up_model_free(model->up);
	free(model);
}

void bs_class_sums_scalar(uint16_t *restrict q, const uint8_t *rows,
			  const uint8_t *columns, uint64_t width, uint64_t at,
			  size_t n)
{
	uint64_t row = at / width, column = at % width;
	size_t m, k;

	for (; n; n -= m, q += m) {
		uint16_t base = rows ? rows[row] : 0;

		m = n < width - column ? n : (size_t)(width - column);
		for (k = 0; columns && k < m; k++)
			q[k] = (uint16_t)(base + columns[column + k]);
		for (k = 0; !columns && k < m; k++)
			q[k] = base;
		row++;
		column = 0;
	}
}
