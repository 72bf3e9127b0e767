/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_source.h - where a model is that a user names, and how it is read
 *
 * MODEL is a directory, plain or mounted or of containers; a bundle; or a file
 * of weights, plain or in a container, with the rest of the model beside it.
 * What is in containers is read through a mount of our own; only what a model
 * looks like can be told without one.
 *
 * Functions that return an exit code have said why.
 */

#ifndef BST_MODEL_SOURCE_H
#define BST_MODEL_SOURCE_H

#include <stdint.h>
#include <sys/types.h>

#include "container.h"
#include "exec.h"
#include "fs.h"
#include "private_mount.h"

enum bst_model_kind {
	BST_MODEL_PLAIN,
	BST_MODEL_MOUNTED, /* by somebody else, with bigsmall */
	BST_MODEL_STORE, /* has containers: to be mounted privately */
};

struct bst_model_source {
	const char *path; /* as it was named; borrowed */
	enum bst_model_kind kind;
	char *dir; /* which has the model, or its bundle; owned */
	int dir_fd; /* -1: not open */
	char *named; /* the file that was named; owned; NULL: a directory */
	char *file; /* of weights, as it is shown; owned; NULL: the dir's */
	char *bundle; /* in 'dir', as it is shown; owned; NULL: none */
	struct bsfs_look *look; /* of a store; owned */

	/* Of the mount, private or not; a bound of 0: none is known. */
	struct bst_private_mount mount;
	pid_t pid; /* of its daemon */
	uint64_t bound; /* of the daemon's memory */

	/* For describe(). */
	struct bst_container box; /* the bundle */
	int has_box;
	int has_said; /* an error */
	int is_int4; /* a .bsd's 4-bit tensors were asked for, and are there */
};

/* Find out what MODEL is. */
int bst_model_find(struct bst_model_source *s, const char *path);
void bst_model_fini(struct bst_model_source *s); /* unmounts, too */

/* Take the 4-bit tensors of the model's .bsd, which are shown as a directory
 * beside it, in place of the model; nothing changes if there are none. */
int bst_model_take_int4(struct bst_model_source *s);

/*
 * Open the model as far as its headers tell, without a mount: for its facts and
 * its tokens, and for planning; no session can be had.  The caller frees *ret.
 */
int bst_model_describe(struct bst_model_source *s, struct bsx_model **ret);

/*
 * What the daemon of a mount would take at most, for 'budget' bytes of all
 * memory (0: no bound); 0: there is no daemon.  A mount that is there already
 * takes what it takes.
 */
uint64_t bst_model_bound(const struct bst_model_source *s, unsigned n_threads,
			 uint64_t budget);

/*
 * Mount it, if it has to be, with a daemon of that bound, and open it.  Call it
 * while the process has no other thread.  The caller frees *ret, before 's'
 * ends.  end: unmount; an exit code, if the daemon did not end well.
 */
int bst_model_open(struct bst_model_source *s, unsigned n_threads,
		   uint64_t budget, struct bsx_model **ret);
int bst_model_end(struct bst_model_source *s);

/* Where the model's files are read: a directory; and the file on the disk that
 * has the weights called 'name', alone or among others.  Both are the caller's
 * to free; NULL: no memory. */
char *bst_model_dir(const struct bst_model_source *s);
char *bst_model_stored(const struct bst_model_source *s, const char *name);

/* The most memory that the mount's daemon has had so far; 0: there is none, or
 * it is not to be had. */
uint64_t bst_model_peak(const struct bst_model_source *s);

#endif /* BST_MODEL_SOURCE_H */
