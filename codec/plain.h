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

/* Whether bytes begin like a frame. */
int bs_zstd_is_frame(const void *src, size_t len);

/* How far back a frame that begins so may refer, which is what reading it in
 * pieces takes of memory; 0 where that is not said in 'len' bytes. */
#define BS_ZSTD_HEAD_LEN 18
uint64_t bs_zstd_window(const uint8_t *src, size_t len);

/*
 * One frame, from its beginning, in pieces.  read: takes up to *in_len bytes and
 * gives up to *out_len, and says there how many it were; neither means that the
 * frame has ended, or that there was no input.  new and reset are at the
 * beginning; a window of more than 16 MiB is CORRUPT.
 */
struct bs_unzstd;

enum bs_result bs_unzstd_new(struct bs_unzstd **ret);
enum bs_result bs_unzstd_reset(struct bs_unzstd *u);
enum bs_result bs_unzstd_read(struct bs_unzstd *u, const void *in,
			      size_t *in_len, void *out, size_t *out_len);
void bs_unzstd_free(struct bs_unzstd *u); /* NULL is allowed */

#endif /* BS_PLAIN_H */
