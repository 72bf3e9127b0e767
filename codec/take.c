/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take.c - what encoding takes out of elements: the scalar specification
 */

#include "take.h"

#include "bits.h"

/* Elements at a time, on the stack: groups of 64. */
#define STRIP 512

void bs_take_piece_scalar(uint8_t *dst, unsigned width, const void *src,
			  unsigned unit, size_t n, const struct bs_bits *from,
			  unsigned n_from)
{
	const uint8_t *p = src;
	uint8_t value[STRIP];
	size_t m;
	unsigned i;

	for (; n; n -= m, p += m * unit) {
		m = n < STRIP ? n : STRIP;
		memset(value, 0, sizeof(value));
		for (i = 0; i < n_from; i++)
			bs_plane_take8(value, p, unit, m, from[i].lo,
				       from[i].bits, from[i].shift);
		if (width == 8)
			memcpy(dst, value, m);
		else
			bs_piece_pack(dst, value, width, (m + 63) / 64);
		dst += bs_piece_len(width, m);
	}
}

/* Take the base, and what its class adds, off every value. */
static void take_offsets(uint16_t *restrict value,
			 const struct bs_entry_rule *rule,
			 const uint16_t *restrict q, size_t n)
{
	unsigned log2 = rule->table_log2, shift = rule->shift;
	uint16_t mask = rule->mask, base = rule->base;
	size_t i;

	if (q) {
		for (i = 0; i < n; i++)
			value[i] =
				(uint16_t)(value[i] - base -
					   ((unsigned)q[i] >> log2 << shift)) &
				mask;
		return;
	}
	for (i = 0; i < n; i++)
		value[i] = (uint16_t)(value[i] - base) & mask;
}

/* The rare case: some of up to 64 offsets have no symbol.  Returns which. */
static uint64_t mark_others(uint16_t *entry, const struct bs_entry_rule *rule,
			    const uint16_t *offset, const uint16_t *q, size_t n)
{
	unsigned table_mask = (1u << rule->table_log2) - 1, t;
	uint64_t others = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (offset[i] > 255) {
			t = q ? q[i] & table_mask : 0;
			entry[i] =
				(uint16_t)(ENTRY_OTHER | t << 8 | rule->other);
		}
		if (entry[i] & ENTRY_OTHER)
			others |= UINT64_C(1) << i;
		entry[i] &= (uint16_t)~ENTRY_OTHER;
	}
	return others;
}

/* Up to 64 offsets to entries.  Returns those without a symbol. */
static uint64_t to_entries(uint16_t *restrict dst,
			   const struct bs_entry_rule *rule,
			   const uint16_t *restrict offset,
			   const uint16_t *restrict q, size_t n)
{
	unsigned table_mask = (1u << rule->table_log2) - 1;
	uint16_t any = 0, most = 0;
	size_t i;

	if (q) {
		for (i = 0; i < n; i++)
			dst[i] = rule->entry_of[q[i] & table_mask]
					       [offset[i] & 255];
	} else {
		for (i = 0; i < n; i++)
			dst[i] = rule->entry_of[0][offset[i] & 255];
	}
	for (i = 0; i < n; i++) {
		any |= dst[i];
		most |= offset[i];
	}
	if (!(any & ENTRY_OTHER) && most < 256)
		return 0;
	return mark_others(dst, rule, offset, q, n);
}

void bs_entry_table(uint16_t *entry_of, uint16_t *has, unsigned table,
		    unsigned other, const bool *is_symbol)
{
	unsigned s;

	memset(has, 0, 16 * sizeof(*has));
	for (s = 0; s < 256; s++) {
		entry_of[s] = (uint16_t)(table << 8 | s);
		if (is_symbol[s])
			has[s / 16] |= (uint16_t)(1u << s % 16);
		else
			entry_of[s] =
				(uint16_t)(ENTRY_OTHER | table << 8 | other);
	}
}

bool bs_take_entries_scalar(uint16_t *dst, const void *src, size_t n,
			    const struct bs_entry_rule *rule, const uint16_t *q,
			    uint64_t *others)
{
	const uint8_t *p = src;
	uint16_t offset[STRIP];
	uint64_t any = 0;
	size_t at, m, i;

	for (at = 0; at < n; at += m) {
		m = n - at < STRIP ? n - at : STRIP;
		memset(offset, 0, sizeof(offset));
		for (i = 0; i < rule->n_from; i++)
			bs_plane_take16(offset, p + at * rule->unit, rule->unit,
					m, rule->from[i].lo, rule->from[i].bits,
					rule->from[i].shift);
		take_offsets(offset, rule, q ? q + at : NULL, m);
		for (i = 0; i < m; i += 64) {
			size_t k = m - i < 64 ? m - i : 64;

			*others = to_entries(dst + at + i, rule, offset + i,
					     q ? q + at + i : NULL, k);
			any |= *others++;
		}
	}
	return any;
}
