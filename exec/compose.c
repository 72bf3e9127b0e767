/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose.c - Unicode's normalisation form C, by utf8proc
 */

#include <stdlib.h>
#include <utf8proc.h>

#include "utf8.h"

bool bsx_text_add_composed(struct bsx_text *t, const char *s, size_t len)
{
	utf8proc_uint8_t *composed;
	utf8proc_ssize_t n;
	bool ok;

	n = utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len,
			 &composed, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	if (n < 0)
		return false;
	ok = bsx_text_add(t, (const char *)composed, (size_t)n);
	free(composed);
	return ok;
}
