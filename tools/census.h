/* SPDX-License-Identifier: Apache-2.0 */
/*
 * census.h - what a container's chunks add up to
 */

#ifndef BST_CENSUS_H
#define BST_CENSUS_H

#include <stdint.h>

#include "bigsmall.h"
#include "container.h"
#include "packer.h"

struct bst_blob_sum {
	uint64_t raw;
	uint64_t stored;
	uint64_t by_coding[BST_N_CODINGS]; /* raw bytes */
	const char *codec; /* an upstream's; borrowed; else NULL */
};

/* What an upstream's file has of a codec of its own. */
struct bst_codec {
	const char *name; /* borrowed */
	struct bst_amount amount;
};

#define BST_CODECS_MAX 16

struct bst_census {
	struct bst_blob_sum *blobs; /* [n_blobs], owned */
	struct bst_amount by_coding[BST_N_CODINGS];
	struct bst_amount by_dtype[BS_DTYPE_N];
	struct bst_codec codecs[BST_CODECS_MAX];
	unsigned n_codecs;
	uint64_t n_tied; /* extents that repeat what an earlier one shows */
};

/* Read the whole index, no data.  *ret holds nothing after a failure. */
enum bs_result bst_census_take(struct bst_census *ret,
			       const struct bst_container *box,
			       struct bs_error *err);
void bst_census_fini(struct bst_census *cen);

/*
 * The stored bytes of [off, off + len) of the member, which lies in one
 * extent, and the coding that most of its blob has.  Neighbours that share a
 * blob share its cost.
 */
uint64_t bst_census_of_range(const struct bst_census *cen,
			     const struct bst_container *box, uint64_t off,
			     uint64_t len, const char **ret_coding);

#endif /* BST_CENSUS_H */
