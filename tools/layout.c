/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.c - how a file is cut into blobs
 *
 * The header is a blob, and so is each tensor; gaps between tensors and what
 * trails them are bytes.  Runs of small neighbours share a blob, for a blob
 * costs 160 bytes of directory.  What is no well-formed safetensors is one
 * region of bytes: it is kept, only not modelled.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "layout.h"
#include "safetensors.h"

/* Shorter regions are merged with their neighbours. */
#define SMALL 4096

static int add_region(struct bst_layout *lay, uint64_t off, uint64_t len,
		      unsigned dtype, int is_tensor)
{
	struct bst_region *reg;

	if (lay->n_regions == lay->n_allocated) {
		size_t n = lay->n_allocated ? 2 * lay->n_allocated : 64;

		reg = realloc(lay->region, n * sizeof(*reg));
		if (!reg)
			return -ENOMEM;
		lay->region = reg;
		lay->n_allocated = n;
	}
	reg = &lay->region[lay->n_regions++];
	memset(reg, 0, sizeof(*reg));
	reg->off = off;
	reg->len = len;
	reg->dtype = (uint8_t)dtype;
	reg->is_tensor = (uint8_t)is_tensor;
	reg->same_as = BST_NO_REGION;
	return 0;
}

/* Add [off, off + len), to the region before it if both are small.  The header
 * (region 0) stays alone, so that it can be read without anything else. */
static int add_piece(struct bst_layout *lay, uint64_t off, uint64_t len,
		     unsigned dtype, int is_tensor, int *in_run)
{
	struct bst_region *prev = &lay->region[lay->n_regions - 1];

	if (len == 0)
		return 0;
	if (len >= SMALL || !*in_run) {
		*in_run = len < SMALL;
		return add_region(lay, off, len, dtype, is_tensor);
	}
	if (prev->dtype != dtype)
		prev->dtype = BS_DTYPE_BYTES;
	prev->is_tensor = 0;
	prev->len += len;
	return 0;
}

static void note_unknown(struct bst_layout *lay, const struct bs_st_tensor *t)
{
	if (!lay->n_unknown++)
		snprintf(lay->unknown_dtype, sizeof(lay->unknown_dtype), "%s",
			 t->dtype_name);
}

static int add_tensors(struct bst_layout *lay, const struct bs_st *st,
		       uint64_t header_len)
{
	uint64_t pos = header_len;
	size_t i, n = bs_st_n_tensors(st);
	int err, in_run = 0;

	err = add_region(lay, 0, header_len, BS_DTYPE_BYTES, 0);
	for (i = 0; i < n && !err; i++) {
		const struct bs_st_tensor *t = bs_st_tensor(st, i);
		unsigned dtype = t->dtype;

		if (!t->is_known)
			note_unknown(lay, t);
		if (t->len == 0)
			continue;
		if (t->len % bs_dtype_unit(dtype))
			dtype = BS_DTYPE_BYTES;
		err = add_piece(lay, pos, t->off - pos, BS_DTYPE_BYTES, 0,
				&in_run);
		if (!err)
			err = add_piece(lay, t->off, t->len, dtype, 1, &in_run);
		pos = t->off + t->len;
	}
	if (!err)
		err = add_piece(lay, pos, lay->size - pos, BS_DTYPE_BYTES, 0,
				&in_run);
	lay->n_tensors = n;
	return err;
}

static int set_reason(char *reason, const char *text)
{
	snprintf(reason, BST_REASON_LEN, "%s", text);
	return 0;
}

int bst_read_header(int fd, uint64_t size, struct bs_st **ret,
		    uint64_t *ret_len, char *reason)
{
	struct bs_error why = { 0 };
	enum bs_result res;
	uint8_t prefix[8];
	void *head;
	int err;

	*ret = NULL;
	reason[0] = '\0';
	if (size < sizeof(prefix))
		return set_reason(reason, "it is shorter than 8 bytes");
	err = bst_pread_all(fd, prefix, sizeof(prefix), 0);
	if (err)
		return err;
	if (bs_st_header_len(prefix, size, ret_len, &why) != BS_OK)
		return set_reason(reason, why.text);
	if (*ret_len > BST_HEADER_MAX)
		return set_reason(reason, "its header is larger than 16 MiB");
	head = malloc((size_t)*ret_len);
	if (!head)
		return -ENOMEM;
	err = bst_pread_all(fd, head, (size_t)*ret_len, 0);
	if (!err) {
		res = bs_st_parse(ret, head, (size_t)*ret_len, size, &why);
		if (res == BS_ERR_NOMEM)
			err = -ENOMEM;
		else if (res != BS_OK)
			set_reason(reason, why.text);
	}
	free(head);
	return err;
}

/* Whether the first bytes could begin a safetensors file. */
static int looks_like_one(int fd, uint64_t size)
{
	char prefix[9];

	return size >= sizeof(prefix) &&
	       bst_pread_all(fd, prefix, sizeof(prefix), 0) == 0 &&
	       prefix[8] == '{' && prefix[6] == 0 && prefix[7] == 0;
}

int bst_layout_opaque(struct bst_layout *ret, uint64_t size)
{
	memset(ret, 0, sizeof(*ret));
	ret->size = size;
	return size ? add_region(ret, 0, size, BS_DTYPE_BYTES, 0) : 0;
}

int bst_layout_read(struct bst_layout *ret, int fd, uint64_t size,
		    int is_expected)
{
	struct bs_st *st = NULL;
	uint64_t header_len = 0;
	int err;

	memset(ret, 0, sizeof(*ret));
	ret->size = size;
	if (!is_expected && !looks_like_one(fd, size))
		return bst_layout_opaque(ret, size);
	err = bst_read_header(fd, size, &st, &header_len, ret->reason);
	if (err)
		return err;
	if (!st)
		return size ? add_region(ret, 0, size, BS_DTYPE_BYTES, 0) : 0;
	ret->is_safetensors = 1;
	err = add_tensors(ret, st, header_len);
	bs_st_free(st);
	if (!err)
		err = bst_layout_find_ties(ret, fd);
	if (err)
		bst_layout_fini(ret);
	return err;
}

void bst_layout_fini(struct bst_layout *lay)
{
	free(lay->region);
	memset(lay, 0, sizeof(*lay));
}
