/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read_file.c - how fast one file can be read, once, in order
 *
 * usage: read_file pread|mmap|copy|random FILE
 *
 * pread: 1 MiB at a time into one reused buffer.  mmap: a private map of the
 * whole file, as safetensors makes, one byte of each page read in order.  copy:
 * the same map, copied to one reused buffer, 1 MiB at a time, as a loader does
 * that makes tensors.  Prints bytes, seconds, GB/s (10^9), a sum of what was
 * read, which is the same for equal files, and the seconds of processor time
 * that the reader took.  random: 4 KiB by pread at RANDOM_N places, the same in
 * every run; prints the median and the 99th percentile in microseconds.  Cold or
 * warm is the caller's business: nothing is dropped here, and opening and
 * mapping are in the time.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)
#define PAGE ((size_t)4096)
#define RANDOM_N 800

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* One byte of each page that begins in the file, by file offset. */
static uint64_t touch(const unsigned char *data, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i += PAGE)
		sum = sum * 31 + ((const volatile unsigned char *)data)[i];
	return sum;
}

static int read_by_pread(int fd, uint64_t size, uint64_t *ret_sum)
{
	unsigned char *buf;
	uint64_t off = 0, sum = 0;
	int err = 0;

	if (posix_memalign((void **)&buf, PAGE, PIECE))
		return -ENOMEM;
	memset(buf, 0, PIECE);
	while (off < size) {
		size_t have = 0;
		size_t want = size - off < PIECE ? size - off : PIECE;

		while (have < want) {
			ssize_t n = pread(fd, buf + have, want - have,
					  (off_t)(off + have));

			if (n <= 0) {
				err = n ? -errno : -EIO;
				goto out;
			}
			have += (size_t)n;
		}
		for (size_t i = 0; i < want; i += PAGE)
			sum = sum * 31 + buf[i];
		off += want;
	}
	*ret_sum = sum;
out:
	free(buf);
	return err;
}

static int read_by_mmap(int fd, uint64_t size, int is_copy, uint64_t *ret_sum)
{
	unsigned char *buf = is_copy ? malloc(PIECE) : NULL;
	unsigned char *map;
	uint64_t off, sum = 0;

	if (is_copy && !buf)
		return -ENOMEM;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		free(buf);
		return -errno;
	}
	if (!is_copy)
		sum = touch(map, size);
	for (off = 0; is_copy && off < size; off += PIECE) {
		size_t n = size - off < PIECE ? size - off : PIECE;

		memcpy(buf, map + off, n);
		for (size_t i = 0; i < n; i += PAGE)
			sum = sum * 31 + ((volatile unsigned char *)buf)[i];
	}
	*ret_sum = sum;
	munmap(map, size);
	free(buf);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int read_at_random(int fd, uint64_t size)
{
	static double took[RANDOM_N];
	unsigned char buf[4096];
	uint64_t seed = 1;

	for (unsigned i = 0; i < RANDOM_N; i++) {
		uint64_t off;
		double begin;

		seed = seed * UINT64_C(6364136223846793005) +
		       1442695040888963407;
		off = (seed >> 16) % (size / sizeof(buf)) * sizeof(buf);
		begin = now();
		if (pread(fd, buf, sizeof(buf), (off_t)off) != sizeof(buf))
			return errno ? -errno : -EIO;
		took[i] = now() - begin;
	}
	qsort(took, RANDOM_N, sizeof(*took), compare);
	printf("%.1f %.1f\n", took[RANDOM_N / 2] * 1e6,
	       took[RANDOM_N * 99 / 100] * 1e6);
	return 0;
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static int is_way(const char *name)
{
	return !strcmp(name, "pread") || !strcmp(name, "mmap") ||
	       !strcmp(name, "copy") || !strcmp(name, "random");
}

int main(int argc, char **argv)
{
	struct stat st;
	uint64_t sum = 0, size;
	double begin, spent;
	int fd, err;

	if (argc != 3 || !is_way(argv[1])) {
		fprintf(stderr,
			"usage: read_file pread|mmap|copy|random FILE\n");
		return 2;
	}
	begin = now();
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		perror(argv[2]);
		return 3;
	}
	size = (uint64_t)st.st_size;
	if (!strcmp(argv[1], "pread"))
		err = read_by_pread(fd, size, &sum);
	else if (!strcmp(argv[1], "random"))
		err = size < PAGE ? -EINVAL : read_at_random(fd, size);
	else
		err = read_by_mmap(fd, size, !strcmp(argv[1], "copy"), &sum);
	spent = now() - begin;
	close(fd);
	if (err) {
		fprintf(stderr, "%s: %s\n", argv[2], strerror(-err));
		return 3;
	}
	if (strcmp(argv[1], "random"))
		printf("%llu %.6f %.4f %016llx %.6f\n",
		       (unsigned long long)size, spent,
		       (double)size / spent / 1e9, (unsigned long long)sum,
		       cpu_seconds());
	return 0;
}
