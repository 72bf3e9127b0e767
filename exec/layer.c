/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer.c - reading the tensors of a layer to where the kernels find them
 */

#include "layer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 64
#define READ_STEP ((size_t)8 << 20) /* between two looks at stop() */
#define NAME_LEN 128

/* A tensor to be read, and where to. */
struct piece {
	const struct bsx_tensor *tensor;
	struct bsx_packed packed; /* no values: the tensor is as it is */
	enum bsx_slot slot;
	enum bsx_type type; /* in the file */
	uint64_t rows, cols;
	uint64_t before, total; /* rows of the tensor: above them, and all */
	bool is_transposed;
	uint64_t len; /* in memory */
};

static uint64_t round_up(uint64_t v)
{
	return (v + ALIGN - 1) / ALIGN * ALIGN;
}

static bool type_of(enum bs_dtype dtype, enum bsx_type *ret)
{
	switch (dtype) {
	case BS_DTYPE_BF16:
		*ret = BSX_BF16;
		return true;
	case BS_DTYPE_F16:
		*ret = BSX_F16;
		return true;
	case BS_DTYPE_F32:
		*ret = BSX_F32;
		return true;
	default:
		return false;
	}
}

/* Whether the shape is rows x cols; a vector may say its rows alone. */
static bool has_shape(const struct bsx_tensor *t, uint64_t rows, uint64_t cols)
{
	if (t->n_dims == 1)
		return cols == 1 && t->shape[0] == rows;
	return t->n_dims == 2 && t->shape[0] == rows && t->shape[1] == cols;
}

/* One in 4 bits: a matrix that stands as it is multiplied. */
static enum bsx_result find_packed(const struct bsx_model *m, struct piece *p,
				   const char *name, struct bsx_error *err)
{
	if (m->hp.is_transposed || !bsx_slot_is_layer_matrix(p->slot))
		return bsx_fail(err, BSX_ERR_MODEL,
				"the tensor %s cannot be run in 4 bits.", name);
	p->type = BSX_BF16;
	p->is_transposed = false;
	p->len = p->rows * p->cols * sizeof(uint16_t);
	return BSX_OK;
}

/* The tensor of a layer's slot; *ret_is_there is false if the model has no such
 * tensor. */
static enum bsx_result find_piece(const struct bsx_model *m, uint32_t layer,
				  enum bsx_slot slot, struct piece *ret,
				  bool *ret_is_there, struct bsx_error *err)
{
	enum bsx_result res;
	char name[NAME_LEN];
	size_t prefix_len;

	*ret_is_there =
		bsx_slot_shape(m->arch, &m->hp, slot, &ret->rows, &ret->cols);
	if (!*ret_is_there)
		return BSX_OK;
	bsx_slot_name(m->arch, slot, layer, name, sizeof(name));
	ret->slot = slot;
	ret->tensor = bsx_weights_find(m->weights, name);
	prefix_len = m->arch->prefix ? strlen(m->arch->prefix) : 0;
	if (!ret->tensor && prefix_len)
		ret->tensor = bsx_weights_find(m->weights, name + prefix_len);
	ret->total = bsx_slot_total(m->arch, &m->hp, slot, &ret->before);
	memset(&ret->packed, 0, sizeof(ret->packed));
	if (!ret->tensor && m->hp.int4_group) {
		res = bsx_packed_find(m->weights, name, ret->total, ret->cols,
				      m->hp.int4_group, &ret->packed, err);
		if (res)
			return res;
		ret->tensor = ret->packed.values;
	}
	if (!ret->tensor)
		return bsx_fail(err, BSX_ERR_MODEL,
				"the weights have no tensor %s.", name);
	if (ret->packed.values)
		return find_packed(m, ret, name, err);
	if (!type_of(ret->tensor->dtype, &ret->type))
		return bsx_fail(err, BSX_ERR_MODEL,
				"the tensor %s is %s; BF16, F16 and F32 can be "
				"run.",
				name, bs_dtype_name(ret->tensor->dtype));
	ret->is_transposed = m->hp.is_transposed &&
			     bsx_slot_is_layer_matrix(slot);
	if (ret->is_transposed ? !has_shape(ret->tensor, ret->cols, ret->total)
			       : !has_shape(ret->tensor, ret->total, ret->cols))
		return bsx_fail(err, BSX_ERR_MODEL,
				"the tensor %s is not of the shape that "
				"config.json gives it.",
				name);
	/* The product fits: it is the tensor's, which is in the file. */
	ret->len = ret->rows * ret->cols *
		   (bsx_slot_is_vector(slot) ? sizeof(float)
					     : bsx_type_size(ret->type));
	return BSX_OK;
}

/* The slots of a layer, or of what is outside of layers. */
static void slots_of(const struct bsx_model *m, uint32_t part,
		     enum bsx_slot *ret_first, enum bsx_slot *ret_end)
{
	bool is_layer = part < m->hp.n_layers;

