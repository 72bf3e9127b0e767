/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packer.h - files into one container, on many threads
 */

#ifndef BST_PACKER_H
#define BST_PACKER_H

#include <stdint.h>

#include "bigsmall.h"
#include "layout.h"

#define BST_N_CODINGS 4

struct bst_amount {
	uint64_t raw;
	uint64_t stored;
};

/* What is to be packed, and where to. */
struct bst_pack {
	int dst_fd; /* -1: count the bytes, write nothing */
	unsigned n_threads;
	enum bs_level level;
	struct bst_layout *layout; /* blob numbers and digests are set */

	/*
	 * The members, in order: member i's type, mode, mtime, name and
	 * target into 'ret' (zeros before), and the number of the source that
	 * has its bytes, or BST_NO_SOURCE.  NULL: the layout's only source is
	 * the only file.
	 */
	void (*member)(void *ctx, size_t i, struct bs_member *ret,
		       size_t *ret_source);
	void *ctx;
	size_t n_members;

	const char *suffix; /* of a single file */
	uint32_t mode; /* of the file, or of a bundle's directory */
	int64_t mtime_ns;

	/* What came of it. */
	uint64_t stored_len; /* of the container */
	uint64_t n_blobs;
	struct bst_amount by_coding[BST_N_CODINGS];
	struct bst_amount by_dtype[BS_DTYPE_N];
	int exit_code;
	char error[512]; /* a sentence, without the container's name */
};

/* Returns the exit code; the sentence is in 'error'.  A second call starts
 * anew. */
int bst_pack(struct bst_pack *pack);

#endif /* BST_PACKER_H */
