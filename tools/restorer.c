/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restorer.c - the file that a container was made of, beside it or in its place
 *
 * The result gets its name when every checksum and the SHA-256 have agreed.  In
 * place it is then written to the disk, read back and compared with the
 * container, before that is removed.
 */

#include "restorer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "compressor.h"
#include "files.h"
#include "unpacker.h"

/* The first thing that was wrong: where it is and what it means. */
static int say_bad(struct bst_container *box, const struct bst_bad *bad)
{
	char where[BST_WHERE_LEN], file[BST_WHERE_LEN];

	(void)bst_container_load_names(box, NULL);
	if (bs_archive_summary(box->ar)->is_upstream) {
		bst_error("%s: %s cannot be restored: %s; nothing was written. "
			  "bigsmall verify lists all damage.",
			  box->path,
			  bst_container_where(box, bad->off, bad->len, where),
			  bs_result_text(bad->res));
		return bst_exit_of_result(bad->res);
	}
	bst_error("%s: chunk %llu of %s (bytes %llu to %llu of %s) cannot be "
		  "restored: %s; nothing was written.  bigsmall verify lists "
		  "all damage.",
		  box->path, (unsigned long long)bad->chunk,
		  bst_container_where(box, bad->off, bad->len, where),
		  (unsigned long long)bad->off,
		  (unsigned long long)(bad->off + bad->len - 1),
		  bst_container_file(box, file), bs_result_text(bad->res));
	return bst_exit_of_result(bad->res);
}

static int check_digest(const struct bst_container *box,
			const struct bst_unpack *u)
{
	char file[BST_WHERE_LEN];

	if (!u->has_digest ||
	    !memcmp(u->digest, box->member.digest, BS_DIGEST_MAX))
		return BST_EXIT_OK;
	bst_error("%s: the restored bytes have another SHA-256 than %s had; "
		  "nothing was written.  Restore the .bs from a copy.",
		  box->path, bst_container_file(box, file));
	return BST_EXIT_DATA;
}

int bst_restore_into(struct bst_container *box, int fd, unsigned n_threads)
{
	struct bst_unpack u = {
		.box = box,
		.dst_fd = fd,
		.cmp_fd = -1,
		.n_threads = n_threads,
	};
	int code;

	code = bst_unpack(&u);
	if (code != BST_EXIT_OK && code != BST_EXIT_INTERRUPTED)
		bst_error("%s: %s.", box->path, u.error);
	if (code == BST_EXIT_OK && u.n_bad)
		code = say_bad(box, &u.bad[0]);
	if (code == BST_EXIT_OK)
		code = check_digest(box, &u);
	if (code == BST_EXIT_OK && bst_is_interrupted())
		code = BST_EXIT_INTERRUPTED;
	bst_unpack_fini(&u);
	return code;
}

/* ---- In place ------------------------------------------------------------ */

/* Read back what was written, and compare it with the container. */
static int prove(const struct bst_restore *job, struct bst_container *box,
		 int fd, unsigned n_threads)
{
	int err = bst_flush_file(fd), equal;

	if (err)
		return bst_say_output_error(job->dst, err);
	equal = bst_compare_container(job->src, box->fd, fd, n_threads);
	if (equal > 0)
		return BST_EXIT_OK;
	if (equal < 0)
		return -equal;
	bst_error("%s: what was written does not read back as the file, so it "
		  "was discarded; %s is as it was.  Check the disk and the "
		  "memory of this machine.",
		  job->dst, job->src);
	return BST_EXIT_DATA;
}

static int remove_container(const struct bst_restore *job,
			    const struct bst_container *box)
{
	int err = bst_remove_version(job->src, &box->st);

	if (!err)
		return BST_EXIT_OK;
	if (err == -ESTALE)
		bst_error("%s changed while it was restored; it is kept.",
			  job->src);
	else
		bst_error("%s is complete, but %s cannot be removed: %s.",
			  job->dst, job->src, strerror(-err));
	return err == -ESTALE ? BST_EXIT_DATA : bst_exit_of_errno(-err);
}

/* A file at dst from a run that was interrupted before it could remove the
 * container. */
static int resume(struct bst_restore *job, struct bst_container *box, int fd,
		  unsigned n_threads)
{
	int err, equal;

	if (bst_lock(fd))
		return bst_say_busy(job->dst);
	equal = bst_compare_container(job->src, box->fd, fd, n_threads);
	if (equal < 0)
		return -equal;
	if (!equal) {
		bst_error("%s is there already and is another file than %s "
			  "holds; both are left as they are.  Move one of them "
			  "away.",
			  job->dst, job->src);
		return BST_EXIT_REFUSED;
	}
	job->is_present = 1;
	err = bst_flush_file(fd);
	if (!err)
		err = bst_flush_dir_of(job->dst);
	if (err)
		return bst_say_output_error(job->dst, err);
	if (bst_is_named(job->dst, fd))
		return remove_container(job, box);
	bst_error("%s changed while it was compared; %s is kept.", job->dst,
		  job->src);
	return BST_EXIT_DATA;
}

