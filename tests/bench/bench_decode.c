/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_decode.c - decoding of real chunks, in copies of the same bytes
 *
 * usage: bench_decode [-t THREADS] [-r ROUNDS] FILE.bs
 *
 * Decodes every chunk of the container's planes (real chunks of weights, both
 * checksums as always), and copies as many bytes in pieces of the same sizes
 * with memcpy, in turns within one run.  Both write to buffers that are used
 * again and again, so neither waits for fresh pages.  Stored bytes are in
 * memory beforehand; the copy reads from a decoded image of the same size.
 *
 * Prints for each: median, least and most GB/s (10^9 decoded bytes a second)
 * of one thread and, with -t, of all together; and decode over copy, a ratio
 * that the machine's speed mostly cancels from.
 */

#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bigsmall.h"

#define MAX_ROUNDS 101
#define MAX_THREADS 64

/* A chunk with all that decoding it takes; 'image' is its decoded bytes. */
struct work {
	struct bs_chunk chunk;
	struct bs_blob blob;
	const struct bs_model *model; /* borrowed from models[] */
	unsigned char *stored; /* owned */
	unsigned char *image; /* owned */
};

struct job {
	const struct work *work; /* borrowed */
	size_t n_work;
	int is_copy;
	struct bs_workspace *ws; /* owned */
	unsigned char *dst; /* owned */
	pthread_barrier_t *start; /* borrowed */
	enum bs_result res;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static int source_pread(void *ctx, void *buf, size_t len, uint64_t off)
{
	unsigned char *dst = buf;
	int fd = *(int *)ctx;

