/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weights.c - headers of safetensors files, and reads of their data
 *
 * The headers are parsed by the codec, which has checked shapes against
 * lengths and offsets against the file.
 */

#include "weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "disk.h"
#include "hparams.h"
#include "safetensors.h"

#define MAX_FILES 4096
#define FUSE_MAGIC 0x65735546

#define PAGE 4096
#define FOLIO_MAX ((uint64_t)2 << 20) /* the largest page of a file */
#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

struct file {
	char *name; /* owned */
	int fd;
	int direct_fd; /* -1: none */
	struct bs_st *st; /* owned */
};

struct bsx_weights {
	struct file *files; /* [n_files], owned */
	size_t n_files;
	struct bsx_tensor *tensors; /* [n_tensors], owned, by name */
	size_t n_tensors;
	uint64_t n_elements;
	uint64_t n_bytes;
};

/* ---- Files --------------------------------------------------------------- */

static enum bsx_result read_header(struct file *f, uint64_t size,
				   struct bsx_error *err)
{
	struct bs_error why = { 0 };
	enum bs_result bad = BS_OK;
	enum bsx_result res;
	uint8_t prefix[8];
	uint64_t len;
	void *head;

	if (size < sizeof(prefix))
		return bsx_fail(err, BSX_ERR_DATA, "%s is no safetensors file.",
				f->name);
	res = bsx_file_read(f->fd, f->name, prefix, sizeof(prefix), 0, err);
	if (res)
		return res;
	bad = bs_st_header_len(prefix, size, &len, &why);
	if (bad)
		goto bad;
	head = malloc((size_t)len);
	if (!head)
		return bsx_no_memory(err);
	res = bsx_file_read(f->fd, f->name, head, (size_t)len, 0, err);
	if (!res)
		bad = bs_st_parse(&f->st, head, (size_t)len, size, &why);
	free(head);
	if (res || !bad)
		return res;
bad:
	if (bad == BS_ERR_NOMEM)
		return bsx_no_memory(err);
	return bsx_fail(err, BSX_ERR_DATA, "%s is no safetensors file: %s.",
			f->name, why.text);
}

/* FUSE reads straight to where it is told, so that the page cache is only in the
 * way of what is read once.  Other file systems want everything aligned, and
 * copying that costs more than the page cache does. */
static int open_direct(int fd)
{
	struct statfs fs;
	char path[64];

	if (fstatfs(fd, &fs) != 0 || (uint32_t)fs.f_type != FUSE_MAGIC)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
}

/* Add a file; it is the weights' to close whatever this returns. */
static enum bsx_result add_file(struct bsx_weights *w,
				const struct bsx_folder *folder,
				const char *name, struct bsx_error *err)
{
	struct file *grown, *f;
	enum bsx_result res;
	uint64_t size;
	size_t i;

	for (i = 0; i < w->n_files; i++) {
		if (!strcmp(w->files[i].name, name))
			return BSX_OK;
	}
	if (w->n_files == MAX_FILES)
		return bsx_fail(err, BSX_ERR_MODEL,
				"the model has more than %d files of weights.",
				MAX_FILES);
	grown = realloc(w->files, (w->n_files + 1) * sizeof(*grown));
	if (!grown)
		return bsx_no_memory(err);
	w->files = grown;
	f = &grown[w->n_files];
	*f = (struct file){ .fd = -1, .direct_fd = -1, .name = strdup(name) };
	if (!f->name)
		return bsx_no_memory(err);
	w->n_files++;
	res = bsx_file_open(folder, name, &f->fd, &size, err);
	if (!res)
		res = read_header(f, size, err);
	if (!res)
		f->direct_fd = open_direct(f->fd);
	return res;
}

static enum bsx_result add_indexed(struct bsx_weights *w,
				   const struct bsx_folder *folder,
				   struct bsx_error *err)
{
	struct bsx_config *index;
	struct bsx_config *map;
	enum bsx_result res;
	const char *name;
	size_t i;

	res = bsx_config_read(&index, folder, INDEX, err);
	if (res)
		return res;
	map = bsx_config_inner(index, "weight_map");
	if (!map)
		res = bsx_fail(err, BSX_ERR_MODEL,
			       INDEX ": there is no weight_map.");
	for (i = 0; !res && (name = bsx_config_value(map, i)); i++) {
		/* Nothing outside the directory. */
		if (strchr(name, '/'))
			res = bsx_fail(err, BSX_ERR_MODEL,
				       INDEX ": %s is no name of a file.",
				       name);
		else
			res = add_file(w, folder, name, err);
	}
	bsx_config_free(index);
	return res;
}

/* ---- Tensors ------------------------------------------------------------- */

