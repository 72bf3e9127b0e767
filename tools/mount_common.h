/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_common.h - what bigsmall mount and mount.bigsmall have in common
 */

#ifndef BST_MOUNT_COMMON_H
#define BST_MOUNT_COMMON_H

#include <stddef.h>
#include <stdint.h>

#include "cmd.h"
#include "fs.h"

#define BST_MOUNT_ABOUT                                                      \
	"Show each .bs in DIR as the file it was made from, in place or at " \
	"MOUNTPOINT."

/* The words of -o, what is said below them, and the option that has them in the
 * tables of both programs. */
extern const struct bst_option bst_mount_words[];
extern const char bst_mount_more[];
#define BST_MOUNT_O                                                       \
	{                                                                 \
		'o', .arg = "OPTION[,OPTION]...", .help = bst_mount_more, \
		     .words = bst_mount_words                             \
	}

/* mount.bigsmall itself; it stands where bigsmall can complete it, too. */
extern const struct bst_command bst_mount_helper;
enum { BST_OPT_FOREGROUND = 256 };

struct bst_mount {
	const char *dir; /* borrowed, as is the next */
	const char *at; /* NULL: over DIR itself */
	int is_foreground;
	int is_json; /* what is said when it is there */
	int is_fake; /* check everything, mount nothing */
	int is_sloppy; /* ignore unknown options */
	struct bsfs_options fs;
	int store_fd; /* from before the mount; -1: none */
	char *store; /* owned, as are the next two */
	char *mountpoint;
	char *fsname;
};

void bst_mount_init(struct bst_mount *m);
void bst_mount_fini(struct bst_mount *m);

/* Take the argument of -o: 0, or -1 after a sentence. */
int bst_mount_options(struct bst_mount *m, const char *list);

/* How it went: the two programs have exit codes of their own for each. */
enum bst_mount_end {
	BST_MOUNT_OK,
	BST_MOUNT_USAGE, /* wrong arguments, or a directory that is not there */
	BST_MOUNT_DENIED, /* this user may not */
	BST_MOUNT_REFUSED, /* already mounted */
	BST_MOUNT_SYSTEM, /* no memory, no process, no descriptor */
	BST_MOUNT_BUG, /* the daemon ended as it should never do */
	BST_MOUNT_INTERRUPTED,
	BST_MOUNT_FAILED, /* anything else */
};

/* Mount, and print what is there now; all but OK come after a sentence. */
enum bst_mount_end bst_mount_run(struct bst_mount *m);

/* The path of a directory without links in it, found without touching what may
 * be mounted on it; the caller's to free.  NULL: errno says why. */
char *bst_mount_path(const char *path);

#endif /* BST_MOUNT_COMMON_H */
