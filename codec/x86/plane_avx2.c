/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plane_avx2.c - merging planes, a group of 64 elements at a time
 *
 * As plane_avx512.c, in twice as many vectors; four of a group at a time, which
 * is what the registers hold.  Elements past the last whole group are left to
 * the scalar code.
 */

#ifdef __x86_64__

#include "../bits.h"
#include "../plane.h"
#include "avx2.h"

#define GROUP 64

/* A term in the form that the loops want. */
struct move {
	const struct bs_term *t;
	__m256i add;
	__m256i mask; /* where its bits stand in an element */
	__m128i left; /* one of these two is 0 */
	__m128i right;
	bool is_sum; /* something is added */
	bool same; /* as the term before, the entries are */
};

/* Operations on lanes of 'unit' bytes, where a byte is what its neighbours'
 * bits are masked off from.  'unit' is a constant wherever these are used. */

INLINE __m256i widen(const uint8_t *entry, unsigned unit)
{
	const void *p = entry;

	switch (unit) {
	case 1:
		return _mm256_loadu_si256(p);
	case 2:
		return _mm256_cvtepu8_epi16(_mm_loadu_si128(p));
	case 4:
		return _mm256_cvtepu8_epi32(_mm_loadl_epi64(p));
	default:
		return _mm256_cvtepu8_epi64(_mm_cvtsi32_si128((int)get_u32(p)));
	}
}

INLINE __m256i widen_q(const uint16_t *q, __m128i drop, __m128i shift,
		       unsigned unit)
{
	const __m256i low = _mm256_set1_epi16(255);
	const void *p = q;
	__m256i v, w;

	switch (unit) {
	case 1:
		v = _mm256_loadu_si256(p);
		w = _mm256_loadu_si256((const __m256i *)p + 1);
		v = _mm256_sll_epi16(_mm256_srl_epi16(v, drop), shift);
		w = _mm256_sll_epi16(_mm256_srl_epi16(w, drop), shift);
		v = _mm256_packus_epi16(_mm256_and_si256(v, low),
					_mm256_and_si256(w, low));
		return _mm256_permute4x64_epi64(v, 0xd8);
	case 2:
		v = _mm256_loadu_si256(p);
		return _mm256_sll_epi16(_mm256_srl_epi16(v, drop), shift);
	case 4:
		v = _mm256_cvtepu16_epi32(_mm_loadu_si128(p));
		return _mm256_sll_epi32(_mm256_srl_epi32(v, drop), shift);
	default:
		v = _mm256_cvtepu16_epi64(_mm_loadl_epi64(p));
		return _mm256_sll_epi64(_mm256_srl_epi64(v, drop), shift);
	}
}

INLINE __m256i add(__m256i a, __m256i b, unsigned unit)
{
	switch (unit) {
	case 1:
		return _mm256_add_epi8(a, b);
	case 2:
		return _mm256_add_epi16(a, b);
	case 4:
		return _mm256_add_epi32(a, b);
	default:
		return _mm256_add_epi64(a, b);
	}
}

INLINE __m256i move_bits(__m256i v, const struct move *m, unsigned unit,
			 bool right)
{
	switch (unit) {
	case 1:
	case 2:
		v = _mm256_sll_epi16(v, m->left);
		return right ? _mm256_srl_epi16(v, m->right) : v;
	case 4:
		v = _mm256_sll_epi32(v, m->left);
		return right ? _mm256_srl_epi32(v, m->right) : v;
	default:
		v = _mm256_sll_epi64(v, m->left);
		return right ? _mm256_srl_epi64(v, m->right) : v;
	}
}

/* 64 entries of a piece OR-ed into bytes, 'up' bits up. */
INLINE void unpack_piece(__m256i *lo, __m256i *hi, const uint8_t *src,
			 unsigned bits, unsigned up)
{
	const void *p = src;
	__m256i a, b, mask;

	if (bits == 4) {
		a = _mm256_loadu_si256(p);
		b = _mm256_srli_epi16(a, 4);
		mask = _mm256_set1_epi8(15);
	} else if (bits == 2) {
		b = _mm256_broadcastsi128_si256(_mm_loadu_si128(p));
		a = _mm256_srlv_epi64(b, _mm256_setr_epi64x(0, 0, 2, 2));
		b = _mm256_srlv_epi64(b, _mm256_setr_epi64x(4, 4, 6, 6));
		mask = _mm256_set1_epi8(3);
	} else {
		/* Each byte eight times, of which each keeps its own bit. */
		const __m256i own = _mm256_set1_epi64x(
			(long long)UINT64_C(0x8040201008040201));
		const __m256i bytes = _mm256_setr_epi64x(0, 0x0101010101010101,
							 0x0202020202020202,
							 0x0303030303030303);

		a = _mm256_set1_epi64x((long long)get_u64(src));
		b = _mm256_shuffle_epi8(
			a, _mm256_add_epi8(bytes, _mm256_set1_epi8(4)));
		a = _mm256_shuffle_epi8(a, bytes);
		a = _mm256_cmpeq_epi8(_mm256_and_si256(a, own), own);
		b = _mm256_cmpeq_epi8(_mm256_and_si256(b, own), own);
		mask = _mm256_set1_epi8(1);
	}
	a = _mm256_slli_epi16(_mm256_and_si256(a, mask), (int)up);
	b = _mm256_slli_epi16(_mm256_and_si256(b, mask), (int)up);
	*lo = _mm256_or_si256(*lo, a);
	*hi = _mm256_or_si256(*hi, b);
}

