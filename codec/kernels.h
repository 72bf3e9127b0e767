/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels.h - the inner loops that may exist in more than one ISA
 *
 * Every member of a table has the contract of its scalar twin, which stands
 * with its algorithm, and the same output to the last bit, the result for
 * malformed input included.
 */

#ifndef BS_KERNELS_H
#define BS_KERNELS_H

#include "checksum.h"
#include "model.h"
#include "plane.h"
#include "rans.h"
#include "take.h"
#include "tally.h"

/*
 * Decode symbols of the first elements of n and merge them, as rans_decode and
 * plane_merge do: as many groups of 64 as suit the kernel, perhaps none.
 * Returns how many elements; the caller goes on from there.  'sym' may be the
 * source of terms, and holds the symbols afterwards.
 */
typedef size_t (*bs_decode_merge_fn)(struct bs_rans_dec *d,
				     const bs_slot *slots, unsigned prob_bits,
				     const uint16_t *q, unsigned table_mask,
				     uint8_t *sym, void *dst, unsigned unit,
				     size_t n, const uint64_t *base,
				     const struct bs_term *terms,
				     unsigned n_terms);

#ifdef __x86_64__
size_t bs_decode_merge_avx512(struct bs_rans_dec *d, const bs_slot *slots,
			      unsigned prob_bits, const uint16_t *q,
			      unsigned table_mask, uint8_t *sym, void *dst,
			      unsigned unit, size_t n, const uint64_t *base,
			      const struct bs_term *terms, unsigned n_terms);
#endif

struct bs_kernels {
	const char *name; /* "scalar", ...: what $BIGSMALL_CPU accepts */
	bs_class_sums_fn class_sums;
	bs_rans_decode_fn rans_decode;
	bs_rans_encode_fn rans_encode;
	bs_take_piece_fn take_piece;
	bs_take_entries_fn take_entries;
	bs_tally_top_fn tally_top;
	bs_tally_sums_fn tally_sums;
	bs_tally_counts_fn tally_counts;
	bs_plane_merge_fn plane_merge;
	bs_decode_merge_fn decode_merge; /* NULL: none */
	bs_xxh3_64_fn xxh3_64;
	bs_xxh3_update_fn xxh3_update;
};

/* The best table for this CPU, chosen once. */
const struct bs_kernels *bs_kernels(void);

/* The i-th table that this CPU can run, best first; NULL past the last. */
const struct bs_kernels *bs_kernels_at(unsigned i);

#endif /* BS_KERNELS_H */
