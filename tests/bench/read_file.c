/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read_file.c - how fast one file can be read, once, in order
 *
 * usage: read_file pread|mmap FILE
 *
 * pread: 1 MiB at a time into one reused buffer.  mmap: a private map of the
 * whole file, as safetensors makes, one byte of each page read in order.
 * Prints bytes, seconds, GB/s (10^9) and a sum of what was read, which is the
 * same for equal files.  Cold or warm is the caller's business: nothing is
 * dropped here, and opening and mapping are in the time.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)
#define PAGE ((size_t)4096)

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

static int read_by_mmap(int fd, uint64_t size, uint64_t *ret_sum)
{
	void *map =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*ret_sum = touch(map, size);
	munmap(map, size);
	return 0;
}

int main(int argc, char **argv)
{
	struct stat st;
	uint64_t sum = 0;
	double begin, spent;
	int fd, err;

	if (argc != 3 ||
	    (strcmp(argv[1], "pread") && strcmp(argv[1], "mmap"))) {
		fprintf(stderr, "usage: read_file pread|mmap FILE\n");
		return 2;
	}
	begin = now();
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		perror(argv[2]);
		return 3;
	}
	if (!strcmp(argv[1], "pread"))
		err = read_by_pread(fd, (uint64_t)st.st_size, &sum);
	else
		err = read_by_mmap(fd, (uint64_t)st.st_size, &sum);
	spent = now() - begin;
	close(fd);
	if (err) {
		fprintf(stderr, "%s: %s\n", argv[2], strerror(-err));
		return 3;
	}
	printf("%llu %.6f %.4f %016llx\n", (unsigned long long)st.st_size,
	       spent, (double)st.st_size / spent / 1e9,
	       (unsigned long long)sum);
	return 0;
}
