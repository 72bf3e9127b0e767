/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - open addressing, at most half full
 */

#include "table.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, mixed once more so that its low bits are good. */
static size_t hash(const char *key, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ (uint8_t)key[i]) * 0x100000001b3u;
	return (size_t)(h ^ h >> 29);
}

/* Where the key is, or would be. */
static struct bsx_entry *find(struct bsx_entry *slots, size_t n_slots,
			      const char *key, size_t len)
{
	size_t i = hash(key, len) & (n_slots - 1);

	while (slots[i].key &&
	       (slots[i].len != len || memcmp(slots[i].key, key, len) != 0))
		i = (i + 1) & (n_slots - 1);
	return &slots[i];
}

static bool grow(struct bsx_table *t)
{
	size_t n_slots = t->n_slots ? 2 * t->n_slots : 64, i;
	struct bsx_entry *slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return false;
	for (i = 0; i < t->n_slots; i++) {
		const struct bsx_entry *e = &t->slots[i];

		if (e->key)
			*find(slots, n_slots, e->key, e->len) = *e;
	}
	free(t->slots);
	t->slots = slots;
	t->n_slots = n_slots;
	return true;
}

bool bsx_table_put(struct bsx_table *t, const char *key, size_t len,
		   uint32_t value)
{
	struct bsx_entry *e;

	if (2 * (t->n + 1) > t->n_slots && !grow(t))
		return false;
	e = find(t->slots, t->n_slots, key, len);
	t->n += !e->key;
	*e = (struct bsx_entry){ key, (uint32_t)len, value };
	return true;
}

uint32_t bsx_table_get(const struct bsx_table *t, const char *key, size_t len)
{
	const struct bsx_entry *e;

	if (!t->n)
		return BSX_NONE;
	e = find(t->slots, t->n_slots, key, len);
	return e->key ? e->value : BSX_NONE;
}

void bsx_table_fini(struct bsx_table *t)
{
	free(t->slots);
	*t = (struct bsx_table){ 0 };
}
