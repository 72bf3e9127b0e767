/* SPDX-License-Identifier: Apache-2.0 */
/*
 * freq.h - symbol frequencies: counts to tables, tables to bytes and back
 */

#ifndef BS_FREQ_H
#define BS_FREQ_H

#include "bigsmall.h"
#include "format.h"

#define SYMBOLS_MAX 256

/* Frequencies of the symbols 0..255; sum to 1 << prob_bits, each less. */
struct bs_freq {
	unsigned prob_bits;
	uint16_t f[SYMBOLS_MAX];
};

/* One slot of a decoding table: frequency << 20 | bias << 8 | symbol, where
 * bias = slot - start(symbol).  (1 << prob_bits) slots a table. */
typedef uint32_t bs_slot;

/* What encoding one symbol needs; see rans.c for the arithmetic. */
struct bs_enc_symbol {
	uint64_t reciprocal;
	uint32_t limit; /* renormalise at x >= limit; 0: not codable */
	uint16_t complement; /* (1 << prob_bits) - frequency */
	uint16_t start;
	uint8_t shift;
};

/*
 * Tables to encode by, SYMBOLS_MAX entries each, one after another: symbol s
 * of table t is entry t * SYMBOLS_MAX + s.  'packed' has the same as frequency
 * | start << 16, for kernels that divide.
 */
struct bs_enc_tables {
	const struct bs_enc_symbol *symbols; /* borrowed */
	const uint32_t *packed; /* borrowed */
	unsigned prob_bits;
};

/*
 * Scale 'counts' of 'n' symbols to frequencies.  A symbol with a count gets at
 * least 1.  With no counts at all the result is a valid table all the same.
 * n <= 256 and at most 1 << prob_bits symbols occur.
 */
void bs_freq_normalise(struct bs_freq *ret, const uint64_t *counts, unsigned n,
		       unsigned prob_bits);

/* log2(v) in 1/65536, off by less than 6; 0 for 0.  The same on any machine,
 * as a choice must be. */
uint32_t bs_log2(uint64_t v);

/* What coding 'counts', of which there are below 2^44, with 'freq' takes, in
 * 1/65536 bits. */
uint64_t bs_freq_cost(const struct bs_freq *freq, const uint64_t *counts,
		      unsigned n);

/* Write as docs/format.md 8.2; returns bytes written, <= TABLE_SERIAL_MAX.
 * bs_freq_len() says how many it would be. */
size_t bs_freq_len(const struct bs_freq *freq);
size_t bs_freq_write(const struct bs_freq *freq, uint8_t *dst);

/* Parse; *ret_len is the bytes read.  CORRUPT: not a table. */
enum bs_result bs_freq_read(struct bs_freq *ret, const uint8_t *src, size_t len,
			    size_t *ret_len);

/* The number of the last symbol with a frequency, plus 1. */
unsigned bs_freq_n_symbols(const struct bs_freq *freq);

/* Fill (1 << prob_bits) slots. */
void bs_freq_slots(const struct bs_freq *freq, bs_slot *slots);

/* Fill 256 entries. */
void bs_freq_enc(const struct bs_freq *freq, struct bs_enc_symbol *enc);
void bs_freq_pack(const struct bs_freq *freq, uint32_t *packed);

/* Add what is in n bytes to the counts of the 256 values. */
void bs_count_bytes(uint64_t *counts, const uint8_t *p, size_t n);

#endif /* BS_FREQ_H */