	while (len) {
		ssize_t n = pread(fd, dst, len, (off_t)off);

		if (n <= 0)
			return -5; /* EIO; the file ended early or failed */
		dst += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static void *alloc(size_t len)
{
	void *p;

	if (posix_memalign(&p, 4096, len ? len : 1)) {
		fprintf(stderr, "bench_decode: out of memory\n");
		exit(3);
	}
	/* Touched: no page is fresh when the clock runs. */
	memset(p, 1, len);
	return p;
}

static void check(enum bs_result res, const struct bs_error *err)
{
	if (res == BS_OK)
		return;
	fprintf(stderr, "bench_decode: %s\n",
		err && err->text[0] ? err->text : bs_result_text(res));
	exit(res == BS_ERR_IO || res == BS_ERR_NOMEM ? 3 : 1);
}

/* Everything with BS_CODING_PLANES; returns its decoded bytes. */
static uint64_t load(struct bs_archive *ar, const struct bs_source *src,
		     struct bs_model **models, struct work *work, size_t *ret_n)
{
	struct bs_error err = { 0 };
	struct bs_page *page = NULL;
	uint64_t page_no = UINT64_MAX, bytes = 0;
	size_t n = 0;

	for (uint64_t i = 0; i < bs_archive_n_chunks(ar); i++) {
		struct work *w = &work[n];

		if (bs_archive_page_of(ar, i) != page_no) {
			bs_page_free(page);
			page_no = bs_archive_page_of(ar, i);
			check(bs_page_load(ar, page_no, &page, &err), &err);
		}
		bs_page_chunk(ar, page, i, &w->chunk);
		if (w->chunk.coding != BS_CODING_PLANES)
			continue;
		bs_archive_blob(ar, w->chunk.blob, &w->blob);
		if (!models[w->chunk.blob])
			check(bs_model_load(ar, w->blob.model,
					    &models[w->chunk.blob], &err),
			      &err);
		w->model = models[w->chunk.blob];
		w->stored = alloc(w->chunk.stored_len);
		w->image = alloc(w->chunk.raw_len);
		if (src->pread(src->ctx, w->stored, w->chunk.stored_len,
			       w->chunk.stored_off))
			check(BS_ERR_IO, NULL);
		bytes += w->chunk.raw_len;
		n++;
	}
	bs_page_free(page);
	*ret_n = n;
	return bytes;
}

static void *run_job(void *arg)
{
	struct job *job = arg;

	pthread_barrier_wait(job->start);
	for (size_t i = 0; i < job->n_work && job->res == BS_OK; i++) {
		const struct work *w = &job->work[i];

		if (job->is_copy) {
			memcpy(job->dst, w->image, w->chunk.raw_len);
			/* A copy that nobody reads might be left out. */
			__asm__ volatile("" : : "r"(job->dst) : "memory");
		} else {
			job->res = bs_chunk_decode(&w->chunk, &w->blob,
						   w->model, job->ws, w->stored,
						   job->dst);
		}
	}
	return NULL;
}

/* All threads do all the work, each for itself; seconds. */
static double run_round(struct job *jobs, unsigned n_threads, int is_copy)
{
	pthread_barrier_t start;
	pthread_t threads[MAX_THREADS];
	double begin;

	pthread_barrier_init(&start, NULL, n_threads + 1);
	for (unsigned t = 0; t < n_threads; t++) {
		jobs[t].is_copy = is_copy;
		jobs[t].start = &start;
		if (pthread_create(&threads[t], NULL, run_job, &jobs[t])) {
			fprintf(stderr, "bench_decode: no thread\n");
			exit(3);
		}
	}
	begin = now();
	pthread_barrier_wait(&start);
	for (unsigned t = 0; t < n_threads; t++)
		pthread_join(threads[t], NULL);
	for (unsigned t = 0; t < n_threads; t++)
		check(jobs[t].res, NULL);
	return now() - begin;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const char *name, double *x, unsigned n, const char *unit)
{
	qsort(x, n, sizeof(*x), by_value);
	printf("%-8s median %7.4f   least %7.4f   most %7.4f %s\n", name,
	       x[n / 2], x[0], x[n - 1], unit);
}

static void measure(const struct work *work, size_t n_work, uint64_t bytes,
		    unsigned n_threads, unsigned n_rounds)
{
	struct job jobs[MAX_THREADS];
	double copy[MAX_ROUNDS], decode[MAX_ROUNDS], ratio[MAX_ROUNDS];
	double gb = (double)bytes * n_threads / 1e9;

	for (unsigned t = 0; t < n_threads; t++) {
		jobs[t] = (struct job){ .work = work, .n_work = n_work };
		check(bs_workspace_new(&jobs[t].ws), NULL);
		jobs[t].dst = alloc(BS_CHUNK_RAW_MAX);
	}
	/* One of each first, for caches, tables and clock frequency. */
	run_round(jobs, n_threads, 1);
	run_round(jobs, n_threads, 0);
	for (unsigned r = 0; r < n_rounds; r++) {
		copy[r] = gb / run_round(jobs, n_threads, 1);
		decode[r] = gb / run_round(jobs, n_threads, 0);
		ratio[r] = decode[r] / copy[r];
	}
	printf("%u thread%s, %u rounds\n", n_threads, n_threads == 1 ? "" : "s",
	       n_rounds);
	print("memcpy", copy, n_rounds, "GB/s");
	print("decode", decode, n_rounds, "GB/s");
	print("ratio", ratio, n_rounds, "of memcpy");
	for (unsigned t = 0; t < n_threads; t++) {
		bs_workspace_free(jobs[t].ws);
		free(jobs[t].dst);
	}
}

/* The image of each chunk, by decoding it once, checksums and all. */
static void decode_images(struct work *work, size_t n)
{
	struct bs_workspace *ws;

	check(bs_workspace_new(&ws), NULL);
	for (size_t i = 0; i < n; i++)
		check(bs_chunk_decode(&work[i].chunk, &work[i].blob,
				      work[i].model, ws, work[i].stored,
				      work[i].image),
		      NULL);
	bs_workspace_free(ws);
}

static unsigned number(const char *text, unsigned max)
{
	unsigned long n = strtoul(text, NULL, 10);

	if (n < 1 || n > max) {
		fprintf(stderr, "bench_decode: %s is not 1 to %u\n", text, max);
		exit(2);
	}
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	struct bs_error err = { 0 };
	struct bs_archive *ar;
	struct bs_model **models;
	struct work *work;
	struct stat st;
	unsigned n_threads = 1, n_rounds = 11;
	uint64_t bytes, n_blobs;
	size_t n;
	int opt, fd;

	while ((opt = getopt(argc, argv, "t:r:")) != -1) {
		if (opt == 't')
			n_threads = number(optarg, MAX_THREADS);
		else if (opt == 'r')
			n_rounds = number(optarg, MAX_ROUNDS);
		else
			return 2;
	}
	if (optind != argc - 1) {
		fprintf(stderr, "usage: bench_decode [-t THREADS] [-r ROUNDS] "
				"FILE.bs\n");
		return 2;
	}
	fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		perror(argv[optind]);
		return 3;
	}
	struct bs_source src = { source_pread, &fd, (uint64_t)st.st_size };

	check(bs_archive_open(&ar, &src, &err), &err);
	n_blobs = bs_archive_n_blobs(ar);
	models = calloc(n_blobs + 1, sizeof(struct bs_model *));
	work = calloc(bs_archive_n_chunks(ar) + 1, sizeof(*work));
	if (!models || !work)
		check(BS_ERR_NOMEM, NULL);
	bytes = load(ar, &src, models, work, &n);
	if (!n) {
		fprintf(stderr, "%s: no chunk of it is coded by planes\n",
			argv[optind]);
		return 1;
	}
	decode_images(work, n);
	printf("%s: %zu chunks, %.1f MB decoded, %.1f KiB each\n", argv[optind],
	       n, (double)bytes / 1e6, (double)bytes / (double)n / 1024);
	measure(work, n, bytes, 1, n_rounds);
	if (n_threads > 1)
		measure(work, n, bytes, n_threads, n_rounds);

	for (size_t i = 0; i < n; i++) {
		free(work[i].stored);
		free(work[i].image);
	}
	for (uint64_t i = 0; i < n_blobs; i++)
		bs_model_free(models[i]);
	free(models);
	free(work);
	bs_archive_close(ar);
	close(fd);
	return 0;
}
