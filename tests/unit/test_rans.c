/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_rans.c - what the lanes encode, every decoder of this CPU decodes, and
 * every encoder encodes alike: all lengths about the vector width, several planes after one another, several
 * tables, carried bits; words that run out are refused and never overread
 */

#include "../test.h"
#include "bits.h"
#include "kernels.h"

#define N_MAX 9000

static uint8_t sym[N_MAX], got[N_MAX];
static uint16_t entries[N_MAX];
static bs_slot slots[32 << PROB_BITS_MAX];
static struct bs_enc_symbol enc[32 * SYMBOLS_MAX];
static uint32_t packed[32 * SYMBOLS_MAX];

static void make_table(uint64_t *seed, unsigned bits, bs_slot *dst,
		       struct bs_freq *freq)
{
	uint64_t counts[SYMBOLS_MAX];
	unsigned s, n = 1 + (unsigned)(random_u64(seed) % SYMBOLS_MAX);

	for (s = 0; s < n; s++)
		counts[s] = random_u64(seed) >> (20 + random_u64(seed) % 40);
	bs_freq_normalise(freq, counts, n, bits);
	bs_freq_slots(freq, dst);
}

/* A symbol that the table can code, by its frequency. */
static uint8_t draw(uint64_t *seed, const bs_slot *table, unsigned bits)
{
	return (uint8_t)table[random_u64(seed) & ((1u << bits) - 1)];
}

static void round_trip(const struct bs_kernels *k, uint64_t *seed, size_t n,
		       unsigned bits)
{
	struct bs_enc_tables tables = { enc, packed, bits };
	uint8_t words[2 * N_MAX + 4];
	struct bs_rans_enc e;
	struct bs_rans_dec d;
	struct bs_freq freq;
	struct guarded g;
	size_t i, len;

	make_table(seed, bits, slots, &freq);
	bs_freq_enc(&freq, enc);
	bs_freq_pack(&freq, packed);
	for (i = 0; i < n; i++)
		entries[i] = sym[i] = draw(seed, slots, bits);
	for (i = 0; i < LANES; i++)
		e.x[i] = 65536 + (uint32_t)(random_u64(seed) & 65535);
	memcpy(d.x, e.x, sizeof(d.x));
	e.words = words + sizeof(words);
	e.limit = words;
	assert_true(k->rans_encode(&e, &tables, entries, n));

	len = (size_t)(words + sizeof(words) - e.words);
	g = guarded_new(len);
	memcpy(g.p, e.words, len);
	d.words = g.p;
	d.end = g.p + len;
	{
		uint32_t carried[LANES];

		memcpy(carried, d.x, sizeof(carried));
		memcpy(d.x, e.x, sizeof(d.x));
		assert_int_equal(k->rans_decode(&d, slots, bits, NULL, 0, got,
						n),
				 BS_OK);
		assert_memory_equal(got, sym, n);
		assert_ptr_equal(d.words, d.end);
		assert_memory_equal(d.x, carried, sizeof(carried));
	}
	/* One word fewer is refused. */
	if (len >= 2) {
		memcpy(d.x, e.x, sizeof(d.x));
		memmove(g.p + 2, g.p, len - 2);
		d.words = g.p + 2;
		d.end = g.p + len;
		assert_int_equal(k->rans_decode(&d, slots, bits, NULL, 0, got,
						n),
				 BS_ERR_CORRUPT);
	}
	guarded_free(&g);
}

static void test_lengths(void **state)
{
	const struct bs_kernels *k;
	uint64_t seed = 3;
	unsigned t, bits;
	size_t n;

	(void)state;
	for (t = 0; (k = bs_kernels_at(t)); t++) {
		for (bits = PROB_BITS_MIN; bits <= PROB_BITS_MAX; bits++) {
			for (n = 0; n <= 260; n++)
				round_trip(k, &seed, n, bits);
			round_trip(k, &seed, 4096, bits);
			round_trip(k, &seed, N_MAX, bits);
		}
	}
}

/* What a decoder starts from, and what else it reads; all of it between guard
 * pages. */
