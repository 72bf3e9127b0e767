/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - whole reads and writes, and outputs that appear finished or not
 *
 * Functions return 0 or -errno and print nothing.
 */

#ifndef BST_FILES_H
#define BST_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

/* Read or write all of 'len' bytes.  -ENODATA: the file ends before. */
int bst_pread_all(int fd, void *buf, size_t len, uint64_t off);
int bst_pwrite_all(int fd, const void *buf, size_t len, uint64_t off);

/* Open a regular file for reading.  -EISDIR: a directory; -EINVAL: neither. */
int bst_open_regular(const char *path, int *ret_fd, struct stat *ret);

/* -EBUSY: another run works on that file.  Where locks are not to be had, it is
 * taken for granted that none does. */
int bst_lock(int fd);

/* Whether 'path' is a name of the open file itself, and no link to it. */
int bst_is_named(const char *path, int fd);

/* Write the file back and forget it, so that it is read from the disk. */
int bst_flush_file(int fd);

/* Write the directory of a file back; 0, too, where the file system cannot. */
int bst_flush_dir_of(const char *path);

/*
 * Remove the file at 'path' if it still is the one of 'st': 0, -ESTALE if it
 * is not, or another -errno; and write that back.
 */
int bst_remove_version(const char *path, const struct stat *st);

/* As one number; 64 bits reach from 1677 to 2262, others become those. */
int64_t bst_nanoseconds(const struct timespec *ts);

/* The way back, for futimens(): the access time stays. */
void bst_times(int64_t mtime_ns, struct timespec ret[2]);

/* Whether 'now' is the file that 'found' was, whatever it holds. */
int bst_is_found(const struct stat *now, const struct stat *found);

/* Whether two stat()s are of one version of a file. */
int bst_same_version(const struct stat *a, const struct stat *b);

/* The last component of a path, and what stands before it ("." if nothing);
 * the latter is the caller's to free, or NULL. */
const char *bst_base_name(const char *path);
char *bst_dir_name(const char *path);

int bst_is_dir(const char *path);

/* "DIR/NAME", the caller's to free, or NULL. */
char *bst_join(const char *dir, const char *name);

/*
 * A file that is written under another name in its directory and gets its own
 * name when it is complete and on disk.
 */
struct bst_outfile {
	const char *path; /* borrowed */
	int fd; /* -1: not open */
	int dir_fd;
	int may_replace;
	char temp[256];
};

/*
 * -EEXIST: there is one of that name, and it may not be replaced, or it is no
 * regular file.  -EDEADLK: it is 'src' itself.
 */
int bst_outfile_check(const char *path, int may_replace,
		      const struct stat *src);

int bst_outfile_open(struct bst_outfile *out, const char *path,
		     int may_replace);

/* A stream that writes to it, to be closed before it is committed.  If there can
 * be none, 'out' is aborted. */
int bst_outfile_stream(struct bst_outfile *out, FILE **ret);

/* Set mode and, if 'mtime_ns' is given, the time; fsync; rename; fsync the
 * directory: if only that fails, the file has its name.  Whatever it returns,
 * 'out' is closed and no temporary file is left. */
int bst_outfile_commit(struct bst_outfile *out, uint32_t mode,
		       const int64_t *mtime_ns);

/*
 * Give 'fd' the owner and the extended attributes (ACLs are some) of 'from',
 * whose stat() is 'st': as far as this user may and the file system can.
 */
void bst_copy_owner(int fd, int from, const struct stat *st);

/* Give a directory its mode and its time, as far as that is possible. */
void bst_finish_dir(const char *path, uint32_t mode, int64_t mtime_ns);

/* Remove what was written.  A file that is not open is allowed. */
void bst_outfile_abort(struct bst_outfile *out);

#endif /* BST_FILES_H */
