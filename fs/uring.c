/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring.c - reads in flight, for one thread
 *
 * A ring where the kernel allows one (containers often forbid it: ENOSYS,
 * EPERM), else a queue that pread() works off.  If a ring fails later, what is
 * queued and in flight is asked of pread.
 */

#include "uring.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <unistd.h>

struct request {
	int fd;
	void *buf;
	size_t len;
	uint64_t off;
	unsigned tag;
	int is_pending;
};

struct bsfs_uring {
	struct io_uring ring;
	int has_ring;
	unsigned n_pending;
	struct request requests[BSFS_URING_DEPTH];
};

struct bsfs_uring *bsfs_uring_new(void)
{
	struct bsfs_uring *u = calloc(1, sizeof(*u));

	if (u)
		u->has_ring =
			io_uring_queue_init(BSFS_URING_DEPTH, &u->ring, 0) == 0;
	return u;
}

void bsfs_uring_free(struct bsfs_uring *u)
{
	if (!u)
		return;
	assert(u->n_pending == 0);
	if (u->has_ring)
		io_uring_queue_exit(&u->ring);
	free(u);
}

int bsfs_uring_is_async(const struct bsfs_uring *u)
{
	return u->has_ring;
}

void bsfs_uring_read(struct bsfs_uring *u, int fd, void *buf, size_t len,
		     uint64_t off, unsigned tag)
{
	struct request *r = u->requests;
	struct io_uring_sqe *sqe;

	assert(u->n_pending < BSFS_URING_DEPTH);
	while (r->is_pending)
		r++;
	*r = (struct request){ fd, buf, len, off, tag, 1 };
	u->n_pending++;
	if (!u->has_ring)
		return;
	/* The ring has as many slots as there are requests. */
	sqe = io_uring_get_sqe(&u->ring);
	io_uring_prep_read(sqe, fd, buf, (unsigned)len, off);
	io_uring_sqe_set_data(sqe, r);
}

/* What was in flight is asked of pread from here on.  The kernel may still
 * write to the buffers for a moment; the chunks' checksums would tell. */
static void drop_ring(struct bsfs_uring *u)
{
	io_uring_queue_exit(&u->ring);
	u->has_ring = 0;
}

void bsfs_uring_submit(struct bsfs_uring *u)
{
	unsigned tries = 0;

	while (u->has_ring && io_uring_sq_ready(&u->ring)) {
		int n = io_uring_submit(&u->ring);

		if (n == -EINTR)
			continue;
		if (n < 0 || ++tries > BSFS_URING_DEPTH)
			drop_ring(u);
	}
}

static void end_request(struct bsfs_uring *u, struct request *r,
			unsigned *ret_tag)
{
	assert(r->is_pending);
	r->is_pending = 0;
	u->n_pending--;
	*ret_tag = r->tag;
}

static void wait_ring(struct bsfs_uring *u, unsigned *ret_tag, int *ret)
{
	struct io_uring_cqe *cqe;
	int res;

	do {
		res = io_uring_wait_cqe(&u->ring, &cqe);
	} while (res == -EINTR);
	if (res < 0) {
		drop_ring(u);
		return;
	}
	*ret = cqe->res;
	end_request(u, io_uring_cqe_get_data(cqe), ret_tag);
	io_uring_cqe_seen(&u->ring, cqe);
}

static void wait_pread(struct bsfs_uring *u, unsigned *ret_tag, int *ret)
{
	struct request *r = u->requests;
	ssize_t n;

	while (!r->is_pending)
		r++;
	do {
		n = pread(r->fd, r->buf, r->len, (off_t)r->off);
	} while (n < 0 && errno == EINTR);
	*ret = n < 0 ? -errno : (int)n;
	end_request(u, r, ret_tag);
}

void bsfs_uring_wait(struct bsfs_uring *u, unsigned *ret_tag, int *ret)
{
	unsigned n_before = u->n_pending;

	assert(n_before > 0);
	if (u->has_ring)
		wait_ring(u, ret_tag, ret);
	if (u->n_pending == n_before)
		wait_pread(u, ret_tag, ret);
}