	*ret_first = is_layer ? 0 : BSX_N_LAYER_SLOTS;
	*ret_end = is_layer ? BSX_N_LAYER_SLOTS : BSX_N_SLOTS;
}

enum bsx_result bsx_part_bytes(const struct bsx_model *m, uint32_t i,
			       uint32_t slots, uint64_t *ret,
			       struct bsx_error *err)
{
	enum bsx_slot slot, end;
	enum bsx_result res;
	struct piece p;
	bool is_there;

	*ret = 0;
	for (slots_of(m, i, &slot, &end); slot < end; slot++) {
		res = find_piece(m, i, slot, &p, &is_there, err);
		if (res)
			return res;
		if (is_there && slots & BSX_SLOT(slot))
			*ret += round_up(p.len);
	}
	return BSX_OK;
}

/* Products of a layer, those that begin together counted as one; attention,
 * and what stands between the two halves. */
#define ROUNDS_A_LAYER 6

_Static_assert(BSX_N_TYPES == BSX_N_WEIGHT_TYPES, "the types of bsx_work");

enum bsx_result bsx_part_work(const struct bsx_model *m, struct bsx_work *ret,
			      uint64_t *ret_n, uint64_t *ret_bytes,
			      struct bsx_error *err)
{
	enum bsx_slot slot, end, head = m->hp.is_tied ? BSX_EMBED : BSX_HEAD;
	enum bsx_result res;
	struct piece p;
	bool is_there;
	uint32_t i;

	memset(ret, 0, sizeof(*ret));
	*ret_n = *ret_bytes = 0;
	for (i = 0; i <= m->hp.n_layers; i++) {
		for (slots_of(m, i, &slot, &end); slot < end; slot++) {
			res = find_piece(m, i, slot, &p, &is_there, err);
			if (res)
				return res;
			if (is_there) {
				*ret_n += p.rows * p.cols;
				*ret_bytes += p.len;
			}
			/* Of an embedding, one row. */
			if (is_there && !bsx_slot_is_vector(slot) &&
			    (i < m->hp.n_layers || slot == head))
				ret->bytes[p.type] += p.len;
		}
	}
	ret->bytes_held = (uint64_t)m->hp.n_layers * m->hp.n_kv_heads *
			  m->hp.head_dim * 2 * sizeof(float);
	ret->n_rounds = m->hp.n_layers * ROUNDS_A_LAYER + 1;
	return BSX_OK;
}

/* Read a vector as f32. */
static enum bsx_result read_vector(const struct bsx_model *m,
				   const struct piece *p, float *to, bool once,
				   struct bsx_error *err)
{
	size_t n = (size_t)p->rows, size = bsx_type_size(p->type), i;
	void *raw = malloc(n * size);
	enum bsx_result res;

	if (!raw)
		return bsx_no_memory(err);
	res = bsx_weights_read(m->weights, p->tensor, p->before * size, raw,
			       n * size, once, err);
	if (!res)
		bsx_kernels()->widen[p->type](to, raw, n);
	free(raw);
	if (m->hp.norm_adds_one && bsx_slot_is_norm(p->slot)) {
		for (i = 0; i < n; i++)
			to[i] += 1;
	}
	return res;
}

/* n rows from 'first' on. */
static enum bsx_result read_rows(const struct bsx_model *m,
				 const struct piece *p, uint64_t first,
				 uint64_t n, uint8_t *to, bool once,
				 bool (*stop)(void), struct bsx_error *err)
{
	uint64_t line = p->cols * bsx_type_size(p->type);
	uint64_t begin = (p->before + first) * line, end = n * line, off;
	enum bsx_result res = BSX_OK;
	size_t len;

	if (p->packed.values)
		return bsx_packed_read(m->weights, &p->packed,
				       p->before + first, n, p->cols,
				       m->hp.int4_group, (uint16_t *)(void *)to,
				       once, stop, err);
	for (off = 0; !res && off < end; off += len) {
		if (stop && stop())
			return bsx_fail(err, BSX_ERR_STOPPED, "interrupted.");
		len = end - off < READ_STEP ? (size_t)(end - off) : READ_STEP;
		res = bsx_weights_read(m->weights, p->tensor, begin + off,
				       to + off, len, once, err);
	}
	return res;
}

/* to[r][first + c] = from[c][r] of elements of 'size' bytes, for n columns. */
static void transpose(uint8_t *to, const uint8_t *from, const struct piece *p,
		      uint64_t first, uint64_t n, size_t size)
{
	uint64_t r, c;

	for (c = 0; c < n; c++) {
		for (r = 0; r < p->rows; r++)
			memcpy(to + (r * p->cols + first + c) * size,
			       from + (c * p->total + p->before + r) * size,
			       size);
	}
}

