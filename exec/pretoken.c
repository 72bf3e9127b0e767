/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pretoken.c - the pre-tokenizers of tokenizer.json, by PCRE2
 *
 * The patterns there are written for another library, in which \s is the white
 * space of Unicode and ^ and $ match at lines; they are put into PCRE2's terms.
 */

#include "pretoken.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* A text of a megabyte takes some millions; more is a pattern made to hang. */
#define MATCH_LIMIT 50000000
#define JIT_STACK_MAX ((size_t)8 << 20)

#define SPACE "\\t-\\r\\x{85}\\p{Z}"

struct bsx_pattern {
	pcre2_code *code; /* owned, as are the next three */
	pcre2_match_data *match;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

struct range {
	size_t start, end;
};

/* ---- Patterns ------------------------------------------------------------ */

/* \s and \S in PCRE2's terms; within brackets \S stays, and means nearly the
 * same. */
static bool translate(struct bsx_text *out, const char *s)
{
	bool in_class = false, ok = true;

	for (; *s && ok; s++) {
		if (s[0] == '\\' && s[1] == 's') {
			ok = bsx_text_add_string(out, in_class ? SPACE
							       : "[" SPACE "]");
			s++;
		} else if (s[0] == '\\' && s[1] == 'S' && !in_class) {
			ok = bsx_text_add_string(out, "[^" SPACE "]");
			s++;
		} else if (s[0] == '\\' && s[1]) {
			ok = bsx_text_add(out, s++, 2);
		} else {
			if (*s == '[' && !in_class) {
				/* A bracket that stands first is itself. */
				in_class = true;
				ok = bsx_text_add(out, s, 1);
				if (s[1] == '^')
					ok = ok && bsx_text_add(out, ++s, 1);
				if (s[1] == ']')
					ok = ok && bsx_text_add(out, ++s, 1);
				continue;
			}
			in_class = in_class && *s != ']';
			ok = bsx_text_add(out, s, 1);
		}
	}
	return ok;
}

enum bsx_result bsx_pattern_new(struct bsx_pattern **ret, const char *text,
				struct bsx_error *err)
{
	struct bsx_pattern *p = calloc(1, sizeof(*p));
	struct bsx_text ours = { 0 };
	enum bsx_result res = BSX_OK;
	PCRE2_SIZE at;
	int code;

