/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rans_avx512.c - rANS decoding by the steps of lanes_avx512.h
 *
 * The end of the words and of the elements is left to the scalar code.
 */

#ifdef __x86_64__

#include "lanes_avx512.h"

/* Whole groups of 64 while 128 bytes of words remain; returns how many
 * elements.  Compiled with and without 'q'. */
INLINE size_t decode_groups(struct bs_rans_dec *d, const struct plane *p,
			    const uint16_t *q, uint8_t *sym, size_t n)
{
	uint64_t pairs[LANES / 2] __attribute__((aligned(64)));
	struct lanes l;
	size_t i;

	lanes_load(&l, d);
	for (i = 0; n - i >= LANES && lanes_ready(&l); i += LANES)
		lanes_step(&l, p, pairs, q ? q + i : NULL, sym + i);
	lanes_store(&l, d);
	return i;
}

LEAF size_t decode_plain(struct bs_rans_dec *d, const struct plane *p,
			 uint8_t *sym, size_t n)
{
	return decode_groups(d, p, NULL, sym, n);
}

LEAF size_t decode_tables(struct bs_rans_dec *d, const struct plane *p,
			  const uint16_t *q, uint8_t *sym, size_t n)
{
	return decode_groups(d, p, q, sym, n);
}

AVX512 enum bs_result
bs_rans_decode_avx512(struct bs_rans_dec *d, const bs_slot *slots,
		      unsigned prob_bits, const uint16_t *q,
		      unsigned table_mask, uint8_t *sym, size_t n)
{
	struct plane p;
	size_t i;

	plane_init(&p, slots, prob_bits, table_mask);
	i = q ? decode_tables(d, &p, q, sym, n) : decode_plain(d, &p, sym, n);

	return bs_rans_decode_scalar(d, slots, prob_bits, q ? q + i : NULL,
				     table_mask, sym + i, n - i);
}

#endif /* __x86_64__ */
