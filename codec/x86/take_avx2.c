/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take_avx2.c - what encoding takes out of elements, 64 of them at a time
 *
 * As take_avx512.c, but entries are looked up one by one: what that has a
 * permutation for would be many shuffles here.
 */

#ifdef __x86_64__

#include "../take.h"

#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline)) AVX2

#define GROUP 64

/* Some bits of a value in the form that the loops want. */
struct move {
	__m128i right; /* one of these two is 0 */
	__m128i left;
	__m256i mask; /* where they stand in the value */
};

struct value {
	unsigned n_moves;
	struct move moves[BITS_MAX];
};

/* Operations on lanes of 'unit' bytes; 'unit' is a constant wherever these are
 * used. */

INLINE __m256i broadcast(uint64_t v, unsigned unit)
{
	switch (unit) {
	case 1:
		return _mm256_set1_epi8((char)v);
	case 2:
		return _mm256_set1_epi16((short)v);
	case 4:
		return _mm256_set1_epi32((int)v);
	default:
		return _mm256_set1_epi64x((long long)v);
	}
}

INLINE __m256i move_bits(__m256i v, const struct move *m, unsigned unit)
{
	switch (unit) {
	case 1:
	case 2:
		v = _mm256_sll_epi16(_mm256_srl_epi16(v, m->right), m->left);
		break;
	case 4:
		v = _mm256_sll_epi32(_mm256_srl_epi32(v, m->right), m->left);
		break;
	default:
		v = _mm256_sll_epi64(_mm256_srl_epi64(v, m->right), m->left);
	}
	return _mm256_and_si256(v, m->mask);
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
INLINE __m256i take_vector(const uint8_t *src, unsigned unit,
			   const struct value *v)
{
	__m256i element =
		_mm256_loadu_si256((const __m256i *)(const void *)src);
	__m256i ret = move_bits(element, &v->moves[0], unit);
	unsigned i;

	for (i = 1; i < v->n_moves; i++)
		ret = _mm256_or_si256(ret,
				      move_bits(element, &v->moves[i], unit));
	return ret;
}

/* The values of sixteen elements of two bytes or more. */
INLINE __m256i take_words(const uint8_t *src, unsigned unit,
			  const struct value *v)
{
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
	__m256i a, b;

	/* Packing works within halves. */
	switch (unit) {
	case 2:
		return take_vector(src, 2, v);
	case 4:
		a = _mm256_packus_epi32(take_vector(src, 4, v),
					take_vector(src + 32, 4, v));
		return _mm256_permute4x64_epi64(a, 0xd8);
	default:
		a = _mm256_packus_epi32(take_vector(src, 8, v),
					take_vector(src + 32, 8, v));
		b = _mm256_packus_epi32(take_vector(src + 64, 8, v),
					take_vector(src + 96, 8, v));
		return _mm256_permutevar8x32_epi32(_mm256_packus_epi32(a, b),
						   order);
	}
}

/* ---- Pieces ------------------------------------------------------------- */

/* The values of 32 elements, which fit bytes. */
INLINE __m256i take_bytes(const uint8_t *src, unsigned unit,
			  const struct value *v)
{
	__m256i a;

	if (unit == 1)
		return take_vector(src, 1, v);
	a = _mm256_packus_epi16(take_words(src, unit, v),
				take_words(src + 16 * unit, unit, v));
	return _mm256_permute4x64_epi64(a, 0xd8);
}

/* 64 values as a piece of 'width' bits. */
INLINE void pack(uint8_t *dst, __m256i lo, __m256i hi, unsigned width)
{
	__m128i a, b;
	uint32_t bits;

	switch (width) {
	case 8:
		_mm256_storeu_si256((__m256i *)(void *)dst, lo);
		_mm256_storeu_si256((__m256i *)(void *)(dst + 32), hi);
		break;
	case 4:
		lo = _mm256_or_si256(lo, _mm256_slli_epi16(hi, 4));
		_mm256_storeu_si256((__m256i *)(void *)dst, lo);
		break;
	case 2:
		/* 0-15 and 16-31, each with what is 32 further on. */
		lo = _mm256_or_si256(lo, _mm256_slli_epi16(hi, 4));
		a = _mm256_castsi256_si128(lo);
		b = _mm256_extracti128_si256(lo, 1);
		a = _mm_or_si128(a, _mm_slli_epi16(b, 2));
		_mm_storeu_si128((__m128i *)(void *)dst, a);
		break;
	default:
		bits = (uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(lo, 7));
		memcpy(dst, &bits, sizeof(bits));
		bits = (uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(hi, 7));
		memcpy(dst + 4, &bits, sizeof(bits));
	}
}

INLINE size_t take_groups(uint8_t *dst, unsigned width, const uint8_t *src,
			  unsigned unit, size_t n, const struct bs_bits *from,
			  unsigned n_from)
{
	struct value v;
	size_t at;

	value_init(&v, unit, from, n_from);
	for (at = 0; n - at >= GROUP; at += GROUP) {
		const uint8_t *p = src + at * unit;

		pack(dst + at / 8 * width, take_bytes(p, unit, &v),
		     take_bytes(p + 32 * unit, unit, &v), width);
	}
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

AVX2 void bs_take_piece_avx2(uint8_t *dst, unsigned width, const void *src,
			     unsigned unit, size_t n,
			     const struct bs_bits *from, unsigned n_from)
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
	bs_take_piece_scalar(dst + at / 8 * width, width,
			     (const uint8_t *)src + at * unit, unit, n - at,
			     from, n_from);
}

/* ---- Entries ------------------------------------------------------------ */

/* Lanes of 16 bits. */
struct rule {
	struct value v;
	__m256i base;
	__m256i mask;
	__m256i table_mask;
	__m128i log2;
	__m128i shift;
};

INLINE void rule_init(struct rule *r, unsigned unit,
		      const struct bs_entry_rule *from)
{
	value_init(&r->v, unit, from->from, from->n_from);
	r->base = _mm256_set1_epi16((short)from->base);
	r->mask = _mm256_set1_epi16((short)from->mask);
	r->table_mask = _mm256_set1_epi16((short)((1 << from->table_log2) - 1));
	r->log2 = _mm_cvtsi32_si128(from->table_log2);
	r->shift = _mm_cvtsi32_si128(from->shift);
}

/* Sixteen values as table << 8 | offset; *most gets the offsets' bits. */
INLINE void put_offsets(uint16_t *dst, __m256i value, const struct rule *r,
			const uint16_t *q, __m256i *most)
{
	const __m256i low = _mm256_set1_epi16(255);
	__m256i table, octaves;

	value = _mm256_sub_epi16(value, r->base);
	if (q) {
		table = _mm256_loadu_si256((const __m256i *)(const void *)q);
		octaves = _mm256_sll_epi16(_mm256_srl_epi16(table, r->log2),
					   r->shift);
		value = _mm256_and_si256(_mm256_sub_epi16(value, octaves),
					 r->mask);
		*most = _mm256_or_si256(*most, value);
		table = _mm256_slli_epi16(
			_mm256_and_si256(table, r->table_mask), 8);
		value = _mm256_or_si256(_mm256_and_si256(value, low), table);
	} else {
		value = _mm256_and_si256(value, r->mask);
		*most = _mm256_or_si256(*most, value);
		value = _mm256_and_si256(value, low);
	}
	_mm256_storeu_si256((__m256i *)(void *)dst, value);
}

/* A group's entries, if all of its values have symbols of their own. */
INLINE bool take_group(uint16_t *dst, const uint8_t *src, unsigned unit,
		       const struct rule *r, const uint16_t *q,
		       const uint16_t *entry_of)
{
	__m256i most = _mm256_setzero_si256(), a, b;
	uint16_t any = 0;
	unsigned k;

	for (k = 0; k < GROUP; k += 32) {
		if (unit == 1) {
			b = take_vector(src + k, 1, &r->v);
			a = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(b));
			b = _mm256_cvtepu8_epi16(
				_mm256_extracti128_si256(b, 1));
		} else {
			a = take_words(src + k * unit, unit, &r->v);
			b = take_words(src + (k + 16) * unit, unit, &r->v);
		}
		put_offsets(dst + k, a, r, q ? q + k : NULL, &most);
		put_offsets(dst + k + 16, b, r, q ? q + k + 16 : NULL, &most);
	}
	for (k = 0; k < GROUP; k++) {
		dst[k] = entry_of[dst[k]];
		any |= dst[k];
	}
	return !(any & ENTRY_OTHER) &&
	       _mm256_testz_si256(most, _mm256_set1_epi16(-256));
}

