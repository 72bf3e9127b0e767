/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warp_layout.h - the parts of a chunk coded in planes (docs/format.md 9)
 *
 * chunk_decode.c is the specification: what it calls corrupt is corrupt here.
 * Nothing past the stored bytes is read, whatever they say.  What a chunk says
 * of its planes goes into shared memory, since it is looked up by number.
 */

#ifndef BS_WARP_LAYOUT_H
#define BS_WARP_LAYOUT_H

#include "device_model.h"
#include "portable.h"

/* Elements that go through all stages together at most, and what planes are
 * merged in multiples of. */
#define STEP_MAX 256

/* Words at hand: as many as a step may take, and what is put in at a time. */
#define RING 512
#define RING_FILL 64

/* Shared memory of a warp. */
struct warp_scratch {
	uint8_t ring[2 * RING] __attribute__((aligned(8)));
	uint8_t carried[CARRY_MAX];
	uint32_t escapes_at[PLANES_MAX]; /* offsets in the stored bytes */
	uint32_t n_escapes[PLANES_MAX];
	uint32_t local_at[PLANES_MAX]; /* of its table; 0: not coded here */
	uint32_t raw_at[ENTRIES_MAX]; /* in the raw section */
	uint8_t raw_entry[ENTRIES_MAX]; /* of the head's entries */
};

/* Of a warp whose model has local planes, besides: one table. */
struct warp_local {
	uint32_t slots[256];
	uint8_t symbols[1 << PROB_BITS_MAX];
};

/* All offsets are in the stored bytes, but where it is said. */
struct warp_layout {
	const uint8_t *stored;
	uint32_t len;
	uint32_t n; /* elements */
	uint32_t n_groups; /* of 64 */
	uint32_t n_words;
	uint32_t states_at;
	uint32_t words_at;
	uint32_t raw_at;
	uint32_t raw_len; /* of the section */
	uint32_t raw_stored; /* without the carried bytes */
	uint32_t n_early; /* elements before any with carried bits, a multiple
			   * of STEP_MAX */
	uint32_t n_raw; /* entries that are raw here */
	bool has_coded;
};

/* ---- Local tables ------------------------------------------------------- */

/* Bits, each byte's least significant first. */
struct bit_window {
	const uint8_t *at; /* the byte that comes next */
	const uint8_t *end;
	uint64_t bits;
	unsigned n;
};

DEVICE void bits_fill(struct bit_window *w)
{
	while (w->n <= 56 && w->at < w->end) {
		w->bits |= (uint64_t)fetch8(w->at++) << w->n;
		w->n += 8;
	}
}

/* n < 32 bits, as many as there are. */
DEVICE uint32_t bits_take(struct bit_window *w, unsigned n)
{
	uint32_t v = (uint32_t)w->bits & ((1u << n) - 1);

	w->bits >>= n;
	w->n -= n;
	return v;
}

/*
 * The next frequency of a table (8.2), after one of *bits bits.  False: there
 * is none.  A jump of lengths of 31 or more, which is five zero bits or more,
 * leads nowhere.
 */
DEVICE bool table_next(struct bit_window *w, unsigned *bits, uint32_t *ret)
{
	unsigned k, z;

	bits_fill(w);
	if (!(w->bits & 31))
		return false;
	k = lowest_bit((uint32_t)w->bits & 31);
	if (w->n < 2 * k + 1)
		return false;
	bits_take(w, k + 1);
	z = (1u << k | bits_take(w, k)) - 1;
	if (z & 1 ? (z + 1) / 2 > *bits : *bits + z / 2 > PROB_BITS_MAX)
		return false;
	*bits = z & 1 ? *bits - (z + 1) / 2 : *bits + z / 2;
	*ret = 0;
	if (!*bits)
		return true;
	if (w->n < *bits - 1)
		return false;
	*ret = 1u << (*bits - 1) | bits_take(w, *bits - 1);
	return true;
}

/*
 * Parse a table at 'src', of a plane of 'width' bits.  Its entries go into
 * 'slots', if that is not NULL.  *ret_bits is its Prob_Bits, *ret_len its bytes.
 */
