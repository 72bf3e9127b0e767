/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take_avx512.c - what encoding takes out of elements, 64 of them at a time
 *
 * A shift brings bits of an entry's neighbour into it where lanes are wider
 * than entries, and a mask takes them away again.  Elements past the last whole
 * group are left to the scalar code.
 */

#ifdef __x86_64__

#include "../take.h"
#include "avx512.h"

#include <string.h>

#define GROUP 64
#define TABLES_MAX 32

/* Some bits of a value in the form that the loops want. */
struct move {
	__m128i right; /* one of these two is 0 */
	__m128i left;
	__m512i mask; /* where they stand in the value */
};

struct value {
	unsigned n_moves;
	struct move moves[BITS_MAX];
};

/* Operations on lanes of 'unit' bytes; 'unit' is a constant wherever these are
 * used. */

INLINE __m512i broadcast(uint64_t v, unsigned unit)
{
	switch (unit) {
	case 1:
		return _mm512_set1_epi8((char)v);
	case 2:
		return _mm512_set1_epi16((short)v);
	case 4:
		return _mm512_set1_epi32((int)v);
	default:
		return _mm512_set1_epi64((long long)v);
	}
}

INLINE __m512i move_bits(__m512i v, const struct move *m, unsigned unit)
{
	switch (unit) {
	case 1:
	case 2:
		v = _mm512_sll_epi16(_mm512_srl_epi16(v, m->right), m->left);
		break;
	case 4:
		v = _mm512_sll_epi32(_mm512_srl_epi32(v, m->right), m->left);
		break;
	default:
		v = _mm512_sll_epi64(_mm512_srl_epi64(v, m->right), m->left);
	}
	return _mm512_and_si512(v, m->mask);
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

/* The values of the elements of vector k of a group, a lane each. */
INLINE __m512i take_vector(const uint8_t *src, unsigned k, unsigned unit,
			   const struct value *v)
{
	__m512i element = _mm512_loadu_si512(src + 64 * k);
	__m512i ret = move_bits(element, &v->moves[0], unit);
	unsigned i;

	for (i = 1; i < v->n_moves; i++)
		ret = _mm512_or_si512(ret,
				      move_bits(element, &v->moves[i], unit));
	return ret;
}

/* ---- Pieces ------------------------------------------------------------- */

/* The values of a group, which fit bytes, in order. */
INLINE __m512i take_bytes(const uint8_t *src, unsigned unit,
			  const struct value *v)
{
	const __m512i halves = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
	const __m512i quarters = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2,
						   6, 10, 14, 3, 7, 11, 15);
	uint64_t eights[8];
	__m512i a, b;
	unsigned k;

	switch (unit) {
	case 1:
		return take_vector(src, 0, 1, v);
	case 2:
		a = _mm512_packus_epi16(take_vector(src, 0, 2, v),
					take_vector(src, 1, 2, v));
		return _mm512_permutexvar_epi64(halves, a);
	case 4:
		a = _mm512_packus_epi32(take_vector(src, 0, 4, v),
					take_vector(src, 1, 4, v));
		b = _mm512_packus_epi32(take_vector(src, 2, 4, v),
					take_vector(src, 3, 4, v));
		/* Packing works within quarters: runs of four come out. */
		return _mm512_permutexvar_epi32(quarters,
						_mm512_packus_epi16(a, b));
	default:
		for (k = 0; k < 8; k++)
			eights[k] = (uint64_t)_mm_cvtsi128_si64(
				_mm512_cvtepi64_epi8(
					take_vector(src, k, 8, v)));
		return _mm512_loadu_si512(eights);
	}
}

/* 64 values as a piece of 'width' bits. */
INLINE void pack(uint8_t *dst, __m512i v, unsigned width)
{
	__m256i lo = _mm512_castsi512_si256(v), hi;
	__m128i a, b;
	uint64_t bits;

	hi = _mm512_extracti64x4_epi64(v, 1);
	switch (width) {
	case 8:
		_mm512_storeu_si512(dst, v);
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
		bits = _mm512_test_epi8_mask(v, _mm512_set1_epi8(1));
		memcpy(dst, &bits, sizeof(bits));
	}
}

INLINE size_t take_groups(uint8_t *dst, unsigned width, const uint8_t *src,
			  unsigned unit, size_t n, const struct bs_bits *from,
			  unsigned n_from)
{
	struct value v;
	size_t at;

	value_init(&v, unit, from, n_from);
	for (at = 0; n - at >= GROUP; at += GROUP)
		pack(dst + at / 8 * width,
		     take_bytes(src + at * unit, unit, &v), width);
	return at;
}

