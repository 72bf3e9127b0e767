/* SPDX-License-Identifier: Apache-2.0 */
/*
 * freq.c - symbol frequencies: counts to tables, tables to bytes and back
 *
 * A frequency is a share of 2^prob_bits.  None may be the whole: with 0 < f <
 * 2^prob_bits <= 4096 a symbol, its frequency and a slot's distance from the
 * symbol's start fit one 32-bit entry, and one load (one gather lane) fetches
 * all that a decoding step needs.
 */

#include "freq.h"

#include "bits.h"

uint32_t bs_log2(uint64_t v)
{
	/* log2(1 + i / 64); between them straight lines. */
	static const uint32_t steps[65] = {
		0,     1466,  2909,  4331,  5732,  7112,  8473,	 9814,	11136,
		12440, 13727, 14996, 16248, 17484, 18704, 19909, 21098, 22272,
		23433, 24579, 25711, 26830, 27936, 29029, 30109, 31178, 32234,
		33279, 34312, 35334, 36346, 37346, 38336, 39316, 40286, 41246,
		42196, 43137, 44068, 44990, 45904, 46809, 47705, 48593, 49472,
		50344, 51207, 52063, 52911, 53751, 54584, 55410, 56229, 57040,
		57845, 58643, 59434, 60219, 60997, 61769, 62534, 63294, 64047,
		64794, 65536,
	};
	unsigned whole, i;
	uint64_t fraction;

	if (!v)
		return 0;
	whole = 63 - (unsigned)__builtin_clzll(v);
	fraction = v << (63 - whole) << 1; /* of 2^64 */
	i = (unsigned)(fraction >> 58);
	fraction = fraction >> 42 & 0xffff;
	return whole << 16 |
	       (uint32_t)(steps[i] +
			  ((steps[i + 1] - steps[i]) * fraction >> 16));
}

/* The first of the largest. */
static unsigned largest(const struct bs_freq *q)
{
	uint16_t most = 0;
	unsigned s;

	for (s = 0; s < SYMBOLS_MAX; s++)
		most = q->f[s] > most ? q->f[s] : most;
	for (s = 0; q->f[s] != most;)
		s++;
	return s;
}

/*
 * Rounding leaves the sum a little off.  Take the difference from, or give it
 * to, the symbols where it costs least: the cost of moving one unit is about
 * count / f, so always the largest frequency (which is nearly proportional to
 * its count and loses least, relatively).
 */
static void settle(struct bs_freq *q, long sum)
{
	long total = 1L << q->prob_bits;
	unsigned s;

	while (sum != total) {
		long step, room;

		s = largest(q);
		if (sum < total) {
			q->f[s] += (uint16_t)(total - sum);
			break;
		}
		step = sum - total;
		room = q->f[s] / 8 ? q->f[s] / 8 : 1;
		if (step > room)
			step = room;
		q->f[s] -= (uint16_t)step;
		sum -= step;
	}
	s = largest(q);
	if (q->f[s] == total) {
		q->f[s]--;
		q->f[s ? 0 : 1] = 1;
	}
}

void bs_freq_normalise(struct bs_freq *ret, const uint64_t *counts, unsigned n,
		       unsigned prob_bits)
{
	uint64_t any = 0, total = 0, share;
	unsigned s, drop = 0;
	long sum = 0;

	memset(ret, 0, sizeof(*ret));
	ret->prob_bits = prob_bits;
	for (s = 0; s < n; s++)
		any |= counts[s];
	while (any >> drop >> 40)
		drop++;
	for (s = 0; s < n; s++)
		total += counts[s] >> drop;
	for (s = 0; s < n; s++) {
		if (!counts[s])
			continue;
		share = counts[s] >> drop << prob_bits;
		share = div_53(share + total / 2, total);
		ret->f[s] = share ? (uint16_t)share : 1;
		sum += ret->f[s];
	}
	settle(ret, sum);
}

uint64_t bs_freq_cost(const struct bs_freq *freq, const uint64_t *counts,
		      unsigned n)
{
	uint64_t cost = 0;
	unsigned s;

	for (s = 0; s < n; s++) {
		if (counts[s])
			cost += counts[s] *
				((freq->prob_bits << 16) - bs_log2(freq->f[s]));
	}
	return cost;
}

unsigned bs_freq_n_symbols(const struct bs_freq *freq)
{
	unsigned n = SYMBOLS_MAX;

	while (n && !freq->f[n - 1])
		n--;
	return n;
}

/* Of symbol s after one of 'prev' bits: z of docs/format.md 8.2. */
static unsigned length_step(unsigned len, unsigned prev)
{
	return len >= prev ? 2 * (len - prev) : 2 * (prev - len) - 1;
}

size_t bs_freq_len(const struct bs_freq *freq)
{
	unsigned n = bs_freq_n_symbols(freq), prev = 0, bits = 0, s;

	for (s = 0; s < n; s++) {
		unsigned len = bit_length(freq->f[s]);

		bits += 2 * bit_length(length_step(len, prev) + 1) - 1;
		bits += len ? len - 1 : 0;
		prev = len;
	}
	return 2 + (bits + 7) / 8;
}

