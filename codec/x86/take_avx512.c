/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take_avx512.c - what encoding takes out of elements, 64 of them at a time
 *
 * Whether a table has a symbol is found by a permutation of words of bits.
 */

#ifdef __x86_64__

#include "avx512.h"

#include <string.h>

#define VECTOR __m512i
#define V(x) _mm512_##x
#define LOAD(p) _mm512_loadu_si512(p)
#define AND _mm512_and_si512
#define OR _mm512_or_si512
#include "take_loops.h"

#define TABLES_MAX 32

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
		return take_vector(src, 1, v);
	case 2:
		a = _mm512_packus_epi16(take_vector(src, 2, v),
					take_vector(src + 64, 2, v));
		return _mm512_permutexvar_epi64(halves, a);
	case 4:
		a = _mm512_packus_epi32(take_vector(src, 4, v),
					take_vector(src + 64, 4, v));
		b = _mm512_packus_epi32(take_vector(src + 128, 4, v),
					take_vector(src + 192, 4, v));
		/* Packing works within quarters: runs of four come out. */
		return _mm512_permutexvar_epi32(quarters,
						_mm512_packus_epi16(a, b));
	default:
		for (k = 0; k < 8; k++)
			eights[k] = (uint64_t)_mm_cvtsi128_si64(
				_mm512_cvtepi64_epi8(
					take_vector(src + 64 * k, 8, v)));
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

INLINE void put_group(uint8_t *dst, unsigned width, const uint8_t *src,
		      unsigned unit, const struct value *v)
{
	pack(dst, take_bytes(src, unit, v), width);
}

AVX512 void bs_take_piece_avx512(uint8_t *dst, unsigned width, const void *src,
				 unsigned unit, size_t n,
				 const struct bs_bits *from, unsigned n_from)
{
	take_piece(dst, width, src, unit, n, from, n_from);
}

/* ---- Entries ------------------------------------------------------------ */

/* A rule, and which symbols tables have. */
struct table_rule {
	struct rule r;
	__m512i other;
	unsigned n_tables;
	__m512i has[TABLES_MAX / 2]; /* of tables 0 and 1, 2 and 3, ... */
};

INLINE void table_rule_init(struct table_rule *t, unsigned unit,
			    const struct bs_entry_rule *from)
{
	uint16_t has[TABLES_MAX][16] = { 0 };
	unsigned i;

	rule_init(&t->r, unit, from);
	t->other = broadcast(from->other, 2);
	t->n_tables = 1u << from->table_log2;
	memcpy(has, from->has, sizeof(has[0]) << from->table_log2);
	for (i = 0; i < TABLES_MAX / 2; i++)
		t->has[i] = _mm512_loadu_si512(has[2 * i]);
}

/* The values of 32 elements of two bytes or more. */
INLINE __m512i take_words(const uint8_t *src, unsigned unit,
			  const struct value *v)
{
	const __m512i pairs = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
	__m512i a, b;

	switch (unit) {
	case 2:
		return take_vector(src, 2, v);
	case 4:
		a = _mm512_packus_epi32(take_vector(src, 4, v),
					take_vector(src + 64, 4, v));
		return _mm512_permutexvar_epi64(pairs, a);
	default:
		a = _mm512_inserti64x2(
			_mm512_castsi128_si512(
				_mm512_cvtepi64_epi16(take_vector(src, 8, v))),
			_mm512_cvtepi64_epi16(take_vector(src + 64, 8, v)), 1);
		b = _mm512_inserti64x2(
			_mm512_castsi128_si512(_mm512_cvtepi64_epi16(
				take_vector(src + 128, 8, v))),
			_mm512_cvtepi64_epi16(take_vector(src + 192, 8, v)), 1);
		return _mm512_inserti64x4(a, _mm512_castsi512_si256(b), 1);
	}
}

