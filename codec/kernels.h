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
#include "plane.h"
#include "rans.h"

struct bs_kernels {
	const char *name; /* "scalar", ...: what $BIGSMALL_CPU accepts */
	bs_rans_decode_fn rans_decode;
	bs_plane_merge_fn plane_merge;
	bs_xxh3_64_fn xxh3_64;
};

/* The best table for this CPU, chosen once. */
const struct bs_kernels *bs_kernels(void);

/* The i-th table that this CPU can run, best first; NULL past the last. */
const struct bs_kernels *bs_kernels_at(unsigned i);

#endif /* BS_KERNELS_H */
