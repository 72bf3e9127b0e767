/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.h - all that is in a directory, and where its links lead
 */

#ifndef BST_WALK_H
#define BST_WALK_H

#include <stddef.h>
#include <sys/stat.h>

#define BST_NO_ENTRY SIZE_MAX

enum bst_entry_type {
	BST_ENTRY_FILE,
	BST_ENTRY_DIR,
	BST_ENTRY_LINK, /* kept as a link */
	BST_ENTRY_OTHER, /* a pipe, a socket, a device */
};

struct bst_entry {
	char *path; /* below the root, "a/b"; owned */
	char *target; /* of a link: its text; owned */
	struct stat st; /* of a link that was followed: of what it leads to */
	enum bst_entry_type type;
	unsigned char is_followed; /* it, or a directory above it, is a link */
	unsigned char leads_out; /* a link that leaves the tree */
	unsigned char is_dangling; /* a link that leads to nothing */
	unsigned char is_loop; /* likewise, but to itself */
	unsigned char is_stored; /* likewise, but a .bs is there instead, or a
				  * link that is judged by itself */
	unsigned char is_rewritten; /* 'target' says it another way */
	size_t same_as; /* an earlier name of the same file */
};

struct bst_tree {
	const char *root; /* as it was named; borrowed */
	char *real; /* without links; owned */
	struct stat st; /* of the root */
	struct bst_entry *entry; /* [n], owned; in the order of
				  * bs_path_compare() */
	size_t n;
	size_t n_allocated;
	size_t n_out; /* links that leave the tree */
	char *above; /* the directory that holds what those lead to, too;
		      * owned; NULL: there is none but "/" */
	int follows;
};

/*
 * Read the directory 'root'.  A link whose target lies inside stays a link.
 * 'follows': one that leads out is followed, and stands for what it leads to,
 * a directory included; else it is kept, and n_out counts it.  Returns an exit
 * code, its sentence printed.
 */
int bst_tree_read(struct bst_tree *ret, const char *root, int follows);
void bst_tree_fini(struct bst_tree *t);

/* The entry of that path, or BST_NO_ENTRY. */
size_t bst_tree_find(const struct bst_tree *t, const char *path);

/* Whether 'path' is 'dir' or lies below it; both without links. */
int bst_is_below(const char *path, const char *dir);

#endif /* BST_WALK_H */
