/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths.c - the names in a bundle, and where its links lead
 *
 * A link is followed member by member, as the kernel would once the bundle is
 * a tree of files: ".." behind a link to a directory is the parent of that
 * directory, not of the link.  So looking at the text of a target alone does
 * not show that it stays inside.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* memrchr() */
#endif

#include "paths.h"

#include "format.h"

#include <string.h>

bool bs_path_holds(const char *path, size_t len)
{
	size_t i, start = 0;

	if (!len || len > NAME_LEN_MAX || memchr(path, 0, len))
		return false;
	for (i = 0; i <= len; i++) {
		const char *c = path + start;
		size_t n = i - start;

		if (i < len && path[i] != '/')
			continue;
		if (!n || n > COMPONENT_LEN_MAX || (n == 1 && c[0] == '.') ||
		    (n == 2 && c[0] == '.' && c[1] == '.'))
			return false;
		start = i + 1;
	}
	return true;
}

int bs_path_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t n = a_len < b_len ? a_len : b_len, i;

	for (i = 0; i < n; i++) {
		int x = a[i] == '/' ? -1 : (unsigned char)a[i];
		int y = b[i] == '/' ? -1 : (unsigned char)b[i];

		if (x != y)
			return x - y;
	}
	return a_len < b_len ? -1 : a_len > b_len;
}

/* ---- Links --------------------------------------------------------------- */

/* Links within links that are followed: the kernel's own limit. */
#define LINKS_MAX 40

struct walk {
	const struct bs_archive *ar;
	char at[NAME_LEN_MAX + COMPONENT_LEN_MAX + 2]; /* no link in it */
	size_t len;
	/* What is still to be walked, the innermost target last. */
	struct {
		const char *p;
		size_t len;
	} rest[LINKS_MAX];
	unsigned n_rest;
	unsigned n_links;
};

/* Take the first component off the innermost rest; false: there is none. */
static bool next_component(struct walk *w, const char **ret, size_t *ret_len)
{
	while (w->n_rest) {
		const char *p = w->rest[w->n_rest - 1].p, *slash;
		size_t len = w->rest[w->n_rest - 1].len;

		slash = memchr(p, '/', len);
		*ret = p;
		*ret_len = slash ? (size_t)(slash - p) : len;
		if (slash) {
			w->rest[w->n_rest - 1].p = slash + 1;
			w->rest[w->n_rest - 1].len -= *ret_len + 1;
		} else {
			w->n_rest--;
		}
		if (*ret_len)
			return true;
	}
	return false;
}

static bool push_target(struct walk *w, const struct bs_member *link)
{
	if (++w->n_links > LINKS_MAX || link->target[0] == '/')
		return false;
	w->rest[w->n_rest].p = link->target;
	w->rest[w->n_rest++].len = link->target_len;
	return true;
}

/* To the parent of where the walk is. */
static bool go_up(struct walk *w)
{
	const char *slash;

	if (!w->len)
		return false;
	slash = memrchr(w->at, '/', w->len);
	w->len = slash ? (size_t)(slash - w->at) : 0;
	return true;
}

/* To the entry of that name, or to what it leads to if it is a link.  One that
 * is not there is a place like others: a link may lead to nothing. */
static bool go_down(struct walk *w, const char *name, size_t len)
{
	size_t old_len = w->len;
	struct bs_member m;
	uint64_t i;

	if (len > COMPONENT_LEN_MAX || w->len + 1 + len > NAME_LEN_MAX)
		return false;
	if (w->len)
		w->at[w->len++] = '/';
	memcpy(w->at + w->len, name, len);
	w->len += len;
	i = bs_archive_find(w->ar, w->at, w->len);
	if (i == bs_archive_n_members(w->ar))
		return true;
	bs_archive_member(w->ar, i, &m);
	if (m.type != BS_MEMBER_SYMLINK)
		return true;
	w->len = old_len;
	return push_target(w, &m);
}

bool bs_link_holds(const struct bs_archive *ar, const struct bs_member *link,
		   uint64_t *budget)
{
	struct walk w = { .ar = ar };
	const char *name;
	size_t len;

	memcpy(w.at, link->name, link->name_len);
	w.len = link->name_len;
	if (!go_up(&w) || !push_target(&w, link))
		return false;
	while (next_component(&w, &name, &len)) {
		if (!*budget)
			return false;
		--*budget;
		if (len == 1 && name[0] == '.')
			continue;
		if (len == 2 && name[0] == '.' && name[1] == '.') {
			if (!go_up(&w))
				return false;
		} else if (!go_down(&w, name, len)) {
			return false;
		}
	}
	return true;
}
