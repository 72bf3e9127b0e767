/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classes_avx2.c - sums of row and column classes, 16 at a time
 *
 * Wider vectors gain nothing: stores of 64 bytes take two cycles.
 */

#ifdef __x86_64__

#include "../model.h"
#include "avx2.h"

#define VECTOR 16

INLINE void sum_vector(uint16_t *q, const uint8_t *columns, __m256i row)
{
	__m256i v = _mm256_cvtepu8_epi16(
		_mm_loadu_si128((const __m128i *)(const void *)columns));

	_mm256_storeu_si256((__m256i *)(void *)q, _mm256_add_epi16(v, row));
}

/* m elements of one row. */
INLINE void sum_row(uint16_t *q, const uint8_t *columns, unsigned row, size_t m)
{
	__m256i v = _mm256_set1_epi16((short)row);
	size_t k;

	for (k = 0; m - k >= 2 * VECTOR; k += 2 * VECTOR) {
		sum_vector(q + k, columns + k, v);
		sum_vector(q + k + VECTOR, columns + k + VECTOR, v);
	}
	if (m - k >= VECTOR) {
		sum_vector(q + k, columns + k, v);
		k += VECTOR;
	}
	if (m >= VECTOR) {
		/* The last again, some of them for the second time. */
		sum_vector(q + m - VECTOR, columns + m - VECTOR, v);
		return;
	}
	for (; k < m; k++)
		q[k] = (uint16_t)(row + columns[k]);
}

AVX2 void bs_class_sums_avx2(uint16_t *restrict q, const uint8_t *rows,
			     const uint8_t *columns, uint64_t width,
			     uint64_t at, size_t n)
{
	uint64_t row = at / width, column = at % width;
	size_t m;

	if (!columns) {
		bs_class_sums_scalar(q, rows, NULL, width, at, n);
		return;
	}
	for (; n; n -= m, q += m) {
		m = n < width - column ? n : (size_t)(width - column);
		sum_row(q, columns + column, rows ? rows[row] : 0, m);
		row++;
		column = 0;
	}
}

#endif /* __x86_64__ */
