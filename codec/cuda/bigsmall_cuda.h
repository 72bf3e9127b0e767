/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bigsmall_cuda.h - decode chunks into device memory
 *
 * A batch is many chunks, of one container or several, that one call decodes:
 * from stored bytes in device memory to decoded bytes in device memory, on the
 * caller's stream.  The call allocates nothing and waits for nothing; what it
 * needs was made by bs_cuda_model_new() and bs_cuda_batch_new().
 *
 *	once a model	bs_cuda_model_new()
 *	once		bs_cuda_batch_new(), for as many chunks as fit memory
 *	a batch		copy stored bytes to the device; bs_cuda_batch_add()
 *			for each chunk; bs_cuda_batch_decode(); once the stream
 *			is past it, read the results; bs_cuda_batch_clear()
 *
 * What was stored may be anything: it decodes to the bytes that were written,
 * or it gets a result that says it does not, and nothing outside of its own
 * bytes is read or written.  The codings are those of docs/format.md 7, but for
 * zstd: such chunks (headers, integers, a thousandth of a model) are the
 * caller's to decode on the host, with bs_chunk_decode().
 *
 * Objects belong to the device that was current when they were made, which must
 * be current when they are used.  A model may be used by any number of threads
 * and batches at once; a batch is one thread's.  CUDA's own failures are
 * BS_ERR_IO, and BS_ERR_NOMEM where memory is short; cudaGetLastError() still
 * has them.
 */

#ifndef BIGSMALL_CUDA_H
#define BIGSMALL_CUDA_H

#include "bigsmall.h"

#ifdef __cplusplus
extern "C" {
#endif

struct CUstream_st; /* a cudaStream_t points to one */

/* A model's tables and classes in device memory. */
struct bs_cuda_model;

/* Copy 'model' to the device; it is not needed any more afterwards. */
enum bs_result bs_cuda_model_new(struct bs_cuda_model **ret,
				 const struct bs_model *model);

/* Bytes of device memory, for the caller's budget. */
size_t bs_cuda_model_mem(const struct bs_cuda_model *model);

/* No batch in flight may use it.  NULL is allowed. */
void bs_cuda_model_free(struct bs_cuda_model *model);

/* Chunks, and where they come from and go to. */
struct bs_cuda_batch;

#define BS_CUDA_BATCH_MAX (1u << 20)

/* Room for 'cap' chunks, 1 to BS_CUDA_BATCH_MAX: 140 bytes a chunk, in device
 * memory and in page-locked host memory. */
enum bs_result bs_cuda_batch_new(struct bs_cuda_batch **ret, uint32_t cap);
void bs_cuda_batch_free(struct bs_cuda_batch *batch);

/* Begin again without chunks. */
void bs_cuda_batch_clear(struct bs_cuda_batch *batch);

/*
 * Add a chunk.  'stored' and 'dst' are its stored_len and raw_len bytes in
 * device memory, which nobody else writes, or reads 'dst', until the stream has
 * decoded the batch.  Any addresses work; fastest is 'dst' at a multiple of 8,
 * and 'stored' at one of 4.  'model' is the blob's, or NULL where the chunk's
 * coding is not BS_CODING_PLANES.  'chunk' and 'blob' are copied.
 *
 * Chunks of a model that follow each other share a block's copy of its tables:
 * add them in the order of the container.  BS_ERR_PARAM: the batch is full, the
 * coding is zstd, or a model is missing.
 */
enum bs_result bs_cuda_batch_add(struct bs_cuda_batch *batch,
				 const struct bs_chunk *chunk,
				 const struct bs_blob *blob,
				 const struct bs_cuda_model *model,
				 const void *stored, void *dst);

/* For 'flags': leave the checksums of decoded bytes to the caller.  BS_OK then
 * says that a chunk was well-formed, not that it is what was written. */
#define BS_CUDA_UNCHECKED 1u

/*
 * Decode the batch on 'stream' (NULL: the default stream) and compare the
 * checksum of each chunk's bytes, by two kernels.  Until the stream is past
 * them the batch must not be changed or decoded again.  BS_OK says that they
 * were launched.
 */
enum bs_result bs_cuda_batch_decode(struct bs_cuda_batch *batch, unsigned flags,
				    struct CUstream_st *stream);

/*
 * An enum bs_result for each chunk in the order of adding, in device memory:
 * BS_OK, BS_ERR_CORRUPT or BS_ERR_CHECKSUM, as bs_chunk_decode() has them; any
 * other value where kernels did not run to their end.  Valid once the stream is
 * past the decoding, until the next one; bytes of a chunk whose result is not
 * BS_OK are undefined and must not be used.
 */
const uint32_t *bs_cuda_batch_results(const struct bs_cuda_batch *batch);

#ifdef __cplusplus
}
#endif

#endif /* BIGSMALL_CUDA_H */
