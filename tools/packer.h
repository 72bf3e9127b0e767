/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packer.h - one file into one container, on many threads
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
	int src_fd;
	int dst_fd; /* -1: count the bytes, write nothing */
	unsigned n_threads;
	const char *suffix;
	uint32_t mode;
	int64_t mtime_ns;
	struct bst_layout *layout; /* blob numbers and digests are set */

	/* What came of it. */
	uint64_t stored_len; /* of the container */
	uint64_t n_blobs;
	uint8_t sha256[32]; /* of the source */
	struct bst_amount by_coding[BST_N_CODINGS];
	struct bst_amount by_dtype[BS_DTYPE_N];
	int exit_code;
	char error[256]; /* a sentence, without the file's name */
};

/* Returns the exit code; the sentence is in 'error'.  A second call starts
 * anew. */
int bst_pack(struct bst_pack *pack);

#endif /* BST_PACKER_H */
