/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lanes_avx512.h - a step of rANS decoding, sixteen lanes a vector
 *
 * The steps of rans.c; what is special is the look-up.  A gather is one
 * instruction, but not a fast one everywhere: 17 cycles for sixteen lanes, and
 * microcode that slows it down further on some Intel CPUs.  Here it is sixteen
 * loads, whose indices go through memory.  Loads of what has just been stored
 * are the bottleneck (1.2 a cycle; AMD family 25 model 17), so that indices
 * have 16 bits, four to a load, and are stored as soon as a vector's step is
 * done, for the next group, while three other vectors are stepped: with four
 * tables of 11 bits 2.89 symbols a ns.  Indices of 32 bits, two to a load, for
 * all vectors before the first step: 2.49.  By vpextrq instead of through
 * memory: 2.64; _mm512_i32gather_epi32: 1.65; slots brought together by
 * vpblendd from memory instead of vpinsrd: 2.82; words for two vectors at a
 * time (vpexpandw): slower.
 *
 * The copies are in functions that call nothing (LEAF), not even on a smashed
 * stack, so that compilers address them by the stack pointer.
 */

#ifndef BS_LANES_AVX512_H
#define BS_LANES_AVX512_H

#include "../rans.h"
#include "avx512.h"
#include "slots.h"

/* The constants of one plane.  'wide' is one wherever these are used: there
 * are more than 2^16 slots. */
struct plane {
	const bs_slot *slots;
	__m128i prob_bits;
	__m256i slot_mask; /* of an index of 16 bits; of 32 if 'wide' */
	__m256i table_mask;
};

/* The slots of sixteen lanes: four indices of 16 bits a number; if 'wide',
 * two of 32 bits. */
struct indices {
	uint64_t of[8];
} __attribute__((aligned(64)));

/* Which slots sixteen lanes want; 'q' as for bs_rans_decode_fn, or NULL. */
INLINE void put_indices(struct indices *ret, const struct plane *p, __m512i x,
			const uint16_t *q, bool wide)
{
	__m256i slot, table = _mm256_setzero_si256();
	__m512i index;

	if (q)
		table = _mm256_loadu_si256((const __m256i *)(const void *)q);
	if (wide) {
		index = _mm512_sll_epi32(_mm512_cvtepu16_epi32(table),
					 p->prob_bits);
		index = _mm512_and_si512(index,
					 _mm512_broadcast_i64x4(p->table_mask));
		index = _mm512_ternarylogic_epi32(
			x, _mm512_broadcast_i64x4(p->slot_mask), index, 0xea);
		_mm512_store_si512(ret->of, index);
		return;
	}
	slot = _mm512_cvtepi32_epi16(x);
	table = _mm256_and_si256(_mm256_sll_epi16(table, p->prob_bits),
				 p->table_mask);
	slot = _mm256_ternarylogic_epi32(slot, p->slot_mask, table, 0xea);
	_mm256_store_si256((__m256i *)(void *)ret->of, slot);
	/* Or clang takes the indices out of the vector after all. */
	__asm__ volatile("" : "+m"(*(uint64_t(*)[4])ret->of));
}

INLINE __m256i look_up_8(const bs_slot *slots, const uint64_t *of)
{
	__m128i lo = look_up_4(slots, of[0]), hi = look_up_4(slots, of[1]);

	return _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
}

INLINE __m512i look_up(const struct plane *p, const struct indices *i,
		       bool wide)
{
	__m256i lo, hi;

	/* From zeros: compilers may leave a false dependency otherwise. */
	if (wide)
		return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(),
						   0xffff,
						   _mm512_load_si512(i->of),
						   p->slots, 4);
	lo = look_up_8(p->slots, i->of);
	hi = look_up_8(p->slots, i->of + 2);
	return _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);
}

/* The lanes in registers, and which slots they want. */
struct lanes {
	__m512i x0, x1, x2, x3;
	const uint8_t *words;
	const uint8_t *end;
};

/* One step of sixteen lanes with their slots. */
INLINE __m512i step(struct lanes *l, const struct plane *p, __m512i x,
		    __m512i slot)
{
	__m512i next, w;
	__mmask16 small;

	next = _mm512_mullo_epi32(_mm512_srli_epi32(slot, 20),
				  _mm512_srl_epi32(x, p->prob_bits));
	next = _mm512_add_epi32(next,
				_mm512_and_si512(_mm512_srli_epi32(slot, 8),
						 _mm512_set1_epi32(4095)));
	small = _mm512_cmplt_epu32_mask(next, _mm512_set1_epi32(65536));
	w = _mm512_cvtepu16_epi32(
		_mm256_loadu_si256((const __m256i *)(const void *)l->words));
	w = _mm512_maskz_expand_epi32(small, w);
	l->words += 2 * (size_t)_mm_popcnt_u32(small);
	return _mm512_mask_or_epi32(next, small, _mm512_slli_epi32(next, 16),
				    w);
}

