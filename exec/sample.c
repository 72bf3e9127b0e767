/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sample.c - choosing the next token
 *
 * Of equal logits the lower token comes first.  Temperature, then top-k, then
 * top-p, as transformers has them.
 */

#include <math.h>
#include <stdlib.h>

#include "exec.h"

struct candidate {
	float logit;
	uint32_t id;
};

struct bsx_sampler {
	struct bsx_sampling how;
	uint32_t n_vocab;
	uint64_t state;
	struct candidate *all; /* [n_vocab], owned */
};

struct bsx_sampler *bsx_sampler_new(const struct bsx_sampling *how,
				    uint32_t n_vocab)
{
	struct bsx_sampler *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->how = *how;
	s->n_vocab = n_vocab;
	s->state = how->seed;
	s->all = malloc(n_vocab * sizeof(*s->all));
	if (!s->all) {
		bsx_sampler_free(s);
		return NULL;
	}
	return s;
}

void bsx_sampler_free(struct bsx_sampler *s)
{
	if (!s)
		return;
	free(s->all);
	free(s);
}

/* splitmix64, as a number in [0, 1). */
static double draw(struct bsx_sampler *s)
{
	uint64_t z = s->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return (double)(z >> 11) * 0x1p-53;
}

static uint32_t likeliest(const float *logits, uint32_t n)
{
	uint32_t best = 0, i;

	for (i = 1; i < n; i++) {
		if (logits[i] > logits[best])
			best = i;
	}
	return best;
}

/* Largest first. */
static int compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->logit != y->logit)
		return x->logit < y->logit ? 1 : -1;
	return x->id < y->id ? -1 : x->id > y->id;
}

uint32_t bsx_sample(struct bsx_sampler *s, const float *logits)
{
	uint32_t n = s->n_vocab, i;
	double sum = 0, at;

	if (!(s->how.temperature > 0))
		return likeliest(logits, n);
	for (i = 0; i < n; i++) {
		/* What is no number is never chosen, and has an order. */
		float logit = isnan(logits[i]) ? -INFINITY : logits[i];

		s->all[i] = (struct candidate){ logit, i };
	}
	qsort(s->all, n, sizeof(*s->all), compare);
	if (s->how.top_k && s->how.top_k < n)
		n = s->how.top_k;
	/* Weights take the logits' place. */
	for (i = n; i-- > 0;) {
		double d = (double)s->all[i].logit - (double)s->all[0].logit;

		s->all[i].logit = (float)exp(d / (double)s->how.temperature);
		sum += (double)s->all[i].logit;
	}
	if (s->how.top_p < 1) {
		double enough = sum * (double)s->how.top_p;

		for (i = 0, sum = 0; i < n && sum < enough; i++)
			sum += (double)s->all[i].logit;
		n = i ? i : 1;
	}
	at = draw(s) * sum;
	for (i = 0; i + 1 < n; i++) {
		at -= (double)s->all[i].logit;
		if (at < 0)
			break;
	}
	return s->all[i].id;
}
