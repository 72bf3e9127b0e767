/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packed.c - a tensor's 4-bit values alone, as loaders of such values want them
 *
 * Packed, two values a byte, then the scales; or the BF16 words that they stand
 * for.  The file has no checksum of them, but the MD5 of their source, of which
 * they follow: so the source is decoded once, and when its MD5 agrees it is
 * quantised anew, which says what is to be shown.  What is shown then comes from
 * the values in the file, a fifth of the bytes, and is compared with that.
 */

#include "packed.h"

#include "../bits.h"
#include "../checksum.h"
#include "bf16.h"
#include "int4.h"

#include <stdlib.h>
#include <string.h>

#define WORD_NAN 0x7f80u /* and infinity: all bits of the exponent */

uint64_t bs_up_packed_values_len(const struct bs_up_fast *fast)
{
	return fast->n / 2;
}

uint64_t bs_up_packed_len(const struct bs_up_fast *fast)
{
	if (!fast->shown)
		return 2 * fast->n;
	return bs_up_packed_values_len(fast) + 2 * (fast->n / fast->shown);
}

static uint16_t dequantise(int k, uint16_t scale)
{
	return bs_bf16_round((float)k * bs_bf16_to_float(scale));
}

/* ---- What is shown, from the file ---------------------------------------- */

#define BLOCK 16384 /* values at a time */

struct packed {
	struct bs_up_node node;
	struct bs_up_fast shown;
	struct bs_up_int4 fast; /* owned */
};

struct scratch {
	uint64_t pos; /* bytes of what is shown */
	uint8_t values[BLOCK];
	uint64_t fast[]; /* of the values' reader */
};

static enum bs_result run_values(const struct packed *d, struct bs_up_run *r,
				 struct scratch *s, size_t len, uint8_t *dst)
{
	enum bs_result res;
	size_t i;

	res = bs_up_int4_read(&d->fast, r->src, 2 * s->pos, 2 * len, s->values,
			      s->fast);
	for (i = 0; i < len && !res; i++)
		dst[i] =
			(uint8_t)(s->values[2 * i] | s->values[2 * i + 1] << 4);
	return res;
}

static void run_scales(const struct packed *d, uint64_t first, size_t n,
		       uint8_t *dst)
{
	size_t i;

	for (i = 0; i < n; i++)
		put_u16(dst + 2 * i,
			bs_up_int4_scale(&d->fast,
					 (first + i) * d->shown.shown));
}

static enum bs_result run_words(const struct packed *d, struct bs_up_run *r,
				struct scratch *s, size_t n, uint8_t *dst)
{
	uint64_t first = s->pos / 2;
	enum bs_result res;
	size_t i;

	res = bs_up_int4_read(&d->fast, r->src, first, n, s->values, s->fast);
	for (i = 0; i < n && !res; i++)
		put_u16(dst + 2 * i,
			dequantise((int)s->values[i] - INT4_ZERO,
				   bs_up_int4_scale(&d->fast, first + i)));
	return res;
}

/* Up to 'max' bytes at once; *ret_len says how many. */
static enum bs_result run_some(const struct packed *d, struct bs_up_run *r,
			       struct scratch *s, size_t max, uint8_t *dst,
			       size_t *ret_len)
{
	uint64_t values_len = bs_up_packed_values_len(&d->shown);

	if (!d->shown.shown) {
		*ret_len = max < 2 * BLOCK ? max : 2 * BLOCK;
		return run_words(d, r, s, *ret_len / 2, dst);
	}
	if (s->pos >= values_len) {
		*ret_len = max;
		run_scales(d, (s->pos - values_len) / 2, max / 2, dst);
		return BS_OK;
	}
	*ret_len = max < BLOCK / 2 ? max : BLOCK / 2;
	if (*ret_len > values_len - s->pos)
		*ret_len = (size_t)(values_len - s->pos);
	return run_values(d, r, s, *ret_len, dst);
}

static enum bs_result run(const struct bs_up_node *node, struct bs_up_run *r,
			  size_t n, void *dst)
{
	const struct packed *d = (const struct packed *)node;
	struct scratch *s = (struct scratch *)(void *)r->extra;
	uint8_t *to = dst;

	while (n) {
		size_t len;
		enum bs_result res = run_some(d, r, s, n, to, &len);

		if (res)
			return res;
		s->pos += len;
		to += len;
		n -= len;
	}
	return BS_OK;
}

static void free_packed(struct bs_up_node *node)
{
	bs_up_int4_fini(&((struct packed *)node)->fast);
	free(node);
}

enum bs_result bs_up_packed_open(struct bs_up_plan *plan,
				 const struct bs_source *src,
				 struct bs_up_span span, uint64_t n,
				 struct bs_up_node **ret)
{
	enum bs_result res;
	struct packed *d;

	*ret = bs_up_node_new(plan, sizeof(*d), n, 1);
	if (!*ret)
		return BS_ERR_NOMEM;
	d = (struct packed *)*ret;
	d->node.run = run;
	d->node.free = free_packed;
	d->shown = plan->fast;
	res = bs_up_int4_open(&d->fast, src, span, d->shown.n);
	if (res)
		return res;
	/* What is shown was laid out by what the header says. */
	if (d->fast.group != d->shown.group)
		return BS_ERR_CORRUPT;
	plan->mem += 2 * (size_t)div_up(d->shown.n, d->fast.group);
	plan->kept_len = sizeof(uint64_t);
	plan->extra_len = sizeof(struct scratch) +
			  bs_up_int4_scratch_len(&d->fast, BLOCK);
	return BS_OK;
}

