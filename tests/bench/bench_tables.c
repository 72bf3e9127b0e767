/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_tables.c - rANS decoding by number of tables and probability bits
 *
 * usage: bench_tables
 *
 * Symbols are exponent and two mantissa bits of normal numbers whose deviation
 * goes with the table, a quarter octave apart.  Everything is in the caches.
 * Prints symbols a nanosecond of processor time, best of 40, and what a symbol
 * takes in bits, for each table of kernels that this CPU has.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels.h"

#define N (1 << 17)
#define BLOCK 4096
#define TABLES_MAX 8

static uint8_t sym[N], got[N], room[2 * N];
static uint16_t q[N];
static bs_slot slots[TABLES_MAX << PROB_BITS_MAX];
static struct bs_enc_symbol enc[TABLES_MAX][SYMBOLS_MAX];

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* xorshift64*; the top bits are the good ones. */
static uint64_t random_u64(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static void make(unsigned n_tables, unsigned bits)
{
	static uint64_t counts[TABLES_MAX][SYMBOLS_MAX];
	uint64_t seed = 1;

	memset(counts, 0, sizeof(counts));
	for (size_t i = 0; i < N; i++) {
		float f = -6;
		uint32_t u;

		q[i] = (uint16_t)(random_u64(&seed) % n_tables);
		for (int k = 0; k < 12; k++)
			f += (float)(random_u64(&seed) >> 40) * 0x1p-24f;
		f *= 0.02f * exp2f((float)q[i] * 0.25f);
		memcpy(&u, &f, 4);
		u = u >> 21 & 1023;
		/* Exponents 64 to 127 are all that occur. */
		sym[i] = (uint8_t)(u < 256 ? 0 : u - 256);
		counts[q[i]][sym[i]]++;
	}
	for (unsigned t = 0; t < n_tables; t++) {
		struct bs_freq freq;

		bs_freq_normalise(&freq, counts[t], SYMBOLS_MAX, bits);
		bs_freq_slots(&freq, slots + ((size_t)t << bits));
		bs_freq_enc(&freq, enc[t]);
	}
}

/* Returns where the words begin; they end with 'room'. */
static uint8_t *encode(uint32_t *x, unsigned bits)
{
	uint8_t *words = room + sizeof(room);

	for (int i = 0; i < LANES; i++)
		x[i] = 65536;
	for (size_t i = N; i-- > 0;) {
		const struct bs_enc_symbol *s = &enc[q[i]][sym[i]];
		uint32_t f = (1u << bits) - s->complement;
		uint32_t *lane = &x[i % LANES];

		if (*lane >= s->limit) {
			words -= 2;
			memcpy(words, lane, 2);
			*lane >>= 16;
		}
		*lane = (*lane / f << bits) + *lane % f + s->start;
	}
	return words;
}

static double measure(const struct bs_kernels *k, const uint32_t *x,
		      const uint8_t *words, unsigned n_tables, unsigned bits)
{
	double best = INFINITY;

	for (int round = 0; round < 40; round++) {
		struct bs_rans_dec d = { .words = words,
					 .end = room + sizeof(room) };
		double begin = cpu_seconds(), spent;

		memcpy(d.x, x, sizeof(d.x));
		for (size_t i = 0; i < N; i += BLOCK)
			k->rans_decode(&d, slots, bits,
				       n_tables > 1 ? q + i : NULL,
				       n_tables - 1, got + i, BLOCK);
		spent = cpu_seconds() - begin;
		best = spent < best ? spent : best;
	}
	if (memcmp(got, sym, N) != 0) {
		fprintf(stderr, "bench_tables: %s decodes other symbols\n",
			k->name);
		exit(1);
	}
	return N / best * 1e-9;
}

int main(void)
{
	const struct bs_kernels *k;
	uint32_t x[LANES];

	for (unsigned i = 0; (k = bs_kernels_at(i)); i++)
		for (unsigned n = 1; n <= TABLES_MAX; n *= 2)
			for (unsigned bits = PROB_BITS_MIN;
			     bits <= PROB_BITS_MAX; bits++) {
				const uint8_t *words;

				make(n, bits);
				words = encode(x, bits);
				printf("%-8s %u tables of %u bits: %.2f, "
				       "%.3f bits a symbol\n",
				       k->name, n, bits,
				       measure(k, x, words, n, bits),
				       8.0 *
					       (double)(room + sizeof(room) -
							words) /
					       N);
			}
	return 0;
}
