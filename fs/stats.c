/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c - counters, and the list of what is wrong
 *
 * Counters are atomics without order: each is right, a set of them is not a
 * snapshot.  Problems are a bounded list; past its end it only says that there are more.
 */

#include "stats.h"

#include "bigsmall.h"
#include "cache.h"
#include "decode.h"
#include "fs.h"
#include "prefetch.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBLEMS_MAX 1000
#define SENTENCE_MAX 1024

struct problem {
	char *path; /* owned */
	char *text; /* owned */
};

struct bsfs_stats {
	_Atomic uint64_t counters[BSFS_N_COUNTERS];
	pthread_mutex_t lock; /* protects the list */
	size_t n_problems;
	int has_more; /* did not fit */
	struct problem problems[PROBLEMS_MAX];
};

static const char *const names[BSFS_N_COUNTERS] = {
	[BSFS_N_READS] = "reads",
	[BSFS_N_READ_BYTES] = "read_bytes",
	[BSFS_N_READ_ERRORS] = "read_errors",
	[BSFS_N_DECODES] = "decodes",
	[BSFS_N_DECODED_BYTES] = "decoded_bytes",
	[BSFS_N_REDECODES] = "redecodes",
	[BSFS_N_PREFETCHES] = "prefetches",
	[BSFS_N_PUSHED_BYTES] = "pushed_bytes",
	[BSFS_N_STORE_READS] = "store_reads",
	[BSFS_N_STORE_BYTES] = "store_bytes",
	[BSFS_N_SHORT_READS] = "store_short_reads",
	[BSFS_N_HEALED] = "healed_chunks",
	[BSFS_N_BAD_CHUNKS] = "bad_chunks",
	[BSFS_N_STALE] = "stale_opens",
	[BSFS_N_SUPERBLOCKS] = "superblocks_read",
	[BSFS_N_OPEN_FILES] = "open_files",
	[BSFS_N_OPEN_CONTAINERS] = "open_containers",
	[BSFS_N_OPEN_BYTES] = "open_container_bytes",
	[BSFS_N_RESIDENT_FILES] = "resident_files",
	[BSFS_N_RESIDENT_BYTES] = "resident_bytes",
	[BSFS_N_IN_FLIGHT] = "queue_depth",
	[BSFS_N_IN_FLIGHT_PEAK] = "queue_depth_peak",
};

struct bsfs_stats *bsfs_stats_new(void)
{
	struct bsfs_stats *st = calloc(1, sizeof(*st));

	if (st)
		pthread_mutex_init(&st->lock, NULL);
	return st;
}

void bsfs_stats_free(struct bsfs_stats *st)
{
	size_t i;

	if (!st)
		return;
	for (i = 0; i < st->n_problems; i++) {
		free(st->problems[i].path);
		free(st->problems[i].text);
	}
	pthread_mutex_destroy(&st->lock);
	free(st);
}

uint64_t bsfs_count(struct bsfs_stats *st, enum bsfs_counter no, int64_t n)
{
	return atomic_fetch_add_explicit(&st->counters[no], (uint64_t)n,
					 memory_order_relaxed) +
	       (uint64_t)n;
}

void bsfs_count_in_flight(struct bsfs_stats *st, int n)
{
	uint64_t now = bsfs_count(st, BSFS_N_IN_FLIGHT, n);
	_Atomic uint64_t *peak = &st->counters[BSFS_N_IN_FLIGHT_PEAK];
	uint64_t old = atomic_load_explicit(peak, memory_order_relaxed);

	while (n > 0 && now > old &&
	       !atomic_compare_exchange_weak(peak, &old, now))
		;
}

/* ---- Problems ------------------------------------------------------------ */

/* Names and sentences come from files: one problem stays one line. */
static void make_printable(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
	}
}

static int is_known(const struct bsfs_stats *st, const char *path,
		    const char *text)
{
	size_t i;

	for (i = 0; i < st->n_problems; i++) {
		if (!strcmp(st->problems[i].path, path) &&
		    !strcmp(st->problems[i].text, text))
			return 1;
	}
	return 0;
}

