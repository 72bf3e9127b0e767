/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_cuda.c - decoding of real chunks on a GPU
 *
 * usage: bench_cuda [-m MB] [-r ROUNDS] FILE.bs
 *
 * Copies the stored bytes of the container's chunks into device memory, again
 * and again until they decode to MB megabytes (2000), decodes them in one
 * batch, and compares every chunk with what the library decodes on the host,
 * byte for byte; a difference ends it with exit 1.  Then it measures, in turns
 * within one run: a copy from device memory to device memory, the decoding
 * without checksums, and with them.  Events of the stream are the clock.
 *
 * Prints for each the median, least and most GB/s: of decoded bytes, of bytes
 * read and written, and the latter as a share of the copy's and of what the
 * memory has by its data sheet.  Chunks coded by zstd are the host's, and not
 * counted; the program says how many they are.
 *
 * Exit 3: no GPU, or not enough memory.
 */

#include <cuda_runtime_api.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bigsmall_cuda.h"
#include "source.h"

#define MAX_ROUNDS 101

struct work {
	struct bs_chunk chunk;
	struct bs_blob blob;
	const struct bs_model *model; /* borrowed; NULL: none */
	const struct bs_cuda_model *cuda_model; /* borrowed; NULL: none */
	uint8_t *stored; /* owned */
	size_t at; /* of its stored bytes, in one copy of all */
	size_t raw_at; /* of its decoded bytes, likewise */
};

struct bench {
	struct bs_archive *ar;
	struct bs_source src;
	struct work *work;
	size_t n_work, n_zstd;
	struct bs_model **models; /* [blobs] */
	struct bs_cuda_model **cuda_models; /* [blobs] */
	size_t stored_len, raw_len; /* of one copy, each chunk aligned */
	uint64_t stored_sum, raw_sum; /* bytes of all chunks of one copy */
	unsigned n_copies;
	uint8_t *stored, *raw; /* device memory, n_copies each */
	struct bs_cuda_batch *batch;
	cudaStream_t stream;
};

static void die(int code, const char *what)
{
	fprintf(stderr, "bench_cuda: %s\n", what);
	exit(code);
}

static void cuda(cudaError_t err)
{
	if (err != cudaSuccess)
		die(3, cudaGetErrorString(err));
}

static void check(enum bs_result res, const struct bs_error *err)
{
	if (res)
		die(res == BS_ERR_IO || res == BS_ERR_NOMEM ? 3 : 1,
		    err && err->text[0] ? err->text : bs_result_text(res));
}

static void *alloc(size_t n, size_t len)
{
	void *p = calloc(n ? n : 1, len);

	if (!p)
		check(BS_ERR_NOMEM, NULL);
	return p;
}

static size_t align(size_t len)
{
	return (len + 255) / 256 * 256;
}

/* The model of a chunk's blob, on the host and on the device. */
static void load_model(struct bench *b, struct work *w)
{
	uint64_t blob = w->chunk.blob;
	struct bs_error err = { 0 };

	if (w->chunk.coding != BS_CODING_PLANES)
		return;
	if (!b->models[blob]) {
		check(bs_model_load(b->ar, w->blob.model, &b->models[blob],
				    &err),
		      &err);
		check(bs_cuda_model_new(&b->cuda_models[blob], b->models[blob]),
		      NULL);
	}
	w->model = b->models[blob];
	w->cuda_model = b->cuda_models[blob];
}

static void load(struct bench *b)
{
	uint64_t n = bs_archive_n_chunks(b->ar), page_no = UINT64_MAX, i;
	struct bs_error err = { 0 };
	struct bs_page *page = NULL;

	b->work = alloc(n, sizeof(*b->work));
	b->models = alloc(bs_archive_n_blobs(b->ar), sizeof(*b->models));
	b->cuda_models =
		alloc(bs_archive_n_blobs(b->ar), sizeof(*b->cuda_models));
	for (i = 0; i < n; i++) {
		struct work *w = &b->work[b->n_work];

		if (bs_archive_page_of(b->ar, i) != page_no) {
			bs_page_free(page);
			page_no = bs_archive_page_of(b->ar, i);
			check(bs_page_load(b->ar, page_no, &page, &err), &err);
		}
		bs_page_chunk(b->ar, page, i, &w->chunk);
		if (w->chunk.coding == BS_CODING_ZSTD) {
			b->n_zstd++;
			continue;
		}
		bs_archive_blob(b->ar, w->chunk.blob, &w->blob);
		load_model(b, w);
		w->stored = alloc(w->chunk.stored_len, 1);
		if (b->src.pread(b->src.ctx, w->stored, w->chunk.stored_len,
				 w->chunk.stored_off))
			check(BS_ERR_IO, NULL);
		w->at = b->stored_len;
		w->raw_at = b->raw_len;
		b->stored_len += align(w->chunk.stored_len);
		b->raw_len += align(w->chunk.raw_len);
		b->stored_sum += w->chunk.stored_len;
		b->raw_sum += w->chunk.raw_len;
		b->n_work++;
	}
	bs_page_free(page);
	if (!b->n_work)
		die(1, "no chunk of the file is decoded by a GPU");
}

