/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read_memory.c - how fast memory can be read, by some threads
 *
 * usage: read_memory THREADS [ROUNDS]
 *
 * Each thread reads a part of 1 GiB, in huge pages where the system has them,
 * in order, once a round, and adds it up.  Prints the median, least and most
 * GB/s (10^9) of the rounds, of which there are 9 by default.
 */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define LEN ((size_t)1 << 30)
#define MAX_THREADS 256
#define MAX_ROUNDS 1000

struct reader {
	pthread_t thread;
	const uint64_t *from;
	size_t n; /* a multiple of 32 */
	unsigned rounds;
	uint64_t sum;
};

static pthread_barrier_t barrier;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Four lines at a time, so that no sum is waited for. */
static uint64_t add_up(const uint64_t *from, size_t n)
{
	uint64_t sum[32] = { 0 }, all = 0;
	size_t i, k;

	for (i = 0; i < n; i += 32) {
		for (k = 0; k < 32; k++)
			sum[k] += from[i + k];
	}
	for (k = 0; k < 32; k++)
		all += sum[k];
	return all;
}

static void *run(void *arg)
{
	struct reader *r = arg;
	unsigned i;

	for (i = 0; i < r->rounds; i++) {
		pthread_barrier_wait(&barrier);
		r->sum += add_up(r->from, r->n);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int main(int argc, char **argv)
{
	static struct reader readers[MAX_THREADS];
	static double rates[MAX_ROUNDS];
	int n = argc > 1 ? atoi(argv[1]) : 0;
	int rounds = argc > 2 ? atoi(argv[2]) : 9, i;
	uint64_t sum = 0;
	uint64_t *data;
	size_t k;

	if (n < 1 || n > MAX_THREADS || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: read_memory THREADS [ROUNDS]\n");
		return 2;
	}
	data = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED) {
		perror("mmap");
		return 3;
	}
	madvise(data, LEN, MADV_HUGEPAGE);
	for (k = 0; k < LEN / sizeof(*data); k++)
		data[k] = k;
	pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
	for (i = 0; i < n; i++) {
		struct reader *r = &readers[i];

		r->n = LEN / sizeof(*data) / (size_t)n / 32 * 32;
		r->from = data + (size_t)i * r->n;
		r->rounds = (unsigned)rounds;
		if (pthread_create(&r->thread, NULL, run, r)) {
			fprintf(stderr, "a thread cannot be started\n");
			return 3;
		}
	}
	for (i = 0; i < rounds; i++) {
		double begin;

		pthread_barrier_wait(&barrier);
		begin = now();
		pthread_barrier_wait(&barrier);
		rates[i] = (double)(readers[0].n * sizeof(*data)) * n /
			   (now() - begin) / 1e9;
	}
	for (i = 0; i < n; i++) {
		pthread_join(readers[i].thread, NULL);
		sum += readers[i].sum;
	}
	qsort(rates, (size_t)rounds, sizeof(*rates), compare);
	printf("%.2f %.2f %.2f\n", rates[rounds / 2], rates[0],
	       rates[rounds - 1]);
	return sum == 0; /* which it is not, and the compiler does not know */
}
