/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbundler.c - the directory that a bundle was made of
 *
 * It is made under a temporary name and gets its own when every file in it has
 * proven right and is on the disk.  Names and links were checked when the
 * container was opened; links are made last, so nothing is written through
 * one.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundler.h"
#include "cmd.h"
#include "files.h"
#include "restorer.h"

#define TEMP_TRIES 1000
#define NAME_BUF_LEN 4097

/* Larger files are decoded on all threads; the others one after another, so
 * that a blob that many of them share is decoded once. */
#define ALONE_LEN ((uint64_t)1 << 20)

struct unbundler {
	struct bst_container *box;
	const char *dst;
	unsigned n_threads;
	int parent_fd;
	int fd; /* of the directory to be; -1: not made */
	char temp[256];
	uint8_t *buf; /* [ALONE_LEN], owned */
	struct bs_hash *hash; /* SHA-256; owned */
};

/* The member's name with its end. */
static const char *name_of(const struct bs_member *m, char *buf)
{
	memcpy(buf, m->name, m->name_len);
	buf[m->name_len] = '\0';
	return buf;
}

static int say_failed(const struct unbundler *u, const char *name, int err)
{
	bst_error("%s/%s cannot be written: %s; nothing was left behind.",
		  u->dst, name, strerror(err));
	return bst_exit_of_errno(err);
}

/* ---- Files --------------------------------------------------------------- */

static int say_bad(const struct unbundler *u, const char *name, const char *why,
		   int code)
{
	bst_error("%s: \"%s\" in it cannot be restored: %s; nothing was "
		  "written.  bigsmall verify lists all damage.",
		  u->box->path, name, why);
	return code;
}

static int write_small(struct unbundler *u, const char *name, int fd)
{
	const struct bs_member *m = &u->box->member;
	struct bs_error why = { 0 };
	uint8_t digest[BS_DIGEST_MAX];
	enum bs_result res;
	int err;

	res = bst_container_read(u->box, 0, (size_t)m->size, u->buf, &why);
	if (res != BS_OK)
		return say_bad(u, name,
			       why.text[0] ? why.text : bs_result_text(res),
			       bst_exit_of_result(res));
	if (m->digest_alg == BS_DIGEST_SHA256) {
		bs_hash_update(u->hash, u->buf, (size_t)m->size);
		bs_hash_final(u->hash, digest);
		if (memcmp(digest, m->digest, sizeof(digest)))
			return say_bad(u, name, "it has another SHA-256",
				       BST_EXIT_DATA);
	}
	err = bst_pwrite_all(fd, u->buf, (size_t)m->size, 0);
	if (err)
		return say_failed(u, name, -err);
	bst_progress_add(m->size);
	return BST_EXIT_OK;
}

static int write_bytes(struct unbundler *u, const char *name, int fd)
{
	const struct bs_member *m = &u->box->member;

	if (m->size <= ALONE_LEN)
		return write_small(u, name, fd);
	/* Zeros are not written: the file begins as one hole. */
	if (ftruncate(fd, (off_t)m->size) != 0)
		return say_failed(u, name, errno);
	return bst_restore_into(u->box, fd, u->n_threads);
}

