/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lanes.h - the streams of a tensor, each read piece by piece
 *
 * A legacy tensor is some streams that run from its first element to its last,
 * each with a coding of its own.  A struct bs_up_stream says where one is, and is
 * immutable; a struct bs_up_lane is somebody's place in it.  The place is a few
 * numbers (struct bs_up_seek), so that one who has noted it can go on from there.
 */

#ifndef BS_UP_LANES_H
#define BS_UP_LANES_H

#include "../bigsmall.h"
#include "../plain.h"
#include "quantise.h"

enum bs_up_kind {
	UP_ANS, /* symbols, read from the stream's end to its beginning */
	UP_RANGE, /* symbols, read from its beginning */
	UP_ZSTD, /* the bytes of a zstd frame */
	UP_BYTES, /* its own bytes */
};

/* Symbols by their probability: symbol s has [cdf[s], cdf[s + 1]) of 1 << 24.
 * 'first' finds one from the top bits: the first symbol that has part of it.
 * 'whole' has all that is to be known of that one, for a stream that others wait
 * for: one load instead of two after another, for four times the memory. */
#define UP_BUCKET_BITS 11
#define UP_BUCKET_SHIFT (UP_PROB_BITS - UP_BUCKET_BITS)
#define UP_N_BUCKETS (1u << UP_BUCKET_BITS)
#define UP_BEGIN_SHIFT 16 /* in 'whole', above the symbol */
#define UP_WIDTH_SHIFT (UP_BEGIN_SHIFT + UP_PROB_BITS)

struct bs_up_table {
	struct bs_up_table *next; /* the plan's list */
	uint64_t *whole; /* [UP_N_BUCKETS], owned; NULL: not wanted */
	uint16_t first[UP_N_BUCKETS];
	uint32_t cdf[]; /* [n + 1] */
};

/* Of 2 symbols or more. */
enum bs_result bs_up_table_new(struct bs_up_table **ret, const uint32_t *counts,
			       unsigned n, int has_whole);
void bs_up_table_free(struct bs_up_table *t); /* NULL is allowed */

struct bs_up_stream {
	enum bs_up_kind kind;
	uint64_t off; /* in the file */
	uint64_t len;
	const struct bs_up_table *table; /* of symbols; borrowed */
	/* Of zstd: bytes of its content an element; of symbols that others wait
	 * for: how many an element. */
	unsigned unit;
};

/* Others wait for its symbols, or there are none. */
static inline int bs_up_is_awaited(const struct bs_up_stream *s)
{
	return s->table && s->table->whole;
}

struct bs_up_lane {
	const struct bs_up_stream *s; /* borrowed, as is the next */
	const struct bs_source *src;
	uint64_t state; /* ANS: the state; range: the point less the lower end */
	uint64_t range;
	uint64_t done; /* zstd: bytes that were read of its content */
	uint64_t unread; /* bytes of the stream that are not in 'buf' yet */
	size_t buf_len; /* room */
	uint8_t *buf; /* borrowed from the run */
	const uint8_t *p; /* ANS: what is left lies before it, from 'buf' on; */
	const uint8_t *end; /* else from 'p' to here */
	struct bs_unzstd *z; /* owned; NULL: not needed yet */
	/* Not BS_OK: a range coder met what no encoder writes, or reading failed.
	 * What comes then is worth nothing. */
	enum bs_result res;
	/* Symbols that were decoded before they were asked for. */
	uint16_t *ahead; /* borrowed from the run; NULL: the lane has none */
	size_t n_ahead;
	size_t n_taken; /* of those */
};

/* A place in a stream: what a lane needs to go on. */
struct bs_up_seek {
	uint64_t state;
	uint64_t range;
	uint64_t unread; /* bytes from the place to the stream's other end */
};

/* Somebody's places in all streams of a tensor, and scratch memory. */
#define UP_BLOCK 4096

struct bs_up_run {
	const struct bs_source *src; /* borrowed */
	uint16_t *ahead; /* owned; NULL: nobody looks ahead */
	struct bs_up_lane *lanes; /* [n_lanes], owned */
	unsigned n_lanes;
	uint8_t *buf; /* owned: the lanes' windows */
	uint8_t *extra; /* owned: what a node wants besides; zeros at first */
	struct bs_zstd *zstd; /* owned; NULL: not needed yet */
	uint16_t symbols[3][UP_BLOCK];
	uint16_t halves[2][4 * UP_BLOCK];
	uint8_t bytes[3][UP_BLOCK];
};