/* As many copies as make 'bytes', if they fit. */
static void place(struct bench *b, uint64_t bytes)
{
	size_t one = b->stored_len + b->raw_len, room, all, i;
	unsigned k;

	cuda(cudaMemGetInfo(&room, &all));
	b->n_copies = (unsigned)((bytes + b->raw_sum - 1) / b->raw_sum);
	if (b->n_copies > room / 10 * 9 / one)
		b->n_copies = (unsigned)(room / 10 * 9 / one);
	if (b->n_copies > BS_CUDA_BATCH_MAX / b->n_work)
		b->n_copies = (unsigned)(BS_CUDA_BATCH_MAX / b->n_work);
	if (!b->n_copies)
		die(3, "the file does not fit the device's memory");
	cuda(cudaMalloc((void **)&b->stored, b->n_copies * b->stored_len));
	cuda(cudaMalloc((void **)&b->raw, b->n_copies * b->raw_len));
	check(bs_cuda_batch_new(&b->batch, (uint32_t)(b->n_copies * b->n_work)),
	      NULL);
	for (k = 0; k < b->n_copies; k++) {
		for (i = 0; i < b->n_work; i++) {
			const struct work *w = &b->work[i];
			uint8_t *at = b->stored + k * b->stored_len + w->at;

			cuda(cudaMemcpy(at, w->stored, w->chunk.stored_len,
					cudaMemcpyHostToDevice));
			check(bs_cuda_batch_add(b->batch, &w->chunk, &w->blob,
						w->cuda_model, at,
						b->raw + k * b->raw_len +
							w->raw_at),
			      NULL);
		}
	}
}

/* Every chunk of every copy against the host's. */
static void compare(struct bench *b)
{
	size_t n = b->n_copies * b->n_work, i;
	uint32_t *results = alloc(n, sizeof(*results));
	uint8_t *want = alloc(BS_CHUNK_RAW_MAX, 1);
	uint8_t *got = alloc(BS_CHUNK_RAW_MAX, 1);
	struct bs_workspace *ws;
	unsigned k;

	check(bs_workspace_new(&ws), NULL);
	cuda(cudaMemset(b->raw, 0xa5, b->n_copies * b->raw_len));
	check(bs_cuda_batch_decode(b->batch, 0, b->stream), NULL);
	cuda(cudaStreamSynchronize(b->stream));
	cuda(cudaMemcpy(results, bs_cuda_batch_results(b->batch),
			n * sizeof(*results), cudaMemcpyDeviceToHost));
	for (i = 0; i < b->n_work; i++) {
		const struct work *w = &b->work[i];
		uint32_t len = w->chunk.raw_len;

		check(bs_chunk_decode(&w->chunk, &w->blob, w->model, ws,
				      w->stored, want),
		      NULL);
		for (k = 0; k < b->n_copies; k++) {
			if (results[k * b->n_work + i] != BS_OK)
				die(1, "the device refuses a good chunk");
			cuda(cudaMemcpy(got,
					b->raw + k * b->raw_len + w->raw_at,
					len, cudaMemcpyDeviceToHost));
			if (memcmp(got, want, len) != 0)
				die(1, "the device decodes other bytes");
		}
	}
	bs_workspace_free(ws);
	free(results);
	free(want);
	free(got);
	printf("compared with the host's decoding: equal\n");
}

/* ---- Time --------------------------------------------------------------- */

enum what { COPY, DECODE, DECODE_AND_CHECK, N_WHAT };

