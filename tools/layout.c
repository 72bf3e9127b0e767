/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.c - how files are cut into blobs
 *
 * The header is a blob, and so is each tensor; gaps between tensors and what
 * trails them are bytes.  Runs of small neighbours share a blob, for a blob
 * costs 160 bytes of directory.  What is no well-formed safetensors is one
 * region of bytes: it is kept, only not modelled.  Small files of that kind
 * share blobs of up to a chunk, so that zstd sees them together.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "layout.h"
#include "safetensors.h"

/* Shorter regions are merged with their neighbours. */
#define SMALL 4096

/* A shorter last dimension makes no row by itself. */
#define ROW_MIN 64

/* A blob that small files share is one chunk. */
#define SHARED_LEN ((uint64_t)256 << 10)

/* ---- Sources ------------------------------------------------------------- */

int bst_source_open(const struct bst_source *src)
{
	struct stat st;
	int fd, err;

	if (src->fd >= 0)
		return src->fd;
	err = bst_open_regular(src->path, &fd, &st);
	if (err)
		return err == -ENOENT ? -ENODATA : err;
	if (bst_same_version(&st, &src->st))
		return fd;
	close(fd);
	return -ENODATA;
}

void bst_source_close(const struct bst_source *src, int fd)
{
	if (fd >= 0 && fd != src->fd)
		close(fd);
}

static int add_source(struct bst_layout *lay, const char *path, int fd,
		      const struct stat *st)
{
	struct bst_source *src;

	if (lay->n_sources == lay->sources_allocated) {
		size_t n = lay->n_sources ? 2 * lay->n_sources : 1;

		src = realloc(lay->source, n * sizeof(*src));
		if (!src)
			return -ENOMEM;
		lay->source = src;
		lay->sources_allocated = n;
	}
	src = &lay->source[lay->n_sources++];
	memset(src, 0, sizeof(*src));
	src->path = path;
	src->fd = fd;
	src->st = *st;
	src->first_region = lay->n_regions;
	lay->size += (uint64_t)st->st_size;
	return 0;
}

/* ---- Regions ------------------------------------------------------------- */

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
	reg->source = lay->n_sources - 1;
	reg->off = off;
	reg->len = len;
	reg->blob_len = len;
	reg->leader = lay->n_regions - 1;
	reg->dtype = (uint8_t)dtype;
	reg->is_tensor = (uint8_t)is_tensor;
	reg->same_as = BST_NO_REGION;
	return 0;
}

/* A whole small file, which joins the blob of those before it. */
static int add_small_file(struct bst_layout *lay, uint64_t size)
{
	const struct bst_region *prev;
	struct bst_region *reg, *leader;
	int err;

	err = add_region(lay, 0, size, BS_DTYPE_BYTES, 0);
	if (err)
		return err;
	reg = &lay->region[lay->n_regions - 1];
	reg->is_small_file = 1;
	if (lay->n_regions < 2)
		return 0;
	prev = reg - 1;
	leader = &lay->region[prev->leader];
	if (!prev->is_small_file || leader->blob_len + size > SHARED_LEN)
		return 0;
	reg->leader = prev->leader;
	reg->blob_off = leader->blob_len;
	leader->blob_len += size;
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
	prev->width = 0;
	prev->len += len;
	prev->blob_len += len;
	return 0;
}

static void note_unknown(struct bst_layout *lay, const struct bs_st_tensor *t)
{
	if (!lay->n_unknown++)
		snprintf(lay->unknown_dtype, sizeof(lay->unknown_dtype), "%s",
			 t->dtype_name);
}

/*
 * Elements a row: as many of the last dimensions as make it 64 or more, so that
 * a matrix has its own rows, a stack of matrices theirs, and a convolution's
 * kernel (3 or 3 x 3) goes with its input channels.  The first dimension is
 * left, so that there are rows.
 */
