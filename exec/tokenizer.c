/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenizer.c - reading tokenizer.json
 *
 * A part of a kind that is not known here is refused by its name: leaving it
 * out would give other tokens.
 */

#include "tokenizer.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

#define FILE_NAME "tokenizer.json"
#define FILE_MAX ((size_t)256 << 20)

static enum bsx_result refuse(struct bsx_error *err, const char *what)
{
	return bsx_fail(err, BSX_ERR_MODEL, FILE_NAME ": %s.", what);
}

/* ---- Fields -------------------------------------------------------------- */

static const cJSON *get(const cJSON *at, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(at, key);

	return cJSON_IsNull(item) ? NULL : item;
}

/* A text, or "" if it is none. */
static const char *text_of(const cJSON *at, const char *key)
{
	const char *s = cJSON_GetStringValue(get(at, key));

	return s ? s : "";
}

static bool is_true(const cJSON *at, const char *key)
{
	return cJSON_IsTrue(get(at, key));
}

/* A token's number. */
static bool id_of(const cJSON *item, uint32_t *ret)
{
	if (!cJSON_IsNumber(item) || item->valuedouble < 0 ||
	    item->valuedouble >= BSX_MAX_TOKENS)
		return false;
	*ret = (uint32_t)item->valuedouble;
	return true;
}

static enum bsx_result copy(char **ret, const char *s, struct bsx_error *err)
{
	*ret = strdup(s);
	return *ret ? BSX_OK : bsx_no_memory(err);
}

static enum bsx_result unknown_kind(const char *part, const char *type,
				    struct bsx_error *err)
{
	return bsx_fail(err, BSX_ERR_MODEL,
			FILE_NAME ": the %s %s is not known here.", part, type);
}

/* Call 'one' for a part, or for each of a Sequence; a part that is null is none.
 */
static enum bsx_result
each(struct bsx_tokenizer *t, const cJSON *part, const char *list,
     enum bsx_result (*one)(struct bsx_tokenizer *t, const cJSON *part,
			    const char *type, struct bsx_error *err),
     struct bsx_error *err)
{
	const char *type = text_of(part, "type");
	enum bsx_result res = BSX_OK;
	const cJSON *item;

	if (!part)
		return BSX_OK;
	if (strcmp(type, "Sequence") != 0)
		return one(t, part, type, err);
	cJSON_ArrayForEach(item, get(part, list))
	{
		res = one(t, item, text_of(item, "type"), err);
		if (res)
			break;
	}
	return res;
}

/* ---- Vocabulary ---------------------------------------------------------- */

/* In a byte-level vocabulary bytes are shown as characters: printable ones as
 * themselves, the others, in order, from U+0100 on. */
static bool is_shown_as_itself(uint32_t c)
{
	return (c >= '!' && c <= '~') || (c >= 0xa1 && c <= 0xac) ||
	       (c >= 0xae && c <= 0xff);
}

static int byte_of(uint32_t c)
{
	uint32_t b, n = 0x100;

	if (c < 0x100)
		return is_shown_as_itself(c) ? (int)c : -1;
	for (b = 0; b < 0x100; b++) {
		if (!is_shown_as_itself(b) && n++ == c)
			return (int)b;
	}
	return -1;
}

/* The bytes that 's' shows, to 'out' and their number, or -1 if it shows
 * something else. */
static long to_bytes(char *out, const char *s)
{
	size_t len = strlen(s);
	long n = 0;
	unsigned step;
	uint32_t c;
	int b;

	for (; len; s += step, len -= step) {
		step = bsx_utf8_next(s, len, &c);
		b = step ? byte_of(c) : -1;
		if (b < 0)
			return -1;
		out[n++] = (char)b;
	}
	return n;
}

/* <0xNN>, or -1 */
static int byte_token(const char *s)
{
	unsigned b;
	char end;

	if (strlen(s) == 6 && sscanf(s, "<0x%2X%c", &b, &end) == 2 &&
	    end == '>')
		return (int)b;
	return -1;
}

