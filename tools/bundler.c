/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundler.c - a whole directory into one container
 *
 * Files are laid out in the order of their paths, the small ones first, so
 * that they come to share blobs; equal tensors and equal files are stored
 * once, wherever they are.
 */

#include "bundler.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "files.h"
#include "naming.h"
#include "walk.h"

#define PATH_LEN_MAX 4096 /* docs/format.md 5 */

struct bundler {
	struct bst_compress *job;
	struct bst_tree tree;
	char **full; /* [tree.n]: paths to open, of files; owned */
	size_t *source; /* [tree.n]: the file's, or BST_NO_SOURCE */
	struct bst_layout layout;
	struct bst_pack pack;
};

/* ---- What a bundle can hold ---------------------------------------------- */

static int check_entry(const struct bundler *b, const struct bst_entry *e)
{
	const char *root = b->tree.root;

	if (strlen(e->path) > PATH_LEN_MAX ||
	    (e->target && strlen(e->target) > PATH_LEN_MAX)) {
		bst_error("%s/%s: the path is longer than %d bytes; nothing "
			  "was written.",
			  root, e->path, PATH_LEN_MAX);
	} else if (e->type == BST_ENTRY_OTHER) {
		bst_error("%s/%s is a pipe, a socket or a device, which no "
			  "bundle holds; remove it first.  Nothing was "
			  "written.",
			  root, e->path);
	} else if (e->type == BST_ENTRY_LINK && e->is_loop) {
		bst_error("%s/%s is a link that leads to itself; remove it "
			  "first.  Nothing was written.",
			  root, e->path);
	} else if (e->type == BST_ENTRY_LINK && e->leads_out) {
		bst_error("%s/%s leads out of the directory to %s, which is "
			  "not there: a bundle can hold neither what it leads "
			  "to nor a link out of itself.  Remove it first; "
			  "nothing was written.",
			  root, e->path, e->target);
	} else {
		return BST_EXIT_OK;
	}
	return BST_EXIT_REFUSED;
}

/* A sentence for all links of a kind: the first of them and their number. */
static void say_links(const struct bundler *b, size_t n, size_t first,
		      const char *what)
{
	const struct bst_entry *e = &b->tree.entry[first];

	if (n == 1)
		bst_error("%s/%s %s.", b->tree.root, e->path, what);
	else if (n)
		bst_error("%s/%s and %zu other links: each %s.", b->tree.root,
			  e->path, n - 1, what);
}

static int check_entries(struct bundler *b)
{
	size_t n_dangling = 0, dangling = 0, n_rewritten = 0, rewritten = 0, i;
	int code;

	for (i = b->tree.n; i-- > 0;) {
		const struct bst_entry *e = &b->tree.entry[i];

		code = check_entry(b, e);
		if (code != BST_EXIT_OK)
			return code;
		if (e->type == BST_ENTRY_LINK && e->is_dangling) {
			n_dangling++;
			dangling = i;
		}
		if (e->type == BST_ENTRY_LINK && e->is_rewritten) {
			n_rewritten++;
			rewritten = i;
		}
		b->job->n_files += e->type == BST_ENTRY_FILE;
	}
	say_links(b, n_dangling, dangling,
		  "leads to nothing; it is kept as it is");
	say_links(b, n_rewritten, rewritten,
		  "leads to its place in the directory by a way around it; it "
		  "is kept as a direct link");
	return BST_EXIT_OK;
}

/* A bundle that is written into the directory would come to hold itself. */
static int check_place(const struct bundler *b)
{
	char *dir = bst_dir_name(b->job->dst);
	char *real = dir ? realpath(dir, NULL) : NULL;
	int is_inside = real && bst_is_below(real, b->tree.real);

	free(real);
	free(dir);
	if (!is_inside)
		return BST_EXIT_OK;
	bst_error("%s lies in %s itself; name a place outside with -o.",
		  b->job->dst, b->job->src);
	return BST_EXIT_USAGE;
}

/* ---- Layout -------------------------------------------------------------- */

static int say_layout_error(const char *path, int err)
{
	if (err == -EINTR)
		return BST_EXIT_INTERRUPTED;
	if (err == -ENODATA) {
		bst_error("%s: it changed while it was being read.", path);
		return BST_EXIT_DATA;
	}
	bst_error("%s: reading failed: %s.", path, strerror(-err));
	return bst_exit_of_errno(-err);
}

static int add_file(struct bundler *b, size_t i)
{
	const struct bst_entry *e = &b->tree.entry[i];
	struct bst_layout *lay = &b->layout;
	int err;

	b->full[i] = bst_join(b->tree.root, e->path);
	if (!b->full[i])
		return bst_say_no_memory();
	b->source[i] = lay->n_sources;
	err = bst_layout_add(lay, b->full[i], -1, &e->st, BST_LAYOUT_BUNDLED,
			     bst_naming_is_safetensors(e->path));
	if (err)
		return say_layout_error(b->full[i], err);
	if (lay->reason[0])
		bst_error("%s: kept as opaque bytes: %s.", b->full[i],
			  lay->reason);
	b->job->n_unknown += lay->n_unknown;
	return bst_is_interrupted() ? BST_EXIT_INTERRUPTED : BST_EXIT_OK;
}

static int add_files(struct bundler *b, int small_ones)
{
	int code = BST_EXIT_OK;
	size_t i;

	for (i = 0; i < b->tree.n && code == BST_EXIT_OK; i++) {
		const struct bst_entry *e = &b->tree.entry[i];
		int is_small = (uint64_t)e->st.st_size <= BST_SMALL_FILE;

		if (e->type == BST_ENTRY_FILE && e->same_as == BST_NO_ENTRY &&
		    is_small == small_ones)
			code = add_file(b, i);
	}
	return code;
}

