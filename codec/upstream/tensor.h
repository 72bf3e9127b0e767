/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensor.h - a stored tensor, from its span of the file to its bytes
 */

#ifndef BS_UP_TENSOR_H
#define BS_UP_TENSOR_H

#include "plan.h"

/* Pieces that a tensor is served in: chunks of the blob that it is. */
#define UP_CHUNK_LOG2 18
#define UP_CHUNK ((size_t)1 << UP_CHUNK_LOG2)

struct bs_up_codec {
	const char *name;
	const char *kind; /* extra.special_kind; NULL: it has none */
	bs_up_open_fn open;
	unsigned unit; /* bytes of what open() calls an element */
};

/* NULL: there is none of that name that we can read. */
const struct bs_up_codec *bs_up_codec_find(const char *name, const char *kind);

/* That of a tensor with two members; and of what its 4-bit values alone are
 * shown as. */
const struct bs_up_codec *bs_up_codec_dual(void);
const struct bs_up_codec *bs_up_codec_packed(void);

struct bs_up_tensor {
	const struct bs_up_codec *codec;
	struct bs_up_span span;
	struct bs_up_span second; /* of a dual tensor; else nothing */
	struct bs_up_fast fast; /* and how it is shown without that */
	uint64_t raw_len; /* > 0 */
	uint8_t md5[BS_MD5_LEN];
	uint8_t dtype; /* enum bs_dtype */
};

/* Gets a tensor's bytes in order; anything but 0 ends it with BS_ERR_IO. */
typedef int (*bs_up_take_fn)(void *ctx, uint64_t off, const void *data,
			     size_t len);

/*
 * Decode all of some tensors: res is BS_OK where the MD5 agrees.  'take' (or NULL)
 * gets the bytes before that is known.  (together.c)
 */
struct bs_up_decode {
	const struct bs_up_tensor *t;
	bs_up_take_fn take;
	void *ctx;
	enum bs_result res;
};
void bs_up_tensors_decode(struct bs_up_decode *d, unsigned n,
			  const struct bs_source *src);

/* The same of one whose 4-bit values alone are shown: nothing is given out that
 * is not known to be good. */
enum bs_result bs_up_tensor_decode_packed(const struct bs_up_tensor *t,
					  const struct bs_source *src,
					  bs_up_take_fn take, void *ctx);

/* Read the tables of a tensor; bs_up_plan_fini() whatever comes of it.  And one
 * who is at its beginning. */
enum bs_result bs_up_plan_open(struct bs_up_plan *plan,
			       const struct bs_up_tensor *t,
			       const struct bs_source *src);
enum bs_result bs_up_plan_run(struct bs_up_run **ret,
			      const struct bs_up_plan *plan,
			      const struct bs_up_tensor *t,
			      const struct bs_source *src);

/*
 * A tensor that was decoded once, and whose MD5 agreed: its bytes, if they are no
 * more than 'whole_max', or places to go on from and a checksum a chunk.
 * Immutable; 't' and 'src' are borrowed, the caller owns *ret.
 */
struct bs_up_model;

enum bs_result bs_up_model_load(struct bs_up_model **ret,
				const struct bs_up_tensor *t,
				const struct bs_source *src,
				uint64_t whole_max);
size_t bs_up_model_mem(const struct bs_up_model *m);
void bs_up_model_free(struct bs_up_model *m); /* NULL is allowed */

/* The same for bytes in memory, which are borrowed. */
enum bs_result bs_up_model_of_bytes(struct bs_up_model **ret,
				    const void *bytes);

/* Where a thread is in some tensor: it decodes the next chunk without going
 * back.  Made at first use; NULL before. */
struct bs_up_cursor;

void bs_up_cursor_free(struct bs_up_cursor *c); /* NULL is allowed */

/* The chunk of 'len' bytes at 'off', a multiple of UP_CHUNK. */
enum bs_result bs_up_model_decode(const struct bs_up_model *m,
				  struct bs_up_cursor **cursor, uint64_t off,
				  size_t len, void *dst);

#endif /* BS_UP_TENSOR_H */
