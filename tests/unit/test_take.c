/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_take.c - what every kernel takes out of elements for the encoder is what
 * docs/format.md 9.1 and 9.2 say, element by element, and nothing is read or
 * written past the ends
 */

#include "../test.h"
#include "kernels.h"
#include "take.h"

#define N 700

/* Random bits of an element for all bits of values of up to 'width' bits: each
 * gets a run of its own, some bits may get none. */
static unsigned make_bits(struct bs_bits *ret, unsigned unit, unsigned width,
			  uint64_t *seed)
{
	unsigned n = 0, shift = 0, bits, most;

	if (width > 1)
		shift = (unsigned)(random_u64(seed) % 2);
	while (n < BITS_MAX && shift < width) {
		most = width - shift;
		most = most < 8 * unit ? most : 8 * unit;
		bits = 1 + (unsigned)(random_u64(seed) % most);
		ret[n].shift = (uint8_t)shift;
		ret[n].bits = (uint8_t)bits;
		ret[n].lo = (uint8_t)(random_u64(seed) % (8 * unit - bits + 1));
		n++;
		shift += bits + (unsigned)(random_u64(seed) % 2);
	}
	return n;
}

static unsigned value_of(const uint8_t *element, unsigned unit,
			 const struct bs_bits *from, unsigned n_from)
{
	uint64_t e = 0, v = 0;
	unsigned i;

	memcpy(&e, element, unit);
	for (i = 0; i < n_from; i++)
		v |= (e >> from[i].lo & ((1u << from[i].bits) - 1))
		     << from[i].shift;
	return (unsigned)v;
}

static struct guarded make_elements(size_t len, uint64_t *seed)
{
	struct guarded g = guarded_new(len);
	size_t i;

	for (i = 0; i < len; i++)
		g.p[i] = (uint8_t)random_u64(seed);
	return g;
}

/* ---- Pieces ------------------------------------------------------------- */