/* Whether dst looks like what src holds: as rsync tells. */
static int looks_restored(const struct bst_container *box,
			  const struct stat *st)
{
	return (uint64_t)st->st_size == box->member.size &&
	       bst_nanoseconds(&st->st_mtim) == box->member.mtime_ns;
}

/* Deal with a dst that is there: 1 and *ret_code, or 0. */
static int use_present(struct bst_restore *job, struct bst_container *box,
		       unsigned n_threads, int *ret_code)
{
	struct stat st;
	int fd, found = 0;

	if (!job->is_in_place && !job->skips_present)
		return 0;
	if (bst_open_regular(job->dst, &fd, &st) != 0)
		return 0;
	/* What a link leads to may go any time, or be src as a mount shows it. */
	if (job->is_in_place && !bst_is_named(job->dst, fd)) {
		close(fd);
		return 0;
	}
	if (job->is_in_place) {
		*ret_code = resume(job, box, fd, n_threads);
		found = 1;
	} else if (looks_restored(box, &st)) {
		job->is_present = 1;
		*ret_code = BST_EXIT_OK;
		found = 1;
	}
	close(fd);
	return found;
}

/* ---- One file ------------------------------------------------------------ */

static int commit(struct bst_restore *job, struct bst_container *box,
		  struct bst_outfile *out, unsigned n_threads)
{
	int err, code;

	if (job->is_in_place) {
		bst_copy_owner(out->fd, box->fd, &box->st);
		code = prove(job, box, out->fd, n_threads);
		if (code != BST_EXIT_OK)
			return code;
	}
	err = bst_outfile_commit(out, box->member.mode, &box->member.mtime_ns);
	if (err)
		return bst_say_output_error(job->dst, err);
	return job->is_in_place ? remove_container(job, box) : BST_EXIT_OK;
}

static int write_file(struct bst_restore *job, struct bst_container *box,
		      unsigned n_threads)
{
	struct bst_outfile out = { .fd = -1 };
	int err, code;

	err = bst_outfile_check(job->dst, job->may_replace, &box->st);
	if (!err)
		err = bst_outfile_open(&out, job->dst, job->may_replace);
	/* Zeros are not written: the file begins as one hole. */
	if (!err && ftruncate(out.fd, (off_t)box->member.size) != 0)
		err = -errno;
	if (err) {
		bst_outfile_abort(&out);
		return bst_say_output_error(job->dst, err);
	}
	code = bst_restore_into(box, out.fd, n_threads);
	if (code == BST_EXIT_OK)
		code = commit(job, box, &out, n_threads);
	bst_outfile_abort(&out);
	return code;
}

int bst_restore_file(struct bst_restore *job, unsigned n_threads)
{
	struct bst_container box;
	double begin = bst_now();
	int code;

	job->exit_code = code = bst_container_open(&box, job->src);
	if (code != BST_EXIT_OK)
		return code;
	if (job->found && !bst_is_found(&box.st, job->found)) {
		bst_error("%s changed meanwhile; it is left as it is.",
			  job->src);
		bst_container_close(&box);
		return job->exit_code = BST_EXIT_DATA;
	}
	/* Whoever asked looked before, but it may have been another then, or
	 * not to be read: a bundle must not pass for a file without bytes. */
	if (box.is_bundle) {
		bst_error("%s holds a directory, which was not seen before; "
			  "try again.",
			  job->src);
		bst_container_close(&box);
		return job->exit_code = BST_EXIT_SYSTEM;
	}
	/* The file it was made of may have had another header. */
	if (job->is_in_place && bs_archive_summary(box.ar)->is_upstream) {
		bst_error("%s is a file of BigSmall (Python), which does not "
			  "know the whole file that it was made of; restore it "
			  "without --replace, then remove it.",
			  job->src);
		bst_container_close(&box);
		return job->exit_code = BST_EXIT_REFUSED;
	}
	if (job->is_in_place && bst_lock(box.fd)) {
		bst_container_close(&box);
		return job->exit_code = bst_say_busy(job->src);
	}
	if (bs_archive_is_degraded(box.ar))
		bst_error("%s: the first superblock is damaged; the copy at "
			  "the end is used.",
			  job->src);
	job->raw_len = box.member.size;
	job->stored_len = (uint64_t)box.st.st_size;
	job->is_upstream = bs_archive_summary(box.ar)->is_upstream;
	job->has_sha256 = box.member.digest_alg == BS_DIGEST_SHA256;
	if (!use_present(job, &box, n_threads, &code))
		code = write_file(job, &box, n_threads);
	bst_container_close(&box);
	job->exit_code = code;
	job->seconds = bst_now() - begin;
	return code;
}
