/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packed_dir.h - a .bsd's 4-bit tensors as a directory that loads by itself
 */

#ifndef BS_UP_PACKED_DIR_H
#define BS_UP_PACKED_DIR_H

#include "canonical.h"
#include "upstream.h"

/*
 * Lay out f->head, f->extents, f->members and the sizes.  'e' are the source's
 * tensors; of f->tensors those with 4-bit values, of which there are some, are shown
 * by these from now on.
 */
enum bs_result bs_up_packed_lay_out(struct bs_up_file *f,
				    const struct bs_up_entry *e, size_t n,
				    const struct bs_int4_dir *dir);

#endif /* BS_UP_PACKED_DIR_H */