/* Begin with a group whose tables 'q' chooses. */
INLINE void lanes_load(struct lanes *l, struct indices *i,
		       const struct bs_rans_dec *d, const struct plane *p,
		       const uint16_t *q, bool wide)
{
	l->x0 = _mm512_loadu_si512(d->x);
	l->x1 = _mm512_loadu_si512(d->x + 16);
	l->x2 = _mm512_loadu_si512(d->x + 32);
	l->x3 = _mm512_loadu_si512(d->x + 48);
	l->words = d->words;
	l->end = d->end;
	put_indices(&i[0], p, l->x0, q, wide);
	put_indices(&i[1], p, l->x1, q ? q + 16 : NULL, wide);
	put_indices(&i[2], p, l->x2, q ? q + 32 : NULL, wide);
	put_indices(&i[3], p, l->x3, q ? q + 48 : NULL, wide);
}

INLINE void lanes_store(const struct lanes *l, struct bs_rans_dec *d)
{
	_mm512_storeu_si512(d->x, l->x0);
	_mm512_storeu_si512(d->x + 16, l->x1);
	_mm512_storeu_si512(d->x + 32, l->x2);
	_mm512_storeu_si512(d->x + 48, l->x3);
	d->words = l->words;
}

/* Whether a group can take its words unchecked. */
INLINE bool lanes_ready(const struct lanes *l)
{
	return l->end - l->words >= 2 * LANES;
}

/* The low halves of the numbers of two vectors. */
INLINE __m512i low_halves(__m512i a, __m512i b)
{
	const __m512i even = _mm512_setr_epi32(
		0x020000, 0x060004, 0x0a0008, 0x0e000c, 0x120010, 0x160014,
		0x1a0018, 0x1e001c, 0x220020, 0x260024, 0x2a0028, 0x2e002c,
		0x320030, 0x360034, 0x3a0038, 0x3e003c);

	return _mm512_permutex2var_epi16(a, even, b);
}

/* One step of all lanes.  'q' chooses the tables of the next group: any, if
 * there is none.  Symbols are the low bytes of *lo's and *hi's numbers of 16
 * bits, 32 in each. */
INLINE void lanes_step(struct lanes *l, struct indices *i,
		       const struct plane *p, const uint16_t *q, bool wide,
		       __m512i *lo, __m512i *hi)
{
	__m512i a, b;

	a = look_up(p, &i[0], wide);
	l->x0 = step(l, p, l->x0, a);
	put_indices(&i[0], p, l->x0, q, wide);
	b = look_up(p, &i[1], wide);
	l->x1 = step(l, p, l->x1, b);
	put_indices(&i[1], p, l->x1, q ? q + 16 : NULL, wide);
	*lo = low_halves(a, b);
	a = look_up(p, &i[2], wide);
	l->x2 = step(l, p, l->x2, a);
	put_indices(&i[2], p, l->x2, q ? q + 32 : NULL, wide);
	b = look_up(p, &i[3], wide);
	l->x3 = step(l, p, l->x3, b);
	put_indices(&i[3], p, l->x3, q ? q + 48 : NULL, wide);
	*hi = low_halves(a, b);
}

INLINE void put_symbols(uint8_t *sym, __m512i lo, __m512i hi)
{
	_mm256_storeu_si256((__m256i *)(void *)sym, _mm512_cvtepi16_epi8(lo));
	_mm256_storeu_si256((__m256i *)(void *)(sym + 32),
			    _mm512_cvtepi16_epi8(hi));
}

INLINE bool is_wide(unsigned prob_bits, unsigned table_mask)
{
	return (table_mask + 1) << prob_bits > 1 << 16;
}

INLINE void plane_init(struct plane *p, const bs_slot *slots,
		       unsigned prob_bits, unsigned table_mask)
{
	unsigned slot_mask = (1u << prob_bits) - 1;

	p->slots = slots;
	p->prob_bits = _mm_cvtsi32_si128((int)prob_bits);
	if (is_wide(prob_bits, table_mask)) {
		p->slot_mask = _mm256_set1_epi32((int)slot_mask);
		p->table_mask =
			_mm256_set1_epi32((int)(table_mask << prob_bits));
	} else {
		p->slot_mask = _mm256_set1_epi16((short)slot_mask);
		p->table_mask =
			_mm256_set1_epi16((short)(table_mask << prob_bits));
	}
}

#endif /* BS_LANES_AVX512_H */
