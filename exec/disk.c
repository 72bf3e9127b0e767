/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.c - reading files of a model's directory, whole or in parts
 */

#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_MAX ((size_t)1 << 30) /* the kernel cuts longer ones anyway */

int bsx_open_at(void *ctx, const char *name)
{
	const int *dir_fd = ctx;
	/* A pipe of that name must not block. */
	int fd = openat(*dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

enum bsx_result bsx_file_open(const struct bsx_folder *folder, const char *name,
			      int *ret_fd, uint64_t *ret_size,
			      struct bsx_error *err)
{
	int fd = folder->open(folder->ctx, name);
	struct stat st;

	if (fd < 0)
		return bsx_fail(err,
				fd == -ENOENT ? BSX_ERR_MODEL : BSX_ERR_SYSTEM,
				"%s cannot be opened: %s.", name,
				strerror(-fd));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return bsx_fail(err, BSX_ERR_MODEL, "%s is no regular file.",
				name);
	}
	*ret_fd = fd;
	*ret_size = (uint64_t)st.st_size;
	return BSX_OK;
}

enum bsx_result bsx_file_read(int fd, const char *name, void *buf, size_t len,
			      uint64_t off, struct bsx_error *err)
{
	char *at = buf;

	while (len) {
		ssize_t n = pread(fd, at, len < READ_MAX ? len : READ_MAX,
				  (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bsx_fail(err, BSX_ERR_SYSTEM,
					"%s cannot be read: %s.", name,
					strerror(errno));
		if (n == 0)
			return bsx_fail(err, BSX_ERR_DATA,
					"%s ends too early: it was cut.", name);
		at += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return BSX_OK;
}

enum bsx_result bsx_file_load(const struct bsx_folder *folder, const char *name,
			      size_t max, char **ret, size_t *ret_len,
			      struct bsx_error *err)
{
	enum bsx_result res;
	char *text = NULL;
	uint64_t size = 0;
	int fd = -1;

	res = bsx_file_open(folder, name, &fd, &size, err);
	if (res)
		return res;
	if (size > max) {
		res = bsx_fail(err, BSX_ERR_MODEL,
			       "%s is larger than any that we know.", name);
		goto out;
	}
	text = malloc((size_t)size + 1);
	if (!text) {
		res = bsx_no_memory(err);
		goto out;
	}
	res = bsx_file_read(fd, name, text, (size_t)size, 0, err);
	if (res)
		goto out;
	text[size] = 0;
	*ret = text;
	*ret_len = (size_t)size;
	text = NULL;
out:
	free(text);
	close(fd);
	return res;
}

bool bsx_file_exists(const struct bsx_folder *folder, const char *name)
{
	int fd = folder->open(folder->ctx, name);

	if (fd < 0)
		return fd != -ENOENT;
	close(fd);
	return true;
}
