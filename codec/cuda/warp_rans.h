/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warp_rans.h - 64 interleaved rANS decoders in 32 lanes (docs/format.md 9.1)
 *
 * Lane t of the warp has rANS lanes 2t and 2t + 1, so that what it decodes in a
 * step is next to each other: it loads raw bytes and classes, and stores
 * elements, in pairs.  Words are taken in the order of rANS lanes: after one
 * ballot for the even and one for the odd ones, a lane knows how many are taken
 * before its own.
 *
 * The words wait in a ring in shared memory.  What goes there next is in
 * registers already, loaded when what is before it went there, so that global
 * memory has several groups' time to answer.
 */

#ifndef BS_WARP_RANS_H
#define BS_WARP_RANS_H

#include "portable.h"
#include "warp_layout.h"

/* ---- Words -------------------------------------------------------------- */

struct word_ring {
	const uint8_t *words;
	near_ptr ring;
	uint32_t n;
	uint32_t taken; /* more than n: the chunk is corrupt */
	uint32_t filled; /* words put into the ring */
	uint32_t next[LANE_COPIES]; /* two words a lane, from 'filled' on */
};

/* What is at any address, or has only one word. */
DEVICE_CALL uint32_t word_pair_any(const uint8_t *p, bool are_two)
{
	uint32_t pair = fetch16_any(p);

	return are_two ? pair | fetch16_any(p + 2) << 16 : pair;
}

/* Words i and i + 1; zeros where there are none. */
DEVICE uint32_t word_pair(const struct word_ring *w, uint32_t i)
{
	const uint8_t *p = w->words + 2 * (size_t)i;

	if (i >= w->n)
		return 0;
	if (i + 1 < w->n && is_aligned(p, 4))
		return fetch32(p);
	return word_pair_any(p, i + 1 < w->n);
}

/* Make 'n' words be at hand, or what comes after them. */
DEVICE void ring_fill(struct word_ring *w, uint32_t n)
{
	while (w->filled - w->taken < n) {
		warp_sync();
		FOR_LANES (t) {
			uint32_t i = w->filled + 2 * t;

			near_store32(w->ring, i % RING * 2, w->next[OWN(t)]);
			w->next[OWN(t)] = word_pair(w, i + RING_FILL);
		}
		w->filled += RING_FILL;
		warp_sync();
	}
}

DEVICE void ring_begin(struct word_ring *w, const struct warp_layout *lay,
		       struct warp_scratch *ws)
{
	w->words = lay->stored + lay->words_at;
	w->ring = near_of(ws->ring);
	w->n = lay->n_words;
	w->taken = 0;
	w->filled = 0;
	FOR_LANES (t)
		w->next[OWN(t)] = word_pair(w, 2 * t);
}

DEVICE uint32_t ring_word(const struct word_ring *w, uint32_t i)
{
	return near16(w->ring, i % RING * 2);
}

/* ---- Symbols ------------------------------------------------------------ */

/* The states of a warp, carried from plane to plane. */
struct rans_lanes {
	uint32_t x[2][LANE_COPIES];
	struct word_ring words;
};

/* A plane's tables, in shared or global memory. */
struct rans_tables {
	const uint8_t *symbols;
	const uint8_t *slots;
	near_ptr near_symbols; /* where they are in shared memory */
	near_ptr near_slots;
	unsigned prob_bits;
	unsigned n_symbols;
};

DEVICE void rans_begin(struct rans_lanes *r, const struct warp_layout *lay,
		       struct warp_scratch *ws)
{
	const uint8_t *p = lay->stored + lay->states_at;

	FOR_LANES (t) {
		r->x[0][OWN(t)] = fetch32_any(p + 8 * t);
		r->x[1][OWN(t)] = fetch32_any(p + 8 * t + 4);
	}
	ring_begin(&r->words, lay, ws);
}

/*
 * The symbols of a group of which 'left' > 0 elements are there, by tables
 * table[0] and [1] of each lane, which are in shared memory if 'is_near'.  64
 * words are at hand; past the last one they are zeros, and 'taken' tells.
 */
