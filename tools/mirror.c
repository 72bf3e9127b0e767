/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror.c - a directory, file by file, in place or into another
 *
 * First all is planned: what is made of which file, and under which name; two
 * sources for one name end it before anything is written.  Then files are
 * made, several at a time.  Into another directory, what nothing is made of is
 * copied with its mode and time, links as they are; in place, it stays.
 */

#include "mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behind.h"
#include "bigsmall.h"
#include "cmd.h"
#include "files.h"
#include "jobs.h"

#define COPY_LEN ((size_t)1 << 20)

/* A name that something will have. */
struct result {
	char *dst;
	size_t entry; /* of its source */
};

struct mirror {
	struct bst_mirror *m;
	struct bst_tree tree;
	struct bst_mirror_file *file; /* [n_files], owned */
	size_t n_files;
	struct result *other; /* [n_others], owned: of further names */
	size_t n_others;
	unsigned char *is_planned; /* [tree.n], owned */
	mode_t out_mode; /* of the directory, if it was there before; or 0 */
	int exit_code;
};

static const char *top_of(const struct mirror *w)
{
	return w->m->out ? w->m->out : w->tree.root;
}

/* ---- What may be done ---------------------------------------------------- */

/* Nothing in a mount of ours can be replaced; one may also be further down. */
static int check_mounts(const struct mirror *w)
{
	const struct bst_tree *t = &w->tree;
	dev_t dev = t->st.st_dev;
	int code = bst_refuse_mounted(t->root);
	size_t i;

	for (i = 0; i < t->n && code == BST_EXIT_OK; i++) {
		char *full;

		if (t->entry[i].type != BST_ENTRY_DIR ||
		    t->entry[i].st.st_dev == dev)
			continue;
		full = bst_join(t->real, t->entry[i].path);
		if (!full)
			return bst_say_no_memory();
		code = bst_refuse_mounted(full);
		free(full);
	}
	return code;
}

/* 'path' without links: what is not there yet stands in the first directory
 * above it that is. */
static char *real_place(const char *path)
{
	char *ret = realpath(path, NULL), *dir = NULL, *up;

	while (!ret && errno == ENOENT) {
		up = bst_dir_name(dir ? dir : path);
		free(dir);
		dir = up;
		if (!dir)
			break;
		ret = realpath(dir, NULL);
	}
	free(dir);
	return ret;
}

static int check_out(const struct mirror *w)
{
	char *real = real_place(w->m->out);
	int is_there = !access(w->m->out, F_OK);
	int is_inside = real && bst_is_below(real, w->tree.real);
	int is_same = is_there && real && !strcmp(real, w->tree.real);

	free(real);
	if (is_same)
		return bst_usage(
			w->m->cmd,
			"%s is the directory itself; to work in place, "
			"say --replace.",
			w->m->out);
	if (is_inside)
		return bst_usage(w->m->cmd, "%s lies in %s itself.", w->m->out,
				 w->m->src);
	return BST_EXIT_OK;
}

/* Links that are left alone, and what the user may have meant. */
static void say_links(const struct mirror *w)
{
	const struct bst_tree *t = &w->tree;
	size_t n_dangling = 0, dangling = 0, i;

	for (i = t->n; i-- > 0;) {
		if (t->entry[i].type == BST_ENTRY_LINK &&
		    t->entry[i].is_dangling && !t->entry[i].is_stored) {
			n_dangling++;
			dangling = i;
		}
	}
	if (t->n_out && t->above[0])
		bst_error("%s: %zu link%s out of it and %s left alone; to "
			  "reach what %s to, give %s",
			  t->root, t->n_out,
			  t->n_out == 1 ? " leads" : "s lead",
			  t->n_out == 1 ? "is" : "are",
			  t->n_out == 1 ? "it leads" : "they lead", t->above);
	else if (t->n_out)
		bst_error("%s: %zu link%s out of it and %s left alone.",
			  t->root, t->n_out,
			  t->n_out == 1 ? " leads" : "s lead",
			  t->n_out == 1 ? "is" : "are");
	if (n_dangling)
		bst_error("%s: %zu link%s to nothing and %s kept: %s%s.",
			  t->root, n_dangling,
			  n_dangling == 1 ? " leads" : "s lead",
			  n_dangling == 1 ? "is" : "are",
			  t->entry[dangling].path,
			  n_dangling == 1 ? "" : ", ...");
}

