/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_device.c - a GPU gives the bytes and the verdicts of the library, chunk
 * by chunk in large batches: of random models, and of damaged streams
 *
 * Skipped, with a sentence, on a machine without one.  tests/unit/test_cuda.c
 * has the same source on the host, and every case besides.
 */

#include "../random_chunk.h"

#include "bigsmall_cuda.h"

#include <cuda_runtime_api.h>

#define N_CHUNKS 400
#define ROOM (1u << 19) /* of one chunk, stored or decoded */

static struct bs_workspace *ws;

static void must(cudaError_t err)
{
	if (err != cudaSuccess)
		fail_msg("%s", cudaGetErrorString(err));
}

/* All chunks' places in host and device memory. */
struct places {
	uint8_t *host; /* [N_CHUNKS][ROOM] */
	uint8_t *device; /* the same */
};

static struct places places_new(void)
{
	struct places p;

	p.host = malloc((size_t)N_CHUNKS * ROOM);
	assert_non_null(p.host);
	must(cudaMalloc((void **)&p.device, (size_t)N_CHUNKS * ROOM));
	return p;
}

static void places_free(struct places *p)
{
	free(p->host);
	must(cudaFree(p->device));
}

static void flip_bits(struct random_chunk *c, uint64_t *seed)
{
	uint32_t at = below(seed, c->chunk.stored_len);

	if (below(seed, 2))
		at %= 400 < c->chunk.stored_len ? 400 : c->chunk.stored_len;
	c->stored[at] ^= (uint8_t)(1u << below(seed, 8));
	if (!below(seed, 4))
		c->chunk.stored_len -= below(seed, c->chunk.stored_len);
}

/* One batch; each chunk's neighbours in memory are what must not change. */
static void check_batch(int is_damaged, uint64_t *seed)
{
	struct bs_cuda_model *models[N_CHUNKS];
	struct random_chunk *c = calloc(N_CHUNKS, sizeof(*c));
	struct places in = places_new(), out = places_new();
	uint32_t results[N_CHUNKS];
	struct bs_cuda_batch *batch;
	cudaStream_t stream;
	unsigned i, k;

	assert_non_null(c);
	must(cudaStreamCreate(&stream));
	assert_int_equal(bs_cuda_batch_new(&batch, N_CHUNKS), BS_OK);
	must(cudaMemset(out.device, 0xa5, (size_t)N_CHUNKS * ROOM));
	for (i = 0; i < N_CHUNKS; i++) {
		/* Any alignment. */
		size_t from = (size_t)i * ROOM + below(seed, 9);
		size_t to = (size_t)i * ROOM + 8 + below(seed, 9);

		random_chunk_make(&c[i], RANDOM_ANY, i % 4 ? 700 : 30000, seed);
		if (is_damaged)
			flip_bits(&c[i], seed);
		assert_true(c[i].chunk.stored_len < ROOM - 16);
		memcpy(in.host + from, c[i].stored, c[i].chunk.stored_len);
		assert_int_equal(bs_cuda_model_new(&models[i], c[i].model),
				 BS_OK);
		assert_int_equal(bs_cuda_batch_add(batch, &c[i].chunk,
						   &c[i].blob, models[i],
						   in.device + from,
						   out.device + to),
				 BS_OK);
		c[i].blob.first_chunk = to;
	}
	must(cudaMemcpy(in.device, in.host, (size_t)N_CHUNKS * ROOM,
			cudaMemcpyHostToDevice));
	assert_int_equal(bs_cuda_batch_decode(batch, 0, stream), BS_OK);
	must(cudaStreamSynchronize(stream));
	must(cudaMemcpy(results, bs_cuda_batch_results(batch), sizeof(results),
			cudaMemcpyDeviceToHost));
	must(cudaMemcpy(out.host, out.device, (size_t)N_CHUNKS * ROOM,
			cudaMemcpyDeviceToHost));
	for (i = 0; i < N_CHUNKS; i++) {
		uint32_t len = c[i].chunk.raw_len;
		size_t to = c[i].blob.first_chunk;
		uint8_t *want = malloc(len);

		assert_non_null(want);
		assert_int_equal(bs_chunk_decode(&c[i].chunk, &c[i].blob,
						 c[i].model, ws, c[i].stored,
						 want),
				 results[i]);
		if (!results[i])
			assert_memory_equal(out.host + to, want, len);
		for (k = 1; k <= 8; k++) {
			assert_int_equal(out.host[to - k], 0xa5);
			assert_int_equal(out.host[to + len + k - 1], 0xa5);
		}
		free(want);
		bs_cuda_model_free(models[i]);
		random_chunk_free(&c[i]);
	}
	bs_cuda_batch_free(batch);
	must(cudaStreamDestroy(stream));
	places_free(&in);
	places_free(&out);
	free(c);
}

static void test_random_models(void **state)
{
	uint64_t seed = 30;
	unsigned i;

	(void)state;
	for (i = 0; i < rounds(4); i++)
		check_batch(0, &seed);
}

static void test_damaged_models(void **state)
{
	uint64_t seed = 31;
	unsigned i;

	(void)state;
	for (i = 0; i < rounds(4); i++)
		check_batch(1, &seed);
}

/* What the interface refuses. */
static void test_refused(void **state)
{
	static const uint8_t byte;
	struct bs_chunk c = { .raw_len = 1, .stored_len = 1 };
	struct bs_blob blob = { 0 };
	struct bs_cuda_batch *batch;

	(void)state;
	assert_int_equal(bs_cuda_batch_new(&batch, 0), BS_ERR_PARAM);
	assert_int_equal(bs_cuda_batch_new(&batch, BS_CUDA_BATCH_MAX + 1),
			 BS_ERR_PARAM);
	assert_int_equal(bs_cuda_batch_new(&batch, 1), BS_OK);
	assert_int_equal(bs_cuda_batch_decode(batch, 0, NULL), BS_OK);
	assert_int_equal(bs_cuda_batch_decode(batch, 2, NULL), BS_ERR_PARAM);
	c.coding = BS_CODING_ZSTD;
	assert_int_equal(bs_cuda_batch_add(batch, &c, &blob, NULL, &byte, NULL),
			 BS_ERR_PARAM);
	c.coding = BS_CODING_PLANES;
	assert_int_equal(bs_cuda_batch_add(batch, &c, &blob, NULL, &byte, NULL),
			 BS_ERR_PARAM);
	c.coding = BS_CODING_RAW;
	assert_int_equal(bs_cuda_batch_add(batch, &c, &blob, NULL, &byte, NULL),
			 BS_OK);
	assert_int_equal(bs_cuda_batch_add(batch, &c, &blob, NULL, &byte, NULL),
			 BS_ERR_PARAM);
	bs_cuda_batch_clear(batch);
	assert_int_equal(bs_cuda_batch_add(batch, &c, &blob, NULL, &byte, NULL),
			 BS_OK);
	bs_cuda_batch_free(batch);
	bs_cuda_batch_free(NULL);
	bs_cuda_model_free(NULL);
}

static int setup(void **state)
{
	(void)state;
	return bs_workspace_new(&ws);
}

static int teardown(void **state)
{
	(void)state;
	bs_workspace_free(ws);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_models),
		cmocka_unit_test(test_damaged_models),
		cmocka_unit_test(test_refused),
	};
	int n = 0;
	cudaError_t err = cudaGetDeviceCount(&n);

	if (err != cudaSuccess || !n) {
		printf("there is no GPU: %s\n", cudaGetErrorString(err));
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