static int lay_out(struct bundler *b)
{
	struct bst_compress *job = b->job;
	int err, code;
	size_t i;

	b->full = calloc(b->tree.n + 1, sizeof(*b->full));
	b->source = calloc(b->tree.n + 1, sizeof(*b->source));
	if (!b->full || !b->source)
		return bst_say_no_memory();
	for (i = 0; i < b->tree.n; i++)
		b->source[i] = BST_NO_SOURCE;
	code = add_files(b, 1);
	if (code == BST_EXIT_OK)
		code = add_files(b, 0);
	if (code != BST_EXIT_OK)
		return code;
	err = bst_layout_find_ties(&b->layout);
	if (err)
		return say_layout_error(job->src, err);
	job->raw_len = b->layout.size;
	job->n_tensors = b->layout.n_tensors;
	job->n_tied = b->layout.n_tied;
	job->tied_len = b->layout.tied_len;
	return BST_EXIT_OK;
}

/* ---- Packing ------------------------------------------------------------- */

static void get_member(void *ctx, size_t i, struct bs_member *ret,
		       size_t *ret_source)
{
	const struct bundler *b = ctx;
	const struct bst_entry *e = &b->tree.entry[i];

	ret->name = e->path;
	ret->name_len = strlen(e->path);
	ret->mode = e->st.st_mode & 07777;
	ret->mtime_ns = bst_nanoseconds(&e->st.st_mtim);
	*ret_source = b->source[i];
	if (e->type == BST_ENTRY_DIR) {
		ret->type = BS_MEMBER_DIR;
	} else if (e->type == BST_ENTRY_LINK) {
		ret->type = BS_MEMBER_SYMLINK;
		ret->target = e->target;
	} else if (e->same_as != BST_NO_ENTRY) {
		ret->type = BS_MEMBER_HARDLINK;
		ret->target = b->tree.entry[e->same_as].path;
	}
	ret->target_len = strlen(ret->target);
}

/* That what was written can be read: its directory at least. */
static int check_written(const struct bundler *b, int fd)
{
	struct bst_container box;
	int code = bst_container_open_fd(&box, b->job->dst, fd);

	if (code == BST_EXIT_OK)
		bst_container_close(&box);
	return code;
}

static int run_pack(struct bundler *b, unsigned n_threads)
{
	struct bst_pack *pack = &b->pack;

	pack->layout = &b->layout;
	pack->n_threads = n_threads;
	pack->level = b->job->level;
	pack->member = get_member;
	pack->ctx = b;
	pack->n_members = b->tree.n;
	pack->mode = b->tree.st.st_mode & 07777;
	pack->mtime_ns = bst_nanoseconds(&b->tree.st.st_mtim);
	bst_pack(pack);
	if (pack->exit_code != BST_EXIT_OK &&
	    pack->exit_code != BST_EXIT_INTERRUPTED)
		bst_error("%s: %s.", b->job->src, pack->error);
	b->job->stored_len = pack->stored_len;
	b->job->n_blobs = pack->n_blobs;
	memcpy(b->job->by_coding, pack->by_coding, sizeof(pack->by_coding));
	memcpy(b->job->by_dtype, pack->by_dtype, sizeof(pack->by_dtype));
	return pack->exit_code;
}

static int write_bundle(struct bundler *b, unsigned n_threads)
{
	struct bst_compress *job = b->job;
	struct bst_outfile out = { .fd = -1 };
	int err, code;

	err = bst_outfile_check(job->dst, job->may_replace, &b->tree.st);
	if (!err && !job->dry_run)
		err = bst_outfile_open(&out, job->dst, job->may_replace);
	if (err)
		return bst_say_output_error(job->dst, err);
	b->pack.dst_fd = out.fd;
	code = run_pack(b, n_threads);
	if (code == BST_EXIT_OK && bst_is_interrupted())
		code = BST_EXIT_INTERRUPTED;
	if (code == BST_EXIT_OK && !job->dry_run) {
		code = check_written(b, out.fd);
		if (code == BST_EXIT_OK) {
			err = bst_outfile_commit(
				&out, b->tree.st.st_mode & 0666, NULL);
			if (err)
				code = bst_say_output_error(job->dst, err);
		}
	}
	bst_outfile_abort(&out);
	return code;
}

int bst_compress_dir(struct bst_compress *job, unsigned n_threads)
{
	struct bundler b = { .job = job };
	double begin = bst_now();
	size_t i;
	int code;

	job->outcome = BST_FAILED;
	job->is_bundle = 1;
	code = bst_tree_read(&b.tree, job->src, 1);
	if (code == BST_EXIT_OK)
		code = check_place(&b);
	if (code == BST_EXIT_OK)
		code = check_entries(&b);
	if (code == BST_EXIT_OK)
		code = lay_out(&b);
	if (code == BST_EXIT_OK) {
		bst_progress_begin(bst_base_name(job->src), b.layout.size);
		code = write_bundle(&b, n_threads);
		bst_progress_end();
	}
	if (code == BST_EXIT_OK)
		job->outcome = BST_WRITTEN;
	job->exit_code = code;
	job->seconds = bst_now() - begin;
	bst_layout_fini(&b.layout);
	for (i = 0; b.full && i < b.tree.n; i++)
		free(b.full[i]);
	free(b.full);
	free(b.source);
	bst_tree_fini(&b.tree);
	return code;
}
