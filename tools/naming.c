/* SPDX-License-Identifier: Apache-2.0 */
/*
 * naming.c - what an output is called, and where it goes
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bigsmall.h"
#include "cmd.h"
#include "files.h"
#include "naming.h"

#define ST_SUFFIX ".safetensors"

int bst_naming_outdir(const char *cmd, const char *out, size_t n_src, int *ret)
{
	size_t len = out ? strlen(out) : 0;

	*ret = 0;
	if (!out)
		return BST_EXIT_OK;
	if (!len)
		return bst_usage(cmd, "the argument of -o is empty.");
	*ret = bst_is_dir(out) || out[len - 1] == '/' || n_src > 1;
	return BST_EXIT_OK;
}

int bst_naming_make_outdir(const char *out)
{
	if (bst_is_dir(out))
		return BST_EXIT_OK;
	if (mkdir(out, 0777) != 0 && errno != EEXIST) {
		bst_error("%s cannot be made: %s.", out, strerror(errno));
		return bst_exit_of_errno(errno);
	}
	if (bst_is_dir(out))
		return BST_EXIT_OK;
	bst_error("%s is not a directory.", out);
	return BST_EXIT_USAGE;
}

char *bst_naming_path(const char *src, const char *out, int out_is_dir,
		      const char *name)
{
	char *dir, *ret;

	if (out)
		return out_is_dir ? bst_join(out, name) : strdup(out);
	if (!strchr(src, '/'))
		return strdup(name);
	dir = bst_dir_name(src);
	ret = dir ? bst_join(dir, name) : NULL;
	free(dir);
	return ret;
}

char *bst_naming_dir(const char *src)
{
	size_t len = strlen(src);
	const char *base;
	char *path;

	while (len > 1 && src[len - 1] == '/')
		len--;
	path = strndup(src, len);
	base = path ? bst_base_name(path) : "";
	if (path && (!*base || !strcmp(base, ".") || !strcmp(base, ".."))) {
		free(path);
		path = realpath(src, NULL);
	}
	return path;
}

int bst_naming_is_safetensors(const char *path)
{
	const char *base = bst_base_name(path);
	size_t len = strlen(base), cut = strlen(ST_SUFFIX);

	return len > cut && !strcmp(base + len - cut, ST_SUFFIX);
}

char *bst_naming_container(const char *base, const char **ret_suffix)
{
	size_t len = strlen(base);
	char *ret;

	*ret_suffix = "";
	if (bst_naming_is_safetensors(base)) {
		*ret_suffix = ST_SUFFIX;
		len -= strlen(ST_SUFFIX);
	}
	ret = malloc(len + sizeof(".bs"));
	if (ret) {
		memcpy(ret, base, len);
		memcpy(ret + len, ".bs", sizeof(".bs"));
	}
	return ret;
}

/* Of the name without a container's extension; SIZE_MAX: it has none. */
static size_t stem_len(const char *base)
{
	const char *dot = strrchr(base, '.');

	if (!dot || (strcmp(dot, ".bs") != 0 && strcmp(dot, ".bsd") != 0 &&
		     strcmp(dot, ".bsr") != 0))
		return SIZE_MAX;
	return (size_t)(dot - base);
}

char *bst_naming_original(const char *base, const char *suffix)
{
	size_t len = stem_len(base), add = strlen(suffix);
	char *ret;

	if (bs_index_is_named(base))
		return strdup(BS_INDEX_SHOWN);
	if (len == SIZE_MAX || len + add == 0) {
		errno = EINVAL;
		return NULL;
	}
	ret = malloc(len + add + 1);
	if (ret) {
		memcpy(ret, base, len);
		memcpy(ret + len, suffix, add + 1);
	}
	return ret;
}

struct place {
	dev_t dev;
	ino_t ino;
	const char *path;
	const char *name;
	size_t no;
};

static int compare_places(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	int cmp;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	/* Without a directory (yet), the paths have to do. */
	cmp = strcmp(a->ino ? a->name : a->path, b->ino ? b->name : b->path);
	if (cmp)
		return cmp;
	return a->no < b->no ? -1 : a->no > b->no;
}

static int is_same_place(const struct place *a, const struct place *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	       !strcmp(a->ino ? a->name : a->path, b->ino ? b->name : b->path);
}

/* 1: two of the paths are the same file to be, their numbers in a and b. */
static int find_clash(char *const *paths, size_t n, size_t *a, size_t *b)
{
	struct place *places;
	size_t i, n_places = 0;
	int found = 0;

	places = calloc(n ? n : 1, sizeof(*places));
	for (i = 0; places && i < n; i++) {
		char *dir = paths[i] ? bst_dir_name(paths[i]) : NULL;
		struct stat st;

		if (!paths[i])
			continue;
		if (dir && stat(dir, &st) == 0) {
			places[n_places].dev = st.st_dev;
			places[n_places].ino = st.st_ino;
		}
		places[n_places].path = paths[i];
		places[n_places].name = bst_base_name(paths[i]);
		places[n_places++].no = i;
		free(dir);
	}
	if (n_places)
		qsort(places, n_places, sizeof(*places), compare_places);
	for (i = 1; i < n_places && !found; i++) {
		found = is_same_place(&places[i - 1], &places[i]);
		*a = places[i - 1].no;
		*b = places[i].no;
	}
	free(places);
	return found;
}

static int compare_inodes(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

/* 1: the result of source a would replace source b, which is another. */
static int find_hit(char *const *src, char *const *dst, size_t n, size_t *a,
		    size_t *b)
{
	size_t i, n_places = 0;
	struct place *places;
	struct stat st;
	int found = 0;

	places = calloc(n ? n : 1, sizeof(*places));
	for (i = 0; places && i < n; i++) {
		if (stat(src[i], &st) != 0)
			continue;
		places[n_places].dev = st.st_dev;
		places[n_places].ino = st.st_ino;
		places[n_places++].no = i;
	}
	if (n_places)
		qsort(places, n_places, sizeof(*places), compare_inodes);
	for (i = 0; i < n && n_places && !found; i++) {
		struct place key = { 0 }, *hit;

		if (!dst[i] || stat(dst[i], &st) != 0)
			continue;
		key.dev = st.st_dev;
		key.ino = st.st_ino;
		hit = bsearch(&key, places, n_places, sizeof(*places),
			      compare_inodes);
		if (!hit)
			continue;
		/* Its own source is recognised when it is opened. */
		found = hit->no != i;
		*a = i;
		*b = hit->no;
	}
	free(places);
	return found;
}

int bst_naming_check(char *const *src, char *const *dst, size_t n)
{
	size_t a, b;

	if (find_clash(dst, n, &a, &b)) {
		bst_error("%s and %s would both become %s; nothing was "
			  "written.",
			  src[a], src[b], dst[b]);
		return BST_EXIT_REFUSED;
	}
	if (find_hit(src, dst, n, &a, &b)) {
		bst_error("%s would become %s, which is to be read as well; "
			  "nothing was written.",
			  src[a], src[b]);
		return BST_EXIT_REFUSED;
	}
	return BST_EXIT_OK;
}
