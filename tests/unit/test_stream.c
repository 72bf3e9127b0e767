/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_stream.c - which orders of requests are read ahead, how far, and which
 * never are
 */

#include "../test.h"

#include "stream.h"

#define KIB ((uint64_t)1024)
#define MIB (KIB * KIB)
#define SIZE (1024 * MIB)
#define TOTAL (64 * MIB)

struct world {
	struct bsfs_streams t;
	int64_t now;
	uint64_t asked, loaded; /* bytes */
	uint64_t off, end; /* what is being asked for, piece by piece */
	uint64_t wasted; /* of what was loaded: none of that */
};

static char file_a, file_b;

static void count(struct world *w, uint64_t from, uint64_t to)
{
	w->loaded += to - from;
	if (from >= w->end || to <= w->off)
		w->wasted += to - from;
}

/* Load all that may be, 256 KiB at a time as chunks are. */
static void load(struct world *w)
{
	struct bsfs_stream *s;

	while ((s = bsfs_streams_next(&w->t, w->now))) {
		if (s->is_down) {
			uint64_t to =
				(s->loaded_low - 1) / (256 * KIB) * (256 * KIB);

			count(w, to, s->loaded_low);
			s->loaded_low = to;
		} else {
			uint64_t to =
				(s->loaded / (256 * KIB) + 1) * (256 * KIB);

			count(w, s->loaded, to);
			s->loaded = to;
		}
	}
}

static struct bsfs_stream *ask(struct world *w, void *file, uint64_t off,
			       uint64_t len)
{
	struct bsfs_stream *s =
		bsfs_streams_note(&w->t, file, SIZE, off, len, w->now);

	w->asked += len;
	load(w);
	return s;
}

static struct world begin(void)
{
	struct world w = { .t = { .total = TOTAL, .each = 16 * MIB },
			   .now = 5000 };

	return w;
}

static void test_up(void **state)
{
	struct world w = begin();
	struct bsfs_stream *s = NULL, *first;
	uint64_t off;

	(void)state;
	first = ask(&w, &file_a, 0, 128 * KIB);
	assert_int_equal(w.loaded, 0);
	for (off = 128 * KIB; off < 64 * MIB; off += 128 * KIB) {
		s = ask(&w, &file_a, off, 128 * KIB);
		assert_ptr_equal(s, first);
		/* Never more than what was read, nor than its part. */
		assert_true(s->loaded <= 2 * s->next + 256 * KIB);
		assert_true(s->loaded - s->next <= 17 * MIB);
	}
	assert_true(s->loaded - s->next >= 15 * MIB);
	/* The end of the file is the end. */
	for (; off < SIZE; off += 128 * KIB)
		s = ask(&w, &file_a, off, 128 * KIB);
	assert_int_equal(s->loaded, SIZE);
	assert_int_equal(bsfs_streams_count(&w.t), 1);
}

static void test_out_of_order(void **state)
{
	struct world w = begin();
	struct bsfs_stream *s = NULL;
	uint64_t i;

	(void)state;
	/* 1 0 3 2 5 4 ..., as two threads may take them */
	for (i = 0; i < 64; i++)
		s = ask(&w, &file_a, (i ^ 1) * MIB, MIB);
	assert_true(s->loaded >= 64 * MIB + 12 * MIB);
}

/* Several readers of one file, as on one descriptor or on many. */
static void test_interleaved(void **state)
{
	struct world w = begin();
	struct bsfs_stream *s[8];
	uint64_t i, k;

	(void)state;
	for (i = 0; i < 128; i++) {
		for (k = 0; k < 8; k++)
			s[k] = ask(&w, &file_a, k * 100 * MIB + i * 128 * KIB,
				   128 * KIB);
	}
	for (k = 0; k < 8; k++) {
		uint64_t ahead = s[k]->loaded - s[k]->next;

		assert_true(ahead >= 7 * MIB && ahead <= 8 * MIB + 256 * KIB);
	}
	/* Another file at the same place is another stream. */
	assert_ptr_not_equal(ask(&w, &file_b, 16 * MIB, 128 * KIB), s[0]);
}

/* Eight threads that read 16 MiB each, and then the next that nobody has. */
static void test_blocks(void **state)
{
	struct world w = begin();
	uint64_t i, k, round;

	(void)state;
	for (round = 0; round < 4; round++) {
		for (i = 0; i < 128; i++) {
			for (k = 0; k < 8; k++)
				ask(&w, &file_a,
				    (round * 8 + k) * 16 * MIB + i * 128 * KIB,
				    128 * KIB);
		}
	}
	/* What runs over from one block into another's was loaded once more at
	 * most; the caller sees that it was decoded. */
	assert_true(w.loaded >= w.asked / 2 && w.loaded <= 2 * w.asked);
}

