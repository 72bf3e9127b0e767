/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compressor.c - one file into one container, beside it or in its place
 *
 * In place, the order is what makes it safe: the container is written under a
 * temporary name and to the disk, read back from there, decoded and compared
 * with the source; it gets its name, and the directory goes to the disk; the
 * source is looked at once more, and only then removed.  Each run holds a lock
 * on what it will remove, and on what it relies on where it was there before:
 * so a run this way and one the other way do not remove both.
 */

#include "compressor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "container.h"
#include "files.h"
#include "unpacker.h"

/* A file on its way. */
struct work {
	struct bst_compress *job;
	unsigned n_threads;
	int fd;
	struct stat st;
	struct bst_layout layout;
	struct bst_pack pack;
};

double bst_saved(uint64_t raw, uint64_t stored)
{
	return raw && stored < raw
		       ? 100.0 - 100.0 * (double)stored / (double)raw
		       : 0.0;
}

static int open_source(struct work *w)
{
	const char *src = w->job->src;
	int err = bst_open_regular(src, &w->fd, &w->st);

	if (err == 0 && w->job->found && !bst_is_found(&w->st, w->job->found)) {
		bst_error("%s changed meanwhile; it is left as it is.", src);
		return BST_EXIT_DATA;
	}
	if (err == 0 && w->job->is_in_place && bst_lock(w->fd))
		return bst_say_busy(src);
	if (err == 0)
		return bst_refuse_container(src, w->fd, &w->st);
	w->fd = -1;
	if (err == -EISDIR)
		bst_error("%s is a directory; name it alone, or with others "
			  "and without --replace.",
			  src);
	else if (err == -EINVAL)
		bst_error("%s is not a regular file.", src);
	else
		bst_error("%s cannot be read: %s.", src, strerror(-err));
	return err == -EISDIR || err == -EINVAL ? BST_EXIT_USAGE
						: bst_exit_of_errno(-err);
}

/* ---- Layout -------------------------------------------------------------- */

static int say_layout_error(const struct work *w, int err)
{
	if (err == -EINTR)
		return BST_EXIT_INTERRUPTED;
	if (err == -ENODATA) {
		bst_error("%s: it changed while it was being read.",
			  w->job->src);
		return BST_EXIT_DATA;
	}
	bst_error("%s: reading failed: %s.", w->job->src, strerror(-err));
	return BST_EXIT_SYSTEM;
}

static void say_layout(const struct work *w)
{
	const struct bst_layout *lay = &w->layout;

	if (lay->reason[0])
		bst_error("%s: kept as opaque bytes: %s.", w->job->src,
			  lay->reason);
	if (lay->n_unknown)
		bst_error("%s: %llu tensor%s of a dtype not known here (\"%s\")"
			  " kept as bytes.",
			  w->job->src, (unsigned long long)lay->n_unknown,
			  lay->n_unknown == 1 ? " is" : "s are",
			  lay->unknown_dtype);
}

static int lay_out(struct work *w)
{
	struct bst_compress *job = w->job;
	struct bst_layout *lay = &w->layout;
	int err;

	err = bst_layout_add(lay, job->src, w->fd, &w->st, BST_LAYOUT_FILE,
			     job->suffix[0] != '\0');
	if (!err)
		job->is_safetensors = lay->source[0].is_safetensors;
	strcpy(job->reason, lay->reason);
	if (!err && job->is_weights_only && !job->is_safetensors)
		return BST_EXIT_OK;
	if (!err)
		err = bst_layout_find_ties(lay);
	if (err)
		return say_layout_error(w, err);
	say_layout(w);
	job->raw_len = lay->size;
	job->n_tensors = lay->n_tensors;
	job->n_unknown = lay->n_unknown;
	job->n_tied = lay->n_tied;
	job->tied_len = lay->tied_len;
	return BST_EXIT_OK;
}

/* ---- Packing ------------------------------------------------------------- */

static int run_pack(struct work *w)
{
	struct bst_pack *pack = &w->pack;

	pack->layout = &w->layout;
	bst_pack(pack);
	if (pack->exit_code != BST_EXIT_OK &&
	    pack->exit_code != BST_EXIT_INTERRUPTED)
		bst_error("%s: %s.", w->job->src, pack->error);
	return pack->exit_code;
}

/* Whether the container is larger than docs promise: 0.05 % + 4 KiB. */
static int has_grown(const struct work *w)
{
	uint64_t size = w->layout.size;

	return w->pack.stored_len > size + size / 2000 + 4096;
}

/* Pack by tensors; where that grows the file (random bytes in tiny tensors),
 * again as a whole. */
static int pack_best(struct work *w)
{
	int code = run_pack(w);

	if (code != BST_EXIT_OK || !w->job->is_safetensors || !has_grown(w))
		return code;
	bst_layout_fini(&w->layout);
	if (bst_layout_add(&w->layout, w->job->src, w->fd, &w->st,
			   BST_LAYOUT_OPAQUE, 0)) {
		bst_error("%s: out of memory.", w->job->src);
		return BST_EXIT_SYSTEM;
	}
	w->job->has_grown = 1;
	w->job->n_tied = 0;
	if (w->pack.dst_fd >= 0 && ftruncate(w->pack.dst_fd, 0) != 0)
		return bst_say_output_error(w->job->dst, -errno);
	return run_pack(w);
}