/* Entry i of a piece, as the document's table says. */
static unsigned entry_of(const uint8_t *piece, unsigned width, size_t i)
{
	size_t g = i / 64, k = i % 64;

	switch (width) {
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

static void check_piece(const struct bs_kernels *k, uint64_t *seed)
{
	unsigned unit = 1u << random_u64(seed) % 4;
	unsigned width = 1u << random_u64(seed) % 4, n_from;
	size_t n = random_u64(seed) % N, len = bs_piece_len(width, n), i;
	struct guarded src = make_elements(n * unit, seed);
	struct guarded dst = guarded_new(len);
	struct bs_bits from[BITS_MAX];

	n_from = make_bits(from, unit, width, seed);
	memset(dst.p, 0xaa, len);
	k->take_piece(dst.p, width, src.p, unit, n, from, n_from);
	for (i = 0; i < n; i++)
		assert_int_equal(entry_of(dst.p, width, i),
				 value_of(src.p + i * unit, unit, from,
					  n_from));
	/* What pads the last group is zero. */
	for (; width < 8 && i % 64; i++)
		assert_int_equal(entry_of(dst.p, width, i), 0);
	guarded_free(&src);
	guarded_free(&dst);
}

static void test_pieces(void **state)
{
	const struct bs_kernels *k;
	unsigned t, round;
	uint64_t seed = 21;

	(void)state;
	for (t = 0; (k = bs_kernels_at(t)); t++)
		for (round = 0; round < rounds(1500); round++)
			check_piece(k, &seed);
}

/* ---- Entries ------------------------------------------------------------ */

#define TABLES 32

static uint16_t has[TABLES][16], symbols_of[TABLES][256];
static bool is_symbol[TABLES][256];

/* Mostly many symbols, and often no value that is none. */
static void make_tables(unsigned other, uint64_t *seed)
{
	unsigned t, s;

	for (t = 0; t < TABLES; t++) {
		unsigned odds = 1u << random_u64(seed) % 12;

		for (s = 0; s < 256; s++)
			is_symbol[t][s] = random_u64(seed) % odds;
		bs_entry_table(symbols_of[t], has[t], t, other, is_symbol[t]);
	}
}

static void make_rule(struct bs_entry_rule *r, uint64_t *seed)
{
	unsigned width;

	memset(r, 0, sizeof(*r));
	r->unit = 1u << random_u64(seed) % 4;
	width = 1 + (unsigned)(random_u64(seed) % (r->unit > 1 ? 16 : 8));
	r->n_from = make_bits(r->from, r->unit, width, seed);
	r->mask = (uint16_t)((1u << width) - 1);
	r->base = (uint16_t)(random_u64(seed) & r->mask);
	r->table_log2 = (uint8_t)(random_u64(seed) % 6);
	r->shift = (uint8_t)(random_u64(seed) % 16);
	r->other = (uint8_t)random_u64(seed);
	r->entry_of = symbols_of;
	r->has = has;
	make_tables(r->other, seed);
}

/* Returns how many had no symbol. */
static size_t check_entries(const struct bs_kernels *k, uint64_t *seed)
{
	size_t n = random_u64(seed) % N, n_words = (n + 63) / 64, found = 0, i;
	uint16_t q[N];
	struct guarded src, dst, classes, others;
	struct bs_entry_rule r;
	bool with_q = random_u64(seed) % 3, any;

	make_rule(&r, seed);
	src = make_elements(n * r.unit, seed);
	classes = make_elements(2 * n, seed);
	memcpy(q, classes.p, 2 * n);
	dst = guarded_new(2 * n);
	others = guarded_new(8 * n_words);
	memset(others.p, 0xaa, 8 * n_words);
	any = k->take_entries((uint16_t *)(void *)dst.p, src.p, n, &r,
			      with_q ? (const void *)classes.p : NULL,
			      (uint64_t *)(void *)others.p);
	for (i = 0; i < n; i++) {
		unsigned of = with_q ? q[i] : 0;
		unsigned table = of % (1u << r.table_log2), v, is_other;
		uint16_t got;

		v = value_of(src.p + i * r.unit, r.unit, r.from, r.n_from);
		v -= r.base + (of >> r.table_log2 << r.shift);
		v &= r.mask;
		is_other = v > 255 || !is_symbol[table][v];
		memcpy(&got, dst.p + 2 * i, 2);
		assert_int_equal(got, table << 8 | (is_other ? r.other : v));
		assert_int_equal(others.p[i / 8] >> i % 8 & 1, is_other);
		found += is_other;
	}
	for (; i < 64 * n_words; i++)
		assert_int_equal(others.p[i / 8] >> i % 8 & 1, 0);
	assert_int_equal(any, found > 0);
	guarded_free(&src);
	guarded_free(&dst);
	guarded_free(&classes);
	guarded_free(&others);
	return found;
}

static void test_entries(void **state)
{
	const struct bs_kernels *k;
	unsigned t, round;
	uint64_t seed = 22;

	(void)state;
	for (t = 0; (k = bs_kernels_at(t)); t++) {
		unsigned without = 0, with = 0;

		for (round = 0; round < rounds(1500); round++) {
			if (check_entries(k, &seed))
				with++;
			else
				without++;
		}
		assert_true(with > 100 && without > 100);
	}
}

/* Every way to have the usual shapes: bf16 with a sign bit below, f16, f32. */
static void test_usual(void **state)
{
	static const struct {
		unsigned unit, width, n_from;
		struct bs_bits from[2];
	} shapes[] = {
		{ 2, 10, 1, { { 5, 10, 0 } } },
		{ 2, 11, 2, { { 15, 1, 0 }, { 5, 10, 1 } } },
		{ 4, 11, 2, { { 31, 1, 0 }, { 21, 10, 1 } } },
		{ 8, 14, 2, { { 63, 1, 0 }, { 50, 13, 1 } } },
	};
	uint16_t dst[N], want[N], q[N];
	uint64_t a[N / 64 + 1], b[N / 64 + 1], seed = 23;
	const struct bs_kernels *k;
	uint8_t src[8 * N];
	unsigned s, t, log2;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(src); i++)
		src[i] = (uint8_t)random_u64(&seed);
	for (i = 0; i < N; i++)
		q[i] = (uint16_t)(random_u64(&seed) % 64);
	make_tables(99, &seed);
	for (s = 0; s < 4; s++) {
		for (log2 = 0; log2 < 6; log2++) {
			struct bs_entry_rule r = { .unit = shapes[s].unit,
						   .n_from = shapes[s].n_from,
						   .table_log2 = (uint8_t)log2,
						   .base = 40,
						   .shift = 3,
						   .other = 99,
						   .entry_of = symbols_of,
						   .has = has };

			memcpy(r.from, shapes[s].from, sizeof(shapes[s].from));
			r.mask = (uint16_t)((1u << shapes[s].width) - 1);
			bs_take_entries_scalar(want, src, N, &r, q, a);
			for (t = 0; (k = bs_kernels_at(t)); t++) {
				k->take_entries(dst, src, N, &r, q, b);
				assert_memory_equal(dst, want, sizeof(dst));
				assert_memory_equal(a, b, sizeof(a));
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_usual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
