/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scanner.h - files, and what compressing them would give
 */

#ifndef BST_SCANNER_H
#define BST_SCANNER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "bigsmall.h"
#include "layout.h"
#include "sampler.h"

struct bst_tensors {
	uint64_t n;
	uint64_t len;
};

/* What of a dtype was counted stands for all of it. */
struct bst_share {
	uint64_t raw;
	uint64_t counted;
	uint64_t stored; /* of what was counted */
};

struct bst_scan_file {
	char *path; /* owned */
	struct stat st;
	uint64_t size; /* of a container, of what it holds */
	size_t source; /* in the layout, or BST_NO_SOURCE */
	int fd; /* while it is sampled */
	int is_named; /* by the user, not found in a directory */
	int is_container; /* nothing to do any more */
	int is_upstream; /* of BigSmall (Python) */
	uint64_t n_int4; /* tensors that it has in 4 bits as well */
	int is_other; /* no safetensors */
	int err; /* -errno, of a sample */
	int code; /* an exit code: it could not be looked at */
	uint64_t stored; /* the estimate; of a container, its size */
	uint64_t n_tensors;
	struct bst_tensors tied; /* within the file: compress knows them */
	struct bst_tensors twins; /* in an earlier file as well */
	struct bst_tensors hidden[BST_N_HIDDEN];
	struct bst_share share[BS_DTYPE_N];
};

struct bst_scan {
	struct bst_scan_file *files; /* [n], owned */
	size_t n;
	size_t n_allocated;
	unsigned n_threads;
	struct bst_layout lay; /* of all that is sampled */
	struct bst_sampler **samplers; /* [n_threads], owned */
};

/* Look at these files, and at those below these directories.  Returns an exit
 * code, its sentences printed. */
int bst_scan(struct bst_scan *s, char **paths, int n);
void bst_scan_fini(struct bst_scan *s);

/* Whether the file has an estimate. */
int bst_scan_has(const struct bst_scan_file *f);

/* The estimate of what a dtype takes. */
uint64_t bst_share_stored(const struct bst_share *share);

#endif /* BST_SCANNER_H */
