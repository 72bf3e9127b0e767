/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_decode.c - decoding of real chunks, in copies of the same bytes
 *
 * usage: bench_decode [-t THREADS] [-r ROUNDS] FILE.bs
 *
 * Decodes every chunk of the container's planes (real chunks of weights, the
 * decoded bytes' checksum compared as always) into a buffer of 1 MiB that is
 * used again and again, and copies 64 MiB with memcpy between buffers that are
 * used again too, in turns within one run: so no page is fresh when the clock
 * runs, and the stored bytes come from memory, the copy having taken their
 * place in the caches.
 *
 * Prints for each: median, least and most GB/s (10^9 decoded bytes a second that
 * the thread was on a core) of one thread and, with -t, of all together; and
 * decode over copy, a ratio
 * that the machine's speed mostly cancels from.  "kernel" is decoding less
 * what the checksum of as many bytes in the same buffer takes.
 *
 * $BIGSMALL_CPU chooses the kernels; decode.py runs this for each.
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
#include "checksum.h"
#include "kernels.h"
#include "source.h"

#define MAX_ROUNDS 101
#define MAX_THREADS 64
#define WINDOW (1 << 20) /* what is decoded into */
#define COPY (64 << 20)

/* A chunk with all that decoding it takes. */
struct work {
	struct bs_chunk chunk;
	struct bs_blob blob;
	const struct bs_model *model; /* borrowed from models[] */
	unsigned char *stored; /* owned */
};

enum what { COPY_ALL, DECODE, SUM };

struct job {
	const struct work *work; /* borrowed */
	size_t n_work;
	enum what what;
	struct bs_workspace *ws; /* owned */
	unsigned char *window; /* owned */
	unsigned char *from, *to; /* owned; COPY bytes */
	uint64_t sums; /* or summing might be left out */
	double spent; /* seconds */
	pthread_barrier_t *start; /* borrowed */
	enum bs_result res;
};

/* Of this thread: others may want its core too. */
static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
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

static void copy_all(struct job *job)
{
	memcpy(job->to, job->from, COPY);
	/* A copy that nobody reads might be left out. */
	__asm__ volatile("" : : "r"(job->to) : "memory");
}

static void decode_or_sum(struct job *job)
{
	size_t at = 0;

	for (size_t i = 0; i < job->n_work && job->res == BS_OK; i++) {
		const struct work *w = &job->work[i];
		unsigned char *dst;

		if (at + w->chunk.raw_len > WINDOW)
			at = 0;
		dst = job->window + at;
		at += (w->chunk.raw_len + 63) / 64 * 64;
		if (job->what == SUM)
			job->sums += bs_xxh3_64(dst, w->chunk.raw_len);
		else
			job->res = bs_chunk_decode(&w->chunk, &w->blob,
						   w->model, job->ws, w->stored,
						   dst);
	}
}

static void *run_job(void *arg)
{
	struct job *job = arg;
	double begin;

	pthread_barrier_wait(job->start);
	begin = cpu_seconds();
	if (job->what == COPY_ALL)
		copy_all(job);
	else
		decode_or_sum(job);
	job->spent = cpu_seconds() - begin;
	return NULL;
}

/* All threads do all the work, each for itself; the seconds that the slowest
 * was on a core. */
static double run_round(struct job *jobs, unsigned n_threads, enum what what)
{
	pthread_barrier_t start;
	pthread_t threads[MAX_THREADS];
	double spent = 0;

	pthread_barrier_init(&start, NULL, n_threads);
	for (unsigned t = 0; t < n_threads; t++) {
		jobs[t].what = what;
		jobs[t].start = &start;
		if (pthread_create(&threads[t], NULL, run_job, &jobs[t])) {
			fprintf(stderr, "bench_decode: no thread\n");
			exit(3);
		}
	}
	for (unsigned t = 0; t < n_threads; t++) {
		pthread_join(threads[t], NULL);
		check(jobs[t].res, NULL);
		spent = jobs[t].spent > spent ? jobs[t].spent : spent;
	}
	pthread_barrier_destroy(&start);
	return spent;
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
	double copy[MAX_ROUNDS], decode[MAX_ROUNDS], kernel[MAX_ROUNDS];
	double ratio[MAX_ROUNDS], kernel_ratio[MAX_ROUNDS];
	double gb = (double)bytes * n_threads / 1e9;

	for (unsigned t = 0; t < n_threads; t++) {
		jobs[t] = (struct job){ .work = work, .n_work = n_work };
		check(bs_workspace_new(&jobs[t].ws), NULL);
		jobs[t].window = alloc(WINDOW);
		jobs[t].from = alloc(COPY);
		jobs[t].to = alloc(COPY);
	}
	/* One of each first, for caches, tables and clock frequency. */
	run_round(jobs, n_threads, DECODE);
	run_round(jobs, n_threads, SUM);
	for (unsigned r = 0; r < n_rounds; r++) {
		double t_copy = run_round(jobs, n_threads, COPY_ALL);
		double t_decode = run_round(jobs, n_threads, DECODE);
		double t_sum = run_round(jobs, n_threads, SUM);

		copy[r] = COPY / 1e9 * n_threads / t_copy;
		decode[r] = gb / t_decode;
		kernel[r] = gb / (t_decode - t_sum);
	}
	/* A copy is short, and single ones vary: they are compared with the
	 * median. */
	qsort(copy, n_rounds, sizeof(*copy), by_value);
	for (unsigned r = 0; r < n_rounds; r++) {
		ratio[r] = decode[r] / copy[n_rounds / 2];
		kernel_ratio[r] = kernel[r] / copy[n_rounds / 2];
	}
	printf("%s kernels, %u thread%s, %u rounds\n", bs_kernels()->name,
	       n_threads, n_threads == 1 ? "" : "s", n_rounds);
	print("memcpy", copy, n_rounds, "GB/s");
	print("decode", decode, n_rounds, "GB/s");
	print("", ratio, n_rounds, "of memcpy");
	print("kernel", kernel, n_rounds, "GB/s");
	print("", kernel_ratio, n_rounds, "of memcpy");
	for (unsigned t = 0; t < n_threads; t++) {
		bs_workspace_free(jobs[t].ws);
		free(jobs[t].window);
		free(jobs[t].from);
		free(jobs[t].to);
	}
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
	struct bs_source src = { .pread = source_pread,
				 .ctx = &fd,
				 .size = (uint64_t)st.st_size };

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
	printf("%s: %zu chunks, %.1f MB decoded, %.1f KiB each\n", argv[optind],
	       n, (double)bytes / 1e6, (double)bytes / (double)n / 1024);
	measure(work, n, bytes, 1, n_rounds);
	if (n_threads > 1)
		measure(work, n, bytes, n_threads, n_rounds);

	for (size_t i = 0; i < n; i++)
		free(work[i].stored);
	for (uint64_t i = 0; i < n_blobs; i++)
		bs_model_free(models[i]);
	free(models);
	free(work);
	bs_archive_close(ar);
	close(fd);
	return 0;
}
