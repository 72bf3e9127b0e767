/* SPDX-License-Identifier: Apache-2.0 */
/*
 * census.c - what a container's chunks add up to
 */

#include <stdlib.h>
#include <string.h>

#include "census.h"

static void add_chunk(struct bst_census *cen, const struct bs_archive *ar,
		      const struct bs_chunk *chunk)
{
	struct bst_blob_sum *sum = &cen->blobs[chunk->blob];
	struct bs_blob blob;

	bs_archive_blob(ar, chunk->blob, &blob);
	sum->raw += chunk->raw_len;
	sum->stored += chunk->stored_len;
	cen->by_dtype[blob.dtype].raw += chunk->raw_len;
	cen->by_dtype[blob.dtype].stored += chunk->stored_len;
	if (chunk->coding >= BST_N_CODINGS)
		return;
	sum->by_coding[chunk->coding] += chunk->raw_len;
	cen->by_coding[chunk->coding].raw += chunk->raw_len;
	cen->by_coding[chunk->coding].stored += chunk->stored_len;
}

static void add_to_codec(struct bst_census *cen, const char *name, uint64_t raw,
			 uint64_t stored)
{
	struct bst_codec *c = cen->codecs;

	while (c < cen->codecs + cen->n_codecs && strcmp(c->name, name) != 0)
		c++;
	if (c == cen->codecs + BST_CODECS_MAX)
		return;
	if (c == cen->codecs + cen->n_codecs) {
		c->name = name;
		cen->n_codecs++;
	}
	c->amount.raw += raw;
	c->amount.stored += stored;
}

/* Of an upstream's file: its header knows all. */
static void count_tensors(struct bst_census *cen, const struct bs_archive *ar)
{
	uint64_t n = bs_archive_n_blobs(ar), i;

	for (i = 0; i < n; i++) {
		struct bs_upstream up;
		struct bs_blob blob;

		if (!bs_archive_upstream(ar, i, &up))
			continue;
		bs_archive_blob(ar, i, &blob);
		cen->blobs[i].raw = blob.len;
		cen->blobs[i].stored = up.stored_len;
		cen->blobs[i].codec = up.codec;
		cen->by_dtype[blob.dtype].raw += blob.len;
		cen->by_dtype[blob.dtype].stored += up.stored_len;
		add_to_codec(cen, up.codec, blob.len, up.stored_len);
	}
}

static enum bs_result count_chunks(struct bst_census *cen,
				   const struct bs_archive *ar,
				   struct bs_error *err)
{
	uint64_t n = bs_archive_n_chunks(ar), page_no, i = 0;
	struct bs_page *page;
	struct bs_chunk chunk;
	enum bs_result res;

	for (page_no = 0; page_no < bs_archive_n_pages(ar); page_no++) {
		res = bs_page_load(ar, page_no, &page, err);
		if (res != BS_OK)
			return res;
		for (; i < n && bs_archive_page_of(ar, i) == page_no; i++) {
			bs_page_chunk(ar, page, i, &chunk);
			add_chunk(cen, ar, &chunk);
		}
		bs_page_free(page);
	}
	return BS_OK;
}

/* The writer repeats whole blobs only: an extent is tied if an earlier one
 * shows the beginning of the same blob. */
static int count_tied(struct bst_census *cen, const struct bst_container *box)
{
	uint64_t n = bs_archive_n_members(box->ar), n_extents = 0, i;
	uint8_t *seen = calloc((size_t)bs_archive_n_blobs(box->ar) + 1, 1);
	struct bs_member last;

	if (!seen)
		return -1;
	if (n) {
		bs_archive_member(box->ar, n - 1, &last);
		n_extents = last.first_extent + last.n_extents;
	}
	for (i = 0; i < n_extents; i++) {
		struct bs_extent ext;

		bs_archive_extent(box->ar, i, &ext);
		if (ext.blob_off)
			continue;
		cen->n_tied += seen[ext.blob];
		seen[ext.blob] = 1;
	}
	free(seen);
	return 0;
}

enum bs_result bst_census_take(struct bst_census *ret,
			       const struct bst_container *box,
			       struct bs_error *err)
{
	uint64_t n_blobs = bs_archive_n_blobs(box->ar);
	enum bs_result res = BS_ERR_NOMEM;

	memset(ret, 0, sizeof(*ret));
	ret->blobs = calloc((size_t)n_blobs + 1, sizeof(*ret->blobs));
	if (ret->blobs && !count_tied(ret, box)) {
		res = BS_OK;
		if (bs_archive_summary(box->ar)->is_upstream)
			count_tensors(ret, box->ar);
		else
			res = count_chunks(ret, box->ar, err);
	}
	if (res != BS_OK)
		bst_census_fini(ret);
	return res;
}

void bst_census_fini(struct bst_census *cen)
{
	free(cen->blobs);
	memset(cen, 0, sizeof(*cen));
}

uint64_t bst_census_of_range(const struct bst_census *cen,
			     const struct bst_container *box, uint64_t off,
			     uint64_t len, const char **ret_coding)
{
	const struct bst_blob_sum *sum;
	struct bs_extent ext;
	unsigned i, best = 0;

	bs_archive_extent(
		box->ar, bs_member_extent_at(box->ar, &box->member, off), &ext);
	sum = &cen->blobs[ext.blob];
	for (i = 1; i < BST_N_CODINGS; i++)
		if (sum->by_coding[i] > sum->by_coding[best])
			best = i;
	*ret_coding = sum->codec ? sum->codec : bst_coding_name(best);
	if (len == sum->raw || !sum->raw)
		return sum->stored;
	return (uint64_t)((double)sum->stored * (double)len / (double)sum->raw);
}
