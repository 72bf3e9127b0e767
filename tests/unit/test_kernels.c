/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_kernels.c - every table's kernels that are not another test's
 *
 * Decoding and merging in one loop is decoding, then merging: the same symbols,
 * elements, lanes and words, and no more elements than said.  Sums of classes
 * are those of scalar code, within their arrays.
 */

#include "../test.h"
#include "rans.h"

#define N 3000

static bs_slot slots[8 << PROB_BITS_MAX];

/* One round's input. */
struct input {
	struct bs_rans_dec d;
	struct guarded words, raw, q;
	struct bs_term terms[5];
	unsigned n_terms, unit, bits, table_mask;
	const uint16_t *tables; /* NULL: one table */
	uint64_t base;
	size_t n;
};

static void make_tables(struct input *in, uint64_t *seed)
{
	uint64_t counts[SYMBOLS_MAX];
	struct bs_freq freq;
	unsigned t, s;

	for (t = 0; t <= in->table_mask; t++) {
		for (s = 0; s < SYMBOLS_MAX; s++)
			counts[s] = random_u64(seed) >> (30 + s % 30);
		bs_freq_normalise(&freq, counts, SYMBOLS_MAX, in->bits);
		bs_freq_slots(&freq, slots + ((size_t)t << in->bits));
	}
}

/* One or two terms of symbols, the others raw, as models of floats have. */
static void make_terms(struct input *in, const uint8_t *sym, uint64_t *seed)
{
	unsigned n_coded = 1 + (unsigned)(random_u64(seed) % 2), i;
	unsigned entry_bits = 1 + (unsigned)(random_u64(seed) % 8);
	bool is_sum = random_u64(seed) % 2;

	in->n_terms = 1 + (unsigned)(random_u64(seed) % 5);
	for (i = 0; i < in->n_terms; i++) {
		struct bs_term *t = &in->terms[i];
		bool coded = i < n_coded;

		*t = (struct bs_term){ .src = { coded ? sym : in->raw.p } };
		t->entry_bits = coded ? 8 : (uint8_t)entry_bits;
		if (!coded && entry_bits < 8) {
			t->src[1] = in->raw.p + N;
			t->src[2] = in->raw.p + 2 * N;
		}
		if (coded && is_sum) {
			t->add = (uint16_t)random_u64(seed);
			t->q = (const void *)in->q.p;
			t->q_drop = (uint8_t)(random_u64(seed) % 4);
			t->q_shift = (uint8_t)(random_u64(seed) % 4);
		}
		t->bits = (uint8_t)(1 + random_u64(seed) % 8);
		t->shift = (uint8_t)(random_u64(seed) % (9u - t->bits));
		/* Mostly to the left: the other way has no such loop. */
		do
			t->lo = (uint8_t)(random_u64(seed) %
					  (8 * in->unit - t->bits + 1u));
		while (t->lo < t->shift && random_u64(seed) % 8);
	}
}

static void input_make(struct input *in, const uint8_t *sym, uint64_t *seed)
{
	size_t len, i;

	memset(in, 0, sizeof(*in));
	in->n = random_u64(seed) % N;
	in->unit = random_u64(seed) % 4 ? 2 : 1u << random_u64(seed) % 4;
	in->bits = PROB_BITS_MIN + (unsigned)(random_u64(seed) % 3);
	in->table_mask = (1u << random_u64(seed) % 4) - 1;
	in->base = random_u64(seed) & random_u64(seed) & random_u64(seed);
	make_tables(in, seed);
	len = random_u64(seed) % (2 * N + 1) & ~(size_t)1;
	in->words = guarded_new(len);
	for (i = 0; i < len; i++)
		in->words.p[i] = (uint8_t)random_u64(seed);
	in->raw = guarded_new(3 * N + 64);
	for (i = 0; i < 3 * N; i++)
		in->raw.p[i] = (uint8_t)random_u64(seed);
	in->q = guarded_new(2 * in->n);
	for (i = 0; i < 2 * in->n; i++)
		in->q.p[i] = (uint8_t)random_u64(seed);
	if (in->table_mask)
		in->tables = (const void *)in->q.p;
	for (i = 0; i < LANES; i++)
		in->d.x[i] = (uint32_t)random_u64(seed);
	in->d.words = in->words.p;
	in->d.end = in->words.p + len;
	make_terms(in, sym, seed);
}

