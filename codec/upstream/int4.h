/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int4.h - a tensor in 4-bit values: int4g_v1
 */

#ifndef BS_UP_INT4_H
#define BS_UP_INT4_H

#include "plan.h"
#include "r16.h"

#define INT4_VALUES 16 /* value v stands for v - 8 times the scale */
#define INT4_ZERO 8

/* Symbols from a place in a stream of values to the next. */
#define INT4_PLACE ((uint64_t)64 << 10)

/* Chunks of so many elements, stored at offsets that are stored. */
struct bs_up_chunks {
	uint32_t len; /* elements */
	uint32_t n;
	uint64_t offsets; /* in the file: n + 1 of u32 ... */
	uint64_t base; /* from here on */
	uint64_t end;
};

/* The number and length of chunks of 'n' elements are read; their offsets begin
 * at the reader's place. */
void bs_up_chunks_read(struct bs_up_reader *rd, struct bs_up_chunks *c,
		       uint64_t n);

/* The most that a chunk's stored bytes may be. */
size_t bs_up_chunks_stored(const struct bs_up_chunks *c);
enum bs_result bs_up_chunks_load(const struct bs_up_chunks *c,
				 const struct bs_source *src, uint32_t i,
				 uint8_t *dst, size_t *ret_len);

struct bs_up_int4 {
	uint64_t n; /* elements */
	uint8_t *scales; /* [2 * groups], owned */
	unsigned group; /* elements that have one scale */
	enum bs_up_int4_coding {
		INT4_PACKED,
		INT4_SYMBOLS,
		INT4_CHUNKS
	} coding;
	struct bs_up_span packed;
	/* Symbols: of a range coder, and places in them. */
	struct bs_up_stream symbols;
	struct bs_up_table *symbol_table; /* owned, as is the next */
	struct bs_up_seek *places; /* before every INT4_PLACE of them */
	struct bs_up_chunks chunks;
	struct bs_r16_table table;
};

/* 'v' is zeros; bs_up_int4_fini() whatever comes of it. */
enum bs_result bs_up_int4_open(struct bs_up_int4 *v,
			       const struct bs_source *src,
			       struct bs_up_span span, uint64_t n);
void bs_up_int4_fini(struct bs_up_int4 *v);

/* A BF16. */
uint16_t bs_up_int4_scale(const struct bs_up_int4 *v, uint64_t at);

/* Values of 'n' elements from 'first' on.  'scratch' has so many bytes, for up to
 * 'n_max' elements at a time, and is zeros at first. */
size_t bs_up_int4_scratch_len(const struct bs_up_int4 *v, size_t n_max);
enum bs_result bs_up_int4_read(const struct bs_up_int4 *v,
			       const struct bs_source *src, uint64_t first,
			       size_t n, uint8_t *dst, void *scratch);

/* Elements by their values, those of one in order; 'counts' of each value. */
void bs_up_int4_sort(const uint8_t *values, size_t n, uint32_t *order,
		     uint32_t *counts);

#endif /* BS_UP_INT4_H */
