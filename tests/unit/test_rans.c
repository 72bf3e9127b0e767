/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_rans.c - what the lanes encode, every decoder of this CPU decodes: all
 * lengths about the vector width, several planes after one another, several
 * tables, carried bits; words that run out are refused and never overread
 */

#include "../test.h"
#include "bits.h"
#include "kernels.h"

#define N_MAX 9000

static uint8_t sym[N_MAX], got[N_MAX];
static bs_slot slots[32 << PROB_BITS_MAX];
static struct bs_enc_symbol enc[SYMBOLS_MAX];

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
	uint8_t words[2 * N_MAX + 4];
	struct bs_rans_enc e;
	struct bs_rans_dec d;
	struct bs_freq freq;
	struct guarded g;
	size_t i, len;

	make_table(seed, bits, slots, &freq);
	bs_freq_enc(&freq, enc);
	for (i = 0; i < n; i++)
		sym[i] = draw(seed, slots, bits);
	for (i = 0; i < LANES; i++)
		e.x[i] = 65536 + (uint32_t)(random_u64(seed) & 65535);
	memcpy(d.x, e.x, sizeof(d.x));
	e.words = words + sizeof(words);
	e.limit = words;
	assert_true(bs_rans_encode(&e, enc, sym, n));

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

/*
 * Garbage words and states through many tables: every decoder gives what the
 * scalar one gives, and stops where it stops.
 */
static void test_kernels_agree(void **state)
{
	static uint8_t want[N_MAX];
	static uint16_t q[N_MAX];
	const struct bs_kernels *k;
	uint64_t seed = 4;
	struct bs_freq freq;
	unsigned round, t, i;

	(void)state;
	for (round = 0; round < 300; round++) {
		unsigned bits = 10 + (unsigned)(random_u64(&seed) % 3);
		unsigned log2 = (unsigned)(random_u64(&seed) % 6);
		size_t n = random_u64(&seed) % 1000;
		size_t len = random_u64(&seed) % 1000 * 2;
		struct guarded g = guarded_new(len);
		struct bs_rans_dec a, b;
		enum bs_result res;

		for (i = 0; i < 1u << log2; i++)
			make_table(&seed, bits, slots + ((size_t)i << bits),
				   &freq);
		for (i = 0; i < n; i++)
			q[i] = (uint16_t)random_u64(&seed);
		for (i = 0; i < len; i++)
			g.p[i] = (uint8_t)random_u64(&seed);
		for (i = 0; i < LANES; i++)
			a.x[i] = (uint32_t)random_u64(&seed);
		a.words = g.p;
		a.end = g.p + len;
		b = a;
		res = bs_rans_decode_scalar(&a, slots, bits, q,
					    (1u << log2) - 1, want, n);
		for (t = 0; (k = bs_kernels_at(t)); t++) {
			struct bs_rans_dec c = b;

			memset(got, 0, sizeof(got));
			assert_int_equal(k->rans_decode(&c, slots, bits, q,
							(1u << log2) - 1, got,
							n),
					 res);
			if (res)
				continue;
			assert_memory_equal(got, want, n);
			assert_memory_equal(c.x, a.x, sizeof(a.x));
			assert_ptr_equal(c.words, a.words);
		}
		guarded_free(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_kernels_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
