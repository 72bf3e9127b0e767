/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rans_avx512.c - rANS decoding by the steps of lanes_avx512.h
 *
 * The end of the words and of the elements is left to the scalar code.
 */

#ifdef __x86_64__

#include "lanes_avx512.h"

/* Whole groups of 64 while 128 bytes of words remain; returns how many
 * elements.  Compiled with and without 'q', which has n >= LANES entries. */
INLINE size_t decode_groups(struct bs_rans_dec *d, const struct plane *p,
			    const uint16_t *q, bool wide, uint8_t *sym,
			    size_t n)
{
	struct indices index[4];
	struct lanes l;
	__m512i lo, hi;
	size_t i;

	lanes_load(&l, index, d, p, q, wide);
	for (i = 0; n - i >= LANES && lanes_ready(&l); i += LANES) {
		if (q && n - i >= 2 * LANES)
			q += LANES;
		lanes_step(&l, index, p, q, wide, &lo, &hi);
		put_symbols(sym + i, lo, hi);
	}
	lanes_store(&l, d);
	return i;
}

LEAF size_t decode_plain(struct bs_rans_dec *d, const struct plane *p,
			 uint8_t *sym, size_t n)
{
	return decode_groups(d, p, NULL, false, sym, n);
}

LEAF size_t decode_tables(struct bs_rans_dec *d, const struct plane *p,
			  const uint16_t *q, uint8_t *sym, size_t n)
{
	return decode_groups(d, p, q, false, sym, n);
}

LEAF size_t decode_wide(struct bs_rans_dec *d, const struct plane *p,
			const uint16_t *q, uint8_t *sym, size_t n)
{
	return decode_groups(d, p, q, true, sym, n);
}

AVX512 enum bs_result
bs_rans_decode_avx512(struct bs_rans_dec *d, const bs_slot *slots,
		      unsigned prob_bits, const uint16_t *q,
		      unsigned table_mask, uint8_t *sym, size_t n)
{
	struct plane p;
	size_t i = 0;

	plane_init(&p, slots, prob_bits, q ? table_mask : 0);
	if (!q)
		i = decode_plain(d, &p, sym, n);
	else if (n >= LANES && is_wide(prob_bits, table_mask))
		i = decode_wide(d, &p, q, sym, n);
	else if (n >= LANES)
		i = decode_tables(d, &p, q, sym, n);

	return bs_rans_decode_scalar(d, slots, prob_bits, q ? q + i : NULL,
				     table_mask, sym + i, n - i);
}

#endif /* __x86_64__ */
