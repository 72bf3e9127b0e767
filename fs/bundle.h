/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle.h - what is in a bundle: a container that shows as a directory
 */

#ifndef BSFS_BUNDLE_H
#define BSFS_BUNDLE_H

#include "fs.h"
#include "inode.h"
#include "vfile.h"

#include <limits.h>

/*
 * 'node' is a bundle's inode or an entry of one in all that follows: 0 or
 * -errno; -ESTALE if the store has another container, or none, by its name.
 */

/* Find 'name' in a directory.  The caller counts the look-up. */
int bsfs_bundle_lookup(struct bsfs_session *s, struct bsfs_node node,
		       const char *name, struct bsfs_found_inode *ret);

/* What stat() shows; of an old version, too, while somebody uses it. */
int bsfs_bundle_getattr(struct bsfs_session *s, struct bsfs_node node,
			struct stat *ret);

/* A symbolic link's target, with its NUL; -ENAMETOOLONG if it does not fit. */
int bsfs_bundle_readlink(struct bsfs_session *s, struct bsfs_node node,
			 char *buf, size_t len);

/* Open a file: *ret has one user more, and *ret_member is its member, which
 * borrows from it. */
int bsfs_bundle_open(struct bsfs_session *s, struct bsfs_node node,
		     struct bsfs_vfile **ret, struct bs_member *ret_member);

/* The members of a bundle that a directory's entries, and all below, are. */
struct bsfs_bundle_dir {
	uint64_t first, end;
	size_t prefix_len; /* bytes of their names before the entry's own */
};

/* Open a directory: *ret has one user more. */
int bsfs_bundle_opendir(struct bsfs_session *s, struct bsfs_node node,
			struct bsfs_vfile **ret,
			struct bsfs_bundle_dir *ret_dir);

/* An entry as a directory's list has it. */
struct bsfs_bundle_entry {
	char name[NAME_MAX + 1];
	struct bsfs_node node; /* not counted as looked up */
	struct stat attr;
	uint64_t next; /* where to go on */
};

/* The first entry of 'dir', in the bundle 'n', at member 'at' or after it: 1,
 * or 0 at the end.  'at' may be any number. */
int bsfs_bundle_next(const struct bsfs_session *s, struct bsfs_inode *n,
		     const struct bsfs_vfile *f,
		     const struct bsfs_bundle_dir *dir, uint64_t at,
		     struct bsfs_bundle_entry *ret);

#endif /* BSFS_BUNDLE_H */
