/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outlook.h - what would run, for a model that is open on this machine
 *
 * Functions that return an exit code have said why.
 */

#ifndef BST_OUTLOOK_H
#define BST_OUTLOOK_H

#include "machine.h"
#include "planner.h"
#include "talker.h"

struct bst_wishes {
	enum bst_mode mode;
	int is_plain; /* all weights in memory, as they are */
	int streams; /* no layer in memory */
	uint64_t budget; /* of all memory; 0: what there is */
};

struct bst_outlook {
	struct bst_machine machine;
	struct bsx_profile profile;
	const struct bsx_disk *disk; /* of the profile; NULL: not known */
	struct bst_case facts;
	struct bsx_error why_not[BST_N_MEMBERS][BST_N_WAYS];
	struct bst_choice choice;
};

/*
 * Look at the machine, of which a profile is made if there is none, and at the
 * model; choose what runs, and set the talker, and 'how', for that.
 */
int bst_outlook(struct bst_outlook *o, struct bst_talker *t,
		struct bst_talker_options *how, const struct bst_wishes *w);

#endif /* BST_OUTLOOK_H */