struct input {
	struct bs_rans_dec d;
	struct guarded slots, words, q;
	unsigned bits;
	unsigned table_mask;
	bool has_q;
};

static struct guarded guarded_copy(uint64_t *seed, const void *src, size_t len)
{
	struct guarded g = random_u64(seed) % 2 ? guarded_new(len)
						: guarded_new_low(len);

	if (len)
		memcpy(g.p, src, len);
	return g;
}

static void fill_words(uint64_t *seed, uint8_t *p, size_t len)
{
	unsigned kind = (unsigned)(random_u64(seed) % 4);
	size_t i;

	/* Zeros never let a lane out of renormalising, ones always do. */
	for (i = 0; i < len; i++)
		p[i] = kind == 0   ? 0
		       : kind == 1 ? 255
				   : (uint8_t)random_u64(seed);
}

static void fill_states(uint64_t *seed, uint32_t *x)
{
	unsigned kind = (unsigned)(random_u64(seed) % 6);
	size_t i;

	for (i = 0; i < LANES; i++) {
		x[i] = (uint32_t)random_u64(seed);
		if (kind == 0)
			x[i] = 0;
		else if (kind == 1)
			x[i] = UINT32_MAX;
		else if (kind == 2)
			x[i] >>= 16; /* below what a lane may have */
		else if (kind == 3)
			x[i] = 65536;
	}
}

/* Tables of every kind: of one symbol, of all, of few. */
static void fill_tables(uint64_t *seed, unsigned n, unsigned bits)
{
	struct bs_freq freq;
	unsigned i;

	for (i = 0; i < n; i++) {
		bs_slot *dst = slots + ((size_t)i << bits);
		uint64_t counts[SYMBOLS_MAX] = { 0 };

		if (random_u64(seed) % 3) {
			make_table(seed, bits, dst, &freq);
			continue;
		}
		counts[random_u64(seed) % SYMBOLS_MAX] = 1;
		bs_freq_normalise(&freq, counts, SYMBOLS_MAX, bits);
		bs_freq_slots(&freq, dst);
	}
}

static void input_make(struct input *in, uint64_t *seed, size_t n)
{
	unsigned log2 = (unsigned)(random_u64(seed) % 6);
	static uint8_t words[2 * N_MAX];
	static uint16_t q[N_MAX];
	size_t len, i;

	in->bits = PROB_BITS_MIN + (unsigned)(random_u64(seed) % 3);
	in->table_mask = (1u << log2) - 1;
	/* Without, the first of however many tables serves. */
	in->has_q = random_u64(seed) % 4 != 0;
	fill_tables(seed, 1u << log2, in->bits);
	in->slots =
		guarded_new(((size_t)1 << (log2 + in->bits)) * sizeof(bs_slot));
	memcpy(in->slots.p, slots,
	       ((size_t)1 << (log2 + in->bits)) * sizeof(bs_slot));
	/* Too few, about enough, too many. */
	len = random_u64(seed) % (n + 1) * 2;
	if (random_u64(seed) % 2)
		len /= 3;
	len &= ~(size_t)1;
	fill_words(seed, words, len);
	in->words = guarded_copy(seed, words, len);
	for (i = 0; i < n; i++)
		q[i] = (uint16_t)random_u64(seed);
	in->q = guarded_copy(seed, q, in->has_q ? 2 * n : 0);
	fill_states(seed, in->d.x);
	in->d.words = in->words.p;
	in->d.end = in->words.p + len;
}

static enum bs_result input_decode(const struct input *in,
				   const struct bs_kernels *k,
				   struct bs_rans_dec *d, uint8_t *dst,
				   size_t n)
{
	*d = in->d;
	return k->rans_decode(d, (const bs_slot *)(const void *)in->slots.p,
			      in->bits,
			      in->has_q ? (const void *)in->q.p : NULL,
			      in->table_mask, dst, n);
}

