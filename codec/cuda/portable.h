/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portable.h - a warp, on a GPU or one lane after another on the host
 *
 * The decoder of this folder is one source: nvcc makes kernels of it, a C
 * compiler makes what tests/unit/test_cuda.c runs.  Code outside FOR_LANES() is
 * the same for all 32 lanes (each lane of a GPU does it; the host does it once)
 * and so are its branches.  FOR_LANES(t) runs its body for each lane t; what
 * differs from lane to lane is an array of LANE_COPIES, of which lane t has
 * number OWN(t):
 *
 *	uint32_t x[LANE_COPIES];
 *
 *	FOR_LANES (t)
 *		x[OWN(t)] = 2 * t;
 *
 * On a GPU that is one variable, a register.  Lanes run in no order within a
 * body: none may read from memory what another one writes there, and between a
 * body that writes shared memory and one that reads it stands warp_sync().  The
 * host runs them in the order that bs_lane_flip says, so that a test which gets
 * the same from several orders knows that none mattered.  A body is not left by
 * break or return.
 *
 * DEVICE functions become part of their callers, so that arrays of a lane are
 * registers.  What a chunk needs once is DEVICE_CALL, which is called.
 */

#ifndef BS_PORTABLE_H
#define BS_PORTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WARP 32

#ifdef __CUDACC__

#define DEVICE static __device__ __forceinline__
#define DEVICE_CALL static __device__ __noinline__
#define DEVICE_DATA static __device__ const
#define UNROLL _Pragma("unroll")
#define LANE_COPIES 1
#define OWN(t) 0

