/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builder.c - JSON that grows
 */

#include "builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bs_up_put(struct bs_up_text *t, const char *s, size_t len)
{
	if (t->allocated - t->len < len && !t->has_failed) {
		size_t n = 2 * t->allocated + len;
		char *p = realloc(t->p, n);

		if (!p) {
			t->has_failed = 1;
			return;
		}
		t->p = p;
		t->allocated = n;
	}
	if (t->has_failed)
		return;
	memcpy(t->p + t->len, s, len);
	t->len += len;
}

void bs_up_put_text(struct bs_up_text *t, const char *s)
{
	bs_up_put(t, s, strlen(s));
}

void bs_up_put_number(struct bs_up_text *t, uint64_t v)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "%llu", (unsigned long long)v);
	bs_up_put_text(t, buf);
}

void bs_up_put_string(struct bs_up_text *t, const char *s)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *run = s;

	bs_up_put_text(t, "\"");
	for (; *s; s++) {
		const char *escape = strchr(from, *s);
		char buf[8];

		if (!escape && (unsigned char)*s >= 0x20)
			continue;
		bs_up_put(t, run, (size_t)(s - run));
		run = s + 1;
		if (escape)
			snprintf(buf, sizeof(buf), "\\%c", to[escape - from]);
		else
			snprintf(buf, sizeof(buf), "\\u%04x", (unsigned)*s);
		bs_up_put_text(t, buf);
	}
	bs_up_put(t, run, (size_t)(s - run));
	bs_up_put_text(t, "\"");
}
