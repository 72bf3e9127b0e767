/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.c - what a mount would show in the root of a store, without one
 */

#include "fs.h"

#include "stats.h"
#include "tree.h"

#include <errno.h>
#include <stdlib.h>

struct bsfs_look {
	struct bsfs_listing *listing; /* a reference */
};

int bsfs_look_new(struct bsfs_look **ret, int store_fd, const char *preferred)
{
	const struct bsfs_options opt = { .preferred = preferred };
	struct bsfs_session s = {
		.opt = &opt,
		.store_fd = store_fd,
		.stats = bsfs_stats_new(),
	};
	struct bsfs_look *look = calloc(1, sizeof(*look));
	int err = -ENOMEM;

	if (look && s.stats)
		err = bsfs_listing_read(&s, ".", 0, NULL, &look->listing);
	bsfs_stats_free(s.stats);
	if (err) {
		free(look);
		return err;
	}
	*ret = look;
	return 0;
}

void bsfs_look_free(struct bsfs_look *look)
{
	if (!look)
		return;
	bsfs_listing_put(look->listing);
	free(look);
}

static enum bsfs_shown kind_of(const struct bsfs_name *n)
{
	switch (n->what) {
	case BSFS_MEMBER:
		return BSFS_SHOWN_FILE;
	case BSFS_BUNDLE_DIR:
		return BSFS_SHOWN_BUNDLE;
	case BSFS_DAMAGED:
		return BSFS_SHOWN_DAMAGED;
	default:
		return BSFS_SHOWN_PLAIN;
	}
}

enum bsfs_shown bsfs_look_find(const struct bsfs_look *look, const char *shown,
			       const char **ret_stored)
{
	const struct bsfs_name *n = bsfs_listing_find(look->listing, shown);

	*ret_stored = n ? n->stored : NULL;
	return n ? kind_of(n) : BSFS_SHOWN_NONE;
}

enum bsfs_shown bsfs_look_behind(const struct bsfs_look *look,
				 const char *stored, const char **ret_shown)
{
	const struct bsfs_name *n =
		bsfs_listing_find_stored(look->listing, stored);

	*ret_shown = n ? n->shown : NULL;
	return n ? kind_of(n) : BSFS_SHOWN_NONE;
}

int bsfs_look_has_containers(const struct bsfs_look *look)
{
	size_t i;

	for (i = 0; i < look->listing->n_names; i++)
		if (look->listing->names[i].what != BSFS_PLAIN)
			return 1;
	return 0;
}
