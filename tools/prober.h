/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prober.h - what this machine can do: measured once, and kept
 *
 * Functions that return an exit code have said why.
 */

#ifndef BST_PROBER_H
#define BST_PROBER_H

#include "machine.h"

/*
 * The profile of this machine: as it is kept in the user's state directory, or
 * measured now, in some seconds, if there is none, or one of another machine, or
 * 'force' is given.
 */
int bst_profile_get(const struct bst_machine *m, int force,
		    struct bsx_profile *ret);

/*
 * The disk that the file 'path' is on, or a directory: from the profile, which
 * gets it if it is new or 'force' is given.  *ret points into it, or is NULL if
 * there is nothing to measure by.
 */
int bst_profile_disk(struct bsx_profile *p, const char *path, int force,
		     const struct bsx_disk **ret);

/* The directory for what we keep of a user, made if it is missing: its path, the
 * caller's to free; NULL: it is not to be had, and why is in errno. */
char *bst_state_dir(void);

struct bst_json;

/* Print a profile's fields, as they are kept. */
void bst_profile_print(struct bst_json *j, const struct bsx_profile *p);

#endif /* BST_PROBER_H */
