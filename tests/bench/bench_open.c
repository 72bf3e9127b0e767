/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_open.c - opening a container like that of a 147 GB model, and reading
 * 4 KiB of it
 *
 * usage: bench_open make FILE
 *        bench_open FILE [ROUNDS]
 *
 * make writes one (tests/large.h: 10,000 tensors, 570,000 chunks, 56 MB).  The
 * other measures, in turns: opening it; reading 4 KiB at a random place by its
 * record, model and chunk, of a constant chunk and of one in planes; a plain
 * pread of 4 KiB.  "cold": its pages are dropped from the page cache before;
 * "warm": they are there.  Prints wall time, median (least-most).
 */

#include "../large.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 1000

enum { OPEN, CONSTANT, PLANES, PREAD, N_WHATS };

static const char *const names[N_WHATS] = { "open", "4 KiB of a constant chunk",
					    "4 KiB of a chunk in planes",
					    "4 KiB by pread" };

static double spent[2][N_WHATS][ROUNDS_MAX];
static uint64_t n_reads, n_bytes;

static void die(const char *what)
{
	fprintf(stderr, "bench_open: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check(enum bs_result res, const char *what)
{
	if (res) {
		fprintf(stderr, "bench_open: %s: %s\n", what,
			bs_result_text(res));
		exit(1);
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static int file_pwrite(void *ctx, const void *buf, size_t len, uint64_t off)
{
	ssize_t n = pwrite(*(int *)ctx, buf, len, (off_t)off);

	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

static int file_pread(void *ctx, void *buf, size_t len, uint64_t off)
{
	ssize_t n = pread(*(int *)ctx, buf, len, (off_t)off);

	n_reads++;
	n_bytes += len;
	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

static void make(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	struct bs_sink sink = { file_pwrite, &fd };
	struct large *l;
	uint64_t len;

	if (fd < 0)
		die(path);
	check(large_write(&sink, &l, &len), path);
	free(l);
	if (fsync(fd) || close(fd))
		die(path);
}

static struct bs_archive *open_it(const struct bs_source *src)
{
	struct bs_archive *ar;

	check(bs_archive_open(&ar, src, NULL), "open");
	return ar;
}

/* The chunk that holds byte 'off' of the file, by what is on the disk. */
static void read_4k(const struct bs_archive *ar, const struct bs_source *src,
		    uint64_t off, struct bs_workspace *ws)
{
	static uint8_t stored[BS_CHUNK_STORED_MAX], raw[BS_CHUNK_RAW_MAX];
	struct bs_model *model = NULL;
	struct bs_page *page;
	struct bs_chunk c;
	struct bs_member m;
	struct bs_extent e;
	struct bs_blob b;

	bs_archive_member(ar, 0, &m);
	bs_archive_extent(ar, bs_member_extent_at(ar, &m, off), &e);
	bs_archive_blob(ar, e.blob, &b);
	c.no = bs_blob_chunk_at(&b, off - e.off);
	check(bs_page_load(ar, bs_archive_page_of(ar, c.no), &page, NULL),
	      "index page");
	bs_page_chunk(ar, page, c.no, &c);
	if (c.coding == BS_CODING_PLANES)
		check(bs_model_load(ar, b.model, &model, NULL), "model");
	if (src->pread(src->ctx, stored, c.stored_len, c.stored_off))
		die("read");
	check(bs_chunk_decode(&c, &b, model, ws, stored, raw), "chunk");
	bs_model_free(model);
	bs_page_free(page);
}

static void drop(int fd)
{
	if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		die("posix_fadvise");
}

struct bench {
	const struct bs_source *src;
	const struct bs_archive *ar;
	struct bs_workspace *ws;
	uint64_t off[N_WHATS];
};

static void do_it(const struct bench *b, unsigned what)
{
	uint8_t page[4096];

	switch (what) {
	case OPEN:
		bs_archive_close(open_it(b->src));
		break;
	case PREAD:
		if (b->src->pread(b->src->ctx, page, sizeof(page),
				  b->off[what]))
			die("read");
		break;
	default:
		read_4k(b->ar, b->src, b->off[what], b->ws);
	}
}

static void measure(const struct bs_source *src, unsigned rounds)
{
	struct bs_archive *ar = open_it(src);
	struct bench b = { .src = src, .ar = ar };
	unsigned i, what, cold;
	uint64_t off;
	double at;

	printf("open: %llu reads, %llu bytes, %llu bytes of memory, "
	       "%llu chunks\n",
	       (unsigned long long)n_reads, (unsigned long long)n_bytes,
	       (unsigned long long)bs_archive_mem(ar),
	       (unsigned long long)bs_archive_n_chunks(ar));
	check(bs_workspace_new(&b.ws), "workspace");
	for (i = 0; i < rounds; i++) {
		/* A tensor with a chunk in planes, its second one; another. */
		off = i * 29 % (LARGE_TENSORS / LARGE_CODED_EVERY) *
		      LARGE_CODED_EVERY * LARGE_TENSOR_LEN;
		off += LARGE_HEADER_LEN;
		b.off[PLANES] = (off / 262144 + 1) * 262144;
		b.off[CONSTANT] = b.off[PLANES] + LARGE_TENSOR_LEN;
		b.off[PREAD] = src->size / rounds * i / 4096 * 4096;
		for (what = 0; what < N_WHATS; what++) {
			for (cold = 2; cold-- > 0;) {
				if (cold)
					drop(*(int *)src->ctx);
				at = now();
				do_it(&b, what);
				spent[cold][what][i] = now() - at;
			}
		}
	}
	bs_workspace_free(b.ws);
	bs_archive_close(ar);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 21, i, cold;
	struct stat st;
	int fd;

	if (argc == 3 && !strcmp(argv[1], "make")) {
		make(argv[2]);
		return 0;
	}
	if (argc < 2 || argc > 3 || !rounds || rounds > ROUNDS_MAX) {
		fputs("usage: bench_open make FILE | bench_open FILE [ROUNDS]\n",
		      stderr);
		return 2;
	}
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		die(argv[1]);
	measure(&(struct bs_source){ .pread = file_pread,
				     .ctx = &fd,
				     .size = (uint64_t)st.st_size },
		rounds);
	for (i = 0; i < N_WHATS; i++) {
		printf("%-28s", names[i]);
		for (cold = 2; cold-- > 0;) {
			double *s = spent[cold][i];

			qsort(s, rounds, sizeof(*s), compare);
			printf("  %s %8.3f ms (%.3f-%.3f)",
			       cold ? "cold" : "warm", 1e3 * s[rounds / 2],
			       1e3 * s[0], 1e3 * s[rounds - 1]);
		}
		printf("\n");
	}
	return 0;
}