DEVICE_CALL bool table_read(const uint8_t *src, uint32_t len, unsigned width,
			    uint32_t *slots, unsigned *ret_bits,
			    uint32_t *ret_len)
{
	struct bit_window w = { src + 2, src + len, 0, 0 };
	uint32_t prob_bits, last, sum = 0, f, s;
	unsigned bits = 0;

	if (len < 2)
		return false;
	prob_bits = fetch8(src);
	last = fetch8(src + 1);
	if (prob_bits < PROB_BITS_MIN || prob_bits > PROB_BITS_MAX)
		return false;
	for (s = 0; s <= last; s++) {
		if (!table_next(&w, &bits, &f) || f >> prob_bits)
			return false;
		if (f && s >> width)
			return false;
		if (slots) {
			ONE_LANE (t)
				slots[s] = f << 16 | sum;
		}
		sum += f;
		if (sum > 1u << prob_bits)
			return false;
	}
	/* The last byte's padding is zero. */
	if (w.bits & ((1u << w.n % 8) - 1))
		return false;
	*ret_bits = prob_bits;
	*ret_len = (uint32_t)(w.at - src) - w.n / 8;
	return sum == 1u << prob_bits;
}

/* Build the table of a local plane, which was parsed before.  Returns its
 * Prob_Bits, or 0: it is none. */
DEVICE_CALL unsigned table_build(const uint8_t *src, uint32_t len,
				 unsigned width, struct warp_local *local)
{
	uint32_t last, s, used;
	unsigned prob_bits;

	warp_sync(); /* the table before may be in use */
	if (!table_read(src, len, width, local->slots, &prob_bits, &used))
		return 0;
	warp_sync();
	last = fetch8(src + 1);
	for (s = 0; s <= last; s++) {
		uint32_t f = local->slots[s] >> 16;
		uint8_t *to = local->symbols + (local->slots[s] & 0xffff);

		FOR_LANES (t) {
			for (uint32_t i = t; i < f; i += WARP)
				to[i] = (uint8_t)s;
		}
	}
	warp_sync();
	return prob_bits;
}

/* ---- The raw section ---------------------------------------------------- */

/* Bytes of an entry of 'bits' bits over all elements. */
DEVICE uint32_t entry_len(const struct warp_layout *lay, unsigned bits)
{
	return bits == 8 ? lay->n : lay->n_groups * 8 * bits;
}

/* Entries that are raw in this chunk, and where. */
DEVICE void find_raw(const struct bs_device_head *head, struct warp_layout *lay,
		     struct warp_scratch *ws)
{
	unsigned i, k;

	lay->n_raw = 0;
	lay->raw_len = 0;
	for (i = 0; i < head->n_planes; i++) {
		const struct bs_device_plane *p = &head->planes[i];

		if (p->coding == PLANE_CONSTANT || p->coding == PLANE_CODED ||
		    (p->coding == PLANE_LOCAL && ws->local_at[i]))
			continue;
		for (k = 0; k < p->n_entries; k++) {
			unsigned e = p->first_entry + k;

			ONE_LANE (t) {
				ws->raw_entry[lay->n_raw] = (uint8_t)e;
				ws->raw_at[lay->n_raw] = lay->raw_len;
			}
			lay->n_raw++;
			lay->raw_len += entry_len(lay, head->entries[e].bits);
		}
	}
	warp_sync();
}

/* The first element, a multiple of 64, of whose bits in a piece of 'bits' bits
 * at 'off' the lanes carry some. */
DEVICE uint32_t first_carried(const struct warp_layout *lay, uint32_t off,
			      unsigned bits)
{
	uint32_t here = lay->raw_stored > off ? lay->raw_stored - off : 0;

	if (here >= entry_len(lay, bits))
		return lay->n;
	return here / (8 * bits) * 64;
}