static int compare_tensors(const void *a, const void *b)
{
	const struct bsx_tensor *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static enum bsx_result list_tensors(struct bsx_weights *w,
				    struct bsx_error *err)
{
	size_t f, i, n = 0;

	for (f = 0; f < w->n_files; f++)
		n += bs_st_n_tensors(w->files[f].st);
	w->tensors = calloc(n ? n : 1, sizeof(*w->tensors));
	if (!w->tensors)
		return bsx_no_memory(err);
	for (f = 0; f < w->n_files; f++) {
		for (i = 0; i < bs_st_n_tensors(w->files[f].st); i++) {
			const struct bs_st_tensor *t =
				bs_st_tensor(w->files[f].st, i);
			unsigned bits = bs_dtype_bits(t->dtype);

			w->tensors[w->n_tensors++] = (struct bsx_tensor){
				.name = t->name,
				.dtype = t->dtype,
				.shape = t->shape,
				.n_dims = t->n_dims,
				.off = t->off,
				.len = t->len,
				.file = f,
			};
			w->n_elements +=
				t->len / bits * 8 + t->len % bits * 8 / bits;
			w->n_bytes += t->len;
		}
	}
	qsort(w->tensors, w->n_tensors, sizeof(*w->tensors), compare_tensors);
	for (i = 1; i < w->n_tensors; i++) {
		if (!strcmp(w->tensors[i - 1].name, w->tensors[i].name))
			return bsx_fail(err, BSX_ERR_DATA,
					"the tensor %s is in two files of "
					"weights.",
					w->tensors[i].name);
	}
	return BSX_OK;
}

enum bsx_result bsx_weights_open(struct bsx_weights **ret,
				 const struct bsx_folder *folder,
				 const char *file, struct bsx_error *err)
{
	struct bsx_weights *w = calloc(1, sizeof(*w));
	enum bsx_result res;

	if (!w)
		return bsx_no_memory(err);
	if (file)
		res = add_file(w, folder, file, err);
	else if (bsx_file_exists(folder, SINGLE))
		res = add_file(w, folder, SINGLE, err);
	else if (bsx_file_exists(folder, INDEX))
		res = add_indexed(w, folder, err);
	else
		res = bsx_fail(err, BSX_ERR_MODEL,
			       "there is neither " SINGLE " nor " INDEX ".");
	if (!res)
		res = list_tensors(w, err);
	if (res) {
		bsx_weights_free(w);
		return res;
	}
	*ret = w;
	return BSX_OK;
}

void bsx_weights_free(struct bsx_weights *w)
{
	size_t i;

	if (!w)
		return;
	for (i = 0; i < w->n_files; i++) {
		bs_st_free(w->files[i].st);
		if (w->files[i].direct_fd >= 0)
			close(w->files[i].direct_fd);
		if (w->files[i].fd >= 0)
			close(w->files[i].fd);
		free(w->files[i].name);
	}
	free(w->files);
	free(w->tensors);
	free(w);
}

const char *bsx_weights_file(const struct bsx_weights *w, size_t i)
{
	return i < w->n_files ? w->files[i].name : NULL;
}

const struct bsx_tensor *bsx_weights_find(const struct bsx_weights *w,
					  const char *name)
{
	const struct bsx_tensor key = { .name = name };

	return bsearch(&key, w->tensors, w->n_tensors, sizeof(*w->tensors),
		       compare_tensors);
}

uint64_t bsx_weights_count(const struct bsx_weights *w)
{
	return w->n_elements;
}

uint64_t bsx_weights_bytes(const struct bsx_weights *w)
{
	return w->n_bytes;
}

/* Past the page cache, as far as that goes: how many bytes. */
static size_t read_direct(const struct file *f, void *buf, size_t len,
			  uint64_t off)
{
	size_t done = 0;
	ssize_t n;

	while (f->direct_fd >= 0 && done < len) {
		n = pread(f->direct_fd, (char *)buf + done, len - done,
			  (off_t)(off + done));
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		if (n > 0)
			done += (size_t)n;
	}
	return done;
}

enum bsx_result bsx_weights_read(const struct bsx_weights *w,
				 const struct bsx_tensor *t, uint64_t off,
				 void *buf, size_t len, bool once,
				 struct bsx_error *err)
{
	const struct file *f = &w->files[t->file];
	size_t done = once ? read_direct(f, buf, len, t->off + off) : 0;
	enum bsx_result res;

	if (done == len)
		return BSX_OK;
	off += t->off + done;
	res = bsx_file_read(f->fd, f->name, (char *)buf + done, len - done, off,
			    err);
	if (once)
		posix_fadvise(f->fd, (off_t)(off - off % PAGE),
			      (off_t)(len - done + off % PAGE),
			      POSIX_FADV_DONTNEED);
	return res;
}

void bsx_weights_drop(const struct bsx_weights *w, struct bsx_span *span)
{
	uint64_t behind = span->off < FOLIO_MAX ? span->off : FOLIO_MAX;
	const struct file *f = &w->files[span->file];

	if (span->len && f->direct_fd < 0)
		posix_fadvise(f->fd, (off_t)(span->off - behind),
			      (off_t)(span->len + behind), POSIX_FADV_DONTNEED);
	span->len = 0;
}

void bsx_weights_span(const struct bsx_weights *w, const struct bsx_tensor *t,
		      uint64_t off, uint64_t len, struct bsx_span *span)
{
	uint64_t begin = t->off + off, end = begin + len;

	if (span->len && span->file != t->file)
		bsx_weights_drop(w, span);
	if (!span->len) {
		*span = (struct bsx_span){ t->file, begin, len };
		return;
	}
	if (span->off + span->len > end)
		end = span->off + span->len;
	if (span->off < begin)
		begin = span->off;
	span->off = begin;
	span->len = end - begin;
}
