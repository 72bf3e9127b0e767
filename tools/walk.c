/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c - all that is in a directory, and where its links lead
 *
 * A link is judged by one step: by the place that its own text names, with the
 * directories on the way resolved.  So of a chain of links that stays inside,
 * every one stays a link, and the one that leaves is the one followed.
 */

#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bigsmall.h"
#include "cmd.h"
#include "files.h"
#include "naming.h"

/* A directory that is being read. */
struct level {
	const struct level *up;
	const char *path; /* below the root; "" for the root */
	const char *full; /* to open it */
	const char *real; /* without links */
	dev_t dev;
	ino_t ino;
	int is_followed;
};

int bst_is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 1) /* "/" */
		return 1;
	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}

static int say_unreadable(const char *path, int err)
{
	bst_error("%s cannot be read: %s.", path, strerror(err));
	return bst_exit_of_errno(err);
}

/* ---- Where a link leads -------------------------------------------------- */

/* 'path', absolute, without "." and "..": by its text alone. */
static void normalise(char *path)
{
	char *from = path, *to = path;

	while (*from) {
		size_t n = strcspn(from + 1, "/");

		if (n == 2 && from[1] == '.' && from[2] == '.') {
			while (to > path && *--to != '/')
				;
		} else if (n && !(n == 1 && from[1] == '.')) {
			memmove(to, from, n + 1);
			to += n + 1;
		}
		from += n + 1;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

/* The place that a link in the directory 'real' with the text 'text' names, its
 * last component not resolved; the caller's to free, or NULL. */
static char *link_place(const char *real, const char *text)
{
	char *path = NULL, *dir = NULL, *dir_real = NULL, *ret = NULL;
	const char *base;

	path = text[0] == '/' ? strdup(text) : bst_join(real, text);
	if (!path)
		return NULL;
	base = bst_base_name(path);
	if (!*base || !strcmp(base, ".") || !strcmp(base, "..")) {
		ret = realpath(path, NULL);
	} else {
		dir = bst_dir_name(path);
		dir_real = dir ? realpath(dir, NULL) : NULL;
		if (dir_real)
			ret = bst_join(dir_real, base);
	}
	if (!ret && errno != ENOMEM) {
		/* A directory on the way is not there. */
		normalise(path);
		ret = path;
		path = NULL;
	}
	free(dir_real);
	free(dir);
	free(path);
	return ret;
}

/* Whether the text of a link 'depth' directories below the root leads to its
 * place by names alone, and never above the root. */
static int is_plain_text(const char *text, size_t depth)
{
	int is_down = 0;

	if (text[0] == '/')
		return 0;
	while (*text) {
		size_t n = strcspn(text, "/");

		if (n == 2 && text[0] == '.' && text[1] == '.') {
			if (is_down || !depth--)
				return 0;
		} else if (n && !(n == 1 && text[0] == '.')) {
			is_down = 1;
		}
		text += n + (text[n] == '/');
	}
	return 1;
}

/* The text of a link in the directory 'from' that leads to 'to': both real,
 * both inside the tree. */
static char *relative_text(const char *from, const char *to)
{
	size_t same = 0, i, n_up = 0;
	char *ret, *p;

	for (i = 0; from[i] && from[i] == to[i]; i++)
		if (from[i] == '/')
			same = i;
	if ((!from[i] && to[i] == '/') || (!to[i] && from[i] == '/') ||
	    (!from[i] && !to[i]))
		same = i;
	for (i = same; from[i]; i++)
		n_up += from[i] == '/';
	to += same;
	to += *to == '/';
	ret = malloc(3 * n_up + strlen(to) + 2);
	if (!ret)
		return NULL;
	for (p = ret, i = 0; i < n_up; i++, p += 3)
		memcpy(p, "../", 3);
	strcpy(p, to);
	if (!*ret)
		strcpy(ret, ".");
	else if (!*to)
		p[-1] = '\0';
	return ret;
}

/* Whether a mount would show something at 'place', which is not there: the
 * container that is called so. */
static int is_container_at(const char *place)
{
	const char *suffix;
	char *dir = bst_dir_name(place);
	char *name = bst_naming_container(bst_base_name(place), &suffix);
	char *path = dir && name ? bst_join(dir, name) : NULL;
	int ret = path && access(path, F_OK) == 0;

	free(path);
	free(name);
	free(dir);
	return ret;
}

/* Widen the directory that holds all that links lead to. */
static int widen(struct bst_tree *t, const char *place)
{
	char *dir = realpath(place, NULL), *slash;
	size_t i, cut = 0;

	/* What is behind a link that leads to nothing, as far as it goes. */
	if (!dir)
		dir = strdup(place);
	if (!dir)
		return -1;
	slash = strrchr(dir, '/');
	*(slash == dir ? slash + 1 : slash) = '\0';
	for (i = 0; t->above[i] && t->above[i] == dir[i]; i++)
		if (t->above[i] == '/')
			cut = i;
	if ((!t->above[i] && (dir[i] == '/' || !dir[i])) ||
	    (!dir[i] && t->above[i] == '/'))
		cut = i;
	t->above[cut] = '\0';
	free(dir);
	return 0;
}

/* ---- Entries ------------------------------------------------------------- */

static struct bst_entry *add_entry(struct bst_tree *t, const char *path)
{
	struct bst_entry *e;

	if (t->n == t->n_allocated) {
		size_t n = t->n ? 2 * t->n : 64;

		e = realloc(t->entry, n * sizeof(*e));
		if (!e)
			return NULL;
		t->entry = e;
		t->n_allocated = n;
	}
	e = &t->entry[t->n];
	memset(e, 0, sizeof(*e));
	e->same_as = BST_NO_ENTRY;
	e->path = strdup(path);
	if (!e->path)
		return NULL;
	t->n++;
	return e;
}

static int read_dir(struct bst_tree *t, const struct level *level);

static enum bst_entry_type type_of(const struct stat *st)
{
	if (S_ISREG(st->st_mode))
		return BST_ENTRY_FILE;
	if (S_ISDIR(st->st_mode))
		return BST_ENTRY_DIR;
	return S_ISLNK(st->st_mode) ? BST_ENTRY_LINK : BST_ENTRY_OTHER;
}

static int is_cycle(const struct level *level, const struct stat *st)
{
	for (; level; level = level->up)
		if (level->dev == st->st_dev && level->ino == st->st_ino)
			return 1;
	return 0;
}

/* Read the directory at 'full', whose entry is there already. */
static int descend(struct bst_tree *t, const struct level *up, const char *path,
		   const char *full, const struct stat *st, int is_followed)
{
	struct level level = { .up = up,
			       .path = path,
			       .full = full,
			       .dev = st->st_dev,
			       .ino = st->st_ino,
			       .is_followed = is_followed };
	char *real;
	int code;

	if (is_cycle(up, st)) {
		bst_error(
			"%s leads to a directory that it is in itself; remove "
			"it, or give the directory that it leads to.",
			full);
		return BST_EXIT_REFUSED;
	}
	real = realpath(full, NULL);
	if (!real)
		return say_unreadable(full, errno);
	level.real = real;
	code = read_dir(t, &level);
	free(real);
	return code;
}

/* The text of a link, the caller's to free, or NULL and errno. */
static char *read_link(const char *path)
{
	char text[PATH_MAX];
	ssize_t n = readlink(path, text, sizeof(text));

	if (n == (ssize_t)sizeof(text)) {
		errno = ENAMETOOLONG;
		n = -1;
	}
	return n < 0 ? NULL : strndup(text, (size_t)n);
}

static size_t depth_of(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* Decide what becomes of the link 'e'.  1: it is to be followed; 0: it is kept;
 * or an exit code negated. */
static int judge_link(struct bst_tree *t, const struct level *level,
		      struct bst_entry *e, const char *full)
{
	struct stat st;
	char *place, *text;

	e->target = read_link(full);
	if (!e->target)
		return -say_unreadable(full, errno);
	place = link_place(level->real, e->target);
	if (!place)
		return -bst_say_no_memory();
	if (stat(full, &st) != 0) {
		e->is_dangling = 1;
		e->is_loop = errno == ELOOP;
		e->is_stored = !e->is_loop && (lstat(place, &st) == 0 ||
					       is_container_at(place));
	}
	e->leads_out = !bst_is_below(place, t->real);
	if (e->leads_out) {
		t->n_out++;
		if (widen(t, place)) {
			free(place);
			return -bst_say_no_memory();
		}
	} else if (t->follows && !level->is_followed &&
		   !is_plain_text(e->target, depth_of(e->path))) {
		text = relative_text(level->real, place);
		free(e->target);
		e->target = text;
		e->is_rewritten = 1;
		if (!text) {
			free(place);
			return -bst_say_no_memory();
		}
	}
	/* Below a link that was followed, places inside have other names. */
	if (level->is_followed && !e->is_dangling)
		e->leads_out = 1;
	free(place);
	return t->follows && e->leads_out && !e->is_dangling;
}

static int read_link_entry(struct bst_tree *t, const struct level *level,
			   size_t no, const char *full, int *is_followed)
{
	struct bst_entry *e = &t->entry[no];
	int follow = judge_link(t, level, e, full);

	if (follow <= 0)
		return -follow;
	if (stat(full, &e->st) != 0)
		return say_unreadable(full, errno);
	e->type = type_of(&e->st);
	e->is_followed = 1;
	*is_followed = 1;
	free(e->target);
	e->target = NULL;
	return BST_EXIT_OK;
}

static int read_entry(struct bst_tree *t, const struct level *level,
		      const char *name)
{
	int is_followed = level->is_followed, code = BST_EXIT_OK;
	char *full = bst_join(level->full, name), *path;
	struct bst_entry *e = NULL;
	size_t no = t->n;

	path = *level->path ? bst_join(level->path, name) : strdup(name);
	if (full && path)
		e = add_entry(t, path);
	if (!e) {
		code = bst_say_no_memory();
	} else if (lstat(full, &e->st) != 0) {
		code = say_unreadable(full, errno);
	} else {
		e->type = type_of(&e->st);
		e->is_followed = (unsigned char)is_followed;
		if (e->type == BST_ENTRY_LINK)
			code = read_link_entry(t, level, no, full,
					       &is_followed);
	}
	/* Entries move as more are added. */
	if (code == BST_EXIT_OK && t->entry[no].type == BST_ENTRY_DIR) {
		struct stat st = t->entry[no].st;

		code = descend(t, level, path, full, &st, is_followed);
	}
	free(path);
	free(full);
	return code;
}

static int read_dir(struct bst_tree *t, const struct level *level)
{
	/* No link that took its place since it was looked at is followed. */
	int no_link = level->up && !level->is_followed ? O_NOFOLLOW : 0;
	int fd =
		open(level->full, O_RDONLY | O_DIRECTORY | O_CLOEXEC | no_link);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int code = BST_EXIT_OK;
	struct dirent *d;

	if (!dir) {
		code = say_unreadable(level->full, errno);
		if (fd >= 0)
			close(fd);
		return code;
	}
	for (;;) {
		errno = 0;
		d = readdir(dir);
		if (!d && errno)
			code = say_unreadable(level->full, errno);
		if (bst_is_interrupted())
			code = BST_EXIT_INTERRUPTED;
		if (!d || code != BST_EXIT_OK)
			break;
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			code = read_entry(t, level, d->d_name);
		if (code != BST_EXIT_OK)
			break;
	}
	closedir(dir);
	return code;
}

/* ---- Order --------------------------------------------------------------- */

static int compare_entries(const void *pa, const void *pb)
{
	const struct bst_entry *a = pa, *b = pb;

	return bs_path_compare(a->path, strlen(a->path), b->path,
			       strlen(b->path));
}

static int compare_inodes(const void *pa, const void *pb)
{
	const struct bst_entry *const *a = pa, *const *b = pb;
	const struct stat *x = &(*a)->st, *y = &(*b)->st;

	if (x->st_dev != y->st_dev)
		return x->st_dev < y->st_dev ? -1 : 1;
	if (x->st_ino != y->st_ino)
		return x->st_ino < y->st_ino ? -1 : 1;
	return *a < *b ? -1 : *a > *b;
}

/* Files with several names in the tree. */
static int find_hard_links(struct bst_tree *t)
{
	struct bst_entry **list = calloc(t->n + 1, sizeof(*list));
	size_t n = 0, i, first = 0;

	if (!list)
		return bst_say_no_memory();
	for (i = 0; i < t->n; i++)
		if (t->entry[i].type == BST_ENTRY_FILE &&
		    t->entry[i].st.st_nlink > 1 && !t->entry[i].is_followed)
			list[n++] = &t->entry[i];
	if (n)
		qsort(list, n, sizeof(*list), compare_inodes);
	for (i = 1; i < n; i++) {
		if (list[i]->st.st_dev == list[first]->st.st_dev &&
		    list[i]->st.st_ino == list[first]->st.st_ino)
			list[i]->same_as = (size_t)(list[first] - t->entry);
		else
			first = i;
	}
	free(list);
	return BST_EXIT_OK;
}

int bst_tree_read(struct bst_tree *ret, const char *root, int follows)
{
	int code;

	memset(ret, 0, sizeof(*ret));
	ret->root = root;
	ret->follows = follows;
	ret->real = realpath(root, NULL);
	if (!ret->real || stat(root, &ret->st) != 0)
		return say_unreadable(root, errno);
	ret->above = strdup(ret->real);
	if (!ret->above)
		return bst_say_no_memory();
	code = descend(ret, NULL, "", root, &ret->st, 0);
	if (code != BST_EXIT_OK)
		return code;
	if (ret->n)
		qsort(ret->entry, ret->n, sizeof(*ret->entry), compare_entries);
	return find_hard_links(ret);
}

void bst_tree_fini(struct bst_tree *t)
{
	size_t i;

	for (i = 0; i < t->n; i++) {
		free(t->entry[i].path);
		free(t->entry[i].target);
	}
	free(t->entry);
	free(t->above);
	free(t->real);
	memset(t, 0, sizeof(*t));
}

size_t bst_tree_find(const struct bst_tree *t, const char *path)
{
	struct bst_entry key = { .path = (char *)(uintptr_t)path };
	const struct bst_entry *e = NULL;

	if (t->n)
		e = bsearch(&key, t->entry, t->n, sizeof(*t->entry),
			    compare_entries);
	return e ? (size_t)(e - t->entry) : BST_NO_ENTRY;
}