/* The words of bits that say of symbols whether their tables have them. */
INLINE __m512i look_up_has(const struct table_rule *t, __m512i table,
			   __m512i value, unsigned n_tables)
{
	__m512i at = _mm512_add_epi16(_mm512_srli_epi16(value, 4),
				      _mm512_slli_epi16(table, 4));
	__m512i four, ret;
	__mmask32 here;
	unsigned k;

	if (n_tables == 1)
		return _mm512_permutexvar_epi16(at, t->has[0]);
	ret = _mm512_permutex2var_epi16(t->has[0], at, t->has[1]);
	for (k = 4; n_tables > 4 && k < t->n_tables; k += 4) {
		four = _mm512_permutex2var_epi16(t->has[k / 2], at,
						 t->has[k / 2 + 1]);
		here = _mm512_cmpge_epu16_mask(table,
					       _mm512_set1_epi16((short)k));
		ret = _mm512_mask_mov_epi16(ret, here, four);
	}
	return ret;
}

/* 32 values to entries; returns which have no symbol. */
INLINE uint32_t put_entries(uint16_t *dst, __m512i value,
			    const struct table_rule *t, const uint16_t *q,
			    unsigned n_tables)
{
	const __m512i bit = _mm512_set1_epi16(15);
	__m512i table = _mm512_setzero_si512(), has, octaves;
	__mmask32 others;

	value = _mm512_sub_epi16(value, t->r.base);
	if (q) {
		table = _mm512_loadu_si512(q);
		octaves = _mm512_sll_epi16(_mm512_srl_epi16(table, t->r.log2),
					   t->r.shift);
		value = _mm512_sub_epi16(value, octaves);
		table = _mm512_and_si512(table, t->r.table_mask);
	}
	value = _mm512_and_si512(value, t->r.mask);
	has = look_up_has(t, table, value, n_tables);
	has = _mm512_srlv_epi16(has, _mm512_and_si512(value, bit));
	others = _mm512_testn_epi16_mask(has, _mm512_set1_epi16(1)) |
		 _mm512_test_epi16_mask(value, _mm512_set1_epi16(-256));
	value = _mm512_mask_mov_epi16(value, others, t->other);
	value = _mm512_or_si512(value, _mm512_slli_epi16(table, 8));
	_mm512_storeu_si512(dst, value);
	return others;
}

INLINE uint64_t take_group(uint16_t *dst, const uint8_t *src, unsigned unit,
			   const struct table_rule *t, const uint16_t *q,
			   unsigned n_tables)
{
	__m512i a, b;

	if (unit == 1) {
		a = take_vector(src, 1, &t->r.v);
		b = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(a, 1));
		a = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(a));
	} else {
		a = take_words(src, unit, &t->r.v);
		b = take_words(src + 32 * unit, unit, &t->r.v);
	}
	return put_entries(dst, a, t, q, n_tables) |
	       (uint64_t)put_entries(dst + 32, b, t, q ? q + 32 : NULL, n_tables)
		       << 32;
}

/* 'n_tables', a constant: at least as many as there are. */
INLINE size_t take_groups_by(uint16_t *dst, const uint8_t *src, unsigned unit,
			     size_t n, const struct bs_entry_rule *rule,
			     const uint16_t *q, unsigned n_tables,
			     uint64_t *others, uint64_t *any)
{
	struct table_rule t;
	size_t at;

	table_rule_init(&t, unit, rule);
	for (at = 0; n - at >= GROUP; at += GROUP) {
		uint64_t here = take_group(dst + at, src + at * unit, unit, &t,
					   q ? q + at : NULL, n_tables);

		others[at / GROUP] = here;
		*any |= here;
	}
	return at;
}

INLINE size_t take_entry_groups(uint16_t *dst, const uint8_t *src,
				unsigned unit, size_t n,
				const struct bs_entry_rule *rule,
				const uint16_t *q, uint64_t *others,
				uint64_t *any)
{
	if (!q)
		return take_groups_by(dst, src, unit, n, rule, NULL, 1, others,
				      any);
	if (rule->table_log2 < 3)
		return take_groups_by(dst, src, unit, n, rule, q, 4, others,
				      any);
	return take_groups_by(dst, src, unit, n, rule, q, 32, others, any);
}

AVX512 bool bs_take_entries_avx512(uint16_t *dst, const void *src, size_t n,
				   const struct bs_entry_rule *rule,
				   const uint16_t *q, uint64_t *others)
{
	return take_entries(dst, src, n, rule, q, others);
}

#endif /* __x86_64__ */
