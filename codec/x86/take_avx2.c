/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take_avx2.c - what encoding takes out of elements, 64 of them at a time
 *
 * As take_avx512.c, but entries are looked up one by one: what that has a
 * permutation for would be many shuffles here.
 */

#ifdef __x86_64__

#include "avx2.h"

#include <string.h>

#define VECTOR __m256i
#define V(x) _mm256_##x
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define AND _mm256_and_si256
#define OR _mm256_or_si256
#include "take_loops.h"

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

INLINE void put_group(uint8_t *dst, unsigned width, const uint8_t *src,
		      unsigned unit, const struct value *v)
{
	pack(dst, take_bytes(src, unit, v),
	     take_bytes(src + 32 * unit, unit, v), width);
}

AVX2 void bs_take_piece_avx2(uint8_t *dst, unsigned width, const void *src,
			     unsigned unit, size_t n,
			     const struct bs_bits *from, unsigned n_from)
{
	take_piece(dst, width, src, unit, n, from, n_from);
}

/* ---- Entries ------------------------------------------------------------ */

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

INLINE size_t take_entry_groups(uint16_t *dst, const uint8_t *src,
				unsigned unit, size_t n,
				const struct bs_entry_rule *rule,
				const uint16_t *q, uint64_t *others,
				uint64_t *any)
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
	return take_entries(dst, src, n, rule, q, others);
}

#endif /* __x86_64__ */
