/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpacker.h - all bytes of a container, on many threads
 */

#ifndef BST_UNPACKER_H
#define BST_UNPACKER_H

#include <stddef.h>
#include <stdint.h>

#include "bigsmall.h"
#include "container.h"

/* A stretch of the file that cannot be had. */
struct bst_bad {
	uint64_t chunk; /* the first of them; of upstream's all of a tensor */
	uint64_t n_chunks; /* more than one: their index page is lost */
	uint64_t off; /* in the file */
	uint64_t len;
	uint64_t stored_off; /* in the container */
	uint64_t stored_len;
	enum bs_result res;
	int is_stored_intact; /* only decoding failed */
	int is_int4; /* upstream's: the tensor is good, its 4-bit values are not */
};

struct bst_unpack {
	struct bst_container *box; /* borrowed; its 'member' is what is read */
	int dst_fd; /* -1: write nothing */
	int cmp_fd; /* -1, or a file that has to hold the same bytes */
	unsigned n_threads;
	int is_fast; /* check the stored bytes, do not decode */
	int goes_on; /* after bad chunks, too */

	/* What came of it. */
	struct bst_bad *bad; /* [n_bad], owned; in order of the file */
	size_t n_bad;
	size_t n_allocated;
	uint64_t n_chunks; /* looked at; of upstream's, tensors */
	int has_digest; /* all was decoded */
	uint8_t digest[BS_DIGEST_MAX]; /* by the member's algorithm */
	int differs; /* cmp_fd holds other bytes, or fewer */
	int exit_code; /* of what is not the container's fault */
	char error[256]; /* a sentence, without a file's name */
};

/* Returns exit_code; bad chunks are in 'bad' and do not count. */
int bst_unpack(struct bst_unpack *u);
void bst_unpack_fini(struct bst_unpack *u);

#endif /* BST_UNPACKER_H */
