/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gauge.c - how fast this machine does what a token takes
 *
 * Memory that is more than caches hold is read, and multiplied by, in the way
 * that block.c goes through matrices; the figure is the median of some turns.
 * What a model takes is that, and a moment for each thing that threads begin
 * and end together.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "nn.h"
#include "team.h"

#define WIDTH 1024 /* columns of a matrix */
#define ROWS_MIN ((size_t)16) /* of an item, as are those of a product */
#define ITEMS 8 /* for each thread, at least */
#define TURNS_MAX 64
#define TURNS_MIN 3
#define ROUNDS 500 /* in one turn */

/* Of BF16 and F16 a small number, and of F32 as well. */
#define FILLING 0x3c

struct gauge {
	const struct bsx_kernels *k;
	struct bsx_team *team; /* owned, as is all below */
	uint8_t *mem; /* mapped */
	size_t len;
	float *x; /* [WIDTH] */
	float *out; /* [rows] */
	enum bsx_type type;
	size_t step; /* rows or bytes of an item */
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The median of what turns take, for so many seconds. */
static double median_of(struct gauge *g, void (*turn)(struct gauge *g),
			double seconds)
{
	double took[TURNS_MAX], begin = now(), last = begin, at;
	size_t n = 0;

	while (n < TURNS_MAX && (n < TURNS_MIN || last - begin < seconds)) {
		turn(g);
		at = now();
		took[n++] = at - last;
		last = at;
	}
	qsort(took, n, sizeof(*took), by_value);
	return took[n / 2] > 0 ? took[n / 2] : 1e-9;
}

/* ---- Turns --------------------------------------------------------------- */

static void read_item(void *ctx, size_t item, unsigned who)
{
	const struct gauge *g = ctx;
	size_t at = item * g->step, left = g->len - at, i;
	size_t n = (left < g->step ? left : g->step) / sizeof(uint64_t);
	const uint64_t *from = (const void *)(g->mem + at);
	uint64_t sum = 0;

	(void)who;
	for (i = 0; i < n; i++)
		sum += from[i];
	/* A sum that nobody wants might be left out. */
	__asm__ volatile("" : : "r"(sum));
}

static void read_all(struct gauge *g)
{
	g->step = (size_t)1 << 20;
	bsx_team_run(g->team, (g->len + g->step - 1) / g->step, read_item, g);
}

static size_t rows_of(const struct gauge *g)
{
	return g->len / WIDTH / bsx_type_size(g->type);
}

static void multiply_item(void *ctx, size_t item, unsigned who)
{
	const struct gauge *g = ctx;
	size_t row = item * g->step, left = rows_of(g) - row;

	(void)who;
	g->k->dot[g->type](g->out + row, rows_of(g),
			   g->mem + row * WIDTH * bsx_type_size(g->type), WIDTH,
			   left < g->step ? left : g->step, g->x, WIDTH, 1,
			   WIDTH);
}

static void multiply_all(struct gauge *g)
{
	size_t parts = bsx_team_size(g->team) * (size_t)ITEMS;

	g->step = (rows_of(g) / parts + ROWS_MIN - 1) / ROWS_MIN * ROWS_MIN;
	if (g->step < ROWS_MIN)
		g->step = ROWS_MIN;
	bsx_team_run(g->team, (rows_of(g) + g->step - 1) / g->step,
		     multiply_item, g);
}

static void do_nothing(void *ctx, size_t item, unsigned who)
{
	(void)ctx;
	(void)item;
	(void)who;
}

static void begin_and_end(struct gauge *g)
{
	unsigned i;

	for (i = 0; i < ROUNDS; i++)
		bsx_team_run(g->team, bsx_team_size(g->team) * (size_t)ITEMS,
			     do_nothing, g);
}

/* ---- All of them --------------------------------------------------------- */

static enum bsx_result prepare(struct gauge *g, unsigned n_threads, size_t len,
			       struct bsx_error *err)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (mem == MAP_FAILED)
		return bsx_no_memory(err);
	g->mem = mem;
	g->len = len;
	g->k = bsx_kernels();
	madvise(mem, len, MADV_HUGEPAGE); /* as weights are */
	memset(mem, FILLING, len);
	g->x = malloc(WIDTH * sizeof(*g->x));
	/* The most rows are those of the smallest type. */
	g->out = malloc((len / WIDTH / 2 + 1) * sizeof(*g->out));
	if (!g->x || !g->out)
		return bsx_no_memory(err);
	for (i = 0; i < WIDTH; i++)
		g->x[i] = 1;
	return bsx_team_new(&g->team, n_threads, err);
}

static void release(struct gauge *g)
{
	bsx_team_free(g->team);
	free(g->out);
	free(g->x);
	if (g->mem)
		munmap(g->mem, g->len);
}

enum bsx_result bsx_speed_measure(unsigned n_threads, size_t len,
				  double seconds, struct bsx_speed *ret,
				  struct bsx_error *err)
{
	double each = seconds / (BSX_N_TYPES + 2);
	struct gauge g = { 0 };
	enum bsx_result res;

	len = len / (WIDTH * sizeof(float)) * (WIDTH * sizeof(float));
	res = prepare(&g, n_threads, len, err);
	if (!res) {
		ret->round = median_of(&g, begin_and_end, each) / ROUNDS;
		ret->read = (double)len / median_of(&g, read_all, each);
		for (g.type = 0; g.type < BSX_N_TYPES; g.type++)
			ret->product[g.type] =
				(double)len / median_of(&g, multiply_all, each);
	}
	release(&g);
	return res;
}

double bsx_work_seconds(const struct bsx_work *work,
			const struct bsx_speed *speed, uint32_t n_before)
{
	double sum = work->n_rounds * speed->round;
	unsigned i;

	for (i = 0; i < BSX_N_TYPES; i++) {
		if (work->bytes[i])
			sum += (double)work->bytes[i] / speed->product[i];
	}
	return sum +
	       (double)work->bytes_held * n_before / speed->product[BSX_F32];
}
