/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passthrough.h - files that the kernel reads without asking us
 *
 * FUSE passthrough (Linux 6.9, CONFIG_FUSE_PASSTHROUGH): an open file of the
 * mount stands for another file, the backing one, and reads and mappings of it
 * are the kernel's alone.  It takes root, and all open files of an inode to be of
 * one kind: backed by the same file, or none backed at all.
 */

#ifndef BSFS_PASSTHROUGH_H
#define BSFS_PASSTHROUGH_H

#include "fs.h"

struct fuse_file_info;
struct fuse_req;

/* Between mounting and the loop: stand between libfuse and the device.  0 or
 * -errno. */
int bsfs_device_attach(struct bsfs_session *s);

/* op_init() is about to return: ask for it in INIT's answer. */
void bsfs_passthrough_init(struct bsfs_session *s);

/* Whether the kernel has agreed: from INIT on. */
int bsfs_passthrough_is_on(const struct bsfs_session *s);

/* Make 'fd' a backing file, which may be closed then: its number, > 0, or
 * -errno.  close: no new open file will be backed by it. */
int bsfs_backing_open(const struct bsfs_session *s, int fd);
void bsfs_backing_close(const struct bsfs_session *s, int backing);

/* As fuse_reply_open(), of a file that is backed. */
int bsfs_reply_open_backed(struct fuse_req *req,
			   const struct fuse_file_info *fi, int backing);

#endif /* BSFS_PASSTHROUGH_H */
