/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read_queue.c - read a file as InstantTensor does, which runs on GPUs only
 *
 * usage: read_queue aio|uring|uring-buffered FILE
 *
 * Many requests of 8 MiB are in flight on one descriptor, O_DIRECT but for
 * uring-buffered, into one buffer as large as the file, rounded up to pages.
 * Each asks for whole pages: the last goes past the end of the file.  aio is
 * the kernel's old interface (io_submit), uring has the file and the buffer
 * registered, as far as the limit on locked memory lets it.
 *
 * The bytes go to the standard output.  Exit 1: a request failed, or came short
 * elsewhere than at the end of the file.  Exit 77: the machine does not have
 * this interface.
 */

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIECE ((size_t)8 << 20)
#define PAGE ((size_t)4096)
#define DEPTH 16

struct job {
	int fd;
	size_t size; /* of the file */
	unsigned char *buf; /* owned; whole pages */
	size_t next; /* what was asked for */
	size_t done; /* what came */
};

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t whole_pages(size_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

/* What to ask for next; 0 when all was. */
static size_t next_piece(struct job *job, size_t *ret_off)
{
	size_t len = min(PIECE, whole_pages(job->size) - job->next);

	*ret_off = job->next;
	job->next += len;
	return len;
}

static int end_piece(struct job *job, size_t off, long res)
{
	size_t want = min(PIECE, job->size - off);

	if (res < 0 || (size_t)res != want) {
		fprintf(stderr, "read_queue: at %zu: %ld came, not %zu bytes\n",
			off, res, want);
		return -EIO;
	}
	job->done += want;
	return 0;
}

/* ---- io_submit ------------------------------------------------------------ */

static int submit_aio(struct job *job, aio_context_t ctx, struct iocb *cb)
{
	size_t off, len = next_piece(job, &off);

	if (len == 0)
		return 0;
	memset(cb, 0, sizeof(*cb));
	cb->aio_lio_opcode = IOCB_CMD_PREAD;
	cb->aio_fildes = (uint32_t)job->fd;
	cb->aio_buf = (uintptr_t)(job->buf + off);
	cb->aio_nbytes = len;
	cb->aio_offset = (int64_t)off;
	return syscall(SYS_io_submit, ctx, 1L, &cb) == 1 ? 0 : -errno;
}

static int read_aio(struct job *job)
{
	struct iocb cbs[DEPTH], *cb;
	struct io_event event;
	aio_context_t ctx = 0;
	int err = 0;

	if (syscall(SYS_io_setup, (long)DEPTH, &ctx))
		return errno == EPERM ? -ENOSYS : -errno;
	for (size_t i = 0; i < DEPTH && !err; i++)
		err = submit_aio(job, ctx, &cbs[i]);
	while (!err && job->done < job->size) {
		if (syscall(SYS_io_getevents, ctx, 1L, 1L, &event, NULL) != 1)
			continue;
		cb = (struct iocb *)(uintptr_t)event.obj;
		err = end_piece(job, (size_t)cb->aio_offset, (long)event.res);
		if (!err)
			err = submit_aio(job, ctx, cb);
	}
	syscall(SYS_io_destroy, ctx);
	return err;
}

/* ---- io_uring ------------------------------------------------------------- */

static void prepare_uring(struct job *job, struct io_uring *ring, int is_fixed)
{
	size_t off, len = next_piece(job, &off);
	struct io_uring_sqe *sqe;

	if (len == 0)
		return;
	sqe = io_uring_get_sqe(ring);
	if (is_fixed)
		io_uring_prep_read_fixed(sqe, 0, job->buf + off, (unsigned)len,
					 off, 0);
	else
		io_uring_prep_read(sqe, 0, job->buf + off, (unsigned)len, off);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, off);
}

static int read_uring(struct job *job)
{
	struct iovec iov = { job->buf, whole_pages(job->size) };
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int is_fixed, err;

	err = io_uring_queue_init(DEPTH, &ring, 0);
	if (err)
		return err == -EPERM ? -ENOSYS : err;
	is_fixed = io_uring_register_buffers(&ring, &iov, 1) == 0;
	err = io_uring_register_files(&ring, &job->fd, 1);
	for (size_t i = 0; i < DEPTH && !err; i++)
		prepare_uring(job, &ring, is_fixed);
	while (!err && job->done < job->size) {
		io_uring_submit(&ring);
		if (io_uring_wait_cqe(&ring, &cqe))
			continue;
		err = end_piece(job, (size_t)cqe->user_data, cqe->res);
		io_uring_cqe_seen(&ring, cqe);
		if (!err)
			prepare_uring(job, &ring, is_fixed);
	}
	io_uring_queue_exit(&ring);
	return err;
}

/* -------------------------------------------------------------------------- */

static int write_out(const unsigned char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, buf, len);

		if (n < 0)
			return -errno;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct job job = { 0 };
	struct stat st;
	int err;

	if (argc != 3 || (strcmp(argv[1], "aio") && strcmp(argv[1], "uring") &&
			  strcmp(argv[1], "uring-buffered"))) {
		fprintf(stderr,
			"usage: read_queue aio|uring|uring-buffered FILE\n");
		return 2;
	}
	job.fd = open(argv[2],
		      O_RDONLY | (strcmp(argv[1], "uring-buffered") ? O_DIRECT
								    : 0));
	if (job.fd < 0 || fstat(job.fd, &st) || st.st_size == 0) {
		perror(argv[2]);
		return 1;
	}
	job.size = (size_t)st.st_size;
	job.buf = mmap(NULL, whole_pages(job.size), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (job.buf == MAP_FAILED) {
		perror("read_queue");
		return 1;
	}
	err = strcmp(argv[1], "aio") ? read_uring(&job) : read_aio(&job);
	if (!err)
		err = write_out(job.buf, job.size);
	if (err)
		fprintf(stderr, "read_queue: %s\n", strerror(-err));
	if (err == -ENOSYS)
		return 77;
	return err ? 1 : 0;
}
