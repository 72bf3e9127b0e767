/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - a container in a file, for the benchmarks
 */

#ifndef BENCH_SOURCE_H
#define BENCH_SOURCE_H

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* As struct bs_source wants it; 'ctx' points to the descriptor. */
static inline int source_pread(void *ctx, void *buf, size_t len, uint64_t off)
{
	uint8_t *dst = buf;
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

#endif /* BENCH_SOURCE_H */