/* Whether 'base' is a temporary file; *ret_is_left: of a run that was killed. */
static int is_temporary(const char *base, int *ret_is_left)
{
	const char *mark = strstr(base, ".tmp.");
	long pid;
	unsigned no;
	int n = 0;

	if (base[0] != '.' || !mark ||
	    sscanf(mark, ".tmp.%ld.%u%n", &pid, &no, &n) != 2 || mark[n] ||
	    pid <= 0)
		return 0;
	*ret_is_left = kill((pid_t)pid, 0) != 0 && errno == ESRCH;
	return 1;
}

/* ---- The plan ------------------------------------------------------------ */

/* "A/B" of which B is replaced by 'name'; below 'top'. */
static char *result_path(const char *top, const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *ret;
	int n;

	n = asprintf(&ret, "%s%s%.*s%s", top,
		     top[0] && top[strlen(top) - 1] == '/' ? "" : "/",
		     slash ? (int)(slash - path) + 1 : 0, path, name);
	return n < 0 ? NULL : ret;
}

static int add_file(struct mirror *w, size_t i, char *src, const char *name,
		    const char *suffix)
{
	struct bst_mirror_file *f;

	if ((w->n_files & (w->n_files - 1)) == 0) {
		size_t n = w->n_files ? 2 * w->n_files : 1;

		f = realloc(w->file, n * sizeof(*f));
		if (!f)
			return bst_say_no_memory();
		w->file = f;
	}
	f = &w->file[w->n_files];
	memset(f, 0, sizeof(*f));
	f->dst = result_path(top_of(w), w->tree.entry[i].path, name);
	if (!f->dst)
		return bst_say_no_memory();
	f->src = src;
	f->suffix = suffix;
	f->entry = i;
	f->st = &w->tree.entry[i].st;
	w->is_planned[i] = 1;
	w->n_files++;
	return BST_EXIT_OK;
}

static int plan_file(struct mirror *w, size_t i)
{
	const struct bst_entry *e = &w->tree.entry[i];
	char *src = bst_join(w->tree.root, e->path), *name = NULL;
	const char *suffix = "";
	struct stat st;
	int fd, err, code;

	if (!src)
		return bst_say_no_memory();
	err = bst_open_regular(src, &fd, &st);
	if (err) {
		/* It stays what it is, and the others need not wait for it. */
		bst_error("%s cannot be read: %s.", src, strerror(-err));
		w->exit_code =
			bst_exit_worse(w->exit_code, bst_exit_of_errno(-err));
		free(src);
		return BST_EXIT_OK;
	}
	code = w->m->plan(w->m->ctx, src, fd, &st, &name, &suffix);
	close(fd);
	if (code > 0) {
		code = add_file(w, i, src, name, suffix);
		if (code == BST_EXIT_OK)
			src = NULL;
	} else {
		code = -code;
	}
	free(name);
	free(src);
	return code;
}

static int compare_entry_no(const void *pa, const void *pb)
{
	const struct bst_mirror_file *a = pa, *b = pb;

	return a->entry < b->entry ? -1 : a->entry > b->entry;
}

/* What another name of a planned file says its result is called, the caller's
 * to free; NULL: nothing, or the result has another ending. */
static char *name_other(const struct mirror *w, const char *src,
			const struct bst_mirror_file *f, size_t i)
{
	char *name = NULL, *ret = NULL;
	const char *suffix = "";
	struct stat st;
	int fd;

	if (bst_open_regular(src, &fd, &st) != 0)
		return NULL;
	if (w->m->plan(w->m->ctx, src, fd, &st, &name, &suffix) > 0 &&
	    !strcmp(suffix, f->suffix))
		ret = result_path(top_of(w), w->tree.entry[i].path, name);
	close(fd);
	free(name);
	return ret;
}

