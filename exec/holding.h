/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holding.h - which weights are in memory, and the others when their turn
 * comes
 */

#ifndef BSX_HOLDING_H
#define BSX_HOLDING_H

#include "layer.h"

/*
 * The first n_kept layers stay, and perhaps the head.  The others, and the head
 * in blocks of rows, are read anew for each pass, in order, by a thread of its
 * own, to two places in turns: one is read while another is computed with.  Of
 * tables that do not stay (embeddings, positions), a row is read for each token.
 */
struct bsx_holding {
	uint32_t n_kept;
	bool has_head;
	bool has_tables; /* besides the head, if that is one */
	size_t block; /* rows, if the head does not stay */
	uint64_t place; /* bytes of one */
	uint64_t bytes; /* of memory, at most */
	uint64_t pass_bytes; /* to be read for each pass, of one token */
	bool once; /* what stays is not left in the kernel's page cache */
};

/*
 * Keep what 'budget' bytes have room for, so that the least is read for each
 * pass, or nothing if 'streams'.  BSX_ERR_REFUSED: there is no room even for
 * that.  BSX_ERR_MODEL: as bsx_part_bytes().
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

/* What stays of what is outside of layers: the norm at least. */
const struct bsx_part *bsx_resident_outside(const struct bsx_resident *r);

/* Layers and blocks of the head, which come after them: one if it stays. */
uint32_t bsx_resident_parts(const struct bsx_resident *r);

/* A pass over the layers begins, and over the head as well or not. */
void bsx_resident_begin(struct bsx_resident *r, bool with_head);

/* Layer i, or a block of the head, once it is there; it is to be given back
 * before the next is asked for.  One thread's calls, which go through the parts
 * in order. */
enum bsx_result bsx_resident_get(struct bsx_resident *r, uint32_t i,
				 const struct bsx_part **ret,
				 struct bsx_error *err);
void bsx_resident_put(struct bsx_resident *r, uint32_t i);

#endif /* BSX_HOLDING_H */