/* Returns how many elements were done in one loop. */
static size_t check(const struct bs_kernels *k, uint64_t *seed)
{
	static uint8_t sym[N], want_sym[N], want[8 * N];
	struct bs_rans_dec d;
	struct guarded dst;
	struct input in;
	size_t m, i;
	unsigned t;

	input_make(&in, sym, seed);
	dst = guarded_new(in.n * in.unit);
	memset(dst.p, 0xaa, in.n * in.unit);
	d = in.d;
	m = k->decode_merge(&d, slots, in.bits, in.tables, in.table_mask, sym,
			    dst.p, in.unit, in.n, &in.base, in.terms,
			    in.n_terms);
	assert_true(m <= in.n && m % LANES == 0);

	assert_int_equal(bs_rans_decode_scalar(&in.d, slots, in.bits, in.tables,
					       in.table_mask, want_sym, m),
			 BS_OK);
	for (t = 0; t < in.n_terms; t++) {
		if (in.terms[t].src[0] == sym)
			in.terms[t].src[0] = want_sym;
	}
	memset(want, 0xaa, in.n * in.unit);
	bs_plane_merge_scalar(want, in.unit, m, &in.base, in.terms, in.n_terms);
	assert_memory_equal(sym, want_sym, m);
	assert_memory_equal(d.x, in.d.x, sizeof(d.x));
	assert_ptr_equal(d.words, in.d.words);
	for (i = 0; i < in.n * in.unit; i++)
		assert_int_equal(dst.p[i], want[i]);
	guarded_free(&dst);
	guarded_free(&in.words);
	guarded_free(&in.raw);
	guarded_free(&in.q);
	return m;
}

static void test_decode_merge(void **state)
{
	const struct bs_kernels *k;
	uint64_t seed = 12;
	unsigned t, round;

	(void)state;
	for (t = 0; (k = bs_kernels_at(t)); t++) {
		size_t n = 0;

		if (!k->decode_merge)
			continue;
		for (round = 0; round < rounds(600); round++)
			n += check(k, &seed);
		/* It is there to be used. */
		assert_true(n > 100000);
	}
}

static void check_sums(const struct bs_kernels *k, uint64_t *seed)
{
	size_t width = 1 + random_u64(seed) % (random_u64(seed) % 2 ? 8 : 200);
	size_t n_rows = 1 + random_u64(seed) % 20, n = width * n_rows, i;
	size_t at = random_u64(seed) % n, m = random_u64(seed) % (n - at + 1);
	uint64_t use = random_u64(seed);
	struct guarded rows = guarded_new(n_rows), got = guarded_new(2 * m);
	struct guarded columns = guarded_new(width), want = guarded_new(2 * m);

	for (i = 0; i < n_rows; i++)
		rows.p[i] = (uint8_t)random_u64(seed);
	for (i = 0; i < width; i++)
		columns.p[i] = (uint8_t)random_u64(seed);
	k->class_sums((uint16_t *)(void *)got.p, use & 1 ? rows.p : NULL,
		      use & 6 ? columns.p : NULL, width, at, m);
	bs_class_sums_scalar((uint16_t *)(void *)want.p,
			     use & 1 ? rows.p : NULL,
			     use & 6 ? columns.p : NULL, width, at, m);
	assert_memory_equal(got.p, want.p, 2 * m);
	guarded_free(&rows);
	guarded_free(&columns);
	guarded_free(&got);
	guarded_free(&want);
}

static void test_class_sums(void **state)
{
	const struct bs_kernels *k;
	uint64_t seed = 13;
	unsigned t, round;

	(void)state;
	for (t = 0; (k = bs_kernels_at(t)); t++) {
		for (round = 0; round < rounds(300); round++)
			check_sums(k, &seed);
	}
}

/* The one chosen is the first, or the one that is asked for. */
static void test_choice(void **state)
{
	const char *name = getenv("BIGSMALL_CPU");
	const struct bs_kernels *k;
	unsigned t;

	(void)state;
	if (name && *name)
		assert_string_equal(bs_kernels()->name, name);
	else
		assert_ptr_equal(bs_kernels(), bs_kernels_at(0));
	for (t = 0; (k = bs_kernels_at(t)); t++)
		assert_true(k->class_sums && k->rans_decode && k->rans_encode &&
			    k->plane_merge && k->take_piece &&
			    k->take_entries && k->tally_top && k->tally_sums &&
			    k->tally_counts && k->xxh3_64 && k->xxh3_update);
	assert_true(t >= 1);
	assert_string_equal(bs_kernels_at(t - 1)->name, "scalar");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_merge),
		cmocka_unit_test(test_class_sums),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
