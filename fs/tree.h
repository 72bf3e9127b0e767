/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - a directory of the store, and the names that the mount shows for it
 */

#ifndef BSFS_TREE_H
#define BSFS_TREE_H

#include "bigsmall.h"
#include "fs.h"

#define BSFS_CONTROL_NAME ".bigsmall"

enum bsfs_what {
	BSFS_PLAIN, /* shown as it is, whatever it is */
	BSFS_MEMBER, /* the file that a container holds */
	BSFS_BUNDLE_DIR, /* the directory that a container holds */
	BSFS_DAMAGED, /* a container that cannot be read: 'err' */
};

struct bsfs_name {
	char *shown; /* owned */
	char *stored; /* owned; the same string if equal */
	enum bsfs_what what;
	unsigned char is_preferred; /* nothing hides it */
	unsigned char d_type; /* DT_REG and so on, as shown */
	int err; /* errno of a damaged one */
	ino_t ino; /* in the store */
	struct bsfs_identity identity; /* of a container */
	/* The directory of a .bsd's 4-bit tensors, which shows beside its file:
	 * as BSFS_BUNDLE_DIR. */
	int is_int4;

	/* Of what a container holds, from its superblock. */
	uint64_t size; /* of a directory: of all files in it */
	uint64_t n_int4; /* tensors that it has in 4 bits as well */
	int64_t mtime_ns;
	uint32_t mode;
};

/* What a directory held when it was read: immutable. */
struct bsfs_listing {
	unsigned n_refs; /* atomic */
	int is_racy; /* it may have changed since without a new mtime */
	int is_partial; /* the deadline came before all was looked into */
	struct bsfs_identity identity; /* of the directory */
	size_t n_names;
	size_t n_hidden; /* store files that are not shown */
	size_t n_allocated;
	size_t n_int4; /* directories of 4-bit tensors */
	struct bsfs_name *names; /* [n_names + n_hidden], owned; those shown
				  * first, sorted by 'shown' */
	struct bsfs_name **by_stored; /* [n_stored]: all but is_int4, sorted by
				       * 'stored' */
	size_t n_stored;
};

/*
 * Read the directory at 'path' ("." is the root) and find what is shown for
 * each of its entries.  'is_raw': everything as it is.  'old' (or NULL) is an
 * earlier listing: what it knows of unchanged containers is used.  0 or
 * -errno; the caller has a reference to *ret.  Problems are noted.
 */
int bsfs_listing_read(struct bsfs_session *s, const char *path, int is_raw,
		      const struct bsfs_listing *old,
		      struct bsfs_listing **ret);
struct bsfs_listing *bsfs_listing_get(struct bsfs_listing *l);
void bsfs_listing_put(struct bsfs_listing *l); /* NULL is allowed */

/* Whether a directory of this mtime may still change without a new one. */
int bsfs_is_racy(const struct timespec *mtime);

/* The entry that is shown under 'name', or NULL. */
const struct bsfs_name *bsfs_listing_find(const struct bsfs_listing *l,
					  const char *name);

/* The entry of a store file, shown or hidden, or NULL. */
const struct bsfs_name *bsfs_listing_find_stored(const struct bsfs_listing *l,
						 const char *stored);

/* Look through the whole store, as far as is reasonable, and note what is wrong
 * in it; once. */
void bsfs_survey(struct bsfs_session *s);

/* "DIR/NAME" in 'buf' of PATH_MAX bytes, where DIR may be "."; 0 or
 * -ENAMETOOLONG. */
int bsfs_path_join(char *buf, const char *dir, const char *name);

#endif /* BSFS_TREE_H */
