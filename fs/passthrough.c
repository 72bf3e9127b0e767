/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passthrough.c - files that the kernel reads without asking us
 *
 * libfuse knows passthrough from 3.17 on, which no stable Debian had in 2025.  So
 * we stand between it and the device: INIT's answer and those of backed opens
 * get what libfuse would add.  An answer is written by the thread that gave it
 * to libfuse, which is how they are told apart.  Every mount reads requests through
 * us: see read_request().
 *
 * The structures are the kernel's include/uapi/linux/fuse.h (7.40).
 */

#include "passthrough.h"

#include "fuse_ops.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define OPCODE_INIT 26

/* Of INIT: bit 30 of 'flags' says that there are 'flags2', and these have bits
 * 32 to 63. */
#define INIT_EXT (UINT32_C(1) << 30)
#define INIT2_PASSTHROUGH (UINT32_C(1) << 5)

/* Of OPEN's answer. */
#define OPEN_DIRECT_IO (UINT32_C(1) << 0)
#define OPEN_NOFLUSH (UINT32_C(1) << 5)
#define OPEN_PASSTHROUGH (UINT32_C(1) << 7)

struct in_header {
	uint32_t len;
	uint32_t opcode;
	uint64_t unique;
	uint64_t nodeid;
	uint32_t uid, gid, pid;
	uint32_t extensions_and_padding;
};

struct init_in {
	uint32_t major, minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint32_t flags2;
};

struct init_out {
	uint32_t major, minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background, congestion_threshold;
	uint32_t max_write, time_gran;
	uint16_t max_pages, map_alignment;
	uint32_t flags2;
	uint32_t max_stack_depth; /* of what backs, and 1; <= 2 */
	uint32_t unused[6];
};

struct open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

/* What this thread's next answer is. */
static __thread struct bsfs_session *init_answer;
static __thread int backing_answer; /* 0: neither */

int bsfs_passthrough_is_on(const struct bsfs_session *s)
{
	return __atomic_load_n(&s->has_passthrough, __ATOMIC_RELAXED);
}

static ssize_t read_request(int fd, void *buf, size_t len, void *userdata)
{
	ssize_t n = read(fd, buf, len);
	struct bsfs_session *s = userdata;
	struct init_in init;
	struct in_header h;

	/* The mount ended while a request was being read: the end, too, of
	 * which libfuse makes an error. */
	if (n < 0 && errno == ECONNABORTED)
		errno = ENODEV;
	if (n < (ssize_t)(sizeof(h) + sizeof(init)))
		return n;
	memcpy(&h, buf, sizeof(h));
	if (h.opcode != OPCODE_INIT)
		return n;
	memcpy(&init, (char *)buf + sizeof(h), sizeof(init));
	__atomic_store_n(&s->has_passthrough,
			 init.flags & INIT_EXT &&
				 init.flags2 & INIT2_PASSTHROUGH,
			 __ATOMIC_RELAXED);
	return n;
}

/* What follows the header of an answer, if it has that size. */
static int is_answer(const struct iovec *iov, int n, size_t len)
{
	return n == 2 && iov[1].iov_len == len;
}

static ssize_t write_answer(int fd, struct iovec *iov, int n, void *userdata)
{
	struct bsfs_session *s = init_answer;
	int backing = backing_answer;
	struct init_out init;
	struct open_out open;

	(void)userdata;
	init_answer = NULL;
	backing_answer = 0;
	if (s && is_answer(iov, n, sizeof(init)) && bsfs_passthrough_is_on(s)) {
		memcpy(&init, iov[1].iov_base, sizeof(init));
		init.flags |= INIT_EXT;
		init.flags2 |= INIT2_PASSTHROUGH;
		init.max_stack_depth = 1;
		iov[1].iov_base = &init;
	} else if (s) {
		__atomic_store_n(&s->has_passthrough, 0, __ATOMIC_RELAXED);
		bsfs_log(s, BSFS_INFO,
			 "files are not kept resident: this kernel has no "
			 "FUSE passthrough");
	}
	if (backing && is_answer(iov, n, sizeof(open))) {
		memcpy(&open, iov[1].iov_base, sizeof(open));
		/* No cache of ours is in it. */
		open.open_flags &= OPEN_NOFLUSH;
		open.open_flags |= OPEN_PASSTHROUGH;
		open.backing_id = backing;
		iov[1].iov_base = &open;
	}
	return writev(fd, iov, n);
}

int bsfs_device_attach(struct bsfs_session *s)
{
	static const struct fuse_custom_io io = { .read = read_request,
						  .writev = write_answer };

	return fuse_session_custom_io(s->fuse, &io, fuse_session_fd(s->fuse));
}

void bsfs_passthrough_init(struct bsfs_session *s)
{
	init_answer = s;
}

int bsfs_backing_open(const struct bsfs_session *s, int fd)
{
	struct backing_map map = { .fd = fd };
	int ret = ioctl(fuse_session_fd(s->fuse), BACKING_OPEN, &map);

	return ret < 0 ? -errno : ret;
}

void bsfs_backing_close(const struct bsfs_session *s, int backing)
{
	uint32_t id = (uint32_t)backing;

	ioctl(fuse_session_fd(s->fuse), BACKING_CLOSE, &id);
}

int bsfs_reply_open_backed(fuse_req_t req, const struct fuse_file_info *fi,
			   int backing)
{
	int ret;

	backing_answer = backing;
	ret = fuse_reply_open(req, fi);
	backing_answer = 0;
	return ret;
}