/* Note the result of another name, so that it clashes with no other. */
static int plan_other(struct mirror *w, size_t i)
{
	struct bst_mirror_file key = { .entry = w->tree.entry[i].same_as }, *f;
	char *src, *dst;

	f = w->n_files ? bsearch(&key, w->file, w->n_files, sizeof(key),
				 compare_entry_no)
		       : NULL;
	if (!f)
		return BST_EXIT_OK;
	if (!w->other)
		w->other = calloc(w->tree.n, sizeof(*w->other));
	src = bst_join(w->tree.root, w->tree.entry[i].path);
	if (!w->other || !src) {
		free(src);
		return bst_say_no_memory();
	}
	dst = name_other(w, src, f, i);
	free(src);
	if (dst)
		w->other[w->n_others++] = (struct result){ dst, i };
	return BST_EXIT_OK;
}

static int plan_all(struct mirror *w)
{
	int code = BST_EXIT_OK, is_left;
	size_t i;

	w->is_planned = calloc(w->tree.n + 1, 1);
	if (!w->is_planned)
		return bst_say_no_memory();
	for (i = 0; i < w->tree.n; i++) {
		const struct bst_entry *e = &w->tree.entry[i];

		if (e->type != BST_ENTRY_FILE)
			continue;
		if (is_temporary(bst_base_name(e->path), &is_left))
			bst_error(is_left ? "%s/%s was left by a run that was "
					    "killed; remove it."
					  : "%s/%s belongs to another run; it "
					    "is left alone.",
				  w->tree.root, e->path);
		else if (e->same_as == BST_NO_ENTRY)
			code = bst_exit_worse(code, plan_file(w, i));
		else
			code = bst_exit_worse(code, plan_other(w, i));
		if (bst_is_interrupted())
			return BST_EXIT_INTERRUPTED;
	}
	return code;
}

static int compare_results(const void *pa, const void *pb)
{
	const struct result *a = pa, *b = pb;
	int cmp = strcmp(a->dst, b->dst);

	return cmp ? cmp : a->entry < b->entry ? -1 : a->entry > b->entry;
}

static int is_source(const struct mirror *w, size_t i)
{
	size_t first = w->tree.entry[i].same_as;

	return w->is_planned[i] ||
	       (first != BST_NO_ENTRY && w->is_planned[first]);
}

/* Refuse a result that takes the name of what is in the tree. */
static int check_result(const struct mirror *w, const struct result *r)
{
	const char *top = top_of(w), *root = w->tree.root;
	size_t skip = strlen(top), at;

	skip += top[skip - 1] != '/';
	at = bst_tree_find(&w->tree, r->dst + skip);
	if (at == BST_NO_ENTRY)
		return BST_EXIT_OK;
	if (is_source(w, at)) {
		if (w->m->out)
			return BST_EXIT_OK;
		/* It may be gone by then, or not. */
		bst_error("%s/%s would become %s, which is to be read as well; "
			  "nothing was written.",
			  root, w->tree.entry[r->entry].path, r->dst);
		return BST_EXIT_REFUSED;
	}
	if (!w->m->out && w->tree.entry[at].type == BST_ENTRY_FILE)
		return BST_EXIT_OK;
	bst_error("%s/%s would become %s, which %s/%s has as its name; nothing "
		  "was written.",
		  root, w->tree.entry[r->entry].path, r->dst, root,
		  w->tree.entry[at].path);
	return BST_EXIT_REFUSED;
}

/* Refuse where two sources would get one name. */
static int check_names(const struct mirror *w)
{
	size_t n = 0, i;
	struct result *list =
		calloc(w->n_files + w->n_others + 1, sizeof(*list));
	int code = BST_EXIT_OK;

	if (!list)
		return bst_say_no_memory();
	for (i = 0; i < w->n_files; i++)
		list[n++] = (struct result){ w->file[i].dst, w->file[i].entry };
	for (i = 0; i < w->n_others; i++)
		list[n++] = w->other[i];
	if (n)
		qsort(list, n, sizeof(*list), compare_results);
	for (i = 0; i < n && code == BST_EXIT_OK; i++) {
		if (i && !strcmp(list[i - 1].dst, list[i].dst)) {
			bst_error("%s/%s and %s/%s would both become %s; "
				  "nothing was written.",
				  w->tree.root,
				  w->tree.entry[list[i - 1].entry].path,
				  w->tree.root,
				  w->tree.entry[list[i].entry].path,
				  list[i].dst);
			code = BST_EXIT_REFUSED;
		} else {
			code = check_result(w, &list[i]);
		}
	}
	free(list);
	return code;
}

/* ---- Copies -------------------------------------------------------------- */