static int add_problem(struct bsfs_stats *st, const char *path,
		       const char *text)
{
	struct problem *p = &st->problems[st->n_problems];

	if (is_known(st, path, text))
		return 0;
	if (st->n_problems == PROBLEMS_MAX) {
		st->has_more = 1;
		return 0;
	}
	p->path = strdup(path);
	p->text = strdup(text);
	if (!p->path || !p->text) {
		free(p->path);
		free(p->text);
		return 0;
	}
	st->n_problems++;
	return 1;
}

int bsfs_problem(struct bsfs_stats *st, const char *path, const char *fmt, ...)
{
	char name[SENTENCE_MAX];
	char text[SENTENCE_MAX];
	va_list ap;
	int is_new;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(name, sizeof(name), "%s", path);
	make_printable(name);
	make_printable(text);
	pthread_mutex_lock(&st->lock);
	is_new = add_problem(st, name, text);
	pthread_mutex_unlock(&st->lock);
	return is_new;
}

void bsfs_problem_clear(struct bsfs_stats *st, const char *path)
{
	char name[SENTENCE_MAX];
	size_t i, len, n = 0;

	snprintf(name, sizeof(name), "%s", path);
	make_printable(name);
	pthread_mutex_lock(&st->lock);
	len = strlen(name);
	for (i = 0; i < st->n_problems; i++) {
		const char *of = st->problems[i].path;

		if (strncmp(of, name, len) || (of[len] && of[len] != '/')) {
			st->problems[n++] = st->problems[i];
			continue;
		}
		free(st->problems[i].path);
		free(st->problems[i].text);
	}
	st->n_problems = n;
	pthread_mutex_unlock(&st->lock);
}

uint64_t bsfs_n_problems(struct bsfs_stats *st)
{
	uint64_t n;

	pthread_mutex_lock(&st->lock);
	n = st->n_problems;
	pthread_mutex_unlock(&st->lock);
	return n;
}

char *bsfs_problems_text(struct bsfs_stats *st, size_t *ret_len)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, ret_len);
	size_t i;

	if (!file)
		return NULL;
	pthread_mutex_lock(&st->lock);
	for (i = 0; i < st->n_problems; i++)
		fprintf(file, "%s: %s\n", st->problems[i].path,
			st->problems[i].text);
	if (st->has_more)
		fprintf(file, "and more\n");
	pthread_mutex_unlock(&st->lock);
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- The numbers --------------------------------------------------------- */

static void print_u64(FILE *file, const char *key, uint64_t value)
{
	fprintf(file, ",\n  \"%s\": %llu", key, (unsigned long long)value);
}

char *bsfs_stats_text(const struct bsfs_session *s, size_t *ret_len)
{
	struct bsfs_cache_stats cache;
	uint64_t ahead_max;
	unsigned n_streams;
	char *text = NULL;
	FILE *file = open_memstream(&text, ret_len);
	unsigned i;

	if (!file)
		return NULL;
	bsfs_cache_get_stats(s->cache, &cache);
	n_streams = bsfs_prefetch_streams(s, &ahead_max);
	fprintf(file, "{\n  \"version\": \"%s\"", bs_version());
	fprintf(file, ",\n  \"io_uring\": %s",
		bsfs_decoder_is_async(s) ? "true" : "false");
	print_u64(file, "pid", (uint64_t)getpid());
	print_u64(file, "threads", s->opt->n_threads);
	for (i = 0; i < BSFS_N_COUNTERS; i++)
		print_u64(file, names[i],
			  atomic_load_explicit(&s->stats->counters[i],
					       memory_order_relaxed));
	print_u64(file, "cache_budget_bytes", cache.budget);
	print_u64(file, "cache_bytes", cache.used);
	print_u64(file, "cache_peak_bytes", cache.peak);
	print_u64(file, "cache_entries", cache.n_entries);
	print_u64(file, "cache_hits", cache.hits);
	print_u64(file, "cache_misses", cache.misses);
	print_u64(file, "cache_waits", cache.waits);
	print_u64(file, "cache_failures", cache.failures);
	print_u64(file, "cache_evictions", cache.evictions);
	print_u64(file, "prefetch_used", cache.ahead_used);
	print_u64(file, "prefetch_unused", cache.ahead_unused);
	print_u64(file, "prefetch_max_bytes", ahead_max);
	print_u64(file, "streams", n_streams);
	print_u64(file, "problems", bsfs_n_problems(s->stats));
	fprintf(file, "\n}\n");
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}
