/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sampler.c - what a stretch of a file would take, from a sample of it
 *
 * The codec itself says it: a model is chosen by the statistics of some chunks,
 * some of these are encoded, and the rest is taken to be like them.  A short
 * blob is encoded whole; of a long one whose rows have to be seen whole, some
 * from its middle, as if they were all.  That an F32 tensor holds BF16 or F16 values is no
 * guess: once a chunk looks like it, all of the tensor is read.
 */

#include "sampler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "files.h"

/* In the directory and the index of a container. */
#define BLOB_COST 160
#define CHUNK_COST 32

/* Chunks that statistics are made of at least, so that a model is not chosen
 * small because little was seen. */
#define STATS_CHUNKS 8

#define BUF_LEN (BS_CHUNK_RAW_MAX + 1)

struct bst_sampler {
	struct bs_stats *stats; /* owned, as is all below */
	struct bs_workspace *ws;
	uint8_t *raw; /* of BUF_LEN */
	uint8_t *stored; /* of BS_CHUNK_STORED_MAX */
};

struct bst_sampler *bst_sampler_new(void)
{
	struct bst_sampler *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->raw = malloc(BUF_LEN + 8); /* the encoder may read past the end */
	s->stored = malloc(BS_CHUNK_STORED_MAX);
	if (s->raw && s->stored && bs_workspace_new(&s->ws) == BS_OK &&
	    bs_stats_new(&s->stats, BS_LEVEL_DEFAULT) == BS_OK)
		return s;
	bst_sampler_free(s);
	return NULL;
}

void bst_sampler_free(struct bst_sampler *s)
{
	if (!s)
		return;
	bs_stats_free(s->stats);
	bs_workspace_free(s->ws);
	free(s->stored);
	free(s->raw);
	free(s);
}

static int errno_of(enum bs_result res)
{
	return res == BS_OK ? 0 : -bs_result_errno(res);
}

/* ---- The size ------------------------------------------------------------ */

/* What is counted and encoded: the blob, or a part of it as if that were one. */
struct part {
	const struct bst_sample *sample;
	uint64_t off; /* in the file */
	struct bs_blob shape;
};

static void choose_part(struct part *p, const struct bst_sample *sample)
{
	uint64_t row = sample->width * bs_dtype_unit(sample->dtype);
	uint64_t n = sample->n_chunks, len, skip;

	p->sample = sample;
	p->off = sample->off;
	bs_blob_layout(BS_LEVEL_DEFAULT, sample->dtype, sample->off,
		       sample->len, &p->shape);
	p->shape.first_chunk = 0;
	if (n < STATS_CHUNKS)
		n = STATS_CHUNKS;
	if (n >= p->shape.n_chunks || bs_stats_takes_sample(sample->dtype))
		return;
	len = n * p->shape.chunk_size;
	skip = (sample->len - len) / 2;
	if (!row || row > skip)
		row = bs_dtype_unit(sample->dtype);
	p->off += skip / row * row;
	bs_blob_layout(BS_LEVEL_DEFAULT, sample->dtype, 0, len, &p->shape);
	p->shape.first_chunk = 0;
}

/* Read the i-th of 'n' chunks that lie evenly in the part. */
static int read_chunk(struct bst_sampler *s, const struct part *p, uint64_t i,
		      uint64_t n, uint64_t *ret_off, size_t *ret_len)
{
	bs_blob_chunk_range(&p->shape, i * p->shape.n_chunks / n, ret_off,
			    ret_len);
	return bst_pread_all(p->sample->fd, s->raw, *ret_len,
			     p->off + *ret_off);
}

static int count_bytes(void *ctx, const void *buf, size_t len, uint64_t off)
{
	uint64_t *sum = ctx;

	(void)buf;
	(void)off;
	*sum += len;
	return 0;
}

/* What a writer puts before the first chunk of a blob: its model. */
static int model_len(const struct part *p, const struct bs_coder *coder,
		     uint64_t *ret)
{
	uint64_t sum = 0, before = 0, no;
	struct bs_sink sink = { count_bytes, &sum };
	struct bs_writer *w;
	struct bs_blob blob;
	enum bs_result res = bs_writer_new(&w, BS_LEVEL_DEFAULT, &sink);

	if (res != BS_OK)
		return errno_of(res);
	before = sum;
	res = bs_writer_begin_blob(w, p->sample->dtype, coder, p->off,
				   p->shape.len, &no, &blob);
	*ret = sum - before;
	bs_writer_free(w);
	return errno_of(res);
}

static int make_coder(struct bst_sampler *s, const struct part *p,
		      struct bs_coder **ret)
{
	const struct bst_sample *sample = p->sample;
	uint64_t n = sample->n_chunks, i, off;
	enum bs_result res;
	size_t len;