#define TAKE_WIDTHS(name, unit)                                                \
	AVX512 static size_t name(uint8_t *dst, unsigned width,                \
				  const uint8_t *src, size_t n,                \
				  const struct bs_bits *from, unsigned n_from) \
	{                                                                      \
		switch (width) {                                               \
		case 8:                                                        \
			return take_groups(dst, 8, src, unit, n, from,         \
					   n_from);                            \
		case 4:                                                        \
			return take_groups(dst, 4, src, unit, n, from,         \
					   n_from);                            \
		case 2:                                                        \
			return take_groups(dst, 2, src, unit, n, from,         \
					   n_from);                            \
		default:                                                       \
			return take_groups(dst, 1, src, unit, n, from,         \
					   n_from);                            \
		}                                                              \
	}

TAKE_WIDTHS(take_1, 1)
TAKE_WIDTHS(take_2, 2)
TAKE_WIDTHS(take_4, 4)
TAKE_WIDTHS(take_8, 8)

AVX512 void bs_take_piece_avx512(uint8_t *dst, unsigned width, const void *src,
				 unsigned unit, size_t n,
				 const struct bs_bits *from, unsigned n_from)
{
	size_t at;

	switch (unit) {
	case 1:
		at = take_1(dst, width, src, n, from, n_from);
		break;
	case 2:
		at = take_2(dst, width, src, n, from, n_from);
		break;
	case 4:
		at = take_4(dst, width, src, n, from, n_from);
		break;
	default:
		at = take_8(dst, width, src, n, from, n_from);
	}
	bs_take_piece_scalar(dst + at / 8 * width, width,
			     (const uint8_t *)src + at * unit, unit, n - at,
			     from, n_from);
}

/* ---- Entries ------------------------------------------------------------ */

/* Lanes of 16 bits. */
struct rule {
	struct value v;
	__m512i base;
	__m512i mask;
	__m512i table_mask;
	__m512i other;
	__m128i log2;
	__m128i shift;
	unsigned n_tables;
	/* Which symbols of tables 0 and 1, 2 and 3, ... there are. */
	__m512i has[TABLES_MAX / 2];
};

INLINE void rule_init(struct rule *r, unsigned unit,
		      const struct bs_entry_rule *from)
{
	uint16_t has[TABLES_MAX][16] = { 0 };
	unsigned i;

	value_init(&r->v, unit, from->from, from->n_from);
	r->base = _mm512_set1_epi16((short)from->base);
	r->mask = _mm512_set1_epi16((short)from->mask);
	r->table_mask = _mm512_set1_epi16((short)((1 << from->table_log2) - 1));
	r->other = _mm512_set1_epi16(from->other);
	r->log2 = _mm_cvtsi32_si128(from->table_log2);
	r->shift = _mm_cvtsi32_si128(from->shift);
	r->n_tables = 1u << from->table_log2;
	memcpy(has, from->has, sizeof(has[0]) << from->table_log2);
	for (i = 0; i < TABLES_MAX / 2; i++)
		r->has[i] = _mm512_loadu_si512(has[2 * i]);
}

/* The values of 32 elements of two bytes or more. */
INLINE __m512i take_words(const uint8_t *src, unsigned unit,
			  const struct value *v)
{
	const __m512i pairs = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
	__m512i a, b;

	switch (unit) {
	case 2:
		return take_vector(src, 0, 2, v);
	case 4:
		a = _mm512_packus_epi32(take_vector(src, 0, 4, v),
					take_vector(src, 1, 4, v));
		return _mm512_permutexvar_epi64(pairs, a);
	default:
		a = _mm512_inserti64x2(
			_mm512_castsi128_si512(_mm512_cvtepi64_epi16(
				take_vector(src, 0, 8, v))),
			_mm512_cvtepi64_epi16(take_vector(src, 1, 8, v)), 1);
		b = _mm512_inserti64x2(
			_mm512_castsi128_si512(_mm512_cvtepi64_epi16(
				take_vector(src, 2, 8, v))),
			_mm512_cvtepi64_epi16(take_vector(src, 3, 8, v)), 1);
		return _mm512_inserti64x4(a, _mm512_castsi512_si256(b), 1);
	}
}

/* The words of bits that say of symbols whether their tables have them. */
INLINE __m512i look_up_has(const struct rule *r, __m512i table, __m512i value,
			   unsigned n_tables)
{
	__m512i at = _mm512_add_epi16(_mm512_srli_epi16(value, 4),
				      _mm512_slli_epi16(table, 4));
	__m512i four, ret;
	__mmask32 here;
	unsigned t;

	if (n_tables == 1)
		return _mm512_permutexvar_epi16(at, r->has[0]);
	ret = _mm512_permutex2var_epi16(r->has[0], at, r->has[1]);
	for (t = 4; n_tables > 4 && t < r->n_tables; t += 4) {
		four = _mm512_permutex2var_epi16(r->has[t / 2], at,
						 r->has[t / 2 + 1]);
		here = _mm512_cmpge_epu16_mask(table,
					       _mm512_set1_epi16((short)t));
		ret = _mm512_mask_mov_epi16(ret, here, four);
	}
	return ret;
}

