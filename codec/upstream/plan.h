/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - how a tensor's stored bytes become its own: what a codec's file offers
 *
 * A codec's open() reads the tables of a stored tensor, checks them, adds its
 * streams to the plan and makes a node, which then gives the tensor's elements in
 * order, as many at a time as are asked for.  A plan is immutable once it is
 * open.
 */

#ifndef BS_UP_PLAN_H
#define BS_UP_PLAN_H

#include "lanes.h"

struct bs_up_node;

/* A stretch of the file. */
struct bs_up_span {
	uint64_t off;
	uint64_t len;
};

/* How a tensor's 4-bit values are shown, without what restores the source. */
struct bs_up_fast {
	uint64_t n; /* elements; 0: they are not */
	uint32_t group; /* elements that have one scale in the file; 0: they
			 * cannot be shown so */
	uint32_t shown; /* and as shown, packed: it divides 'group'; 0: as BF16 */
};

struct bs_up_plan {
	struct bs_up_stream *streams; /* [n_streams], owned */
	unsigned n_streams;
	unsigned n_allocated;
	struct bs_up_table *tables; /* owned: a list */
	size_t mem; /* of all this */
	uint64_t window; /* what its frames of zstd take besides */
	struct bs_up_node *node; /* owned */
	struct bs_up_span second; /* of a dual tensor: its residual */
	struct bs_up_fast fast; /* of one shown without it */
	/* Memory that a run has for the node, of which the first 'kept_len'
	 * bytes belong to a place in the tensor as the lanes' do. */
	size_t extra_len;
	size_t kept_len;
};

struct bs_up_node {
	/* Give the next 'n' elements, of 'width' bytes each. */
	enum bs_result (*run)(const struct bs_up_node *node,
			      struct bs_up_run *r, size_t n, void *dst);
	void (*free)(struct bs_up_node *node);
	unsigned width;
	uint64_t n; /* elements in all */
};

void bs_up_plan_fini(struct bs_up_plan *plan);

/* A node of 'len' bytes, zeroed, or NULL. */
struct bs_up_node *bs_up_node_new(struct bs_up_plan *plan, size_t len,
				  uint64_t n, unsigned width);
void bs_up_node_free(struct bs_up_node *node); /* NULL is allowed */

/* ---- Stored bytes -------------------------------------------------------- */

/* A cursor in a stretch of it.  What fails gives zeros, and says so in 'res' for good. */
struct bs_up_reader {
	const struct bs_source *src; /* borrowed */
	uint64_t pos;
	uint64_t end;
	enum bs_result res;
	uint64_t buf_off; /* what of the file 'buf' holds */
	size_t buf_len;
	uint8_t buf[4096];
};

void bs_up_reader_init(struct bs_up_reader *rd, const struct bs_source *src,
		       struct bs_up_span span);
void bs_up_read(struct bs_up_reader *rd, void *dst, size_t len);
unsigned bs_up_read_u8(struct bs_up_reader *rd);
unsigned bs_up_read_u16(struct bs_up_reader *rd);
uint32_t bs_up_read_u32(struct bs_up_reader *rd);
/* 'len' bytes, or as many as a u32 there says; they are passed by. */
struct bs_up_span bs_up_read_span(struct bs_up_reader *rd, uint64_t len);
struct bs_up_span bs_up_read_prefixed(struct bs_up_reader *rd);
/* Note BS_ERR_CORRUPT unless 'holds'; returns it. */
int bs_up_check(struct bs_up_reader *rd, int holds);
/* The result, which is corrupt as well if not all was read. */
enum bs_result bs_up_read_end(struct bs_up_reader *rd);

/*
 * A table of 'k' symbols, of 'symbol_len' bytes each and in order, then the count
 * of each: the counts of a whole alphabet of 'n' symbols.  Their sum is to be
 * 'total'.
 */
void bs_up_read_counts(struct bs_up_reader *rd, unsigned k, unsigned symbol_len,
		       uint32_t *counts, unsigned n, uint64_t total);

/* ---- Streams ------------------------------------------------------------- */

/* Add one, whose table is somebody's. */
enum bs_result bs_up_plan_add(struct bs_up_plan *plan,
			      const struct bs_up_stream *s, unsigned *ret);

/* Add one; the lane's number is *ret.  'is_awaited': others wait for it, or there
 * are none. */
enum bs_result bs_up_plan_symbols(struct bs_up_plan *plan, enum bs_up_kind kind,
				  struct bs_up_span span,
				  const uint32_t *counts, unsigned n,
				  int is_awaited, unsigned *ret);
