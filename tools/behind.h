/* SPDX-License-Identifier: Apache-2.0 */
/*
 * behind.h - from a file as a mount shows it to the container behind it
 */

#ifndef BST_BEHIND_H
#define BST_BEHIND_H

#include <stdint.h>

/*
 * Where the container is that a mount of ours shows as 'path', or hides by that
 * name: a path that leads below the mount's .bigsmall/store, the caller's to
 * free.  NULL: 'path' is what it seems to be.
 */
char *bst_behind_mount(const char *path);

/* The same, and in *ret_member the path in the container of a bundle's entry, or
 * "": all of it; the caller's to free.  NULL where the above is. */
char *bst_behind_member(const char *path, char **ret_member);

/* The same for a directory of the store, as the store has it. */
char *bst_behind_mount_dir(const char *path);

/* Where the mount of ours is that shows 'path', which exists; the caller's to
 * free.  NULL: none does, or 'path' is in its .bigsmall/store. */
char *bst_mount_above(const char *path);

/* A number of a mount's .bigsmall/stats, which has one on each line; 0: it has
 * none of that name. */
uint64_t bst_mount_stat(const char *stats, const char *key);

/* Refuse, with a sentence, to change what lies in a mount of ours; returns an
 * exit code. */
int bst_refuse_mounted(const char *path);

/* The same for a file that is to be replaced in place: it must be what its name
 * says, and no link. */
int bst_refuse_in_place(const char *cmd, const char *path);

#endif /* BST_BEHIND_H */
