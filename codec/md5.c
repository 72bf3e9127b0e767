/* SPDX-License-Identifier: Apache-2.0 */
/*
 * md5.c - MD5, of one message or of four at a time
 *
 * RFC 1321.  Each of a block's 64 steps waits for the one before, so a CPU has
 * little to do; four messages in a vector take half again as long as one.
 */

#include "md5.h"

#include "bits.h"

#include <assert.h>
#include <string.h>

typedef uint32_t lanes
	__attribute__((vector_size(BS_MD5_LANES * sizeof(uint32_t))));

#define ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))

/* The four functions.  The second is a sum of what have no bit in common: the
 * half without b, which comes last, need not wait for it. */
#define F(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define G(b, c, d) ((~(d) & (c)) + ((d) & (b)))
#define H(b, c, d) ((b) ^ ((c) ^ (d)))
#define I(b, c, d) ((c) ^ ((b) | ~(d)))

#define STEP(f, a, b, c, d, k, n, add)         \
	do {                                   \
		(a) += w[k] + (uint32_t)(add); \
		(a) += f(b, c, d);             \
		(a) = ROTATE(a, n) + (b);      \
	} while (0)

#define FOUR_STEPS(f, k0, k1, k2, k3, n0, n1, n2, n3, t0, t1, t2, t3) \
	do {                                                          \
		STEP(f, a, b, c, d, k0, n0, t0);                      \
		STEP(f, d, a, b, c, k1, n1, t1);                      \
		STEP(f, c, d, a, b, k2, n2, t2);                      \
		STEP(f, b, c, d, a, k3, n3, t3);                      \
	} while (0)

/* The steps of a block: t[i] is the whole part of 2^32 * |sin(i + 1)|. */
#define BLOCK()                                                          \
	do {                                                             \
		FOUR_STEPS(F, 0, 1, 2, 3, 7, 12, 17, 22, 0xd76aa478,     \
			   0xe8c7b756, 0x242070db, 0xc1bdceee);          \
		FOUR_STEPS(F, 4, 5, 6, 7, 7, 12, 17, 22, 0xf57c0faf,     \
			   0x4787c62a, 0xa8304613, 0xfd469501);          \
		FOUR_STEPS(F, 8, 9, 10, 11, 7, 12, 17, 22, 0x698098d8,   \
			   0x8b44f7af, 0xffff5bb1, 0x895cd7be);          \
		FOUR_STEPS(F, 12, 13, 14, 15, 7, 12, 17, 22, 0x6b901122, \
			   0xfd987193, 0xa679438e, 0x49b40821);          \
		FOUR_STEPS(G, 1, 6, 11, 0, 5, 9, 14, 20, 0xf61e2562,     \
			   0xc040b340, 0x265e5a51, 0xe9b6c7aa);          \
		FOUR_STEPS(G, 5, 10, 15, 4, 5, 9, 14, 20, 0xd62f105d,    \
			   0x02441453, 0xd8a1e681, 0xe7d3fbc8);          \
		FOUR_STEPS(G, 9, 14, 3, 8, 5, 9, 14, 20, 0x21e1cde6,     \
			   0xc33707d6, 0xf4d50d87, 0x455a14ed);          \
		FOUR_STEPS(G, 13, 2, 7, 12, 5, 9, 14, 20, 0xa9e3e905,    \
			   0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a);          \
		FOUR_STEPS(H, 5, 8, 11, 14, 4, 11, 16, 23, 0xfffa3942,   \
			   0x8771f681, 0x6d9d6122, 0xfde5380c);          \
		FOUR_STEPS(H, 1, 4, 7, 10, 4, 11, 16, 23, 0xa4beea44,    \
			   0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70);          \
		FOUR_STEPS(H, 13, 0, 3, 6, 4, 11, 16, 23, 0x289b7ec6,    \
			   0xeaa127fa, 0xd4ef3085, 0x04881d05);          \
		FOUR_STEPS(H, 9, 12, 15, 2, 4, 11, 16, 23, 0xd9d4d039,   \
			   0xe6db99e5, 0x1fa27cf8, 0xc4ac5665);          \
		FOUR_STEPS(I, 0, 7, 14, 5, 6, 10, 15, 21, 0xf4292244,    \
			   0x432aff97, 0xab9423a7, 0xfc93a039);          \
		FOUR_STEPS(I, 12, 3, 10, 1, 6, 10, 15, 21, 0x655b59c3,   \
			   0x8f0ccc92, 0xffeff47d, 0x85845dd1);          \
		FOUR_STEPS(I, 8, 15, 6, 13, 6, 10, 15, 21, 0x6fa87e4f,   \
			   0xfe2ce6e0, 0xa3014314, 0x4e0811a1);          \
		FOUR_STEPS(I, 4, 11, 2, 9, 6, 10, 15, 21, 0xf7537e82,    \
			   0xbd3af235, 0x2ad7d2bb, 0xeb86d391);          \
	} while (0)

