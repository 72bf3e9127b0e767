/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts.c - the table of mounts
 *
 * A mount whose daemon is gone or hangs must be named and ended like any
 * other, so nothing here looks into a mount: the kernel's table is asked.
 */

#include "mount_common.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

char *bst_mounts_path(const char *path)
{
	const char *base = bst_base_name(path);
	char *dir, *real, *ret;

	/* "..", "." and "/" have no last component of their own. */
	if (!*base || !strcmp(base, ".") || !strcmp(base, "..") ||
	    base[strcspn(base, "/")])
		return realpath(path, NULL);
	dir = bst_dir_name(path);
	real = dir ? realpath(dir, NULL) : NULL;
	free(dir);
	if (!real)
		return NULL;
	ret = bst_join(strcmp(real, "/") ? real : "", base);
	free(real);
	return ret;
}

/* Undo the octal escapes of the table. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 +
				       (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = 0;
}

int bst_mounts_at(const char *path)
{
	FILE *file = fopen("/proc/self/mounts", "re");
	size_t len = 0;
	char *line = NULL;
	int ret = 0;

	if (!file)
		return 0;
	/* DEVICE PATH TYPE ...; the last one is on top. */
	while (getline(&line, &len, file) > 0) {
		char *save = NULL;
		char *at, *type;

		strtok_r(line, " ", &save);
		at = strtok_r(NULL, " ", &save);
		type = strtok_r(NULL, " ", &save);
		if (!at || !type)
			continue;
		unescape(at);
		if (!strcmp(at, path))
			ret = strcmp(type, "fuse.bigsmall") ? 2 : 1;
	}
	free(line);
	fclose(file);
	return ret;
}
