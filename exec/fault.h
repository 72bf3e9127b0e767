/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h - how the engine's files report what is wrong
 */

#ifndef BSX_FAULT_H
#define BSX_FAULT_H

#include "exec.h"

/* Fill 'err' (unless NULL) and return 'code'. */
enum bsx_result bsx_fail(struct bsx_error *err, enum bsx_result code,
			 const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

enum bsx_result bsx_no_memory(struct bsx_error *err);

#endif /* BSX_FAULT_H */
