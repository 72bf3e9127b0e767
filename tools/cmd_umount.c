/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_umount.c - bigsmall umount
 *
 * Ends a mount of ours, and no other's, whether or not its daemon lives.
 */

#include <errno.h>
#include <getopt.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "mount_common.h"

static const struct bst_option options[] = {
	{ 'l', "lazy",
	  .help = "detach it now, end it when nobody uses it any more" },
	{ 0 },
};

extern char **environ;

static int unmount_as_root(const char *path, int is_lazy)
{
	int err;

	if (umount2(path, UMOUNT_NOFOLLOW | (is_lazy ? MNT_DETACH : 0)) == 0)
		return BST_EXIT_OK;
	err = errno;
	if (err == EBUSY)
		bst_error("%s is in use; close what reads it, or detach it "
			  "with: bigsmall umount -l %s",
			  path, path);
	else
		bst_error("%s cannot be unmounted: %s.", path, strerror(err));
	return BST_EXIT_SYSTEM;
}

/* fusermount3 says itself what is wrong, but not what helps. */
static int unmount_as_user(char *path, int is_lazy)
{
	char *argv[] = { (char[]){ "fusermount3" },
			 (char[]){ "-u" },
			 (char[]){ "-z" },
			 (char[]){ "--" },
			 path,
			 NULL };
	pid_t pid;
	int err, status;

	if (!is_lazy) {
		argv[2] = argv[3];
		argv[3] = path;
		argv[4] = NULL;
	}
	err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (err) {
		bst_error("fusermount3 cannot be run: %s; as root, run "
			  "apt-get install fuse3",
			  strerror(err));
		return BST_EXIT_SYSTEM;
	}
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0)
		return BST_EXIT_OK;
	if (!is_lazy)
		bst_error("if %s is in use, close what reads it, or detach it "
			  "with: bigsmall umount -l %s",
			  path, path);
	return BST_EXIT_SYSTEM;
}

static int unmount(const char *dir, int is_lazy)
{
	char *path = bst_mount_path(dir);
	int code;

	if (!path) {
		bst_error("%s: %s.", dir, strerror(errno));
		return BST_EXIT_USAGE;
	}
	if (bsfs_mount_at(path, NULL) != BSFS_MOUNT_OURS) {
		bst_error("%s is not mounted by bigsmall.", dir);
		code = BST_EXIT_USAGE;
	} else if (geteuid() == 0) {
		code = unmount_as_root(path, is_lazy);
	} else {
		code = unmount_as_user(path, is_lazy);
	}
	free(path);
	return code;
}

static int run(int argc, char **argv)
{
	int opt, is_lazy = 0;

	while ((opt = bst_next_option(&bst_cmd_umount, argc, argv)) != -1)
		switch (opt) {
		case 'l':
			is_lazy = 1;
			break;
		case 'h':
			bst_print_help(&bst_cmd_umount);
			return BST_EXIT_OK;
		default:
			return bst_bad_option("umount", opt, optind, argv);
		}
	if (argc - optind != 1)
		return bst_usage("umount", "name one directory.");
	return unmount(argv[optind], is_lazy);
}

const struct bst_command bst_cmd_umount = {
	"umount",
	.operands = "DIR",
	.value = BST_VALUE_MOUNT,
	.what = "end such a mount",
	.about = "End the mount on DIR.",
	.options = options,
	.run = run,
};