static void keep_results(struct work *w)
{
	struct bst_compress *job = w->job;

	job->stored_len = w->pack.stored_len;
	job->n_blobs = w->pack.n_blobs;
	memcpy(job->by_coding, w->pack.by_coding, sizeof(job->by_coding));
	memcpy(job->by_dtype, w->pack.by_dtype, sizeof(job->by_dtype));
	memcpy(job->sha256, w->layout.source[0].sha256, sizeof(job->sha256));
}

/* ---- Proving ------------------------------------------------------------- */

int bst_compare_container(const char *path, int container_fd, int fd,
			  unsigned n_threads)
{
	struct bst_container box;
	struct bst_unpack u = {
		.box = &box, .dst_fd = -1, .cmp_fd = fd, .n_threads = n_threads
	};
	struct stat st;
	int code, ret;

	code = bst_container_open_fd(&box, path, container_fd);
	if (code != BST_EXIT_OK)
		return -code;
	if (box.is_bundle || fstat(fd, &st) != 0 ||
	    (uint64_t)st.st_size != box.member.size) {
		bst_container_close(&box);
		return 0;
	}
	bst_unpack(&u);
	ret = !u.differs && !u.n_bad;
	if (u.exit_code != BST_EXIT_OK && !u.differs) {
		if (u.exit_code != BST_EXIT_INTERRUPTED)
			bst_error("%s: %s.", path, u.error);
		ret = -u.exit_code;
	} else if (bst_is_interrupted()) {
		ret = -BST_EXIT_INTERRUPTED;
	}
	bst_unpack_fini(&u);
	bst_container_close(&box);
	return ret;
}

/* Read back what was written, and compare it with the source. */
static int prove(struct work *w, int fd)
{
	int err = bst_flush_file(fd), equal;

	if (err)
		return bst_say_output_error(w->job->dst, err);
	equal = bst_compare_container(w->job->dst, fd, w->fd, w->n_threads);
	if (equal > 0)
		return BST_EXIT_OK;
	if (equal < 0)
		return -equal;
	bst_error("%s: what was written does not read back as the file, so it "
		  "was discarded; %s is as it was.  Check the disk and the "
		  "memory of this machine.",
		  w->job->dst, w->job->src);
	return BST_EXIT_DATA;
}

/* The container is in place and on the disk: the source may go.  'is_ours':
 * this run made it. */
static int remove_source(const struct work *w, int is_ours)
{
	int err = bst_remove_version(w->job->src, &w->st);

	if (!err)
		return BST_EXIT_OK;
	if (err == -ESTALE && !is_ours) {
		bst_error("%s changed while it was compared; it is kept.",
			  w->job->src);
		return BST_EXIT_DATA;
	}
	if (err == -ESTALE) {
		bst_error("%s changed while it was compressed; it is kept, and "
			  "%s is discarded.",
			  w->job->src, w->job->dst);
		unlink(w->job->dst);
		(void)bst_flush_dir_of(w->job->dst);
		return BST_EXIT_DATA;
	}
	bst_error("%s is complete, but %s cannot be removed: %s.", w->job->dst,
		  w->job->src, strerror(-err));
	return bst_exit_of_errno(-err);
}

/* ---- What is there already ----------------------------------------------- */

/* A container at dst from a run that was interrupted before it could remove
 * the source. */
static int resume(struct work *w, int fd, const struct bs_summary *sum)
{
	int err, equal;

	if (bst_lock(fd))
		return bst_say_busy(w->job->dst);
	if (strcmp(sum->suffix, w->job->suffix) != 0) {
		bst_error("%s is there already, of a file that was not called "
			  "%s; both are left as they are.  Move one of them "
			  "away.",
			  w->job->dst, bst_base_name(w->job->src));
		return BST_EXIT_REFUSED;
	}
	equal = bst_compare_container(w->job->dst, fd, w->fd, w->n_threads);
	if (equal < 0)
		return -equal;
	if (!equal) {
		bst_error("%s is there already and holds another file than %s; "
			  "both are left as they are.  Move one of them away.",
			  w->job->dst, w->job->src);
		return BST_EXIT_REFUSED;
	}
	if (sum->mtime_ns != bst_nanoseconds(&w->st.st_mtim) ||
	    sum->mode != (w->st.st_mode & 07777)) {
		bst_error("%s is there already and holds the same bytes, but "
			  "%s has another time or mode since; remove one of "
			  "them.",
			  w->job->dst, w->job->src);
		return BST_EXIT_REFUSED;
	}
	w->job->outcome = BST_RESUMED;
	w->job->stored_len = (uint64_t)lseek(fd, 0, SEEK_END);
	if (w->job->dry_run)
		return BST_EXIT_OK;
	err = bst_flush_file(fd);
	if (!err)
		err = bst_flush_dir_of(w->job->dst);
	if (err)
		return bst_say_output_error(w->job->dst, err);
	if (bst_is_named(w->job->dst, fd))
		return remove_source(w, 0);
	bst_error("%s changed while it was compared; %s is kept.", w->job->dst,
		  w->job->src);
	return BST_EXIT_DATA;
}

