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
	if (ret->blobs && !count_tied(ret, box))
		res = count_chunks(ret, box->ar, err);
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
	*ret_coding = bst_coding_name(best);
	if (len == sum->raw || !sum->raw)
		return sum->stored;
	return (uint64_t)((double)sum->stored * (double)len / (double)sum->raw);
}
