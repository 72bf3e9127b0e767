/* SPDX-License-Identifier: Apache-2.0 */
/*
 * large.h - a container as a model of 147 GB has it, made in a second
 *
 * 10,000 tensors of 14 MiB, each with a model, tables and classes of its own:
 * the directory and the index are as large as they get.  The file is not, since
 * all chunks are patterns but for the second one of every 200th tensor, which is
 * coded in planes.
 */

#ifndef BS_LARGE_H
#define BS_LARGE_H

#include "bigsmall.h"
#include "bits.h"
#include "checksum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE_TENSORS 10000
#define LARGE_TENSOR_LEN (UINT64_C(14) << 20)
#define LARGE_COLUMNS 4096
#define LARGE_HEADER_LEN (151 << 13) /* chunks begin at whole rows */
#define LARGE_CODED_EVERY 200
#define LARGE_PATTERNS 16
#define LARGE_LEN (LARGE_HEADER_LEN + LARGE_TENSORS * LARGE_TENSOR_LEN)

struct large {
	struct bs_writer *w;
	struct bs_workspace *ws;
	struct bs_coder *coder;
	uint8_t raw[BS_CHUNK_RAW_MAX]; /* of the chunk in planes */
	uint8_t stored[BS_CHUNK_STORED_MAX];
	struct bs_encoded coded;
	uint8_t pattern[BS_CHUNK_RAW_MAX];
	uint64_t sums[LARGE_PATTERNS]; /* of a whole chunk */
};

/* What chunk 'no' repeats. */
static inline void large_pattern(uint64_t no, uint8_t *ret)
{
	memset(ret, (int)(1 + no % LARGE_PATTERNS), 8);
	ret[7] = 0x3c;
}

static inline int large_is_coded(uint64_t tensor, uint64_t chunk_of_tensor)
{
	return tensor % LARGE_CODED_EVERY == 0 && chunk_of_tensor == 1;
}

/* BF16 whose columns differ in scale. */
static inline void large_weights(uint8_t *p, size_t n)
{
	uint64_t x = 88172645463325252u;
	size_t i;

	for (i = 0; i < n; i++) {
		float f = -2;
		uint32_t u;
		int k;

		for (k = 0; k < 4; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			f += (float)(x >> 40) * 0x1p-24f;
		}
		f *= (float)(1 + i % LARGE_COLUMNS % 7);
		memcpy(&u, &f, sizeof(u));
		p[2 * i] = (uint8_t)(u >> 16);
		p[2 * i + 1] = (uint8_t)(u >> 24);
	}
}

static inline enum bs_result large_coder(struct large *l)
{
	size_t len = sizeof(l->raw) / 2 * 2;
	struct bs_stats *st;
	enum bs_result res = bs_stats_new(&st, BS_LEVEL_DEFAULT);

	if (res)
		return res;
	large_weights(l->raw, len / 2);
	res = bs_stats_begin(st, BS_DTYPE_BF16, LARGE_TENSOR_LEN,
			     LARGE_COLUMNS);
	if (!res) {
		bs_stats_add(st, l->raw, len);
		res = bs_coder_new(&l->coder, st);
	}
	bs_stats_free(st);
	return res;
}

/* The safetensors header, and blanks. */
static inline enum bs_result large_header(struct large *l)
{
	size_t len = LARGE_HEADER_LEN, at = 8, n, i;
	char *text = malloc(len);
	struct bs_encoded enc;
	struct bs_blob b;
	uint64_t no, off, c;
	enum bs_result res;

	if (!text)
		return BS_ERR_NOMEM;
	put_u64((uint8_t *)text, len - 8);
	for (i = 0; i < LARGE_TENSORS; i++)
		at += (size_t)snprintf(
			text + at, len - at,
			"%c\"layer.%zu.weight\":{\"dtype\":\"BF16\",\"shape\":[%u,%u],\"data_offsets\":[%llu,%llu]}",
			i ? ',' : '{', i,
			(unsigned)(LARGE_TENSOR_LEN / 2 / LARGE_COLUMNS),
			LARGE_COLUMNS,
			(unsigned long long)(i * LARGE_TENSOR_LEN),
			(unsigned long long)((i + 1) * LARGE_TENSOR_LEN));
	memset(text + at, ' ', len - at);
	text[at] = '}';
	res = bs_writer_begin_blob(l->w, BS_DTYPE_BYTES, NULL, 0, len, &no, &b);
	for (c = 0; !res && c < b.n_chunks; c++) {
		bs_blob_chunk_range(&b, b.first_chunk + c, &off, &n);
		res = bs_chunk_encode(NULL, l->ws, off, text + off, n,
				      l->stored, &enc);
		if (!res)
			res = bs_writer_put_chunk(l->w, &enc, l->stored);
	}
	free(text);
	return res ? res : bs_writer_end_blob(l->w, NULL);
}

