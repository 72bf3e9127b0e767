/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8.h - growing bytes and lists of tokens, and UTF-8
 */

#ifndef BSX_UTF8_H
#define BSX_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bsx_text {
	char *s; /* [len], owned; NULL if nothing was ever added */
	size_t len;
	size_t room;
};

/* false: no memory. */
bool bsx_text_add(struct bsx_text *t, const char *s, size_t len);
bool bsx_text_add_string(struct bsx_text *t, const char *s);

struct bsx_ids {
	uint32_t *id; /* [n], owned */
	size_t n;
	size_t room;
};

bool bsx_ids_add(struct bsx_ids *ids, uint32_t id);

/*
 * The bytes of the first character of s[len], len > 0, and the character; 0 if
 * there is none.  Overlong forms, surrogates and what is past U+10FFFF are no
 * characters.
 */
unsigned bsx_utf8_next(const char *s, size_t len, uint32_t *ret);
bool bsx_utf8_is_valid(const char *s, size_t len);

/* Write a character to buf[4]; its length. */
unsigned bsx_utf8_put(char *buf, uint32_t c);

/* How many bytes at the start of s[len], which is no whole character, belong
 * together as one error; *ret_is_cut: they may still become one. */
unsigned bsx_utf8_bad(const char *s, size_t len, bool *ret_is_cut);

/* Add s[len], in valid UTF-8, in normalisation form C.  false: no memory. */
bool bsx_text_add_composed(struct bsx_text *t, const char *s, size_t len);

/* White space as Unicode has it. */
bool bsx_is_space(uint32_t c);

#endif /* BSX_UTF8_H */
