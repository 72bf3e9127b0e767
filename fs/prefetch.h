/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefetch.h - what will be read next is decoded before it is asked for
 */

#ifndef BSFS_PREFETCH_H
#define BSFS_PREFETCH_H

#include "fs.h"
#include "inode.h"
#include "vfile.h"

struct bsfs_reader;

/* Start the threads: 0, also if there are none since it is off or the cache is
 * too small for it, and s->prefetch is NULL then; or -errno. */
int bsfs_prefetch_new(struct bsfs_session *s);

/* From the mount on: give the kernel what is decoded ahead of a reader.  0 or
 * -errno. */
int bsfs_prefetch_push(struct bsfs_session *s);

/* End the threads: no claim is left behind, and nothing is told to the kernel
 * any more. */
void bsfs_prefetch_stop(struct bsfs_session *s);

/* And the rest, when no reader is open. */
void bsfs_prefetch_free(struct bsfs_session *s);

/* The file 'm' of 'f' is opened once more; NULL: it is not read ahead.  The
 * caller has 'f' and the inode for itself. */
struct bsfs_reader *bsfs_reader_open(struct bsfs_session *s,
				     struct bsfs_node node,
				     struct bsfs_vfile *f,
				     const struct bs_member *m);
void bsfs_reader_close(struct bsfs_session *s, struct bsfs_reader *r);

/* [off, off + len) is asked for.  'is_direct': past the kernel's cache. */
void bsfs_reader_note(struct bsfs_session *s, struct bsfs_reader *r,
		      uint64_t off, uint64_t len, int is_direct);

/* What stands at 'off' was decoded before, and was not there any more. */
void bsfs_reader_again(struct bsfs_session *s, struct bsfs_reader *r,
		       uint64_t off);

/* Streams that are followed now, and in *ret_max how many bytes may be ahead of
 * all of them. */
unsigned bsfs_prefetch_streams(const struct bsfs_session *s, uint64_t *ret_max);

#endif /* BSFS_PREFETCH_H */
