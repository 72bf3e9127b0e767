/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plane.c - bits of elements to planes and back: the scalar specification
 *
 * Pieces of 4, 2 and 1 bits are laid out by groups of 64 elements so that a
 * vector unpacks one with a shift and a mask: a 4-bit group holds elements 0-31
 * in its low halves and 32-63 in its high ones.
 *
 * Bits move between elements eight bytes at a time, whatever the width:
 * compilers turn that into full vectors.  A loop over 8- or 16-bit elements
 * with variable shifts is computed in 32-bit lanes, by C's promotions, and
 * takes three times as long; so do not fold widening into the shifts.
 */

#include "plane.h"

#include "bits.h"

/* Entries converted at a time, on the stack. */
#define STRIP 512

/* Elements at any address. */
typedef uint16_t u16_any __attribute__((aligned(1), may_alias));
typedef uint32_t u32_any __attribute__((aligned(1), may_alias));
typedef uint64_t u64_any __attribute__((aligned(1), may_alias));

/* entry >> src_shift & mask, << lo: the mask for eight bytes of entries. */
struct move {
	unsigned src_shift;
	uint64_t mask;
	unsigned lo;
};

/* For entries of 'width' bytes. */
static struct move make_move(unsigned width, unsigned src_shift, unsigned bits,
			     unsigned lo)
{
	static const uint64_t ones[] = {
		[1] = UINT64_C(0x0101010101010101),
		[2] = UINT64_C(0x0001000100010001),
		[4] = UINT64_C(0x0000000100000001),
		[8] = 1,
	};
	uint64_t mask = (UINT64_C(1) << bits) - 1;
	struct move m = { src_shift, mask * ones[width], lo };

	return m;
}

/*
 * dst |= moved src, 'len' bytes of entries of one width.  A shift brings bits
 * of an entry's neighbour into it, the mask takes them away again.
 */
static void or_same(uint8_t *restrict dst, const uint8_t *restrict src,
		    size_t len, struct move m)
{
	size_t whole = len / 8, i;
	uint64_t d = 0, s = 0;

	for (i = 0; i < whole; i++)
		put_u64(dst + 8 * i,
			get_u64(dst + 8 * i) |
				(get_u64(src + 8 * i) >> m.src_shift & m.mask)
					<< m.lo);
	i *= 8;
	if (i == len)
		return;
	memcpy(&s, src + i, len - i);
	memcpy(&d, dst + i, len - i);
	d |= (s >> m.src_shift & m.mask) << m.lo;
	memcpy(dst + i, &d, len - i);
}

/* n entries of another width. */
#define CONVERT(dst_type, src_type, op)               \
	do {                                          \
		dst_type *restrict to = dst;          \
		const src_type *restrict from = src;  \
		size_t at;                            \
		for (at = 0; at < n; at++)            \
			to[at] op(dst_type) from[at]; \
	} while (0)

static void widen(void *dst, unsigned dst_bytes, const void *src,
		  unsigned src_bytes, size_t n)
{
	if (dst_bytes == 2)
		CONVERT(u16_any, uint8_t, =);
	else if (dst_bytes == 4 && src_bytes == 1)
		CONVERT(u32_any, uint8_t, =);
	else if (dst_bytes == 4)
		CONVERT(u32_any, u16_any, =);
	else if (src_bytes == 1)
		CONVERT(u64_any, uint8_t, =);
	else
		CONVERT(u64_any, u16_any, =);
}

static void or_narrow(void *dst, unsigned dst_bytes, const void *src,
		      unsigned src_bytes, size_t n)
{
	if (src_bytes == 2)
		CONVERT(uint8_t, u16_any, |=);
	else if (src_bytes == 4 && dst_bytes == 1)
		CONVERT(uint8_t, u32_any, |=);
	else if (src_bytes == 4)
		CONVERT(u16_any, u32_any, |=);
	else if (dst_bytes == 1)
		CONVERT(uint8_t, u64_any, |=);
	else
		CONVERT(u16_any, u64_any, |=);
}

/* As bs_plane_or_fn, for any two widths of which one is 1 or 2.  Bits are
 * moved in the wider one. */
