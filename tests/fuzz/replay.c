/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - run a fuzz target over files, without libFuzzer
 *
 * Arguments are files or directories of them.  Inputs end at a guard page.  A
 * finding ends the program by a signal; the name printed before it is the
 * input's.
 */

#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

static unsigned n_run;

static int run_file(const char *path)
{
	static struct guarded g;
	struct stat sb;
	uint8_t *p;
	FILE *f;
	int ok;

	f = fopen(path, "rb");
	if (!f || fstat(fileno(f), &sb)) {
		perror(path);
		return 2;
	}
	p = guarded_get(&g, (size_t)sb.st_size);
	ok = fread(p, 1, (size_t)sb.st_size, f) == (size_t)sb.st_size;
	fclose(f);
	if (!ok) {
		perror(path);
		return 2;
	}
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(p, (size_t)sb.st_size);
	n_run++;
	return 0;
}

static int run_dir(const char *path)
{
	struct dirent **list;
	char sub[4096];
	int n, i, rc = 0;

	n = scandir(path, &list, NULL, alphasort);
	if (n < 0) {
		perror(path);
		return 2;
	}
	for (i = 0; i < n; i++) {
		snprintf(sub, sizeof(sub), "%s/%s", path, list[i]->d_name);
		if (list[i]->d_name[0] != '.' && run_file(sub))
			rc = 2;
		free(list[i]);
	}
	free(list);
	return rc;
}

int main(int argc, char **argv)
{
	struct stat sb;
	int i, rc = 0;

	for (i = 1; i < argc; i++) {
		int is_dir = !stat(argv[i], &sb) && S_ISDIR(sb.st_mode);

		if (is_dir ? run_dir(argv[i]) : run_file(argv[i]))
			rc = 2;
	}
	printf("%u inputs\n", n_run);
	if (!n_run) {
		fprintf(stderr, "replay: no inputs\n");
		return 2;
	}
	return rc;
}