DEVICE void rans_group(struct rans_lanes *r, const struct rans_tables *tables,
		       bool is_near, uint32_t table[2][LANE_COPIES],
		       uint32_t left, uint32_t sym[2][LANE_COPIES])
{
	uint32_t mask = (1u << tables->prob_bits) - 1, even, odd;
	struct word_ring *w = &r->words;
	bool wants[2][LANE_COPIES];

	FOR_LANES (t) {
		UNROLL
		for (unsigned h = 0; h < 2; h++) {
			uint32_t x = r->x[h][OWN(t)], slot = x & mask;
			uint32_t s, entry, k = table[h][OWN(t)];
			bool is_active = 2 * t + h < left;

			slot += k << tables->prob_bits;
			s = is_near ? near8(tables->near_symbols, slot)
				    : tables->symbols[slot];
			k = 4 * (k * tables->n_symbols + s);
			entry = is_near ? near32(tables->near_slots, k)
					: read32(tables->slots + k);
			x = (entry >> 16) * (x >> tables->prob_bits) +
			    (x & mask) - (entry & 0xffff);
			if (is_active)
				r->x[h][OWN(t)] = x;
			wants[h][OWN(t)] = is_active && x < 65536;
			sym[h][OWN(t)] = s;
		}
	}
	even = warp_ballot(wants[0]);
	odd = warp_ballot(wants[1]);
	FOR_LANES (t) {
		uint32_t below = (1u << t) - 1, at = w->taken;

		at += count_ones(even & below) + count_ones(odd & below);
		if (wants[0][OWN(t)])
			r->x[0][OWN(t)] = r->x[0][OWN(t)] << 16 |
					  ring_word(w, at++);
		if (wants[1][OWN(t)])
			r->x[1][OWN(t)] = r->x[1][OWN(t)] << 16 |
					  ring_word(w, at);
	}
	w->taken += count_ones(even) + count_ones(odd);
}

/* What the lanes carried goes to ws->carried.  False: corrupt. */
DEVICE bool rans_end(const struct rans_lanes *r, const struct warp_layout *lay,
		     struct warp_scratch *ws)
{
	uint32_t n = (lay->raw_len - lay->raw_stored) / 2;
	bool is_bad[LANE_COPIES];

	FOR_LANES (t) {
		is_bad[OWN(t)] = false;
		UNROLL
		for (unsigned h = 0; h < 2; h++) {
			uint32_t x = r->x[h][OWN(t)];

			if (x >> 16 != 1 || (2 * t + h >= n && x & 0xffff))
				is_bad[OWN(t)] = true;
			else
				write16(ws->carried + 4 * t + 2 * h, x);
		}
	}
	warp_sync();
	return !warp_ballot(is_bad) && r->words.taken == r->words.n;
}

/* ---- Classes ------------------------------------------------------------ */

/* Rows and columns, as one moves through the elements of a chunk. */
struct class_walk {
	const uint8_t *rows; /* classes */
	const uint8_t *columns;
	uint32_t n_rows; /* 0: no row classes */
	bool has_columns;
	uint32_t width; /* elements a row */
	uint32_t per_width; /* 2^20 / width, rounded up, if there are few */
	uint32_t row; /* of the next element */
	uint32_t column;
	uint32_t row_class; /* of that row */
};

#define WALK_WIDTH_MAX (1u << 30)

/* Zero without classes, and for a row past those that elements are in. */
DEVICE uint32_t row_class(const struct class_walk *w, uint32_t row)
{
	return row < w->n_rows ? fetch8(w->rows + row) : 0;
}

/*
 * floor(column / width), for a column that is STEP_MAX past the end of a row at
 * most.  Of rows shorter than that, columns here are below 512: the quotient by
 * a reciprocal is too large by 512 / 2^20, and 1 / width is more.
 */
DEVICE uint32_t walk_rows(const struct class_walk *w, uint32_t column)
{
	if (w->width < STEP_MAX)
		return column * w->per_width >> 20;
	return column >= w->width;
}

/* Begin at element 'first' of a blob with 'width' > 0 elements a row; rows,
 * n_rows and columns are set. */
DEVICE void walk_begin(struct class_walk *w, uint64_t first, uint64_t width)
{
	uint64_t row = first / width, column = first % width;

	/* Rows as long as that have no column classes, and a chunk is in two
	 * of them at most: only where one ends counts. */
	if (width > WALK_WIDTH_MAX) {
		uint64_t left = width - column;

		column = left < WALK_WIDTH_MAX / 2 ? WALK_WIDTH_MAX - left : 0;
		width = WALK_WIDTH_MAX;
	}
	w->width = (uint32_t)width;
	w->per_width = ((1u << 20) + w->width - 1) / w->width;
	w->row = (uint32_t)row;
	w->column = (uint32_t)column;
	w->row_class = row_class(w, w->row);
}

/* On by n <= STEP_MAX elements. */
DEVICE void walk_on(struct class_walk *w, uint32_t n)
{
	uint32_t rows = walk_rows(w, w->column + n);

	w->column += n - rows * w->width;
	if (!rows)
		return;
	w->row += rows;
	w->row_class = row_class(w, w->row);
}

/* Whether the next n elements are in one row. */
DEVICE bool walk_is_inside(const struct class_walk *w, uint32_t n)
{
	return w->column + n <= w->width;
}

/* The sum of the classes of the element that is 'ahead' of the next one. */
DEVICE uint32_t walk_sum(const struct class_walk *w, uint32_t ahead,
			 bool is_inside)
{
	uint32_t column = w->column + ahead, q = w->row_class, rows;

	if (!is_inside) {
		rows = walk_rows(w, column);
		column -= rows * w->width;
		if (rows)
			q = row_class(w, w->row + rows);
	}
	return w->has_columns ? q + fetch8(w->columns + column) : q;
}

#endif /* BS_WARP_RANS_H */