/* Symbols to decode of one lane. */
struct bs_up_job {
	struct bs_up_lane *lane;
	uint16_t *dst;
	size_t n;
};

/*
 * Lanes at the beginning of 'streams'.  A lane gets a window of about what
 * 'part' of 'whole' elements take.  The caller frees *ret.
 */
enum bs_result bs_up_run_new(struct bs_up_run **ret,
			     const struct bs_source *src,
			     const struct bs_up_stream *streams, unsigned n,
			     uint64_t part, uint64_t whole, size_t extra_len);
void bs_up_run_free(struct bs_up_run *r); /* NULL is allowed */

/* Go to the beginning; note the places of all lanes; go there, which is before
 * element 'at'.  A lane of zstd is read up to it, from where it is. */
enum bs_result bs_up_run_restart(struct bs_up_run *r);
void bs_up_run_save(const struct bs_up_run *r, struct bs_up_seek *ret);
enum bs_result bs_up_run_restore(struct bs_up_run *r,
				 const struct bs_up_seek *seek, uint64_t at);

/* The same of one lane, in a window of 'len' bytes, a multiple of 4. */
enum bs_result bs_up_lane_begin(struct bs_up_lane *l,
				const struct bs_up_stream *s,
				const struct bs_source *src, uint8_t *window,
				size_t len);
void bs_up_lane_save(const struct bs_up_lane *l, struct bs_up_seek *ret);
void bs_up_lane_restore(struct bs_up_lane *l, const struct bs_up_seek *seek);

/* Do jobs of distinct lanes, of whatever runs, which are all ANS or all range.
 * A lane that fails does not stop the others: lane->res tells, and what is
 * returned is the first of those that is not BS_OK. */
enum bs_result bs_up_symbols(struct bs_up_job *jobs, unsigned n);

/* The next 'n' symbols of a lane: where they were put ahead, or at 'dst', where
 * they are decoded to. */
const uint16_t *bs_up_lane_next(struct bs_up_lane *l, uint16_t *dst, size_t n,
				enum bs_result *ret);

/* The next symbol of a range lane, one of 'width' >= 2 that are equally likely. */
unsigned bs_up_lane_uniform(struct bs_up_lane *l, unsigned width);

/* Give those lanes that others wait for room for 'n' elements' symbols ahead.
 * The symbols that are there are to be taken, and all of them, before more are
 * decoded. */
enum bs_result bs_up_run_look_ahead(struct bs_up_run *r, size_t n);

/* The next 'len' bytes of a zstd or bytes lane. */
enum bs_result bs_up_run_bytes(struct bs_up_run *r, unsigned lane, void *dst,
			       size_t len);

/* ---- ans.c and range.c: the loops --------------------------------------- */

/* 'n' symbols of four lanes each, or of one: none of them runs out of its
 * window meanwhile, as each symbol takes 4 bytes at most.  'whole', 'first': all
 * of them, or the first, have such a table, and it is used. */
void bs_up_ans_4(struct bs_up_lane *const *l, uint16_t *const *dst, size_t n);
void bs_up_ans_4_first(struct bs_up_lane *const *l, uint16_t *const *dst,
		       size_t n);
void bs_up_ans_4_whole(struct bs_up_lane *const *l, uint16_t *const *dst,
		       size_t n);
void bs_up_ans_1(struct bs_up_lane *l, uint16_t *dst, size_t n);
void bs_up_ans_1_whole(struct bs_up_lane *l, uint16_t *dst, size_t n);
void bs_up_range_4(struct bs_up_lane *const *l, uint16_t *const *dst, size_t n);
void bs_up_range_4_first(struct bs_up_lane *const *l, uint16_t *const *dst,
			 size_t n);
void bs_up_range_4_whole(struct bs_up_lane *const *l, uint16_t *const *dst,
			 size_t n);
void bs_up_range_1(struct bs_up_lane *l, uint16_t *dst, size_t n);
void bs_up_range_1_whole(struct bs_up_lane *l, uint16_t *dst, size_t n);

/* One symbol of 'width', where there is a word in the window if there is any. */
unsigned bs_up_range_uniform(struct bs_up_lane *l, unsigned width);

/* The last symbols, of a lane whose stream is read to the end. */
void bs_up_ans_dry(struct bs_up_lane *l, uint16_t *dst, size_t n);
void bs_up_range_dry(struct bs_up_lane *l, uint16_t *dst, size_t n);

#endif /* BS_UP_LANES_H */
