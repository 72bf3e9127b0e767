/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resident.h - files that are decoded whole, into memory that the kernel reads
 */

#ifndef BSFS_RESIDENT_H
#define BSFS_RESIDENT_H

#include "fs.h"
#include "vfile.h"

struct bsfs_resident_file;

/* Before mounting: 0 or -errno.  s->resident stays NULL where it is not wanted,
 * or not to be had, which is said. */
int bsfs_resident_new(struct bsfs_session *s);

/* Before the session of libfuse ends, when no file is open: NULL is allowed. */
void bsfs_resident_free(struct bsfs_session *s);

/*
 * A file is being opened: 'm' of 'f', by which 'entry' tells it from others of
 * the container.  Returns the number of its backing file, having decoded it
 * if need be; or 0: read it as any other, since there is no room, it is damaged,
 * or open that way.  *ret is to be given back when it is closed.
 */
int bsfs_resident_open(struct bsfs_session *s, struct bsfs_vfile *f,
		       const struct bs_member *m, uint64_t entry,
		       struct bsfs_resident_file **ret);
void bsfs_resident_close(struct bsfs_session *s, struct bsfs_resident_file *r,
			 int is_backed);

/* Give memory back if it is short.  Called now and then. */
void bsfs_resident_tidy(struct bsfs_session *s);

#endif /* BSFS_RESIDENT_H */
