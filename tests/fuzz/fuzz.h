/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h - what the fuzz targets share
 *
 * Buffers that end at a guard page, so that a read or write past the end is a
 * crash without a sanitizer too, and a container in memory as a source.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include "bigsmall.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* State that must hold whatever the input: a finding if not. */
#define MUST(cond)                                                         \
	do {                                                               \
		if (!(cond)) {                                             \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, \
				#cond);                                    \
			abort();                                           \
		}                                                          \
	} while (0)

/* A buffer of 'cap' bytes before a guard page, made once and kept. */
struct guarded {
	uint8_t *end;
	size_t cap;
};

/* 'len' bytes that end at the guard page. */
static inline uint8_t *guarded_get(struct guarded *g, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!g->end || len > g->cap) {
		size_t cap = (len / page + 1) * page;
		uint8_t *p = mmap(NULL, cap + page, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		MUST(p != MAP_FAILED);
		MUST(!mprotect(p + cap, page, PROT_NONE));
		if (g->end)
			munmap(g->end - g->cap, g->cap + page);
		g->end = p + cap;
		g->cap = cap;
	}
	return g->end - len;
}

/* A container in memory. */
struct mem {
	const uint8_t *p;
	size_t len;
};

static inline int mem_pread(void *ctx, void *buf, size_t len, uint64_t off)
{
	const struct mem *m = ctx;

	MUST(off <= m->len && len <= m->len - off);
	memcpy(buf, m->p + off, len);
	return 0;
}

static inline struct bs_source mem_source(struct mem *m)
{
	struct bs_source ret = { .pread = mem_pread, .ctx = m, .size = m->len };

	return ret;
}

static inline uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t load32(const uint8_t *p)
{
	return load16(p) | (uint32_t)load16(p + 2) << 16;
}

static inline uint64_t load64(const uint8_t *p)
{
	return load32(p) | (uint64_t)load32(p + 4) << 32;
}

static inline void store64(uint8_t *p, uint64_t v)
{
	int i;

	for (i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static inline void store32(uint8_t *p, uint32_t v)
{
	int i;

	for (i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

#endif /* FUZZ_H */