static int make_file(struct unbundler *u, uint64_t no, const char *name)
{
	struct timespec ts[2];
	int fd, code;

	bst_container_enter(u->box, no);
	fd = openat(u->fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return say_failed(u, name, errno);
	code = write_bytes(u, name, fd);
	if (code == BST_EXIT_OK) {
		bst_times(u->box->member.mtime_ns, ts);
		/* Not every file system keeps modes and times. */
		(void)!fchmod(fd, u->box->member.mode & 0777);
		(void)futimens(fd, ts);
	}
	close(fd);
	return code;
}

/* ---- The tree ------------------------------------------------------------ */

static int make_link(const struct unbundler *u, const struct bs_member *m,
		     const char *name)
{
	char target[NAME_BUF_LEN];
	struct timespec ts[2];

	memcpy(target, m->target, m->target_len);
	target[m->target_len] = '\0';
	if (m->type == BS_MEMBER_HARDLINK)
		return linkat(u->fd, target, u->fd, name, 0) ? -errno : 0;
	if (symlinkat(target, u->fd, name) != 0)
		return -errno;
	bst_times(m->mtime_ns, ts);
	(void)utimensat(u->fd, name, ts, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int make_member(struct unbundler *u, uint64_t no,
		       const struct bs_member *m)
{
	char name[NAME_BUF_LEN];
	int err = 0;

	name_of(m, name);
	if (m->type == BS_MEMBER_FILE)
		return make_file(u, no, name);
	if (m->type == BS_MEMBER_DIR)
		err = mkdirat(u->fd, name, 0700) ? -errno : 0;
	else
		err = make_link(u, m, name);
	return err ? say_failed(u, name, -err) : BST_EXIT_OK;
}

static int make_members(struct unbundler *u, int links)
{
	uint64_t n = bs_archive_n_members(u->box->ar), i;
	int code = BST_EXIT_OK;

	for (i = 0; i < n && code == BST_EXIT_OK; i++) {
		struct bs_member m;

		bs_archive_member(u->box->ar, i, &m);
		if (bst_is_interrupted())
			code = BST_EXIT_INTERRUPTED;
		else if ((m.type == BS_MEMBER_SYMLINK ||
			  m.type == BS_MEMBER_HARDLINK) == links)
			code = make_member(u, i, &m);
	}
	return code;
}

/* From the deepest up, since what is made in a directory changes its time. */
static void finish_dirs(const struct unbundler *u)
{
	const struct bs_summary *sum = bs_archive_summary(u->box->ar);
	uint64_t i = bs_archive_n_members(u->box->ar);
	char name[NAME_BUF_LEN];
	struct timespec ts[2];

	while (i-- > 0) {
		struct bs_member m;

		bs_archive_member(u->box->ar, i, &m);
		if (m.type != BS_MEMBER_DIR)
			continue;
		name_of(&m, name);
		bst_times(m.mtime_ns, ts);
		(void)!fchmodat(u->fd, name, m.mode & 03777, 0);
		(void)utimensat(u->fd, name, ts, 0);
	}
	bst_times(sum->mtime_ns, ts);
	(void)!fchmod(u->fd, sum->mode & 03777);
	(void)futimens(u->fd, ts);
}

/* ---- The directory ------------------------------------------------------- */

static int make_temp(struct unbundler *u)
{
	char *dir = bst_dir_name(u->dst);
	unsigned i;
	int err;

	u->parent_fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	free(dir);
	if (u->parent_fd < 0)
		return -errno;
	if (faccessat(u->parent_fd, bst_base_name(u->dst), F_OK,
		      AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	for (i = 0; i < TEMP_TRIES; i++) {
		snprintf(u->temp, sizeof(u->temp), ".%.200s.tmp.%ld.%u",
			 bst_base_name(u->dst), (long)getpid(), i);
		if (mkdirat(u->parent_fd, u->temp, 0700) == 0)
			break;
		if (errno != EEXIST)
			return -errno;
	}
	/* The last of them would be somebody else's. */
	if (i == TEMP_TRIES)
		return -EBUSY;
	u->fd = openat(u->parent_fd, u->temp,
		       O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (u->fd >= 0)
		return 0;
	err = -errno;
	unlinkat(u->parent_fd, u->temp, AT_REMOVEDIR);
	return err;
}

/* Remove what was made. */
static void discard(const struct unbundler *u)
{
	uint64_t i = bs_archive_n_members(u->box->ar);
	char name[NAME_BUF_LEN];
	uint64_t dir;

	/* Directories may have their modes already: nothing can be removed of
	 * one that may not be written to. */
	(void)!fchmod(u->fd, 0700);
	for (dir = 0; dir < i; dir++) {
		struct bs_member m;

		bs_archive_member(u->box->ar, dir, &m);
		if (m.type == BS_MEMBER_DIR)
			(void)!fchmodat(u->fd, name_of(&m, name), 0700, 0);
	}
	while (i-- > 0) {
		struct bs_member m;

		bs_archive_member(u->box->ar, i, &m);
		unlinkat(u->fd, name_of(&m, name),
			 m.type == BS_MEMBER_DIR ? AT_REMOVEDIR : 0);
	}
	unlinkat(u->parent_fd, u->temp, AT_REMOVEDIR);
}

static int take_name(const struct unbundler *u)
{
	const char *name = bst_base_name(u->dst);
	int dir = u->parent_fd;

	if (syncfs(u->fd) != 0)
		return -errno;
	if (renameat2(dir, u->temp, dir, name, RENAME_NOREPLACE) != 0) {
		if (errno != EINVAL && errno != ENOSYS)
			return -errno;
		/* A file system without that flag. */
		if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return -EEXIST;
		if (renameat(dir, u->temp, dir, name) != 0)
			return -errno;
	}
	(void)fsync(dir);
	return 0;
}

static int say_not_made(const struct unbundler *u, int err)
{
	if (err != -EEXIST)
		return bst_say_output_error(u->dst, err);
	bst_error("%s exists already; name another directory with -o.", u->dst);
	return BST_EXIT_REFUSED;
}

static int fill(struct unbundler *u)
{
	int code = BST_EXIT_OK, err;

	u->buf = malloc(ALONE_LEN);
	if (!u->buf || bs_hash_new(&u->hash, BS_DIGEST_SHA256) != BS_OK) {
		bst_error("out of memory.");
		code = BST_EXIT_SYSTEM;
	}
	if (code == BST_EXIT_OK)
		code = make_members(u, 0);
	if (code == BST_EXIT_OK)
		code = make_members(u, 1);
	if (code != BST_EXIT_OK)
		return code;
	finish_dirs(u);
	err = take_name(u);
	return err ? say_not_made(u, err) : BST_EXIT_OK;
}

int bst_restore_dir(struct bst_container *box, const char *dst,
		    unsigned n_threads)
{
	struct unbundler u = { .box = box,
			       .dst = dst,
			       .n_threads = n_threads,
			       .parent_fd = -1,
			       .fd = -1 };
	int err = make_temp(&u), code;

	if (err) {
		code = say_not_made(&u, err);
	} else {
		bst_progress_begin(bst_base_name(box->path),
				   bs_archive_summary(box->ar)->size);
		code = fill(&u);
		bst_progress_end();
		if (code != BST_EXIT_OK)
			discard(&u);
	}
	bs_hash_free(u.hash);
	free(u.buf);
	if (u.fd >= 0)
		close(u.fd);
	if (u.parent_fd >= 0)
		close(u.parent_fd);
	return code;
}
