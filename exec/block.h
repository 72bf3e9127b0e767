/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block.h - one layer of a model, over some tokens
 */

#ifndef BSX_BLOCK_H
#define BSX_BLOCK_H

#include "holding.h"
#include "team.h"

/* Tokens that go through a layer together: 16 tiles of the widest kernel. */
#define BSX_BATCH 96

/* What all layers share. */
struct bsx_block {
	const struct bsx_hparams *hp; /* borrowed, as is the next */
	struct bsx_team *team;
	const struct bsx_kernels *k;
	uint32_t n_context;

	/* [n_layers][n_kv_heads][n_context][head_dim], owned */
	float *keys, *values;

	/* Of a batch; owned. */
	float *norm; /* [BSX_BATCH][n_embd] */
	float *q; /* [BSX_BATCH][n_heads * head_dim] */
	float *k_new; /* [BSX_BATCH][n_kv_heads * head_dim] */
	float *v_new; /* likewise */
	float *mixed; /* as q */
	float *gate; /* [BSX_BATCH][n_ff] */
	float *up; /* likewise */
	/* Angles, of all layers or of those that do not slide, then of those
	 * that do. */
	uint32_t n_pairs; /* of a head that are turned */
	float *inv_freq[2]; /* [n_pairs] */
	float *cosine[2]; /* [n_context][n_pairs] */
	float *sine[2]; /* likewise */
	uint32_t n_angles; /* positions whose angles are there */
	float *scores; /* [threads][n_heads / n_kv_heads][n_context] */

	void *mem; /* mapped: all of the above */
	size_t mem_len;
};

/* The bytes that it takes. */
uint64_t bsx_block_bytes(const struct bsx_hparams *hp, uint32_t n_context,
			 unsigned n_threads);

enum bsx_result bsx_block_init(struct bsx_block *b,
			       const struct bsx_hparams *hp,
			       struct bsx_team *team, uint32_t n_context,
			       struct bsx_error *err);
void bsx_block_fini(struct bsx_block *b);

/* x[n][n_embd]: n <= BSX_BATCH tokens at the positions from 'pos' on, before
 * the layer and after it. */
void bsx_block_run(struct bsx_block *b, const struct bsx_part *part,
		   uint32_t layer, float *x, size_t n, uint32_t pos);

/* x[n][n_embd] through the norm before the head, to out, which may be x. */
void bsx_final_norm(struct bsx_block *b, const struct bsx_part *part,
		    float *out, const float *x, size_t n);

/* out[t * stride + r] = row r of m * x[t] for n tokens, over all threads. */
void bsx_matmul(struct bsx_block *b, float *out, size_t stride,
		const struct bsx_matrix *m, const float *x, size_t n);

#endif /* BSX_BLOCK_H */
