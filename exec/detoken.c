/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detoken.c - tokens to text, as they come
 *
 * What is no UTF-8 becomes U+FFFD: in a byte-level vocabulary one for each
 * stretch that is wrong together, with byte fallback one for each byte of a run
 * that is wrong somewhere, as the tokenizers' own decoders have it.  A NUL is
 * left out: no text has one.
 */

#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define BAD "\xef\xbf\xbd"

struct bsx_decoder {
	const struct bsx_tokenizer *t; /* borrowed */
	struct bsx_text held; /* bytes that wait */
	bool is_run; /* they are of byte tokens */
	uint32_t n_strip; /* blanks to take off yet */
	struct bsx_text out; /* what was returned last */
};

struct bsx_decoder *bsx_decoder_new(const struct bsx_model *m)
{
	struct bsx_decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->t = m->tokenizer;
	d->n_strip = d->t->n_strip;
	return d;
}

void bsx_decoder_free(struct bsx_decoder *d)
{
	if (!d)
		return;
	free(d->held.s);
	free(d->out.s);
	free(d);
}

/* Give out text, less the blanks that are taken off. */
static void put(struct bsx_decoder *d, const char *s, size_t len)
{
	while (d->n_strip && len && *s == ' ') {
		d->n_strip--;
		s++;
		len--;
	}
	if (!len)
		return;
	d->n_strip = 0;
	/* Without memory there is less to read. */
	bsx_text_add(&d->out, s, len);
}

/* Give out what of the held bytes is whole, and with 'is_end' the rest. */
static void put_held(struct bsx_decoder *d, bool is_end)
{
	size_t at = 0;
	unsigned n;
	uint32_t c;
	bool is_cut;

	if (!d->held.len)
		return;
	if (d->is_run && is_end && !bsx_utf8_is_valid(d->held.s, d->held.len)) {
		for (; at < d->held.len; at++)
			put(d, BAD, 3);
		d->held.len = 0;
		return;
	}
	while (at < d->held.len) {
		n = bsx_utf8_next(d->held.s + at, d->held.len - at, &c);
		if (n && !c) {
			;
		} else if (n) {
			put(d, d->held.s + at, n);
		} else {
			n = bsx_utf8_bad(d->held.s + at, d->held.len - at,
					 &is_cut);
			if (is_cut && !is_end)
				break;
			put(d, BAD, 3);
		}
		at += n;
	}
	d->held.len -= at;
	memmove(d->held.s, d->held.s + at, d->held.len);
}

static void decode_text(struct bsx_decoder *d, const char *s, size_t len)
{
	size_t n = d->t->blank ? strlen(d->t->blank) : 0;
	const char *at;

	while (n && (at = memmem(s, len, d->t->blank, n))) {
		bsx_text_add(&d->held, s, (size_t)(at - s));
		bsx_text_add(&d->held, " ", 1);
		len -= (size_t)(at - s) + n;
		s = at + n;
	}
	bsx_text_add(&d->held, s, len);
}

static const char *finish(struct bsx_decoder *d)
{
	return bsx_text_add(&d->out, "", 1) ? d->out.s : "";
}

const char *bsx_decode(struct bsx_decoder *d, uint32_t id)
{
	const struct bsx_token *token;

	d->out.len = 0;
	if (id >= d->t->n_tokens)
		return finish(d);
	token = &d->t->tokens[id];
	if (!token->s || token->is_special)
		return finish(d);
	if (token->is_byte != d->is_run) {
		if (d->held.len && (d->is_run || !d->t->bpe.is_byte_level))
			put_held(d, true);
		d->is_run = token->is_byte;
	}
	if (token->is_byte)
		bsx_text_add(&d->held, token->s, 1);
	else
		decode_text(d, token->s, token->len);
	/* A run is right or wrong as a whole. */
	if (!d->is_run)
		put_held(d, false);
	return finish(d);
}

const char *bsx_decode_end(struct bsx_decoder *d)
{
	d->out.len = 0;
	put_held(d, true);
	return finish(d);
}