	if (!p || !translate(&ours, text)) {
		res = bsx_no_memory(err);
		goto out;
	}
	p->code = pcre2_compile((PCRE2_SPTR)ours.s, ours.len,
				PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE |
					PCRE2_NEVER_BACKSLASH_C,
				&code, &at, NULL);
	if (!p->code) {
		char why[128];

		pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
		res = bsx_fail(err, BSX_ERR_MODEL,
			       "tokenizer.json: a pattern is not understood: "
			       "%s.",
			       why);
		goto out;
	}
	/* Slower without, but the same. */
	pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
	p->match = pcre2_match_data_create_from_pattern(p->code, NULL);
	p->context = pcre2_match_context_create(NULL);
	p->stack =
		pcre2_jit_stack_create((size_t)32 << 10, JIT_STACK_MAX, NULL);
	if (!p->match || !p->context || !p->stack) {
		res = bsx_no_memory(err);
		goto out;
	}
	pcre2_set_match_limit(p->context, MATCH_LIMIT);
	pcre2_jit_stack_assign(p->context, NULL, p->stack);
	*ret = p;
	p = NULL;
out:
	bsx_pattern_free(p);
	free(ours.s);
	return res;
}

void bsx_pattern_free(struct bsx_pattern *p)
{
	if (!p)
		return;
	pcre2_jit_stack_free(p->stack);
	pcre2_match_context_free(p->context);
	pcre2_match_data_free(p->match);
	pcre2_code_free(p->code);
	free(p);
}

bool bsx_pattern_matches(const struct bsx_pattern *p, const char *s, size_t len)
{
	return pcre2_match(p->code, (PCRE2_SPTR)s, len, 0, PCRE2_NO_UTF_CHECK,
			   p->match, p->context) >= 0;
}

/* The first match from 'from' on; *ret_found is false if there is none. */
static enum bsx_result find_pattern(const struct bsx_pattern *p, const char *s,
				    size_t len, size_t from, struct range *ret,
				    bool *ret_found, struct bsx_error *err)
{
	const PCRE2_SIZE *at;
	int n;

	/* The whole text was checked once. */
	n = pcre2_match(p->code, (PCRE2_SPTR)s, len, from, PCRE2_NO_UTF_CHECK,
			p->match, p->context);
	*ret_found = n >= 0;
	if (n == PCRE2_ERROR_NOMATCH)
		return BSX_OK;
	if (n < 0)
		return bsx_fail(err, BSX_ERR_MODEL,
				"tokenizer.json: a pattern takes too long on "
				"this text.");
	at = pcre2_get_ovector_pointer(p->match);
	*ret = (struct range){ at[0], at[1] };
	/* \K in a look-ahead can do this. */
	*ret_found = at[0] >= from && at[1] >= at[0];
	return BSX_OK;
}

static enum bsx_result find(const struct bsx_step *step, const char *s,
			    size_t len, size_t from, struct range *ret,
			    bool *ret_found, struct bsx_error *err)
{
	size_t n;
	const char *at;

	if (step->pattern)
		return find_pattern(step->pattern, s, len, from, ret, ret_found,
				    err);
	n = strlen(step->literal);
	at = memmem(s + from, len - from, step->literal, n);
	*ret_found = at != NULL;
	if (at)
		*ret = (struct range){ (size_t)(at - s), (size_t)(at - s) + n };
	return BSX_OK;
}

/* ---- Steps --------------------------------------------------------------- */

struct run {
	const struct bsx_step *steps;
	size_t n_steps;
	bsx_piece_fn put;
	void *ctx;
};

static enum bsx_result apply(const struct run *r, size_t i, const char *s,
			     size_t len, bool at_start, struct bsx_error *err);

/* Pieces on their way out of a split: one is held back, since the next may have
 * to join it. */
struct held {
	const struct run *run;
	size_t i; /* of the split */
	const char *s;
	bool at_start;
	struct range piece; /* empty: none */
	bool was_match;
};

static enum bsx_result let_go(struct held *h, struct bsx_error *err)
{
	struct range p = h->piece;

	h->piece.start = h->piece.end;
	if (p.start == p.end)
		return BSX_OK;
	return apply(h->run, h->i + 1, h->s + p.start, p.end - p.start,
		     h->at_start && p.start == 0, err);
}

/* Take the next part of the text, which is a match or what is between two. */
static enum bsx_result take(struct held *h, struct range part, bool is_match,
			    struct bsx_error *err)
{
	const struct bsx_step *step = &h->run->steps[h->i];
	enum bsx_result res = BSX_OK;
	bool joins = false;

