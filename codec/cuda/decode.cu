/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.cu - batches of chunks: the kernels, and what calls them
 *
 * A warp decodes a chunk; a block is eight warps whose chunks have one model.
 * The model's head, and its tables where they fit, are copied into the block's
 * shared memory first.  A second kernel sums what was decoded, a warp a chunk:
 * apart from it, since a warp that decodes needs twice the registers, and with
 * its own count it is measured on its own.
 */

#include "bigsmall_cuda.h"

#include "device_model.h"
#include "warp_chunk.h"

#include <cuda_runtime.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_WARPS 8

/* They follow each other in shared memory. */
static_assert(sizeof(struct bs_device_head) % 8 == 0 &&
		      sizeof(struct warp_scratch) % 8 == 0 &&
		      sizeof(struct warp_local) % 8 == 0,
	      "alignment");

/* What a result is before its chunk is done: none of enum bs_result. */
#define PENDING 0xffffffffu

/* Chunks of a block: 'n' from 'first' on. */
struct block {
	uint32_t first;
	uint32_t n;
};

struct bs_cuda_model {
	uint8_t *image; /* in device memory, owned */
	size_t len;
	uint32_t tables_len;
	bool has_local;
};

struct bs_cuda_batch {
	struct bs_device_chunk *chunks; /* [cap], page-locked, owned */
	struct block *blocks; /* [cap], likewise, after the chunks */
	uint8_t *device; /* the same in device memory, and results; owned */
	uint32_t cap;
	uint32_t n;
	uint32_t n_blocks;
	uint32_t tables_max[2]; /* of models whose tables fit a block's memory:
				 * without local planes, with them */
	bool has_local;
	uint32_t shared_max; /* bytes that a block may have */
};

/* ---- Kernels ------------------------------------------------------------ */

/* Scratch memory of a block's warps. */
static __host__ __device__ uint32_t scratch_len(bool has_local)
{
	return BLOCK_WARPS *
	       (uint32_t)(sizeof(struct warp_scratch) +
			  (has_local ? sizeof(struct warp_local) : 0));
}

/* All threads of the block copy 'len' bytes, a multiple of 8. */
static __device__ void copy_shared(uint8_t *dst, const uint8_t *src,
				   uint32_t len)
{
	uint32_t i;

	for (i = 8 * threadIdx.x; i < len; i += 8 * blockDim.x)
		write64(dst + i, fetch64(src + i));
}

/*
 * Shared memory: the head, the warps' scratch memory, 'tables_max' bytes for
 * tables.  'good' is the result of a chunk that is not corrupt.
 */
static __global__ void __launch_bounds__(BLOCK_WARPS *WARP)
	decode_chunks(const struct bs_device_chunk *chunks,
		      const struct block *blocks, bool has_local,
		      uint32_t tables_max, uint32_t good, uint32_t *results)
{
	struct bs_device_head *head = (struct bs_device_head *)bs_shared;
	uint8_t *scratch = bs_shared + sizeof(*head);
	uint8_t *tables = scratch + scratch_len(has_local);
	const struct block b = blocks[blockIdx.x];
	const uint8_t *image = chunks[b.first].image;
	unsigned warp = threadIdx.x / WARP;
	struct bs_device_chunk c;
	enum bs_result res;

	if (image)
		copy_shared(bs_shared, image, sizeof(*head));
	__syncthreads();
	bool is_near = image && head->tables_len <= tables_max;

	if (is_near)
		copy_shared(tables, image + sizeof(*head), head->tables_len);
	__syncthreads();
	if (warp >= b.n)
		return;
	c = chunks[b.first + warp];
	struct warp_scratch *ws = (struct warp_scratch *)scratch + warp;
	struct warp_local *local =
		(struct warp_local *)(scratch + BLOCK_WARPS * sizeof(*ws)) +
		warp;
	res = warp_decode(&c, head, is_near ? tables : NULL, ws, local);
	if (threadIdx.x % WARP == 0)
		results[b.first + warp] = res == BS_OK ? good : (uint32_t)res;
}

static __global__ void __launch_bounds__(BLOCK_WARPS *WARP)
	check_chunks(const struct bs_device_chunk *chunks, uint32_t n,
		     uint32_t *results)
{
	uint32_t i = blockIdx.x * BLOCK_WARPS + threadIdx.x / WARP;
	struct bs_device_chunk c;
	enum bs_result res;

	if (i >= n || results[i] != PENDING)
		return;
	c = chunks[i];
	res = warp_check(&c);
	__syncwarp();
	if (threadIdx.x % WARP == 0)
		results[i] = res;
}

