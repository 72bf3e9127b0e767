/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.h - XXH3-64 of a buffer
 */

#ifndef BS_CHECKSUM_H
#define BS_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t bs_xxh3_64(const void *data, size_t len);

#endif /* BS_CHECKSUM_H */