static void test_down(void **state)
{
	struct world w = begin();
	struct bsfs_stream *s = NULL;
	uint64_t off;

	(void)state;
	for (off = 200 * MIB; off > 100 * MIB; off -= 68 * KIB)
		s = ask(&w, &file_a, off - 68 * KIB, 68 * KIB);
	assert_true(s->is_down);
	assert_true(s->low - s->loaded_low >= 15 * MIB);
	for (; off > 68 * KIB; off -= 68 * KIB)
		s = ask(&w, &file_a, off - 68 * KIB, 68 * KIB);
	assert_int_equal(s->loaded_low, 0);
}

/* memcpy() of a mapping to where its addresses look alike: downwards through
 * each MiB. */
static void test_down_by_mib(void **state)
{
	struct world w = begin();
	struct bsfs_stream *s = NULL;
	uint64_t i, at;

	(void)state;
	for (i = 0; i < 64; i++) {
		for (at = 8; at > 0; at--)
			s = ask(&w, &file_a, i * MIB + (at - 1) * 128 * KIB,
				128 * KIB);
	}
	assert_true(s->loaded - s->next >= 15 * MIB);
}

/* What the kernel was given it leaves out. */
static void test_pushed(void **state)
{
	struct world w = begin();
	struct bsfs_stream *s = NULL;
	uint64_t at;

	(void)state;
	for (at = 0; at < 8 * MIB; at += 128 * KIB)
		s = ask(&w, &file_a, at, 128 * KIB);
	for (; at < 64 * MIB; at += 4 * MIB) {
		s->pushed = at;
		assert_ptr_equal(ask(&w, &file_a, at, 64 * KIB), s);
		assert_true(s->loaded - s->next >= 4 * MIB);
	}
}

static void test_random(void **state)
{
	/* What is asked for at a time, by requests of what size, in a file of
	 * how many MiB, and how much may be loaded in vain for 100 bytes. */
	static const struct {
		uint64_t len, piece, mib, percent;
	} cases[] = {
		{ 4 * KIB, 4 * KIB, 1024, 0 },	    { 4 * KIB, 4 * KIB, 64, 0 },
		{ 128 * KIB, 128 * KIB, 1024, 5 },  { MIB, MIB, 1024, 5 },
		{ MIB, 128 * KIB, 1024, 30 },	    { MIB, 128 * KIB, 128, 40 },
		{ 16 * MIB, 128 * KIB, 1024, 110 },
	};
	uint64_t seed = 7;
	unsigned c;

	(void)state;
	for (c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct world w = begin();
		uint64_t i, at;

		for (i = 0; i < rounds(3000); i++) {
			uint64_t n = cases[c].mib * MIB / (4 * KIB) -
				     cases[c].len / (4 * KIB);
			uint64_t off = random_u64(&seed) % n * (4 * KIB);

			w.off = off;
			w.end = off + cases[c].len;
			for (at = 0; at < cases[c].len; at += cases[c].piece)
				ask(&w, &file_a, off + at, cases[c].piece);
		}
		if (w.wasted * 100 > w.asked * cases[c].percent)
			fail_msg("case %u: %llu wasted for %llu", c,
				 (unsigned long long)w.wasted,
				 (unsigned long long)w.asked);
	}
}

static void test_stop(void **state)
{
	struct world w = begin();
	struct bsfs_stream *s = NULL;
	uint64_t off, before;

	(void)state;
	for (off = 0; off < 32 * MIB; off += 128 * KIB)
		s = ask(&w, &file_a, off, 128 * KIB);
	/* Nobody asks: nothing more is loaded. */
	before = w.loaded;
	load(&w);
	assert_int_equal(w.loaded, before);
	/* The window is let go after a while, and had again by asking. */
	s->loaded = s->next;
	w.now += 2000;
	load(&w);
	assert_int_equal(w.loaded, before);
	ask(&w, &file_a, off, 128 * KIB);
	assert_true(w.loaded > before);
	/* No memory: nothing. */
	before = w.loaded;
	w.t.total = 0;
	ask(&w, &file_a, off + 128 * KIB, 128 * KIB);
	assert_int_equal(w.loaded, before);
	bsfs_streams_drop(&w.t, &file_a);
	assert_int_equal(bsfs_streams_count(&w.t), 0);
}

static void test_many(void **state)
{
	struct world w = begin();
	char files[200];
	unsigned i;

	(void)state;
	for (i = 0; i < 200; i++)
		ask(&w, &files[i], 0, 128 * KIB);
	assert_int_equal(bsfs_streams_count(&w.t), BSFS_STREAMS_MAX);
	/* The last are there, the first are not. */
	assert_int_equal(ask(&w, &files[199], 128 * KIB, 128 * KIB)->n_reads,
			 2);
	assert_int_equal(ask(&w, &files[0], 128 * KIB, 128 * KIB)->n_reads, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_up),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_down_by_mib),
		cmocka_unit_test(test_pushed),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
