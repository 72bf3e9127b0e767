/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse_ops.h - the table of operations that session.c hands to libfuse
 */

#ifndef BSFS_FUSE_OPS_H
#define BSFS_FUSE_OPS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

struct bsfs_session;

extern const struct fuse_lowlevel_ops bsfs_ops;

/* Close what is open still: when a mount ends, the kernel does not wait for the
 * last RELEASE. */
void bsfs_handles_close(struct bsfs_session *s);

#endif /* BSFS_FUSE_OPS_H */
