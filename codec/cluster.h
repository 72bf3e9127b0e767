/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.h - columns of a matrix that have about the same values
 */

#ifndef BS_CLUSTER_H
#define BS_CLUSTER_H

#include "scale.h"

/*
 * Find kinds of columns, 1 << split->kinds_log2 of them, by a sample's half
 * octaves and signs, whole octaves of rows' and columns' classes taken off;
 * and OR each column's kind to its class.  The classes are the split's, with all
 * kinds 0.
 */
void bs_cluster_columns(struct bs_stats *st, const struct bs_split *split);

#endif /* BS_CLUSTER_H */
