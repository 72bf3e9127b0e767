/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c - printing JSON
 */

#include <inttypes.h>
#include <string.h>

#include "json.h"

void bst_json_init(struct bst_json *j, FILE *file)
{
	j->file = file;
	j->depth = 0;
	j->has_items = 0;
}

/* Length of the well-formed UTF-8 character at 's', or 0. */
static size_t utf8_len(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	size_t n, i;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	c = s[0] & (0xffu >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

static void put_string(FILE *file, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putc('"', file);
	while (*s) {
		size_t n = utf8_len(s);

		if (*s == '"' || *s == '\\')
			fprintf(file, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(file, "\\u%04x", *s);
		else if (n == 0)
			fputs("\\ufffd", file);
		else
			fwrite(s, 1, n, file);
		s += n ? n : 1;
	}
	putc('"', file);
}

/* The comma, the new line and the key before a value. */
static void put_key(struct bst_json *j, const char *key)
{
	if (j->has_items)
		putc(',', j->file);
	if (j->depth)
		fprintf(j->file, "\n%*s", 2 * (int)j->depth, "");
	if (key) {
		put_string(j->file, key);
		fputs(": ", j->file);
	}
	j->has_items = 1;
}

void bst_json_open(struct bst_json *j, const char *key, char bracket)
{
	put_key(j, key);
	putc(bracket, j->file);
	j->depth++;
	j->has_items = 0;
}

void bst_json_close(struct bst_json *j, char bracket)
{
	j->depth--;
	if (j->has_items)
		fprintf(j->file, "\n%*s", 2 * (int)j->depth, "");
	putc(bracket, j->file);
	j->has_items = 1;
	if (!j->depth)
		putc('\n', j->file);
}

void bst_json_string(struct bst_json *j, const char *key, const char *s)
{
	put_key(j, key);
	if (s)
		put_string(j->file, s);
	else
		fputs("null", j->file);
}

void bst_json_u64(struct bst_json *j, const char *key, uint64_t value)
{
	put_key(j, key);
	fprintf(j->file, "%" PRIu64, value);
}

void bst_json_real(struct bst_json *j, const char *key, double value)
{
	put_key(j, key);
	fprintf(j->file, "%.6f", value);
}

void bst_json_bool(struct bst_json *j, const char *key, int value)
{
	put_key(j, key);
	fputs(value ? "true" : "false", j->file);
}