/* How many tokens there are, with gaps, and their bytes. */
static enum bsx_result measure(const cJSON *vocab, const cJSON *added,
			       uint32_t *ret_n, size_t *ret_bytes,
			       struct bsx_error *err)
{
	const cJSON *item;
	uint32_t id;

	*ret_n = 0;
	*ret_bytes = 1;
	cJSON_ArrayForEach(item, vocab)
	{
		if (!id_of(item, &id))
			return refuse(err, "a token has no number");
		if (id >= *ret_n)
			*ret_n = id + 1;
		*ret_bytes += strlen(item->string) + 1;
	}
	cJSON_ArrayForEach(item, added)
	{
		if (!id_of(get(item, "id"), &id))
			return refuse(err, "an added token has no number");
		if (id >= *ret_n)
			*ret_n = id + 1;
		*ret_bytes += strlen(text_of(item, "content")) + 1;
	}
	return BSX_OK;
}

/* Keep a token's text at 'at', which has room; what was used of it. */
static size_t keep(struct bsx_tokenizer *t, uint32_t id, const char *s,
		   char *at, bool *ret_in_vocab)
{
	struct bsx_token *token = &t->tokens[id];
	long n = t->bpe.is_byte_level ? to_bytes(at, s) : -1;
	int b = t->bpe.has_byte_fallback ? byte_token(s) : -1;

	/* No piece of text can be one whose characters show no bytes. */
	*ret_in_vocab = !t->bpe.is_byte_level || n >= 0;
	if (n < 0) {
		n = (long)strlen(s);
		memcpy(at, s, (size_t)n);
	}
	token->s = at;
	token->len = (uint32_t)n;
	if (b >= 0) {
		t->bpe.byte_id[b] = id;
		at[n] = (char)b;
		token->s = at + n;
		token->len = 1;
		token->is_byte = true;
	}
	return (size_t)n + 1;
}

static enum bsx_result read_vocab(struct bsx_tokenizer *t, const cJSON *vocab,
				  const cJSON *added, struct bsx_error *err)
{
	enum bsx_result res;
	const cJSON *item;
	size_t bytes, used, i;
	bool in_vocab;
	uint32_t id = 0;
	char *at;

	if (!cJSON_IsObject(vocab))
		return refuse(err, "there is no vocab");
	res = measure(vocab, added, &t->n_tokens, &bytes, err);
	if (res)
		return res;
	t->tokens = calloc(t->n_tokens + 1, sizeof(*t->tokens));
	t->strings = at = malloc(bytes);
	if (!t->tokens || !t->strings)
		return bsx_no_memory(err);
	for (i = 0; i < 256; i++)
		t->bpe.byte_id[i] = BSX_NONE;
	cJSON_ArrayForEach(item, vocab)
	{
		id_of(item, &id);
		used = keep(t, id, item->string, at, &in_vocab);
		/* Under its own spelling, which a <0xNN> has, too. */
		if (in_vocab && !bsx_table_put(&t->bpe.vocab, at, used - 1, id))
			return bsx_no_memory(err);
		at += used;
	}
	cJSON_ArrayForEach(item, added)
	{
		id_of(get(item, "id"), &id);
		if (!t->tokens[id].s)
			at += keep(t, id, text_of(item, "content"), at,
				   &in_vocab);
		if (is_true(item, "special"))
			t->tokens[id].is_special = true;
	}
	if (t->bpe.is_byte_level) {
		for (i = 0; i < 256; i++) {
			char c = (char)i;

			t->bpe.byte_id[i] = bsx_table_get(&t->bpe.vocab, &c, 1);
		}
	}
	return BSX_OK;
}

/* ---- Merges -------------------------------------------------------------- */

/* A text of the vocabulary's as a token; 'buf' has room for it. */
static uint32_t lookup(const struct bsx_tokenizer *t, const char *s, size_t len,
		       char *buf)
{
	long n;

	if (!t->bpe.is_byte_level)
		return bsx_table_get(&t->bpe.vocab, s, len);
	memcpy(buf, s, len);
	buf[len] = 0;
	/* In place: bytes are never more than what shows them. */
	n = to_bytes(buf, buf);
	return n < 0 ? BSX_NONE : bsx_table_get(&t->bpe.vocab, buf, (size_t)n);
}

