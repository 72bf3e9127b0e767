/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.c - sentences about what is wrong
 */

#include "fault.h"

#include <stdarg.h>
#include <stdio.h>

enum bsx_result bsx_fail(struct bsx_error *err, enum bsx_result code,
			 const char *fmt, ...)
{
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return code;
}

enum bsx_result bsx_no_memory(struct bsx_error *err)
{
	return bsx_fail(err, BSX_ERR_SYSTEM, "out of memory.");
}
