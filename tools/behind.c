/* SPDX-License-Identifier: Apache-2.0 */
/*
 * behind.c - from a file as a mount shows it to the container behind it
 *
 * A user who types "bigsmall verify models/llama.safetensors" means the
 * container that it is stored in; over a store that is mounted in place, the
 * container's own name leads nowhere.  The mount has the store below
 * .bigsmall/store for this.
 */

#include "behind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "container.h"
#include "files.h"
#include "fs.h"
#include "naming.h"

#define STORE "/.bigsmall/store"

/* The length of the part of 'dir', a real path, on which a mount of ours is; 0:
 * none is above it. */
static size_t mount_len(char *dir)
{
	size_t len = strlen(dir);

	while (len) {
		char was = dir[len];
		enum bsfs_mount found;

		dir[len] = 0;
		found = bsfs_mount_at(dir, NULL);
		dir[len] = was;
		if (found != BSFS_MOUNT_NONE)
			return found == BSFS_MOUNT_OURS ? len : 0;
		while (len && dir[--len] != '/')
			;
	}
	return 0;
}

char *bst_mount_above(const char *path)
{
	char *real = realpath(path, NULL);
	size_t len = real ? mount_len(real) : 0;

	if (len && strcmp(real + len, STORE) != 0 &&
	    strncmp(real + len, STORE "/", sizeof(STORE)) != 0) {
		real[len] = 0;
		return real;
	}
	free(real);
	return NULL;
}

uint64_t bst_mount_stat(const char *stats, const char *key)
{
	const char *at = stats;
	size_t len = strlen(key);

	while ((at = strchr(at, '"'))) {
		at++;
		if (!strncmp(at, key, len) && !strncmp(at + len, "\": ", 3))
			return strtoull(at + len + 3, NULL, 10);
	}
	return 0;
}

int bst_refuse_mounted(const char *path)
{
	char *real = realpath(path, NULL);
	size_t len = real ? mount_len(real) : 0;

	if (len)
		bst_error("%s is mounted by bigsmall; unmount it first: "
			  "bigsmall umount %.*s",
			  path, (int)len, real);
	free(real);
	return len ? BST_EXIT_REFUSED : BST_EXIT_OK;
}

int bst_refuse_in_place(const char *cmd, const char *path)
{
	struct stat st;
	char *dir;
	int code;

	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		return bst_usage(cmd,
				 "%s is a link; with --replace, name the file "
				 "that it leads to.",
				 path);
	dir = bst_dir_name(path);
	code = dir ? bst_refuse_mounted(dir) : BST_EXIT_OK;
	free(dir);
	return code;
}

/* 'is_bundle': only as a directory. */
static int is_shown_as(const char *path, const char *name, int is_bundle)
{
	struct bs_summary summary;
	char *original;
	struct stat st;
	int fd, ret = 0;

	if (bst_open_regular(path, &fd, &st) != 0)
		return 0;
	if (bst_container_peek(fd, &st, &summary, NULL) == BS_OK &&
	    (summary.is_bundle || !is_bundle)) {
		original = bst_naming_original(bst_base_name(path),
					       summary.suffix);
		ret = original && !strcmp(original, name);
		free(original);
	}
	close(fd);
	return ret;
}

/* "DIR/NAME", if that is shown as 'shown'. */
static char *try_container(const char *dir, const char *name, const char *shown)
{
	char *path = bst_join(dir, name);

	if (path && is_shown_as(path, shown, 0))
		return path;
	free(path);
	return NULL;
}

static char *find_container(const char *dir, const char *base)
{
	size_t len = strlen(base);
	char *plain = bst_join(dir, base), *name, *ret = NULL;
	const char *suffix;
	int is_there = plain && access(plain, F_OK) == 0;

	/* The container itself, which the mount hides. */
	if (is_there && len > 3 && !strcmp(base + len - 3, ".bs"))
		return plain;
	free(plain);
	/* A plain file hides a container. */
	if (is_there)
		return NULL;
	name = bst_naming_container(base, &suffix);
	if (name)
		ret = try_container(dir, name, base);
	free(name);
	if (ret)
		return ret;
	/* One that was renamed: its suffix is part of its stem. */
	name = malloc(len + 4);
	if (name) {
		memcpy(name, base, len);
		strcpy(name + len, ".bs");
		ret = try_container(dir, name, base);
	}
	free(name);
	return ret;
}

/* "DIR/NAME.bs", if that is shown as the directory 'name'. */
static char *find_bundle(const char *dir, const char *name)
{
	char *file = malloc(strlen(name) + 4), *ret = NULL;

	if (file) {
		strcpy(file, name);
		strcat(file, ".bs");
		ret = bst_join(dir, file);
	}
	if (ret && !is_shown_as(ret, name, 1)) {
		free(ret);
		ret = NULL;
	}
	free(file);
	return ret;
}

static int is_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/*
 * From 'dir' of the store down along 'path', relative and of real names, which
 * is taken apart: the container, and what is left of the path in *ret_member.
 */
static char *walk(const char *dir, char *path, char **ret_member)
{
	char *slash = strchr(path, '/'), *sub, *ret;

	*ret_member = NULL;
	if (!slash) {
		ret = find_container(dir, path);
		if (ret)
			*ret_member = strdup("");
		return ret;
	}
	*slash = 0;
	sub = bst_join(dir, path);
	/* A plain directory hides a bundle. */
	if (sub && is_dir(sub)) {
		ret = walk(sub, slash + 1, ret_member);
	} else {
		ret = find_bundle(dir, path);
		if (ret)
			*ret_member = strdup(slash + 1);
	}
	free(sub);
	return ret;
}

/* 'path' without links, if there is such a file; else with the directory that it
 * is in without any. */
static char *real_path(const char *path)
{
	char *ret = realpath(path, NULL), *dir, *real = NULL;

	if (ret)
		return ret;
	dir = bst_dir_name(path);
	if (dir)
		real = realpath(dir, NULL);
	if (real)
		ret = bst_join(real, bst_base_name(path));
	free(real);
	free(dir);
	return ret;
}

char *bst_behind_member(const char *path, char **ret_member)
{
	char *real = real_path(path), *store = NULL, *rest = NULL, *ret = NULL;
	size_t len = real ? mount_len(real) : 0;

	*ret_member = NULL;
	if (len && real[len] == '/')
		rest = real + len + 1;
	if (rest && strcmp(rest, ".bigsmall") != 0 &&
	    strncmp(rest, ".bigsmall/", 10) != 0)
		store = malloc(len + sizeof(STORE));
	if (store) {
		memcpy(store, real, len);
		strcpy(store + len, STORE);
		ret = walk(store, rest, ret_member);
	}
	/* Only a container itself is hidden; what is in it is seen. */
	if (ret && (!*ret_member || (**ret_member && access(path, F_OK)))) {
		free(*ret_member);
		*ret_member = NULL;
		free(ret);
		ret = NULL;
	}
	free(store);
	free(real);
	return ret;
}

char *bst_behind_mount(const char *path)
{
	char *member, *ret = bst_behind_member(path, &member);

	free(member);
	return ret;
}

char *bst_behind_mount_dir(const char *path)
{
	char *real = realpath(path, NULL), *ret = NULL;
	size_t len = real ? mount_len(real) : 0;

	if (len && strncmp(real + len, "/.bigsmall", 10) != 0 &&
	    asprintf(&ret, "%.*s" STORE "%s", (int)len, real, real + len) < 0)
		ret = NULL;
	free(real);
	return ret;
}
