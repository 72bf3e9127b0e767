/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take.h - what encoding takes out of elements: symbols, and pieces of raw bits
 */

#ifndef BS_TAKE_H
#define BS_TAKE_H

#include "plane.h"

#include <stdbool.h>

/* Some bits of a value, where they are in an element: [lo, lo + bits), of which
 * bit 0 is bit 'shift' of the value. */
struct bs_bits {
	uint8_t lo;
	uint8_t bits;
	uint8_t shift;
};

/* In how many places they are, at most. */
#define BITS_MAX 4

/*
 * Pack a piece of 'width' bits of each of n elements, 8, 4, 2 or 1, as
 * docs/format.md 9.2 has it; bs_piece_len() bytes are written.  The bits in 'from'
 * fit the piece, and no two are the same bit of it.
 */
typedef void (*bs_take_piece_fn)(uint8_t *dst, unsigned width, const void *src,
				 unsigned unit, size_t n,
				 const struct bs_bits *from, unsigned n_from);

void bs_take_piece_scalar(uint8_t *dst, unsigned width, const void *src,
			  unsigned unit, size_t n, const struct bs_bits *from,
			  unsigned n_from);

/* How values become entries of encoding tables (docs/format.md 9.1). */
struct bs_entry_rule {
	unsigned unit;
	unsigned n_from;
	struct bs_bits from[BITS_MAX]; /* of the value, of at most 16 bits */
	uint16_t mask; /* (1 << bits of a value) - 1 */
	uint16_t base;
	uint8_t table_log2; /* at most 5 */
	uint8_t shift; /* of octaves */
	uint8_t other; /* the symbol of values that have none */
	/*
	 * What there is in each table, borrowed, twice: an entry for every
	 * value below 256, and a bit, s % 16 of has[table][s / 16], whether it
	 * is the value's own.
	 */
	const uint16_t (*entry_of)[256]; /* [1 << table_log2] */
	const uint16_t (*has)[16]; /* the same */
};

/* In an entry_of: not the value's own. */
#define ENTRY_OTHER 0x8000u

/* Fill entry_of and has of one table by which symbols it has. */
void bs_entry_table(uint16_t *entry_of, uint16_t *has, unsigned table,
		    unsigned other, const bool *is_symbol);

/*
 * The table and symbol of each of n elements, as table << 8 | symbol.  'q' as
 * docs/format.md 9.1 has it, or NULL: zeros.  Bit i % 64 of others[i / 64] is
 * set if the value of element i has no symbol; bits from n on are not.
 * Returns whether any is.
 */
typedef bool (*bs_take_entries_fn)(uint16_t *dst, const void *src, size_t n,
				   const struct bs_entry_rule *rule,
				   const uint16_t *q, uint64_t *others);

bool bs_take_entries_scalar(uint16_t *dst, const void *src, size_t n,
			    const struct bs_entry_rule *rule, const uint16_t *q,
			    uint64_t *others);

#ifdef __x86_64__
void bs_take_piece_avx2(uint8_t *dst, unsigned width, const void *src,
			unsigned unit, size_t n, const struct bs_bits *from,
			unsigned n_from);
bool bs_take_entries_avx2(uint16_t *dst, const void *src, size_t n,
			  const struct bs_entry_rule *rule, const uint16_t *q,
			  uint64_t *others);
void bs_take_piece_avx512(uint8_t *dst, unsigned width, const void *src,
			  unsigned unit, size_t n, const struct bs_bits *from,
			  unsigned n_from);
bool bs_take_entries_avx512(uint16_t *dst, const void *src, size_t n,
			    const struct bs_entry_rule *rule, const uint16_t *q,
			    uint64_t *others);
#endif

#endif /* BS_TAKE_H */
