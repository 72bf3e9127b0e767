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
#include "model_source.h"

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
	struct bst_model_source source; /* owned */
	struct bsx_model *model; /* owned, as are the next three */
	struct bsx_session *session;
	struct bsx_sampler *sampler;
	struct bs_hash *hash; /* of all logits sampled from; NULL: none */
	float *logits; /* [n_vocab], owned */
	uint32_t *held; /* the session's tokens; owned */
	size_t n_held;
	uint32_t n_context;
	struct bsx_plan plan;
	uint64_t daemon; /* bytes that a mount's may take */
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
	int wants_int4; /* a .bsd's 4-bit tensors, if there are such */
};

/* MODEL as a user names it (model_source.h); of the options threads and budget
 * count. */
int bst_talker_open(struct bst_talker *t, const char *path,
		    const struct bst_talker_options *options);

/* The same as far as it can be told without a mount: for planning alone. */
int bst_talker_describe(struct bst_talker *t, const char *path,
			const struct bst_talker_options *options);

/* Note what the process takes besides a session: as it is now, so that what is
 * decided by it stays so. */
void bst_talker_look(struct bst_talker *t);

/* What start() would do, and what memory the process will have taken in all;
 * BSX_ERR_REFUSED: that is more than the budget. */
enum bsx_result bst_talker_would(const struct bst_talker *t,
				 const struct bst_talker_options *options,
				 struct bsx_plan *ret_plan, uint64_t *ret_bytes,
				 struct bsx_error *err);

/* Begin, by a plan and an announcement that stand in the talker. */
int bst_talker_start(struct bst_talker *t,
		     const struct bst_talker_options *options);

/* An exit code: a mount's daemon may not have ended well. */
int bst_talker_close(struct bst_talker *t);

/*
 * Go on with these tokens, of which those that the session holds are not
 * computed again, and answer with at most n_max.  'put' gets text as it comes,
 * and returns an exit code.
 */
int bst_talker_answer(struct bst_talker *t, const uint32_t *ids, size_t n,
		      size_t n_max, int (*put)(const char *s),
		      struct bst_answer *ret);
void bst_answer_fini(struct bst_answer *a);

/* The most memory that this process and the mount's daemon had so far, by the
 * kernel's account; 0: not to be had. */
uint64_t bst_talker_peak(const struct bst_talker *t);

/* A line of /proc/PID/status in kB, as bytes; 'pid' 0: this process. */
uint64_t bst_status_bytes(pid_t pid, const char *key);

/* Say an error of the engine's; its exit code. */
int bst_say_exec_error(enum bsx_result res, const struct bsx_error *err);

#endif /* BST_TALKER_H */
