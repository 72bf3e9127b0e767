/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_mount.c - bigsmall mount
 */

#include <getopt.h>

#include "cmd.h"
#include "mount_common.h"

static const char help[] =
	"Usage: bigsmall mount DIR [MOUNTPOINT] [-f] [-o OPTION[,OPTION]...]\n"
	"Show each .bs in DIR as the file it was made from, in place or at "
	"MOUNTPOINT.\n"
	"\n"
	"Options:\n"
	"  -f, --foreground  stay, and log to standard error\n"
	"  -h, --help        print this and exit\n";

static const struct option options[] = {
	{ "foreground", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* -1: go on with the mount; else the exit code. */
static int parse(struct bst_mount *m, int argc, char **argv)
{
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":fo:h", options, NULL)) != -1)
		switch (opt) {
		case 'f':
			m->is_foreground = 1;
			break;
		case 'o':
			if (bst_mount_options(m, optarg) != 0)
				return BST_EXIT_USAGE;
			break;
		case 'h':
			fputs(help, stdout);
			fputs(bst_mount_help, stdout);
			return BST_EXIT_OK;
		default:
			return bst_bad_option("mount", opt, optind, argv);
		}
	if (argc - optind < 1 || argc - optind > 2)
		return bst_usage("mount", "name a directory, and where to "
					  "mount it if not in place.");
	m->dir = argv[optind];
	m->at = argv[optind + 1];
	return -1;
}

int bst_cmd_mount(int argc, char **argv)
{
	struct bst_mount m;
	int code;

	bst_mount_init(&m);
	code = parse(&m, argc, argv);
	if (code < 0)
		code = bst_mount_run(&m);
	bst_mount_fini(&m);
	return code;
}
