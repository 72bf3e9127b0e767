/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packed.h - a tensor's 4-bit values alone, as loaders of such values want them
 */

#ifndef BS_UP_PACKED_H
#define BS_UP_PACKED_H

#include "tensor.h"

/* Bytes that 'fast' is shown in: docs/upstream.md. */
uint64_t bs_up_packed_len(const struct bs_up_fast *fast);

/* Of a packed one: how many of them are values; the scales follow. */
uint64_t bs_up_packed_values_len(const struct bs_up_fast *fast);

/* Find out what is to be shown, and give the XXH3-64 of each UP_CHUNK of it. */
enum bs_result bs_up_packed_sum_up(const struct bs_up_tensor *t,
				   const struct bs_source *src, uint64_t *ret);

/* Whether a tensor has 4-bit values besides. */
int bs_up_packed_has(const struct bs_up_tensor *t);

/* Decode such a one to see whether it is good, and whether they are. */
enum bs_result bs_up_packed_check(const struct bs_up_tensor *t,
				  const struct bs_source *src,
				  bs_up_take_fn take, void *ctx,
				  enum bs_result *ret_int4);

#endif /* BS_UP_PACKED_H */