#define FOR_LANES(t)                                                         \
	for (unsigned t = threadIdx.x % WARP, t##_once = t < WARP; t##_once; \
	     t##_once = 0)

DEVICE void warp_sync(void)
{
	__syncwarp();
}

/* Bit t is what lane t has. */
DEVICE uint32_t warp_ballot(const bool p[LANE_COPIES])
{
	return __ballot_sync(0xffffffffu, p[0]);
}

/* Lane t gets what lane t ^ flip has. */
DEVICE void warp_swap64(uint64_t v[LANE_COPIES], unsigned flip)
{
	v[0] = __shfl_xor_sync(0xffffffffu, v[0], flip);
}

/* What lane 'from' has, for all. */
DEVICE uint64_t warp_get64(const uint64_t v[LANE_COPIES], unsigned from)
{
	return __shfl_sync(0xffffffffu, v[0], from);
}

DEVICE unsigned count_ones(uint32_t v)
{
	return (unsigned)__popc(v);
}

/* The number of the lowest bit that is set; v > 0. */
DEVICE unsigned lowest_bit(uint32_t v)
{
	return (unsigned)__ffs(v) - 1;
}

DEVICE uint64_t high64(uint64_t a, uint64_t b)
{
	return __umul64hi(a, b);
}

/* Loads from global memory that nobody writes meanwhile. */
DEVICE uint32_t fetch8(const uint8_t *p)
{
	return __ldg(p);
}

DEVICE uint32_t fetch16(const uint8_t *p)
{
	return __ldg((const uint16_t *)p);
}

DEVICE uint32_t fetch32(const uint8_t *p)
{
	return __ldg((const uint32_t *)p);
}

DEVICE uint64_t fetch64(const uint8_t *p)
{
	return __ldg((const unsigned long long *)p);
}

/* A block's shared memory, and a place in it: known to be there, it is a
 * register shorter and several instructions nearer than a pointer. */
extern __shared__ __align__(16) uint8_t bs_shared[];

typedef uint32_t near_ptr;

DEVICE near_ptr near_of(const void *p)
{
	return (uint32_t)((const uint8_t *)p - bs_shared);
}

DEVICE uint32_t near8(near_ptr p, uint32_t off)
{
	return bs_shared[p + off];
}

DEVICE uint32_t near16(near_ptr p, uint32_t off)
{
	return *(const uint16_t *)(bs_shared + p + off);
}

DEVICE uint32_t near32(near_ptr p, uint32_t off)
{
	return *(const uint32_t *)(bs_shared + p + off);
}

DEVICE void near_store32(near_ptr p, uint32_t off, uint32_t v)
{
	*(uint32_t *)(bs_shared + p + off) = v;
}

/* Loads and stores that see each other; at multiples of their size. */
DEVICE uint32_t read16(const uint8_t *p)
{
	return *(const uint16_t *)p;
}

DEVICE uint32_t read32(const uint8_t *p)
{
	return *(const uint32_t *)p;
}

DEVICE uint64_t read64(const uint8_t *p)
{
	return *(const uint64_t *)p;
}

DEVICE void write16(uint8_t *p, uint32_t v)
{
	*(uint16_t *)p = (uint16_t)v;
}

DEVICE void write32(uint8_t *p, uint32_t v)
{
	*(uint32_t *)p = v;
}

DEVICE void write64(uint8_t *p, uint64_t v)
{
	*(uint64_t *)p = v;
}

#else

#include <assert.h>
#include <string.h>

#define DEVICE static inline
#define DEVICE_CALL static inline
#define DEVICE_DATA static const
#define UNROLL
#define LANE_COPIES WARP
#define OWN(t) (t)

/* Lanes run in the order of their numbers XOR this: 0 to 31. */
static unsigned bs_lane_flip;

#define FOR_LANES(t)                                               \
	for (unsigned t##_no = 0, t = bs_lane_flip; t##_no < WARP; \
	     t = ++t##_no ^ bs_lane_flip)

static inline void warp_sync(void)
{
}

static inline uint32_t warp_ballot(const bool p[LANE_COPIES])
{
	uint32_t v = 0;
	unsigned t;

	for (t = 0; t < WARP; t++)
		v |= (uint32_t)p[t] << t;
	return v;
}

static inline void warp_swap64(uint64_t v[LANE_COPIES], unsigned flip)
{
	uint64_t was[WARP];
	unsigned t;

	memcpy(was, v, sizeof(was));
	for (t = 0; t < WARP; t++)
		v[t] = was[t ^ flip];
}

static inline uint64_t warp_get64(const uint64_t v[LANE_COPIES], unsigned from)
{
	return v[from];
}

static inline unsigned count_ones(uint32_t v)
{
	return (unsigned)__builtin_popcount(v);
}

static inline unsigned lowest_bit(uint32_t v)
{
	return (unsigned)__builtin_ctz(v);
}

static inline uint64_t high64(uint64_t a, uint64_t b)
{
	return (uint64_t)((unsigned __int128)a * b >> 64);
}

static inline uint32_t fetch8(const uint8_t *p)
{
	return *p;
}

/* What a GPU would fault on fails here too. */
static inline void copy_aligned(void *dst, const void *src, size_t len,
				const void *memory)
{
	assert((uintptr_t)memory % len == 0);
	memcpy(dst, src, len);
}

static inline uint32_t read16(const uint8_t *p)
{
	uint16_t v;

	copy_aligned(&v, p, sizeof(v), p);
	return v;
}

static inline uint32_t read32(const uint8_t *p)
{
	uint32_t v;

	copy_aligned(&v, p, sizeof(v), p);
	return v;
}

static inline uint64_t read64(const uint8_t *p)
{
	uint64_t v;

	copy_aligned(&v, p, sizeof(v), p);
	return v;
}

typedef uint8_t *near_ptr;

static inline near_ptr near_of(const void *p)
{
	return (near_ptr)(uintptr_t)p;
}

static inline uint32_t near8(near_ptr p, uint32_t off)
{
	return p[off];
}

static inline uint32_t near16(near_ptr p, uint32_t off)
{
	return read16(p + off);
}

static inline uint32_t near32(near_ptr p, uint32_t off)
{
	return read32(p + off);
}

static inline void near_store32(near_ptr p, uint32_t off, uint32_t v)
{
	copy_aligned(p + off, &v, sizeof(v), p + off);
}

#define fetch16 read16
#define fetch32 read32
#define fetch64 read64

static inline void write16(uint8_t *p, uint32_t v)
{
	uint16_t w = (uint16_t)v;

	copy_aligned(p, &w, sizeof(w), p);
}

static inline void write32(uint8_t *p, uint32_t v)
{
	copy_aligned(p, &v, sizeof(v), p);
}

static inline void write64(uint8_t *p, uint64_t v)
{
	copy_aligned(p, &v, sizeof(v), p);
}

#endif

/* What the first lane does for all. */
#define ONE_LANE(t)   \
	FOR_LANES (t) \
		if (t == 0)

DEVICE bool is_aligned(const void *p, unsigned size)
{
	return ((uintptr_t)p & (size - 1)) == 0;
}

/* Little-endian numbers at any address, all bytes of them readable. */
DEVICE uint32_t fetch16_any(const uint8_t *p)
{
	if (is_aligned(p, 2))
		return fetch16(p);
	return fetch8(p) | fetch8(p + 1) << 8;
}

DEVICE uint32_t fetch32_any(const uint8_t *p)
{
	if (is_aligned(p, 4))
		return fetch32(p);
	return fetch16_any(p) | fetch16_any(p + 2) << 16;
}

DEVICE uint64_t fetch64_any(const uint8_t *p)
{
	if (is_aligned(p, 8))
		return fetch64(p);
	return fetch32_any(p) | (uint64_t)fetch32_any(p + 4) << 32;
}

#endif /* BS_PORTABLE_H */
