/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.c - text to tokens
 */

#include <stdlib.h>
#include <string.h>

#include "tokenizer.h"

/* ---- Normalising --------------------------------------------------------- */

static bool replace_all(struct bsx_text *out, const char *s, size_t len,
			const struct bsx_normal *n)
{
	size_t from_len = strlen(n->from);
	bool ok = true;

	while (ok) {
		const char *at = memmem(s, len, n->from, from_len);

		if (!at)
			return bsx_text_add(out, s, len);
		ok = bsx_text_add(out, s, (size_t)(at - s)) &&
		     bsx_text_add_string(out, n->to);
		len -= (size_t)(at - s) + from_len;
		s = at + from_len;
	}
	return false;
}

/* *ret is empty before, and the caller's to free. */
static bool normalize(const struct bsx_tokenizer *t, const char *s, size_t len,
		      struct bsx_text *ret)
{
	bool ok = bsx_text_add(ret, s, len);
	size_t i;

	for (i = 0; i < t->n_normal && ok && ret->len; i++) {
		const struct bsx_normal *n = &t->normal[i];
		struct bsx_text out = { 0 };

		if (!n->to)
			ok = bsx_text_add_composed(&out, ret->s, ret->len);
		else if (n->from)
			ok = replace_all(&out, ret->s, ret->len, n);
		else
			ok = bsx_text_add_string(&out, n->to) &&
			     bsx_text_add(&out, ret->s, ret->len);
		free(ret->s);
		*ret = out;
	}
	return ok;
}

/* ---- Added tokens -------------------------------------------------------- */

