/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - files of the store, by their path in it
 */

#include "store.h"

#include "int4_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int bsfs_store_open(const struct bsfs_session *s, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd;

	if (!(flags & O_PATH))
		how.flags |= O_NONBLOCK;
	do {
		fd = syscall(SYS_openat2, s->store_fd, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	/* Containers' filters may not know it.  A name alone cannot lead
	 * anywhere else. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(s->store_fd, path, (int)how.flags);
	return fd < 0 ? -errno : (int)fd;
}

int bsfs_store_stat(const struct bsfs_session *s, const char *path,
		    struct stat *ret)
{
	int fd, err;

	if (!strchr(path, '/'))
		return fstatat(s->store_fd, path, ret, AT_SYMLINK_NOFOLLOW)
			       ? -errno
			       : 0;
	fd = bsfs_store_open(s, path, O_PATH);
	if (fd < 0)
		return fd;
	err = fstat(fd, ret) ? -errno : 0;
	close(fd);
	return err;
}

int bsfs_store_readlink(const struct bsfs_session *s, const char *path,
			char *buf, size_t len)
{
	int fd = bsfs_store_open(s, path, O_PATH);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = readlinkat(fd, "", buf, len);
	n = n < 0 ? -errno : n;
	close(fd);
	return (int)n;
}

int bsfs_store_compare(const struct bsfs_session *s, const char *path,
		       const struct bsfs_identity *identity)
{
	struct bsfs_identity now;
	struct stat st;
	int err = bsfs_store_stat(s, path, &st);

	if (err)
		return bsfs_store_stale(err);
	now = bsfs_identity_now(&st, identity);
	if (identity->int4)
		now.config = bsfs_int4_config(s, path);
	return bsfs_identity_equal(&now, identity) ? 0 : -ESTALE;
}
