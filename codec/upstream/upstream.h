/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.h - an open file of BigSmall (Python), as archive.c uses it
 *
 * Its tensors are blobs of one virtual safetensors file: docs/upstream.md.
 */

#ifndef BS_UP_UPSTREAM_H
#define BS_UP_UPSTREAM_H

#include "tensor.h"

/* One of its files, or a link. */
struct bs_up_member {
	const char *name; /* static, as is the next */
	const char *target; /* beside the directory; NULL: a file */
	uint64_t size;
	size_t first_extent;
	size_t n_extents;
};

struct bs_up_file {
	struct bs_summary summary;
	/* The virtual file: blob 0 is what is made up of it, as its header, blob
	 * i tensor i - 1; an extent each for the header and for every tensor that
	 * has bytes. */
	uint8_t *head; /* [head_len], owned */
	size_t head_len;
	struct bs_up_member *members; /* [n_members], owned; a directory's are
				       * sorted */
	size_t n_members;
	struct bs_up_tensor *tensors; /* [n_tensors], owned: those that are stored
				    * once */
	size_t n_tensors;
	struct bs_extent *extents; /* [n_extents], owned */
	size_t n_extents;
};

/* Read and check the header: BS_ERR_FEATURE where it needs what we lack. */
enum bs_result bs_up_file_open(struct bs_up_file *ret,
			       const struct bs_source *src,
			       struct bs_error *err);
void bs_up_file_close(struct bs_up_file *f);

#endif /* BS_UP_UPSTREAM_H */
