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
 * CUDA warp by two ballots.  Sixty-four lanes, since a decoding step is a chain
 * of a load, a multiplication and an addition (~ 15 cycles): eight AVX2 vectors
 * or 64 scalars in flight hide it.
 *
 * Encoding runs the steps backwards; see Duda, "Asymmetric numeral systems",
 * arXiv 1311.2540, and Giesen, "Interleaved entropy coders", arXiv 1402.3392.
 */

#include "rans.h"

#include "bits.h"

/* One element; x must hold a valid state or garbage, never traps. */
#define STEP(x, table, e)                                               \
	do {                                                            \
		e = (table)[(x)&mask];                                  \
		x = (e >> 20) * ((x) >> prob_bits) + ((e) >> 8 & 4095); \
	} while (0)

/* Lanes 0..m-1, m <= 64, each word checked: the end of a stream. */
static enum bs_result decode_careful(struct bs_rans_dec *d,
				     const bs_slot *slots, unsigned prob_bits,
				     const uint16_t *q, unsigned table_mask,
				     uint8_t *sym, size_t m)
{
	uint32_t mask = (1u << prob_bits) - 1, e;
	size_t i;

	for (i = 0; i < m; i++) {
		const bs_slot *t = slots;

		if (q)
			t += (size_t)(q[i] & table_mask) << prob_bits;
		STEP(d->x[i], t, e);
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
 * All 64 lanes while at least 128 bytes of words remain: no check is needed,
 * and a lane's word is loaded before it is known to be wanted.  Whether it is
 * wanted is as good as random, so it is arithmetic: where the source says ?:,
 * gcc branches, at half the speed.  Inlined with and without 'q', and for 12
 * bits apart, where shifts and masks are constants.
 */
static inline __attribute__((always_inline)) const uint8_t *
decode_64(uint32_t *restrict lanes, const uint8_t *restrict words,
	  const bs_slot *restrict slots, unsigned prob_bits,
	  const uint16_t *restrict q, unsigned table_mask,
	  uint8_t *restrict sym)
{
	uint32_t mask = (1u << prob_bits) - 1, e;
	size_t i, used = 0;

#pragma GCC unroll 8
	for (i = 0; i < LANES; i++) {
		const bs_slot *t = slots;
		uint32_t x = lanes[i], small, refilled;

		if (q)
			t += (size_t)(q[i] & table_mask) << prob_bits;
		STEP(x, t, e);
		sym[i] = (uint8_t)e;
		small = -(uint32_t)(x < 65536);
		refilled = x << 16 | get_u16(words + 2 * used);
		used -= (size_t)(int32_t)small;
		lanes[i] = x ^ ((x ^ refilled) & small);
	}
	return words + 2 * used;
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
		else if (prob_bits == 12)
			d->words = decode_64(d->x, d->words, slots, 12, NULL, 0,
					     sym + i);
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

bool bs_rans_encode(struct bs_rans_enc *e, const struct bs_enc_symbol *enc,
		    const uint8_t *sym, size_t n)
{
	uint8_t *words = e->words;
	size_t i;

	for (i = n; i-- > 0;) {
		const struct bs_enc_symbol *s = &enc[sym[i]];
		uint32_t x = e->x[i % LANES];
		uint64_t quotient;

		if (!s->limit || words - e->limit < 2)
			return false;
		if (x >= s->limit) {
			words -= 2;
			put_u16(words, (uint16_t)x);
			x >>= 16;
		}
		quotient = x * s->reciprocal >> s->shift;
		e->x[i % LANES] =
			x + s->start + (uint32_t)quotient * s->complement;
	}
	e->words = words;
	return true;
}
