/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_chunk.c - every dtype, kind of data and length survives a chunk; damage
 * never passes for good, never reads or writes out of bounds; decoding
 * allocates nothing
 */

#include "../test.h"
#include "bits.h"
#include "checksum.h"
#include "model.h"
#include "rans.h"

static struct bs_workspace *ws;

enum kind {
	NORMAL,
	RANDOM,
	ZEROS,
	SPARSE,
	EQUAL,
	NANS,
	DENORMAL,
	TINY_SET,
	N_KINDS
};

/* The low bits of the float that dtype has at unit bytes. */
static void fill(uint8_t *p, size_t len, unsigned dtype, enum kind kind,
		 uint64_t *seed)
{
	unsigned unit = bs_dtype_unit(dtype);
	size_t i;

	for (i = 0; i + unit <= len; i += unit) {
		float f = random_normal(seed) * 0.02f;
		double d = f;
		uint64_t v = random_u64(seed);
		uint32_t u;

		memcpy(&u, &f, 4);
		switch (kind) {
		case NORMAL:
			v = unit == 2 ? u >> 16 : unit == 1 ? u >> 20 : u;
			if (unit == 8)
				memcpy(&v, &d, 8);
			break;
		case ZEROS:
			v = 0;
			break;
		case SPARSE:
			v = v % 10 ? 0 : u >> 16;
			break;
		case EQUAL:
			v = UINT64_C(0x3f803c003f803c01);
			break;
		case NANS:
			v = UINT64_MAX;
			break;
		case DENORMAL:
			v &= 7;
			break;
		case TINY_SET:
			v = v & 1 ? UINT64_C(0x1122334455667788) : 42;
			break;
		default:
			break;
		}
		memcpy(p + i, &v, unit);
	}
	for (; i < len; i++)
		p[i] = (uint8_t)random_u64(seed);
}

/* One blob of one chunk in a container, so that its model is really stored
 * and loaded. */
struct one {
	struct memory mem;
	struct bs_source src;
	struct bs_archive *ar;
	struct bs_blob blob;
	struct bs_model *model;
	struct bs_chunk chunk;
};

static void one_make(struct one *o, const uint8_t *raw, size_t len,
		     unsigned dtype, int is_sample)
{
	struct bs_extent ext = { .len = len };
	struct bs_member m = { .type = BS_MEMBER_FILE,
			       .size = len,
			       .name = "",
			       .target = "",
			       .n_extents = 1 };
	struct bs_sink sink = { memory_pwrite, &o->mem };
	size_t seen = is_sample ? len / 2 / 8 * 8 : len;
	struct guarded dst = guarded_new(BS_CHUNK_STORED_MAX);
	struct bs_encoded enc;
	struct bs_writer *w;
	struct bs_coder *coder;
	struct bs_stats *st;
	struct bs_page *page;
	uint64_t no, total;

	memset(o, 0, sizeof(*o));
	assert_int_equal(bs_stats_new(&st, BS_LEVEL_DEFAULT), BS_OK);
	assert_int_equal(bs_stats_begin(st, dtype, len, 0), BS_OK);
	bs_stats_add(st, raw, seen);
	assert_int_equal(bs_coder_new(&coder, st), BS_OK);
	bs_stats_free(st);
	assert_int_equal(bs_writer_new(&w, BS_LEVEL_DEFAULT, &sink), BS_OK);
	assert_int_equal(bs_writer_begin_blob(w, dtype, coder, 0, len, &no,
					      &o->blob),
			 BS_OK);
	assert_int_equal(o->blob.n_chunks, 1);
	assert_int_equal(bs_chunk_encode(coder, ws, 0, raw, len, dst.p, &enc),
			 BS_OK);
	assert_true(enc.stored_len <= len);
	assert_int_equal(bs_writer_put_chunk(w, &enc, dst.p), BS_OK);
	assert_int_equal(bs_writer_end_blob(w, NULL), BS_OK);
	assert_int_equal(bs_writer_add_member(w, &m, &ext), BS_OK);
	assert_int_equal(bs_writer_finish(w, "", &total), BS_OK);
	assert_int_equal(total, o->mem.len);
	bs_writer_free(w);
	bs_coder_free(coder);
	guarded_free(&dst);

	o->src = memory_source(&o->mem);
	assert_int_equal(bs_archive_open(&o->ar, &o->src, NULL), BS_OK);
	bs_archive_blob(o->ar, 0, &o->blob);
	if (o->blob.model != BS_NO_MODEL)
		assert_int_equal(bs_model_load(o->ar, o->blob.model, &o->model,
					       NULL),
				 BS_OK);
	assert_int_equal(bs_page_load(o->ar, 0, &page, NULL), BS_OK);
	bs_page_chunk(o->ar, page, 0, &o->chunk);
	bs_page_free(page);
}