/* ---- Models ------------------------------------------------------------- */

static enum bs_result result_of(cudaError_t err)
{
	if (err == cudaSuccess)
		return BS_OK;
	return err == cudaErrorMemoryAllocation ? BS_ERR_NOMEM : BS_ERR_IO;
}

static enum bs_result upload(struct bs_cuda_model *m,
			     const struct bs_model *model)
{
	uint8_t *image = (uint8_t *)malloc(m->len);
	const struct bs_device_head *head =
		(const struct bs_device_head *)image;
	enum bs_result res;

	if (!image)
		return BS_ERR_NOMEM;
	bs_device_model_make(model, image);
	m->tables_len = head->tables_len;
	m->has_local = head->has_local != 0;
	res = result_of(cudaMalloc((void **)&m->image, m->len));
	if (!res)
		res = result_of(cudaMemcpy(m->image, image, m->len,
					   cudaMemcpyHostToDevice));
	free(image);
	return res;
}

enum bs_result bs_cuda_model_new(struct bs_cuda_model **ret,
				 const struct bs_model *model)
{
	struct bs_cuda_model *m = (struct bs_cuda_model *)calloc(1, sizeof(*m));
	enum bs_result res;

	*ret = NULL;
	if (!m)
		return BS_ERR_NOMEM;
	m->len = bs_device_model_len(model);
	res = upload(m, model);
	if (res) {
		bs_cuda_model_free(m);
		return res;
	}
	*ret = m;
	return BS_OK;
}

size_t bs_cuda_model_mem(const struct bs_cuda_model *model)
{
	return model->len;
}

void bs_cuda_model_free(struct bs_cuda_model *model)
{
	if (!model)
		return;
	cudaFree(model->image);
	free(model);
}

/* ---- Batches ------------------------------------------------------------ */

/* What the device has of a batch, but for the results, which come after it. */
static size_t list_len(uint32_t cap)
{
	return cap * (sizeof(struct bs_device_chunk) + sizeof(struct block));
}

/* Ask for as much shared memory as a block may have; this loads the kernels,
 * too, so that no decode has to. */
static enum bs_result prepare(struct bs_cuda_batch *b)
{
	cudaFuncAttributes attr;
	int device, most;
	enum bs_result res;

	res = result_of(cudaGetDevice(&device));
	if (!res)
		res = result_of(cudaDeviceGetAttribute(
			&most, cudaDevAttrMaxSharedMemoryPerBlockOptin,
			device));
	if (!res)
		res = result_of(cudaFuncGetAttributes(&attr, check_chunks));
	if (!res)
		res = result_of(cudaFuncGetAttributes(&attr, decode_chunks));
	if (res)
		return res;
	b->shared_max = (uint32_t)most - (uint32_t)attr.sharedSizeBytes;
	return result_of(cudaFuncSetAttribute(
		decode_chunks, cudaFuncAttributeMaxDynamicSharedMemorySize,
		(int)b->shared_max));
}

enum bs_result bs_cuda_batch_new(struct bs_cuda_batch **ret, uint32_t cap)
{
	struct bs_cuda_batch *b;
	enum bs_result res;

	*ret = NULL;
	if (!cap || cap > BS_CUDA_BATCH_MAX)
		return BS_ERR_PARAM;
	b = (struct bs_cuda_batch *)calloc(1, sizeof(*b));
	if (!b)
		return BS_ERR_NOMEM;
	b->cap = cap;
	res = prepare(b);
	if (!res)
		res = result_of(
			cudaMallocHost((void **)&b->chunks, list_len(cap)));
	if (!res)
		res = result_of(
			cudaMalloc((void **)&b->device,
				   list_len(cap) + cap * sizeof(uint32_t)));
	if (res) {
		bs_cuda_batch_free(b);
		return res;
	}
	b->blocks = (struct block *)(b->chunks + cap);
	*ret = b;
	return BS_OK;
}

void bs_cuda_batch_free(struct bs_cuda_batch *batch)
{
	if (!batch)
		return;
	cudaFreeHost(batch->chunks);
	cudaFree(batch->device);
	free(batch);
}

void bs_cuda_batch_clear(struct bs_cuda_batch *batch)
{
	batch->n = 0;
	batch->n_blocks = 0;
	batch->tables_max[0] = batch->tables_max[1] = 0;
	batch->has_local = false;
}

/* Bytes of a block's shared memory. */
static uint32_t shared_len(bool has_local, uint32_t tables_len)
{
	return (uint32_t)sizeof(struct bs_device_head) +
	       scratch_len(has_local) + tables_len;
}