/* The two sides of a merge, in either form; false: neither. */
static bool sides_of(const cJSON *item, const char **ret_left,
		     size_t *ret_left_len, const char **ret_right)
{
	const char *s = cJSON_GetStringValue(item);
	const char *blank = s ? strchr(s, ' ') : NULL;

	if (blank) {
		*ret_left = s;
		*ret_left_len = (size_t)(blank - s);
		*ret_right = blank + 1;
		return true;
	}
	if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2)
		return false;
	*ret_left = cJSON_GetStringValue(item->child);
	*ret_right = cJSON_GetStringValue(item->child->next);
	if (!*ret_left || !*ret_right)
		return false;
	*ret_left_len = strlen(*ret_left);
	return true;
}

static enum bsx_result read_merge(struct bsx_tokenizer *t, const cJSON *item,
				  uint32_t rank, struct bsx_text *buf,
				  struct bsx_error *err)
{
	const char *left, *right;
	size_t left_len, right_len;
	uint32_t id[3];

	if (!sides_of(item, &left, &left_len, &right))
		return refuse(err, "a merge is no pair of tokens");
	right_len = strlen(right);
	/* Both sides together, and as much to work in. */
	buf->len = 0;
	if (!bsx_text_add(buf, left, left_len) ||
	    !bsx_text_add(buf, right, right_len) ||
	    !bsx_text_add(buf, left, left_len) ||
	    !bsx_text_add(buf, right, right_len + 1))
		return bsx_no_memory(err);
	id[2] = lookup(t, buf->s, left_len + right_len,
		       buf->s + left_len + right_len);
	id[0] = lookup(t, left, left_len, buf->s);
	id[1] = lookup(t, right, right_len, buf->s);
	if (id[0] == BSX_NONE || id[1] == BSX_NONE || id[2] == BSX_NONE)
		return bsx_fail(err, BSX_ERR_MODEL,
				FILE_NAME ": the merge %.40s is of tokens that "
					  "are not in the vocabulary.",
				left);
	bsx_bpe_add_merge(&t->bpe, id[0], id[1], rank, id[2]);
	return BSX_OK;
}

static enum bsx_result read_merges(struct bsx_tokenizer *t, const cJSON *merges,
				   struct bsx_error *err)
{
	struct bsx_text buf = { 0 };
	enum bsx_result res;
	const cJSON *item;
	uint32_t rank = 0;
	int n = cJSON_GetArraySize(merges);

	if (!cJSON_IsArray(merges))
		return refuse(err, "there are no merges");
	res = bsx_bpe_reserve(&t->bpe, (size_t)n, err);
	cJSON_ArrayForEach(item, merges)
	{
		if (!res)
			res = read_merge(t, item, rank++, &buf, err);
	}
	free(buf.s);
	return res;
}

static enum bsx_result read_model(struct bsx_tokenizer *t, const cJSON *model,
				  const cJSON *added, struct bsx_error *err)
{
	static const char *const unset[] = { "continuing_subword_prefix",
					     "end_of_word_suffix" };
	const char *type = text_of(model, "type"), *unknown;
	enum bsx_result res;
	size_t i;

	/* Old files leave it out. */
	if (*type && strcmp(type, "BPE") != 0)
		return unknown_kind("model", type, err);
	for (i = 0; i < 2; i++) {
		if (*text_of(model, unset[i]))
			return unknown_kind("option", unset[i], err);
	}
	if (get(model, "dropout") && get(model, "dropout")->valuedouble != 0)
		return unknown_kind("option", "dropout", err);
	t->bpe.has_byte_fallback = is_true(model, "byte_fallback");
	t->bpe.fuses_unknown = is_true(model, "fuse_unk");
	t->bpe.ignores_merges = is_true(model, "ignore_merges");
	t->bpe.unknown = BSX_NONE;
	res = read_vocab(t, get(model, "vocab"), added, err);
	if (!res)
		res = read_merges(t, get(model, "merges"), err);
	unknown = text_of(model, "unk_token");
	if (!res && *unknown)
		t->bpe.unknown =
			bsx_table_get(&t->bpe.vocab, unknown, strlen(unknown));
	return res;
}

