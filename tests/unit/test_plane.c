/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_plane.c - bits to planes and back, against the document's formulas
 *
 * The reference here is written bit by bit from docs/format.md 9.2.
 */

#include "../test.h"
#include "kernels.h"
#include "plane.h"

#define N 300

/* Entry i of a piece, as the document's table says. */
static unsigned entry(const uint8_t *piece, unsigned bits, size_t i)
{
	size_t g = i / 64, k = i % 64;

	switch (bits) {
	case 8:
		return piece[i];
	case 4:
		return k < 32 ? piece[32 * g + k] & 15
			      : piece[32 * g + k - 32] >> 4;
	case 2:
		return piece[16 * g + k % 16] >> (2 * (k / 16)) & 3;
	default:
		return piece[8 * g + k / 8] >> (k % 8) & 1;
	}
}

static void test_pieces(void **state)
{
	static const unsigned widths[] = { 4, 2, 1 };
	uint8_t values[320], packed[160], back[320];
	uint64_t seed = 5;
	unsigned w, bits;
	size_t i;

	(void)state;
	for (w = 0; w < 3; w++) {
		bits = widths[w];
		for (i = 0; i < sizeof(values); i++)
			values[i] = (uint8_t)(random_u64(&seed) &
					      ((1u << bits) - 1));
		bs_piece_pack(packed, values, bits, 5);
		for (i = 0; i < sizeof(values); i++)
			assert_int_equal(entry(packed, bits, i), values[i]);
		bs_piece_unpack(back, packed, bits, 5);
		assert_memory_equal(back, values, sizeof(values));
	}
}

static void test_piece_cuts(void **state)
{
	unsigned width, left, n;

	(void)state;
	for (width = 1; width <= 64; width++) {
		for (left = width, n = 0; left; n++)
			left -= bs_piece_bits(left);
		assert_int_equal(n, width / 8 + __builtin_popcount(width % 8));
	}
	assert_int_equal(bs_piece_len(8, 65), 65);
	assert_int_equal(bs_piece_len(4, 65), 64);
	assert_int_equal(bs_piece_len(2, 1), 16);
	assert_int_equal(bs_piece_len(1, 64), 8);
}

/* Every kernel, unit, place and width; buffers at odd addresses that end at
 * a guard page. */
static void test_or_and_take(void **state)
{
	uint64_t seed = 6;
	unsigned t, unit, wide, round;
	const struct bs_kernels *k;
	size_t i, n;

	(void)state;
	for (t = 0; (k = bs_kernels_at(t)); t++)
		for (unit = 1; unit <= 8; unit *= 2)
			for (wide = 1; wide <= 2; wide++)
				for (round = 0; round < 200; round++) {
					unsigned bits, shift, lo;
					struct guarded d, s;

					n = random_u64(&seed) % N;
					bits = 1 +
					       (unsigned)(random_u64(&seed) %
							  (wide == 1 || unit == 1
								   ? 8
								   : 16));
					shift = (unsigned)(random_u64(&seed) %
							   (8 * wide - bits +
							    1));
					lo = (unsigned)(random_u64(&seed) %
							(8 * unit - bits + 1));
					d = guarded_new(n * unit);
					s = guarded_new(n * wide);
					for (i = 0; i < n * wide; i++)
						s.p[i] = (uint8_t)random_u64(
							&seed);
					k->plane_or(d.p, unit, s.p, wide, n,
						    shift, bits, lo);
					for (i = 0; i < n; i++) {
						uint64_t e = 0, v = 0, want;

						memcpy(&e, d.p + i * unit,
						       unit);
						memcpy(&v, s.p + i * wide,
						       wide);
						want = v >> shift &
						       ((1u << bits) - 1);
						assert_int_equal(e, want << lo);
					}
					if (wide == 1) {
						uint8_t back[N] = { 0 };

						bs_plane_take8(back, d.p, unit,
							       n, lo, bits,
							       shift);
						for (i = 0; i < n; i++)
							assert_int_equal(
								back[i],
								s.p[i] &
									((1u
									  << bits) -
									 1) << shift);
					} else {
						uint16_t back[N] = { 0 }, v;

						bs_plane_take16(back, d.p, unit,
								n, lo, bits,
								shift);
						for (i = 0; i < n; i++) {
							memcpy(&v, s.p + 2 * i,
							       2);
							assert_int_equal(
								back[i],
								v & ((1u
								      << bits) -
								     1) << shift);
						}
					}
					guarded_free(&d);
					guarded_free(&s);
				}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_piece_cuts),
		cmocka_unit_test(test_or_and_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
