/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restorer.h - the file that a container was made of, beside it or in its
 * place
 */

#ifndef BST_RESTORER_H
#define BST_RESTORER_H

#include <stdint.h>

#include "container.h"

struct bst_restore {
	const char *src; /* borrowed, as all strings */
	const char *dst;
	const struct stat *found; /* NULL, or which file src has to be */
	int may_replace; /* dst, if it exists */
	int is_in_place; /* remove the container once the file is proven */
	int skips_present; /* a dst that was restored of src is no error */

	/* What came of it. */
	int exit_code;
	int is_present; /* dst was there already */
	uint64_t raw_len;
	uint64_t stored_len;
	int has_sha256; /* and it agreed */
	int is_upstream; /* of BigSmall (Python): MD5s of tensors agreed */
	double seconds;
};

/*
 * Restore src as dst with 'n_threads' threads.  Sentences about what went wrong
 * are printed; the exit code is returned, too.
 *
 * In place: at every instant the file exists whole as its container, or as a
 * file that was read back and compared with it, or as both.
 */
int bst_restore_file(struct bst_restore *job, unsigned n_threads);

/* Decode the member of 'box' into 'fd', check all of it, and print a sentence
 * where something is wrong; returns the exit code. */
int bst_restore_into(struct bst_container *box, int fd, unsigned n_threads);

#endif /* BST_RESTORER_H */
