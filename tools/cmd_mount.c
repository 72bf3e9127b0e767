/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_mount.c - bigsmall mount
 */

#include <getopt.h>

#include "cmd.h"
#include "mount_common.h"

enum { OPT_JSON = 256 };

static const struct bst_option options[] = {
	{ 'f', "foreground", .help = "stay, and log to standard error" },
	BST_MOUNT_O,
	{ OPT_JSON, "json",
	  .help = "print one JSON object when the mount is there" },
	{ 0 },
};

/* -1: go on with the mount; else the exit code. */
static int parse(struct bst_mount *m, int argc, char **argv)
{
	int opt;

	while ((opt = bst_next_option(&bst_cmd_mount, argc, argv)) != -1)
		switch (opt) {
		case 'f':
			m->is_foreground = 1;
			break;
		case OPT_JSON:
			m->is_json = 1;
			break;
		case 'o':
			if (bst_mount_options(m, optarg) != 0)
				return BST_EXIT_USAGE;
			break;
		case 'h':
			bst_print_help(&bst_cmd_mount);
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

static int exit_of(enum bst_mount_end end)
{
	switch (end) {
	case BST_MOUNT_OK:
		return BST_EXIT_OK;
	case BST_MOUNT_USAGE:
		return BST_EXIT_USAGE;
	case BST_MOUNT_REFUSED:
		return BST_EXIT_REFUSED;
	case BST_MOUNT_INTERRUPTED:
		return BST_EXIT_INTERRUPTED;
	default:
		return BST_EXIT_SYSTEM;
	}
}

static int run(int argc, char **argv)
{
	struct bst_mount m;
	int code;

	bst_mount_init(&m);
	code = parse(&m, argc, argv);
	if (code < 0)
		code = exit_of(bst_mount_run(&m));
	bst_mount_fini(&m);
	return code;
}

const struct bst_command bst_cmd_mount = {
	"mount",
	.operands = "DIR [MOUNTPOINT]",
	.value = BST_VALUE_DIR,
	.what = "show each .bs as the file it was",
	.about = BST_MOUNT_ABOUT,
	.options = options,
	.run = run,
};
