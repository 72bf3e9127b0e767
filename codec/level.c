/* SPDX-License-Identifier: Apache-2.0 */
/*
 * level.c - the three levels
 *
 * Figures are for the AVX-512 kernels and trained bf16 weights; of what each
 * choice costs and gains docs/codec.md has more.
 *
 * Inference has one table a tensor: without contexts a sixth more elements are
 * decoded in the same time, and 128 KiB are the least that a small random read
 * decodes.  Storage has up to 16 tables of 12 bits, chunks of 512 KiB, and columns
 * clustered by what their values are: it decodes four fifths as fast.  (With
 * 32, which vectors cannot find by 16 bits, a fifth slower, for 0.06 points of
 * f16 and none of bf16; with 32 of 11 bits bf16 takes 0.08 points more.)
 * By default there are 8 tables; several of 12 bits do not fit the first-level
 * cache: of 11 they decode 6 to 8 % faster, for 0.02 to 0.05 % of a file.
 */

#include "level.h"

const struct bs_level_params *bs_level_params(enum bs_level level)
{
	static const struct bs_level_params params[] = {
		[BS_LEVEL_DEFAULT] = { .chunk_size_log2 = 18,
				       .chunk_size_log2_wide = 18,
				       .tables_log2 = 3,
				       .prob_bits = 11,
				       .sample_runs = 1024,
				       .probe_runs = 64,
				       .split_gain = 1000,
				       .piece_gain = 2000,
				       .local_gain = 128 },
		[BS_LEVEL_INFERENCE] = { .chunk_size_log2 = 17,
					 .chunk_size_log2_wide = 17,
					 .prob_bits = 12,
					 .sample_runs = 1024,
					 .piece_gain = 500,
					 .local_gain = 8 },
		[BS_LEVEL_STORAGE] = { .chunk_size_log2 = 19,
				       .chunk_size_log2_wide = 18,
				       .tables_log2 = 4,
				       .prob_bits = 12,
				       .clusters = 1,
				       .sample_runs = 4096,
				       .probe_runs = 256,
				       .split_gain = 10000,
				       .piece_gain = 20000,
				       .local_gain = 1024 },
	};

	return &params[level];
}
