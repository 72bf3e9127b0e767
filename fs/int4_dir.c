/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int4_dir.c - the directory that a .bsd's 4-bit tensors show as, beside its file
 *
 * It is a bundle whose container is the .bsd, opened in another way
 * (bs_source.int4), so whatever is done with bundles is done with it.  What it
 * shows follows of more than the .bsd: its identity has the version of the
 * config.json that went into it, and the links, so what was looked up in one
 * version is never answered from another.
 */

#include "int4_dir.h"

#include "stats.h"
#include "store.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 'n' digits at 'p'. */
static int are_digits(const char *p, size_t n)
{
	while (n && isdigit((unsigned char)*p)) {
		p++;
		n--;
	}
	return !n;
}

/* "model-00001-of-00002.bsd" has no model, but a part of one. */
static int is_shard(const char *path)
{
	static const char like[] = "-00001-of-00002.bsd";
	size_t len = strlen(path), n = sizeof(like) - 1;

	path += len > n ? len - n : 0;
	return len > n && path[0] == '-' && are_digits(path + 1, 5) &&
	       !strncmp(path + 6, "-of-", 4) && are_digits(path + 10, 5);
}

/* The path of config.json beside the .bsd at 'path': 0 or -ENAMETOOLONG. */
static int config_path(const char *path, char *buf)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 0;

	if (len + sizeof(BSFS_CONFIG_NAME) > PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(buf, path, len);
	strcpy(buf + len, BSFS_CONFIG_NAME);
	return 0;
}

static struct bsfs_config config_of(const struct stat *st)
{
	return (struct bsfs_config){ .ino = st->st_ino,
				     .size = st->st_size,
				     .ctime = st->st_ctim };
}

struct bsfs_config bsfs_int4_config(const struct bsfs_session *s,
				    const char *path)
{
	char config[PATH_MAX];
	struct stat st;

	if (is_shard(path) || config_path(path, config) != 0 ||
	    bsfs_store_stat(s, config, &st) != 0 || !S_ISREG(st.st_mode))
		return (struct bsfs_config){ 0 };
	return config_of(&st);
}

static int read_all(int fd, char *buf, size_t len)
{
	while (len) {
		ssize_t n = read(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ESTALE;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

/* *ret is the caller's to free; NULL: it is too long to be one. */
static int read_config(const struct bsfs_session *s, const char *path,
		       const struct bsfs_config *version, char **ret,
		       size_t *ret_len)
{
	int fd = bsfs_store_open(s, path, O_RDONLY), err = 0;
	struct bsfs_config now;
	struct stat st = { 0 };

	*ret = NULL;
	if (fd < 0)
		return bsfs_store_stale(fd);
	if (fstat(fd, &st) != 0)
		err = -errno;
	now = config_of(&st);
	if (!err && !bsfs_config_equal(&now, version))
		err = -ESTALE;
	if (!err && st.st_size <= (off_t)BS_INT4_CONFIG_MAX) {
		*ret_len = (size_t)st.st_size;
		*ret = malloc(*ret_len + 1);
		err = *ret ? read_all(fd, *ret, *ret_len) : -ENOMEM;
	}
	close(fd);
	if (err) {
		free(*ret);
		*ret = NULL;
	}
	return err;
}

int bsfs_int4_dir(struct bsfs_session *s, const char *path,
		  const struct bsfs_identity *identity, struct bs_int4_dir *ret)
{
	struct bs_error error = { .text = "it is too long" };
	char config[PATH_MAX], *text = NULL;
	size_t len = 0;
	int err;

	*ret = (struct bs_int4_dir){ .links = identity->int4 >> 1 };
	if (!identity->config.ino)
		return 0;
	err = config_path(path, config);
	if (!err)
		err = read_config(s, config, &identity->config, &text, &len);
	if (err == -ESTALE || err == -ENOMEM)
		return err;
	if (err)
		snprintf(error.text, sizeof(error.text), "%s", strerror(-err));
	if (!err && text && !bs_int4_config_check(text, len, &error)) {
		bsfs_problem_clear(s->stats, config);
		ret->config = text;
		ret->config_len = len;
		return 0;
	}
	bsfs_problem(s->stats, config,
		     "%s; the directory of the .bsd's 4-bit tensors goes "
		     "without it",
		     error.text);
	free(text);
	return 0;
}
