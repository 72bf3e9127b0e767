/* SPDX-License-Identifier: Apache-2.0 */
/*
 * r16.h - rANS with 32-bit states, 16-bit words and frequencies of 12 bits
 */

#ifndef BS_UP_R16_H
#define BS_UP_R16_H

#include "../bigsmall.h"

#define R16_BITS 12
#define R16_TOTAL (1u << R16_BITS)

struct bs_r16_table {
	uint8_t symbol[R16_TOTAL]; /* of a slot */
	uint16_t freq[256];
	uint16_t begin[256];
};

/* From the frequencies of 'n' <= 256 symbols: BS_ERR_CORRUPT unless they sum up to
 * R16_TOTAL. */
enum bs_result bs_r16_table_init(struct bs_r16_table *t, const uint32_t *freq,
				 unsigned n);

/* The frequencies that counts of occurrences get. */
void bs_r16_quantise(const uint32_t *counts, unsigned n, uint32_t *freq);

/* A stream: its state, then its words. */
struct bs_r16 {
	uint32_t state;
	const uint8_t *p; /* the next word */
	const uint8_t *end;
};

/* BS_ERR_CORRUPT: 'len' bytes hold no state. */
enum bs_result bs_r16_init(struct bs_r16 *r, const uint8_t *src, size_t len);

void bs_r16_symbols(struct bs_r16 *r, const struct bs_r16_table *t,
		    uint8_t *dst, size_t n);

/* A number below 'width' <= R16_TOTAL, all as likely, or almost. */
unsigned bs_r16_uniform(struct bs_r16 *r, unsigned width);

#endif /* BS_UP_R16_H */
