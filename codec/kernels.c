/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels.c - which inner loops run on this CPU
 *
 * The only file that asks what the CPU can do.  In test builds $BIGSMALL_CPU
 * names the table to use; a name that this CPU cannot run is fatal, since a
 * run that silently tested something else is worse than none.
 */

#include "kernels.h"

#include "bigsmall.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool always(void)
{
	return true;
}

#ifdef __x86_64__

/* The builtins ask the operating system too: whether it saves the registers. */
static bool has_avx2(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") &&
	       __builtin_cpu_supports("popcnt");
}

static bool has_avx512(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vl");
}

#endif

/* Best first. */
static const struct {
	bool (*runs_here)(void);
	struct bs_kernels k;
} tables[] = {
#ifdef __x86_64__
	{ has_avx512,
	  {
		  .name = "avx512",
		  .class_sums = bs_class_sums_avx2,
		  .rans_decode = bs_rans_decode_avx512,
		  .rans_encode = bs_rans_encode_avx512,
		  .take_piece = bs_take_piece_avx512,
		  .take_entries = bs_take_entries_avx512,
		  .tally_top = bs_tally_top_avx512,
		  .tally_sums = bs_tally_sums_avx512,
		  .tally_counts = bs_tally_counts_avx512,
		  .plane_merge = bs_plane_merge_avx512,
		  .decode_merge = bs_decode_merge_avx512,
		  .xxh3_64 = bs_xxh3_64_avx512,
		  .xxh3_update = bs_xxh3_update_avx512,
	  } },
	{ has_avx2,
	  {
		  .name = "avx2",
		  .class_sums = bs_class_sums_avx2,
		  .rans_decode = bs_rans_decode_avx2,
		  .rans_encode = bs_rans_encode_avx2,
		  .take_piece = bs_take_piece_avx2,
		  .take_entries = bs_take_entries_avx2,
		  .tally_top = bs_tally_top_avx2,
		  .tally_sums = bs_tally_sums_avx2,
		  .tally_counts = bs_tally_counts_avx2,
		  .plane_merge = bs_plane_merge_avx2,
		  .xxh3_64 = bs_xxh3_64_avx2,
		  .xxh3_update = bs_xxh3_update_avx2,
	  } },
#endif
#ifdef __aarch64__
	{ always, /* NEON is part of the architecture. */
	  {
		  .name = "neon",
		  .class_sums = bs_class_sums_scalar,
		  .rans_decode = bs_rans_decode_neon,
		  .rans_encode = bs_rans_encode_scalar,
		  .take_piece = bs_take_piece_scalar,
		  .take_entries = bs_take_entries_scalar,
		  .tally_top = bs_tally_top_scalar,
		  .tally_sums = bs_tally_sums_scalar,
		  .tally_counts = bs_tally_counts_scalar,
		  .plane_merge = bs_plane_merge_neon,
		  .xxh3_64 = bs_xxh3_64_scalar, /* is NEON here: checksum.c */
		  .xxh3_update = bs_xxh3_update_scalar,
	  } },
#endif
	{ always,
	  {
		  .name = "scalar",
		  .class_sums = bs_class_sums_scalar,
		  .rans_decode = bs_rans_decode_scalar,
		  .rans_encode = bs_rans_encode_scalar,
		  .take_piece = bs_take_piece_scalar,
		  .take_entries = bs_take_entries_scalar,
		  .tally_top = bs_tally_top_scalar,
		  .tally_sums = bs_tally_sums_scalar,
		  .tally_counts = bs_tally_counts_scalar,
		  .plane_merge = bs_plane_merge_scalar,
		  .xxh3_64 = bs_xxh3_64_scalar,
		  .xxh3_update = bs_xxh3_update_scalar,
	  } },
};

const struct bs_kernels *bs_kernels_at(unsigned i)
{
	unsigned t;

	for (t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		if (tables[t].runs_here() && i-- == 0)
			return &tables[t].k;
	}
	return NULL;
}

static const struct bs_kernels *choose(void)
{
#ifdef BIGSMALL_TEST_HOOKS
	const char *want = getenv("BIGSMALL_CPU");
	const struct bs_kernels *k;
	unsigned i;

	if (want && *want) {
		for (i = 0; (k = bs_kernels_at(i)); i++) {
			if (!strcmp(k->name, want))
				return k;
		}
		abort();
	}
#endif
	return bs_kernels_at(0);
}

const struct bs_kernels *bs_kernels(void)
{
	static _Atomic(const struct bs_kernels *) chosen;
	const struct bs_kernels *k = atomic_load(&chosen);

	/* Two threads may both choose; they choose the same table. */
	if (!k) {
		k = choose();
		atomic_store(&chosen, k);
	}
	return k;
}

const char *bs_kernels_name(void)
{
	return bs_kernels()->name;
}
