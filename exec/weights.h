/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weights.h - the tensors of a model's safetensors files, by name
 */

#ifndef BSX_WEIGHTS_H
#define BSX_WEIGHTS_H

#include "bigsmall.h"
#include "fault.h"

struct bsx_tensor {
	const char *name; /* borrowed from the file's header */
	enum bs_dtype dtype;
	const uint64_t *shape; /* [n_dims], borrowed likewise */
	size_t n_dims;
	uint64_t off; /* in its file */
	uint64_t len;
	size_t file;
};

struct bsx_weights;

/*
 * Read the headers of the safetensors files in 'folder': 'file' alone if that
 * is given, else model.safetensors, else those of its index.  The caller frees
 * *ret.
 */
enum bsx_result bsx_weights_open(struct bsx_weights **ret,
				 const struct bsx_folder *folder,
				 const char *file, struct bsx_error *err);
void bsx_weights_free(struct bsx_weights *w);

/* The name of the i-th file; NULL past the last one. */
const char *bsx_weights_file(const struct bsx_weights *w, size_t i);

/* NULL: there is no such tensor. */
const struct bsx_tensor *bsx_weights_find(const struct bsx_weights *w,
					  const char *name);

/* All elements, and all bytes. */
uint64_t bsx_weights_count(const struct bsx_weights *w);
uint64_t bsx_weights_bytes(const struct bsx_weights *w);

/*
 * Read 'len' bytes of a tensor from 'off' on; any thread may.  'once': they will
 * be read anew, or never again, so the kernel is not to keep them.
 */
enum bsx_result bsx_weights_read(const struct bsx_weights *w,
				 const struct bsx_tensor *t, uint64_t off,
				 void *buf, size_t len, bool once,
				 struct bsx_error *err);

/*
 * What is read once leaves pages all the same: those that were read ahead, and
 * parts of larger ones.  When all tensors of a span of a file have been read,
 * these go too.  span: add bytes of a tensor, 'len' of it being 0 at first; where
 * that is in another file, what was there goes.
 */
struct bsx_span {
	size_t file;
	uint64_t off;
	uint64_t len;
};

void bsx_weights_span(const struct bsx_weights *w, const struct bsx_tensor *t,
		      uint64_t off, uint64_t len, struct bsx_span *span);
void bsx_weights_drop(const struct bsx_weights *w, struct bsx_span *span);

#endif /* BSX_WEIGHTS_H */
