/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_bigsmall.c - mount.bigsmall, by hand and as mount(8)'s helper
 *
 * mount(8) calls "mount.bigsmall DIR MOUNTPOINT [-sfnv] [-t TYPE] [-o OPTIONS]";
 * there -f means fake, so the foreground has a long option only.  Exit codes
 * are mount(8)'s.
 */

#include <getopt.h>
#include <string.h>

#include "cmd.h"
#include "mount_common.h"

/* Not among them: 16, a table of mounts that cannot be written, since the
 * kernel keeps it; and 64, which is "mount -a"'s own. */
enum {
	MOUNT_OK = 0,
	MOUNT_USAGE = 1, /* or permission */
	MOUNT_SYSTEM = 2,
	MOUNT_BUG = 4,
	MOUNT_INTERRUPTED = 8,
	MOUNT_FAILED = 32,
};

static int usage(const char *text)
{
	bst_error("%s", text);
	fprintf(stderr, "Try: mount.bigsmall --help\n");
	return MOUNT_USAGE;
}

static int is_our_type(const char *type)
{
	/* As the kernel's table of mounts has it, too. */
	if (!strncmp(type, "fuse.", 5))
		type += 5;
	return !strncmp(type, "bigsmall", 8) &&
	       (type[8] == 0 || type[8] == '.');
}

/* -1: go on with the mount; else the exit code. */
static int parse(struct bst_mount *m, int argc, char **argv)
{
	int opt;

	/* Whether unknown options are ignored must be known before them. */
	while ((opt = bst_next_option(&bst_mount_helper, argc, argv)) != -1)
		m->is_sloppy |= opt == 's';
	optind = 1;
	while ((opt = bst_next_option(&bst_mount_helper, argc, argv)) != -1)
		switch (opt) {
		case BST_OPT_FOREGROUND:
			m->is_foreground = 1;
			break;
		case 'f':
			m->is_fake = 1;
			break;
		case 's':
		case 'n':
		case 'v':
			break;
		case 't':
			if (!is_our_type(optarg))
				return usage("-t: the type is bigsmall.");
			break;
		case 'o':
			if (bst_mount_options(m, optarg) != 0)
				return MOUNT_USAGE;
			break;
		case 'h':
			bst_print_help(&bst_mount_helper);
			return MOUNT_OK;
		case 'V':
			printf("mount.bigsmall %s\n", bs_version());
			return MOUNT_OK;
		default:
			return usage(opt == ':'
					     ? "an option lacks its argument."
					     : "there is no such option.");
		}
	if (argc - optind < 1 || argc - optind > 2)
		return usage("name a directory, and where to mount it if not "
			     "in place.");
	m->dir = argv[optind];
	m->at = argv[optind + 1];
	return -1;
}

static int exit_of(enum bst_mount_end end)
{
	switch (end) {
	case BST_MOUNT_OK:
		return MOUNT_OK;
	case BST_MOUNT_USAGE:
	case BST_MOUNT_DENIED:
		return MOUNT_USAGE;
	case BST_MOUNT_SYSTEM:
		return MOUNT_SYSTEM;
	case BST_MOUNT_BUG:
		return MOUNT_BUG;
	case BST_MOUNT_INTERRUPTED:
		return MOUNT_INTERRUPTED;
	default:
		return MOUNT_FAILED;
	}
}

int main(int argc, char **argv)
{
	struct bst_mount m;
	int code;

	bst_set_program("mount.bigsmall");
	bst_mount_init(&m);
	code = parse(&m, argc, argv);
	if (code < 0)
		code = exit_of(bst_mount_run(&m));
	bst_mount_fini(&m);
	return code;
}
