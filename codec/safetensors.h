/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors.h - the header of a safetensors file
 *
 * A file is an 8-byte little-endian header length, that many bytes of JSON,
 * and the data.  Here only the JSON is read, never written: containers keep
 * the header verbatim.
 */

#ifndef BS_SAFETENSORS_H
#define BS_SAFETENSORS_H

#include "bigsmall.h"

/* Larger headers are refused by the safetensors library itself. */
#define BS_ST_HEADER_MAX 100000000u

struct bs_st_tensor {
	const char *name; /* UTF-8, NUL-terminated, borrowed */
	const char *dtype_name; /* as the file spells it, borrowed */
	uint8_t dtype; /* enum bs_dtype; BS_DTYPE_BYTES if unknown */
	uint8_t is_known; /* dtype_name is one we know */
	uint64_t off; /* of its data in the file */
	uint64_t len; /* may be 0 */
	const uint64_t *shape; /* [n_dims], borrowed */
	size_t n_dims;
};

struct bs_st;

/*
 * The length of the whole header (8 + JSON) that 'prefix', a file's first 8
 * bytes, announces.  BS_ERR_SYNTAX if it does not fit 'file_size' or exceeds
 * BS_ST_HEADER_MAX.
 */
enum bs_result bs_st_header_len(const void *prefix, uint64_t file_size,
				uint64_t *ret, struct bs_error *err);

/*
 * Parse 'head' ('len' bytes as bs_st_header_len() gave).  BS_ERR_SYNTAX where
 * the file is no well-formed safetensors: JSON that does not parse, a duplicate
 * key, a shape that does not match its length, overlapping or out-of-range
 * offsets.  Gaps and trailing bytes are allowed.  The caller owns *ret.
 */
enum bs_result bs_st_parse(struct bs_st **ret, const void *head, size_t len,
			   uint64_t file_size, struct bs_error *err);
void bs_st_free(struct bs_st *st);

/* Tensors in order of their data offset (then of name). */
size_t bs_st_n_tensors(const struct bs_st *st);
const struct bs_st_tensor *bs_st_tensor(const struct bs_st *st, size_t i);

/* The tensor that byte 'off' of the file belongs to, or NULL. */
const struct bs_st_tensor *bs_st_tensor_at(const struct bs_st *st,
					   uint64_t off);

#endif /* BS_SAFETENSORS_H */
