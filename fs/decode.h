/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h - from a range of a file to its bytes, by way of the cache
 */

#ifndef BSFS_DECODE_H
#define BSFS_DECODE_H

#include "fs.h"
#include "load.h"
#include "vfile.h"

#include <sys/uio.h>

/* A request of BSFS_READ_MAX meets this many chunks of the smallest size, and
 * a few small tensors besides; more are copied together. */
#define BSFS_PIECES_MAX 32

/* What one request needs: scratch memory, a ring, and its answer. */
struct bsfs_worker {
	struct iovec iov[BSFS_PIECES_MAX]; /* the answer, valid until put */
	unsigned n_iov;

	/* decode.c's own. */
	struct bsfs_session *s; /* borrowed */
	struct bsfs_worker *next; /* protected by decoder->lock */
	struct bsfs_loader loader;
	uint8_t *copy; /* [BSFS_READ_MAX], or NULL: never needed; owned */
	struct bsfs_entry *pins[BSFS_PIECES_MAX];
	uint32_t n_read[BSFS_PIECES_MAX]; /* bytes of each, for the kernel */
	unsigned n_pins;
	int is_direct; /* the kernel keeps none */
};

/* Make the workers, one a thread.  0 or -errno; s->decoder is set. */
int bsfs_decoder_new(struct bsfs_session *s);
void bsfs_decoder_free(struct bsfs_session *s);

/* Whether the store is read through io_uring. */
int bsfs_decoder_is_async(const struct bsfs_session *s);

struct bsfs_worker *bsfs_worker_get(struct bsfs_session *s);
void bsfs_worker_put(struct bsfs_worker *w);

/*
 * Decode [off, off + len) of the file 'm' of 'f', at most BSFS_READ_MAX bytes and
 * within its size, into w->iov.  0 or -errno (-EIO: damaged, noted as a problem).
 * 'is_direct': the kernel keeps nothing of it, so the cache does.
 */
int bsfs_worker_read(struct bsfs_worker *w, struct bsfs_vfile *f,
		     const struct bs_member *m, uint64_t off, size_t len,
		     int is_direct);

/* Read up to 'len' bytes of a file that is shown as it is; fewer at its end. */
int bsfs_worker_pread(struct bsfs_worker *w, int fd, uint64_t off, size_t len);

#endif /* BSFS_DECODE_H */
