/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rans_avx2.c - rANS decoding, eight lanes a vector
 *
 * As rans_avx512.c; lanes_avx512.h explains the loads instead of a gather, and
 * their functions.
 */

#ifdef __x86_64__

#include "../expand.h"
#include "../rans.h"
#include "avx2.h"
#include "slots.h"

/* The constants of one plane.  'wide' is one wherever these are used: there
 * are more than 2^16 slots. */
struct plane {
	const bs_slot *slots;
	__m128i prob_bits;
	__m256i slot_mask; /* of the low half of a lane; of a lane if 'wide' */
	__m256i table_mask; /* of an index of 16 bits; of 32 if 'wide' */
};

/* The slots of sixteen lanes: four indices of 16 bits a number, for lanes 0 to
 * 3, 8 to 11, 4 to 7 and 12 to 15; if 'wide', of 32 bits, in order. */
struct indices {
	uint64_t of[8];
} __attribute__((aligned(32)));

INLINE __m256i wide_index(const struct plane *p, __m256i x, const uint16_t *q)
{
	__m256i table = _mm256_cvtepu16_epi32(
		_mm_loadu_si128((const __m128i *)(const void *)q));

	table = _mm256_sll_epi32(table, p->prob_bits);
	return _mm256_or_si256(_mm256_and_si256(x, p->slot_mask),
			       _mm256_and_si256(table, p->table_mask));
}

/* Which slots sixteen lanes want; 'q' as for bs_rans_decode_fn, or NULL. */
INLINE void put_indices(struct indices *ret, const struct plane *p, __m256i x0,
			__m256i x1, const uint16_t *q, bool wide)
{
	__m256i *to = (__m256i *)(void *)ret->of, index, table;

	if (wide) {
		_mm256_store_si256(to, wide_index(p, x0, q));
		_mm256_store_si256(to + 1, wide_index(p, x1, q + 8));
		return;
	}
	/* Packing works within halves. */
	index = _mm256_packus_epi32(_mm256_and_si256(x0, p->slot_mask),
				    _mm256_and_si256(x1, p->slot_mask));
	if (q) {
		table = _mm256_loadu_si256((const __m256i *)(const void *)q);
		table = _mm256_permute4x64_epi64(table, 0xd8);
		table = _mm256_sll_epi16(table, p->prob_bits);
		table = _mm256_and_si256(table, p->table_mask);
		index = _mm256_or_si256(index, table);
	}
	_mm256_store_si256(to, index);
	/* Or clang takes the indices out of the vector after all. */
	__asm__ volatile("" : "+m"(*(uint64_t(*)[4])ret->of));
}

/* The slots of the first eight lanes of sixteen, or of the others. */
INLINE __m256i look_up(const struct plane *p, const struct indices *i,
		       unsigned half, bool wide)
{
	const __m256i *index = (const __m256i *)(const void *)i->of + half;
	__m128i lo, hi;

	if (wide)
		return _mm256_i32gather_epi32((const int *)p->slots, *index, 4);
	lo = look_up_4(p->slots, i->of[half]);
	hi = look_up_4(p->slots, i->of[half + 2]);
	return _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
}

/* The lanes in registers, and their words. */
struct lanes {
	__m256i x[8];
	const uint8_t *words;
	const uint8_t *end;
};

/* One step of eight lanes with their slots. */
INLINE void step(struct lanes *l, const struct plane *p, __m256i *x, __m256i e)
{
	__m256i next, small, w;
	__m128i bytes;
	unsigned m;

	next = _mm256_mullo_epi32(_mm256_srli_epi32(e, 20),
				  _mm256_srl_epi32(*x, p->prob_bits));
	next = _mm256_add_epi32(next,
				_mm256_and_si256(_mm256_srli_epi32(e, 8),
						 _mm256_set1_epi32(4095)));
	small = _mm256_cmpeq_epi32(_mm256_srli_epi32(next, 16),
				   _mm256_setzero_si256());
	m = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(small));
	bytes = _mm_loadu_si128((const __m128i *)(const void *)l->words);
	bytes = _mm_shuffle_epi8(
		bytes,
		_mm_load_si128((const __m128i *)(const void *)expand[m]));
	w = _mm256_or_si256(_mm256_slli_epi32(next, 16),
			    _mm256_cvtepu16_epi32(bytes));
	*x = _mm256_blendv_epi8(next, w, small);
	l->words += 2 * (size_t)_mm_popcnt_u32(m);
}

