/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8.c - growing bytes and lists of tokens, and UTF-8
 */

#include "utf8.h"

#include <stdlib.h>
#include <string.h>

bool bsx_text_add(struct bsx_text *t, const char *s, size_t len)
{
	if (len > t->room - t->len) {
		size_t room = t->room ? t->room : 64;
		char *grown;

		while (len > room - t->len)
			room *= 2;
		grown = realloc(t->s, room);
		if (!grown)
			return false;
		t->s = grown;
		t->room = room;
	}
	if (len)
		memcpy(t->s + t->len, s, len);
	t->len += len;
	return true;
}

bool bsx_text_add_string(struct bsx_text *t, const char *s)
{
	return bsx_text_add(t, s, strlen(s));
}

bool bsx_ids_add(struct bsx_ids *ids, uint32_t id)
{
	if (ids->n == ids->room) {
		size_t room = ids->room ? 2 * ids->room : 64;
		uint32_t *grown = realloc(ids->id, room * sizeof(*grown));

		if (!grown)
			return false;
		ids->id = grown;
		ids->room = room;
	}
	ids->id[ids->n++] = id;
	return true;
}

/* What a first byte says: the length, and the bounds of the second byte. */
static unsigned lead(uint8_t c, uint8_t *ret_low, uint8_t *ret_high)
{
	*ret_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	*ret_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c < 0xe0)
		return 2;
	if (c >= 0xe0 && c < 0xf0)
		return 3;
	if (c >= 0xf0 && c < 0xf5)
		return 4;
	return 0;
}

/* How many bytes of a character are there and right; *ret_len: its length. */
static unsigned good_bytes(const uint8_t *s, size_t len, unsigned *ret_len)
{
	uint8_t low, high;
	unsigned i;

	*ret_len = lead(s[0], &low, &high);
	for (i = 1; i < *ret_len && i < len; i++) {
		if (s[i] < low || s[i] > high)
			break;
		low = 0x80;
		high = 0xbf;
	}
	return *ret_len ? i : 0;
}

unsigned bsx_utf8_next(const char *s, size_t len, uint32_t *ret)
{
	const uint8_t *b = (const uint8_t *)s;
	unsigned n, i;
	uint32_t c;

	if (good_bytes(b, len, &n) < n || !n)
		return 0;
	c = n == 1 ? b[0] : b[0] & (0x7fu >> n);
	for (i = 1; i < n; i++)
		c = c << 6 | (b[i] & 0x3f);
	*ret = c;
	return n;
}

bool bsx_utf8_is_valid(const char *s, size_t len)
{
	uint32_t c;
	unsigned n;

	for (; len; s += n, len -= n) {
		n = bsx_utf8_next(s, len, &c);
		if (!n)
			return false;
	}
	return true;
}

unsigned bsx_utf8_bad(const char *s, size_t len, bool *ret_is_cut)
{
	unsigned n, good = good_bytes((const uint8_t *)s, len, &n);

	*ret_is_cut = n && good == len;
	return good ? good : 1;
}

unsigned bsx_utf8_put(char *buf, uint32_t c)
{
	if (c < 0x80) {
		buf[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		buf[0] = (char)(0xc0 | c >> 6);
		buf[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		buf[0] = (char)(0xe0 | c >> 12);
		buf[1] = (char)(0x80 | (c >> 6 & 0x3f));
		buf[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	buf[0] = (char)(0xf0 | c >> 18);
	buf[1] = (char)(0x80 | (c >> 12 & 0x3f));
	buf[2] = (char)(0x80 | (c >> 6 & 0x3f));
	buf[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

bool bsx_is_space(uint32_t c)
{
	return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 ||
	       c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
	       c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}
