/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warp_xxh3.h - XXH3-64 with seed 0 of some bytes, by one warp
 *
 * Eight sums of 64 bits are kept over the bytes; 16 stripes of 64 bytes are
 * added to them in any order, then the sums are scrambled, which is a block.  So
 * the lanes take a block in parallel: lane t adds to sum t mod 8 what stripes
 * t / 8, t / 8 + 4, ... have for it, and the four lanes of a sum are added up
 * before the scrambling.  A block is loaded while the one before is summed.
 * Up to 240 bytes are another algorithm, which all lanes do alike.
 */

#ifndef BS_WARP_XXH3_H
#define BS_WARP_XXH3_H

#include "portable.h"

#define XXH_STRIPE 64
#define XXH_BLOCK 1024 /* 16 stripes: the secret has no more */
#define XXH_SHORT_MAX 240
#define LANE_STRIPES 4

#define PRIME32_1 0x9e3779b1u
#define PRIME32_2 0x85ebca77u
#define PRIME32_3 0xc2b2ae3du
#define PRIME64_1 0x9e3779b185ebca87u
#define PRIME64_2 0xc2b2ae3d27d4eb4fu
#define PRIME64_3 0x165667b19e3779f9u
#define PRIME64_4 0x85ebca77c2b2ae63u
#define PRIME64_5 0x27d4eb2f165667c5u
#define PRIME_MX1 0x165667919e3779f9u
#define PRIME_MX2 0x9fb21c651e98df25u

/* The default secret, 192 bytes in little-endian words. */
DEVICE_DATA uint64_t xxh_secret[24] = {
	0xbe4ba423396cfeb8, 0x1cad21f72c81017c, 0xdb979083e96dd4de,
	0x1f67b3b7a4a44072, 0x78e5c0cc4ee679cb, 0x2172ffcc7dd05a82,
	0x8e2443f7744608b8, 0x4c263a81e69035e0, 0xcb00c391bb52283c,
	0xa32e531b8b65d088, 0x4ef90da297486471, 0xd8acdea946ef1938,
	0x3f349ce33f76faa8, 0x1d4f0bc7c7bbdcf9, 0x3159b4cd4be0518a,
	0x647378d9c97e9fc8, 0xc3ebd33483acc5ea, 0xeb6313faffa081c5,
	0x49daf0b751dd0d17, 0x9e68d429265516d3, 0xfca1477d58be162b,
	0xce31d07ad1b8f88f, 0x280416958f3acb45, 0x7e404bbbcafbd7af,
};

DEVICE_DATA uint64_t xxh_start[8] = {
	PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3,
	PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1,
};

DEVICE uint64_t secret_at(unsigned off)
{
	return fetch64_any((const uint8_t *)xxh_secret + off);
}

DEVICE uint64_t fold(uint64_t a, uint64_t b)
{
	return a * b ^ high64(a, b);
}

DEVICE uint64_t avalanche(uint64_t h)
{
	h ^= h >> 37;
	h *= PRIME_MX1;
	return h ^ h >> 32;
}

DEVICE uint64_t avalanche_short(uint64_t h)
{
	h ^= h >> 33;
	h *= PRIME64_2;
	h ^= h >> 29;
	h *= PRIME64_3;
	return h ^ h >> 32;
}

DEVICE uint64_t swap_bytes(uint64_t v)
{
	v = (v & 0x00ff00ff00ff00ffu) << 8 | (v >> 8 & 0x00ff00ff00ff00ffu);
	v = (v & 0x0000ffff0000ffffu) << 16 | (v >> 16 & 0x0000ffff0000ffffu);
	return v << 32 | v >> 32;
}

