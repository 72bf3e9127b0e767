/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale.h - contexts from the scales of rows and columns
 *
 * A split gives row r and column c classes so that their sum is
 *
 *	q = kinds * round(phases * (scale of r + scale of c)) + kind of c
 *
 * with scales in octaves.  Of its phases * kinds tables, table q mod their
 * number is used, and q / their number, whole octaves, goes to the exponent:
 * docs/format.md 9.1 needs nothing more.  A column's kind is how many of its
 * values are negative, or its cluster (cluster.h), which tells more of its scale
 * than whole octaves do.
 */

#ifndef BS_SCALE_H
#define BS_SCALE_H

#include "statistics.h"

/* Mantissa bits that may be coded with the exponent. */
#define TOP_MAX 3

/* A value at its finest: exponent, TOP_MAX mantissa bits, sign, as the
 * counts below have it; of an F64 that is 15 bits. */
#define FINEST_WIDTH(fields) ((fields)->exponent + TOP_MAX + 1u)

static inline unsigned bs_split_log2(const struct bs_split *s)
{
	return s->phases_log2 + s->kinds_log2;
}

/* How often column c was seen. */
uint64_t bs_column_len(const struct bs_stats *st, uint64_t c);

/* Fill row_class and column_class, as the split has them, if they are not. */
void bs_split_classes(struct bs_stats *st, const struct bs_split *split);

/*
 * Count the finest values, octaves of q taken off, of the sample by table
 * into st->counts: [tables][1 << FINEST_WIDTH].  Of its runs every one, or
 * about 'n_runs'.  Returns how many elements.  The classes are those of the
 * last bs_split_classes().
 */
size_t bs_split_count(struct bs_stats *st, const struct bs_split *split,
		      unsigned n_runs);

/* The split that looks cheapest by a part of the sample.  Returns what an
 * element would cost without one, by its exponent, two more bits and the sign,
 * in 1/65536 bits. */
uint64_t bs_split_choose(struct bs_stats *st, struct bs_split *ret);

/* 1/65536 bits that the classes take, about. */
uint64_t bs_split_side_cost(const struct bs_stats *st,
			    const struct bs_split *split);

#endif /* BS_SCALE_H */