/* Tables that do not fit stay where they are.  Whether there is room beside
 * local tables is known once all models are. */
static void note_model(struct bs_cuda_batch *b, const struct bs_cuda_model *m)
{
	unsigned i;

	b->has_local |= m->has_local;
	for (i = 0; i < 2; i++) {
		if (m->tables_len > b->tables_max[i] &&
		    shared_len(i, m->tables_len) <= b->shared_max)
			b->tables_max[i] = m->tables_len;
	}
}

static void add_to_block(struct bs_cuda_batch *b)
{
	struct block *last = &b->blocks[b->n_blocks - 1];

	if (b->n && last->n < BLOCK_WARPS &&
	    b->chunks[last->first].image == b->chunks[b->n].image) {
		last->n++;
		return;
	}
	b->blocks[b->n_blocks].first = b->n;
	b->blocks[b->n_blocks].n = 1;
	b->n_blocks++;
}

enum bs_result bs_cuda_batch_add(struct bs_cuda_batch *batch,
				 const struct bs_chunk *chunk,
				 const struct bs_blob *blob,
				 const struct bs_cuda_model *model,
				 const void *stored, void *dst)
{
	struct bs_device_chunk *c;

	if (batch->n == batch->cap || chunk->coding == BS_CODING_ZSTD ||
	    (chunk->coding == BS_CODING_PLANES && !model))
		return BS_ERR_PARAM;
	c = &batch->chunks[batch->n];
	memset(c, 0, sizeof(*c));
	c->stored = (const uint8_t *)stored;
	c->dst = (uint8_t *)dst;
	c->blob_off = chunk->blob_off;
	c->width = blob->width;
	c->raw_sum = chunk->raw_sum;
	c->raw_len = chunk->raw_len;
	c->stored_len = chunk->stored_len;
	c->coding = chunk->coding;
	if (chunk->coding == BS_CODING_PLANES) {
		c->image = model->image;
		note_model(batch, model);
	}
	add_to_block(batch);
	batch->n++;
	return BS_OK;
}

static uint32_t *results_of(const struct bs_cuda_batch *batch)
{
	return (uint32_t *)(batch->device + list_len(batch->cap));
}

const uint32_t *bs_cuda_batch_results(const struct bs_cuda_batch *batch)
{
	return results_of(batch);
}

static enum bs_result copy_list(struct bs_cuda_batch *b, cudaStream_t stream)
{
	uint8_t *blocks = b->device + b->cap * sizeof(*b->chunks);
	enum bs_result res;

	res = result_of(cudaMemcpyAsync(b->device, b->chunks,
					b->n * sizeof(*b->chunks),
					cudaMemcpyHostToDevice, stream));
	if (res)
		return res;
	return result_of(cudaMemcpyAsync(blocks, b->blocks,
					 b->n_blocks * sizeof(*b->blocks),
					 cudaMemcpyHostToDevice, stream));
}

enum bs_result bs_cuda_batch_decode(struct bs_cuda_batch *batch, unsigned flags,
				    struct CUstream_st *stream)
{
	const struct bs_device_chunk *chunks =
		(const struct bs_device_chunk *)batch->device;
	const struct block *blocks =
		(const struct block *)(chunks + batch->cap);
	uint32_t tables_max = batch->tables_max[batch->has_local];
	uint32_t shared = shared_len(batch->has_local, tables_max);
	uint32_t n = batch->n, *results = results_of(batch), good = PENDING;
	enum bs_result res;

	if (flags & ~BS_CUDA_UNCHECKED)
		return BS_ERR_PARAM;
	if (!n)
		return BS_OK;
	if (flags & BS_CUDA_UNCHECKED)
		good = BS_OK;
	res = copy_list(batch, stream);
	if (!res)
		res = result_of(cudaMemsetAsync(results, 0xff,
						n * sizeof(*results), stream));
	if (res)
		return res;
	decode_chunks<<<batch->n_blocks, BLOCK_WARPS * WARP, shared, stream>>>(
		chunks, blocks, batch->has_local, tables_max, good, results);
	res = result_of(cudaGetLastError());
	if (!res && !(flags & BS_CUDA_UNCHECKED)) {
		check_chunks<<<(n + BLOCK_WARPS - 1) / BLOCK_WARPS,
			       BLOCK_WARPS * WARP, 0, stream>>>(chunks, n,
								results);
		res = result_of(cudaGetLastError());
	}
	return res;
}
