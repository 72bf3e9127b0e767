/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - the index of a directory of shards: bigsmall.index.json
 */

#ifndef BS_UP_INDEX_H
#define BS_UP_INDEX_H

#include "../bigsmall.h"

/* A tensor that is stored once, in the shard of another that is the same. */
struct bs_up_alias {
	const char *name; /* borrowed from the index, as is the next */
	const char *of;
};

/* [*ret_n] of them. */
const struct bs_up_alias *bs_up_index_aliases(const struct bs_index *ix,
					      size_t *ret_n);

/* The text of model.safetensors.index.json.  The caller frees *ret. */
enum bs_result bs_up_index_write(const struct bs_index *ix, uint8_t **ret,
				 size_t *ret_len);

#endif /* BS_UP_INDEX_H */