static void one_free(struct one *o)
{
	bs_model_free(o->model);
	bs_archive_close(o->ar);
	free(o->mem.p);
}

/* ---- Allocations, of ours and of the libraries below us -------------------- */

static unsigned n_allocations;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void *__libc_malloc(size_t len);
void *__libc_calloc(size_t n, size_t len);
void *__libc_realloc(void *p, size_t len);

void *malloc(size_t len)
{
	n_allocations++;
	return __libc_malloc(len);
}

void *calloc(size_t n, size_t len)
{
	n_allocations++;
	return __libc_calloc(n, len);
}

void *realloc(void *p, size_t len)
{
	n_allocations++;
	return __libc_realloc(p, len);
}
#endif

/* Decode from and into buffers that end at guard pages. */
static enum bs_result one_decode(struct one *o, const uint8_t *raw)
{
	struct guarded in = guarded_new(o->chunk.stored_len);
	struct guarded out = guarded_new(o->chunk.raw_len);
	unsigned n_before;
	enum bs_result res;

	memcpy(in.p, o->mem.p + o->chunk.stored_off, o->chunk.stored_len);
	n_before = n_allocations;
	res = bs_chunk_decode(&o->chunk, &o->blob, o->model, ws, in.p, out.p);
	assert_int_equal(n_allocations, n_before);
	if (!res)
		assert_memory_equal(out.p, raw, o->chunk.raw_len);
	guarded_free(&in);
	guarded_free(&out);
	return res;
}

static void test_round_trips(void **state)
{
	static const size_t lengths[] = { 1,	2,    7,     8,	    16,
					  126,	128,  130,   512,   1000,
					  4096, 8200, 65536, 262144 };
	uint64_t seed = 7;
	unsigned dtype, kind, l;

	(void)state;
	for (dtype = 0; dtype < BS_DTYPE_N; dtype++)
		for (kind = 0; kind < N_KINDS; kind++)
			for (l = 0; l < sizeof(lengths) / sizeof(lengths[0]);
			     l++) {
				size_t len = lengths[l];
				unsigned unit = bs_dtype_unit(dtype);
				uint8_t *raw;
				struct one o;

				len = len / unit * unit;
				if (!len)
					continue;
				raw = malloc(len);
				fill(raw, len, dtype, (enum kind)kind, &seed);
				one_make(&o, raw, len, dtype, l & 1);
				assert_int_equal(one_decode(&o, raw), BS_OK);
				assert_int_equal(
					bs_chunk_check_stored(
						&o.chunk,
						o.mem.p + o.chunk.stored_off),
					BS_OK);
				one_free(&o);
				free(raw);
			}
}

/* Weights of every float type get smaller, and by planes. */
static void test_floats_shrink(void **state)
{
	static const struct {
		unsigned dtype;
		double ratio;
	} floats[] = {
		{ BS_DTYPE_BF16, 0.69 },
		{ BS_DTYPE_F32, 0.86 },
		{ BS_DTYPE_F64, 0.92 },
		{ BS_DTYPE_F8_E4M3, 0.90 },
	};
	size_t len = 262144;
	uint8_t *raw = malloc(len);
	uint64_t seed = 8;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
		struct one o;

		fill(raw, len, floats[i].dtype, NORMAL, &seed);
		one_make(&o, raw, len, floats[i].dtype, 0);
		assert_int_equal(o.chunk.coding, BS_CODING_PLANES);
		assert_true(o.chunk.stored_len < floats[i].ratio * (double)len);
		one_free(&o);
	}
	free(raw);
}

