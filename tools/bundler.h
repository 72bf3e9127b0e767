/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundler.h - a whole directory in one container, and back
 */

#ifndef BST_BUNDLER_H
#define BST_BUNDLER_H

#include "compressor.h"
#include "container.h"

/*
 * Compress the directory job->src into the bundle job->dst.  Sentences are
 * printed; returns the exit code.  Nothing is written where the directory has
 * something that a bundle cannot hold.
 */
int bst_compress_dir(struct bst_compress *job, unsigned n_threads);

/*
 * Restore the directory of an open bundle as 'dst', which must not exist: it
 * appears whole or not at all.  Sentences are printed; returns the exit code.
 */
int bst_restore_dir(struct bst_container *box, const char *dst,
		    unsigned n_threads);

#endif /* BST_BUNDLER_H */
