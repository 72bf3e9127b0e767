/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpe.h - byte pair encoding: pieces of text to tokens
 */

#ifndef BSX_BPE_H
#define BSX_BPE_H

#include "fault.h"
#include "table.h"
#include "utf8.h"

struct bsx_merge {
	uint32_t left, right; /* tokens; left BSX_NONE: free */
	uint32_t rank;
	uint32_t result;
};

struct bsx_bpe {
	struct bsx_table vocab; /* keys are the tokenizer's */
	struct bsx_merge *merges; /* [n_slots], owned: open addressing */
	size_t n_slots; /* a power of two */
	uint32_t byte_id[256]; /* byte-level: of one byte; else of <0xNN> */
	bool is_byte_level; /* symbols begin as bytes, else as characters */
	bool has_byte_fallback; /* characters not in vocab become bytes */
	bool ignores_merges; /* a piece that is in vocab is that token */
	bool fuses_unknown; /* neighbours that are not in vocab are one */
	uint32_t unknown; /* their token, or BSX_NONE: left out */
};

/* Room for n merges. */
enum bsx_result bsx_bpe_reserve(struct bsx_bpe *b, size_t n,
				struct bsx_error *err);

/* Add a merge; of two of the same pair the first counts. */
void bsx_bpe_add_merge(struct bsx_bpe *b, uint32_t left, uint32_t right,
		       uint32_t rank, uint32_t result);

/* Add the tokens of a piece, in valid UTF-8, to 'ids'. */
enum bsx_result bsx_bpe_encode(const struct bsx_bpe *b, const char *s,
			       size_t len, struct bsx_ids *ids,
			       struct bsx_error *err);

void bsx_bpe_fini(struct bsx_bpe *b);

#endif /* BSX_BPE_H */