static void or_bits(uint8_t *dst, unsigned dst_bytes, const uint8_t *src,
		    unsigned src_bytes, size_t n, unsigned src_shift,
		    unsigned bits, unsigned lo)
{
	unsigned wider = dst_bytes > src_bytes ? dst_bytes : src_bytes;
	struct move m = make_move(wider, src_shift, bits, lo);
	uint8_t strip[STRIP * sizeof(uint64_t)];
	size_t i, k;

	if (dst_bytes == src_bytes) {
		or_same(dst, src, n * wider, m);
		return;
	}
	for (i = 0; i < n; i += k) {
		k = n - i < STRIP ? n - i : STRIP;
		if (dst_bytes > src_bytes) {
			widen(strip, dst_bytes, src + i * src_bytes, src_bytes,
			      k);
			or_same(dst + i * wider, strip, k * wider, m);
		} else {
			memset(strip, 0, k * wider);
			or_same(strip, src + i * wider, k * wider, m);
			or_narrow(dst + i * dst_bytes, dst_bytes, strip,
				  src_bytes, k);
		}
	}
}

void bs_plane_take8(uint8_t *dst, const void *src, unsigned unit, size_t n,
		    unsigned lo, unsigned bits, unsigned dst_shift)
{
	or_bits(dst, 1, src, unit, n, lo, bits, dst_shift);
}

void bs_plane_take16(uint16_t *dst, const void *src, unsigned unit, size_t n,
		     unsigned lo, unsigned bits, unsigned dst_shift)
{
	or_bits((uint8_t *)dst, 2, src, unit, n, lo, bits, dst_shift);
}

size_t bs_piece_len(unsigned bits, size_t n)
{
	return bits == 8 ? n : (n + 63) / 64 * (8 * bits);
}

unsigned bs_piece_bits(unsigned left)
{
	return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* A 4-bit group: entries 0-31 in the low halves, 32-63 in the high ones. */
static void unpack4(uint8_t *restrict dst, const uint8_t *restrict src)
{
	unsigned k;

	for (k = 0; k < 32; k++) {
		dst[k] = src[k] & 15;
		dst[k + 32] = src[k] >> 4;
	}
}

/* A 2-bit group: entries 16m to 16m + 15 in bits 2m and 2m + 1. */
static void unpack2(uint8_t *restrict dst, const uint8_t *restrict src)
{
	unsigned k;

	for (k = 0; k < 16; k++) {
		dst[k] = src[k] & 3;
		dst[k + 16] = src[k] >> 2 & 3;
		dst[k + 32] = src[k] >> 4 & 3;
		dst[k + 48] = src[k] >> 6;
	}
}

/* A 1-bit group: bits in order.  A byte is copied into eight, of which
 * each keeps its own bit: 127 + that bit carries into the byte's top bit,
 * except for bit 7, which is there already. */
static void unpack1(uint8_t *dst, const uint8_t *src)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	unsigned k;

	for (k = 0; k < 8; k++) {
		uint64_t v = src[k] * ones & UINT64_C(0x8040201008040201);

		v = ((v & 127 * ones) + 127 * ones) | v;
		put_u64(dst + 8 * k, v >> 7 & ones);
	}
}

void bs_piece_unpack(uint8_t *dst, const uint8_t *src, unsigned bits,
		     size_t n_groups)
{
	size_t g;

	for (g = 0; g < n_groups; g++) {
		if (bits == 4)
			unpack4(dst + 64 * g, src + 32 * g);
		else if (bits == 2)
			unpack2(dst + 64 * g, src + 16 * g);
		else
			unpack1(dst + 64 * g, src + 8 * g);
	}
}

/* ---- Merging ------------------------------------------------------------ */

/* q >> drop << shift of n entries, n <= STRIP, in 16 bits. */
static void shift_q(uint16_t *restrict dst, const uint16_t *restrict q,
		    size_t n, unsigned drop, unsigned shift)
{
	struct move m =
		make_move(2, drop, 16 - (drop > shift ? drop : shift), shift);

	memset(dst, 0, n * sizeof(*dst));
	or_same((uint8_t *)dst, (const uint8_t *)q, n * sizeof(*q), m);
}

/* Entries of a strip plus what a term adds to them, in bytes where that is
 * enough: half the work for all that follows. */
#define ADD(type)                                          \
	do {                                               \
		type *restrict to = sum;                   \
		const uint8_t *restrict from = entry;      \
		type add = (type)t->add;                   \
		size_t i;                                  \
                                                           \
		for (i = 0; i < n; i++)                    \
			to[i] = (type)(from[i] + add);     \
		for (i = 0; t->q && i < n; i++)            \
			to[i] = (type)(to[i] + offset[i]); \
	} while (0)

