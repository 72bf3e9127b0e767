/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inode.h - what the kernel knows of the mount: inodes and their look-up counts
 */

#ifndef BSFS_INODE_H
#define BSFS_INODE_H

#include "fs.h"
#include "tree.h"

#define BSFS_ROOT_ID 1

enum bsfs_type {
	BSFS_DIR, /* a directory of the store */
	BSFS_FILE, /* a file shown as it is; a symlink or a device, too */
	BSFS_MODEL_FILE, /* the file that a container holds */
	BSFS_BUNDLE, /* the directory that a container holds */
	BSFS_CONTROL_DIR, /* .bigsmall */
	BSFS_STATS_FILE,
	BSFS_PROBLEMS_FILE,
};

/* A file in one version of it: when it changes, another inode takes its
 * place.  What is not said to be protected stays as it is. */
struct bsfs_inode {
	struct bsfs_inode *next; /* in its bucket; protected by inodes->lock */
	struct bsfs_inode *next_watched; /* likewise, as is all up to 'type' */
	uint64_t n_lookups;
	char *path; /* in the store, by which it was last found; owned */
	struct bsfs_listing *listing; /* of a directory; a reference, or NULL */
	struct bsfs_listing *previous; /* the one before; likewise */
	struct bsfs_inode *next_bundle; /* of a bundle: in its bucket */
	int watch; /* its inotify descriptor, or -1 */
	int is_replaced; /* by a newer version: look-up does not find it */

	enum bsfs_type type;
	int is_raw; /* below .bigsmall/store */
	unsigned n_open; /* atomic: handles */
	int was_settled; /* atomic: opened when it had not changed of late */
	double timeout; /* for which stat() of a file may be trusted */
	struct bsfs_identity identity; /* of the store's file */
	struct stat attr; /* as shown */

	/* Of a bundle. */
	uint64_t bundle; /* a number that no other has had */
	int is_linked; /* the container has other names, each a bundle */
	mode_t stored_mode; /* the container's, as is the next */
	blkcnt_t stored_blocks;
};

/*
 * What the kernel calls an inode: one of the above, or an entry of a bundle,
 * which has no memory of its own.  Look-ups of entries are counted on their
 * bundle, which therefore lives as long as the kernel knows one of them.
 */
struct bsfs_node {
	struct bsfs_inode *inode;
	uint64_t entry; /* its member's number and 1; 0: the inode itself */
};

/* 0 or -errno; s->inodes is set. */
int bsfs_inodes_new(struct bsfs_session *s);
void bsfs_inodes_free(struct bsfs_session *s);

/* The number by which the kernel knows an inode, and the way back. */
uint64_t bsfs_node_id(const struct bsfs_session *s, struct bsfs_node node);
struct bsfs_node bsfs_node_of(struct bsfs_session *s, uint64_t id);

/* What look-up found. */
struct bsfs_found_inode {
	struct bsfs_node node; /* has one look-up more */
	struct stat attr; /* as of now */
	double timeout; /* seconds for which the name may be trusted */
};

/* Find 'name' in 'dir': 0 or -errno. */
int bsfs_inode_lookup(struct bsfs_session *s, struct bsfs_node dir,
		      const char *name, struct bsfs_found_inode *ret);

/* That many look-ups more, of an inode or of a bundle's entries. */
void bsfs_inode_hold(struct bsfs_session *s, struct bsfs_inode *n,
		     uint64_t n_lookups);

/* And less. */
void bsfs_inode_forget(struct bsfs_session *s, struct bsfs_inode *n,
		       uint64_t n_lookups);

/* The path to open: in 'buf' of PATH_MAX bytes. */
void bsfs_inode_path(struct bsfs_session *s, const struct bsfs_inode *n,
		     char *buf);

/* What stat() shows now: 0, or -ESTALE if the file is another by now and nobody
 * has this one open. */
int bsfs_inode_getattr(struct bsfs_session *s, struct bsfs_node node,
		       struct stat *ret);

/* The directory's names as of now: 0 and a reference, or -errno. */
int bsfs_inode_list(struct bsfs_session *s, struct bsfs_inode *dir,
		    struct bsfs_listing **ret);

/* For how many seconds the kernel may trust what stat() showed. */
double bsfs_inode_timeout(struct bsfs_session *s, const struct bsfs_inode *n);

/* The number that stat() shows for an entry of a directory. */
ino_t bsfs_inode_number(const struct bsfs_session *s,
			const struct bsfs_inode *dir,
			const struct bsfs_name *name);

/* The same for an entry of a bundle. */
ino_t bsfs_inode_entry_number(const struct bsfs_session *s,
			      const struct bsfs_inode *n, uint64_t entry);

/*
 * The mode that something in a container shows: 'mode' is what was stored,
 * 'stored' the container's.  Who may not read the container may not read what
 * is in it, nor the names, and nobody becomes another by it.
 */
mode_t bsfs_file_mode(uint32_t mode, mode_t stored);
mode_t bsfs_dir_mode(uint32_t mode, mode_t stored);

struct timespec bsfs_timespec_of(int64_t ns);

/* st_blksize of a model: what cp and cat read at a time. */
#define BSFS_MODEL_BLKSIZE (1 << 20)

/* The store's file 'stored' in the directory that 'watch' watches has changed,
 * or (NULL) the directory itself: let the kernel forget what it knows of it. */
void bsfs_inode_changed(struct bsfs_session *s, int watch, const char *stored);

/* Events were lost: let the kernel forget all that is watched. */
void bsfs_inode_changed_all(struct bsfs_session *s);

/* The kernel dropped a watch: the directory is gone or moved away. */
void bsfs_inode_unwatched(struct bsfs_session *s, int watch);

#endif /* BSFS_INODE_H */