static int longest_first(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

static bool finder_add(struct bsx_finder *f, const struct bsx_added *a,
		       uint32_t i)
{
	size_t len = strlen(a->content);

	f->lengths[f->n_lengths++] = (uint32_t)len;
	f->begins[(uint8_t)a->content[0]] = true;
	return bsx_table_put(&f->table, a->content, len, i);
}

static void finder_sort(struct bsx_finder *f)
{
	size_t i, n = 0;

	qsort(f->lengths, f->n_lengths, sizeof(*f->lengths), longest_first);
	for (i = 0; i < f->n_lengths; i++) {
		if (!n || f->lengths[n - 1] != f->lengths[i])
			f->lengths[n++] = f->lengths[i];
	}
	f->n_lengths = n;
}

/* A character of a word, as \w has it in Rust. */
static const char letter_pattern[] =
	"[\\p{L}\\p{M}\\p{Nl}\\p{Nd}\\p{Pc}\\x{200c}"
	"\\x{200d}\\x{24b6}-\\x{24e9}]";

enum bsx_result bsx_tokenizer_index(struct bsx_tokenizer *t,
				    struct bsx_error *err)
{
	enum bsx_result res;
	size_t i;

	res = bsx_pattern_new(&t->letter, letter_pattern, err);
	if (res)
		return res;
	t->raw.lengths = calloc(t->n_added + 1, sizeof(*t->raw.lengths));
	t->normalized.lengths =
		calloc(t->n_added + 1, sizeof(*t->normalized.lengths));
	if (!t->raw.lengths || !t->normalized.lengths)
		return bsx_no_memory(err);
	for (i = 0; i < t->n_added; i++) {
		struct bsx_added *a = &t->added[i];
		struct bsx_finder *f = &t->raw;

		if (a->is_normalized) {
			struct bsx_text text = { 0 };
			bool ok = normalize(t, a->content, strlen(a->content),
					    &text) &&
				  bsx_text_add(&text, "", 1);

			if (!ok) {
				free(text.s);
				return bsx_no_memory(err);
			}
			free(a->content);
			a->content = text.s;
			f = &t->normalized;
			/* This is what it is decoded to, too. */
			if (!t->bpe.is_byte_level) {
				t->tokens[a->id].s = a->content;
				t->tokens[a->id].len = (uint32_t)text.len - 1;
			}
		}
		if (*a->content && !finder_add(f, a, (uint32_t)i))
			return bsx_no_memory(err);
	}
	finder_sort(&t->raw);
	finder_sort(&t->normalized);
	return BSX_OK;
}

void bsx_finder_fini(struct bsx_finder *f)
{
	bsx_table_fini(&f->table);
	free(f->lengths);
}

/* The longest added token at the start of s[len], or NULL. */
static const struct bsx_added *longest(const struct bsx_tokenizer *t,
				       const struct bsx_finder *f,
				       const char *s, size_t len)
{
	uint32_t i;
	size_t l;

	if (!f->begins[(uint8_t)*s])
		return NULL;
	for (l = 0; l < f->n_lengths; l++) {
		if (f->lengths[l] > len)
			continue;
		i = bsx_table_get(&f->table, s, f->lengths[l]);
		if (i != BSX_NONE)
			return &t->added[i];
	}
	return NULL;
}

static size_t blanks_at_start(const char *s, size_t len)
{
	size_t n = 0;
	unsigned step;
	uint32_t c;

	while (n < len) {
		step = bsx_utf8_next(s + n, len - n, &c);
		if (!step || !bsx_is_space(c))
			break;
		n += step;
	}
	return n;
}

/* The character that ends where s[len] does; its length, or 0. */
static unsigned last_character(const char *s, size_t len, uint32_t *ret)
{
	unsigned n;

	for (n = 1; n <= 4 && n <= len; n++) {
		if (bsx_utf8_next(s + len - n, n, ret) == n)
			return n;
	}
	return 0;
}

static size_t blanks_at_end(const char *s, size_t len)
{
	size_t n = 0;
	unsigned step;
	uint32_t c;

	while (n < len) {
		step = last_character(s, len - n, &c);
		if (!step || !bsx_is_space(c))
			break;
		n += step;
	}
	return n;
}

/* No character of a word touches s[start..end). */
static bool stands_alone(const struct bsx_tokenizer *t, const char *s,
			 size_t len, size_t start, size_t end)
{
	unsigned before, after = 0;
	uint32_t c;

	before = last_character(s, start, &c);
	if (end < len)
		after = bsx_utf8_next(s + end, len - end, &c);
	return !bsx_pattern_matches(t->letter, s + start - before, before) &&
	       !bsx_pattern_matches(t->letter, s + end, after);
}

/* ---- The whole way ------------------------------------------------------- */

struct way {
	const struct bsx_tokenizer *t;
	struct bsx_ids *ids;
};

static enum bsx_result put_piece(void *ctx, const char *s, size_t len,
				 struct bsx_error *err)
{
	const struct way *w = ctx;

	return bsx_bpe_encode(&w->t->bpe, s, len, w->ids, err);
}

static enum bsx_result put_normalized(struct way *w, const char *s, size_t len,
				      bool at_start, struct bsx_error *err)
{
	return bsx_pretokenize(w->t->steps, w->t->n_steps, s, len, at_start,
			       put_piece, w, err);
}

static enum bsx_result cut(struct way *w, const struct bsx_finder *f,
			   const char *s, size_t len, bool at_start,
			   enum bsx_result (*put)(struct way *w, const char *s,
						  size_t len, bool at_start,
						  struct bsx_error *err),
			   struct bsx_error *err)
{
	size_t done = 0, at = 0, start, end;
	enum bsx_result res = BSX_OK;

	while (at < len && !res) {
		const struct bsx_added *a = longest(w->t, f, s + at, len - at);

		if (!a) {
			at++;
			continue;
		}
		start = at;
		end = at = at + strlen(a->content);
		if (a->is_word && !stands_alone(w->t, s, len, start, end))
			continue;
		if (a->takes_left && start > done)
			start -= blanks_at_end(s + done, start - done);
		if (a->takes_right)
			end += blanks_at_start(s + end, len - end);
		if (start > done)
			res = put(w, s + done, start - done,
				  at_start && done == 0, err);
		if (!res && !bsx_ids_add(w->ids, a->id))
			res = bsx_no_memory(err);
		/* A token of blanks that were taken is one all the same. */
		done = end;
	}
	if (!res && done < len)
		res = put(w, s + done, len - done, at_start && done == 0, err);
	return res;
}

static enum bsx_result put_raw(struct way *w, const char *s, size_t len,
			       bool at_start, struct bsx_error *err)
{
	struct bsx_text text = { 0 };
	enum bsx_result res;

	if (normalize(w->t, s, len, &text))
		res = cut(w, &w->t->normalized, text.s, text.len, at_start,
			  put_normalized, err);
	else
		res = bsx_no_memory(err);
	free(text.s);
	return res;
}

static enum bsx_result put_all(struct bsx_ids *ids, const struct bsx_ids *more,
			       struct bsx_error *err)
{
	size_t i;

	for (i = 0; i < more->n; i++) {
		if (!bsx_ids_add(ids, more->id[i]))
			return bsx_no_memory(err);
	}
	return BSX_OK;
}

enum bsx_result bsx_tokenizer_encode(const struct bsx_tokenizer *t,
				     const char *text, size_t len,
				     bool with_start, struct bsx_ids *ret,
				     struct bsx_error *err)
{
	struct way w = { t, ret };
	enum bsx_result res = BSX_OK;

	if (!bsx_utf8_is_valid(text, len))
		return bsx_fail(err, BSX_ERR_MODEL,
				"the text is not valid UTF-8.");
	if (with_start)
		res = put_all(ret, &t->before, err);
	if (!res)
		res = cut(&w, &t->raw, text, len, true, put_raw, err);
	if (!res && with_start)
		res = put_all(ret, &t->after, err);
	return res;
}
