/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plane_neon.c - merging planes, a group of 64 elements at a time
 *
 * Sixteen elements of all terms after one another, in registers.  What is added
 * to entries is added in 16 bits whatever the unit, since no bit of a sum above
 * those is used (plane.h); elements of one byte do with 8.  Elements past the
 * last whole group are left to the scalar code.
 */

#ifdef __aarch64__

#include "../bits.h"
#include "../plane.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

#define GROUP 64
#define STEP 16 /* elements: as many vectors as an element has bytes */

/* A term in the form that the loops want. */
struct move {
	const struct bs_term *t;
	uint16x8_t add;
	int16x8_t drop; /* a shift to the right, so negative */
	int16x8_t shift;
	uint8x16_t mask; /* where its bits stand in an element */
	int8x16_t up; /* there from where they stand in the sum; in every byte,
		       * of which shifts read a lane's first */
};

/* 'unit' is a constant wherever these are used. */

INLINE uint8x16_t broadcast(uint64_t v, unsigned unit)
{
	switch (unit) {
	case 1:
		return vdupq_n_u8((uint8_t)v);
	case 2:
		return vreinterpretq_u8_u16(vdupq_n_u16((uint16_t)v));
	case 4:
		return vreinterpretq_u8_u32(vdupq_n_u32((uint32_t)v));
	default:
		return vreinterpretq_u8_u64(vdupq_n_u64(v));
	}
}

INLINE uint8x16_t move_bits(uint8x16_t v, int8x16_t up, unsigned unit)
{
	switch (unit) {
	case 1:
		return vshlq_u8(v, up);
	case 2:
		return vreinterpretq_u8_u16(vshlq_u16(
			vreinterpretq_u16_u8(v), vreinterpretq_s16_s8(up)));
	case 4:
		return vreinterpretq_u8_u32(vshlq_u32(
			vreinterpretq_u32_u8(v), vreinterpretq_s32_s8(up)));
	default:
		return vreinterpretq_u8_u64(vshlq_u64(
			vreinterpretq_u64_u8(v), vreinterpretq_s64_s8(up)));
	}
}

/* What 'q' adds to eight elements. */
INLINE uint16x8_t take_q(const struct move *m, const uint16_t *q)
{
	return vshlq_u16(vshlq_u16(vld1q_u16(q), m->drop), m->shift);
}

/* The sums of sixteen elements, one byte each. */
INLINE uint8x16_t sum_bytes(const struct move *m, const uint8_t *entry,
			    const uint16_t *q)
{
	uint8x16_t v = vld1q_u8(entry);

	if (m->t->add)
		v = vaddq_u8(v, vuzp1q_u8(vreinterpretq_u8_u16(m->add),
					  vreinterpretq_u8_u16(m->add)));
	if (q)
		v = vaddq_u8(v,
			     vuzp1q_u8(vreinterpretq_u8_u16(take_q(m, q)),
				       vreinterpretq_u8_u16(take_q(m, q + 8))));
	return v;
}

/* The sums of sixteen elements, two bytes each. */
INLINE void sum_words(uint16x8_t *ret, const struct move *m,
		      const uint8_t *entry, const uint16_t *q)
{
	uint8x16_t v = vld1q_u8(entry);

	ret[0] = vmovl_u8(vget_low_u8(v));
	ret[1] = vmovl_high_u8(v);
	if (m->t->add) {
		ret[0] = vaddq_u16(ret[0], m->add);
		ret[1] = vaddq_u16(ret[1], m->add);
	}
	if (q) {
		ret[0] = vaddq_u16(ret[0], take_q(m, q));
		ret[1] = vaddq_u16(ret[1], take_q(m, q + 8));
	}
}

/* Vector i of sixteen sums of two bytes widened to 'unit'. */
INLINE uint8x16_t widen(const uint16x8_t *sums, unsigned unit, unsigned i)
{
	uint16x8_t v = sums[2 * i / unit];
	uint32x4_t w;

	if (unit == 2)
		return vreinterpretq_u8_u16(v);
	w = i * 4 / unit % 2 ? vmovl_high_u16(v) : vmovl_u16(vget_low_u16(v));
	if (unit == 4)
		return vreinterpretq_u8_u32(w);
	return vreinterpretq_u8_u64(i % 2 ? vmovl_high_u32(w)
					  : vmovl_u32(vget_low_u32(w)));
}

/* Sixteen elements, from the at-th on. */
INLINE void merge_step(uint8_t *dst, unsigned unit, size_t at,
		       const uint64_t *base, const struct move *moves,
		       unsigned n_moves, const uint8_t *const *entry,
		       unsigned in_group)
{
	uint8x16_t acc[8];
	unsigned i, v;

	for (v = 0; v < unit; v++)
		acc[v] = base ? broadcast(*base, unit) : vld1q_u8(dst + 16 * v);
	for (i = 0; i < n_moves; i++) {
		const struct move *m = &moves[i];
		const uint16_t *q = m->t->q ? m->t->q + at : NULL;
		uint16x8_t sums[2];
		uint8x16_t e;

		if (unit > 1)
			sum_words(sums, m, entry[i] + in_group, q);
		for (v = 0; v < unit; v++) {
			e = unit == 1 ? sum_bytes(m, entry[i] + in_group, q)
				      : widen(sums, unit, v);
			e = vandq_u8(move_bits(e, m->up, unit), m->mask);
			acc[v] = vorrq_u8(acc[v], e);
		}
	}
	for (v = 0; v < unit; v++)
		vst1q_u8(dst + 16 * v, acc[v]);
}