	if (part.start == part.end)
		return BSX_OK;
	if (step->is_inverted)
		is_match = !is_match;
	if (h->piece.start < h->piece.end) {
		switch (step->behavior) {
		case BSX_CONTIGUOUS:
			joins = is_match == h->was_match;
			break;
		case BSX_MERGED_WITH_PREVIOUS:
			joins = is_match && !h->was_match;
			break;
		case BSX_MERGED_WITH_NEXT:
			joins = h->was_match && !is_match;
			break;
		default:
			break;
		}
	}
	h->was_match = is_match;
	if (joins) {
		h->piece.end = part.end;
		return BSX_OK;
	}
	res = let_go(h, err);
	if (!(step->behavior == BSX_REMOVED && is_match))
		h->piece = part;
	return res;
}

static enum bsx_result split(const struct run *r, size_t i, const char *s,
			     size_t len, bool at_start, struct bsx_error *err)
{
	struct held h = { .run = r, .i = i, .s = s, .at_start = at_start };
	enum bsx_result res = BSX_OK;
	size_t done = 0, from = 0;
	struct range m;
	bool found;
	uint32_t c;

	while (!res && from <= len) {
		res = find(&r->steps[i], s, len, from, &m, &found, err);
		if (res || !found)
			break;
		if (m.start == m.end) {
			/* Nothing was matched: look from the next character. */
			from = m.end < len
				       ? m.end + bsx_utf8_next(s + m.end,
							       len - m.end, &c)
				       : len + 1;
			continue;
		}
		res = take(&h, (struct range){ done, m.start }, false, err);
		if (!res)
			res = take(&h, m, true, err);
		done = from = m.end;
	}
	if (!res)
		res = take(&h, (struct range){ done, len }, false, err);
	if (!res)
		res = let_go(&h, err);
	return res;
}

static enum bsx_result prefix(const struct run *r, size_t i, const char *s,
			      size_t len, bool at_start, struct bsx_error *err)
{
	struct bsx_text t = { 0 };
	enum bsx_result res;

	if (len && *s == ' ')
		return apply(r, i + 1, s, len, at_start, err);
	if (bsx_text_add_string(&t, " ") && bsx_text_add(&t, s, len))
		res = apply(r, i + 1, t.s, t.len, at_start, err);
	else
		res = bsx_no_memory(err);
	free(t.s);
	return res;
}

static bool starts_with(const char *s, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && memcmp(s, word, n) == 0;
}

/* 'literal' in place of each blank, and perhaps in front. */
static bool replace_blanks(const struct bsx_step *step, struct bsx_text *t,
			   const char *s, size_t len, bool at_start)
{
	bool is_wanted = step->scheme == BSX_ALWAYS ||
			 (step->scheme == BSX_FIRST && at_start);
	bool ok = true;
	size_t i;

	if (is_wanted && !(len && *s == ' ') &&
	    !starts_with(s, len, step->literal))
		ok = bsx_text_add_string(t, step->literal);
	for (i = 0; i < len && ok; i++)
		ok = s[i] == ' ' ? bsx_text_add_string(t, step->literal)
				 : bsx_text_add(t, s + i, 1);
	return ok;
}

static enum bsx_result metaspace(const struct run *r, size_t i, const char *s,
				 size_t len, bool at_start,
				 struct bsx_error *err)
{
	const struct bsx_step *step = &r->steps[i];
	struct bsx_text t = { 0 };
	enum bsx_result res;

	if (!replace_blanks(step, &t, s, len, at_start))
		res = bsx_no_memory(err);
	else if (step->splits)
		res = split(r, i, t.s, t.len, at_start, err);
	else
		res = apply(r, i + 1, t.s, t.len, at_start, err);
	free(t.s);
	return res;
}

/* What steps from i on make of a piece. */
static enum bsx_result apply(const struct run *r, size_t i, const char *s,
			     size_t len, bool at_start, struct bsx_error *err)
{
	if (!len)
		return BSX_OK;
	if (i == r->n_steps)
		return r->put(r->ctx, s, len, err);
	switch (r->steps[i].kind) {
	case BSX_STEP_SPLIT:
		return split(r, i, s, len, at_start, err);
	case BSX_STEP_PREFIX:
		return prefix(r, i, s, len, at_start, err);
	default:
		return metaspace(r, i, s, len, at_start, err);
	}
}

enum bsx_result bsx_pretokenize(const struct bsx_step *steps, size_t n_steps,
				const char *s, size_t len, bool at_start,
				bsx_piece_fn put, void *ctx,
				struct bsx_error *err)
{
	const struct run r = { steps, n_steps, put, ctx };

	return apply(&r, 0, s, len, at_start, err);
}

void bsx_steps_fini(struct bsx_step *steps, size_t n_steps)
{
	size_t i;

	for (i = 0; i < n_steps; i++) {
		bsx_pattern_free(steps[i].pattern);
		free(steps[i].literal);
	}
}