DEVICE void measure_carry(const struct bs_device_head *head,
			  struct warp_layout *lay,
			  const struct warp_scratch *ws)
{
	uint32_t carry = lay->has_coded ? lay->raw_len & ~1u : 0, i, first;
	unsigned bits, piece;

	if (carry > CARRY_MAX)
		carry = CARRY_MAX;
	lay->raw_stored = lay->raw_len - carry;
	lay->n_early = lay->n;
	for (i = 0; i < lay->n_raw; i++) {
		uint32_t off = ws->raw_at[i];

		/* Its pieces are the ones of its binary digits, highest first. */
		bits = head->entries[ws->raw_entry[i]].bits;
		for (piece = 8; piece; piece /= 2) {
			if (!(bits & piece))
				continue;
			first = first_carried(lay, off, piece);
			if (first < lay->n_early)
				lay->n_early = first;
			off += entry_len(lay, piece);
		}
	}
	lay->n_early -= lay->n_early % STEP_MAX;
}

/* ---- All of it ---------------------------------------------------------- */

/* The numbers of escapes; *at moves past them. */
DEVICE bool read_escapes(const struct bs_device_head *head,
			 struct warp_layout *lay, struct warp_scratch *ws,
			 uint32_t *at, uint64_t *ret_len)
{
	unsigned i;

	*ret_len = 0;
	for (i = 0; i < head->n_planes; i++) {
		uint32_t n = 0;

		if (head->planes[i].escape_len) {
			if (lay->len - *at < 4)
				return false;
			n = fetch32_any(lay->stored + *at);
			*at += 4;
		}
		*ret_len += (uint64_t)n * head->planes[i].escape_len;
		ONE_LANE (t)
			ws->n_escapes[i] = n;
	}
	warp_sync();
	return true;
}

DEVICE bool read_local(const struct bs_device_head *head,
		       struct warp_layout *lay, struct warp_scratch *ws,
		       uint32_t *at)
{
	unsigned i, bits;
	uint32_t used;

	lay->has_coded = false;
	for (i = 0; i < head->n_planes; i++) {
		const struct bs_device_plane *p = &head->planes[i];
		uint32_t begin = 0;

		lay->has_coded |= p->coding == PLANE_CODED;
		if (p->coding == PLANE_LOCAL) {
			if (*at >= lay->len)
				return false;
			used = 1;
			if (fetch8(lay->stored + *at)) {
				begin = *at;
				if (!table_read(lay->stored + begin,
						lay->len - begin, p->width,
						NULL, &bits, &used))
					return false;
				lay->has_coded = true;
			}
			*at += used;
		}
		ONE_LANE (t)
			ws->local_at[i] = begin;
	}
	warp_sync();
	return true;
}

/* Where each plane's escapes are. */
DEVICE void place_escapes(const struct bs_device_head *head,
			  struct warp_scratch *ws, uint32_t at)
{
	unsigned i;

	for (i = 0; i < head->n_planes; i++) {
		ONE_LANE (t)
			ws->escapes_at[i] = at;
		at += ws->n_escapes[i] * head->planes[i].escape_len;
	}
	warp_sync();
}

/* False: corrupt.  'lay' has 'stored', 'len' and 'n' already. */
DEVICE_CALL bool read_layout(const struct bs_device_head *head,
			     struct warp_layout *lay, struct warp_scratch *ws)
{
	uint64_t words_len, escapes_len;
	uint32_t at = 4;

	lay->n_groups = (lay->n + LANES - 1) / LANES;
	if (lay->len < at)
		return false;
	lay->n_words = fetch32_any(lay->stored);
	words_len = 2 * (uint64_t)lay->n_words;
	if (!read_escapes(head, lay, ws, &at, &escapes_len) ||
	    !read_local(head, lay, ws, &at))
		return false;
	find_raw(head, lay, ws);
	measure_carry(head, lay, ws);

	lay->states_at = at;
	if (lay->has_coded) {
		if (lay->len - at < STATES_LEN)
			return false;
		at += STATES_LEN;
	} else if (words_len) {
		return false;
	}
	lay->words_at = at;
	if (words_len > lay->len - at)
		return false;
	at += (uint32_t)words_len;
	if (escapes_len > lay->len - at)
		return false;
	place_escapes(head, ws, at);
	lay->raw_at = at + (uint32_t)escapes_len;
	return lay->len - lay->raw_at == lay->raw_stored;
}

#endif /* BS_WARP_LAYOUT_H */
