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

enum { MOUNT_OK = 0, MOUNT_USAGE = 1, MOUNT_FAILED = 32 };

static const char help[] =
	"Usage: mount.bigsmall DIR [MOUNTPOINT] [--foreground] "
	"[-o OPTION[,OPTION]...]\n"
	"Show each .bs in DIR as the file it was made from, in place or at "
	"MOUNTPOINT.\n"
	"\n"
	"Options:\n"
	"      --foreground  stay, and log to standard error\n"
	"  -f, --fake        check everything, mount nothing\n"
	"  -s                ignore unknown mount options\n"
	"  -n, -v, -t TYPE   accepted, as mount(8) passes them on\n"
	"  -h, --help        print this and exit\n"
	"  -V, --version     print the version and exit\n";

enum { OPT_FOREGROUND = 256 };

static const struct option options[] = {
	{ "foreground", no_argument, NULL, OPT_FOREGROUND },
	{ "fake", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int usage(const char *text)
{
	bst_error("%s", text);
	fprintf(stderr, "Try: mount.bigsmall --help\n");
	return MOUNT_USAGE;
}

static int is_our_type(const char *type)
{
	return !strncmp(type, "bigsmall", 8) &&
	       (type[8] == 0 || type[8] == '.');
}

/* -1: go on with the mount; else the exit code. */
static int parse(struct bst_mount *m, int argc, char **argv)
{
	int opt;

	opterr = 0;
	/* Whether unknown options are ignored must be known before them. */
	while ((opt = getopt_long(argc, argv, ":sfnvt:o:hV", options, NULL)) !=
	       -1)
		m->is_sloppy |= opt == 's';
	optind = 1;
	while ((opt = getopt_long(argc, argv, ":sfnvt:o:hV", options, NULL)) !=
	       -1)
		switch (opt) {
		case OPT_FOREGROUND:
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
			fputs(help, stdout);
			fputs(bst_mount_help, stdout);
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

int main(int argc, char **argv)
{
	struct bst_mount m;
	int code;

	bst_set_program("mount.bigsmall");
	bst_mount_init(&m);
	code = parse(&m, argc, argv);
	if (code < 0)
		switch (bst_mount_run(&m)) {
		case BST_EXIT_OK:
			code = MOUNT_OK;
			break;
		case BST_EXIT_USAGE:
			code = MOUNT_USAGE;
			break;
		default:
			code = MOUNT_FAILED;
		}
	bst_mount_fini(&m);
	return code;
}
