/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_safetensors.c - any bytes as the header of a safetensors file
 *
 * Input: u24, the bytes of data after the header; then the header's JSON.  The
 * length prefix is made to fit, or nothing would get past it.
 */

#include "fuzz.h"
#include "safetensors.h"

#define FIXED_LEN 3

/* What a parsed header promises. */
static void check(const struct bs_st *st, uint64_t head_len, uint64_t file_size)
{
	size_t n = bs_st_n_tensors(st), i, d;
	uint64_t end = head_len, n_dims = 0;

	for (i = 0; i < n; i++) {
		const struct bs_st_tensor *t = bs_st_tensor(st, i);

		MUST(t->off >= head_len && t->off <= file_size);
		MUST(t->len <= file_size - t->off);
		MUST(t->dtype < BS_DTYPE_N);
		MUST(t->is_known == (t->dtype != BS_DTYPE_BYTES));
		MUST(strlen(t->name) < head_len);
		MUST(strlen(t->dtype_name) < head_len);
		for (d = 0; d < t->n_dims; d++)
			n_dims += t->shape[d] <= UINT64_C(1) << 53;
		MUST(!i || bs_st_tensor(st, i - 1)->off <= t->off);
		if (!t->len)
			continue;
		MUST(t->off >= end);
		end = t->off + t->len;
		MUST(bs_st_tensor_at(st, t->off) == t);
		MUST(bs_st_tensor_at(st, end - 1) == t);
	}
	MUST(!bs_st_tensor_at(st, end));
	MUST(n_dims < head_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guarded head;
	uint64_t head_len, data_len;
	struct bs_error err = { 0 };
	enum bs_result res;
	struct bs_st *st;
	uint8_t *p;

	if (size >= 8)
		bs_st_header_len(data, size, &head_len, NULL);
	if (size < FIXED_LEN)
		return 0;
	data_len = load16(data) | (uint64_t)data[2] << 16;
	data += FIXED_LEN;
	size -= FIXED_LEN;

	p = guarded_get(&head, 8 + size);
	store64(p, size);
	memcpy(p + 8, data, size);
	MUST(!bs_st_header_len(p, 8 + size + data_len, &head_len, &err));
	MUST(head_len == 8 + size);
	res = bs_st_parse(&st, p, head_len, head_len + data_len, &err);
	if (res) {
		MUST(res == BS_ERR_SYNTAX && err.code == res && !st);
		MUST(memchr(err.text, '\0', sizeof(err.text)) && err.text[0]);
		return 0;
	}
	check(st, head_len, head_len + data_len);
	bs_st_free(st);
	return 0;
}
