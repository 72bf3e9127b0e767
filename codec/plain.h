/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain.h - zstd: general-purpose coding of bytes that are no weights
 */

#ifndef BS_PLAIN_H
#define BS_PLAIN_H

#include "bigsmall.h"

struct bs_zstd; /* contexts for one thread */

enum bs_result bs_zstd_new(struct bs_zstd **ret);
void bs_zstd_free(struct bs_zstd *z);

/* One frame of 'src' into 'dst'; its length, or 0 where it does not fit. */
size_t bs_zstd_encode(struct bs_zstd *z, void *dst, size_t cap, const void *src,
		      size_t len);

/* 'src' is exactly one frame of exactly 'dst_len' bytes; else CORRUPT. */
enum bs_result bs_zstd_decode(struct bs_zstd *z, void *dst, size_t dst_len,
			      const void *src, size_t len);

#endif /* BS_PLAIN_H */
