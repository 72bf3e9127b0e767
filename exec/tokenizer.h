/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenizer.h - tokenizer.json: text to tokens, and what tokens stand for
 *
 * Text is cut at added tokens, normalised, cut at added tokens again (those
 * that are looked for in normalised text), cut into pieces, and each piece is
 * encoded.  A byte-level vocabulary is kept as the bytes that it stands for.
 */

#ifndef BSX_TOKENIZER_H
#define BSX_TOKENIZER_H

#include "bpe.h"
#include "pretoken.h"

#define BSX_MAX_TOKENS ((uint32_t)1 << 24)

struct bsx_token {
	const char *s; /* borrowed from 'strings'; NULL: no such token */
	uint32_t len;
	bool is_special; /* not shown */
	bool is_byte; /* <0xNN>, with byte fallback: the byte s[0] */
};

/* A token that is cut out of the text before all else. */
struct bsx_added {
	uint32_t id;
	char *content; /* what is looked for; owned */
	bool is_normalized; /* looked for in normalised text */
	bool takes_left, takes_right; /* the white space there, too */
	bool is_word; /* only where no letter touches it */
};

/* Added tokens, by their content. */
struct bsx_finder {
	struct bsx_table table; /* -> index of 'added' */
	uint32_t *lengths; /* [n_lengths], longest first; owned */
	size_t n_lengths;
	bool begins[256]; /* whether any begins so */
};

struct bsx_normal {
	char *from; /* NULL: 'to' is put in front; owned */
	char *to; /* NULL: form C; owned */
};

struct bsx_tokenizer {
	struct bsx_bpe bpe;
	char *strings; /* owned */
	struct bsx_token *tokens; /* [n_tokens], owned */
	uint32_t n_tokens;

	struct bsx_added *added; /* [n_added], owned */
	size_t n_added;
	struct bsx_finder raw, normalized;
	struct bsx_pattern *letter; /* what is_word is about; owned */

	struct bsx_normal normal[BSX_MAX_STEPS];
	size_t n_normal;
	struct bsx_step steps[BSX_MAX_STEPS];
	size_t n_steps;

	struct bsx_ids before, after; /* what goes around a text */

	/* Of the decoder: in each token 'blank' becomes a blank, and so many
	 * blanks are taken off the start. */
	char *blank; /* owned; NULL: none */
	uint32_t n_strip;
};

enum bsx_result bsx_tokenizer_read(struct bsx_tokenizer **ret,
				   const struct bsx_folder *folder,
				   struct bsx_error *err);
void bsx_tokenizer_free(struct bsx_tokenizer *t);

/* The same from memory. */
enum bsx_result bsx_tokenizer_parse(struct bsx_tokenizer **ret,
				    const char *text, size_t len,
				    struct bsx_error *err);

/* The added token of that content, or BSX_NONE. */
uint32_t bsx_tokenizer_find(const struct bsx_tokenizer *t, const char *content);

/* ---- encode.c ------------------------------------------------------------ */

/* Make 'raw' and 'normalized' of 'added'. */
enum bsx_result bsx_tokenizer_index(struct bsx_tokenizer *t,
				    struct bsx_error *err);
void bsx_finder_fini(struct bsx_finder *f);

enum bsx_result bsx_tokenizer_encode(const struct bsx_tokenizer *t,
				     const char *text, size_t len,
				     bool with_start, struct bsx_ids *ret,
				     struct bsx_error *err);

#endif /* BSX_TOKENIZER_H */
