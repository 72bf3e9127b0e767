/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - a map from byte strings to numbers
 */

#ifndef BSX_TABLE_H
#define BSX_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BSX_NONE UINT32_MAX

struct bsx_entry {
	const char *key; /* borrowed; NULL: free */
	uint32_t len;
	uint32_t value;
};

struct bsx_table {
	struct bsx_entry *slots; /* [n_slots], owned */
	size_t n_slots; /* a power of two, or 0 */
	size_t n;
};

/* Set a key's value; 'key' is borrowed.  false: no memory. */
bool bsx_table_put(struct bsx_table *t, const char *key, size_t len,
		   uint32_t value);

/* A key's value, or BSX_NONE. */
uint32_t bsx_table_get(const struct bsx_table *t, const char *key, size_t len);

void bsx_table_fini(struct bsx_table *t);

#endif /* BSX_TABLE_H */
