/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - whole reads and writes, and outputs that appear finished or not
 *
 * An output is a hidden file in the directory it will stand in, so that the
 * rename cannot cross file systems; it never has its own name before its bytes
 * are on disk.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "files.h"

#define TEMP_TRIES 1000 /* names of temporary files */

/* Linux transfers at most 2 GiB a call; less keeps signals quick. */
#define IO_MAX ((size_t)64 << 20)

int bst_pread_all(int fd, void *buf, size_t len, uint64_t off)
{
	char *p = buf;

	while (len) {
		size_t want = len < IO_MAX ? len : IO_MAX;
		ssize_t n = pread(fd, p, want, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int bst_pwrite_all(int fd, const void *buf, size_t len, uint64_t off)
{
	const char *p = buf;

	while (len) {
		size_t want = len < IO_MAX ? len : IO_MAX;
		ssize_t n = pwrite(fd, p, want, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int bst_open_regular(const char *path, int *ret_fd, struct stat *ret)
{
	int fd, err = 0;

	/* O_NONBLOCK: opening a fifo must not wait for its other end. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return errno == ENXIO ? -EINVAL : -errno;
	if (fstat(fd, ret) != 0)
		err = -errno;
	else if (S_ISDIR(ret->st_mode))
		err = -EISDIR;
	else if (!S_ISREG(ret->st_mode))
		err = -EINVAL;
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int bst_lock(int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		return -EBUSY;
	return 0;
}

int bst_is_named(const char *path, int fd)
{
	struct stat a, b;

	return lstat(path, &a) == 0 && fstat(fd, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int bst_flush_file(int fd)
{
	if (fsync(fd) != 0)
		return -errno;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

int64_t bst_nanoseconds(const struct timespec *ts)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)ts->tv_sec, 1000000000, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)ts->tv_nsec, &ns))
		return ts->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

int bst_is_found(const struct stat *now, const struct stat *found)
{
	if (now->st_dev != found->st_dev)
		return 0;
	/* Some file systems, as sshfs, number files anew now and then: but a
	 * file of somebody else cannot be made to look like this one. */
	return now->st_ino == found->st_ino ||
	       (now->st_size == found->st_size &&
		now->st_mtim.tv_sec == found->st_mtim.tv_sec &&
		now->st_mtim.tv_nsec == found->st_mtim.tv_nsec &&
		now->st_uid == found->st_uid && now->st_gid == found->st_gid &&
		now->st_mode == found->st_mode);
}

int bst_same_version(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

const char *bst_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *bst_dir_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/")
			     : strndup(path, (size_t)(slash - path));
}

int bst_is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *bst_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);
	char *ret;

	if (asprintf(&ret, "%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/",
		     name) < 0)
		return NULL;
	return ret;
}

int bst_outfile_check(const char *path, int may_replace, const struct stat *src)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (st.st_dev == src->st_dev && st.st_ino == src->st_ino)
		return -EDEADLK;
	/* A link is replaced itself, if it leads to nothing or to a file: not
	 * one to a device or a pipe, which the user means to write to. */
	if (S_ISLNK(st.st_mode) && stat(path, &st) != 0)
		return may_replace ? 0 : -EEXIST;
	if (!may_replace || !S_ISREG(st.st_mode))
		return -EEXIST;
	return 0;
}

/* A descriptor of the directory; one that may not be read can still be
 * written to, only not synchronised. */
static int open_dir_of(const char *path)
{
	char *dir = bst_dir_name(path);
	int fd;

	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES)
		fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	free(dir);
	return fd;
}

/* Some file systems cannot synchronise a directory, nor can anybody who may not
 * read it; the files in it are safe by then.  But where it failed, the disk may
 * not know a new name. */
static int flush_dir(int fd)
{
	if (fsync(fd) == 0 || errno == EINVAL || errno == EBADF ||
	    errno == EOPNOTSUPP || errno == ENOSYS)
		return 0;
	return -errno;
}

int bst_flush_dir_of(const char *path)
{
	int fd = open_dir_of(path), err;

	if (fd < 0)
		return fd;
	err = flush_dir(fd);
	close(fd);
	return err;
}

int bst_remove_version(const char *path, const struct stat *st)
{
	struct stat now;

	if (lstat(path, &now) != 0)
		return -errno;
	if (!bst_same_version(&now, st))
		return -ESTALE;
	if (unlink(path) != 0)
		return -errno;
	/* If that is not on the disk, the file comes back: no harm. */
	(void)bst_flush_dir_of(path);
	return 0;
}

int bst_outfile_open(struct bst_outfile *out, const char *path, int may_replace)
{
	unsigned i;
	int err;

	out->path = path;
	out->fd = -1;
	out->may_replace = may_replace;
	out->dir_fd = open_dir_of(path);
	if (out->dir_fd < 0)
		return out->dir_fd;
	/* 200 bytes of the name, so that the whole stays within 255.  In a
	 * container every run may have the same number, and one that was killed
	 * leaves its file. */
	for (i = 0; i < TEMP_TRIES; i++) {
		snprintf(out->temp, sizeof(out->temp), ".%.200s.tmp.%ld.%u",
			 bst_base_name(path), (long)getpid(), i);
		out->fd = openat(out->dir_fd, out->temp,
				 O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (out->fd >= 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	err = errno == EEXIST ? -EBUSY : -errno;
	close(out->dir_fd);
	return err;
}

/* Give the temporary file its name. */
static int take_name(struct bst_outfile *out)
{
	const char *name = bst_base_name(out->path);
	int dir = out->dir_fd;

	if (out->may_replace)
		return renameat(dir, out->temp, dir, name) ? -errno : 0;
	if (renameat2(dir, out->temp, dir, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system without that flag: a link never replaces either. */
	if (linkat(dir, out->temp, dir, name, 0) == 0) {
		unlinkat(dir, out->temp, 0);
		return 0;
	}
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return renameat(dir, out->temp, dir, name) ? -errno : 0;
}

void bst_times(int64_t mtime_ns, struct timespec ret[2])
{
	int64_t sec = mtime_ns / 1000000000, nsec = mtime_ns % 1000000000;

	if (nsec < 0) {
		nsec += 1000000000;
		sec--;
	}
	ret[0] = (struct timespec){ 0, UTIME_OMIT };
	ret[1].tv_sec = (time_t)sec;
	ret[1].tv_nsec = (long)nsec;
}

void bst_finish_dir(const char *path, uint32_t mode, int64_t mtime_ns)
{
	struct timespec ts[2];

	bst_times(mtime_ns, ts);
	(void)chmod(path, mode & 07777);
	(void)utimensat(AT_FDCWD, path, ts, 0);
}

/* File systems that keep no modes refuse to set them: no reason to fail. */
static int set_attributes(int fd, uint32_t mode, const int64_t *mtime_ns)
{
	struct timespec ts[2];

	if (fchmod(fd, mode & 0777) != 0 && errno != EPERM &&
	    errno != EOPNOTSUPP)
		return -errno;
	if (!mtime_ns)
		return 0;
	bst_times(*mtime_ns, ts);
	if (futimens(fd, ts) != 0 && errno != EPERM && errno != EINVAL &&
	    errno != EOPNOTSUPP)
		return -errno;
	return 0;
}

#define XATTR_LIST_LEN 4096
#define XATTR_LEN 65536 /* the kernel's limit */

static void copy_xattrs(int fd, int from)
{
	char names[XATTR_LIST_LEN], *name, *value;
	ssize_t len = flistxattr(from, names, sizeof(names)), n;

	if (len <= 0)
		return;
	value = malloc(XATTR_LEN);
	for (name = names; value && name < names + len;
	     name += strlen(name) + 1) {
		n = fgetxattr(from, name, value, XATTR_LEN);
		if (n >= 0)
			(void)fsetxattr(fd, name, value, (size_t)n, 0);
	}
	free(value);
}

void bst_copy_owner(int fd, int from, const struct stat *st)
{
	if (fchown(fd, st->st_uid, st->st_gid) != 0)
		(void)!fchown(fd, (uid_t)-1, st->st_gid);
	copy_xattrs(fd, from);
}

int bst_outfile_commit(struct bst_outfile *out, uint32_t mode,
		       const int64_t *mtime_ns)
{
	int err;

	err = set_attributes(out->fd, mode, mtime_ns);
	if (!err && fsync(out->fd) != 0)
		err = -errno;
	if (!err)
		err = take_name(out);
	if (err) {
		bst_outfile_abort(out);
		return err;
	}
	err = flush_dir(out->dir_fd);
	close(out->fd);
	close(out->dir_fd);
	out->fd = -1;
	return err;
}

void bst_outfile_abort(struct bst_outfile *out)
{
	if (out->fd < 0)
		return;
	unlinkat(out->dir_fd, out->temp, 0);
	close(out->fd);
	close(out->dir_fd);
	out->fd = -1;
}

int bst_outfile_stream(struct bst_outfile *out, FILE **ret)
{
	int err, fd = dup(out->fd);

	*ret = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (*ret)
		return 0;
	err = -errno;
	if (fd >= 0)
		close(fd);
	bst_outfile_abort(out);
	return err;
}