static int copy_bytes(int from, int to)
{
	uint8_t *buf = malloc(COPY_LEN);
	uint64_t off = 0;
	int err = 0;

	if (!buf)
		return -ENOMEM;
	while (!err) {
		ssize_t n = pread(from, buf, COPY_LEN, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? -errno : 0;
			break;
		}
		err = bst_pwrite_all(to, buf, (size_t)n, off);
		off += (uint64_t)n;
		if (bst_is_interrupted())
			err = -EINTR;
	}
	free(buf);
	return err;
}

/* Whether dst is a copy of the file already, by its length and time. */
static int is_copied(const char *dst, const struct stat *st)
{
	struct stat now;

	return lstat(dst, &now) == 0 && S_ISREG(now.st_mode) &&
	       now.st_size == st->st_size &&
	       now.st_mtim.tv_sec == st->st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

static int say_changed(const char *src)
{
	bst_error("%s: it changed while it was being read.", src);
	return BST_EXIT_DATA;
}

static int copy_file(const struct mirror *w, const char *src, const char *dst,
		     const struct stat *st)
{
	struct bst_outfile out = { .fd = -1 };
	struct stat now, end;
	int64_t mtime_ns;
	int fd, err;

	if (is_copied(dst, st))
		return BST_EXIT_OK;
	err = bst_open_regular(src, &fd, &now);
	if (err) {
		bst_error("%s cannot be read: %s.", src, strerror(-err));
		return bst_exit_of_errno(-err);
	}
	/* A link that took its place is not followed. */
	if (!bst_is_found(&now, st)) {
		close(fd);
		return say_changed(src);
	}
	mtime_ns = bst_nanoseconds(&now.st_mtim);
	err = bst_outfile_check(dst, w->m->may_replace, st);
	if (!err)
		err = bst_outfile_open(&out, dst, w->m->may_replace);
	if (!err)
		err = copy_bytes(fd, out.fd);
	if (!err && (fstat(fd, &end) != 0 || !bst_same_version(&end, &now)))
		err = -ESTALE;
	if (!err)
		err = bst_outfile_commit(&out, now.st_mode, &mtime_ns);
	bst_outfile_abort(&out);
	close(fd);
	if (err == -ESTALE)
		return say_changed(src);
	if (err == -EINTR)
		return BST_EXIT_INTERRUPTED;
	return err ? bst_say_output_error(dst, err) : BST_EXIT_OK;
}

static int copy_link(const struct bst_entry *e, const char *dst)
{
	struct timespec ts[2];
	char text[4097];
	ssize_t n;

	if (symlink(e->target, dst) == 0) {
		bst_times(bst_nanoseconds(&e->st.st_mtim), ts);
		(void)utimensat(AT_FDCWD, dst, ts, AT_SYMLINK_NOFOLLOW);
		return BST_EXIT_OK;
	}
	if (errno != EEXIST)
		return bst_say_output_error(dst, -errno);
	n = readlink(dst, text, sizeof(text) - 1);
	if (n < 0 || (size_t)n != strlen(e->target) ||
	    memcmp(text, e->target, (size_t)n) != 0)
		return bst_say_output_error(dst, -EEXIST);
	return BST_EXIT_OK;
}

static int is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return lstat(a, &x) == 0 && lstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* Another name of a file that was copied: 1 if the copy has it now. */
static int link_copy(const struct mirror *w, const struct bst_entry *e,
		     const char *dst)
{
	char *first;
	int ret;

	if (e->same_as == BST_NO_ENTRY)
		return 0;
	first = bst_join(w->m->out, w->tree.entry[e->same_as].path);
	ret = first && (link(first, dst) == 0 || is_same_file(first, dst));
	free(first);
	return ret;
}

static int copy_entry(const struct mirror *w, size_t i)
{
	const struct bst_entry *e = &w->tree.entry[i];
	char *src = bst_join(w->tree.root, e->path);
	char *dst = bst_join(w->m->out, e->path);
	int code = BST_EXIT_OK;

	if (!src || !dst)
		code = bst_say_no_memory();
	else if (e->type == BST_ENTRY_LINK)
		code = copy_link(e, dst);
	else if (e->type == BST_ENTRY_FILE)
		code = link_copy(w, e, dst) ? BST_EXIT_OK
					    : copy_file(w, src, dst, &e->st);
	else if (e->type == BST_ENTRY_OTHER)
		bst_error("%s is a pipe, a socket or a device; it is not "
			  "copied.",
			  src);
	free(dst);
	free(src);
	return code;
}

/* A directory itself, and no link to one. */
static int is_own_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int make_dirs(struct mirror *w)
{
	struct stat st;
	size_t i;

	if (mkdir(w->m->out, 0777) != 0) {
		if (errno != EEXIST || stat(w->m->out, &st) != 0)
			return bst_say_output_error(w->m->out, -errno);
		w->out_mode = st.st_mode & 07777;
	}
	for (i = 0; i < w->tree.n; i++) {
		char *dst;
		int err = 0;

		if (w->tree.entry[i].type != BST_ENTRY_DIR)
			continue;
		dst = bst_join(w->m->out, w->tree.entry[i].path);
		if (!dst)
			return bst_say_no_memory();
		if (mkdir(dst, 0700) != 0 &&
		    (errno != EEXIST || !is_own_dir(dst)))
			err = bst_say_output_error(dst, -errno);
		free(dst);
		if (err)
			return err;
	}
	return BST_EXIT_OK;
}

/* From the deepest up, since making what is in a directory changes its time. */
static void finish_dirs(const struct mirror *w)
{
	size_t i;

	for (i = w->tree.n; i-- > 0;) {
		const struct bst_entry *e = &w->tree.entry[i];
		char *dst;

		if (e->type != BST_ENTRY_DIR)
			continue;
		dst = bst_join(w->m->out, e->path);
		if (dst)
			bst_finish_dir(dst, e->st.st_mode,
				       bst_nanoseconds(&e->st.st_mtim));
		free(dst);
	}
	bst_finish_dir(w->m->out,
		       w->out_mode ? w->out_mode : w->tree.st.st_mode,
		       bst_nanoseconds(&w->tree.st.st_mtim));
}

/* ---- Making -------------------------------------------------------------- */

static int say_kept(const char *src, int err)
{
	if (err == -ESTALE) {
		bst_error("%s changed since its first name was dealt with; it "
			  "is kept.",
			  src);
		return BST_EXIT_DATA;
	}
	bst_error("%s cannot be removed: %s.", src, strerror(-err));
	return bst_exit_of_errno(-err);
}

/* Another name of a file whose first was made: the result gets another name,
 * too, where that says the same. */
static int make_other_name(struct mirror *w, const struct bst_mirror_file *f,
			   const struct bst_entry *e)
{
	const struct stat *st = &e->st;
	char *src = bst_join(w->tree.root, e->path), *dst = NULL, *name = NULL;
	const char *suffix = "";
	int code = BST_EXIT_OK, fd, err;
	struct stat now;

	if (!src)
		return bst_say_no_memory();
	/* Its first name is gone, so only its change time may be another. */
	if (bst_open_regular(src, &fd, &now) != 0)
		goto out;
	if (now.st_dev == st->st_dev && now.st_ino == st->st_ino &&
	    now.st_size == st->st_size &&
	    now.st_mtim.tv_sec == st->st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == st->st_mtim.tv_nsec &&
	    w->m->plan(w->m->ctx, src, fd, &now, &name, &suffix) > 0)
		dst = result_path(top_of(w), e->path, name);
	close(fd);
	if (!dst || strcmp(suffix, f->suffix) != 0) {
		bst_error("%s is another name of %s with another ending; it is "
			  "left as it is.",
			  src, f->src);
		goto out;
	}
	if (link(f->dst, dst) != 0 &&
	    (errno != EEXIST || !is_same_file(f->dst, dst))) {
		code = bst_say_output_error(dst, -errno);
		goto out;
	}
	err = bst_flush_dir_of(dst);
	if (err) {
		code = bst_say_output_error(dst, err);
		goto out;
	}
	/* It may have changed since it was looked at above. */
	err = w->m->out ? 0 : bst_remove_version(src, &now);
	if (err)
		code = say_kept(src, err);
out:
	free(name);
	free(dst);
	free(src);
	return code;
}

/* What became of a file becomes of its other names, too. */
static int follow_up(struct mirror *w, const struct bst_mirror_file *f)
{
	int is_left = f->outcome == BST_MIRROR_LEFT, code = BST_EXIT_OK, one;
	size_t i;

	if (w->m->dry_run || f->outcome == BST_MIRROR_FAILED ||
	    (is_left && !w->m->out))
		return code;
	if (is_left)
		code = copy_entry(w, f->entry);
	if (w->tree.entry[f->entry].st.st_nlink < 2)
		return code;
	for (i = f->entry + 1; i < w->tree.n; i++) {
		if (w->tree.entry[i].same_as != f->entry)
			continue;
		one = is_left ? copy_entry(w, i)
			      : make_other_name(w, f, &w->tree.entry[i]);
		code = bst_exit_worse(code, one);
	}
	return code;
}

static uint64_t job_size(void *ctx, size_t i)
{
	const struct mirror *w = ctx;

	return (uint64_t)w->tree.entry[w->file[i].entry].st.st_size;
}

static void job_run(void *ctx, size_t i, unsigned n_threads)
{
	struct mirror *w = ctx;
	struct bst_mirror_file *f = &w->file[i];

	w->m->run(w->m->ctx, f, n_threads);
	f->exit_code = bst_exit_worse(f->exit_code, follow_up(w, f));
}

static void job_done(void *ctx, size_t i)
{
	struct mirror *w = ctx;
	struct bst_mirror_file *f = &w->file[i];

	w->exit_code = bst_exit_worse(w->exit_code, f->exit_code);
	w->m->n_left += f->outcome == BST_MIRROR_LEFT;
	w->m->done(w->m->ctx, f);
}

static int make_all(struct mirror *w)
{
	struct bst_jobs jobs = {
		.n = w->n_files,
		.n_threads = w->m->n_threads,
		.size = job_size,
		.run = job_run,
		.done = job_done,
		.ctx = w,
	};
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < w->n_files; i++)
		total += job_size(w, i);
	bst_progress_begin(w->m->src, total);
	bst_run_jobs(&jobs);
	bst_progress_end();
	return bst_is_interrupted() ? BST_EXIT_INTERRUPTED : w->exit_code;
}

