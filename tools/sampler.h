/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sampler.h - what a stretch of a file would take, from a sample of it
 */

#ifndef BST_SAMPLER_H
#define BST_SAMPLER_H

#include <stdint.h>

#include "bigsmall.h"

/* What the values of an F32 tensor are in truth. */
enum bst_hidden {
	BST_HIDDEN_NONE,
	BST_HIDDEN_BF16, /* every value is a BF16 */
	BST_HIDDEN_F16, /* every value is an F16 */
	BST_N_HIDDEN
};

/* A blob as compress would make it. */
struct bst_sample {
	int fd;
	uint64_t off;
	uint64_t len; /* > 0 */
	unsigned dtype;
	uint64_t width; /* elements a row; 0: none */
	uint64_t n_chunks; /* to encode at most; 0: only what is hidden is
			    * looked for */

	/* What came of it. */
	uint64_t stored; /* bytes that the blob would take, all included */
	enum bst_hidden hidden;
};

struct bst_sampler; /* the memory of one thread */

/* NULL: out of memory. */
struct bst_sampler *bst_sampler_new(void);
void bst_sampler_free(struct bst_sampler *s);

/* 0, or -errno (-ENODATA: the file is shorter; -EINTR: interrupted). */
int bst_sample(struct bst_sampler *s, struct bst_sample *sample);

#endif /* BST_SAMPLER_H */
