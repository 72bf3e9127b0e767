/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - how a blob's elements split into planes, and each plane's coding
 *
 * struct bs_model_desc is docs/format.md 8.1 in memory; struct bs_model is what
 * decoding needs, built from it and from the tables and classes it refers to.
 */

#ifndef BS_MODEL_H
#define BS_MODEL_H

#include "bigsmall.h"
#include "format.h"
#include "freq.h"

struct bs_part {
	uint8_t lo; /* lowest bit in the element */
	uint8_t bits;
};

struct bs_plane {
	uint8_t coding; /* enum plane_coding */
	uint8_t width;
	uint8_t n_parts;
	uint8_t table_log2;
	struct bs_part parts[PARTS_MAX]; /* most significant first */
	uint16_t n_symbols;
	uint16_t escape; /* or NO_ESCAPE */
	uint8_t shift;
	uint64_t base;
	uint64_t row_classes; /* references */
	uint64_t column_classes;
};

struct bs_model_desc {
	unsigned unit;
	unsigned n_planes;
	struct bs_plane planes[PLANES_MAX];
};

struct bs_classes {
	uint8_t *class; /* [n], owned; NULL: none */
	uint64_t n;
};

struct bs_model {
	struct bs_model_desc desc;
	struct {
		unsigned prob_bits;
		const bs_slot *slots; /* [1 << table_log2][1 << prob_bits] */
		struct bs_classes rows;
		struct bs_classes columns;
		unsigned q_max; /* of any row's and column's sum */
	} planes[PLANES_MAX];
	bs_slot *slots; /* owned: all planes' tables */
	struct bs_up_model *up; /* owned; of an upstream's blob, all there is */
	size_t mem;
};

/* Bytes of the model's payload (8.1). */
size_t bs_model_desc_len(const struct bs_model_desc *desc);

/* Write the payload; 'tables' are the references for the coded planes. */
void bs_model_desc_write(const struct bs_model_desc *desc,
			 const uint64_t *tables, uint8_t *dst);

/* Parse and check a payload.  The references to tables begin at *ret_tables
 * of it, *ret_n of them. */
enum bs_result bs_model_desc_read(struct bs_model_desc *ret, const uint8_t *src,
				  size_t len, size_t *ret_tables,
				  unsigned *ret_n);

/* Bytes of an escaped value of a plane. */
static inline unsigned bs_escape_len(const struct bs_plane *p)
{
	return (p->width + 7u) / 8;
}

/*
 * The sums of the classes of elements 'at' to at + n - 1, in the order of the
 * blob, whose rows have 'width' > 0 elements: docs/format.md 9.1.  NULL: zeros.
 */
typedef void (*bs_class_sums_fn)(uint16_t *restrict q, const uint8_t *rows,
				 const uint8_t *columns, uint64_t width,
				 uint64_t at, size_t n);

void bs_class_sums_scalar(uint16_t *restrict q, const uint8_t *rows,
			  const uint8_t *columns, uint64_t width, uint64_t at,
			  size_t n);
#ifdef __x86_64__
void bs_class_sums_avx2(uint16_t *restrict q, const uint8_t *rows,
			const uint8_t *columns, uint64_t width, uint64_t at,
			size_t n);
#endif

#endif /* BS_MODEL_H */