/* ---- Added tokens -------------------------------------------------------- */

static enum bsx_result read_added(struct bsx_tokenizer *t, const cJSON *added,
				  struct bsx_error *err)
{
	enum bsx_result res = BSX_OK;
	int n = cJSON_GetArraySize(added);
	const cJSON *item;

	t->added = calloc((size_t)n + 1, sizeof(*t->added));
	if (!t->added)
		return bsx_no_memory(err);
	cJSON_ArrayForEach(item, added)
	{
		struct bsx_added *a = &t->added[t->n_added];

		res = copy(&a->content, text_of(item, "content"), err);
		if (res)
			return res;
		id_of(get(item, "id"), &a->id);
		a->is_normalized = is_true(item, "normalized");
		a->takes_left = is_true(item, "lstrip");
		a->takes_right = is_true(item, "rstrip");
		a->is_word = is_true(item, "single_word");
		t->n_added++;
	}
	return bsx_tokenizer_index(t, err);
}

uint32_t bsx_tokenizer_find(const struct bsx_tokenizer *t, const char *content)
{
	size_t i;

	for (i = 0; i < t->n_added; i++) {
		if (!strcmp(t->added[i].content, content))
			return t->added[i].id;
	}
	return BSX_NONE;
}

/* ---- Normalizers and pre-tokenizers -------------------------------------- */

static enum bsx_result read_normalizer(struct bsx_tokenizer *t,
				       const cJSON *part, const char *type,
				       struct bsx_error *err)
{
	struct bsx_normal *n = &t->normal[t->n_normal];
	const char *from = text_of(get(part, "pattern"), "String");
	enum bsx_result res;

	if (t->n_normal == BSX_MAX_STEPS)
		return refuse(err, "there are too many normalizers");
	if (!strcmp(type, "NFC")) {
		t->n_normal++;
		return BSX_OK;
	}
	if (!strcmp(type, "Prepend")) {
		t->n_normal++;
		return copy(&n->to, text_of(part, "prepend"), err);
	}
	if (strcmp(type, "Replace") != 0 || !*from)
		return unknown_kind("normalizer", type, err);
	t->n_normal++;
	res = copy(&n->from, from, err);
	return res ? res : copy(&n->to, text_of(part, "content"), err);
}

static enum bsx_result behavior_of(const cJSON *part, enum bsx_behavior *ret,
				   struct bsx_error *err)
{
	static const struct {
		const char *name;
		enum bsx_behavior behavior;
	} all[] = {
		{ "Removed", BSX_REMOVED },
		{ "Isolated", BSX_ISOLATED },
		{ "Contiguous", BSX_CONTIGUOUS },
		{ "MergedWithPrevious", BSX_MERGED_WITH_PREVIOUS },
		{ "MergedWithNext", BSX_MERGED_WITH_NEXT },
	};
	const char *name = text_of(part, "behavior");
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!strcmp(name, all[i].name)) {
			*ret = all[i].behavior;
			return BSX_OK;
		}
	}
	return unknown_kind("behavior", name, err);
}

static enum bsx_result read_split(struct bsx_step *s, const cJSON *part,
				  struct bsx_error *err)
{
	const cJSON *pattern = get(part, "pattern");
	const char *regex = text_of(pattern, "Regex");
	const char *literal = text_of(pattern, "String");
	enum bsx_result res;

	s->kind = BSX_STEP_SPLIT;
	s->is_inverted = is_true(part, "invert");
	res = behavior_of(part, &s->behavior, err);
	if (res)
		return res;
	if (*regex)
		return bsx_pattern_new(&s->pattern, regex, err);
	if (*literal)
		return copy(&s->literal, literal, err);
	return refuse(err, "a split has no pattern");
}

static enum bsx_result read_metaspace(struct bsx_step *s, const cJSON *part,
				      struct bsx_error *err)
{
	const char *scheme = text_of(part, "prepend_scheme");

