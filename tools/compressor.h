/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compressor.h - one file into one container, beside it or in its place
 */

#ifndef BST_COMPRESSOR_H
#define BST_COMPRESSOR_H

#include <sys/stat.h>

#include "layout.h"
#include "packer.h"

enum bst_outcome {
	BST_FAILED, /* exit_code says how */
	BST_WRITTEN,
	BST_REPLACED, /* and the source is gone */
	BST_RESUMED, /* the .bs was there; now the source is gone */
	BST_LEFT_OTHER, /* no safetensors: left as it is */
	BST_LEFT_DENSE, /* hardly anything to gain: likewise */
	BST_PRESENT, /* what is there already was made of this file */
};

struct bst_compress {
	const char *src; /* borrowed, as are all strings */
	const char *dst;
	const char *suffix; /* what the name of the source has after dst's
			     * stem */
	const struct stat *found; /* NULL, or which file src has to be */
	enum bs_level level;
	int may_replace; /* dst, if it exists */
	int dry_run;
	int checks_dir; /* dry_run: that dst's directory is there */
	int is_weights_only; /* leave what is no safetensors, or dense */
	int is_in_place; /* remove the source once the .bs is proven */
	int skips_present; /* a dst that was made of src is no error */

	/* What came of it. */
	enum bst_outcome outcome;
	int exit_code;
	int has_grown; /* by its tensors, so it was kept whole */
	int is_safetensors;
	int is_bundle;
	uint64_t n_files; /* of a bundle */
	uint64_t raw_len;
	uint64_t stored_len;
	uint64_t n_tensors, n_unknown, n_tied, tied_len, n_blobs;
	uint8_t sha256[32];
	char reason[BST_REASON_LEN]; /* why it is no safetensors, if it is
					called one */
	struct bst_amount by_coding[BST_N_CODINGS];
	struct bst_amount by_dtype[BS_DTYPE_N];
	double seconds;
};

/*
 * Compress src into dst with 'n_threads' threads.  Sentences about what went
 * wrong are printed; the exit code is returned, too.
 *
 * In place: at every instant the file exists whole as it was, or as a
 * container that was read back and compared with it byte for byte, or as both.
 */
int bst_compress_file(struct bst_compress *job, unsigned n_threads);

/* The same the other way round, for a container at 'path' and the file that
 * was restored of it, open as 'fd': 1 if they hold the same bytes, 0 if not, or
 * BST_EXIT_... negated, the sentence printed. */
int bst_compare_container(const char *path, int container_fd, int fd,
			  unsigned n_threads);

/* How much smaller, in per cent; 0 where it is not. */
double bst_saved(uint64_t raw, uint64_t stored);

/* Less is no gain: the file is left as it is where that is possible. */
#define BST_GAIN_MIN 1.0

#endif /* BST_COMPRESSOR_H */
