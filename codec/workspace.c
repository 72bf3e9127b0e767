/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workspace.c - scratch memory, and what decoding and encoding share
 */

#include "workspace.h"

#include "model.h"
#include "upstream/tensor.h"

#include <stdlib.h>
#include <string.h>

enum bs_result bs_workspace_new(struct bs_workspace **ret)
{
	struct bs_workspace *ws = calloc(1, sizeof(*ws));

	*ret = ws;
	if (!ws)
		return BS_ERR_NOMEM;
	if (bs_zstd_new(&ws->zstd)) {
		bs_workspace_free(ws);
		*ret = NULL;
		return BS_ERR_NOMEM;
	}
	return BS_OK;
}

void bs_workspace_free(struct bs_workspace *ws)
{
	if (!ws)
		return;
	bs_zstd_free(ws->zstd);
	bs_up_cursor_free(ws->cursor);
	free(ws->raw);
	free(ws->words);
	free(ws->escapes);
	free(ws);
}

void bs_fill(void *dst, size_t len, const void *unit, size_t unit_len)
{
	uint8_t *d = dst;
	size_t done = unit_len;

	memcpy(d, unit, unit_len);
	while (done < len) {
		size_t n = done < len - done ? done : len - done;

		memcpy(d + done, d, n);
		done += n;
	}
}

unsigned bs_segments(const struct bs_plane *p, unsigned first, unsigned n,
		     struct bs_segment *ret)
{
	unsigned count = 0, at = 0, i;

	/* From the least significant part up. */
	for (i = p->n_parts; i-- > 0;) {
		const struct bs_part *part = &p->parts[i];
		unsigned from = at > first ? at : first;
		unsigned to = at + part->bits;

		if (to > first + n)
			to = first + n;
		if (from < to) {
			ret[count].src_shift = (uint8_t)(from - first);
			ret[count].bits = (uint8_t)(to - from);
			ret[count].lo = (uint8_t)(part->lo + from - at);
			count++;
		}
		at += part->bits;
	}
	return count;
}
