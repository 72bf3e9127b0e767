/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talker.h - a model that answers, with its memory announced and measured
 *
 * Functions that return an exit code have said why.
 */

#ifndef BST_TALKER_H
#define BST_TALKER_H

#include <stddef.h>
#include <stdint.h>

#include "cmd.h"
#include "exec.h"

struct bst_answer {
	uint32_t *prompt; /* [n_prompt], owned; in one answer's room */
	size_t n_prompt;
	uint32_t *ids; /* [n], owned: with the stop, if there was one */
	size_t n;
	char *text; /* owned; NUL-terminated */
	size_t text_len;
	int is_stopped; /* the model ended it, not the count */
	double prompt_seconds, seconds; /* for the prompt, for what follows */
};

struct bst_talker {
	struct bsx_model *model; /* owned, as are the next three */
	struct bsx_session *session;
	struct bsx_sampler *sampler;
	struct bs_hash *hash; /* of all logits sampled from; NULL: none */
	float *logits; /* [n_vocab], owned */
	uint32_t *held; /* the session's tokens; owned */
	size_t n_held;
	uint32_t n_context;
	struct bsx_plan plan;
	uint64_t besides; /* bytes, of 'announced': not the session's */
	uint64_t announced; /* bytes */
};

struct bst_talker_options {
	unsigned n_threads;
	uint32_t n_context;
	struct bsx_sampling sampling;
	uint64_t budget; /* of all memory; 0: no bound */
	int streams; /* keep no layer in memory */
	int with_hash;
};

/* MODEL as a user names it: a directory, or a file of weights in one. */
int bst_talker_open(struct bst_talker *t, const char *path);

/* Find out what start() will do, and what memory the process will have taken
 * in all; BST_EXIT_REFUSED: that is more than the budget. */
int bst_talker_plan(struct bst_talker *t,
		    const struct bst_talker_options *options);
int bst_talker_start(struct bst_talker *t,
		     const struct bst_talker_options *options);
void bst_talker_close(struct bst_talker *t);

/*
 * Go on with these tokens, of which those that the session holds are not
 * computed again, and answer with at most n_max.  'put' gets text as it comes.
 */
int bst_talker_answer(struct bst_talker *t, const uint32_t *ids, size_t n,
		      size_t n_max, void (*put)(const char *s),
		      struct bst_answer *ret);
void bst_answer_fini(struct bst_answer *a);

/* The most memory this process had so far, by the kernel's account; 0: not to
 * be had. */
uint64_t bst_peak_memory(void);

/* Say an error of the engine's; its exit code. */
int bst_say_exec_error(enum bsx_result res, const struct bsx_error *err);

#endif /* BST_TALKER_H */
