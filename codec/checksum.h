/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.h - XXH3-64 of a buffer, and what XXH3-128 is made with
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

#endif /* BS_CHECKSUM_H */
