/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bits.h - little-endian loads and stores, bit streams, checked arithmetic
 *
 * Everything read from a file passes through here.  The targets are 64-bit and
 * little-endian, so a load is a memcpy.
 */

#ifndef BS_BITS_H
#define BS_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bigsmall is for little-endian machines"
#endif

static inline uint16_t get_u16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t get_u32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t get_u64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void put_u16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void put_u32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void put_u64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline bool is_zero(const void *p, size_t len)
{
	const uint8_t *b = p;
	size_t i;

	for (i = 0; i < len; i++) {
		if (b[i])
			return false;
	}
	return true;
}

/* True if off + len <= limit, without overflow. */
static inline bool in_range(uint64_t off, uint64_t len, uint64_t limit)
{
	return off <= limit && len <= limit - off;
}

static inline uint64_t round_up8(uint64_t v)
{
	return (v + 7) & ~(uint64_t)7;
}

/*
 * a / b, rounded down, of numbers below 2^53.  Doubles hold both, and divide in
 * half the time: where a / b is no whole number, it is at least 1 / b below the
 * next one, which is more than rounding adds.
 */
static inline uint64_t div_53(uint64_t a, uint64_t b)
{
	return (uint64_t)(int64_t)((double)(int64_t)a / (double)(int64_t)b);
}

/* ceil(a / b) without overflow; b > 0 */
static inline uint64_t div_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static inline unsigned bit_length(uint32_t v)
{
	return v ? 32 - (unsigned)__builtin_clz(v) : 0;
}

/* Bits of each byte least significant first.  Reading past the end gives zero
 * bits and sets 'overrun'. */
struct bit_reader {
	const uint8_t *p;
	size_t len; /* bytes */
	size_t pos; /* bits */
	bool overrun;
};

static inline unsigned br_bit(struct bit_reader *br)
{
	size_t byte = br->pos >> 3;
	unsigned bit;

	if (byte >= br->len) {
		br->overrun = true;
		return 0;
	}
	bit = br->p[byte] >> (br->pos & 7) & 1;
	br->pos++;
	return bit;
}

static inline uint32_t br_bits(struct bit_reader *br, unsigned n)
{
	uint32_t v = 0;
	unsigned i;

	for (i = 0; i < n; i++)
		v |= (uint32_t)br_bit(br) << i;
	return v;
}

/* 'p' must have room; bytes are cleared as they are begun. */
struct bit_writer {
	uint8_t *p;
	size_t pos; /* bits */
};

static inline void bw_bits(struct bit_writer *bw, uint32_t v, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (!(bw->pos & 7))
			bw->p[bw->pos >> 3] = 0;
		bw->p[bw->pos >> 3] |= (uint8_t)((v >> i & 1) << (bw->pos & 7));
		bw->pos++;
	}
}

#endif /* BS_BITS_H */
