/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally_loops.h - the loops of tally.h, for any CPU
 *
 * They are plain C that compilers turn into vectors: tally.c compiles them for
 * the oldest CPUs, x86/ for newer ones, and nothing but the width of a vector
 * differs.
 */

#ifndef BS_TALLY_LOOPS_H
#define BS_TALLY_LOOPS_H

#include "bits.h"
#include "tally.h"

#define LOOP static inline __attribute__((always_inline))

/* Elements at any address. */
typedef uint16_t u16_any __attribute__((aligned(1), may_alias));
typedef uint32_t u32_any __attribute__((aligned(1), may_alias));
typedef uint64_t u64_any __attribute__((aligned(1), may_alias));

/* ---- The top 16 bits ---------------------------------------------------- */

LOOP void top_of(uint16_t *restrict dst, const void *src, unsigned unit,
		 size_t n, uint64_t *any, uint64_t *all)
{
	const u32_any *restrict v4 = src;
	const u64_any *restrict v8 = src;
	uint32_t any4 = 0, all4 = UINT32_MAX;
	uint64_t any8 = 0, all8 = UINT64_MAX;
	size_t i;

	if (unit == 4) {
		for (i = 0; i < n; i++) {
			any4 |= v4[i];
			all4 &= v4[i];
			dst[i] = (uint16_t)(v4[i] >> 16);
		}
		any8 = any4;
		all8 = all4;
	} else {
		for (i = 0; i < n; i++) {
			any8 |= v8[i];
			all8 &= v8[i];
			dst[i] = (uint16_t)(v8[i] >> 48);
		}
	}
	*any |= any8;
	*all &= all8;
}

/* ---- Sums --------------------------------------------------------------- */

LOOP uint16_t steps_of(uint16_t v, int16_t low, int16_t high, unsigned drop)
{
	int16_t x = (int16_t)(v & 0x7fff);

	x = x > low ? x : low;
	x = x < high ? x : high;
	return (uint16_t)((uint16_t)(x - low) >> drop);
}

/* Some neighbours within a row, with columns. */
LOOP uint32_t sum_row(const struct bs_tally_sums *t, const u16_any *restrict v,
		      size_t n, uint32_t *restrict sum,
		      uint32_t *restrict negative)
{
	int16_t low = t->low, high = t->high;
	unsigned drop = t->drop;
	uint32_t row = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		uint16_t x = steps_of(v[i], low, high, drop);

		row += x;
		sum[i] += x;
		negative[i] += v[i] >> 15;
	}
	return row;
}

/* The same without columns. */
LOOP uint32_t sum_row_only(const struct bs_tally_sums *t,
			   const u16_any *restrict v, size_t n)
{
	int16_t low = t->low, high = t->high;
	unsigned drop = t->drop;
	uint32_t row = 0;
	size_t i;

	for (i = 0; i < n; i++)
		row += steps_of(v[i], low, high, drop);
	return row;
}

/* Four rows at once: a column's sums are loaded and stored once for four. */
LOOP void sum_four(const struct bs_tally_sums *t, const u16_any *restrict v,
		   uint32_t *restrict sum, uint32_t *restrict negative,
		   uint32_t *restrict rows)
{
	const u16_any *restrict v1 = v + t->width;
	const u16_any *restrict v2 = v1 + t->width;
	const u16_any *restrict v3 = v2 + t->width;
	int16_t low = t->low, high = t->high;
	uint32_t r0 = 0, r1 = 0, r2 = 0, r3 = 0;
	size_t n = t->width, i;
	unsigned drop = t->drop;

	for (i = 0; i < n; i++) {
		uint16_t a = steps_of(v[i], low, high, drop);
		uint16_t b = steps_of(v1[i], low, high, drop);
		uint16_t c = steps_of(v2[i], low, high, drop);
		uint16_t d = steps_of(v3[i], low, high, drop);

		sum[i] += (uint16_t)(a + b + c + d);
		negative[i] += (uint16_t)((v[i] >> 15) + (v1[i] >> 15) +
					  (v2[i] >> 15) + (v3[i] >> 15));
		r0 += a;
		r1 += b;
		r2 += c;
		r3 += d;
	}
	rows[0] = r0;
	rows[1] = r1;
	rows[2] = r2;
	rows[3] = r3;
}

