/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holding.h - which weights are in memory, and the others when their turn
 * comes
 */

#ifndef BSX_HOLDING_H
#define BSX_HOLDING_H

#include "layer.h"

/*
 * What is outside of layers and the first n_kept layers stay.  The others are
 * read anew for each pass, in order, by a thread of their own, to two places in
 * turns: one is read while another is computed with.
 */
struct bsx_holding {
	uint32_t n_kept;
	uint64_t bytes; /* of memory, at most */
	uint64_t pass_bytes; /* to be read for each pass */
};

/*
 * Keep as many layers as 'budget' bytes have room for, or none if 'streams'.
 * BSX_ERR_REFUSED: there is no room even for that.  BSX_ERR_MODEL: as
 * bsx_part_bytes().
 */
enum bsx_result bsx_resident_plan(const struct bsx_model *m, uint64_t budget,
				  bool streams, struct bsx_holding *ret,
				  struct bsx_error *err);

struct bsx_resident;

/* Read what stays, and begin with the rest; stop() as for a session.  The
 * caller frees *ret. */
enum bsx_result bsx_resident_new(struct bsx_resident **ret,
				 const struct bsx_model *m,
				 const struct bsx_holding *holding,
				 bool (*stop)(void), struct bsx_error *err);
void bsx_resident_free(struct bsx_resident *r);

/* What is outside of layers. */
const struct bsx_part *bsx_resident_outside(const struct bsx_resident *r);

/* Layer i, once it is there; it is to be given back before the next is asked
 * for.  One thread's calls, which go through the layers in order. */
enum bsx_result bsx_resident_get(struct bsx_resident *r, uint32_t i,
				 const struct bsx_part **ret,
				 struct bsx_error *err);
void bsx_resident_put(struct bsx_resident *r, uint32_t i);

#endif /* BSX_HOLDING_H */