DEVICE uint64_t rotate(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

/* ---- Up to 240 bytes ---------------------------------------------------- */

DEVICE_CALL uint64_t xxh_to_16(const uint8_t *p, uint32_t len)
{
	uint64_t a, b;

	if (!len)
		return avalanche_short(secret_at(56) ^ secret_at(64));
	if (len <= 3) {
		a = fetch8(p + len - 1) | len << 8 | fetch8(p) << 16 |
		    fetch8(p + len / 2) << 24;
		b = secret_at(0);
		return avalanche_short(a ^ (uint32_t)(b ^ b >> 32));
	}
	if (len <= 8) {
		a = (uint64_t)fetch32_any(p) << 32;
		a += fetch32_any(p + len - 4);
		a ^= secret_at(8) ^ secret_at(16);
		a ^= rotate(a, 49) ^ rotate(a, 24);
		a *= PRIME_MX2;
		a ^= (a >> 35) + len;
		a *= PRIME_MX2;
		return a ^ a >> 28;
	}
	a = fetch64_any(p) ^ secret_at(24) ^ secret_at(32);
	b = fetch64_any(p + len - 8) ^ secret_at(40) ^ secret_at(48);
	return avalanche(len + swap_bytes(a) + b + fold(a, b));
}

DEVICE uint64_t mix_16(const uint8_t *p, unsigned secret)
{
	return fold(fetch64_any(p) ^ secret_at(secret),
		    fetch64_any(p + 8) ^ secret_at(secret + 8));
}

/* 17 to 128: pairs of 16 bytes from both ends inwards. */
DEVICE_CALL uint64_t xxh_to_128(const uint8_t *p, uint32_t len)
{
	uint64_t sum = len * PRIME64_1;
	uint32_t i;

	for (i = 0; i <= (len - 1) / 32; i++) {
		sum += mix_16(p + 16 * i, 32 * i);
		sum += mix_16(p + len - 16 * (i + 1), 32 * i + 16);
	}
	return avalanche(sum);
}

DEVICE_CALL uint64_t xxh_to_240(const uint8_t *p, uint32_t len)
{
	uint64_t sum = len * PRIME64_1;
	uint32_t i;

	for (i = 0; i < 8; i++)
		sum += mix_16(p + 16 * i, 16 * i);
	sum = avalanche(sum);
	for (; i < len / 16; i++)
		sum += mix_16(p + 16 * i, 16 * (i - 8) + 3);
	return avalanche(sum + mix_16(p + len - 16, 136 - 17));
}

/* ---- More --------------------------------------------------------------- */

/* A lane's part of the sums. */
struct xxh_lanes {
	uint64_t key[LANE_STRIPES][LANE_COPIES];
	uint64_t scramble[LANE_COPIES];
	uint64_t sum[LANE_COPIES]; /* four lanes have the same */
	uint64_t product[LANE_COPIES]; /* to be added to the sum */
	uint64_t data[LANE_COPIES]; /* to be added to the sum next to it */
};

DEVICE void xxh_add(struct xxh_lanes *x, unsigned t, uint64_t data,
		    uint64_t key)
{
	uint64_t keyed = data ^ key;

	x->product[OWN(t)] += (keyed & 0xffffffffu) * (keyed >> 32);
	x->data[OWN(t)] += data;
}

/* What the lanes have added goes into the sums. */
DEVICE void xxh_collect(struct xxh_lanes *x)
{
	uint64_t other[LANE_COPIES];
	unsigned flip;

	warp_swap64(x->data, 1);
	FOR_LANES (t) {
		x->product[OWN(t)] += x->data[OWN(t)];
		x->data[OWN(t)] = 0;
	}
	for (flip = 8; flip < WARP; flip *= 2) {
		FOR_LANES (t)
			other[OWN(t)] = x->product[OWN(t)];
		warp_swap64(other, flip);
		FOR_LANES (t)
			x->product[OWN(t)] += other[OWN(t)];
	}
	FOR_LANES (t) {
		x->sum[OWN(t)] += x->product[OWN(t)];
		x->product[OWN(t)] = 0;
	}
}

DEVICE void xxh_load_block(uint64_t block[LANE_STRIPES][LANE_COPIES],
			   const uint8_t *p, bool is_at_8)
{
	FOR_LANES (t) {
		UNROLL
		for (unsigned k = 0; k < LANE_STRIPES; k++) {
			const uint8_t *from =
				p + XXH_STRIPE * (t / 8 + 4 * k) + t % 8 * 8;

			block[k][OWN(t)] = is_at_8 ? fetch64(from)
						   : fetch64_any(from);
		}
	}
}

/* Inlined for bytes at a multiple of 8 and for others. */
DEVICE void xxh_blocks(struct xxh_lanes *x, const uint8_t *p, uint32_t n,
		       bool is_at_8)
{
	uint64_t next[LANE_STRIPES][LANE_COPIES];
	uint32_t i;

	if (n)
		xxh_load_block(next, p, is_at_8);
	for (i = 0; i < n; i++) {
		FOR_LANES (t) {
			UNROLL
			for (unsigned k = 0; k < LANE_STRIPES; k++)
				xxh_add(x, t, next[k][OWN(t)],
					x->key[k][OWN(t)]);
		}
		if (i + 1 < n)
			xxh_load_block(next, p + (size_t)XXH_BLOCK * (i + 1),
				       is_at_8);
		xxh_collect(x);
		FOR_LANES (t) {
			uint64_t s = x->sum[OWN(t)];

			s ^= s >> 47 ^ x->scramble[OWN(t)];
			x->sum[OWN(t)] = s * PRIME32_1;
		}
	}
}

/* Whole stripes after the last block, and the last 64 bytes once more. */
DEVICE void xxh_rest(struct xxh_lanes *x, const uint8_t *p, uint32_t len)
{
	uint32_t n_stripes = (len - 1) % XXH_BLOCK / XXH_STRIPE;
	const uint8_t *rest = p + (len - 1) / XXH_BLOCK * XXH_BLOCK;
	const uint8_t *last = p + len - XXH_STRIPE;

	FOR_LANES (t) {
		unsigned off = t % 8 * 8, k;

		for (k = 0; k < LANE_STRIPES; k++) {
			unsigned stripe = t / 8 + 4 * k;

			if (stripe < n_stripes)
				xxh_add(x, t,
					fetch64_any(rest + XXH_STRIPE * stripe +
						    off),
					x->key[k][OWN(t)]);
		}
		if (t < 8)
			xxh_add(x, t, fetch64_any(last + off),
				secret_at(192 - XXH_STRIPE - 7 + off));
	}
	xxh_collect(x);
}

DEVICE uint64_t xxh_long(const uint8_t *p, uint32_t len)
{
	uint64_t sum = len * PRIME64_1;
	struct xxh_lanes x;
	unsigned i;

	FOR_LANES (t) {
		UNROLL
		for (unsigned k = 0; k < LANE_STRIPES; k++)
			x.key[k][OWN(t)] =
				secret_at(8 * (t / 8 + 4 * k) + t % 8 * 8);
		x.scramble[OWN(t)] = secret_at(128 + t % 8 * 8);
		x.sum[OWN(t)] = xxh_start[t % 8];
		x.product[OWN(t)] = 0;
		x.data[OWN(t)] = 0;
	}
	if (is_aligned(p, 8))
		xxh_blocks(&x, p, (len - 1) / XXH_BLOCK, true);
	else
		xxh_blocks(&x, p, (len - 1) / XXH_BLOCK, false);
	xxh_rest(&x, p, len);
	for (i = 0; i < 8; i += 2)
		sum += fold(warp_get64(x.sum, i) ^ secret_at(11 + 8 * i),
			    warp_get64(x.sum, i + 1) ^
				    secret_at(11 + 8 * i + 8));
	return avalanche(sum);
}

DEVICE uint64_t warp_xxh3_64(const uint8_t *p, uint32_t len)
{
	if (len <= 16)
		return xxh_to_16(p, len);
	if (len <= 128)
		return xxh_to_128(p, len);
	if (len <= XXH_SHORT_MAX)
		return xxh_to_240(p, len);
	return xxh_long(p, len);
}

#endif /* BS_WARP_XXH3_H */