/* One step of sixteen lanes; 'q' chooses their tables in the next group: any,
 * if there is none.  Returns their symbols, numbers of 16 bits, in the order
 * of packing. */
INLINE __m256i step_16(struct lanes *l, struct indices *i,
		       const struct plane *p, __m256i *x, const uint16_t *q,
		       bool wide)
{
	const __m256i byte = _mm256_set1_epi32(255);
	__m256i a, b;

	a = look_up(p, i, 0, wide);
	step(l, p, &x[0], a);
	b = look_up(p, i, 1, wide);
	step(l, p, &x[1], b);
	put_indices(i, p, x[0], x[1], q, wide);
	return _mm256_packus_epi32(_mm256_and_si256(a, byte),
				   _mm256_and_si256(b, byte));
}

/* One step of 32 lanes. */
INLINE void step_32(struct lanes *l, struct indices *i, const struct plane *p,
		    __m256i *x, const uint16_t *q, bool wide, uint8_t *sym)
{
	__m256i a, b;

	a = step_16(l, i, p, x, q, wide);
	b = step_16(l, i + 1, p, x + 2, q ? q + 16 : NULL, wide);
	/* Packing works within halves: what comes out are runs of four. */
	a = _mm256_packus_epi16(a, b);
	a = _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 4, 1, 5, 2, 6,
							     3, 7));
	_mm256_storeu_si256((__m256i *)(void *)sym, a);
}

/* Whole groups of 64 while 128 bytes of words remain; returns how many
 * elements.  Compiled with and without 'q', which has n >= LANES entries. */
INLINE size_t decode_groups(struct bs_rans_dec *d, const struct plane *p,
			    const uint16_t *q, bool wide, uint8_t *sym,
			    size_t n)
{
	struct lanes l = { .words = d->words, .end = d->end };
	struct indices index[4];
	size_t i = 0;
	unsigned k;

	for (k = 0; k < 8; k++)
		l.x[k] = _mm256_loadu_si256(
			(const __m256i *)(const void *)(d->x + 8 * k));
	for (k = 0; k < 4; k++)
		put_indices(&index[k], p, l.x[2 * k], l.x[2 * k + 1],
			    q ? q + 16 * k : NULL, wide);
	while (n - i >= LANES && l.end - l.words >= 2 * LANES) {
		if (q && n - i >= 2 * LANES)
			q += LANES;
		step_32(&l, index, p, l.x, q, wide, sym + i);
		step_32(&l, index + 2, p, l.x + 4, q ? q + 32 : NULL, wide,
			sym + i + 32);
		i += LANES;
	}
	d->words = l.words;
	for (k = 0; k < 8; k++)
		_mm256_storeu_si256((__m256i *)(void *)(d->x + 8 * k), l.x[k]);
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

AVX2 enum bs_result bs_rans_decode_avx2(struct bs_rans_dec *d,
					const bs_slot *slots,
					unsigned prob_bits, const uint16_t *q,
					unsigned table_mask, uint8_t *sym,
					size_t n)
{
	bool wide = (table_mask + 1) << prob_bits > 1 << 16;
	unsigned tables = table_mask << prob_bits;
	struct plane p = {
		.slots = slots,
		.prob_bits = _mm_cvtsi32_si128((int)prob_bits),
		.slot_mask = _mm256_set1_epi32((1 << prob_bits) - 1),
		.table_mask = wide ? _mm256_set1_epi32((int)tables)
				   : _mm256_set1_epi16((short)tables),
	};
	size_t i = 0;

	if (!q)
		i = decode_plain(d, &p, sym, n);
	else if (n >= LANES)
		i = wide ? decode_wide(d, &p, q, sym, n)
			 : decode_tables(d, &p, q, sym, n);

	return bs_rans_decode_scalar(d, slots, prob_bits, q ? q + i : NULL,
				     table_mask, sym + i, n - i);
}

#endif /* __x86_64__ */
