/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h - what archive.c offers to the library's other files
 */

#ifndef BS_ARCHIVE_H
#define BS_ARCHIVE_H

#include "bigsmall.h"

struct bs_up_model;

/* Read pool page 'page' and check it.  The caller frees *ret. */
enum bs_result bs_archive_pool_page(const struct bs_archive *ar, uint64_t page,
				    uint8_t **ret, size_t *ret_len,
				    struct bs_error *err);

/* Of an upstream's file: decode blob 'blob' once.  The caller frees *ret. */
enum bs_result bs_archive_load_upstream(struct bs_up_model **ret,
					const struct bs_archive *ar,
					uint64_t blob);

#endif /* BS_ARCHIVE_H */
