/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - how a file is cut into blobs
 */

#ifndef BST_LAYOUT_H
#define BST_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "bigsmall.h"
#include "safetensors.h"

#define BST_NO_REGION SIZE_MAX
#define BST_REASON_LEN 240

/* A parsed header takes some ten times its length in memory, and the promise
 * is 256 MiB: 16 MiB are 150,000 tensors.  Longer ones are kept unread. */
#define BST_HEADER_MAX ((uint64_t)16 << 20)

/* Consecutive bytes of the file that become one blob, or repeat another. */
struct bst_region {
	uint64_t off;
	uint64_t len; /* > 0 */
	size_t same_as; /* an earlier region with the same bytes */
	uint64_t blob; /* filled in as the blobs are written */
	uint8_t digest[16]; /* XXH3-128, filled in as the file is read */
	uint8_t dtype;
	uint8_t is_tensor; /* exactly one tensor */
};

struct bst_layout {
	struct bst_region *region; /* [n_regions], owned; covers the file */
	size_t n_regions;
	size_t n_allocated;
	uint64_t size; /* of the file */
	uint64_t n_tensors;
	uint64_t n_unknown; /* tensors of a dtype we do not know */
	uint64_t n_tied;
	uint64_t tied_len;
	int is_safetensors;
	char unknown_dtype[64]; /* of the first such tensor */
	char reason[BST_REASON_LEN]; /* why it is not; "" if it does not look
					like one */
};

/*
 * Cut the 'size' bytes of 'fd': by its tensors if it is a safetensors file,
 * else as one opaque region.  'is_expected': its name says that it is one, so
 * 'reason' is set where it is not.  0, or -errno (-ENODATA: shorter than
 * 'size'; -EINTR: interrupted).
 */
int bst_layout_read(struct bst_layout *ret, int fd, uint64_t size,
		    int is_expected);

/*
 * Read and parse the header of a file.  0 and *ret is NULL: it has none that
 * can be used, and 'reason' (of BST_REASON_LEN) says why.  The caller owns
 * *ret.
 */
int bst_read_header(int fd, uint64_t size, struct bs_st **ret,
		    uint64_t *ret_len, char *reason);

/* One region for the whole file, whatever it holds. */
int bst_layout_opaque(struct bst_layout *ret, uint64_t size);

void bst_layout_fini(struct bst_layout *lay);

/* ties.c: find the tensors that repeat an earlier one, byte for byte. */
int bst_layout_find_ties(struct bst_layout *lay, int fd);

#endif /* BST_LAYOUT_H */
