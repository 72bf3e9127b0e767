/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rans_neon.c - rANS decoding, four lanes a vector
 *
 * The steps of rans.c, for sixteen lanes at a time: that many vectors stay in
 * registers beside the state of all lanes.  Which lanes want a word becomes a
 * number, eight lanes a byte, and their words come by the table of expand.h.
 * The end of the words and of the elements is left to the scalar code.
 *
 * Chosen by counting instructions, not by a clock: there was no such machine.
 */

#ifdef __aarch64__

#include "../expand.h"
#include "../rans.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

/* The constants of one plane. */
struct plane {
	const bs_slot *slots;
	int32x4_t prob_bits;
	int32x4_t minus_prob_bits; /* a shift to the right */
	uint32x4_t slot_mask;
	uint32x4_t table_mask;
};

/* The slots of four lanes; 'q' as for bs_rans_decode_fn, or NULL. */
INLINE uint32x4_t look_up(const struct plane *p, uint32x4_t x,
			  const uint16_t *q)
{
	uint32x4_t index = vandq_u32(x, p->slot_mask);
	uint32x2_t lo, hi;
	uint64_t a, b;

	if (q) {
		uint32x4_t table = vmovl_u16(vld1_u16(q));

		table = vandq_u32(table, p->table_mask);
		index = vorrq_u32(index, vshlq_u32(table, p->prob_bits));
	}
	/* Two indices a move.  Lanes are joined afterwards: a load into a lane
	 * takes no index, and is two operations in many cores. */
	a = vgetq_lane_u64(vreinterpretq_u64_u32(index), 0);
	b = vgetq_lane_u64(vreinterpretq_u64_u32(index), 1);
	lo = vzip1_u32(vcreate_u32(p->slots[(uint32_t)a]),
		       vcreate_u32(p->slots[a >> 32]));
	hi = vzip1_u32(vcreate_u32(p->slots[(uint32_t)b]),
		       vcreate_u32(p->slots[b >> 32]));
	return vcombine_u32(lo, hi);
}

/* x before words are taken. */
INLINE uint32x4_t advance(const struct plane *p, uint32x4_t x, uint32x4_t e)
{
	uint32x4_t bias = vandq_u32(vshrq_n_u32(e, 8), vdupq_n_u32(4095));

	return vmlaq_u32(bias, vshrq_n_u32(e, 20),
			 vshlq_u32(x, p->minus_prob_bits));
}

/* The low byte of each lane of four vectors. */
INLINE uint8x16_t low_bytes(const uint32x4_t *v)
{
	uint16x8_t a = vuzp1q_u16(vreinterpretq_u16_u32(v[0]),
				  vreinterpretq_u16_u32(v[1]));
	uint16x8_t b = vuzp1q_u16(vreinterpretq_u16_u32(v[2]),
				  vreinterpretq_u16_u32(v[3]));

	return vuzp1q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b));
}

/* Eight lanes, of which those in 'small', the bits of m, take words. */
INLINE void refill(uint32x4_t *x, const uint32x4_t *small, unsigned m,
		   const uint8_t *words)
{
	uint8x16_t bytes = vld1q_u8((const uint8_t *)expand[m]);
	uint16x8_t w;

	w = vreinterpretq_u16_u8(vqtbl1q_u8(vld1q_u8(words), bytes));
	/* x << 16 | word */
	x[0] = vbslq_u32(small[0],
			 vsliq_n_u32(vmovl_u16(vget_low_u16(w)), x[0], 16),
			 x[0]);
	x[1] = vbslq_u32(small[1], vsliq_n_u32(vmovl_high_u16(w), x[1], 16),
			 x[1]);
}

/* One step of sixteen lanes. */
INLINE const uint8_t *step(const struct plane *p, uint32x4_t *x,
			   const uint8_t *words, const uint16_t *q,
			   uint8_t *sym)
{
	const uint8x16_t own =
		vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201)));
	uint32x4_t e[4], small[4];
	uint8x16_t m;
	uint16_t want, n;
	unsigned k;

	for (k = 0; k < 4; k++)
		e[k] = look_up(p, x[k], q ? q + 4 * k : NULL);
	vst1q_u8(sym, low_bytes(e));
	for (k = 0; k < 4; k++) {
		x[k] = advance(p, x[k], e[k]);
		small[k] = vcltq_u32(x[k], vdupq_n_u32(65536));
	}
	/* Each lane's own bit, added up: eight lanes a byte. */
	m = vandq_u8(low_bytes(small), own);
	m = vpaddq_u8(m, m);
	m = vpaddq_u8(m, m);
	m = vpaddq_u8(m, m);
	want = vgetq_lane_u16(vreinterpretq_u16_u8(m), 0);
	n = vgetq_lane_u16(vreinterpretq_u16_u8(vcntq_u8(m)), 0);
	refill(x, small, want & 255, words);
	words += 2 * (size_t)(n & 255);
	refill(x + 2, small + 2, want >> 8, words);
	return words + 2 * (size_t)(n >> 8);
}

/* Whole groups of 64 while 128 bytes of words remain; returns how many
 * elements.  Compiled with and without 'q'. */
INLINE size_t decode_groups(struct bs_rans_dec *d, const struct plane *p,
			    const uint16_t *q, uint8_t *sym, size_t n)
{
	const uint8_t *words = d->words, *end = d->end;
	uint32x4_t x[LANES / 4];
	size_t i = 0;
	unsigned k;

	for (k = 0; k < LANES / 4; k++)
		x[k] = vld1q_u32(d->x + 4 * k);
	while (n - i >= LANES && end - words >= 2 * LANES) {
		words = step(p, x, words, q ? q + i : NULL, sym + i);
		words = step(p, x + 4, words, q ? q + i + 16 : NULL,
			     sym + i + 16);
		words = step(p, x + 8, words, q ? q + i + 32 : NULL,
			     sym + i + 32);
		words = step(p, x + 12, words, q ? q + i + 48 : NULL,
			     sym + i + 48);
		i += LANES;
	}
	d->words = words;
	for (k = 0; k < LANES / 4; k++)
		vst1q_u32(d->x + 4 * k, x[k]);
	return i;
}

enum bs_result bs_rans_decode_neon(struct bs_rans_dec *d, const bs_slot *slots,
				   unsigned prob_bits, const uint16_t *q,
				   unsigned table_mask, uint8_t *sym, size_t n)
{
	struct plane p = {
		.slots = slots,
		.prob_bits = vdupq_n_s32((int)prob_bits),
		.minus_prob_bits = vdupq_n_s32(-(int)prob_bits),
		.slot_mask = vdupq_n_u32((1u << prob_bits) - 1),
		.table_mask = vdupq_n_u32(table_mask),
	};
	size_t i = q ? decode_groups(d, &p, q, sym, n)
		     : decode_groups(d, &p, NULL, sym, n);

	return bs_rans_decode_scalar(d, slots, prob_bits, q ? q + i : NULL,
				     table_mask, sym + i, n - i);
}

#endif /* __aarch64__ */