/* What nothing is made of. */
static int keep_others(struct mirror *w)
{
	int code = BST_EXIT_OK;
	size_t i;

	for (i = 0; i < w->tree.n && !bst_is_interrupted(); i++) {
		const struct bst_entry *e = &w->tree.entry[i];

		if (w->is_planned[i] || e->type == BST_ENTRY_DIR)
			continue;
		if (e->same_as != BST_NO_ENTRY && w->is_planned[e->same_as])
			continue;
		w->m->n_left += e->type == BST_ENTRY_FILE;
		if (w->m->out && !w->m->dry_run)
			code = bst_exit_worse(code, copy_entry(w, i));
	}
	return bst_is_interrupted() ? BST_EXIT_INTERRUPTED : code;
}

static int prepare(struct mirror *w)
{
	int code = bst_tree_read(&w->tree, w->m->src, 0);

	if (code == BST_EXIT_OK)
		code = w->m->out ? check_out(w) : check_mounts(w);
	if (code != BST_EXIT_OK)
		return code;
	say_links(w);
	code = plan_all(w);
	if (code == BST_EXIT_OK)
		code = check_names(w);
	return code;
}

static int make(struct mirror *w)
{
	int code = BST_EXIT_OK, keeps_dirs = w->m->out && !w->m->dry_run;

	if (keeps_dirs)
		code = make_dirs(w);
	if (code != BST_EXIT_OK)
		return code;
	code = make_all(w);
	if (code != BST_EXIT_INTERRUPTED)
		code = bst_exit_worse(code, keep_others(w));
	if (keeps_dirs && code != BST_EXIT_INTERRUPTED)
		finish_dirs(w);
	return code;
}

int bst_mirror(struct bst_mirror *m)
{
	struct mirror w = { .m = m };
	size_t i;
	int code;

	m->n_left = 0;
	code = prepare(&w);
	if (code == BST_EXIT_OK)
		code = make(&w);
	for (i = 0; i < w.n_files; i++) {
		free(w.file[i].src);
		free(w.file[i].dst);
	}
	for (i = 0; i < w.n_others; i++)
		free(w.other[i].dst);
	free(w.other);
	free(w.file);
	free(w.is_planned);
	bst_tree_fini(&w.tree);
	return code;
}
