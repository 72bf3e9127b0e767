/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_source.c - where a model is that a user names, and how it is read
 *
 * What a directory shows is asked of fs/, so that nothing is found here that a
 * mount would not show.
 */

#include "model_source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "behind.h"
#include "cmd.h"
#include "files.h"
#include "safetensors.h"
#include "talker.h"

#define MIB ((uint64_t)1 << 20)

/* What a daemon has threads and memory for: reading a model is one stream, which
 * more threads decode no faster than they can be given the parts of it. */
#define THREADS_MAX 8
#define CACHE_BESIDE (16 * MIB)
#define CACHE_PER_THREAD (12 * MIB)

/* The largest file that is read whole without a mount. */
#define WHOLE_MAX (64 * MIB)

/* ---- Finding ------------------------------------------------------------- */

static int say_errno(const char *path, int err)
{
	bst_error("%s cannot be opened: %s.", path, strerror(err));
	return err == ENOENT || err == ENOTDIR ? BST_EXIT_USAGE
					       : bst_exit_of_errno(err);
}

static int open_dir(struct bst_model_source *s)
{
	s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->dir_fd < 0 ? say_errno(s->dir, errno) : BST_EXIT_OK;
}

static int look_around(struct bst_model_source *s)
{
	int err = bsfs_look_new(&s->look, s->dir_fd, s->named);

	return err ? say_errno(s->dir, -err) : BST_EXIT_OK;
}

/* Who serves the mount at 'top', and what of memory that may take. */
static void ask_mount(struct bst_model_source *s, const char *top)
{
	char *path = bst_join(top, ".bigsmall/stats");
	char stats[8192];
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t len = fd < 0 ? -1 : read(fd, stats, sizeof(stats) - 1);

	if (len > 0) {
		stats[len] = 0;
		s->pid = (pid_t)bst_mount_stat(stats, "pid");
		s->bound = bst_mount_bound(
			(unsigned)bst_mount_stat(stats, "threads"),
			bst_mount_stat(stats, "cache_budget_bytes"));
	}
	if (fd >= 0)
		close(fd);
	free(path);
}

static int find_dir(struct bst_model_source *s, const char *real)
{
	char *top = bst_mount_above(real);
	int code;

	s->dir = strdup(real);
	code = s->dir ? open_dir(s) : bst_say_no_memory();
	if (!code && top) {
		s->kind = BST_MODEL_MOUNTED;
		ask_mount(s, top);
	} else if (!code) {
		code = look_around(s);
		if (!code && bsfs_look_has_containers(s->look))
			s->kind = BST_MODEL_STORE;
	}
	free(top);
	return code;
}

/* Why a container cannot be read. */
static int say_damaged(const char *path)
{
	struct bst_container c;
	int code = bst_container_open(&c, path);

	if (code)
		return code;
	bst_container_close(&c);
	bst_error("%s cannot be read.", path);
	return BST_EXIT_DATA;
}

/* A file in a directory that may be a store: s->look is there. */
static int find_stored(struct bst_model_source *s, const char *real)
{
	const char *base = bst_base_name(real), *shown, *stored;
	enum bsfs_shown kind = bsfs_look_behind(s->look, base, &shown);

	switch (kind) {
	case BSFS_SHOWN_DAMAGED:
		return say_damaged(real);
	case BSFS_SHOWN_FILE:
	case BSFS_SHOWN_BUNDLE:
		s->kind = BST_MODEL_STORE;
		break;
	default:
		/* Weights as they are; what belongs to them may not be. */
		if (bsfs_look_find(s->look, "config.json", &stored) ==
			    BSFS_SHOWN_FILE ||
		    bsfs_look_find(s->look, "tokenizer.json", &stored) ==
			    BSFS_SHOWN_FILE)
			s->kind = BST_MODEL_STORE;
		shown = base;
		break;
	}
	if (kind == BSFS_SHOWN_BUNDLE)
		s->bundle = strdup(shown);
	else
		s->file = strdup(shown);
	return s->bundle || s->file ? BST_EXIT_OK : bst_say_no_memory();
}

