/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure.c - how much memory there is, and how much can still be had
 *
 * The kernel's own estimate (MemAvailable) for the machine; for a group its
 * limit less its use, where file pages that nobody has used again count as
 * free: a group that reads models is always full of those.  The limits of the
 * groups above count as well.
 */

#include "fs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNLIMITED UINT64_MAX

static FILE *open_file(const char *dir, const char *name)
{
	char path[PATH_MAX + 64];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

	return n < (int)sizeof(path) ? fopen(path, "re") : NULL;
}

/* The number behind 'key' in a file of lines "KEY NUMBER"; -1: it is not there. */
static int read_key(const char *dir, const char *name, const char *key,
		    uint64_t *ret)
{
	FILE *file = open_file(dir, name);
	size_t len = strlen(key);
	char line[256];
	int found = 0;

	if (!file)
		return -1;
	while (!found && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, len) != 0 ||
		    (line[len] != ' ' && line[len] != ':'))
			continue;
		*ret = strtoull(line + len + 1, NULL, 10);
		found = 1;
	}
	fclose(file);
	return found ? 0 : -1;
}

/* A file that is one number, or "max". */
static uint64_t read_number(const char *dir, const char *name, uint64_t none)
{
	FILE *file = open_file(dir, name);
	uint64_t ret = none;
	char line[64];

	if (!file)
		return none;
	if (fgets(line, sizeof(line), file) && *line >= '0' && *line <= '9')
		ret = strtoull(line, NULL, 10);
	fclose(file);
	return ret;
}

/* What the names of a version's files are. */
struct group_files {
	const char *limits[2];
	const char *use;
	const char *unused_key; /* in memory.stat */
};

static const struct group_files version_1 = {
	{ "memory.limit_in_bytes", "memory.limit_in_bytes" },
	"memory.usage_in_bytes",
	"total_inactive_file",
};

static const struct group_files version_2 = {
	{ "memory.max", "memory.high" },
	"memory.current",
	"inactive_file",
};

/* What is asked for. */
enum question { LEFT, ALL };

static uint64_t left_in(const char *dir, const struct group_files *g,
			enum question what)
{
	uint64_t limit = read_number(dir, g->limits[0], UNLIMITED);
	uint64_t high = read_number(dir, g->limits[1], UNLIMITED);
	uint64_t use, unused = 0;

	if (high < limit)
		limit = high;
	if (limit == UNLIMITED || what == ALL)
		return limit;
	use = read_number(dir, g->use, 0);
	if (read_key(dir, "memory.stat", g->unused_key, &unused) != 0 ||
	    unused > use)
		unused = 0;
	use -= unused;
	return use < limit ? limit - use : 0;
}

/* The least of the group 'path' below 'top' and of those above it. */
static uint64_t left_up_from(const char *top, char *path,
			     const struct group_files *g, enum question what)
{
	uint64_t least = UNLIMITED;

	for (;;) {
		char dir[PATH_MAX];
		char *slash;
		uint64_t left;

		if (snprintf(dir, sizeof(dir), "%s%s", top, path) >=
		    (int)sizeof(dir))
			return least;
		left = left_in(dir, g, what);
		if (left < least)
			least = left;
		slash = strrchr(path, '/');
		if (!slash)
			return least;
		*slash = 0;
	}
}

/* "ID:CONTROLLERS:PATH"; version 2 has the number 0 and no controllers. */
static uint64_t left_by_line(const char *root, char *line, enum question what)
{
	char top[PATH_MAX];
	char *names = strchr(line, ':');
	char *path = names ? strchr(names + 1, ':') : NULL;
	uint64_t left, other;
	char *name;

	if (!path)
		return UNLIMITED;
	*path++ = 0;
	path[strcspn(path, "\n")] = 0;
	names++;
	if (!*names) {
		char again[PATH_MAX];

		snprintf(again, sizeof(again), "%s", path);
		snprintf(top, sizeof(top), "%s/sys/fs/cgroup", root);
		left = left_up_from(top, path, &version_2, what);
		/* Where version 1 has the controllers, its usual place. */
		snprintf(top, sizeof(top), "%s/sys/fs/cgroup/unified", root);
		other = left_up_from(top, again, &version_2, what);
		return left < other ? left : other;
	}
	while ((name = strsep(&names, ","))) {
		if (strcmp(name, "memory") != 0)
			continue;
		snprintf(top, sizeof(top), "%s/sys/fs/cgroup/memory", root);
		return left_up_from(top, path, &version_1, what);
	}
	return UNLIMITED;
}

static uint64_t ask(const char *root, enum question what)
{
	uint64_t kib, least = UNLIMITED;
	char line[PATH_MAX + 64], dir[PATH_MAX];
	FILE *file;

	snprintf(dir, sizeof(dir), "%s/proc", root);
	if (read_key(dir, "meminfo", what == ALL ? "MemTotal" : "MemAvailable",
		     &kib) == 0)
		least = kib << 10;
	file = open_file(dir, "self/cgroup");
	while (file && fgets(line, sizeof(line), file)) {
		uint64_t left = left_by_line(root, line, what);

		if (left < least)
			least = left;
	}
	if (file)
		fclose(file);
	return least;
}

uint64_t bsfs_memory_available(const char *root)
{
	return ask(root, LEFT);
}

uint64_t bsfs_memory_limit(const char *root)
{
	return ask(root, ALL);
}