enum bs_result bs_up_plan_bytes(struct bs_up_plan *plan,
				const struct bs_source *src,
				enum bs_up_kind kind, struct bs_up_span span,
				unsigned unit, unsigned *ret);

/* ---- Codecs: a file each ------------------------------------------------- */

/* All read a tensor of 'n' elements from 'span'. */
typedef enum bs_result (*bs_up_open_fn)(struct bs_up_plan *plan,
					const struct bs_source *src,
					struct bs_up_span span, uint64_t n,
					struct bs_up_node **ret);

/* bytes.c: the bytes themselves, or a zstd frame of them; and the latter with
 * elements of 2 bytes. */
enum bs_result bs_up_raw_open(struct bs_up_plan *plan,
			      const struct bs_source *src,
			      struct bs_up_span span, uint64_t n,
			      struct bs_up_node **ret);
enum bs_result bs_up_zstd_open(struct bs_up_plan *plan,
			       const struct bs_source *src,
			       struct bs_up_span span, uint64_t n,
			       struct bs_up_node **ret);
enum bs_result bs_up_zstd16_open(struct bs_up_plan *plan,
				 const struct bs_source *src,
				 struct bs_up_span span, uint64_t n,
				 struct bs_up_node **ret);

/* split.c: 16-bit floats, sign and exponent apart from the mantissa. */
enum bs_result bs_up_bf16_rans_open(struct bs_up_plan *plan,
				    const struct bs_source *src,
				    struct bs_up_span span, uint64_t n,
				    struct bs_up_node **ret);
enum bs_result bs_up_bf16_ac_open(struct bs_up_plan *plan,
				  const struct bs_source *src,
				  struct bs_up_span span, uint64_t n,
				  struct bs_up_node **ret);
enum bs_result bs_up_fp16_ac_open(struct bs_up_plan *plan,
				  const struct bs_source *src,
				  struct bs_up_span span, uint64_t n,
				  struct bs_up_node **ret);

/* f32.c: 32-bit floats. */
enum bs_result bs_up_fp32_ac_open(struct bs_up_plan *plan,
				  const struct bs_source *src,
				  struct bs_up_span span, uint64_t n,
				  struct bs_up_node **ret);
enum bs_result bs_up_native_open(struct bs_up_plan *plan,
				 const struct bs_source *src,
				 struct bs_up_span span, uint64_t n,
				 struct bs_up_node **ret);
enum bs_result bs_up_native2_open(struct bs_up_plan *plan,
				  const struct bs_source *src,
				  struct bs_up_span span, uint64_t n,
				  struct bs_up_node **ret);

/* categories.c: floats of 8 and 4 bits as symbols; n bytes. */
enum bs_result bs_up_fp8_open(struct bs_up_plan *plan,
			      const struct bs_source *src,
			      struct bs_up_span span, uint64_t n,
			      struct bs_up_node **ret);
enum bs_result bs_up_fp4_open(struct bs_up_plan *plan,
			      const struct bs_source *src,
			      struct bs_up_span span, uint64_t n,
			      struct bs_up_node **ret);

/* special.c: few distinct values; rows that differ little.  n bytes, whatever
 * the items have. */
enum bs_result bs_up_lowcard_open(struct bs_up_plan *plan,
				  const struct bs_source *src,
				  struct bs_up_span span, uint64_t n,
				  struct bs_up_node **ret);
enum bs_result bs_up_rows_open(struct bs_up_plan *plan,
			       const struct bs_source *src,
			       struct bs_up_span span, uint64_t n,
			       struct bs_up_node **ret);

/* dual.c: 4-bit values, and plan->second, which makes BF16 of them. */
enum bs_result bs_up_dual_open(struct bs_up_plan *plan,
			       const struct bs_source *src,
			       struct bs_up_span span, uint64_t n,
			       struct bs_up_node **ret);

/* packed.c: the same values alone, as plan->fast says; n bytes. */
enum bs_result bs_up_packed_open(struct bs_up_plan *plan,
				 const struct bs_source *src,
				 struct bs_up_span span, uint64_t n,
				 struct bs_up_node **ret);

/* residual.c: other schemes of the same; 'rd' is past its number of elements. */
enum bs_result bs_up_residual_open(struct bs_up_plan *plan,
				   struct bs_up_reader *rd, unsigned scheme,
				   struct bs_up_span span, uint64_t n,
				   struct bs_up_node **ret);

#endif /* BS_UP_PLAN_H */