INLINE size_t take_entries(uint16_t *dst, const uint8_t *src, unsigned unit,
			   size_t n, const struct bs_entry_rule *rule,
			   const uint16_t *q, uint64_t *others, uint64_t *any)
{
	struct rule r;
	size_t at;

	rule_init(&r, unit, rule);
	for (at = 0; n - at >= GROUP; at += GROUP) {
		const uint16_t *here = q ? q + at : NULL;
		const uint8_t *p = src + at * unit;

		others[at / GROUP] = 0;
		if (!take_group(dst + at, p, unit, &r, here, rule->entry_of[0]))
			bs_take_entries_scalar(dst + at, p, GROUP, rule, here,
					       others + at / GROUP);
		*any |= others[at / GROUP];
	}
	return at;
}

AVX2 bool bs_take_entries_avx2(uint16_t *dst, const void *src, size_t n,
			       const struct bs_entry_rule *rule,
			       const uint16_t *q, uint64_t *others)
{
	uint64_t any = 0;
	size_t at;

	switch (rule->unit) {
	case 1:
		at = take_entries(dst, src, 1, n, rule, q, others, &any);
		break;
	case 2:
		at = take_entries(dst, src, 2, n, rule, q, others, &any);
		break;
	case 4:
		at = take_entries(dst, src, 4, n, rule, q, others, &any);
		break;
	default:
		at = take_entries(dst, src, 8, n, rule, q, others, &any);
	}
	any |= bs_take_entries_scalar(dst + at,
				      (const uint8_t *)src + at * rule->unit,
				      n - at, rule, q ? q + at : NULL,
				      others + at / GROUP);
	return any;
}

#endif /* __x86_64__ */