/* The same for one that stands input by output: some inputs at a time. */
static enum bsx_result read_transposed(const struct bsx_model *m,
				       const struct piece *p, uint8_t *to,
				       bool once, bool (*stop)(void),
				       struct bsx_error *err)
{
	size_t size = bsx_type_size(p->type);
	uint64_t line = p->total * size, step, first, n;
	enum bsx_result res = BSX_OK;
	uint8_t *raw;

	step = READ_STEP / line ? READ_STEP / line : 1;
	if (step > p->cols)
		step = p->cols;
	raw = malloc((size_t)(step * line));
	if (!raw)
		return bsx_no_memory(err);
	for (first = 0; !res && first < p->cols; first += n) {
		n = p->cols - first < step ? p->cols - first : step;
		if (stop && stop())
			res = bsx_fail(err, BSX_ERR_STOPPED, "interrupted.");
		else
			res = bsx_weights_read(m->weights, p->tensor,
					       first * line, raw,
					       (size_t)(n * line), once, err);
		if (!res)
			transpose(to, raw, p, first, n, size);
	}
	free(raw);
	return res;
}

enum bsx_result bsx_part_load(const struct bsx_model *m, uint32_t i,
			      uint32_t slots, uint8_t *to, bool once,
			      bool (*stop)(void), struct bsx_part *ret,
			      struct bsx_error *err)
{
	enum bsx_slot slot, end;
	enum bsx_result res;
	struct bsx_span span = { 0 };
	struct piece p;
	bool is_there;

	memset(ret, 0, sizeof(*ret));
	for (slots_of(m, i, &slot, &end); slot < end; slot++) {
		bool is_vector = bsx_slot_is_vector(slot);

		if (!(slots & BSX_SLOT(slot)))
			continue;
		res = find_piece(m, i, slot, &p, &is_there, err);
		if (!res && is_there && is_vector)
			res = read_vector(m, &p, (float *)(void *)to, once,
					  err);
		else if (!res && is_there && p.is_transposed)
			res = read_transposed(m, &p, to, once, stop, err);
		else if (!res && is_there)
			res = read_rows(m, &p, 0, p.rows, to, once, stop, err);
		if (res)
			return res;
		if (!is_there)
			continue;
		if (once)
			bsx_weights_span(m->weights, p.tensor, 0, p.tensor->len,
					 &span);
		if (once && p.packed.values)
			bsx_weights_span(m->weights, p.packed.scales, 0,
					 p.packed.scales->len, &span);
		ret->slot[slot] = (struct bsx_matrix){
			.data = to,
			.type = is_vector ? BSX_F32 : p.type,
			.rows = (size_t)p.rows,
			.cols = (size_t)p.cols,
		};
		to += round_up(p.len);
	}
	bsx_weights_drop(m->weights, &span);
	if (m->hp.is_tied && i == m->hp.n_layers)
		ret->slot[BSX_HEAD] = ret->slot[BSX_EMBED];
	return BSX_OK;
}

/* ---- Rows of what is outside of layers ----------------------------------- */

static enum bsx_result find_outside(const struct bsx_model *m,
				    enum bsx_slot slot, struct piece *ret,
				    bool *ret_is_there, struct bsx_error *err)
{
	if (slot == BSX_HEAD && m->hp.is_tied)
		slot = BSX_EMBED;
	return find_piece(m, m->hp.n_layers, slot, ret, ret_is_there, err);
}

enum bsx_result bsx_outside_shape(const struct bsx_model *m, enum bsx_slot slot,
				  struct bsx_matrix *ret, struct bsx_error *err)
{
	enum bsx_result res;
	struct piece p;
	bool is_there;

	memset(ret, 0, sizeof(*ret));
	res = find_outside(m, slot, &p, &is_there, err);
	if (res || !is_there)
		return res;
	ret->type = p.type;
	ret->rows = (size_t)p.rows;
	ret->cols = (size_t)p.cols;
	return BSX_OK;
}

enum bsx_result bsx_rows_load(const struct bsx_model *m, enum bsx_slot slot,
			      size_t first, size_t n, uint8_t *to, bool once,
			      bool (*stop)(void), struct bsx_matrix *ret,
			      struct bsx_error *err)
{
	enum bsx_result res;
	struct bsx_span span = { 0 };
	struct piece p;
	bool is_there;
	uint64_t line;

	res = find_outside(m, slot, &p, &is_there, err);
	assert(res || (is_there && first + n <= p.rows));
	if (!res)
		res = read_rows(m, &p, first, n, to, once, stop, err);
	if (res)
		return res;
	line = p.cols * bsx_type_size(p.type);
	if (once)
		bsx_weights_span(m->weights, p.tensor,
				 (p.before + first) * line, n * line, &span);
	bsx_weights_drop(m->weights, &span);
	*ret = (struct bsx_matrix){ to, p.type, n, (size_t)p.cols };
	return BSX_OK;
}