static int find_file(struct bst_model_source *s, const char *real)
{
	char *dir = bst_dir_name(real);
	int code;

	s->named = strdup(bst_base_name(real));
	code = dir && s->named ? find_dir(s, dir) : bst_say_no_memory();
	free(dir);
	if (code)
		return code;
	if (s->kind != BST_MODEL_MOUNTED) {
		s->kind = BST_MODEL_PLAIN;
		return find_stored(s, real);
	}
	s->file = strdup(bst_base_name(real));
	return s->file ? BST_EXIT_OK : bst_say_no_memory();
}

/* What a mount shows for the container that it hides by the name 'path'; the
 * caller's to free, or NULL. */
static char *shown_instead(const char *path)
{
	char *box = bst_behind_mount(path), *ret = NULL;
	char *store = box ? bst_dir_name(box) : NULL;
	char *dir = bst_dir_name(path);
	struct bsfs_look *look = NULL;
	const char *shown = NULL;
	int fd = store ? open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0 && dir && bsfs_look_new(&look, fd, NULL) == 0)
		bsfs_look_behind(look, bst_base_name(box), &shown);
	if (shown)
		ret = bst_join(dir, shown);
	bsfs_look_free(look);
	if (fd >= 0)
		close(fd);
	free(dir);
	free(store);
	free(box);
	return ret;
}

int bst_model_find(struct bst_model_source *s, const char *path)
{
	char *real, *instead = NULL;
	struct stat st;
	int code;

	memset(s, 0, sizeof(*s));
	s->path = path;
	s->dir_fd = -1;
	real = realpath(path, NULL);
	if (!real && errno == ENOENT)
		instead = shown_instead(path);
	if (instead)
		real = realpath(instead, NULL);
	if (!real || stat(real, &st) != 0)
		code = say_errno(path, errno);
	else if (S_ISDIR(st.st_mode))
		code = find_dir(s, real);
	else
		code = find_file(s, real);
	free(instead);
	free(real);
	return code;
}

void bst_model_fini(struct bst_model_source *s)
{
	if (s->has_box)
		bst_container_close(&s->box);
	bst_private_mount_close(&s->mount);
	bsfs_look_free(s->look);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s->bundle);
	free(s->named);
	free(s->file);
	free(s->dir);
	memset(s, 0, sizeof(*s));
	s->dir_fd = -1;
}

/* ---- A .bsd's 4-bit tensors ---------------------------------------------- */

static int has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	return len > n && !strcmp(name + len - n, suffix);
}

/* "x.int4", if the directory shows that for its 'name'; the caller's to free. */
static char *int4_of(const struct bst_model_source *s, const char *name)
{
	const char *stored;
	char *ret;

	if (s->kind != BST_MODEL_STORE)
		return has_suffix(name, BS_INT4_SUFFIX) ? strdup(name) : NULL;
	if (!has_suffix(name, ".bsd"))
		return NULL;
	if (asprintf(&ret, "%.*s" BS_INT4_SUFFIX, (int)strlen(name) - 4, name) <
	    0)
		return NULL;
	if (bsfs_look_find(s->look, ret, &stored) == BSFS_SHOWN_BUNDLE)
		return ret;
	free(ret);
	return NULL;
}

/* The first by name, of all that there are or of the named one. */
static char *find_int4(const struct bst_model_source *s)
{
	const struct dirent *ent;
	char *best = NULL, *one;
	DIR *dir = opendir(s->dir);

	while (dir && (ent = readdir(dir))) {
		if (s->named && s->kind == BST_MODEL_STORE &&
		    strcmp(ent->d_name, s->named) != 0)
			continue;
		one = int4_of(s, ent->d_name);
		if (!one || (best && strcmp(best, one) <= 0)) {
			free(one);
			continue;
		}
		free(best);
		best = one;
	}
	if (dir)
		closedir(dir);
	return best;
}

int bst_model_take_int4(struct bst_model_source *s)
{
	char *name = find_int4(s), *dir;

	if (!name)
		return BST_EXIT_OK;
	s->is_int4 = 1;
	free(s->file);
	s->file = NULL;
	if (s->kind == BST_MODEL_STORE) {
		free(s->bundle);
		s->bundle = name;
		return BST_EXIT_OK;
	}
	dir = bst_join(s->dir, name);
	free(name);
	if (!dir)
		return bst_say_no_memory();
	free(s->dir);
	s->dir = dir;
	close(s->dir_fd);
	return open_dir(s);
}