	s->kind = BSX_STEP_METASPACE;
	s->behavior = BSX_MERGED_WITH_NEXT;
	s->splits = !cJSON_IsFalse(get(part, "split"));
	if (!strcmp(scheme, "first"))
		s->scheme = BSX_FIRST;
	else if (!strcmp(scheme, "never"))
		s->scheme = BSX_NEVER;
	else if (!strcmp(scheme, "always"))
		s->scheme = BSX_ALWAYS;
	else /* the older form */
		s->scheme = cJSON_IsFalse(get(part, "add_prefix_space"))
				    ? BSX_NEVER
				    : BSX_ALWAYS;
	if (!*text_of(part, "replacement"))
		return refuse(err, "a Metaspace has no replacement");
	return copy(&s->literal, text_of(part, "replacement"), err);
}

static const char byte_level_pattern[] =
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
	"\\s+(?!\\S)|\\s+";

static enum bsx_result read_step(struct bsx_tokenizer *t, const cJSON *part,
				 const char *type, struct bsx_error *err)
{
	struct bsx_step *s = &t->steps[t->n_steps];

	/* ByteLevel may need two. */
	if (t->n_steps + 2 > BSX_MAX_STEPS)
		return refuse(err, "there are too many pre-tokenizers");
	if (!strcmp(type, "Split")) {
		t->n_steps++;
		return read_split(s, part, err);
	}
	if (!strcmp(type, "Metaspace")) {
		t->n_steps++;
		return read_metaspace(s, part, err);
	}
	if (!strcmp(type, "Digits")) {
		t->n_steps++;
		s->behavior = is_true(part, "individual_digits")
				      ? BSX_ISOLATED
				      : BSX_CONTIGUOUS;
		return bsx_pattern_new(&s->pattern, "\\p{N}", err);
	}
	if (strcmp(type, "ByteLevel") != 0)
		return unknown_kind("pre-tokenizer", type, err);
	t->bpe.is_byte_level = true;
	if (is_true(part, "add_prefix_space")) {
		s++->kind = BSX_STEP_PREFIX;
		t->n_steps++;
	}
	if (cJSON_IsFalse(get(part, "use_regex")))
		return BSX_OK;
	t->n_steps++;
	s->behavior = BSX_ISOLATED;
	return bsx_pattern_new(&s->pattern, byte_level_pattern, err);
}

/* ---- What goes around a text --------------------------------------------- */

static enum bsx_result add_special(struct bsx_tokenizer *t, const cJSON *part,
				   const char *name, struct bsx_ids *to,
				   struct bsx_error *err)
{
	const cJSON *special = get(get(part, "special_tokens"), name), *item;
	uint32_t id;

	cJSON_ArrayForEach(item, get(special, "ids"))
	{
		if (!id_of(item, &id) || id >= t->n_tokens)
			return refuse(err, "a special token has no number");
		if (!bsx_ids_add(to, id))
			return bsx_no_memory(err);
	}
	return BSX_OK;
}

static enum bsx_result read_post(struct bsx_tokenizer *t, const cJSON *part,
				 const char *type, struct bsx_error *err)
{
	struct bsx_ids *to = &t->before;
	enum bsx_result res = BSX_OK;
	const cJSON *item, *special;

	/* That one is about offsets. */
	if (!strcmp(type, "ByteLevel"))
		return BSX_OK;
	if (strcmp(type, "TemplateProcessing") != 0)
		return unknown_kind("post-processor", type, err);
	cJSON_ArrayForEach(item, get(part, "single"))
	{
		special = get(item, "SpecialToken");
		if (!special)
			to = &t->after;
		else if (!res)
			res = add_special(t, part, text_of(special, "id"), to,
					  err);
	}
	return res;
}

/* ---- Decoder ------------------------------------------------------------- */

