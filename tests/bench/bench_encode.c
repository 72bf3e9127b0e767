/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_encode.c - encoding of a file's tensors, by its parts
 *
 * usage: bench_encode [-i | -s] [-r ROUNDS] FILE.safetensors
 *
 * By default at the default level; -i: for inference, -s: for storage.
 *
 * Each tensor of 64 KiB or more is counted, gets a model, and is encoded chunk
 * by chunk, in memory, by one thread; what is encoded is thrown away.  No file
 * is read meanwhile, and no member's SHA-256 taken.  Counting and choosing for
 * a tensor, and encoding a chunk, are timed ROUNDS times (9), and the least time
 * counts: others on the machine make it longer, nothing makes it shorter.
 *
 * Prints GB/s (10^9 raw bytes a second) of counting, choosing, encoding and of
 * all three, and what the chunks take, in percent; models are not in it.
 */

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bigsmall.h"
#include "safetensors.h"

#define LEN_MIN 65536

enum part { COUNT, CHOOSE, ENCODE, N_PARTS };

struct bench {
	const unsigned char *file; /* mapped */
	size_t file_len;
	struct bs_stats *stats; /* owned */
	struct bs_workspace *ws; /* owned */
	unsigned char *stored; /* owned */
	int n_rounds;
	enum bs_level level;
	double seconds[N_PARTS];
	uint64_t raw_len, stored_len;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	fprintf(stderr, "bench_encode: %s\n", what);
	exit(1);
}

/* As tools/layout.c has it. */
static uint64_t row_width(const struct bs_st_tensor *t)
{
	uint64_t width = bs_dtype_bits(t->dtype) / 8 / bs_dtype_unit(t->dtype);
	size_t i;

	for (i = t->n_dims; i > 1 && width < 64; i--)
		width *= t->shape[i - 1];
	return i < t->n_dims ? width : 0;
}

static void keep_least(double *least, double since)
{
	double took = now() - since;

	*least = took < *least ? took : *least;
}

static void encode(struct bench *b, const struct bs_coder *coder,
		   const struct bs_st_tensor *t)
{
	const unsigned char *raw = b->file + t->off;
	struct bs_encoded enc;
	struct bs_blob blob;
	uint64_t c, off;
	size_t len;
	int round;

	bs_blob_layout(b->level, t->dtype, t->off, t->len, &blob);
	blob.first_chunk = 0;
	for (c = 0; c < blob.n_chunks; c++) {
		double least = 1e9, at;

		bs_blob_chunk_range(&blob, c, &off, &len);
		for (round = 0; round < b->n_rounds; round++) {
			at = now();
			if (bs_chunk_encode(coder, b->ws, off, raw + off, len,
					    b->stored, &enc) != BS_OK)
				die("a chunk cannot be encoded");
			keep_least(&least, at);
		}
		b->seconds[ENCODE] += least;
		b->stored_len += enc.stored_len;
	}
}

static void measure(struct bench *b, const struct bs_st_tensor *t)
{
	double count = 1e9, choice = 1e9, at;
	struct bs_coder *coder = NULL;
	int round;

	for (round = 0; round < b->n_rounds; round++) {
		bs_coder_free(coder);
		at = now();
		if (bs_stats_begin(b->stats, t->dtype, t->len, row_width(t)) !=
		    BS_OK)
			die("out of memory");
		bs_stats_add(b->stats, b->file + t->off, t->len);
		keep_least(&count, at);
		at = now();
		if (bs_coder_new(&coder, b->stats) != BS_OK)
			die("out of memory");
		keep_least(&choice, at);
	}
	b->seconds[COUNT] += count;
	b->seconds[CHOOSE] += choice;
	b->raw_len += t->len;
	encode(b, coder, t);
	bs_coder_free(coder);
}

static struct bs_st *open_file(struct bench *b, const char *path)
{
	struct bs_st *st = NULL;
	uint64_t head_len;
	struct stat info;
	void *map;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info) != 0 || info.st_size < 8)
		die("the file cannot be read");
	b->file_len = (size_t)info.st_size;
	map = mmap(NULL, b->file_len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd,
		   0);
	if (map == MAP_FAILED)
		die("the file cannot be mapped");
	close(fd);
	b->file = map;
	if (bs_st_header_len(map, b->file_len, &head_len, NULL) != BS_OK ||
	    bs_st_parse(&st, map, head_len, b->file_len, NULL) != BS_OK)
		die("this is no safetensors file");
	return st;
}

static void report(const struct bench *b)
{
	static const char *const names[] = { "count", "choose", "encode" };
	double all = 0;
	int i;

	if (!b->raw_len)
		die("no tensor is large enough");
	for (i = 0; i < N_PARTS; i++) {
		printf("%-8s %8.3f GB/s\n", names[i],
		       (double)b->raw_len / b->seconds[i] * 1e-9);
		all += b->seconds[i];
	}
	printf("all      %8.3f GB/s\n", (double)b->raw_len / all * 1e-9);
	printf("stored   %8.3f %% of %.1f MB\n",
	       100 * (double)b->stored_len / (double)b->raw_len,
	       (double)b->raw_len * 1e-6);
}

int main(int argc, char **argv)
{
	struct bench b = { .n_rounds = 9 };
	struct bs_st *st;
	size_t i;
	int c;

	while ((c = getopt(argc, argv, "isr:")) != -1) {
		if (c == 'r')
			b.n_rounds = atoi(optarg);
		else if (c == 'i')
			b.level = BS_LEVEL_INFERENCE;
		else if (c == 's')
			b.level = BS_LEVEL_STORAGE;
		else
			return 2;
	}
	if (optind + 1 != argc || b.n_rounds < 1) {
		fprintf(stderr, "usage: bench_encode [-i | -s] [-r ROUNDS] "
				"FILE.safetensors\n");
		return 2;
	}
	st = open_file(&b, argv[optind]);
	b.stored = malloc(BS_CHUNK_STORED_MAX);
	if (!b.stored || bs_stats_new(&b.stats, b.level) != BS_OK ||
	    bs_workspace_new(&b.ws) != BS_OK)
		die("out of memory");
	for (i = 0; i < bs_st_n_tensors(st); i++) {
		const struct bs_st_tensor *t = bs_st_tensor(st, i);

		if (t->len >= LEN_MIN && t->len % bs_dtype_unit(t->dtype) == 0)
			measure(&b, t);
	}
	report(&b);
	bs_workspace_free(b.ws);
	bs_stats_free(b.stats);
	free(b.stored);
	bs_st_free(st);
	return 0;
}
