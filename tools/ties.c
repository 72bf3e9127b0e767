/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ties.c - bytes that the files hold more than once
 *
 * Tensors, and whatever else is long enough to be worth it.  Candidates agree
 * in dtype and length; then in a digest of their two ends;
 * then of all their bytes; and what is left is compared byte for byte with the
 * first of its kind.  So a tensor is read at most three times, however many
 * resemble it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "files.h"
#include "layout.h"

#define BUF_LEN ((size_t)1 << 20)
#define END_LEN ((size_t)64 << 10)

/* An extent and the blob it spares cost as much. */
#define WORTH_IT 4096

struct candidate {
	uint64_t len;
	uint64_t dtype;
	uint8_t digest[16];
	size_t region;
};

/* A source that is open. */
struct opened {
	size_t source; /* SIZE_MAX: none */
	int fd;
};

struct finder {
	struct bst_layout *lay;
	struct opened opened[2];
	struct bs_hash *hash;
	uint8_t *buf[2]; /* of BUF_LEN, owned */
	struct candidate *cand; /* [n], owned */
	size_t n;
};

static int same_kind(const struct candidate *a, const struct candidate *b)
{
	return a->len == b->len && a->dtype == b->dtype &&
	       !memcmp(a->digest, b->digest, sizeof(a->digest));
}

static int compare_candidates(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;
	int cmp;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	if (a->dtype != b->dtype)
		return a->dtype < b->dtype ? -1 : 1;
	cmp = memcmp(a->digest, b->digest, sizeof(a->digest));
	if (cmp)
		return cmp;
	return a->region < b->region ? -1 : a->region > b->region;
}

static void close_opened(struct finder *f, struct opened *o)
{
	if (o->source != SIZE_MAX)
		bst_source_close(&f->lay->source[o->source], o->fd);
	o->source = SIZE_MAX;
}

/* Read 'n' bytes at 'off' of a region into f->buf[which]. */
static int read_region(struct finder *f, int which,
		       const struct bst_region *reg, uint64_t off, size_t n)
{
	struct opened *o = &f->opened[which];

	if (bst_is_interrupted())
		return -EINTR;
	if (o->source != reg->source) {
		int fd = bst_source_open(&f->lay->source[reg->source]);

		if (fd < 0)
			return fd;
		close_opened(f, o);
		o->source = reg->source;
		o->fd = fd;
	}
	return bst_pread_all(o->fd, f->buf[which], n, reg->off + off);
}

/* Feed 'len' bytes at 'off' of the region to the hash. */
static int feed(struct finder *f, const struct bst_region *reg, uint64_t off,
		uint64_t len)
{
	while (len) {
		size_t n = len < BUF_LEN ? (size_t)len : BUF_LEN;
		int err = read_region(f, 0, reg, off, n);

		if (err)
			return err;
		bs_hash_update(f->hash, f->buf[0], n);
		off += n;
		len -= n;
	}
	return 0;
}

static int digest_ends(struct finder *f, struct candidate *c)
{
	const struct bst_region *reg = &f->lay->region[c->region];
	int err;

	if (reg->len <= 2 * END_LEN)
		return feed(f, reg, 0, reg->len);
	err = feed(f, reg, 0, END_LEN);
	if (!err)
		err = feed(f, reg, reg->len - END_LEN, END_LEN);
	return err;
}

static int digest_all(struct finder *f, struct candidate *c)
{
	const struct bst_region *reg = &f->lay->region[c->region];

	return feed(f, reg, 0, reg->len);
}

/* Sort; drop whatever has no equal; give the others a finer digest. */
static int refine(struct finder *f,
		  int (*digest)(struct finder *, struct candidate *))
{
	size_t i, end, kept = 0;
	int err;

	qsort(f->cand, f->n, sizeof(*f->cand), compare_candidates);
	for (i = 0; i < f->n; i = end) {
		for (end = i + 1; end < f->n; end++)
			if (!same_kind(&f->cand[i], &f->cand[end]))
				break;
		if (end - i > 1) {
			memmove(&f->cand[kept], &f->cand[i],
				(end - i) * sizeof(*f->cand));
			kept += end - i;
		}
	}
	f->n = kept;
	for (i = 0; i < f->n; i++) {
		err = digest(f, &f->cand[i]);
		bs_hash_final(f->hash, f->cand[i].digest);
		if (err)
			return err;
	}
	return 0;
}

/* 1: the two regions hold the same bytes; 0: not; or -errno. */
static int regions_equal(struct finder *f, const struct bst_region *a,
			 const struct bst_region *b)
{
	uint64_t pos;
	int err;

	for (pos = 0; pos < a->len; pos += BUF_LEN) {
		size_t n = a->len - pos < BUF_LEN ? (size_t)(a->len - pos)
						  : BUF_LEN;

		err = read_region(f, 0, a, pos, n);
		if (!err)
			err = read_region(f, 1, b, pos, n);
		if (err)
			return err;
		if (memcmp(f->buf[0], f->buf[1], n))
			return 0;
	}
	return 1;
}

static int tie_equals(struct finder *f)
{
	struct bst_region *reg = f->lay->region;
	size_t i, first = 0;
	int eq;

	qsort(f->cand, f->n, sizeof(*f->cand), compare_candidates);
	for (i = 1; i < f->n; i++) {
		struct bst_region *r = &reg[f->cand[i].region];

		if (!same_kind(&f->cand[first], &f->cand[i])) {
			first = i;
			continue;
		}
		eq = regions_equal(f, &reg[f->cand[first].region], r);
		if (eq < 0)
			return eq;
		if (eq) {
			r->same_as = f->cand[first].region;
			f->lay->n_tied += r->is_tensor;
			f->lay->tied_len += r->len;
		}
	}
	return 0;
}

static int is_candidate(const struct bst_region *reg)
{
	return reg->is_tensor || (reg->len >= WORTH_IT && !reg->is_small_file);
}

int bst_layout_find_ties(struct bst_layout *lay)
{
	struct finder f = { .lay = lay,
			    .opened = { { SIZE_MAX, -1 }, { SIZE_MAX, -1 } } };
	int err = -ENOMEM;
	size_t i;

	f.cand = calloc(lay->n_regions + 1, sizeof(*f.cand));
	f.buf[0] = malloc(BUF_LEN);
	f.buf[1] = malloc(BUF_LEN);
	if (f.cand && f.buf[0] && f.buf[1] &&
	    bs_hash_new(&f.hash, BS_DIGEST_XXH3_128) == BS_OK) {
		for (i = 0; i < lay->n_regions; i++) {
			if (!is_candidate(&lay->region[i]))
				continue;
			f.cand[f.n].len = lay->region[i].len;
			f.cand[f.n].dtype = lay->region[i].dtype;
			f.cand[f.n++].region = i;
		}
		err = refine(&f, digest_ends);
		if (!err)
			err = refine(&f, digest_all);
		if (!err)
			err = tie_equals(&f);
	}
	close_opened(&f, &f.opened[1]);
	close_opened(&f, &f.opened[0]);
	bs_hash_free(f.hash);
	free(f.buf[1]);
	free(f.buf[0]);
	free(f.cand);
	return err;
}