/* ---- Without a mount ----------------------------------------------------- */

/* How much of a file has to be read: of weights the header. */
static uint64_t length_needed(struct bst_container *c, const char *name,
			      struct bs_error *err)
{
	uint8_t prefix[8];
	uint64_t ret;

	if (!has_suffix(name, ".safetensors") ||
	    c->member.size < sizeof(prefix))
		return c->member.size;
	if (bst_container_read(c, 0, sizeof(prefix), prefix, err) != BS_OK ||
	    bs_st_header_len(prefix, c->member.size, &ret, err) != BS_OK)
		return sizeof(prefix);
	return ret;
}

/* What the container's file begins with, in memory; its size is the file's.  A
 * descriptor, or -errno. */
static int unpack(struct bst_container *c, const char *name)
{
	struct bs_error err = { 0 };
	uint64_t len = length_needed(c, name, &err);
	int fd = -1, res = 0;
	void *data = NULL;

	if (len > WHOLE_MAX)
		return -EFBIG;
	data = malloc((size_t)len + 1);
	fd = memfd_create("bigsmall", MFD_CLOEXEC);
	if (!data || fd < 0)
		res = data ? -errno : -ENOMEM;
	if (!res)
		res = -bs_result_errno(
			bst_container_read(c, 0, (size_t)len, data, &err));
	if (!res)
		res = bst_pwrite_all(fd, data, (size_t)len, 0);
	if (!res && ftruncate(fd, (off_t)c->member.size) != 0)
		res = -errno;
	free(data);
	if (res && fd >= 0)
		close(fd);
	return res ? res : fd;
}

static int open_in_bundle(struct bst_model_source *s, const char *name)
{
	uint64_t i = bs_archive_find(s->box.ar, name, strlen(name));
	unsigned n_links = 0;

	if (i == bs_archive_n_members(s->box.ar))
		return -ENOENT;
	bst_container_enter(&s->box, i);
	while (s->box.member.type == BS_MEMBER_HARDLINK && n_links++ < 8) {
		i = bs_archive_find(s->box.ar, s->box.member.target,
				    s->box.member.target_len);
		bst_container_enter(&s->box, i);
	}
	return s->box.member.type == BS_MEMBER_FILE ? unpack(&s->box, name)
						    : -EINVAL;
}

static int open_stored(struct bst_model_source *s, const char *stored,
		       const char *name)
{
	char *path = bst_join(s->dir, stored);
	struct bst_container c;
	int ret = -ENOMEM;

	if (path && bst_container_open(&c, path) == BST_EXIT_OK) {
		ret = unpack(&c, name);
		bst_container_close(&c);
	} else if (path) {
		s->has_said = 1;
		ret = -EIO;
	}
	free(path);
	return ret;
}

static int open_header(void *ctx, const char *name)
{
	struct bst_model_source *s = ctx;
	const char *stored;

	if (s->has_box)
		return open_in_bundle(s, name);
	if (s->kind != BST_MODEL_STORE)
		return bsx_open_at(&s->dir_fd, name);
	switch (bsfs_look_find(s->look, name, &stored)) {
	case BSFS_SHOWN_NONE:
		return -ENOENT;
	case BSFS_SHOWN_PLAIN:
		return bsx_open_at(&s->dir_fd, stored);
	default:
		return open_stored(s, stored, name);
	}
}

static int open_box(struct bst_model_source *s)
{
	const char *stored;
	char *path;
	int code;

	if (!s->bundle || s->has_box)
		return BST_EXIT_OK;
	bsfs_look_find(s->look, s->bundle, &stored);
	path = bst_join(s->dir, stored);
	code = path ? bst_container_open(&s->box, path) : bst_say_no_memory();
	free(path);
	s->has_box = code == BST_EXIT_OK;
	s->box.path = s->path;
	return code;
}