LOOP void sums_of(const struct bs_tally_sums *t, uint64_t at, const void *src,
		  size_t n)
{
	uint64_t row = at / t->width, column = at % t->width, i;
	const u16_any *v = src;
	size_t m;

	for (; n; n -= m, v += m) {
		uint32_t sums[4];
		unsigned n_rows = 1;

		m = n < t->width - column ? n : (size_t)(t->width - column);
		if (t->column_sum && m == t->width && n / 4 >= m) {
			sum_four(t, v, t->column_sum, t->column_negative, sums);
			n_rows = 4;
			m *= 4;
		} else if (t->column_sum) {
			sums[0] = sum_row(t, v, m, t->column_sum + column,
					  t->column_negative + column);
		} else {
			sums[0] = sum_row_only(t, v, m);
		}
		for (i = 0; t->row_sum && i < n_rows; i++)
			t->row_sum[row + i] += sums[i];
		row += n_rows;
		column = 0;
	}
}

/* ---- Counts ------------------------------------------------------------- */

/*
 * Where in counts the values of some neighbours within a row are.  Shifts to the
 * left are multiplications, and 'drop' is a constant: by C's promotions a shift
 * by a variable is one of 32 bits, in twice as many vectors.
 */
LOOP void find_16(uint16_t *restrict at, const struct bs_tally_counts *t,
		  unsigned drop, const uint16_t *restrict v, size_t n,
		  unsigned row_class, const uint8_t *restrict column_class)
{
	uint16_t mask = (uint16_t)((1u << t->value_bits) - 1);
	uint16_t table_mask = (uint16_t)((1u << t->table_log2) - 1);
	uint16_t octave = (uint16_t)(1u << (t->shift - t->table_log2));
	uint16_t table = (uint16_t)(mask + 1u), base = (uint16_t)row_class;
	size_t i;

	for (i = 0; i < n; i++) {
		uint16_t q = base, y = v[i] & 0x7fff;

		if (column_class)
			q = (uint16_t)(q + column_class[i]);
		y = (uint16_t)((uint16_t)(y >> drop) << 1 | v[i] >> 15);
		y = (uint16_t)(y - (uint16_t)((q & ~table_mask) * octave));
		at[i] = (uint16_t)((q & table_mask) * table | (y & mask));
	}
}

/* Four at a time, by one load. */
LOOP void count_16(uint32_t *counts, const uint16_t *at, size_t n)
{
	size_t i;

	for (i = 0; n - i >= 4; i += 4) {
		uint64_t four = get_u64((const uint8_t *)(at + i));

		counts[four & 65535]++;
		counts[four >> 16 & 65535]++;
		counts[four >> 32 & 65535]++;
		counts[four >> 48]++;
	}
	for (; i < n; i++)
		counts[at[i]]++;
}

/* Values of 16 bits, tables included. */
LOOP void counts_16(const struct bs_tally_counts *t, unsigned drop, uint64_t at,
		    const uint16_t *v, size_t n)
{
	uint64_t row = at / t->width, column = at % t->width;
	uint16_t found[TALLY_MAX];
	size_t m, i;

	for (i = 0; i < n; i += m) {
		unsigned row_class = t->row_class ? t->row_class[row] : 0;

		m = n - i < t->width - column ? n - i
					      : (size_t)(t->width - column);
		if (t->column_class)
			find_16(found + i, t, drop, v + i, m, row_class,
				t->column_class + column);
		else
			find_16(found + i, t, drop, v + i, m, row_class, NULL);
		row++;
		column = 0;
	}
	count_16(t->counts, found, n);
}

/* Anything, one by one. */
LOOP void counts_any(const struct bs_tally_counts *t, uint64_t at,
		     const uint16_t *v, size_t n)
{
	uint64_t row = at / t->width, column = at % t->width;
	uint32_t table_mask = (1u << t->table_log2) - 1, q, y;
	uint32_t mask = (1u << t->value_bits) - 1;
	size_t i;

	for (i = 0; i < n; i++) {
		q = t->row_class ? t->row_class[row] : 0;
		q += t->column_class ? t->column_class[column] : 0;
		y = (v[i] & 0x7fffu) >> t->drop << 1 | v[i] >> 15;
		y -= q >> t->table_log2 << t->shift;
		t->counts[(q & table_mask) << t->value_bits | (y & mask)]++;
		if (++column == t->width) {
			column = 0;
			row++;
		}
	}
}

/* The floats of 16 and 32 bits; others may have values of more than 16 bits. */
LOOP void counts_of(const struct bs_tally_counts *t, uint64_t at,
		    const uint16_t *v, size_t n)
{
	if (t->drop == 4)
		counts_16(t, 4, at, v, n);
	else if (t->drop == 7)
		counts_16(t, 7, at, v, n);
	else
		counts_any(t, at, v, n);
}

#endif /* BS_TALLY_LOOPS_H */