/* Whether the container was made of the source as it is, by what both say. */
static int is_made_of(const struct work *w, const struct bs_summary *sum)
{
	return sum->size == (uint64_t)w->st.st_size &&
	       sum->mtime_ns == bst_nanoseconds(&w->st.st_mtim) &&
	       !strcmp(sum->suffix, w->job->suffix);
}

/* Deal with a dst that is a container: 1 and *ret_code, or 0 if there is none,
 * or none that helps. */
static int use_present(struct work *w, int *ret_code)
{
	struct bs_summary sum;
	struct stat st;
	int fd, found = 0;

	if (!w->job->is_in_place && !w->job->skips_present)
		return 0;
	if (bst_open_regular(w->job->dst, &fd, &st) != 0)
		return 0;
	/* What a link leads to may go any time. */
	if (w->job->is_in_place && !bst_is_named(w->job->dst, fd)) {
		close(fd);
		return 0;
	}
	if (bst_container_peek(fd, &st, &sum, NULL) == BS_OK &&
	    !sum.is_upstream) {
		found = w->job->is_in_place || is_made_of(w, &sum);
		if (w->job->is_in_place) {
			*ret_code = resume(w, fd, &sum);
		} else if (found) {
			w->job->outcome = BST_PRESENT;
			w->job->stored_len = (uint64_t)st.st_size;
			*ret_code = BST_EXIT_OK;
		}
	}
	close(fd);
	return found;
}

/* ---- One file ------------------------------------------------------------ */

static int check_dir_of(const char *path)
{
	char *dir = bst_dir_name(path);
	int err = !dir ? -ENOMEM : bst_is_dir(dir) ? 0 : -ENOENT;

	free(dir);
	return err;
}

static int commit(struct work *w, struct bst_outfile *out)
{
	struct bst_compress *job = w->job;
	int err, code;

	if (job->is_in_place) {
		bst_copy_owner(out->fd, w->fd, &w->st);
		code = prove(w, out->fd);
		if (code != BST_EXIT_OK)
			return code;
	}
	err = bst_outfile_commit(out, w->st.st_mode, NULL);
	if (err)
		return bst_say_output_error(job->dst, err);
	job->outcome = BST_WRITTEN;
	if (!job->is_in_place)
		return BST_EXIT_OK;
	code = remove_source(w, 1);
	job->outcome = code == BST_EXIT_OK ? BST_REPLACED : BST_FAILED;
	return code;
}

static int write_container(struct work *w)
{
	struct bst_compress *job = w->job;
	struct bst_outfile out = { .fd = -1 };
	int err, code;

	err = bst_outfile_check(job->dst, job->may_replace, &w->st);
	if (!err && job->dry_run && job->checks_dir)
		err = check_dir_of(job->dst);
	if (!err && !job->dry_run)
		err = bst_outfile_open(&out, job->dst, job->may_replace);
	if (err)
		return bst_say_output_error(job->dst, err);
	w->pack.dst_fd = out.fd;
	code = pack_best(w);
	if (code == BST_EXIT_OK) {
		keep_results(w);
		if (bst_is_interrupted())
			code = BST_EXIT_INTERRUPTED;
	}
	if (code == BST_EXIT_OK && job->is_weights_only &&
	    bst_saved(job->raw_len, job->stored_len) < BST_GAIN_MIN)
		job->outcome = BST_LEFT_DENSE;
	else if (code == BST_EXIT_OK && job->dry_run)
		job->outcome = BST_WRITTEN;
	else if (code == BST_EXIT_OK)
		code = commit(w, &out);
	bst_outfile_abort(&out);
	return code;
}

static int compress_opened(struct work *w)
{
	struct bst_compress *job = w->job;
	int code;

	job->raw_len = (uint64_t)w->st.st_size;
	code = lay_out(w);
	if (code != BST_EXIT_OK)
		return code;
	if (job->is_weights_only && !job->is_safetensors) {
		job->outcome = BST_LEFT_OTHER;
		return BST_EXIT_OK;
	}
	if (use_present(w, &code))
		return code;
	w->pack.n_threads = w->n_threads;
	w->pack.level = job->level;
	w->pack.suffix = job->suffix;
	w->pack.mode = w->st.st_mode & 07777;
	w->pack.mtime_ns = bst_nanoseconds(&w->st.st_mtim);
	return write_container(w);
}

int bst_compress_file(struct bst_compress *job, unsigned n_threads)
{
	struct work w = { .job = job, .n_threads = n_threads, .fd = -1 };
	double begin = bst_now();

	job->outcome = BST_FAILED;
	job->exit_code = open_source(&w);
	if (job->exit_code == BST_EXIT_OK)
		job->exit_code = compress_opened(&w);
	if (job->exit_code != BST_EXIT_OK)
		job->outcome = BST_FAILED;
	job->seconds = bst_now() - begin;
	bst_layout_fini(&w.layout);
	if (w.fd >= 0)
		close(w.fd);
	return job->exit_code;
}
