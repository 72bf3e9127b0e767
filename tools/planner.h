/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner.h - what of a model runs on a machine, and what has to be said of it
 *
 * A function of what is known: it reads nothing, and prints nothing.  `plan` and
 * `run` both go by it, so what one says the other does.
 */

#ifndef BST_PLANNER_H
#define BST_PLANNER_H

#include <stddef.h>
#include <stdint.h>

#include "exec.h"

/* What a model may hold: the weights as they were made, and smaller ones that
 * stand for them.  All but the first are below bit-exact. */
enum bst_member { BST_ORIGINAL, BST_INT4, BST_N_MEMBERS };

/* How many of a member's layers are in memory. */
enum bst_way { BST_WHOLE, BST_PARTLY, BST_STREAMED, BST_N_WAYS };

enum bst_origin { BST_FROM_FILES, BST_FROM_MOUNT, BST_N_ORIGINS };

enum bst_mode { BST_MODE_BEST, BST_MODE_PERFECT, BST_MODE_FAST, BST_N_MODES };

struct bst_way_facts {
	const char *why_not; /* borrowed: the engine's sentence; NULL: it can */
	struct bsx_plan plan;
	uint64_t bytes; /* of memory, all included */
};

struct bst_member_facts {
	int is_there;
	uint64_t weight_bytes;
	uint64_t stored_bytes; /* that they take on the disk */
	uint32_t n_layers;
	struct bsx_work work;
	struct bst_way_facts ways[BST_N_WAYS];
};

/* All that the planner goes by. */
struct bst_case {
	const struct bsx_profile *profile; /* borrowed, as is the next */
	const char *arch;
	double disk_rate; /* bytes a second; 0: not known */
	enum bst_origin source;
	uint64_t n_weights;
	unsigned n_threads;
	uint32_t n_context; /* tokens */
	uint64_t room; /* bytes of memory */
	struct bst_member_facts members[BST_N_MEMBERS];

	enum bst_mode mode; /* what was asked for, as are the next two */
	int is_plain; /* all weights in memory, as they are */
	int streams;
};

struct bst_choice {
	int code; /* an exit code: whether anything can run */
	char refusal[640]; /* why not; a sentence */
	enum bst_member member;
	enum bst_way way;
	double tokens_per_s[BST_N_MEMBERS][BST_N_WAYS];
	char announcement[256]; /* "": what runs is bit-exact */
	char sentence[512];
	char considered[BST_N_MEMBERS * BST_N_WAYS][256];
	size_t n_considered;
};

void bst_choose(const struct bst_case *c, struct bst_choice *ret);

#endif /* BST_PLANNER_H */
