/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test.h - what the unit tests share: guarded buffers, seeded random bytes,
 * containers in memory
 */

#ifndef BS_TEST_H
#define BS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first. */
#include <cmocka.h>

#include "bigsmall.h"
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* 'len' bytes that end, or begin, at a page nobody may touch. */
struct guarded {
	uint8_t *p;
	uint8_t *map;
	size_t map_len;
};

static inline struct guarded guarded_new(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t body = (len + page - 1) / page * page;
	struct guarded g = { .map_len = body + 2 * page };

	g.map = mmap(NULL, g.map_len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(g.map != MAP_FAILED);
	assert_int_equal(mprotect(g.map, page, PROT_NONE), 0);
	assert_int_equal(mprotect(g.map + page + body, page, PROT_NONE), 0);
	g.p = g.map + page + body - len;
	return g;
}

/* The same bytes' other end: 'p' follows the page before. */
static inline struct guarded guarded_new_low(size_t len)
{
	struct guarded g = guarded_new(len);

	g.p = g.map + sysconf(_SC_PAGESIZE);
	return g;
}

static inline void guarded_free(struct guarded *g)
{
	munmap(g->map, g->map_len);
}

/* A file below 'root' with that text, and the directories that it wants. */
static inline void put_file(const char *root, const char *path,
			    const char *text)
{
	char full[512];
	char *slash;
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/'));
	     slash++) {
		*slash = 0;
		mkdir(full, 0700);
		*slash = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Ends the test where this CPU lacks the kernels that $BIGSMALL_CPU names:
 * tests/CMakeLists.txt runs some once for each. */
static inline void need_kernels(void)
{
	const char *name = getenv("BIGSMALL_CPU");
	const struct bs_kernels *k;
	unsigned i;

	if (!name || !*name)
		return;
	for (i = 0; (k = bs_kernels_at(i)); i++) {
		if (!strcmp(k->name, name))
			return;
	}
	printf("this CPU has no kernels \"%s\"\n", name);
	exit(77);
}

/* xorshift64*: the same everywhere. */
static inline uint64_t random_u64(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

/* A count of randomised cases: tests/long.sh asks for more. */
static inline unsigned rounds(unsigned n)
{
	const char *times = getenv("BIGSMALL_ROUNDS");

	return times ? n * (unsigned)atoi(times) : n;
}

/* About normal, mean 0, deviation 1: twelve uniforms. */
static inline float random_normal(uint64_t *state)
{
	float sum = -6;
	int i;

	for (i = 0; i < 12; i++)
		sum += (float)(random_u64(state) >> 40) * 0x1p-24f;
	return sum;
}

/* A container in memory: a sink while written, a source while read. */
struct memory {
	uint8_t *p;
	size_t len;
};

static inline int memory_pwrite(void *ctx, const void *buf, size_t len,
				uint64_t off)
{
	struct memory *m = ctx;

	if (off + len > m->len) {
		m->p = realloc(m->p, off + len);
		assert_non_null(m->p);
		memset(m->p + m->len, 0, off + len - m->len);
		m->len = off + len;
	}
	memcpy(m->p + off, buf, len);
	return 0;
}

static inline int memory_pread(void *ctx, void *buf, size_t len, uint64_t off)
{
	const struct memory *m = ctx;

	assert_true(off <= m->len && len <= m->len - off);
	memcpy(buf, m->p + off, len);
	return 0;
}

static inline struct bs_source memory_source(struct memory *m)
{
	struct bs_source src = { .pread = memory_pread,
				 .ctx = m,
				 .size = m->len };

	return src;
}

/* A file's bytes, the caller's to free; the test fails where it has none. */
static inline struct memory memory_load(const char *path)
{
	struct memory m = { 0 };
	uint8_t buf[65536];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		fail_msg("%s cannot be opened", path);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		memory_pwrite(&m, buf, n, m.len);
	assert_false(ferror(f));
	fclose(f);
	return m;
}

#endif /* BS_TEST_H */