/* 64 entries of a piece, 'up' bits up, OR-ed into four vectors. */
INLINE void unpack_piece(uint8x16_t *ret, const uint8_t *src, unsigned bits,
			 unsigned up)
{
	uint8x16_t v[4], mask = vdupq_n_u8((uint8_t)((1u << bits) - 1));
	unsigned k;

	if (bits == 4) {
		v[0] = vld1q_u8(src);
		v[1] = vld1q_u8(src + 16);
		v[2] = vshrq_n_u8(v[0], 4);
		v[3] = vshrq_n_u8(v[1], 4);
	} else if (bits == 2) {
		v[0] = vld1q_u8(src);
		v[1] = vshrq_n_u8(v[0], 2);
		v[2] = vshrq_n_u8(v[0], 4);
		v[3] = vshrq_n_u8(v[0], 6);
	} else {
		/* Each byte eight times, of which each keeps its own bit. */
		const uint8x16_t own = vreinterpretq_u8_u64(
			vdupq_n_u64(UINT64_C(0x8040201008040201)));

		for (k = 0; k < 4; k++)
			v[k] = vtstq_u8(
				vcombine_u8(vld1_dup_u8(src + 2 * k),
					    vld1_dup_u8(src + 2 * k + 1)),
				own);
	}
	for (k = 0; k < 4; k++)
		ret[k] = vorrq_u8(ret[k], vshlq_u8(vandq_u8(v[k], mask),
						   vdupq_n_s8((int8_t)up)));
}

/* 64 values of fewer than 8 bits from their pieces. */
INLINE void unpack(uint8_t *dst, const struct bs_term *t, size_t at)
{
	uint8x16_t v[4] = { vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0),
			    vdupq_n_u8(0) };
	unsigned bits = t->entry_bits, k = 0;

	if (bits & 4)
		unpack_piece(v, t->src[k++] + at / 2, 4, 0);
	if (bits & 2)
		unpack_piece(v, t->src[k++] + at / 4, 2, bits & 4);
	if (bits & 1)
		unpack_piece(v, t->src[k] + at / 8, 1, bits & 6);
	for (k = 0; k < 4; k++)
		vst1q_u8(dst + 16 * k, v[k]);
}

INLINE void merge_group(uint8_t *dst, unsigned unit, size_t at,
			const uint64_t *base, const struct move *moves,
			unsigned n_moves)
{
	uint8_t scratch[TERMS_MAX][GROUP];
	const uint8_t *entry[TERMS_MAX];
	unsigned i;

	for (i = 0; i < n_moves; i++) {
		const struct bs_term *t = moves[i].t;

		entry[i] = t->src[0] + at;
		if (t->entry_bits < 8) {
			unpack(scratch[i], t, at);
			entry[i] = scratch[i];
		}
	}
	for (i = 0; i < GROUP; i += STEP)
		merge_step(dst + i * unit, unit, at + i, base, moves, n_moves,
			   entry, i);
}

/* Whole groups; returns how many elements. */
INLINE size_t merge(uint8_t *dst, unsigned unit, size_t n, const uint64_t *base,
		    const struct bs_term *terms, unsigned n_terms)
{
	struct move moves[TERMS_MAX];
	unsigned i;
	size_t at;

	for (i = 0; i < n_terms; i++) {
		const struct bs_term *t = &terms[i];
		struct move *m = &moves[i];

		m->t = t;
		m->add = vdupq_n_u16(t->add);
		m->drop = vdupq_n_s16((int16_t)-t->q_drop);
		m->shift = vdupq_n_s16(t->q_shift);
		m->mask = broadcast(((UINT64_C(1) << t->bits) - 1) << t->lo,
				    unit);
		m->up = vdupq_n_s8((int8_t)(t->lo - t->shift));
	}
	for (at = 0; n - at >= GROUP; at += GROUP)
		merge_group(dst + at * unit, unit, at, base, moves, n_terms);
	return at;
}

static size_t merge_groups(void *dst, unsigned unit, size_t n,
			   const uint64_t *base, const struct bs_term *terms,
			   unsigned n_terms)
{
	switch (unit) {
	case 1:
		return merge(dst, 1, n, base, terms, n_terms);
	case 2:
		return merge(dst, 2, n, base, terms, n_terms);
	case 4:
		return merge(dst, 4, n, base, terms, n_terms);
	default:
		return merge(dst, 8, n, base, terms, n_terms);
	}
}

void bs_plane_merge_neon(void *dst, unsigned unit, size_t n,
			 const uint64_t *base, const struct bs_term *terms,
			 unsigned n_terms)
{
	size_t at = merge_groups(dst, unit, n, base, terms, n_terms);

	bs_plane_merge_rest(dst, unit, at, n, base, terms, n_terms);
}

#endif /* __aarch64__ */
