/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rans.h - 64 interleaved rANS coders (docs/format.md 9.1)
 */

#ifndef BS_RANS_H
#define BS_RANS_H

#include "freq.h"

#include <stdbool.h>

/* The lanes of a chunk while it is decoded; carried from plane to plane. */
struct bs_rans_dec {
	uint32_t x[LANES];
	const uint8_t *words; /* next word */
	const uint8_t *end; /* after the last word; not read past */
};

/* The lanes while a chunk is encoded, last element first. */
struct bs_rans_enc {
	uint32_t x[LANES];
	uint8_t *words; /* the words written so far begin here */
	uint8_t *limit; /* nothing is written before this */
};

/*
 * Decode symbols of 'n' elements of one plane into 'sym'; the first is coded
 * by lane 0.  'slots' holds tables of (1 << prob_bits) slots; 'q' chooses one
 * per element (q[i] & table_mask), or is NULL: the first.  CORRUPT: the words
 * ran out.
 */
typedef enum bs_result (*bs_rans_decode_fn)(
	struct bs_rans_dec *d, const bs_slot *slots, unsigned prob_bits,
	const uint16_t *q, unsigned table_mask, uint8_t *sym, size_t n);

enum bs_result bs_rans_decode_scalar(struct bs_rans_dec *d,
				     const bs_slot *slots, unsigned prob_bits,
				     const uint16_t *q, unsigned table_mask,
				     uint8_t *sym, size_t n);
#ifdef __x86_64__
enum bs_result bs_rans_decode_avx2(struct bs_rans_dec *d, const bs_slot *slots,
				   unsigned prob_bits, const uint16_t *q,
				   unsigned table_mask, uint8_t *sym, size_t n);
enum bs_result bs_rans_decode_avx512(struct bs_rans_dec *d,
				     const bs_slot *slots, unsigned prob_bits,
				     const uint16_t *q, unsigned table_mask,
				     uint8_t *sym, size_t n);
#endif
#ifdef __aarch64__
enum bs_result bs_rans_decode_neon(struct bs_rans_dec *d, const bs_slot *slots,
				   unsigned prob_bits, const uint16_t *q,
				   unsigned table_mask, uint8_t *sym, size_t n);
#endif

/*
 * Encode 'n' elements of a plane, last first, each by the entry of 'tables' that
 * it names.  False where that has no frequency or the words do not fit; the
 * lanes are undefined then.
 */
typedef bool (*bs_rans_encode_fn)(struct bs_rans_enc *e,
				  const struct bs_enc_tables *tables,
				  const uint16_t *entries, size_t n);

bool bs_rans_encode_scalar(struct bs_rans_enc *e,
			   const struct bs_enc_tables *tables,
			   const uint16_t *entries, size_t n);
#ifdef __x86_64__
bool bs_rans_encode_avx2(struct bs_rans_enc *e,
			 const struct bs_enc_tables *tables,
			 const uint16_t *entries, size_t n);
bool bs_rans_encode_avx512(struct bs_rans_enc *e,
			   const struct bs_enc_tables *tables,
			   const uint16_t *entries, size_t n);
#endif

#endif /* BS_RANS_H */
