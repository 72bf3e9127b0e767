/* SPDX-License-Identifier: Apache-2.0 */
/*
 * md5.h - MD5, which only upstream's files have: it finds damage there, and keeps
 * nobody out
 */

#ifndef BS_MD5_H
#define BS_MD5_H

#include <stddef.h>
#include <stdint.h>

#define BS_MD5_BLOCK 64
#define BS_MD5_LANES 4

struct bs_md5 {
	uint32_t state[4];
	uint64_t len;
	uint8_t rest[BS_MD5_BLOCK]; /* the last len % BS_MD5_BLOCK bytes */
};

void bs_md5_init(struct bs_md5 *m);
void bs_md5_update(struct bs_md5 *m, const void *data, size_t len);
void bs_md5_final(struct bs_md5 *m, uint8_t *ret); /* [BS_MD5_LEN], once */

/* 'len' bytes, whole blocks, for each of 'n' <= BS_MD5_LANES, none of which has a
 * rest: in less time than one after another. */
void bs_md5_update_many(struct bs_md5 *const *m, const uint8_t *const *data,
			unsigned n, size_t len);

#endif /* BS_MD5_H */
