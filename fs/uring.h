/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring.h - reads in flight, for one thread
 */

#ifndef BSFS_URING_H
#define BSFS_URING_H

#include <stddef.h>
#include <stdint.h>

#define BSFS_URING_DEPTH 16

struct bsfs_uring;

/* NULL: out of memory.  Where the kernel does not let us have a ring, reads
 * are made by pread when waited for. */
struct bsfs_uring *bsfs_uring_new(void);
void bsfs_uring_free(struct bsfs_uring *u);

/* Whether there is a ring. */
int bsfs_uring_is_async(const struct bsfs_uring *u);

/*
 * Queue a read of 'len' bytes at 'off' into 'buf', known as 'tag' from here
 * on; at most BSFS_URING_DEPTH at a time.  bsfs_uring_submit() starts them.
 */
void bsfs_uring_read(struct bsfs_uring *u, int fd, void *buf, size_t len,
		     uint64_t off, unsigned tag);
void bsfs_uring_submit(struct bsfs_uring *u);

/* Wait for any read: *ret_tag is its tag, *ret the bytes read or -errno.
 * There must be one in flight. */
void bsfs_uring_wait(struct bsfs_uring *u, unsigned *ret_tag, int *ret);

#endif /* BSFS_URING_H */
