/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c - results: their names, their words, their errno
 *
 * The only place where a result turns into an errno.
 */

#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
	enum bs_result res;
	int err;
	const char *name;
	const char *text;
} results[] = {
	{ BS_OK, 0, "BS_OK", "no error" },
	{ BS_ERR_NOMEM, ENOMEM, "BS_ERR_NOMEM", "out of memory" },
	{ BS_ERR_IO, EIO, "BS_ERR_IO", "reading or writing failed" },
	{ BS_ERR_PARAM, EINVAL, "BS_ERR_PARAM", "wrong use of the library" },
	{ BS_ERR_MAGIC, EIO, "BS_ERR_MAGIC", "not a bigsmall container" },
	{ BS_ERR_VERSION, EIO, "BS_ERR_VERSION",
	  "a container of a version this program cannot read" },
	{ BS_ERR_FEATURE, EIO, "BS_ERR_FEATURE",
	  "a container with a feature this program lacks" },
	{ BS_ERR_TRUNCATED, EIO, "BS_ERR_TRUNCATED",
	  "the file is shorter than it should be" },
	{ BS_ERR_CORRUPT, EIO, "BS_ERR_CORRUPT",
	  "a field contradicts the format" },
	{ BS_ERR_CHECKSUM, EIO, "BS_ERR_CHECKSUM",
	  "the bytes are not those that were written" },
	{ BS_ERR_SYNTAX, EINVAL, "BS_ERR_SYNTAX",
	  "not a well-formed safetensors file" },
};

static size_t index_of(enum bs_result res)
{
	size_t i;

	for (i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		if (results[i].res == res)
			return i;
	}
	return 3; /* BS_ERR_PARAM: no such result */
}

const char *bs_result_name(enum bs_result res)
{
	return results[index_of(res)].name;
}

const char *bs_result_text(enum bs_result res)
{
	return results[index_of(res)].text;
}

int bs_result_errno(enum bs_result res)
{
	return results[index_of(res)].err;
}

#define STR2(x) #x
#define STR(x) STR2(x)

const char *bs_version(void)
{
	return STR(BIGSMALL_VERSION_MAJOR) "." STR(
		BIGSMALL_VERSION_MINOR) "." STR(BIGSMALL_VERSION_PATCH);
}

enum bs_result bs_fail(struct bs_error *err, enum bs_result code, uint64_t off,
		       const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	err->off = off;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}