static enum bsx_result read_decoder(struct bsx_tokenizer *t, const cJSON *part,
				    const char *type, struct bsx_error *err)
{
	const cJSON *start = get(part, "start");

	if (!strcmp(type, "ByteLevel") || !strcmp(type, "ByteFallback") ||
	    !strcmp(type, "Fuse"))
		return BSX_OK;
	if (!strcmp(type, "Strip")) {
		if (strcmp(text_of(part, "content"), " ") != 0 ||
		    !cJSON_IsNumber(start) ||
		    !(start->valuedouble >= 0 && start->valuedouble < 256))
			return unknown_kind("decoder", type, err);
		t->n_strip = (uint32_t)start->valuedouble;
		return BSX_OK;
	}
	if (t->blank)
		return unknown_kind("second decoder", type, err);
	if (!strcmp(type, "Metaspace")) {
		t->n_strip = strcmp(text_of(part, "prepend_scheme"), "never") !=
				     0 &&
			     !cJSON_IsFalse(get(part, "add_prefix_space"));
		return copy(&t->blank, text_of(part, "replacement"), err);
	}
	if (!strcmp(type, "Replace") &&
	    !strcmp(text_of(part, "content"), " ") &&
	    *text_of(get(part, "pattern"), "String"))
		return copy(&t->blank, text_of(get(part, "pattern"), "String"),
			    err);
	return unknown_kind("decoder", type, err);
}

/* ---- The file ------------------------------------------------------------ */

static enum bsx_result read_all(struct bsx_tokenizer *t, const cJSON *root,
				struct bsx_error *err)
{
	const cJSON *added = get(root, "added_tokens");
	enum bsx_result res;

	/* Whether the vocabulary shows bytes, these tell. */
	res = each(t, get(root, "pre_tokenizer"), "pretokenizers", read_step,
		   err);
	if (!res)
		res = each(t, get(root, "normalizer"), "normalizers",
			   read_normalizer, err);
	if (!res)
		res = read_model(t, get(root, "model"), added, err);
	if (!res)
		res = read_added(t, added, err);
	if (!res)
		res = each(t, get(root, "post_processor"), "processors",
			   read_post, err);
	if (!res && !get(root, "decoder"))
		res = refuse(err, "there is no decoder");
	if (!res)
		res = each(t, get(root, "decoder"), "decoders", read_decoder,
			   err);
	return res;
}

enum bsx_result bsx_tokenizer_parse(struct bsx_tokenizer **ret,
				    const char *text, size_t len,
				    struct bsx_error *err)
{
	struct bsx_tokenizer *t = calloc(1, sizeof(*t));
	cJSON *root = cJSON_ParseWithLength(text, len);
	enum bsx_result res;

	if (!t)
		res = bsx_no_memory(err);
	else if (!cJSON_IsObject(root))
		res = bsx_fail(err, BSX_ERR_DATA,
			       FILE_NAME " is no JSON object.");
	else
		res = read_all(t, root, err);
	cJSON_Delete(root);
	if (res) {
		bsx_tokenizer_free(t);
		return res;
	}
	*ret = t;
	return BSX_OK;
}

enum bsx_result bsx_tokenizer_read(struct bsx_tokenizer **ret,
				   const struct bsx_folder *folder,
				   struct bsx_error *err)
{
	enum bsx_result res;
	char *text;
	size_t len;

	res = bsx_file_load(folder, FILE_NAME, FILE_MAX, &text, &len, err);
	if (res)
		return res;
	res = bsx_tokenizer_parse(ret, text, len, err);
	free(text);
	return res;
}

void bsx_tokenizer_free(struct bsx_tokenizer *t)
{
	size_t i;

	if (!t)
		return;
	bsx_bpe_fini(&t->bpe);
	free(t->strings);
	free(t->tokens);
	for (i = 0; i < t->n_added; i++)
		free(t->added[i].content);
	free(t->added);
	bsx_finder_fini(&t->raw);
	bsx_finder_fini(&t->normalized);
	bsx_pattern_free(t->letter);
	for (i = 0; i < t->n_normal; i++) {
		free(t->normal[i].from);
		free(t->normal[i].to);
	}
	bsx_steps_fini(t->steps, t->n_steps);
	free(t->before.id);
	free(t->after.id);
	free(t->blank);
	free(t);
}
