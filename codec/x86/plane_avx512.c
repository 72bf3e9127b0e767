/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plane_avx512.c - merging planes by the groups of merge_avx512.h
 */

#ifdef __x86_64__

#include "merge_avx512.h"

/*
 * Shapes that are usual have loops of their own, in which constants stay in
 * registers: a sixth faster.  A float's exponent and sign are two or three
 * terms, the other bytes of four one each.
 */
enum usual { UNUSUAL, TWO_OF_2, THREE_OF_2, FIVE_OF_4 };

INLINE enum usual usual_shape(const struct job *job)
{
	if (job->sh.right)
		return UNUSUAL;
	if (job->sh.unit == 2 && job->n_moves == 2)
		return TWO_OF_2;
	if (job->sh.unit == 2 && job->n_moves == 3)
		return THREE_OF_2;
	if (job->sh.halves && job->n_moves == 5 && job->n_low == 2)
		return FIVE_OF_4;
	return UNUSUAL;
}

/* One group of such a shape, a constant. */
INLINE void merge_usual(uint8_t *dst, enum usual u, size_t at, size_t n,
			const struct job *job)
{
	const struct shape sh2 = { 2, false, false }, sh4 = { 4, true, false };

	if (u == TWO_OF_2)
		merge_group(dst + 2 * at, sh2, at, n, job->base, job->moves, 2,
			    2);
	else if (u == THREE_OF_2)
		merge_group(dst + 2 * at, sh2, at, n, job->base, job->moves, 3,
			    3);
	else
		merge_group(dst + 4 * at, sh4, at, n, job->base, job->moves, 2,
			    5);
}

INLINE void merge_all_usual(uint8_t *dst, enum usual u, size_t n,
			    const struct job *job)
{
	size_t at;

	for (at = 0; n - at >= GROUP; at += GROUP)
		merge_usual(dst, u, at, GROUP, job);
	if (at < n)
		merge_usual(dst, u, at, n - at, job);
}

INLINE void merge(uint8_t *dst, unsigned unit, size_t n, const uint64_t *base,
		  const struct bs_term *terms, unsigned n_terms)
{
	struct job job;
	enum usual u;

	job_init(&job, unit, base, terms, n_terms);
	u = usual_shape(&job);
	if (unit == 2 && u == TWO_OF_2)
		merge_all_usual(dst, TWO_OF_2, n, &job);
	else if (unit == 2 && u == THREE_OF_2)
		merge_all_usual(dst, THREE_OF_2, n, &job);
	else if (unit == 4 && u == FIVE_OF_4)
		merge_all_usual(dst, FIVE_OF_4, n, &job);
	else if (job.sh.halves)
		merge_groups(dst, (struct shape){ 4, true, true }, n, base,
			     job.moves, job.n_low, n_terms);
	else
		merge_groups(dst, (struct shape){ unit, false, true }, n, base,
			     job.moves, n_terms, n_terms);
}

AVX512 void bs_plane_merge_avx512(void *dst, unsigned unit, size_t n,
				  const uint64_t *base,
				  const struct bs_term *terms, unsigned n_terms)
{
	switch (unit) {
	case 1:
		merge(dst, 1, n, base, terms, n_terms);
		break;
	case 2:
		merge(dst, 2, n, base, terms, n_terms);
		break;
	case 4:
		merge(dst, 4, n, base, terms, n_terms);
		break;
	default:
		merge(dst, 8, n, base, terms, n_terms);
		break;
	}
}

#endif /* __x86_64__ */