/* Values of fewer than 8 bits from their pieces; 'at' is a multiple of 64. */
static void unpack(uint8_t *restrict dst, const struct bs_term *t, size_t at,
		   size_t n)
{
	unsigned done = 0, k = 0, bits;
	uint8_t piece[STRIP];

	for (; done < t->entry_bits; done += bits) {
		bits = bs_piece_bits(t->entry_bits - done);
		bs_piece_unpack(done ? piece : dst, t->src[k++] + at * bits / 8,
				bits, (n + 63) / 64);
		if (done)
			or_bits(dst, 1, piece, 1, n, 0, bits, done);
	}
}

/* Elements [at, at + n) of one term; 'at' is a multiple of 64, n <= STRIP. */
static void merge_term(uint8_t *dst, unsigned unit, const struct bs_term *t,
		       size_t at, size_t n)
{
	const uint8_t *entry = t->src[0] + at;
	unsigned sum_bytes = t->shift + t->bits <= 8 ? 1 : 2;
	uint8_t unpacked[STRIP];
	uint16_t sums[STRIP], offsets[STRIP];
	const uint16_t *restrict offset = offsets;
	void *sum = sums;

	if (t->entry_bits < 8) {
		unpack(unpacked, t, at, n);
		entry = unpacked;
	}
	if (!t->add && !t->q) {
		or_bits(dst, unit, entry, 1, n, t->shift, t->bits, t->lo);
		return;
	}
	if (t->q)
		shift_q(offsets, t->q + at, n, t->q_drop, t->q_shift);
	if (sum_bytes == 1)
		ADD(uint8_t);
	else
		ADD(uint16_t);
	or_bits(dst, unit, sum, sum_bytes, n, t->shift, t->bits, t->lo);
}

static void fill(uint8_t *dst, unsigned unit, size_t n, uint64_t element)
{
	size_t len = n * unit, at = unit;

	if (!element) {
		memset(dst, 0, len);
		return;
	}
	memcpy(dst, &element, unit);
	for (; at < len; at *= 2)
		memcpy(dst + at, dst, at < len - at ? at : len - at);
}

void bs_plane_merge_scalar(void *dst, unsigned unit, size_t n,
			   const uint64_t *base, const struct bs_term *terms,
			   unsigned n_terms)
{
	uint8_t *to = dst;
	size_t i, m;
	unsigned k;

	for (i = 0; i < n; i += m, to += m * unit) {
		m = n - i < STRIP ? n - i : STRIP;
		if (base)
			fill(to, unit, m, *base);
		for (k = 0; k < n_terms; k++)
			merge_term(to, unit, &terms[k], i, m);
	}
}

void bs_term_skip(struct bs_term *t, size_t n)
{
	unsigned bits = t->entry_bits, k = 0, here;

	for (; bits; bits -= here, k++) {
		here = bs_piece_bits(bits);
		t->src[k] += n * here / 8;
	}
	if (t->q)
		t->q += n;
}

void bs_plane_merge_rest(void *dst, unsigned unit, size_t at, size_t n,
			 const uint64_t *base, const struct bs_term *terms,
			 unsigned n_terms)
{
	struct bs_term rest[TERMS_MAX];
	unsigned i;

	if (at == n)
		return;
	for (i = 0; i < n_terms; i++) {
		rest[i] = terms[i];
		bs_term_skip(&rest[i], at);
	}
	bs_plane_merge_scalar((uint8_t *)dst + at * unit, unit, n - at, base,
			      rest, n_terms);
}

/* ---- Packing ------------------------------------------------------------ */

static void pack4(uint8_t *restrict dst, const uint8_t *restrict src)
{
	unsigned k;

	for (k = 0; k < 32; k++)
		dst[k] = (uint8_t)(src[k] | src[k + 32] << 4);
}

static void pack2(uint8_t *restrict dst, const uint8_t *restrict src)
{
	unsigned k;

	for (k = 0; k < 16; k++)
		dst[k] = (uint8_t)(src[k] | src[k + 16] << 2 |
				   src[k + 32] << 4 | src[k + 48] << 6);
}

/* Eight bytes of 0 or 1 times this: their bits meet in the top byte. */
static void pack1(uint8_t *dst, const uint8_t *src)
{
	unsigned k;

	for (k = 0; k < 8; k++)
		dst[k] = (uint8_t)(get_u64(src + 8 * k) *
					   UINT64_C(0x0102040810204080) >>
				   56);
}

void bs_piece_pack(uint8_t *dst, const uint8_t *src, unsigned bits,
		   size_t n_groups)
{
	size_t g;

	for (g = 0; g < n_groups; g++) {
		if (bits == 4)
			pack4(dst + 32 * g, src + 64 * g);
		else if (bits == 2)
			pack2(dst + 16 * g, src + 64 * g);
		else
			pack1(dst + 8 * g, src + 64 * g);
	}
}
