/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fourbit.c - matrices of 4-bit values that stand for BF16
 *
 * A weight is the BF16 nearest to value x scale, ties to even, which is what
 * compressed-tensors makes of it; the product itself is exact in f32.
 */

#include "fourbit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP ((size_t)4 << 20) /* of values, between two looks at stop() */
#define NAME_LEN 160

/* ---- Settings ------------------------------------------------------------ */

static bool says(struct bsx_config *c, const char *key, const char *want)
{
	const char *text = NULL;

	return bsx_config_text(c, key, &text, NULL) == BSX_OK && text &&
	       !strcmp(text, want);
}

enum bsx_result bsx_config_packed(struct bsx_config *c, struct bsx_hparams *hp,
				  struct bsx_error *err)
{
	struct bsx_config *q, *in;
	uint32_t bits = 0, group = 0;
	const char *note = NULL;
	bool symmetric = false;

	/* Where nothing is packed, all that a mount says is this. */
	if (bsx_config_has(c, "bigsmall_note") &&
	    (bsx_config_text(c, "bigsmall_note", &note, err) ||
	     strncmp(note, "LOSSY", 5) != 0))
		return bsx_fail(err, BSX_ERR_MODEL,
				"config.json: bigsmall_note is not one that is "
				"known here.");
	hp->is_int4 = note != NULL;
	if (!bsx_config_has(c, "quantization_config"))
		return BSX_OK;
	q = bsx_config_inner(c, "quantization_config");
	in = q ? bsx_config_inner(q, "config_groups") : NULL;
	in = in ? bsx_config_inner(in, "group_0") : NULL;
	in = in ? bsx_config_inner(in, "weights") : NULL;
	if (in && says(q, "quant_method", "compressed-tensors") &&
	    says(q, "format", "pack-quantized") && says(in, "type", "int") &&
	    says(in, "strategy", "group") &&
	    !bsx_config_uint(in, "num_bits", 4, 4, &bits, NULL) && bits &&
	    !bsx_config_bool(in, "symmetric", &symmetric, NULL) && symmetric &&
	    !bsx_config_uint(in, "group_size", 8, 1 << 16, &group, NULL) &&
	    group && group % 8 == 0) {
		hp->is_int4 = true;
		hp->int4_group = group;
		return BSX_OK;
	}
	return bsx_fail(err, BSX_ERR_MODEL,
			"config.json: quantization_config is of a form that is "
			"not known here; known is compressed-tensors' "
			"pack-quantized of 4 bits.");
}

/* ---- Tensors ------------------------------------------------------------- */

static enum bsx_result find_part(const struct bsx_weights *w, const char *name,
				 const char *suffix, enum bs_dtype dtype,
				 uint64_t rows, uint64_t cols,
				 const struct bsx_tensor **ret,
				 struct bsx_error *err)
{
	char full[NAME_LEN];
	const struct bsx_tensor *t;

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	t = bsx_weights_find(w, full);
	if (!t)
		return bsx_fail(err, BSX_ERR_MODEL,
				"the weights have no tensor %s.", full);
	if (t->dtype != dtype || t->n_dims != (cols ? 2 : 1) ||
	    t->shape[0] != rows || (cols && t->shape[1] != cols))
		return bsx_fail(err, BSX_ERR_MODEL,
				"the tensor %s is not of the shape that "
				"config.json gives it.",
				full);
	*ret = t;
	return BSX_OK;
}

enum bsx_result bsx_packed_find(const struct bsx_weights *w, const char *name,
				uint64_t rows, uint64_t cols, uint32_t group,
				struct bsx_packed *ret, struct bsx_error *err)
{
	char full[NAME_LEN];
	enum bsx_result res;

	memset(ret, 0, sizeof(*ret));
	snprintf(full, sizeof(full), "%s_packed", name);
	if (!bsx_weights_find(w, full))
		return BSX_OK;
	if (!cols || cols % group)
		return bsx_fail(err, BSX_ERR_MODEL,
				"the rows of %s are no whole number of groups.",
				full);
	res = find_part(w, name, "_scale", BS_DTYPE_BF16, rows, cols / group,
			&ret->scales, err);
	if (!res)
		res = find_part(w, name, "_shape", BS_DTYPE_I64, 2, 0,
				&ret->shape, err);
	if (!res)
		res = find_part(w, name, "_packed", BS_DTYPE_I32, rows,
				cols / 8, &ret->values, err);
	return res;
}

/* ---- Values -------------------------------------------------------------- */

static uint16_t nearest_bf16(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40); /* a NaN stays one */
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* A group: what its 16 values stand for, then each. */
static void unpack_group(uint16_t *to, const uint8_t *values, uint16_t scale,
			 uint32_t group)
{
	uint32_t bits = (uint32_t)scale << 16, i;
	uint16_t table[16];
	float by;

	memcpy(&by, &bits, sizeof(by));
	for (i = 0; i < 16; i++)
		table[i] = nearest_bf16((float)((int)i - 8) * by);
	for (i = 0; i < group / 2; i++) {
		to[2 * i] = table[values[i] & 15];
		to[2 * i + 1] = table[values[i] >> 4];
	}
}

/* Whether the tensor says the shape that config.json has. */
static enum bsx_result check_shape(const struct bsx_weights *w,
				   const struct bsx_packed *p, uint64_t cols,
				   struct bsx_error *err)
{
	uint64_t shape[2];
	enum bsx_result res;

	res = bsx_weights_read(w, p->shape, 0, shape, sizeof(shape), false,
			       err);
	if (!res && (shape[0] != p->values->shape[0] || shape[1] != cols))
		res = bsx_fail(err, BSX_ERR_DATA,
			       "the tensor %s says another shape.",
			       p->shape->name);
	return res;
}

enum bsx_result bsx_packed_read(const struct bsx_weights *w,
				const struct bsx_packed *p, uint64_t first,
				uint64_t n, uint64_t cols, uint32_t group,
				uint16_t *to, bool once, bool (*stop)(void),
				struct bsx_error *err)
{
	size_t line = (size_t)cols / 2, n_groups = (size_t)(cols / group);
	uint64_t step = STEP / line ? STEP / line : 1, done, some, i;
	enum bsx_result res;
	uint8_t *values;
	uint16_t *scales;

	if (step > n)
		step = n;
	values = malloc((size_t)step * line + 1);
	scales = malloc((size_t)step * n_groups * sizeof(*scales) + 1);
	res = values && scales ? check_shape(w, p, cols, err)
			       : bsx_no_memory(err);
	for (done = 0; !res && done < n; done += some) {
		some = n - done < step ? n - done : step;
		if (stop && stop()) {
			res = bsx_fail(err, BSX_ERR_STOPPED, "interrupted.");
			break;
		}
		res = bsx_weights_read(w, p->values, (first + done) * line,
				       values, (size_t)some * line, once, err);
		if (!res)
			res = bsx_weights_read(
				w, p->scales, (first + done) * n_groups * 2,
				scales, (size_t)some * n_groups * 2, once, err);
		for (i = 0; !res && i < some * n_groups; i++)
			unpack_group(to + done * cols + i * group,
				     values + i * group / 2, scales[i], group);
	}
	free(scales);
	free(values);
	return res;
}
