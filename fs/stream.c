/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - who reads which file in order, and what comes next
 *
 * A stream is known by its file and its place in it, not by a descriptor: four
 * threads of a loader, a second process, or the faults of a mapping look random
 * on one.  Its requests adjoin each other, upwards or downwards, a little out of
 * order, since several threads take them; what the kernel has they leave out.
 * It may jump, if what was left out is read then: who jumps and jumps again reads
 * at random.
 *
 * How much is loaded ahead of a reader grows with what it has read in order, and
 * falls behind that: who reads a piece here and a piece there is never given
 * much more than he asks for.  What all streams have ahead of them is bounded.
 * A reader that stops asking stops its stream.
 *
 * Locking, loading and what a file is are the caller's business.
 */

#include "stream.h"

#include <stddef.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

/* How far behind its stream's place a request may come; and how far before it,
 * if as much was read in order: memcpy() may go through a MiB downwards, and then
 * through the next. */
#define BEHIND_MAX (2 * MIB)
#define JUMP_MAX (2 * MIB)

/* How much of what the kernel has may be asked for again. */
#define OVERLAP_MAX (MIB / 16)

/* How many jumps, one after another, may leave something unread. */
#define UNFILLED_MAX 2

/* What must have been read in order, and by how many requests, before anything
 * is loaded ahead: one mapped page read at random makes the kernel ask for 128
 * KiB or 1 MiB around it, and then for what follows that. */
#define RUN_MIN (MIB / 4)
#define READS_MIN 2

/* Up to this an eighth of what was read in order is loaded ahead: one chunk for
 * reads of 1 MiB at random, which come in pieces. */
#define RUN_CAREFUL (4 * MIB)

/* A stream counts, and is loaded ahead, for that long after a request. */
#define LIVE_MS 1000

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Whether a request is of the stream: near where it goes up, or down. */
static int is_near(const struct bsfs_stream *s, uint64_t off, uint64_t end)
{
	uint64_t high = s->next + min_u64(s->run, JUMP_MAX);

	if (high < s->loaded)
		high = s->loaded;
	if (off <= high && off + BEHIND_MAX >= s->next)
		return 1;
	return (s->is_down || s->next - s->low <= BEHIND_MAX) &&
	       end >= s->loaded_low && off <= s->low + BEHIND_MAX;
}

static struct bsfs_stream *find(struct bsfs_streams *t, const void *file,
				uint64_t off, uint64_t end)
{
	struct bsfs_stream *best = NULL;
	unsigned i;

	for (i = 0; i < BSFS_STREAMS_MAX; i++) {
		struct bsfs_stream *s = &t->all[i];

		if (s->file == file && is_near(s, off, end) &&
		    (!best || s->last_use > best->last_use))
			best = s;
	}
	return best;
}

static struct bsfs_stream *replace(struct bsfs_streams *t)
{
	struct bsfs_stream *oldest = &t->all[0];
	unsigned i;

	for (i = 0; i < BSFS_STREAMS_MAX; i++) {
		struct bsfs_stream *s = &t->all[i];

		if (!s->file)
			return s;
		if (s->last_use < oldest->last_use)
			oldest = s;
	}
	return oldest;
}

static void begin(struct bsfs_stream *s, uint64_t off)
{
	s->low = s->loaded_low = off;
	s->next = s->loaded = s->pushed = off;
	s->run = s->down_run = s->gap = 0;
	s->n_reads = s->n_unfilled = 0;
	s->is_down = 0;
}

/* These say whether the request goes on from those before. */
static int go_up(struct bsfs_stream *s, uint64_t off, uint64_t end)
{
	/* What the kernel was given it does not ask for, and what it has. */
	int is_jump = off > s->pushed;
	int is_stray = off + OVERLAP_MAX < s->next;

	if (is_jump && s->gap <= OVERLAP_MAX)
		s->n_unfilled = 0;
	else if (is_jump || is_stray)
		s->n_unfilled++;
	if (s->n_unfilled > UNFILLED_MAX)
		begin(s, off);
	if (is_jump)
		s->gap = off - s->pushed;
	s->next = end;
	s->down_run = 0;
	s->is_down = 0;
	if (s->loaded < end)
		s->loaded = end;
	if (s->pushed < end)
		s->pushed = end;
	return !is_jump && !is_stray;
}

static int go_down(struct bsfs_stream *s, uint64_t off, uint64_t end)
{
	int is_jump = end < s->low;

	if (is_jump)
		begin(s, end);
	s->down_run += s->low - off;
	s->low = off;
	s->is_down = s->down_run >= RUN_MIN;
	if (s->loaded_low > off)
		s->loaded_low = off;
	return !is_jump;
}

static int go(struct bsfs_stream *s, uint64_t off, uint64_t end)
{
	if (end > s->next)
		return go_up(s, off, end);
	if (off < s->low)
		return go_down(s, off, end);
	if (!s->gap || (off != s->last_end && end != s->last_off))
		return 0;
	s->gap -= min_u64(s->gap, end - off);
	return 1;
}

struct bsfs_stream *bsfs_streams_note(struct bsfs_streams *t, void *file,
				      uint64_t size, uint64_t off, uint64_t len,
				      int64_t now_ms)
{
	struct bsfs_stream *s = find(t, file, off, off + len);

	if (!s) {
		s = replace(t);
		memset(s, 0, sizeof(*s));
		s->file = file;
		s->size = size;
		begin(s, off);
	}
	if (len && go(s, off, off + len)) {
		s->run += len;
		s->n_reads++;
	}
	s->last_off = off;
	s->last_end = off + len;
	s->last_use = ++t->n_uses;
	s->last_ms = now_ms;
	return s;
}

/* How much is loaded beyond where the reader is. */
static uint64_t ahead_of(const struct bsfs_stream *s)
{
	return s->is_down ? s->low - s->loaded_low : s->loaded - s->next;
}

static int is_at_end(const struct bsfs_stream *s)
{
	return s->is_down ? s->loaded_low == 0 : s->loaded >= s->size;
}

static int is_running(const struct bsfs_stream *s, int64_t now_ms)
{
	return s->file && s->run >= RUN_MIN && s->n_reads >= READS_MIN &&
	       now_ms - s->last_ms < LIVE_MS;
}

struct bsfs_stream *bsfs_streams_next(struct bsfs_streams *t, int64_t now_ms)
{
	struct bsfs_stream *best = NULL;
	uint64_t n_running = 0, max;
	unsigned i;

	for (i = 0; i < BSFS_STREAMS_MAX; i++)
		n_running += is_running(&t->all[i], now_ms);
	max = n_running ? t->total / n_running : 0;
	max = min_u64(max, t->each);
	for (i = 0; i < BSFS_STREAMS_MAX; i++) {
		struct bsfs_stream *s = &t->all[i];
		uint64_t ahead;

		if (!is_running(s, now_ms) || is_at_end(s))
			continue;
		ahead = s->run < RUN_CAREFUL ? s->run / 8 : s->run;
		ahead = min_u64(ahead, max);
		if (ahead_of(s) < ahead &&
		    (!best || ahead_of(s) < ahead_of(best)))
			best = s;
	}
	return best;
}

void bsfs_streams_drop(struct bsfs_streams *t, const void *file)
{
	unsigned i;

	for (i = 0; i < BSFS_STREAMS_MAX; i++) {
		if (t->all[i].file == file)
			t->all[i].file = NULL;
	}
}

unsigned bsfs_streams_count(const struct bsfs_streams *t)
{
	unsigned n = 0, i;

	for (i = 0; i < BSFS_STREAMS_MAX; i++)
		n += t->all[i].file != NULL;
	return n;
}
