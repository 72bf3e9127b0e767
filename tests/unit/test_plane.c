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

/* Bits of a random term; packed entries are read in whole groups, so they have
 * them. */
static void make_term(struct bs_term *t, struct guarded *src, struct guarded *q,
		      unsigned unit, size_t n, uint64_t *seed)
{
	unsigned most, i, done, bits, k = 0;
	size_t len = 0;

	memset(t, 0, sizeof(*t));
	t->entry_bits = (uint8_t)(1 + random_u64(seed) % 8);
	for (done = 0; done < t->entry_bits; done += bits) {
		bits = bs_piece_bits(t->entry_bits - done);
		len += bs_piece_len(bits, n);
	}
	if (random_u64(seed) % 2)
		t->add = (uint16_t)random_u64(seed);
	*src = random_u64(seed) % 2 ? guarded_new(len) : guarded_new_low(len);
	*q = random_u64(seed) % 2 ? guarded_new(2 * n) : guarded_new_low(2 * n);
	for (i = 0; i < len; i++)
		src->p[i] = (uint8_t)random_u64(seed);
	for (i = 0; i < 2 * n; i++)
		q->p[i] = (uint8_t)(random_u64(seed) & (i & 1 ? 1 : 255));
	for (done = 0, len = 0; done < t->entry_bits; done += bits) {
		bits = bs_piece_bits(t->entry_bits - done);
		t->src[k++] = src->p + len;
		len += bs_piece_len(bits, n);
	}
	if (random_u64(seed) % 2) {
		t->q = (const uint16_t *)(const void *)q->p;
		t->q_drop = (uint8_t)(random_u64(seed) % 6);
		t->q_shift = (uint8_t)(random_u64(seed) % 16);
	}
	most = unit == 1 ? 8 : 16;
	if (!t->add && !t->q)
		most = 8;
	t->bits = (uint8_t)(1 + random_u64(seed) % most);
	t->shift = (uint8_t)(random_u64(seed) % (most - t->bits + 1u));
	t->lo = (uint8_t)(random_u64(seed) % (8 * unit - t->bits + 1u));
}

/* What the header says a term gives element i. */
static uint64_t term_bits(const struct bs_term *t, size_t i)
{
	unsigned done, bits, k = 0;
	uint32_t v = t->add;

	for (done = 0; done < t->entry_bits; done += bits) {
		bits = bs_piece_bits(t->entry_bits - done);
		v += entry(t->src[k++], bits, i) << done;
	}
	if (t->q)
		v += (uint32_t)t->q[i] >> t->q_drop << t->q_shift;
	return (uint64_t)(v >> t->shift & ((1u << t->bits) - 1)) << t->lo;
}

static void check_merge(const struct bs_kernels *k, unsigned unit, size_t n,
			unsigned n_terms, uint64_t *seed)
{
	struct guarded src[TERMS_MAX], q[TERMS_MAX];
	struct guarded dst = random_u64(seed) % 2 ? guarded_new(n * unit)
						  : guarded_new_low(n * unit);
	uint64_t base = random_u64(seed), want, got, mask;
	bool has_base = random_u64(seed) % 2;
	struct bs_term terms[TERMS_MAX];
	uint8_t before[8 * N];
	unsigned t;
	size_t i;

	mask = unit == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * unit) - 1;
	for (i = 0; i < n * unit; i++)
		dst.p[i] = before[i] = (uint8_t)random_u64(seed);
	for (t = 0; t < n_terms; t++) {
		make_term(&terms[t], &src[t], &q[t], unit, n, seed);
		/* As where an element's parts cut a piece. */
		if (t && random_u64(seed) % 2) {
			memcpy(terms[t].src, terms[t - 1].src,
			       sizeof(terms[t].src));
			terms[t].entry_bits = terms[t - 1].entry_bits;
		}
	}
	k->plane_merge(dst.p, unit, n, has_base ? &base : NULL, terms, n_terms);
	for (i = 0; i < n; i++) {
		want = got = 0;
		memcpy(&want, before + i * unit, unit);
		if (has_base)
			want = base & mask;
		memcpy(&got, dst.p + i * unit, unit);
		for (t = 0; t < n_terms; t++)
			want |= term_bits(&terms[t], i);
		assert_int_equal(got, want);
	}
	for (t = 0; t < n_terms; t++) {
		guarded_free(&src[t]);
		guarded_free(&q[t]);
	}
	guarded_free(&dst);
}

/* Every kernel, unit and length up to some groups; buffers at odd addresses
 * between guard pages. */
static void test_merge(void **state)
{
	const struct bs_kernels *k;
	uint64_t seed = 6;
	unsigned i, unit, round;
	size_t n;

	(void)state;
	for (i = 0; (k = bs_kernels_at(i)); i++)
		for (unit = 1; unit <= 8; unit *= 2) {
			for (n = 0; n <= 200; n++)
				check_merge(k, unit, n, n % 4, &seed);
			for (round = 0; round < rounds(200); round++)
				check_merge(k, unit, random_u64(&seed) % N,
					    1 + (unsigned)(random_u64(&seed) %
							   TERMS_MAX),
					    &seed);
		}
}

/* Bits taken from elements are those that stand there. */
static void test_take(void **state)
{
	unsigned unit, wide, round, bits, shift, lo, most;
	uint64_t seed = 8, e;
	size_t i, n;

	(void)state;
	for (round = 0; round < 2000; round++) {
		uint16_t got16[N] = { 0 };
		uint8_t got8[N] = { 0 };
		struct guarded src;

		unit = 1u << random_u64(&seed) % 4;
		wide = random_u64(&seed) % 2;
		most = wide && unit > 1 ? 16 : 8;
		bits = 1 + (unsigned)(random_u64(&seed) % most);
		shift = (unsigned)(random_u64(&seed) % (most - bits + 1));
		lo = (unsigned)(random_u64(&seed) % (8 * unit - bits + 1));
		n = random_u64(&seed) % N;
		src = guarded_new(n * unit);
		for (i = 0; i < n * unit; i++)
			src.p[i] = (uint8_t)random_u64(&seed);
		if (wide)
			bs_plane_take16(got16, src.p, unit, n, lo, bits, shift);
		else
			bs_plane_take8(got8, src.p, unit, n, lo, bits, shift);
		for (i = 0; i < n; i++) {
			e = 0;
			memcpy(&e, src.p + i * unit, unit);
			e = (e >> lo & ((1u << bits) - 1)) << shift;
			assert_int_equal(wide ? got16[i] : got8[i], e);
		}
		guarded_free(&src);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_piece_cuts),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