	*ret = NULL;
	if (sample->dtype == BS_DTYPE_BYTES)
		return 0;
	if (n < STATS_CHUNKS)
		n = STATS_CHUNKS;
	if (n > p->shape.n_chunks || !bs_stats_takes_sample(sample->dtype))
		n = p->shape.n_chunks;
	res = bs_stats_begin(s->stats, sample->dtype, p->shape.len,
			     sample->width);
	if (res != BS_OK)
		return errno_of(res);
	for (i = 0; i < n; i++) {
		int err = read_chunk(s, p, i, n, &off, &len);

		if (err)
			return err;
		bs_stats_add(s->stats, s->raw, len);
	}
	return errno_of(bs_coder_new(ret, s->stats));
}

static int estimate(struct bst_sampler *s, struct bst_sample *sample)
{
	uint64_t raw = 0, stored = 0, model = 0, n, i, off;
	struct bs_coder *coder;
	struct bs_blob shape;
	struct part part;
	size_t len;
	int err;

	bs_blob_layout(BS_LEVEL_DEFAULT, sample->dtype, sample->off,
		       sample->len, &shape);
	choose_part(&part, sample);
	err = make_coder(s, &part, &coder);
	n = sample->n_chunks < part.shape.n_chunks ? sample->n_chunks
						   : part.shape.n_chunks;
	for (i = 0; i < n && !err; i++) {
		struct bs_encoded enc = { 0 };

		err = read_chunk(s, &part, i, n, &off, &len);
		if (!err)
			err = errno_of(bs_chunk_encode(coder, s->ws, off,
						       s->raw, len, s->stored,
						       &enc));
		raw += len;
		stored += enc.stored_len;
	}
	if (!err)
		err = model_len(&part, coder, &model);
	bs_coder_free(coder);
	if (err)
		return err;
	sample->stored =
		(uint64_t)((double)stored * (double)sample->len / (double)raw) +
		model + BLOB_COST + shape.n_chunks * CHUNK_COST;
	return 0;
}

/* ---- What is hidden ------------------------------------------------------ */

/* Whether the F32 of these bits is an F16, subnormal ones, infinities and NaNs
 * included. */
static int is_f16(uint32_t bits)
{
	int exponent = (int)(bits >> 23 & 255) - 127;
	uint32_t mantissa = bits & 0x7fffff;

	if (exponent == 128) /* infinity, or a NaN whose payload fits */
		return !(mantissa & 0x1fff);
	if (exponent == -127)
		return !mantissa; /* zero; F32's own subnormals are smaller */
	if (exponent > 15 || exponent < -24)
		return 0;
	if (exponent >= -14)
		return !(mantissa & 0x1fff);
	/* Below 2^-14, an F16 is a multiple of 2^-24. */
	return !((mantissa | 0x800000) & ((1u << (23 - (exponent + 24))) - 1));
}

/* Take from *can what these values are not. */
static void narrow(const uint8_t *data, size_t len, int can[BST_N_HIDDEN])
{
	uint32_t low = 0, bits;
	size_t i;

	len &= ~(size_t)3;
	for (i = 0; can[BST_HIDDEN_BF16] && i < len; i += 4) {
		memcpy(&bits, data + i, 4);
		low |= bits;
	}
	can[BST_HIDDEN_BF16] &= !(low & 0xffff);
	for (i = 0; can[BST_HIDDEN_F16] && i < len; i += 4) {
		memcpy(&bits, data + i, 4);
		can[BST_HIDDEN_F16] = is_f16(bits);
	}
}

static int find_hidden(struct bst_sampler *s, struct bst_sample *sample)
{
	int can[BST_N_HIDDEN] = { 0, 1, 1 };
	uint64_t pos = 0;

	while (pos < sample->len &&
	       (can[BST_HIDDEN_BF16] || can[BST_HIDDEN_F16])) {
		uint64_t left = sample->len - pos;
		/* Few values tell, mostly. */
		size_t len = pos ? BUF_LEN & ~(size_t)3 : 4096;
		int err;

		if (len > left)
			len = (size_t)left;
		err = bst_pread_all(sample->fd, s->raw, len, sample->off + pos);
		if (!err && bst_is_interrupted())
			err = -EINTR;
		if (err)
			return err;
		narrow(s->raw, len, can);
		pos += len;
	}
	sample->hidden = can[BST_HIDDEN_BF16]  ? BST_HIDDEN_BF16
			 : can[BST_HIDDEN_F16] ? BST_HIDDEN_F16
					       : BST_HIDDEN_NONE;
	return 0;
}

int bst_sample(struct bst_sampler *s, struct bst_sample *sample)
{
	int err = 0;

	sample->stored = 0;
	sample->hidden = BST_HIDDEN_NONE;
	if (bst_is_interrupted())
		return -EINTR;
	if (sample->dtype == BS_DTYPE_F32)
		err = find_hidden(s, sample);
	if (!err && sample->n_chunks)
		err = estimate(s, sample);
	return err;
}
