/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.h - XXH3-64 of a buffer, and what XXH3-128 is made with; MD5, which
 * only upstream's files have
 */

#ifndef BS_CHECKSUM_H
#define BS_CHECKSUM_H

#include "bigsmall.h"

uint64_t bs_xxh3_64(const void *data, size_t len);

/* The same, for the table of kernels. */
typedef uint64_t (*bs_xxh3_64_fn)(const void *data, size_t len);

/* Bytes of a stream: 'state' is an XXH3_state_t. */
typedef void (*bs_xxh3_update_fn)(void *state, const void *data, size_t len);

uint64_t bs_xxh3_64_scalar(const void *data, size_t len);
void bs_xxh3_update_scalar(void *state, const void *data, size_t len);
#ifdef __x86_64__
uint64_t bs_xxh3_64_avx2(const void *data, size_t len);
void bs_xxh3_update_avx2(void *state, const void *data, size_t len);
uint64_t bs_xxh3_64_avx512(const void *data, size_t len);
void bs_xxh3_update_avx512(void *state, const void *data, size_t len);
#endif

struct bs_md5;

enum bs_result bs_md5_new(struct bs_md5 **ret);
void bs_md5_update(struct bs_md5 *m, const void *data, size_t len);
void bs_md5_final(struct bs_md5 *m, uint8_t *ret); /* once */
void bs_md5_free(struct bs_md5 *m); /* NULL is allowed */

#endif /* BS_CHECKSUM_H */