static void test_damage(void **state)
{
	static const unsigned dtypes[] = { BS_DTYPE_BYTES, BS_DTYPE_BF16,
					   BS_DTYPE_F32, BS_DTYPE_I64,
					   BS_DTYPE_F8_E5M2 };
	uint64_t seed = 9;
	unsigned d, kind, round;

	(void)state;
	for (d = 0; d < sizeof(dtypes) / sizeof(dtypes[0]); d++)
		for (kind = NORMAL; kind <= SPARSE; kind++) {
			size_t len = 8192;
			uint8_t *raw = malloc(len);
			struct one o;

			fill(raw, len, dtypes[d], (enum kind)kind, &seed);
			one_make(&o, raw, len, dtypes[d], 1);
			for (round = 0; round < rounds(600); round++) {
				uint8_t *s = o.mem.p + o.chunk.stored_off;
				size_t at =
					random_u64(&seed) % o.chunk.stored_len;
				uint8_t was = s[at];
				uint32_t len_was = o.chunk.stored_len;

				/* Most of the structure is in the first bytes. */
				if (round & 1)
					at %= 300 % len_was + 1;
				if (at >= len_was)
					at = 0;
				was = s[at];
				s[at] ^= (uint8_t)(1u << random_u64(&seed) % 8);
				if (!(round % 7))
					o.chunk.stored_len =
						1 +
						(uint32_t)(random_u64(&seed) %
							   len_was);
				assert_int_equal(bs_chunk_check_stored(&o.chunk,
								       s),
						 BS_ERR_CHECKSUM);
				/* Either refused, or (an unused bit) still
				 * right. */
				one_decode(&o, raw);
				s[at] = was;
				o.chunk.stored_len = len_was;
			}
			assert_int_equal(one_decode(&o, raw), BS_OK);
			one_free(&o);
			free(raw);
		}
}

/* ---- Contexts: what no encoder of ours makes yet ------------------------- */

#define CTX_N 9001 /* elements; some steps of the decoder, and a rest */
#define CTX_WIDTH 37
#define CTX_FIRST 1000 /* the chunk's first element, in the blob */
#define CTX_ESCAPE 77
#define CTX_LOG2 2

/* A chunk by hand: ten bits coded by rows and columns with escapes, six raw. */
struct contexts {
	struct bs_model m;
	struct bs_enc_symbol enc[1 << CTX_LOG2][SYMBOLS_MAX];
	bs_slot slots[1 << (CTX_LOG2 + PROB_BITS_MAX)];
	uint8_t row_classes[(CTX_FIRST + CTX_N) / CTX_WIDTH + 1];
	uint8_t column_classes[CTX_WIDTH];
	uint16_t raw[CTX_N];
	uint8_t sym[CTX_N];
	uint8_t q[CTX_N];
	uint8_t low[(CTX_N + 63) / 64 * 64]; /* the raw bits */
	uint8_t section[CTX_N];
	size_t section_len;
	uint8_t escapes[2 * CTX_N];
	uint32_t n_escapes;
	uint8_t stored[4 * CTX_N + 4096];
	uint32_t stored_len;
	unsigned prob_bits;
};

static void ctx_model(struct contexts *c, uint64_t *seed)
{
	struct bs_plane *p = c->m.desc.planes;
	uint64_t counts[SYMBOLS_MAX];
	struct bs_freq freq;
	unsigned t, s;

	c->m.desc.unit = 2;
	c->m.desc.n_planes = 2;
	p[0] = (struct bs_plane){ .coding = PLANE_CODED,
				  .width = 10,
				  .n_parts = 2,
				  .parts = { { 8, 3 }, { 0, 7 } },
				  .table_log2 = CTX_LOG2,
				  .n_symbols = 100,
				  .escape = CTX_ESCAPE,
				  .base = 1000,
				  .shift = 3 };
	p[1] = (struct bs_plane){ .coding = PLANE_RAW,
				  .width = 6,
				  .n_parts = 2,
				  .parts = { { 7, 1 }, { 11, 5 } },
				  .escape = NO_ESCAPE };
	for (t = 0; t < 1 << CTX_LOG2; t++) {
		for (s = 0; s < 100; s++)
			counts[s] = random_u64(seed) >> (40 + s % 20);
		bs_freq_normalise(&freq, counts, 100, c->prob_bits);
		bs_freq_enc(&freq, c->enc[t]);
		bs_freq_slots(&freq, c->slots + ((size_t)t << c->prob_bits));
	}
	c->m.planes[0].prob_bits = c->prob_bits;
	c->m.planes[0].slots = c->slots;
}