/* ---- What it must be, from the source ------------------------------------ */

struct summing {
	const struct bs_up_fast *shown;
	uint64_t *sums; /* of chunks; the next one's place is 'n_sums' */
	uint64_t n_sums;
	uint16_t *group; /* [shown->group], owned: words of one */
	uint32_t n_group;
	uint8_t *scales; /* owned: as they will be shown */
	uint64_t scales_len;
	uint8_t *chunk; /* [UP_CHUNK], owned */
	size_t chunk_len;
	uint8_t low; /* of a byte that has one value yet */
	int is_half;
};

static void end_chunk(struct summing *s)
{
	if (s->chunk_len)
		s->sums[s->n_sums++] = bs_xxh3_64(s->chunk, s->chunk_len);
	s->chunk_len = 0;
}

static void put_byte(struct summing *s, unsigned byte)
{
	s->chunk[s->chunk_len++] = (uint8_t)byte;
	if (s->chunk_len == UP_CHUNK)
		end_chunk(s);
}

/* The words of a group are all there, or those of the last one. */
static void end_group(struct summing *s)
{
	uint16_t scale, absmax = 0;
	float divisor;
	uint32_t i;

	for (i = 0; i < s->n_group; i++) {
		uint16_t w = s->group[i] & 0x7fff;

		if (w > absmax && w < WORD_NAN)
			absmax = w;
	}
	scale = bs_bf16_round(bs_bf16_to_float(absmax) / 7);
	divisor = bs_bf16_to_float(scale);
	for (i = 0; i < s->n_group; i++) {
		int k = bs_bf16_quantise(s->group[i], divisor);
		unsigned v = (unsigned)(k + INT4_ZERO);

		if (!s->shown->shown) {
			uint16_t w = dequantise(k, scale);

			put_byte(s, w & 0xff);
			put_byte(s, w >> 8);
			continue;
		}
		if (s->is_half)
			put_byte(s, s->low | v << 4);
		s->low = (uint8_t)v;
		s->is_half = !s->is_half;
	}
	for (i = 0; s->shown->shown && i < s->n_group; i += s->shown->shown) {
		put_u16(s->scales + s->scales_len, scale);
		s->scales_len += 2;
	}
	s->n_group = 0;
}

static int take_words(void *ctx, uint64_t off, const void *data, size_t len)
{
	struct summing *s = ctx;
	const uint8_t *p = data;
	size_t i;

	(void)off;
	for (i = 0; i < len; i += 2) {
		s->group[s->n_group++] = get_u16(p + i);
		if (s->n_group == s->shown->group)
			end_group(s);
	}
	return 0;
}

enum bs_result bs_up_packed_sum_up(const struct bs_up_tensor *t,
				   const struct bs_source *src, uint64_t *ret)
{
	const struct bs_up_fast *shown = &t->fast;
	struct bs_up_tensor source = *t;
	struct summing s = { .shown = shown, .sums = ret };
	struct bs_up_decode d = { &source, take_words, &s, BS_ERR_NOMEM };
	enum bs_result res;
	uint64_t i;

	source.codec = bs_up_codec_dual();
	source.raw_len = 2 * shown->n;
	memset(&source.fast, 0, sizeof(source.fast));
	s.group = malloc(shown->group * sizeof(*s.group));
	s.scales = malloc(shown->shown ? (size_t)(2 * (shown->n / shown->shown))
				       : 1);
	s.chunk = malloc(UP_CHUNK);
	if (s.group && s.scales && s.chunk)
		bs_up_tensors_decode(&d, 1, src);
	res = d.res;
	if (!res && s.n_group)
		end_group(&s);
	for (i = 0; i < s.scales_len && !res; i++)
		put_byte(&s, s.scales[i]);
	end_chunk(&s);
	free(s.group);
	free(s.scales);
	free(s.chunk);
	return res;
}

int bs_up_packed_has(const struct bs_up_tensor *t)
{
	return t->codec == bs_up_codec_dual() && t->fast.group;
}

enum bs_result bs_up_packed_check(const struct bs_up_tensor *t,
				  const struct bs_source *src,
				  bs_up_take_fn take, void *ctx,
				  enum bs_result *ret_int4)
{
	struct bs_up_decode source = { t, take, ctx, BS_OK };
	struct bs_up_decode values = { NULL, take, ctx, BS_OK };
	struct bs_up_tensor fast = *t;

	fast.codec = bs_up_codec_packed();
	fast.fast.n = t->raw_len / 2;
	if (fast.fast.n % t->fast.group == 0 && fast.fast.n % 2 == 0)
		fast.fast.shown = t->fast.group;
	fast.raw_len = bs_up_packed_len(&fast.fast);
	values.t = &fast;
	bs_up_tensors_decode(&values, 1, src);
	*ret_int4 = values.res;
	/* That has decoded the source, if it came to its end. */
	if (values.res)
		bs_up_tensors_decode(&source, 1, src);
	return source.res;
}