static void check_agree(uint64_t *seed, size_t n)
{
	const struct bs_kernels *k, *scalar = NULL;
	struct bs_rans_dec want, d;
	struct guarded a, b;
	enum bs_result res;
	struct input in;
	unsigned t;

	for (t = 0; (k = bs_kernels_at(t)); t++)
		scalar = k;
	assert_string_equal(scalar->name, "scalar");
	input_make(&in, seed, n);
	a = guarded_new(n);
	res = input_decode(&in, scalar, &want, a.p, n);
	for (t = 0; (k = bs_kernels_at(t)); t++) {
		b = random_u64(seed) % 2 ? guarded_new(n) : guarded_new_low(n);
		assert_int_equal(input_decode(&in, k, &d, b.p, n), res);
		/* Even of a damaged stream. */
		assert_memory_equal(a.p, b.p, n);
		assert_memory_equal(d.x, want.x, sizeof(d.x));
		assert_ptr_equal(d.words, want.words);
		guarded_free(&b);
	}
	guarded_free(&a);
	guarded_free(&in.slots);
	guarded_free(&in.words);
	guarded_free(&in.q);
}

/*
 * Garbage words and states, through many tables: every decoder gives what the
 * scalar one gives, and stops where it stops.
 */
static void test_kernels_agree(void **state)
{
	uint64_t seed = 4;
	unsigned round;
	size_t n;

	(void)state;
	for (round = 0; round < rounds(4); round++)
		for (n = 0; n <= 330; n++)
			check_agree(&seed, n);
	for (round = 0; round < rounds(300); round++)
		check_agree(&seed, random_u64(&seed) % 5000);
}

/*
 * Symbols of many tables, some of them without a frequency, and too little room
 * for the words: every encoder gives what the scalar one gives.
 */
static void test_encoders_agree(void **state)
{
	static uint8_t want[2 * N_MAX], have[2 * N_MAX];
	unsigned round, t, i, n_good = 0;
	const struct bs_kernels *k;
	struct bs_freq freq;
	uint64_t seed = 5;

	(void)state;
	for (round = 0; round < rounds(600); round++) {
		unsigned bits = 10 + (unsigned)(random_u64(&seed) % 3);
		unsigned mask = (1u << random_u64(&seed) % 6) - 1;
		struct bs_enc_tables tables = { enc, packed, bits };
		size_t n = random_u64(&seed) % 1000;
		size_t room = round % 4 ? 2 * n
					: random_u64(&seed) % (2 * n + 1);
		struct bs_rans_enc a = { .words = want + room, .limit = want };
		struct bs_rans_enc b;
		bool good;

		for (i = 0; i <= mask; i++) {
			make_table(&seed, bits, slots + ((size_t)i << bits),
				   &freq);
			bs_freq_enc(&freq, enc + SYMBOLS_MAX * i);
			bs_freq_pack(&freq, packed + SYMBOLS_MAX * i);
		}
		for (i = 0; i < n; i++) {
			unsigned at = random_u64(&seed) & mask;

			entries[i] =
				(uint16_t)(at << 8 |
					   draw(&seed,
						slots + ((size_t)at << bits),
						bits));
		}
		if (n && round % 8 == 1)
			entries[random_u64(&seed) % n] =
				(uint16_t)(random_u64(&seed) & 255);
		/* Lanes anywhere a chunk's may be, the ends too. */
		for (i = 0; i < LANES; i++)
			a.x[i] =
				random_u64(&seed) % 3
					? 65536 + (uint32_t)(random_u64(&seed) &
							     65535)
					: UINT32_MAX - i;
		for (t = 0; (k = bs_kernels_at(t)); t++) {
			struct bs_rans_enc c = a;

			b = a;
			b.words = have + room;
			b.limit = have;
			good = bs_rans_encode_scalar(&c, &tables, entries, n);
			n_good += good;
			assert_int_equal(
				k->rans_encode(&b, &tables, entries, n), good);
			if (!good)
				continue;
			assert_int_equal(b.words - have, c.words - want);
			assert_memory_equal(b.words, c.words,
					    room - (size_t)(c.words - want));
			assert_memory_equal(b.x, c.x, sizeof(b.x));
		}
	}
	assert_true(n_good > 300 && n_good < t * rounds(600));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_kernels_agree),
		cmocka_unit_test(test_encoders_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
