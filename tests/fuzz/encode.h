/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.h - a real container in memory, made by the library's own encoder
 */

#ifndef FUZZ_ENCODE_H
#define FUZZ_ENCODE_H

#include "fuzz.h"

/* One blob to be; all of a container have one level. */
struct piece {
	enum bs_level level;
	uint8_t dtype;
	uint8_t is_sample; /* statistics of the first chunk only */
	const uint8_t *data;
	size_t len; /* > 0, in units of the dtype */
	uint64_t width; /* elements a row, or 0 */
};

struct growing {
	uint8_t *p;
	size_t len;
	size_t cap;
};

static inline int growing_pwrite(void *ctx, const void *buf, size_t len,
				 uint64_t off)
{
	struct growing *g = ctx;

	if (off + len > g->cap) {
		g->cap = 2 * (off + len);
		g->p = realloc(g->p, g->cap);
		MUST(g->p);
	}
	if (off > g->len)
		memset(g->p + g->len, 0, off - g->len);
	if (off + len > g->len)
		g->len = off + len;
	if (len)
		memcpy(g->p + off, buf, len);
	return 0;
}

static inline void encode_chunks(struct bs_writer *w, struct bs_workspace *ws,
				 const struct bs_coder *coder,
				 const struct bs_blob *b,
				 const struct piece *piece)
{
	uint8_t *stored = malloc(BS_CHUNK_STORED_MAX);
	struct bs_encoded enc;
	uint64_t c, off;
	size_t len;

	MUST(stored);
	for (c = b->first_chunk; c < b->first_chunk + b->n_chunks; c++) {
		bs_blob_chunk_range(b, c, &off, &len);
		MUST(off + len <= piece->len);
		MUST(!bs_chunk_encode(coder, ws, off, piece->data + off, len,
				      stored, &enc));
		MUST(enc.stored_len <= len);
		MUST(!bs_writer_put_chunk(w, &enc, stored));
	}
	free(stored);
}

static inline void encode_blob(struct bs_writer *w, struct bs_workspace *ws,
			       const struct piece *piece, uint64_t file_off,
			       uint64_t *ret_blob)
{
	struct bs_coder *coder;
	struct bs_stats *st;
	struct bs_blob b;
	size_t seen = piece->len;

	bs_blob_layout(piece->level, piece->dtype, file_off, piece->len, &b);
	if (piece->is_sample)
		seen = b.first_chunk_len;
	MUST(!bs_stats_new(&st, piece->level));
	MUST(!bs_stats_begin(st, piece->dtype, piece->len, piece->width));
	bs_stats_add(st, piece->data, seen);
	MUST(!bs_coder_new(&coder, st));
	bs_stats_free(st);
	MUST(!bs_writer_begin_blob(w, piece->dtype, coder, file_off, piece->len,
				   ret_blob, &b));
	encode_chunks(w, ws, coder, &b, piece);
	MUST(!bs_writer_end_blob(w, NULL));
	bs_coder_free(coder);
}

/* A single-file container of 'n' blobs; returns its length, *ret is malloced. */
static inline size_t encode_container(uint8_t **ret, const struct piece *pieces,
				      size_t n)
{
	struct bs_member m = { .type = BS_MEMBER_FILE, .name = "" };
	struct growing out = { 0 };
	struct bs_sink sink = { .pwrite = growing_pwrite, .ctx = &out };
	struct bs_extent *ext = calloc(n + 1, sizeof(*ext));
	struct bs_workspace *ws;
	struct bs_writer *w;
	uint64_t len;
	size_t i;

	MUST(ext && !bs_workspace_new(&ws) &&
	     !bs_writer_new(&w, n ? pieces[0].level : BS_LEVEL_DEFAULT, &sink));
	for (i = 0; i < n; i++) {
		ext[i].off = m.size;
		ext[i].len = pieces[i].len;
		encode_blob(w, ws, &pieces[i], m.size, &ext[i].blob);
		m.size += pieces[i].len;
	}
	m.n_extents = n;
	MUST(!bs_writer_add_member(w, &m, ext));
	MUST(!bs_writer_finish(w, ".safetensors", &len));
	MUST(len == out.len);
	bs_writer_free(w);
	bs_workspace_free(ws);
	free(ext);
	*ret = out.p;
	return out.len;
}

#endif /* FUZZ_ENCODE_H */
