/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pretoken.h - cutting text into the pieces that are encoded one by one
 */

#ifndef BSX_PRETOKEN_H
#define BSX_PRETOKEN_H

#include "fault.h"
#include "utf8.h"

/* ---- Patterns ------------------------------------------------------------ */

struct bsx_pattern;

/* Compile a regular expression as tokenizer.json has them. */
enum bsx_result bsx_pattern_new(struct bsx_pattern **ret, const char *text,
				struct bsx_error *err);
void bsx_pattern_free(struct bsx_pattern *p);

/* Whether there is a match in s[len]. */
bool bsx_pattern_matches(const struct bsx_pattern *p, const char *s,
			 size_t len);

/* ---- Steps --------------------------------------------------------------- */

enum bsx_step_kind {
	BSX_STEP_SPLIT,
	BSX_STEP_PREFIX, /* a blank before each piece that has none */
	BSX_STEP_METASPACE,
};

/* What becomes of what a pattern matches. */
enum bsx_behavior {
	BSX_REMOVED,
	BSX_ISOLATED,
	BSX_CONTIGUOUS, /* matches that touch are one piece */
	BSX_MERGED_WITH_PREVIOUS,
	BSX_MERGED_WITH_NEXT,
};

enum bsx_scheme { BSX_NEVER, BSX_FIRST, BSX_ALWAYS };

struct bsx_step {
	enum bsx_step_kind kind;
	struct bsx_pattern *pattern; /* owned; NULL: 'literal' */
	char *literal; /* what to split at, or what takes a blank's place;
			* owned */
	enum bsx_behavior behavior;
	bool is_inverted;
	enum bsx_scheme scheme; /* of metaspace: where 'literal' is put first */
	bool splits; /* metaspace: at 'literal', too */
};

#define BSX_MAX_STEPS 16

/* Where pieces go. */
typedef enum bsx_result (*bsx_piece_fn)(void *ctx, const char *s, size_t len,
					struct bsx_error *err);

/*
 * Put s[len] through the steps, and each piece, in order, to 'put'.  'at_start':
 * it is where the whole text begins.  One thread at a time: patterns have
 * memory of their own.
 */
enum bsx_result bsx_pretokenize(const struct bsx_step *steps, size_t n_steps,
				const char *s, size_t len, bool at_start,
				bsx_piece_fn put, void *ctx,
				struct bsx_error *err);

void bsx_steps_fini(struct bsx_step *steps, size_t n_steps);

#endif /* BSX_PRETOKEN_H */