int bst_model_describe(struct bst_model_source *s, struct bsx_model **ret)
{
	struct bsx_folder folder = { s->path, open_header, s };
	int code = open_box(s);
	struct bsx_error err;
	enum bsx_result res;

	if (code)
		return code;
	res = bsx_model_open(ret, &folder, s->file, &err);
	if (!res)
		return BST_EXIT_OK;
	return s->has_said ? BST_EXIT_DATA : bst_say_exec_error(res, &err);
}

/* ---- With a mount -------------------------------------------------------- */

/* How many threads a daemon gets, and what cache: half of a budget is for
 * weights at least, if that can be. */
static unsigned choose_threads(unsigned n_threads, uint64_t budget,
			       uint64_t *ret_cache)
{
	unsigned n = n_threads < THREADS_MAX ? n_threads : THREADS_MAX;
	uint64_t least;

	*ret_cache = CACHE_BESIDE + n * CACHE_PER_THREAD;
	while (budget && bst_mount_bound(n, *ret_cache) > budget / 4) {
		least = BSFS_CACHE_MIN(n);
		if (*ret_cache > least + MIB)
			*ret_cache -= MIB;
		else if (n == 1)
			break;
		else
			n--;
	}
	return n;
}

uint64_t bst_model_bound(const struct bst_model_source *s, unsigned n_threads,
			 uint64_t budget)
{
	uint64_t cache_len;
	unsigned n;

	if (s->kind != BST_MODEL_STORE)
		return s->bound;
	n = choose_threads(n_threads, budget, &cache_len);
	return bst_mount_bound(n, cache_len);
}

char *bst_model_dir(const struct bst_model_source *s)
{
	if (!s->mount.path)
		return strdup(s->dir);
	return s->bundle ? bst_join(s->mount.path, s->bundle)
			 : strdup(s->mount.path);
}

char *bst_model_stored(const struct bst_model_source *s, const char *name)
{
	char *path = bst_join(s->dir, name), *box = NULL;
	const char *stored = NULL;

	if (path && s->kind == BST_MODEL_MOUNTED)
		box = bst_behind_mount(path);
	else if (s->kind == BST_MODEL_STORE &&
		 bsfs_look_find(s->look, s->bundle ? s->bundle : name,
				&stored) != BSFS_SHOWN_NONE)
		box = bst_join(s->dir, stored);
	if (!box)
		return path;
	free(path);
	return box;
}

int bst_model_open(struct bst_model_source *s, unsigned n_threads,
		   uint64_t budget, struct bsx_model **ret)
{
	int fd = s->dir_fd, code = BST_EXIT_OK;
	struct bsx_folder folder = { s->path, bsx_open_at, &fd };
	uint64_t cache_len;
	struct bsx_error err;
	enum bsx_result res;
	char *dir;
	unsigned n;

	if (s->kind == BST_MODEL_STORE) {
		n = choose_threads(n_threads, budget, &cache_len);
		code = bst_private_mount_open(&s->mount, s->dir, s->named, n,
					      cache_len);
		if (code)
			return code;
		s->pid = s->mount.pid;
		s->bound = bst_mount_bound(n, cache_len);
		dir = bst_model_dir(s);
		fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
		free(dir);
		if (fd < 0)
			return say_errno(s->path, errno);
	}
	res = bsx_model_open(ret, &folder, s->file, &err);
	if (fd != s->dir_fd)
		close(fd);
	return res ? bst_say_exec_error(res, &err) : BST_EXIT_OK;
}

int bst_model_end(struct bst_model_source *s)
{
	return bst_private_mount_close(&s->mount);
}

/* A daemon of another process name space has another's number here. */
static int is_daemon(pid_t pid)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(name, sizeof(name), file))
		*name = 0;
	fclose(file);
	return !strcmp(name, "bigsmall\n") || !strcmp(name, "mount.bigsmall\n");
}

uint64_t bst_model_peak(const struct bst_model_source *s)
{
	if (!s->pid || (s->kind == BST_MODEL_MOUNTED && !is_daemon(s->pid)))
		return 0;
	return bst_status_bytes(s->pid, "VmHWM:");
}
