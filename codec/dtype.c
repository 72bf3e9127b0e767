/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dtype.c - the element types of safetensors
 */

#include "bigsmall.h"

static const struct {
	const char *name;
	uint8_t bits;
	uint8_t unit; /* bytes that a plane model splits at a time */
} dtypes[BS_DTYPE_N] = {
	[BS_DTYPE_BYTES] = { "bytes", 8, 1 },
	[BS_DTYPE_BF16] = { "BF16", 16, 2 },
	[BS_DTYPE_F16] = { "F16", 16, 2 },
	[BS_DTYPE_F32] = { "F32", 32, 4 },
	[BS_DTYPE_F64] = { "F64", 64, 8 },
	[BS_DTYPE_F8_E4M3] = { "F8_E4M3", 8, 1 },
	[BS_DTYPE_F8_E5M2] = { "F8_E5M2", 8, 1 },
	[BS_DTYPE_F8_E8M0] = { "F8_E8M0", 8, 1 },
	[BS_DTYPE_F4] = { "F4", 4, 1 },
	[BS_DTYPE_F6_E2M3] = { "F6_E2M3", 6, 1 },
	[BS_DTYPE_F6_E3M2] = { "F6_E3M2", 6, 1 },
	[BS_DTYPE_I8] = { "I8", 8, 1 },
	[BS_DTYPE_U8] = { "U8", 8, 1 },
	[BS_DTYPE_I16] = { "I16", 16, 2 },
	[BS_DTYPE_U16] = { "U16", 16, 2 },
	[BS_DTYPE_I32] = { "I32", 32, 4 },
	[BS_DTYPE_U32] = { "U32", 32, 4 },
	[BS_DTYPE_I64] = { "I64", 64, 8 },
	[BS_DTYPE_U64] = { "U64", 64, 8 },
	[BS_DTYPE_BOOL] = { "BOOL", 8, 1 },
	[BS_DTYPE_C64] = { "C64", 64, 4 }, /* two F32 */
};

const char *bs_dtype_name(unsigned dtype)
{
	return dtypes[dtype < BS_DTYPE_N ? dtype : 0].name;
}

unsigned bs_dtype_bits(unsigned dtype)
{
	return dtypes[dtype < BS_DTYPE_N ? dtype : 0].bits;
}

unsigned bs_dtype_unit(unsigned dtype)
{
	return dtypes[dtype < BS_DTYPE_N ? dtype : 0].unit;
}
