/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally.h - what statistics count: sums of rows and columns, values by table
 *
 * All of it is about the top 16 bits of floats.
 */

#ifndef BS_TALLY_H
#define BS_TALLY_H

#include <stddef.h>
#include <stdint.h>

/*
 * The top 16 bits of n elements of 4 or 8 bytes; *any |= each element, *all &=
 * each.
 */
typedef void (*bs_tally_top_fn)(uint16_t *dst, const void *src, unsigned unit,
				size_t n, uint64_t *any, uint64_t *all);

/* Magnitudes, clamped to low..high, less low, in steps of 1 << drop; of high -
 * low they are less than 256. */
struct bs_tally_sums {
	int16_t low;
	int16_t high;
	uint8_t drop;
	uint64_t width; /* elements a row */
	uint32_t *row_sum; /* NULL: not wanted; borrowed, and so on */
	uint32_t *column_sum; /* with column_negative, how many are negative */
	uint32_t *column_negative;
};

/* Add n neighbours, of which the first is element 'at' of the blob. */
typedef void (*bs_tally_sums_fn)(const struct bs_tally_sums *t, uint64_t at,
				 const void *v, size_t n);

/* Values without their lowest 'drop' bits, the sign below, by table. */
struct bs_tally_counts {
	uint64_t width;
	const uint8_t *row_class; /* NULL: zeros; borrowed */
	const uint8_t *column_class; /* likewise */
	uint8_t table_log2;
	uint8_t drop;
	uint8_t shift; /* of an octave in the value */
	uint8_t value_bits; /* table_log2 + value_bits < 32 */
	uint32_t *counts; /* [1 << table_log2][1 << value_bits], borrowed */
};

/* Count n neighbours, likewise; n <= TALLY_MAX. */
#define TALLY_MAX 1024
typedef void (*bs_tally_counts_fn)(const struct bs_tally_counts *t, uint64_t at,
				   const uint16_t *v, size_t n);

void bs_tally_top_scalar(uint16_t *dst, const void *src, unsigned unit,
			 size_t n, uint64_t *any, uint64_t *all);
void bs_tally_sums_scalar(const struct bs_tally_sums *t, uint64_t at,
			  const void *v, size_t n);
void bs_tally_counts_scalar(const struct bs_tally_counts *t, uint64_t at,
			    const uint16_t *v, size_t n);
#ifdef __x86_64__
void bs_tally_top_avx2(uint16_t *dst, const void *src, unsigned unit, size_t n,
		       uint64_t *any, uint64_t *all);
void bs_tally_sums_avx2(const struct bs_tally_sums *t, uint64_t at,
			const void *v, size_t n);
void bs_tally_counts_avx2(const struct bs_tally_counts *t, uint64_t at,
			  const uint16_t *v, size_t n);
void bs_tally_top_avx512(uint16_t *dst, const void *src, unsigned unit,
			 size_t n, uint64_t *any, uint64_t *all);
void bs_tally_sums_avx512(const struct bs_tally_sums *t, uint64_t at,
			  const void *v, size_t n);
void bs_tally_counts_avx512(const struct bs_tally_counts *t, uint64_t at,
			    const uint16_t *v, size_t n);
#endif

#endif /* BS_TALLY_H */
