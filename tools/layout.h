/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - how files are cut into blobs
 */

#ifndef BST_LAYOUT_H
#define BST_LAYOUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "bigsmall.h"
#include "safetensors.h"

#define BST_NO_REGION SIZE_MAX
#define BST_NO_SOURCE SIZE_MAX
#define BST_REASON_LEN 240

/* A parsed header takes some ten times its length in memory, and the promise
 * is 256 MiB: 16 MiB are 150,000 tensors.  Longer ones are kept unread. */
#define BST_HEADER_MAX ((uint64_t)16 << 20)

/* Files of a bundle up to this length share blobs: a quarter of a chunk. */
#define BST_SMALL_FILE ((uint64_t)64 << 10)

/* A file that goes into the container. */
struct bst_source {
	const char *path; /* borrowed */
	int fd; /* borrowed; -1: opened while it is read */
	uint8_t is_safetensors;
	struct stat st; /* when it was laid out: as it has to stay */
	size_t first_region;
	size_t n_regions;
	uint8_t sha256[32]; /* filled in as it is read */
};

/* Consecutive bytes of a file that become one blob, or a part of one that
 * small files share, or repeat another region. */
struct bst_region {
	size_t source;
	uint64_t off; /* in the source */
	uint64_t len; /* > 0 */
	size_t same_as; /* an earlier region with the same bytes */
	size_t leader; /* the first region of the blob; itself if alone */
	uint64_t blob_off; /* in the leader's blob */
	uint64_t blob_len; /* of a leader */
	uint64_t width; /* elements a row of a tensor; 0: none */
	uint64_t blob; /* of a leader: filled in as the blobs are written */
	uint8_t digest[16]; /* XXH3-128 of the blob, filled in as it is read */
	uint8_t dtype;
	uint8_t is_tensor; /* exactly one tensor */
	uint8_t is_small_file; /* may share its blob */
};

struct bst_layout {
	struct bst_source *source; /* [n_sources], owned */
	size_t n_sources;
	size_t sources_allocated;
	struct bst_region *region; /* [n_regions], owned; covers the sources,
				    * one after another */
	size_t n_regions;
	size_t n_allocated;
	uint64_t size; /* of all sources */
	uint64_t n_tensors;
	uint64_t n_tied; /* tensors that repeat one */
	uint64_t tied_len; /* bytes that repeat others */

	/* Of the source added last. */
	uint64_t n_unknown; /* tensors of a dtype we do not know */
	char unknown_dtype[64]; /* of the first such tensor */
	char reason[BST_REASON_LEN]; /* why it is no safetensors; "" if it does
					not look like one */
};

enum bst_layout_mode {
	BST_LAYOUT_FILE, /* by its tensors if it is a safetensors file */
	BST_LAYOUT_BUNDLED, /* the same; small ones that are none share blobs */
	BST_LAYOUT_OPAQUE, /* as one region, whatever it holds */
};

/*
 * Cut a file, read through 'fd' if that is not -1, and add it to the layout,
 * which begins as zeros.  'is_expected': its name says that it is a safetensors
 * file, so 'reason' is set where it is not.  0, or -errno (-ENODATA: it is
 * another than 'st', or shorter; -EINTR: interrupted).
 */
int bst_layout_add(struct bst_layout *lay, const char *path, int fd,
		   const struct stat *st, enum bst_layout_mode mode,
		   int is_expected);

/* ties.c: find the regions that repeat an earlier one, byte for byte; once all
 * sources are there. */
int bst_layout_find_ties(struct bst_layout *lay);

void bst_layout_fini(struct bst_layout *lay);

/* A descriptor of the source: its own, or one to be closed by bst_source_close;
 * -ENODATA if the path leads to another file by now. */
int bst_source_open(const struct bst_source *src);
void bst_source_close(const struct bst_source *src, int fd);

/*
 * Read and parse the header of a file.  0 and *ret is NULL: it has none that
 * can be used, and 'reason' (of BST_REASON_LEN) says why.  The caller owns
 * *ret.
 */
int bst_read_header(int fd, uint64_t size, struct bs_st **ret,
		    uint64_t *ret_len, char *reason);

/* Whether the first bytes could begin a safetensors file. */
int bst_looks_like_safetensors(int fd, uint64_t size);

#endif /* BST_LAYOUT_H */