/* 64 values of fewer than 8 bits from their pieces. */
INLINE void unpack(uint8_t *dst, const struct bs_term *t, size_t at)
{
	__m256i lo = _mm256_setzero_si256(), hi = lo;
	unsigned bits = t->entry_bits, k = 0;

	if (bits & 4)
		unpack_piece(&lo, &hi, t->src[k++] + at / 2, 4, 0);
	if (bits & 2)
		unpack_piece(&lo, &hi, t->src[k++] + at / 4, 2, bits & 4);
	if (bits & 1)
		unpack_piece(&lo, &hi, t->src[k] + at / 8, 1, bits & 6);
	_mm256_store_si256((void *)dst, lo);
	_mm256_store_si256((void *)(dst + 32), hi);
}

/* Vectors [k, k + n_vectors) of a group. */
INLINE void merge_vectors(uint8_t *dst, unsigned unit, size_t at, unsigned k,
			  unsigned n_vectors, const uint64_t *base,
			  const struct move *moves, unsigned n_moves,
			  bool right, const uint8_t *const *entry)
{
	unsigned per = 32 / unit, i, v;
	__m256i acc[4];

	for (v = 0; v < n_vectors; v++)
		acc[v] = base ? broadcast(*base, unit)
			      : _mm256_loadu_si256(
					(const void *)(dst + 32 * (k + v)));
	for (i = 0; i < n_moves; i++) {
		const struct move *m = &moves[i];
		const uint16_t *q = m->t->q ? m->t->q + at + k * per : NULL;
		const uint8_t *from = entry[i] + k * per;
		__m128i drop = _mm_cvtsi32_si128(m->t->q_drop);
		__m128i shift = _mm_cvtsi32_si128(m->t->q_shift);

		for (v = 0; v < n_vectors; v++) {
			__m256i e = widen(from + v * per, unit);

			if (m->is_sum)
				e = add(e, m->add, unit);
			if (q)
				e = add(e,
					widen_q(q + v * per, drop, shift, unit),
					unit);
			e = move_bits(e, m, unit, right);
			e = _mm256_and_si256(e, m->mask);
			acc[v] = _mm256_or_si256(acc[v], e);
		}
	}
	for (v = 0; v < n_vectors; v++)
		_mm256_storeu_si256((void *)(dst + 32 * (k + v)), acc[v]);
}

INLINE void merge_group(uint8_t *dst, unsigned unit, size_t at,
			const uint64_t *base, const struct move *moves,
			unsigned n_moves, bool right)
{
	uint8_t scratch[TERMS_MAX][GROUP] __attribute__((aligned(32)));
	unsigned n_vectors = unit == 1 ? 2 : 4, i, k;
	const uint8_t *entry[TERMS_MAX], *here = NULL;

	for (i = 0; i < n_moves; i++) {
		const struct bs_term *t = moves[i].t;

		if (!moves[i].same && t->entry_bits < 8) {
			unpack(scratch[i], t, at);
			here = scratch[i];
		} else if (!moves[i].same) {
			here = t->src[0] + at;
		}
		entry[i] = here;
	}
	for (k = 0; k < 2 * unit; k += n_vectors)
		merge_vectors(dst, unit, at, k, n_vectors, base, moves, n_moves,
			      right, entry);
}

static bool is_same_source(const struct bs_term *t, const struct bs_term *u)
{
	return t->entry_bits == u->entry_bits &&
	       !memcmp(t->src, u->src, sizeof(t->src));
}

INLINE size_t merge(uint8_t *dst, unsigned unit, size_t n, const uint64_t *base,
		    const struct bs_term *terms, unsigned n_terms)
{
	struct move moves[TERMS_MAX];
	bool right = false;
	unsigned i;
	size_t at;

	for (i = 0; i < n_terms; i++) {
		const struct bs_term *t = &terms[i];
		struct move *m = &moves[i];
		int left = t->lo - t->shift;

		m->t = t;
		m->add = broadcast(t->add, unit);
		m->mask = broadcast(((UINT64_C(1) << t->bits) - 1) << t->lo,
				    unit);
		m->left = _mm_cvtsi32_si128(left > 0 ? left : 0);
		m->right = _mm_cvtsi32_si128(left < 0 ? -left : 0);
		m->is_sum = t->add || t->q;
		m->same = i && is_same_source(t, &terms[i - 1]);
		right |= left < 0;
	}
	/* Floats of two bytes are usual, and take a loop of their own. */
	if (unit == 2 && n_terms == 3 && !right) {
		for (at = 0; n - at >= GROUP; at += GROUP)
			merge_group(dst + at * unit, unit, at, base, moves, 3,
				    false);
		return at;
	}
	for (at = 0; n - at >= GROUP; at += GROUP)
		merge_group(dst + at * unit, unit, at, base, moves, n_terms,
			    true);
	return at;
}

static AVX2 size_t merge_groups(void *dst, unsigned unit, size_t n,
				const uint64_t *base,
				const struct bs_term *terms, unsigned n_terms)
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

void bs_plane_merge_avx2(void *dst, unsigned unit, size_t n,
			 const uint64_t *base, const struct bs_term *terms,
			 unsigned n_terms)
{
	size_t at = merge_groups(dst, unit, n, base, terms, n_terms);

	bs_plane_merge_rest(dst, unit, at, n, base, terms, n_terms);
}

#endif /* __x86_64__ */
