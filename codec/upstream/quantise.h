/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantise.h - from counts to the 24-bit probabilities that coders use
 */

#ifndef BS_UP_QUANTISE_H
#define BS_UP_QUANTISE_H

#include "../bigsmall.h"

#define UP_PROB_BITS 24
#define UP_ALPHABET_MAX 1024

/*
 * Of 'n' symbols, 1 to UP_ALPHABET_MAX, with 'counts' occurrences each, the sums
 * of the probabilities before symbol 0 .. n, of which the last is 1 << 24: every
 * symbol has at least 1.  Bit for bit what constriction 0.5's "perfect"
 * categorical model has for counts + 0.01.  BS_OK or BS_ERR_NOMEM.
 */
enum bs_result bs_up_quantise(const uint32_t *counts, unsigned n,
			      uint32_t *ret);

#endif /* BS_UP_QUANTISE_H */