static void ctx_classes(struct contexts *c, unsigned kinds, uint64_t *seed)
{
	unsigned i;

	for (i = 0; i < sizeof(c->row_classes); i++)
		c->row_classes[i] = (uint8_t)(random_u64(seed) % 100);
	for (i = 0; i < CTX_WIDTH; i++)
		c->column_classes[i] = (uint8_t)(random_u64(seed) % 100);
	if (kinds & 1)
		c->m.planes[0].rows =
			(struct bs_classes){ c->row_classes,
					     sizeof(c->row_classes) };
	if (kinds & 2)
		c->m.planes[0].columns =
			(struct bs_classes){ c->column_classes, CTX_WIDTH };
	c->m.planes[0].q_max = 99 * (kinds & 1) + 99 * (kinds >> 1);
	for (i = 0; i < CTX_N; i++) {
		size_t at = CTX_FIRST + i;

		c->q[i] = 0;
		if (kinds & 1)
			c->q[i] = c->row_classes[at / CTX_WIDTH];
		if (kinds & 2)
			c->q[i] = (uint8_t)(c->q[i] +
					    c->column_classes[at % CTX_WIDTH]);
	}
}

/* Symbols that the tables can code, and the elements that they stand for. */
static void ctx_elements(struct contexts *c, uint64_t *seed)
{
	unsigned i, v;

	for (i = 0; i < CTX_N; i++) {
		unsigned t = c->q[i] % (1 << CTX_LOG2);
		unsigned slot =
			(unsigned)(random_u64(seed) % (1u << c->prob_bits));

		c->sym[i] =
			(uint8_t)c->slots[((size_t)t << c->prob_bits) + slot];
		v = (c->sym[i] + 1000u + (c->q[i] >> CTX_LOG2 << 3)) & 1023;
		if (c->sym[i] == CTX_ESCAPE) {
			v = (unsigned)random_u64(seed) & 65535;
			put_u16(c->escapes + 2 * (size_t)c->n_escapes++,
				(uint16_t)v);
			v &= 1023;
		}
		c->low[i] = (uint8_t)(random_u64(seed) & 63);
		c->raw[i] = (uint16_t)((v >> 7) << 8 | (v & 127) |
				       (c->low[i] >> 5) << 7 |
				       (c->low[i] & 31) << 11);
	}
}

static void ctx_section(struct contexts *c)
{
	size_t groups = sizeof(c->low) / 64, i;
	uint8_t piece[sizeof(c->low)];

	for (i = 0; i < sizeof(piece); i++)
		piece[i] = c->low[i] & 15;
	bs_piece_pack(c->section, piece, 4, groups);
	for (i = 0; i < sizeof(piece); i++)
		piece[i] = c->low[i] >> 4;
	bs_piece_pack(c->section + 32 * groups, piece, 2, groups);
	c->section_len = 48 * groups;
}

/* One element at a time, as docs/format.md 10 has it. */
static uint8_t *ctx_encode(struct contexts *c, uint8_t *words, uint32_t *x)
{
	const uint8_t *carried = c->section + c->section_len - CARRY_MAX;
	size_t i;

	for (i = 0; i < LANES; i++)
		x[i] = 65536u + get_u16(carried + 2 * i);
	for (i = CTX_N; i-- > 0;) {
		const struct bs_enc_symbol *s =
			&c->enc[c->q[i] % (1 << CTX_LOG2)][c->sym[i]];
		uint32_t f = (1u << c->prob_bits) - s->complement;
		uint32_t *lane = &x[i % LANES];

		if (*lane >= s->limit) {
			words -= 2;
			put_u16(words, (uint16_t)*lane);
			*lane >>= 16;
		}
		*lane = (*lane / f << c->prob_bits) + *lane % f + s->start;
	}
	return words;
}