size_t bs_freq_write(const struct bs_freq *freq, uint8_t *dst)
{
	unsigned n = bs_freq_n_symbols(freq), prev = 0, s;
	struct bit_writer bw = { .p = dst + 2 };

	dst[0] = (uint8_t)freq->prob_bits;
	dst[1] = (uint8_t)(n - 1);
	for (s = 0; s < n; s++) {
		unsigned len = bit_length(freq->f[s]);
		unsigned z = length_step(len, prev);
		unsigned k = bit_length(z + 1) - 1;

		bw_bits(&bw, 0, k);
		bw_bits(&bw, 1, 1);
		bw_bits(&bw, z + 1, k);
		if (len >= 2)
			bw_bits(&bw, freq->f[s], len - 1);
		prev = len;
	}
	return 2 + (bw.pos + 7) / 8;
}

enum bs_result bs_freq_read(struct bs_freq *ret, const uint8_t *src, size_t len,
			    size_t *ret_len)
{
	struct bit_reader br = { 0 };
	uint32_t sum = 0;
	unsigned s, bits = 0;

	memset(ret, 0, sizeof(*ret));
	if (len < 2 || src[0] < PROB_BITS_MIN || src[0] > PROB_BITS_MAX)
		return BS_ERR_CORRUPT;
	ret->prob_bits = src[0];
	br.p = src + 2;
	br.len = len - 2;
	for (s = 0; s <= src[1]; s++) {
		unsigned k = 0, z;

		while (k < 5 && !br.overrun && !br_bit(&br))
			k++;
		z = (1u << k | br_bits(&br, k)) - 1;
		if (z & 1 ? (z + 1) / 2 > bits : bits + z / 2 > PROB_BITS_MAX)
			return BS_ERR_CORRUPT;
		bits = z & 1 ? bits - (z + 1) / 2 : bits + z / 2;
		if (bits)
			ret->f[s] = (uint16_t)(1u << (bits - 1) |
					       br_bits(&br, bits - 1));
		if (br.overrun || ret->f[s] >> ret->prob_bits)
			return BS_ERR_CORRUPT;
		sum += ret->f[s];
	}
	/* The last byte's padding is zero. */
	while (br.pos & 7) {
		if (br_bit(&br))
			return BS_ERR_CORRUPT;
	}
	*ret_len = 2 + br.pos / 8;
	return sum == 1u << ret->prob_bits ? BS_OK : BS_ERR_CORRUPT;
}

void bs_freq_slots(const struct bs_freq *freq, bs_slot *slots)
{
	uint32_t s, i;

	for (s = 0; s < SYMBOLS_MAX; s++) {
		bs_slot entry = (uint32_t)freq->f[s] << 20 | s;

		for (i = 0; i < freq->f[s]; i++)
			*slots++ = entry | i << 8;
	}
}

/*
 * floor(x / f) as a multiplication: with l = ceil(log2 f) and m =
 * ceil(2^(32+l) / f), (x * m) >> (32 + l) is exact for every 32-bit x
 * (Granlund and Montgomery, "Division by Invariant Integers using
 * Multiplication", 1994).  The product fits 64 bits because an encoder's x is
 * below f * 2^(32-B) after renormalisation: x * m < 2^(64+l-B), and l <= B.
 */
void bs_freq_enc(const struct bs_freq *freq, struct bs_enc_symbol *enc)
{
	uint32_t start = 0;
	unsigned s;

	for (s = 0; s < SYMBOLS_MAX; s++) {
		uint32_t f = freq->f[s];
		unsigned l = f > 1 ? bit_length(f - 1) : 0;

		memset(&enc[s], 0, sizeof(enc[s]));
		if (!f)
			continue;
		enc[s].reciprocal = ((UINT64_C(1) << (32 + l)) + f - 1) / f;
		enc[s].shift = (uint8_t)(32 + l);
		enc[s].limit = f << (32 - freq->prob_bits);
		enc[s].complement = (uint16_t)((1u << freq->prob_bits) - f);
		enc[s].start = (uint16_t)start;
		start += f;
	}
}

void bs_freq_pack(const struct bs_freq *freq, uint32_t *packed)
{
	uint32_t start = 0;
	unsigned s;

	for (s = 0; s < SYMBOLS_MAX; s++) {
		packed[s] = freq->f[s] | start << 16;
		start += freq->f[s];
	}
}

/* Four arrays: an addition need not wait for that of a neighbour of the same
 * value. */
void bs_count_bytes(uint64_t *counts, const uint8_t *p, size_t n)
{
	uint32_t of[4][SYMBOLS_MAX];
	unsigned s;
	size_t m;

	for (; n; n -= m, p += m) {
		size_t i = 0;

		m = n < UINT32_MAX ? n : UINT32_MAX;
		memset(of, 0, sizeof(of));
		for (; m - i >= 8; i += 8) {
			uint64_t v = get_u64(p + i);

			of[0][v & 255]++;
			of[1][v >> 8 & 255]++;
			of[2][v >> 16 & 255]++;
			of[3][v >> 24 & 255]++;
			of[0][v >> 32 & 255]++;
			of[1][v >> 40 & 255]++;
			of[2][v >> 48 & 255]++;
			of[3][v >> 56]++;
		}
		for (; i < m; i++)
			of[0][p[i]]++;
		for (s = 0; s < SYMBOLS_MAX; s++)
			counts[s] += (uint64_t)of[0][s] + of[1][s] + of[2][s] +
				     of[3][s];
	}
}
