/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take_loops.h - what encoding takes out of elements, for any vectors
 *
 * Whoever includes this has INLINE and broadcast() of avx2.h or avx512.h; VECTOR,
 * V(x) for what _mm..._x is, and LOAD(), AND(), OR(); and defines the functions
 * that are declared below.  Elements past the last whole group are left to the
 * scalar code.
 */

#ifndef BS_TAKE_LOOPS_H
#define BS_TAKE_LOOPS_H

#include "../take.h"

#define GROUP 64

/* Some bits of a value in the form that the loops want. */
struct move {
	__m128i right; /* one of these two is 0 */
	__m128i left;
	VECTOR mask; /* where they stand in the value */
};

struct value {
	unsigned n_moves;
	struct move moves[BITS_MAX];
};

/* Operations on lanes of 'unit' bytes; 'unit' is a constant wherever these are
 * used. */

/* A shift brings bits of an entry's neighbour into it where lanes are wider than
 * entries, and a mask takes them away again. */
INLINE VECTOR move_bits(VECTOR v, const struct move *m, unsigned unit)
{
	switch (unit) {
	case 1:
	case 2:
		v = V(sll_epi16)(V(srl_epi16)(v, m->right), m->left);
		break;
	case 4:
		v = V(sll_epi32)(V(srl_epi32)(v, m->right), m->left);
		break;
	default:
		v = V(sll_epi64)(V(srl_epi64)(v, m->right), m->left);
	}
	return AND(v, m->mask);
}

INLINE void value_init(struct value *v, unsigned unit,
		       const struct bs_bits *from, unsigned n_from)
{
	unsigned i;

	v->n_moves = n_from;
	for (i = 0; i < n_from; i++) {
		const struct bs_bits *b = &from[i];
		int right = b->lo - b->shift;
		uint64_t mask = ((UINT64_C(1) << b->bits) - 1) << b->shift;

		v->moves[i].right = _mm_cvtsi32_si128(right > 0 ? right : 0);
		v->moves[i].left = _mm_cvtsi32_si128(right < 0 ? -right : 0);
		v->moves[i].mask = broadcast(mask, unit);
	}
}

/* The values of the elements of a vector, a lane each. */
INLINE VECTOR take_vector(const uint8_t *src, unsigned unit,
			  const struct value *v)
{
	VECTOR element = LOAD(src);
	VECTOR ret = move_bits(element, &v->moves[0], unit);
	unsigned i;

	for (i = 1; i < v->n_moves; i++)
		ret = OR(ret, move_bits(element, &v->moves[i], unit));
	return ret;
}

/* ---- Pieces ------------------------------------------------------------- */

/* A group's values as a piece of 'width' bits, which is a constant, too. */
INLINE void put_group(uint8_t *dst, unsigned width, const uint8_t *src,
		      unsigned unit, const struct value *v);

INLINE size_t take_groups(uint8_t *dst, unsigned width, const uint8_t *src,
			  unsigned unit, size_t n, const struct bs_bits *from,
			  unsigned n_from)
{
	struct value v;
	size_t at;

	value_init(&v, unit, from, n_from);
	for (at = 0; n - at >= GROUP; at += GROUP)
		put_group(dst + at / 8 * width, width, src + at * unit, unit,
			  &v);
	return at;
}

INLINE size_t take_widths(uint8_t *dst, unsigned width, const uint8_t *src,
			  unsigned unit, size_t n, const struct bs_bits *from,
			  unsigned n_from)
{
	switch (width) {
	case 8:
		return take_groups(dst, 8, src, unit, n, from, n_from);
	case 4:
		return take_groups(dst, 4, src, unit, n, from, n_from);
	case 2:
		return take_groups(dst, 2, src, unit, n, from, n_from);
	default:
		return take_groups(dst, 1, src, unit, n, from, n_from);
	}
}

/* bs_take_piece_fn */
INLINE void take_piece(uint8_t *dst, unsigned width, const uint8_t *src,
		       unsigned unit, size_t n, const struct bs_bits *from,
		       unsigned n_from)
{
	size_t at;

	switch (unit) {
	case 1:
		at = take_widths(dst, width, src, 1, n, from, n_from);
		break;
	case 2:
		at = take_widths(dst, width, src, 2, n, from, n_from);
		break;
	case 4:
		at = take_widths(dst, width, src, 4, n, from, n_from);
		break;
	default:
		at = take_widths(dst, width, src, 8, n, from, n_from);
	}
	bs_take_piece_scalar(dst + at / 8 * width, width, src + at * unit, unit,
			     n - at, from, n_from);
}

/* ---- Entries ------------------------------------------------------------ */

/* Lanes of 16 bits. */
struct rule {
	struct value v;
	VECTOR base;
	VECTOR mask;
	VECTOR table_mask;
	__m128i log2;
	__m128i shift;
};

INLINE void rule_init(struct rule *r, unsigned unit,
		      const struct bs_entry_rule *from)
{
	value_init(&r->v, unit, from->from, from->n_from);
	r->base = broadcast(from->base, 2);
	r->mask = broadcast(from->mask, 2);
	r->table_mask = broadcast((1u << from->table_log2) - 1, 2);
	r->log2 = _mm_cvtsi32_si128(from->table_log2);
	r->shift = _mm_cvtsi32_si128(from->shift);
}

/* Of whole groups; *any gets bits of all 'others'.  How many elements. */
INLINE size_t take_entry_groups(uint16_t *dst, const uint8_t *src,
				unsigned unit, size_t n,
				const struct bs_entry_rule *rule,
				const uint16_t *q, uint64_t *others,
				uint64_t *any);

/* bs_take_entries_fn */
INLINE bool take_entries(uint16_t *dst, const uint8_t *src, size_t n,
			 const struct bs_entry_rule *rule, const uint16_t *q,
			 uint64_t *others)
{
	uint64_t any = 0;
	size_t at;

	switch (rule->unit) {
	case 1:
		at = take_entry_groups(dst, src, 1, n, rule, q, others, &any);
		break;
	case 2:
		at = take_entry_groups(dst, src, 2, n, rule, q, others, &any);
		break;
	case 4:
		at = take_entry_groups(dst, src, 4, n, rule, q, others, &any);
		break;
	default:
		at = take_entry_groups(dst, src, 8, n, rule, q, others, &any);
	}
	any |= bs_take_entries_scalar(dst + at, src + at * rule->unit, n - at,
				      rule, q ? q + at : NULL,
				      others + at / GROUP);
	return any;
}

#endif /* BS_TAKE_LOOPS_H */
