/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.h - what `run` and `plan` have in common: all but the answer
 */

#ifndef BST_RUNNER_H
#define BST_RUNNER_H

#include "cmd.h"
#include "outlook.h"

/* The options of both; a table has its own from BST_OPT_OWN on. */
enum {
	BST_OPT_MODE = 256,
	BST_OPT_RESIDENT,
	BST_OPT_STREAM,
	BST_OPT_BUDGET,
	BST_OPT_TEMP,
	BST_OPT_TOP_K,
	BST_OPT_TOP_P,
	BST_OPT_SEED,
	BST_OPT_CHAT,
	BST_OPT_RAW,
	BST_OPT_RECEIPT,
	BST_OPT_JSON,
	BST_OPT_OWN
};

/* clang-format off */
#define BST_RUN_OPTIONS                                                        \
	{ BST_OPT_MODE, "mode", "MODE", BST_VALUE_CHOICE, "perfect fast",      \
	  .help = "perfect: the original weights or none; fast: the INT4 "     \
		  "weights of a .bsd, which is announced; default: the original " \
		  "ones" },                                                    \
	{ BST_OPT_RESIDENT, "resident", "HOW", BST_VALUE_CHOICE, "auto plain", \
	  .help = "plain: all weights in memory, as they are, or refuse; "     \
		  "default: auto, as many layers as there is room for" },      \
	{ BST_OPT_STREAM, "stream",                                            \
	  .help = "read each layer anew when its turn comes" },                \
	{ BST_OPT_BUDGET, "budget", .arg = "SIZE",                             \
	  .help = "take at most SIZE of memory (such as 600M); default: what " \
		  "is free" },                                                 \
	{ 'n', .arg = "N",                                                     \
	  .help = "answer with at most N tokens; default: 512" },              \
	{ BST_OPT_TEMP, "temp", .arg = "T",                                    \
	  .help = "sample at temperature T, 0: always the likeliest token; "   \
		  "default: as the model's generation_config.json says, or "   \
		  "0" },                                                       \
	{ BST_OPT_TOP_K, "top-k", .arg = "K",                                  \
	  .help = "sample from the K likeliest tokens, 0: from all" },         \
	{ BST_OPT_TOP_P, "top-p", .arg = "P",                                  \
	  .help = "sample from the likeliest tokens that make up P of 1" },    \
	{ BST_OPT_SEED, "seed", .arg = "S",                                    \
	  .help = "begin the random numbers at S; default: 0" },               \
	{ BST_OPT_CHAT, "chat",                                                \
	  .help = "put the prompt into the model's chat template, and fail "   \
		  "without one; the default where there is one" },             \
	{ BST_OPT_RAW, "raw", .help = "go on with the prompt as it is" },      \
	{ 'j', .arg = "N", .help = "use N threads; default: all CPUs" },       \
	{ BST_OPT_RECEIPT, "receipt",                                          \
	  .help = "keep a record of what ran: files, plan, memory, digests" }, \
	{ BST_OPT_JSON, "json", .help = "print one JSON object" }
/* clang-format on */

/* What is done with an outlook in place of running it. */
struct bst_planning {
	int is_verbose;
	uint64_t gpu; /* bytes; 0: not asked for */
	int is_json;
};

/* Say what would run; an exit code. */
int bst_tell_plan(const struct bst_outlook *o, const struct bst_talker *t,
		  const struct bst_planning *how);

/*
 * Take the arguments of 'cmd', whose options are those above and, from
 * BST_OPT_OWN on, --gpu and --verbose; and run the model, or only plan.
 */
enum { BST_OPT_GPU = BST_OPT_OWN, BST_OPT_VERBOSE };

int bst_run_command(const struct bst_command *cmd, struct bst_planning *plan,
		    int argc, char **argv);

#endif /* BST_RUNNER_H */
