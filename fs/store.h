/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - files of the store, by their path in it
 *
 * Paths are followed below the store and through no symbolic link, whoever
 * exchanges a directory for one meanwhile: the daemon may be root, and the
 * store another's.
 */

#ifndef BSFS_STORE_H
#define BSFS_STORE_H

#include "fs.h"

#include <errno.h>

/* A descriptor (closed on exec, never waiting for a FIFO's writer), or -errno;
 * 'flags' as of open(). */
int bsfs_store_open(const struct bsfs_session *s, const char *path, int flags);

/* 0 or -errno; of a symbolic link, itself. */
int bsfs_store_stat(const struct bsfs_session *s, const char *path,
		    struct stat *ret);

/* The target's length (as readlink() has it), or -errno. */
int bsfs_store_readlink(const struct bsfs_session *s, const char *path,
			char *buf, size_t len);

/* A failed look at a path that was good once: -ESTALE where its file is gone, or
 * a directory on the way is none any more; else the error itself. */
static inline int bsfs_store_stale(int err)
{
	return err == -ENOENT || err == -ELOOP || err == -ENOTDIR ? -ESTALE
								  : err;
}

/* 0 if the file at 'path' is still this version, -ESTALE if it is another or
 * gone, or another -errno. */
int bsfs_store_compare(const struct bsfs_session *s, const char *path,
		       const struct bsfs_identity *identity);

#endif /* BSFS_STORE_H */
