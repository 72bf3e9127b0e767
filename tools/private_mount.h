/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private_mount.h - a store mounted for this process, as long as it lives
 */

#ifndef BST_PRIVATE_MOUNT_H
#define BST_PRIVATE_MOUNT_H

#include <stdint.h>
#include <sys/types.h>

struct bst_private_mount {
	char *path; /* where it is; owned; NULL: there is none */
	pid_t pid; /* of the daemon, a child */
};

/* All memory that the daemon of a mount may take. */
uint64_t bst_mount_bound(unsigned n_threads, uint64_t cache_len);

/*
 * Mount 'store', absolute and without links, in a directory that only this user
 * may enter; nothing in it hides 'preferred', if that is given.  Call it while the
 * process has no other thread.  Sentences are printed; returns an exit code.
 *
 * The daemon unmounts and removes the directory when this process ends, however
 * it does.
 */
int bst_private_mount_open(struct bst_private_mount *m, const char *store,
			   const char *preferred, unsigned n_threads,
			   uint64_t cache_len);

/* Unmount.  If the daemon did not end as it should, that is said; returns an
 * exit code.  One that was never opened is allowed. */
int bst_private_mount_close(struct bst_private_mount *m);

#endif /* BST_PRIVATE_MOUNT_H */
