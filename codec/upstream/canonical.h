/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canonical.h - the header that the safetensors library would write
 */

#ifndef BS_UP_CANONICAL_H
#define BS_UP_CANONICAL_H

#include "../bigsmall.h"

struct bs_up_entry {
	const char *name; /* borrowed */
	const char *dtype; /* as safetensors spells it; borrowed */
	uint64_t *shape; /* [n_dims]; borrowed */
	size_t n_dims;
	uint64_t len; /* bytes */
	size_t blob; /* the caller's */
};

/* A key and its text. */
struct bs_up_meta {
	const char *key;
	const char *text;
};

/* What safetensors calls a dtype that upstream calls 'name', or NULL; *ret_bits
 * is what an element has, *ret_pack how many of them the shape counts as one
 * along its last dimension. */
const char *bs_up_dtype(const char *name, unsigned *ret_bits,
			unsigned *ret_pack);

/* Put entries in the order of the data: by dtype, then by name. */
void bs_up_sort_entries(struct bs_up_entry *e, size_t n);

/*
 * The header, its length before it and spaces after it, of sorted entries.
 * 'meta' is NULL where there is no __metadata__.  The caller frees *ret.
 */
enum bs_result bs_up_write_header(uint8_t **ret, size_t *ret_len,
				  const struct bs_up_entry *e, size_t n,
				  const struct bs_up_meta *meta, size_t n_meta);

#endif /* BS_UP_CANONICAL_H */