/* 32 values to entries; returns which have no symbol. */
INLINE uint32_t put_entries(uint16_t *dst, __m512i value, const struct rule *r,
			    const uint16_t *q, unsigned n_tables)
{
	const __m512i bit = _mm512_set1_epi16(15);
	__m512i table = _mm512_setzero_si512(), has, octaves;
	__mmask32 others;

	value = _mm512_sub_epi16(value, r->base);
	if (q) {
		table = _mm512_loadu_si512(q);
		octaves = _mm512_sll_epi16(_mm512_srl_epi16(table, r->log2),
					   r->shift);
		value = _mm512_sub_epi16(value, octaves);
		table = _mm512_and_si512(table, r->table_mask);
	}
	value = _mm512_and_si512(value, r->mask);
	has = look_up_has(r, table, value, n_tables);
	has = _mm512_srlv_epi16(has, _mm512_and_si512(value, bit));
	others = _mm512_testn_epi16_mask(has, _mm512_set1_epi16(1)) |
		 _mm512_test_epi16_mask(value, _mm512_set1_epi16(-256));
	value = _mm512_mask_mov_epi16(value, others, r->other);
	value = _mm512_or_si512(value, _mm512_slli_epi16(table, 8));
	_mm512_storeu_si512(dst, value);
	return others;
}

INLINE uint64_t take_group(uint16_t *dst, const uint8_t *src, unsigned unit,
			   const struct rule *r, const uint16_t *q,
			   unsigned n_tables)
{
	__m512i a, b;

	if (unit == 1) {
		a = take_vector(src, 0, 1, &r->v);
		b = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(a, 1));
		a = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(a));
	} else {
		a = take_words(src, unit, &r->v);
		b = take_words(src + 32 * unit, unit, &r->v);
	}
	return put_entries(dst, a, r, q, n_tables) |
	       (uint64_t)put_entries(dst + 32, b, r, q ? q + 32 : NULL, n_tables)
		       << 32;
}

INLINE size_t take_entries(uint16_t *dst, const uint8_t *src, unsigned unit,
			   size_t n, const struct bs_entry_rule *rule,
			   const uint16_t *q, unsigned n_tables,
			   uint64_t *others, uint64_t *any)
{
	struct rule r;
	size_t at;

	rule_init(&r, unit, rule);
	for (at = 0; n - at >= GROUP; at += GROUP) {
		uint64_t here = take_group(dst + at, src + at * unit, unit, &r,
					   q ? q + at : NULL, n_tables);

		others[at / GROUP] = here;
		*any |= here;
	}
	return at;
}

#define TAKE_ENTRIES(name, unit)                                               \
	AVX512 static size_t name(uint16_t *dst, const uint8_t *src, size_t n, \
				  const struct bs_entry_rule *r,               \
				  const uint16_t *q, uint64_t *others,         \
				  uint64_t *any)                               \
	{                                                                      \
		if (!q)                                                        \
			return take_entries(dst, src, unit, n, r, NULL, 1,     \
					    others, any);                      \
		if (r->table_log2 < 3)                                         \
			return take_entries(dst, src, unit, n, r, q, 4,        \
					    others, any);                      \
		return take_entries(dst, src, unit, n, r, q, 32, others, any); \
	}

TAKE_ENTRIES(entries_1, 1)
TAKE_ENTRIES(entries_2, 2)
TAKE_ENTRIES(entries_4, 4)
TAKE_ENTRIES(entries_8, 8)

AVX512 bool bs_take_entries_avx512(uint16_t *dst, const void *src, size_t n,
				   const struct bs_entry_rule *rule,
				   const uint16_t *q, uint64_t *others)
{
	uint64_t any = 0;
	size_t at;

	switch (rule->unit) {
	case 1:
		at = entries_1(dst, src, n, rule, q, others, &any);
		break;
	case 2:
		at = entries_2(dst, src, n, rule, q, others, &any);
		break;
	case 4:
		at = entries_4(dst, src, n, rule, q, others, &any);
		break;
	default:
		at = entries_8(dst, src, n, rule, q, others, &any);
	}
	any |= bs_take_entries_scalar(dst + at,
				      (const uint8_t *)src + at * rule->unit,
				      n - at, rule, q ? q + at : NULL,
				      others + at / GROUP);
	return any;
}

#endif /* __x86_64__ */