static uint64_t row_width(const struct bs_st_tensor *t, unsigned dtype)
{
	uint64_t width = bs_dtype_bits(dtype) / 8 / bs_dtype_unit(dtype);
	size_t i;

	for (i = t->n_dims; i > 1 && width < ROW_MIN; i--)
		width *= t->shape[i - 1];
	return i < t->n_dims && width < t->len ? width : 0;
}

static int add_tensor(struct bst_layout *lay, const struct bs_st_tensor *t,
		      unsigned dtype, int *in_run)
{
	size_t n = lay->n_regions;
	int err = add_piece(lay, t->off, t->len, dtype, 1, in_run);

	if (!err && lay->n_regions > n)
		lay->region[n].width = row_width(t, dtype);
	return err;
}

static int add_tensors(struct bst_layout *lay, const struct bs_st *st,
		       uint64_t header_len, uint64_t size)
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
			err = add_tensor(lay, t, dtype, &in_run);
		pos = t->off + t->len;
	}
	if (!err)
		err = add_piece(lay, pos, size - pos, BS_DTYPE_BYTES, 0,
				&in_run);
	lay->n_tensors += n;
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

int bst_looks_like_safetensors(int fd, uint64_t size)
{
	char prefix[9];

	return size >= sizeof(prefix) &&
	       bst_pread_all(fd, prefix, sizeof(prefix), 0) == 0 &&
	       prefix[8] == '{' && prefix[6] == 0 && prefix[7] == 0;
}

/* ---- The whole ----------------------------------------------------------- */

/* A parsed header may take half of the memory that is promised, so however many
 * files are worked on, one is parsed at a time. */
static pthread_mutex_t header_lock = PTHREAD_MUTEX_INITIALIZER;

/* By its tensors, if it has a header that can be used. */
static int cut_tensors(struct bst_layout *lay, int fd, uint64_t size)
{
	struct bst_source *src = &lay->source[lay->n_sources - 1];
	uint64_t header_len = 0;
	struct bs_st *st;
	int err;

	pthread_mutex_lock(&header_lock);
	err = bst_read_header(fd, size, &st, &header_len, lay->reason);
	if (!err && st) {
		src->is_safetensors = 1;
		err = add_tensors(lay, st, header_len, size);
	}
	bs_st_free(st);
	pthread_mutex_unlock(&header_lock);
	return err;
}

static int cut_source(struct bst_layout *lay, enum bst_layout_mode mode,
		      int is_expected)
{
	struct bst_source *src = &lay->source[lay->n_sources - 1];
	uint64_t size = (uint64_t)src->st.st_size;
	int fd, err = 0;

	if (!size && !is_expected)
		return 0;
	fd = bst_source_open(src);
	if (fd < 0)
		return fd;
	if (mode != BST_LAYOUT_OPAQUE &&
	    (is_expected || bst_looks_like_safetensors(fd, size)))
		err = cut_tensors(lay, fd, size);
	bst_source_close(src, fd);
	if (err || !size || src->is_safetensors)
		return err;
	if (mode == BST_LAYOUT_BUNDLED && size <= BST_SMALL_FILE)
		return add_small_file(lay, size);
	return add_region(lay, 0, size, BS_DTYPE_BYTES, 0);
}

int bst_layout_add(struct bst_layout *lay, const char *path, int fd,
		   const struct stat *st, enum bst_layout_mode mode,
		   int is_expected)
{
	struct bst_source *src;
	int err;

	lay->n_unknown = 0;
	lay->unknown_dtype[0] = '\0';
	lay->reason[0] = '\0';
	err = add_source(lay, path, fd, st);
	if (!err)
		err = cut_source(lay, mode, is_expected);
	if (err)
		return err;
	src = &lay->source[lay->n_sources - 1];
	src->n_regions = lay->n_regions - src->first_region;
	return 0;
}

void bst_layout_fini(struct bst_layout *lay)
{
	free(lay->source);
	free(lay->region);
	memset(lay, 0, sizeof(*lay));
}
