/* SPDX-License-Identifier: Apache-2.0 */
/*
 * r16.c - rANS with 32-bit states, 16-bit words and frequencies of 12 bits
 */

#include "r16.h"

#include "../bits.h"

#include <string.h>

#define STATE_MIN (1u << 16)

enum bs_result bs_r16_table_init(struct bs_r16_table *t, const uint32_t *freq,
				 unsigned n)
{
	uint32_t at = 0;
	unsigned s;

	for (s = 0; s < n; s++) {
		if (freq[s] > R16_TOTAL - at)
			return BS_ERR_CORRUPT;
		t->freq[s] = (uint16_t)freq[s];
		t->begin[s] = (uint16_t)at;
		memset(t->symbol + at, (int)s, freq[s]);
		at += freq[s];
	}
	return at == R16_TOTAL ? BS_OK : BS_ERR_CORRUPT;
}

/* Symbols by falling frequency, those of the same as they were. */
static void order_by_freq(const uint32_t *freq, unsigned n, uint16_t *order)
{
	unsigned i, k;

	for (i = 0; i < n; i++) {
		for (k = i; k && freq[order[k - 1]] < freq[i]; k--)
			order[k] = order[k - 1];
		order[k] = (uint16_t)i;
	}
}

void bs_r16_quantise(const uint32_t *counts, unsigned n, uint32_t *freq)
{
	uint64_t total = 0;
	uint16_t order[256] = { 0 };
	int32_t left = R16_TOTAL;
	unsigned i;

	for (i = 0; i < n; i++)
		total += counts[i];
	for (i = 0; i < n; i++) {
		uint64_t f = total ? (uint64_t)counts[i] * R16_TOTAL / total
				   : (i ? 0 : R16_TOTAL);

		freq[i] = (uint32_t)(counts[i] && !f ? 1 : f);
		left -= (int32_t)freq[i];
	}
	order_by_freq(freq, n, order);
	/* A unit to or from each in turn, until it fits. */
	for (i = 0; left; i = (i + 1) % n) {
		uint32_t *f = &freq[order[i]];

		if (left > 0) {
			++*f;
			left--;
		} else if (*f > 1) {
			--*f;
			left++;
		}
	}
}

enum bs_result bs_r16_init(struct bs_r16 *r, const uint8_t *src, size_t len)
{
	if (len < 4)
		return BS_ERR_CORRUPT;
	r->state = get_u32(src);
	r->p = src + 4;
	r->end = r->p + (len - 4) / 2 * 2;
	return BS_OK;
}

static void refill(struct bs_r16 *r)
{
	while (r->state < STATE_MIN && r->p < r->end) {
		r->state = r->state << 16 | get_u16(r->p);
		r->p += 2;
	}
}

void bs_r16_symbols(struct bs_r16 *r, const struct bs_r16_table *t,
		    uint8_t *dst, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		uint32_t q = r->state & (R16_TOTAL - 1);
		unsigned s = t->symbol[q];

		r->state =
			t->freq[s] * (r->state >> R16_BITS) + q - t->begin[s];
		refill(r);
		dst[i] = (uint8_t)s;
	}
}

unsigned bs_r16_uniform(struct bs_r16 *r, unsigned width)
{
	uint32_t base = R16_TOTAL / width, more = R16_TOTAL % width;
	uint32_t q = r->state & (R16_TOTAL - 1), s;

	/* The first 'more' numbers have a slot more than the others. */
	s = q < more * (base + 1) ? q / (base + 1) : (q - more) / base;
	r->state = (base + (s < more)) * (r->state >> R16_BITS) + q -
		   (s * base + (s < more ? s : more));
	refill(r);
	return s;
}
