/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_tokenizer.c - any bytes as tokenizer.json, and a text for it
 *
 * Input: u8, the length of the text; the text; then the file.
 */

#include "fuzz.h"
#include "tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bsx_tokenizer *t;
	struct bsx_error err = { 0 };
	struct bsx_ids ids = { 0 };
	enum bsx_result res;
	size_t text_len, i;

	if (!size)
		return 0;
	text_len = data[0] < size - 1 ? data[0] : size - 1;
	res = bsx_tokenizer_parse(&t, (const char *)data + 1 + text_len,
				  size - 1 - text_len, &err);
	if (res) {
		MUST(*err.text && strlen(err.text) < sizeof(err.text));
		return 0;
	}
	res = bsx_tokenizer_encode(t, (const char *)data + 1, text_len, true,
				   &ids, &err);
	MUST(!res || *err.text);
	for (i = 0; i < ids.n; i++)
		MUST(ids.id[i] < t->n_tokens && t->tokens[ids.id[i]].s);
	free(ids.id);
	bsx_tokenizer_free(t);
	return 0;
}