static void do_blocks(struct bs_md5 *m, const uint8_t *p, size_t n)
{
	uint32_t s0 = m->state[0], s1 = m->state[1];
	uint32_t s2 = m->state[2], s3 = m->state[3];

	for (; n; n--, p += BS_MD5_BLOCK) {
		uint32_t a = s0, b = s1, c = s2, d = s3, w[16];
		unsigned i;

		for (i = 0; i < 16; i++)
			w[i] = get_u32(p + 4 * i);
		BLOCK();
		s0 += a;
		s1 += b;
		s2 += c;
		s3 += d;
	}
	m->state[0] = s0;
	m->state[1] = s1;
	m->state[2] = s2;
	m->state[3] = s3;
}

static void do_blocks_4(struct bs_md5 *const *m, const uint8_t *const *p,
			size_t n)
{
	lanes s[4];
	unsigned i, k;
	size_t off;

	for (i = 0; i < 4; i++)
		for (k = 0; k < BS_MD5_LANES; k++)
			s[i][k] = m[k]->state[i];
	for (off = 0; n; n--, off += BS_MD5_BLOCK) {
		lanes a = s[0], b = s[1], c = s[2], d = s[3], w[16];

		for (i = 0; i < 16; i++)
			w[i] = (lanes){ get_u32(p[0] + off + 4 * i),
					get_u32(p[1] + off + 4 * i),
					get_u32(p[2] + off + 4 * i),
					get_u32(p[3] + off + 4 * i) };
		BLOCK();
		s[0] += a;
		s[1] += b;
		s[2] += c;
		s[3] += d;
	}
	for (i = 0; i < 4; i++)
		for (k = 0; k < BS_MD5_LANES; k++)
			m[k]->state[i] = s[i][k];
}

void bs_md5_init(struct bs_md5 *m)
{
	m->state[0] = 0x67452301;
	m->state[1] = 0xefcdab89;
	m->state[2] = 0x98badcfe;
	m->state[3] = 0x10325476;
	m->len = 0;
}

void bs_md5_update(struct bs_md5 *m, const void *data, size_t len)
{
	size_t have = m->len % BS_MD5_BLOCK, n;
	const uint8_t *p = data;

	m->len += len;
	if (have) {
		n = BS_MD5_BLOCK - have;
		n = n < len ? n : len;
		memcpy(m->rest + have, p, n);
		p += n;
		len -= n;
		if (have + n < BS_MD5_BLOCK)
			return;
		do_blocks(m, m->rest, 1);
	}
	do_blocks(m, p, len / BS_MD5_BLOCK);
	p += len / BS_MD5_BLOCK * BS_MD5_BLOCK;
	if (len % BS_MD5_BLOCK)
		memcpy(m->rest, p, len % BS_MD5_BLOCK);
}

void bs_md5_update_many(struct bs_md5 *const *m, const uint8_t *const *data,
			unsigned n, size_t len)
{
	struct bs_md5 *all[BS_MD5_LANES], spare[BS_MD5_LANES];
	const uint8_t *p[BS_MD5_LANES];
	unsigned i;

	assert(n <= BS_MD5_LANES && len % BS_MD5_BLOCK == 0);
	if (n == 1)
		bs_md5_update(m[0], data[0], len);
	if (n < 2)
		return;
	for (i = 0; i < BS_MD5_LANES; i++) {
		/* Lanes that nobody wants do the first one's work again. */
		spare[i] = *m[0];
		all[i] = i < n ? m[i] : &spare[i];
		p[i] = data[i < n ? i : 0];
		assert(all[i]->len % BS_MD5_BLOCK == 0);
		all[i]->len += len;
	}
	do_blocks_4(all, p, len / BS_MD5_BLOCK);
}

void bs_md5_final(struct bs_md5 *m, uint8_t *ret)
{
	static const uint8_t padding[BS_MD5_BLOCK] = { 0x80 };
	uint64_t bits = 8 * m->len;
	size_t have = m->len % BS_MD5_BLOCK;
	uint8_t end[8];
	unsigned i;

	put_u64(end, bits);
	bs_md5_update(m, padding, (have < 56 ? 56 : 120) - have);
	bs_md5_update(m, end, sizeof(end));
	for (i = 0; i < 4; i++)
		put_u32(ret + 4 * i, m->state[i]);
}