static double seconds(struct bench *b, enum what what)
{
	size_t half = b->n_copies * b->raw_len / 2 / 256 * 256;
	cudaEvent_t begin, end;
	float ms;

	cuda(cudaEventCreate(&begin));
	cuda(cudaEventCreate(&end));
	cuda(cudaEventRecord(begin, b->stream));
	if (what == COPY)
		cuda(cudaMemcpyAsync(b->raw, b->raw + half, half,
				     cudaMemcpyDeviceToDevice, b->stream));
	else
		check(bs_cuda_batch_decode(
			      b->batch, what == DECODE ? BS_CUDA_UNCHECKED : 0,
			      b->stream),
		      NULL);
	cuda(cudaEventRecord(end, b->stream));
	cuda(cudaEventSynchronize(end));
	cuda(cudaEventElapsedTime(&ms, begin, end));
	cuda(cudaEventDestroy(begin));
	cuda(cudaEventDestroy(end));
	return ms / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* GB/s that the memory has by its data sheet; 0: the driver does not say. */
static double sheet_gbps(void)
{
	int device, khz, bits;

	cuda(cudaGetDevice(&device));
	if (cudaDeviceGetAttribute(&khz, cudaDevAttrMemoryClockRate, device) ||
	    cudaDeviceGetAttribute(&bits, cudaDevAttrGlobalMemoryBusWidth,
				   device))
		return 0;
	return 2.0 * khz * 1e3 * bits / 8 / 1e9;
}

static void measure(struct bench *b, unsigned n_rounds)
{
	static const char *const names[] = { "copy", "decode",
					     "decode and check" };
	double gb[N_WHAT], moved[N_WHAT], t[N_WHAT][MAX_ROUNDS];
	double raw = (double)b->raw_sum * b->n_copies / 1e9, copied;
	double stored = (double)b->stored_sum * b->n_copies / 1e9;
	double sheet = sheet_gbps();
	unsigned r, w;

	gb[COPY] = (double)(b->n_copies * b->raw_len / 2 / 256 * 256) / 1e9;
	gb[DECODE] = gb[DECODE_AND_CHECK] = raw;
	moved[COPY] = 2 * gb[COPY];
	moved[DECODE] = stored + raw;
	moved[DECODE_AND_CHECK] = stored + 2 * raw;
	for (w = 0; w < N_WHAT; w++)
		seconds(b, w);
	for (r = 0; r < n_rounds; r++)
		for (w = 0; w < N_WHAT; w++)
			t[w][r] = seconds(b, w);
	for (w = 0; w < N_WHAT; w++)
		qsort(t[w], n_rounds, sizeof(*t[w]), by_value);
	copied = moved[COPY] / t[COPY][n_rounds / 2];
	for (w = 0; w < N_WHAT; w++) {
		double median = t[w][n_rounds / 2];

		printf("%-16s median %7.1f   least %7.1f   most %7.1f GB/s; "
		       "read and written %7.1f, %.3f of the copy's",
		       names[w], gb[w] / median, gb[w] / t[w][n_rounds - 1],
		       gb[w] / t[w][0], moved[w] / median,
		       moved[w] / median / copied);
		if (sheet > 0)
			printf(", %.3f of %.0f", moved[w] / median / sheet,
			       sheet);
		printf("\n");
	}
}

static void bench_free(struct bench *b)
{
	uint64_t i;

	bs_cuda_batch_free(b->batch);
	cuda(cudaFree(b->stored));
	cuda(cudaFree(b->raw));
	cuda(cudaStreamDestroy(b->stream));
	for (i = 0; i < b->n_work; i++)
		free(b->work[i].stored);
	for (i = 0; i < bs_archive_n_blobs(b->ar); i++) {
		bs_model_free(b->models[i]);
		bs_cuda_model_free(b->cuda_models[i]);
	}
	free(b->work);
	free(b->models);
	free(b->cuda_models);
	bs_archive_close(b->ar);
}

static unsigned number(const char *text, unsigned max)
{
	unsigned long n = strtoul(text, NULL, 10);

	if (n < 1 || n > max) {
		fprintf(stderr, "bench_cuda: %s is not 1 to %u\n", text, max);
		exit(2);
	}
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	unsigned n_rounds = 11, mb = 2000;
	struct bs_error err = { 0 };
	struct bench b = { 0 };
	struct stat st;
	int opt, fd;

	while ((opt = getopt(argc, argv, "m:r:")) != -1) {
		if (opt == 'm')
			mb = number(optarg, 1000000);
		else if (opt == 'r')
			n_rounds = number(optarg, MAX_ROUNDS);
		else
			return 2;
	}
	if (optind != argc - 1) {
		fprintf(stderr,
			"usage: bench_cuda [-m MB] [-r ROUNDS] FILE.bs\n");
		return 2;
	}
	fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		perror(argv[optind]);
		return 3;
	}
	b.src = (struct bs_source){ .pread = source_pread,
				    .ctx = &fd,
				    .size = (uint64_t)st.st_size };
	cuda(cudaStreamCreate(&b.stream));
	check(bs_archive_open(&b.ar, &b.src, &err), &err);
	load(&b);
	place(&b, (uint64_t)mb * 1000000);
	printf("%s: %zu chunks, %u times; %.1f MB of %.1f MB decoded; %zu "
	       "chunks are the host's\n",
	       argv[optind], b.n_work, b.n_copies,
	       (double)b.stored_sum * b.n_copies / 1e6,
	       (double)b.raw_sum * b.n_copies / 1e6, b.n_zstd);
	compare(&b);
	measure(&b, n_rounds);
	bench_free(&b);
	close(fd);
	return 0;
}