static inline enum bs_result large_pattern_chunk(struct large *l, uint64_t no,
						 size_t len, size_t chunk_size)
{
	struct bs_encoded enc = { .raw_len = (uint32_t)len,
				  .stored_len = 8,
				  .coding = BS_CODING_CONSTANT };
	uint64_t *sum = &l->sums[no % LARGE_PATTERNS];
	uint8_t pattern[8];
	size_t i;

	large_pattern(no, pattern);
	if (len != chunk_size || !*sum) {
		for (i = 0; i < len; i += 8)
			memcpy(l->pattern + i, pattern, 8);
		enc.raw_sum = bs_xxh3_64(l->pattern, len);
		if (len == chunk_size)
			*sum = enc.raw_sum;
	} else {
		enc.raw_sum = *sum;
	}
	enc.stored_sum = bs_xxh3_64(pattern, 8);
	return bs_writer_put_chunk(l->w, &enc, pattern);
}

static inline enum bs_result large_tensor(struct large *l, uint64_t tensor,
					  uint64_t *ret_blob)
{
	uint64_t off = LARGE_HEADER_LEN + tensor * LARGE_TENSOR_LEN, c, at;
	struct bs_blob b;
	enum bs_result res;
	size_t n;

	res = bs_writer_begin_blob(l->w, BS_DTYPE_BF16, l->coder, off,
				   LARGE_TENSOR_LEN, ret_blob, &b);
	for (c = 0; !res && c < b.n_chunks; c++) {
		bs_blob_chunk_range(&b, b.first_chunk + c, &at, &n);
		if (!large_is_coded(tensor, c)) {
			res = large_pattern_chunk(l, b.first_chunk + c, n,
						  b.chunk_size);
			continue;
		}
		/* The same elements of every tensor: the same bytes. */
		if (!l->coded.stored_len)
			res = bs_chunk_encode(l->coder, l->ws, at, l->raw, n,
					      l->stored, &l->coded);
		if (!res)
			res = bs_writer_put_chunk(l->w, &l->coded, l->stored);
	}
	return res ? res : bs_writer_end_blob(l->w, NULL);
}

static inline enum bs_result large_body(struct large *l)
{
	struct bs_extent *ext = calloc(LARGE_TENSORS + 1, sizeof(*ext));
	struct bs_member m = { .type = BS_MEMBER_FILE,
			       .mode = 0644,
			       .size = LARGE_LEN,
			       .name = "",
			       .target = "",
			       .n_extents = LARGE_TENSORS + 1 };
	enum bs_result res;
	uint64_t t;

	if (!ext)
		return BS_ERR_NOMEM;
	ext[0].len = LARGE_HEADER_LEN;
	res = large_header(l);
	for (t = 0; !res && t < LARGE_TENSORS; t++) {
		ext[t + 1].off = LARGE_HEADER_LEN + t * LARGE_TENSOR_LEN;
		ext[t + 1].len = LARGE_TENSOR_LEN;
		res = large_tensor(l, t, &ext[t + 1].blob);
	}
	if (!res)
		res = bs_writer_add_member(l->w, &m, ext);
	free(ext);
	return res;
}

/* Write the container; *ret, for the caller to free, knows what is in it. */
static inline enum bs_result large_write(const struct bs_sink *sink,
					 struct large **ret, uint64_t *ret_len)
{
	struct large *l = calloc(1, sizeof(*l));
	enum bs_result res;

	*ret = l;
	if (!l)
		return BS_ERR_NOMEM;
	res = bs_writer_new(&l->w, BS_LEVEL_DEFAULT, sink);
	if (!res)
		res = bs_workspace_new(&l->ws);
	if (!res)
		res = large_coder(l);
	if (!res)
		res = large_body(l);
	if (!res)
		res = bs_writer_finish(l->w, ".safetensors", ret_len);
	bs_writer_free(l->w);
	bs_workspace_free(l->ws);
	bs_coder_free(l->coder);
	return res;
}

/* What the file has in chunk 'no', the c-th of a tensor, from byte 'at' of the
 * chunk on. */
static inline void large_expect(const struct large *l, uint64_t tensor,
				uint64_t no, uint64_t c, size_t at,
				uint8_t *dst, size_t len)
{
	uint8_t pattern[8];
	size_t i;

	if (large_is_coded(tensor, c)) {
		memcpy(dst, l->raw + at, len);
		return;
	}
	large_pattern(no, pattern);
	for (i = 0; i < len; i++)
		dst[i] = pattern[(at + i) % 8];
}

#endif /* BS_LARGE_H */
