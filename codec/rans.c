/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rans.c - 64 interleaved rANS coders: the scalar specification
 *
 * A lane's state x is in [2^16, 2^32).  Decoding a symbol of frequency f that
 * starts at slot c:
 *
 *	slot = x mod 2^B;  x = f * (x >> B) + slot - c;
 *	if (x < 2^16)  x = x << 16 | next word
 *
 * One word is always enough: x >> B is at least 2^4, so x is at least 16
 * before the word and 2^20 after.  Lanes take words in the order of their
 * elements, so that a vector of lanes takes them by one expanding load and a
 * CUDA warp by two ballots.
 *
 * Sixty-four lanes are stepped together, stage by stage: look up, multiply and
 * add, compare, refill.  Only the look-up and the refill are scalar; between
 * them are loops over independent lanes, which compilers turn into vectors of
 * whatever the target has.  Lane after lane, with an unconditional load of the
 * next word and a select, took 1.7 times as long by gcc, 1.4 by clang; half of
 * the lanes at a time, to refill one half while the other is stepped, gained
 * nothing.
 *
 * Encoding runs the steps backwards; see Duda, "Asymmetric numeral systems",
 * arXiv 1311.2540, and Giesen, "Interleaved entropy coders", arXiv 1402.3392.
 */

#include "rans.h"

#include "bits.h"

/* Lanes 0..m-1, m <= 64, each word checked: the end of a stream. */
static enum bs_result decode_careful(struct bs_rans_dec *d,
				     const bs_slot *slots, unsigned prob_bits,
				     const uint16_t *q, unsigned table_mask,
				     uint8_t *sym, size_t m)
{
	uint32_t mask = (1u << prob_bits) - 1;
	size_t i;

	for (i = 0; i < m; i++) {
		const bs_slot *t = slots;
		bs_slot e;

		if (q)
			t += (size_t)(q[i] & table_mask) << prob_bits;
		e = t[d->x[i] & mask];
		d->x[i] = (e >> 20) * (d->x[i] >> prob_bits) + (e >> 8 & 4095);
		sym[i] = (uint8_t)e;
		if (d->x[i] >> 16)
			continue;
		if (d->words == d->end)
			return BS_ERR_CORRUPT;
		d->x[i] = d->x[i] << 16 | get_u16(d->words);
		d->words += 2;
	}
	return BS_OK;
}

/*
 * All 64 lanes while at least 128 bytes of words remain: no word is checked.
 * Which lanes want one is as good as random, so they are gathered as bits of
 * one number: that costs one mispredicted branch a step, not one a word.
 * Inlined with and without 'q', so that the loops have no branches.
 */
static inline __attribute__((always_inline)) const uint8_t *
decode_64(uint32_t *restrict x, const uint8_t *restrict words,
	  const bs_slot *restrict slots, unsigned prob_bits,
	  const uint16_t *restrict q, unsigned table_mask,
	  uint8_t *restrict sym)
{
	uint32_t mask = (1u << prob_bits) - 1, at[LANES];
	bs_slot e[LANES];
	uint8_t small[LANES];
	uint64_t want = 0;
	size_t i;

	for (i = 0; i < LANES; i++)
		at[i] = x[i] & mask;
	for (i = 0; q && i < LANES; i++)
		at[i] |= (q[i] & table_mask) << prob_bits;
	for (i = 0; i < LANES; i++)
		e[i] = slots[at[i]];
	for (i = 0; i < LANES; i++)
		sym[i] = (uint8_t)e[i];
	for (i = 0; i < LANES; i++)
		x[i] = (e[i] >> 20) * (x[i] >> prob_bits) + (e[i] >> 8 & 4095);
	for (i = 0; i < LANES; i++)
		small[i] = x[i] < 65536;
	/* Eight bytes of 0 or 1 times this: their bits meet in the top byte. */
	for (i = 0; i < LANES; i += 8)
		want |= get_u64(small + i) * UINT64_C(0x0102040810204080) >>
			56 << i;
	for (; want; want &= want - 1) {
		i = (size_t)__builtin_ctzll(want);
		x[i] = x[i] << 16 | get_u16(words);
		words += 2;
	}
	return words;
}

enum bs_result bs_rans_decode_scalar(struct bs_rans_dec *d,
				     const bs_slot *slots, unsigned prob_bits,
				     const uint16_t *q, unsigned table_mask,
				     uint8_t *sym, size_t n)
{
	enum bs_result res = BS_OK;
	size_t i = 0;

	while (n - i >= LANES && d->end - d->words >= 2 * LANES) {
		if (q)
			d->words = decode_64(d->x, d->words, slots, prob_bits,
					     q + i, table_mask, sym + i);
		else
			d->words = decode_64(d->x, d->words, slots, prob_bits,
					     NULL, 0, sym + i);
		i += LANES;
	}
	while (i < n && !res) {
		size_t m = n - i < LANES ? n - i : LANES;

		res = decode_careful(d, slots, prob_bits, q ? q + i : NULL,
				     table_mask, sym + i, m);
		i += m;
	}
	return res;
}

/* x with symbol 's' put before it; x is below s->limit. */
static inline uint32_t push(uint32_t x, const struct bs_enc_symbol *s)
{
	uint32_t quotient = (uint32_t)(x * s->reciprocal >> s->shift);

	return x + s->start + quotient * s->complement;
}

/* Lanes m-1..0, m <= 64, each word checked: the end of the room. */
static bool encode_careful(struct bs_rans_enc *e,
			   const struct bs_enc_symbol *symbols,
			   const uint16_t *entries, size_t m)
{
	while (m-- > 0) {
		const struct bs_enc_symbol *s = symbols + entries[m];

		if (!s->limit)
			return false;
		if (e->x[m] >= s->limit) {
			if (e->words - e->limit < 2)
				return false;
			e->words -= 2;
			put_u16(e->words, (uint16_t)e->x[m]);
			e->x[m] >>= 16;
		}
		e->x[m] = push(e->x[m], s);
	}
	return true;
}

/*
 * All 64 lanes while there is room for a word of each.  A word is written
 * before it is known to be wanted: a branch would be mispredicted as often as
 * a word is wanted, and takes 1.6 times as long at 4.6 bits a symbol.
 */
static bool encode_64(struct bs_rans_enc *e,
		      const struct bs_enc_symbol *symbols,
		      const uint16_t *entries)
{
	uint8_t *words = e->words;
	bool codable = true;
	size_t i;

	for (i = LANES; i-- > 0;) {
		const struct bs_enc_symbol *s = symbols + entries[i];
		uint32_t x = e->x[i], full = x >= s->limit;

		put_u16(words - 2, (uint16_t)x);
		words -= 2 * full;
		e->x[i] = push(x >> 16 * full, s);
		codable &= s->limit != 0;
	}
	e->words = words;
	return codable;
}

bool bs_rans_encode_scalar(struct bs_rans_enc *e,
			   const struct bs_enc_tables *tables,
			   const uint16_t *entries, size_t n)
{
	const struct bs_enc_symbol *symbols = tables->symbols;
	size_t m = n % LANES;
	bool good;

	n -= m;
	good = encode_careful(e, symbols, entries + n, m);
	while (good && n) {
		n -= LANES;
		if (e->words - e->limit < 2 * LANES)
			good = encode_careful(e, symbols, entries + n, LANES);
		else
			good = encode_64(e, symbols, entries + n);
	}
	return good;
}
