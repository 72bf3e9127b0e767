/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - how the library's files report what is wrong
 */

#ifndef BS_ERROR_H
#define BS_ERROR_H

#include "bigsmall.h"

/* Fill 'err' (unless NULL) and return 'code'. */
enum bs_result bs_fail(struct bs_error *err, enum bs_result code, uint64_t off,
		       const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif /* BS_ERROR_H */
