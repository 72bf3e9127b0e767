/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths.h - the names in a bundle, and where its links lead
 */

#ifndef BS_PATHS_H
#define BS_PATHS_H

#include <stdbool.h>

#include "bigsmall.h"

/* A path of 1..255-byte components that stays inside its directory. */
bool bs_path_holds(const char *path, size_t len);

/*
 * Whether a symbolic link of the bundle, followed to its end, stays inside and
 * comes to an end (docs/format.md 5).  The names and types of all members have
 * been checked.  '*budget' counts the steps of all links together down; none
 * left: false.
 */
bool bs_link_holds(const struct bs_archive *ar, const struct bs_member *link,
		   uint64_t *budget);

#endif /* BS_PATHS_H */