static void ctx_store(struct contexts *c)
{
	static uint8_t room[4 * CTX_N];
	uint8_t *end = room + sizeof(room), *p = c->stored, *words;
	uint32_t x[LANES];

	words = ctx_encode(c, end, x);
	put_u32(p, (uint32_t)(end - words) / 2);
	put_u32(p + 4, c->n_escapes);
	memcpy(p + 8, x, STATES_LEN);
	p += 8 + STATES_LEN;
	memcpy(p, words, (size_t)(end - words));
	p += end - words;
	memcpy(p, c->escapes, 2 * (size_t)c->n_escapes);
	p += 2 * (size_t)c->n_escapes;
	memcpy(p, c->section, c->section_len - CARRY_MAX);
	p += c->section_len - CARRY_MAX;
	c->stored_len = (uint32_t)(p - c->stored);
}

static void ctx_check(unsigned kinds, unsigned prob_bits, uint64_t *seed)
{
	struct contexts *c = calloc(1, sizeof(*c));
	struct bs_blob blob = { .width = CTX_WIDTH };
	struct bs_chunk chunk = { .raw_len = 2 * CTX_N,
				  .blob_off = 2 * CTX_FIRST,
				  .coding = BS_CODING_PLANES };
	struct guarded in, out;

	assert_non_null(c);
	c->prob_bits = prob_bits;
	ctx_model(c, seed);
	ctx_classes(c, kinds, seed);
	ctx_elements(c, seed);
	ctx_section(c);
	ctx_store(c);
	chunk.stored_len = c->stored_len;
	chunk.raw_sum = bs_xxh3_64(c->raw, sizeof(c->raw));
	in = guarded_new(c->stored_len);
	out = guarded_new(sizeof(c->raw));
	memcpy(in.p, c->stored, c->stored_len);
	assert_int_equal(bs_chunk_decode(&chunk, &blob, &c->m, ws, in.p, out.p),
			 BS_OK);
	assert_memory_equal(out.p, c->raw, sizeof(c->raw));
	/* One escape fewer is one too few. */
	put_u32(in.p + 4, c->n_escapes - 1);
	assert_int_equal(bs_chunk_decode(&chunk, &blob, &c->m, ws, in.p, out.p),
			 BS_ERR_CORRUPT);
	guarded_free(&in);
	guarded_free(&out);
	free(c);
}

/* Classes of rows, of columns and of both, four tables, escapes, parts out of
 * order, carried bits in a piece of two. */
static void test_contexts(void **state)
{
	unsigned kinds, bits;
	uint64_t seed = 10;

	(void)state;
	for (kinds = 0; kinds <= 3; kinds++)
		for (bits = PROB_BITS_MIN; bits <= PROB_BITS_MAX; bits++)
			ctx_check(kinds, bits, &seed);
}

/* Values that the sample did not have: hundreds of escapes in a step. */
static void test_many_escapes(void **state)
{
	static const unsigned dtypes[] = { BS_DTYPE_BF16, BS_DTYPE_F16,
					   BS_DTYPE_F32, BS_DTYPE_F8_E4M3,
					   BS_DTYPE_F64 };
	size_t len = 262144, i;
	uint8_t *raw = malloc(len);
	uint64_t seed = 11;
	unsigned d;

	(void)state;
	for (d = 0; d < sizeof(dtypes) / sizeof(dtypes[0]); d++) {
		struct one o;

		fill(raw, len, dtypes[d], NORMAL, &seed);
		for (i = 7 * len / 8; i < len; i++)
			raw[i] = (uint8_t)random_u64(&seed);
		one_make(&o, raw, len, dtypes[d], 1);
		assert_int_equal(o.chunk.coding, BS_CODING_PLANES);
		assert_int_equal(one_decode(&o, raw), BS_OK);
		one_free(&o);
	}
	free(raw);
}

static int setup(void **state)
{
	(void)state;
	return bs_workspace_new(&ws);
}

static int teardown(void **state)
{
	(void)state;
	bs_workspace_free(ws);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_floats_shrink),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_many_escapes),
	};

	need_kernels();
	return cmocka_run_group_tests(tests, setup, teardown);
}
