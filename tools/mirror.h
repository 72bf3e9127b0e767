/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror.h - a directory, file by file, in place or into another
 */

#ifndef BST_MIRROR_H
#define BST_MIRROR_H

#include <sys/stat.h>

#include "walk.h"

enum bst_mirrored {
	BST_MIRROR_FAILED,
	BST_MIRROR_LEFT, /* nothing was made of it */
	BST_MIRROR_MADE, /* the result is there; in place, the source is gone */
};

/* A file of which something is to be made. */
struct bst_mirror_file {
	char *src; /* owned, as is dst */
	char *dst;
	const char *suffix; /* as 'plan' said */
	size_t entry;
	const struct stat *st; /* what was found there; borrowed */
	enum bst_mirrored outcome;
	int exit_code;
	void *job; /* the owner's */
};

struct bst_mirror {
	const char *cmd; /* for usage sentences */
	const char *src; /* a directory */
	const char *out; /* another; NULL: in place */
	unsigned n_threads;
	int may_replace;
	int dry_run;

	/* Whether something is to be made of a file, open as 'fd': 1 and what
	 * that is called, the caller's to free (and, borrowed from 'base' or
	 * static, the suffix that it loses), 0, or an exit code negated. */
	int (*plan)(void *ctx, const char *path, int fd, const struct stat *st,
		    char **ret_name, const char **ret_suffix);

	/* Make it, on any thread; sets 'outcome', 'exit_code' and 'job'. */
	void (*run)(void *ctx, struct bst_mirror_file *f, unsigned n_threads);

	/* It is made, or not: in order, on the calling thread. */
	void (*done)(void *ctx, struct bst_mirror_file *f);
	void *ctx;

	/* What came of it. */
	size_t n_left; /* files that stay what they are, or were copied */
};

/* Returns an exit code; sentences are printed. */
int bst_mirror(struct bst_mirror *m);

#endif /* BST_MIRROR_H */
