/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block.c - attention and feed-forward, with keys and values kept
 *
 * Each number is computed by one thread alone, in the order that nn.h fixes, so
 * the result does not depend on who computes what.
 */

#include "block.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN 64

/* ---- Memory -------------------------------------------------------------- */

static uint64_t floats(uint64_t n)
{
	return (n * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
}

/* Pairs of a head's elements that are turned: none where positions are added. */
static uint32_t pairs_of(const struct bsx_hparams *hp)
{
	double part = hp->rope.part > 0 ? hp->rope.part : 1;

	if (!(hp->rope.theta > 0))
		return 0;
	return (uint32_t)((double)hp->head_dim * part) / 2;
}

/* The parts of the mapping, in order, or what they take with 'base' at NULL. */
static uint64_t lay_out(struct bsx_block *b, const struct bsx_hparams *hp,
			uint32_t n_context, unsigned n_threads, uint8_t *base)
{
	uint64_t width = (uint64_t)hp->n_heads * hp->head_dim;
	uint64_t kv_width = (uint64_t)hp->n_kv_heads * hp->head_dim;
	uint64_t kept = (uint64_t)hp->n_layers * n_context * kv_width;
	uint64_t group = hp->n_heads / hp->n_kv_heads;
	uint64_t n_pairs = pairs_of(hp);
	bool is_local = hp->local_rope.theta > 0;
	const struct {
		float **ret;
		uint64_t n;
	} fields[] = {
		{ &b->keys, kept },
		{ &b->values, kept },
		{ &b->norm, (uint64_t)BSX_BATCH * hp->n_embd },
		{ &b->q, BSX_BATCH * width },
		{ &b->k_new, BSX_BATCH * kv_width },
		{ &b->v_new, BSX_BATCH * kv_width },
		{ &b->mixed, BSX_BATCH * width },
		{ &b->gate, (uint64_t)BSX_BATCH * hp->n_ff },
		{ &b->up, (uint64_t)BSX_BATCH * hp->n_ff },
		{ &b->cosine[0], n_context * n_pairs },
		{ &b->sine[0], n_context * n_pairs },
		{ &b->cosine[1], is_local ? n_context * n_pairs : 0 },
		{ &b->sine[1], is_local ? n_context * n_pairs : 0 },
		{ &b->inv_freq[0], n_pairs },
		{ &b->inv_freq[1], n_pairs },
		{ &b->scores, n_threads * group * n_context },
	};
	uint64_t off = 0;
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (base)
			*fields[i].ret = (float *)(void *)(base + off);
		off += floats(fields[i].n);
	}
	return off;
}

uint64_t bsx_block_bytes(const struct bsx_hparams *hp, uint32_t n_context,
			 unsigned n_threads)
{
	struct bsx_block none;

	return lay_out(&none, hp, n_context, n_threads, NULL);
}

/* ---- Positions ----------------------------------------------------------- */

/* Low frequencies are slowed down by 'factor', high ones left, and those
 * between in between. */
static float llama3_freq(const struct bsx_rope *r, float freq)
{
	float wave = 2 * (float)M_PI / freq;
	float low = (float)(r->old_context / r->low_freq_factor);
	float high = (float)(r->old_context / r->high_freq_factor);
	float smooth;

	if (wave < high)
		return freq;
	if (wave > low)
		return freq / (float)r->factor;
	smooth = ((float)r->old_context / wave - (float)r->low_freq_factor) /
		 (float)(r->high_freq_factor - r->low_freq_factor);
	return (1 - smooth) * (freq / (float)r->factor) + smooth * freq;
}

static void fill_inv_freq(float *ret, const struct bsx_rope *r, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		float at = (float)(2 * i) / (float)(2 * n);

		ret[i] = 1.0f / powf((float)r->theta, at);
		if (r->kind == BSX_ROPE_LINEAR)
			ret[i] /= (float)r->factor;
		else if (r->kind == BSX_ROPE_LLAMA3)
			ret[i] = llama3_freq(r, ret[i]);
	}
}

/* The angles of all positions below 'end'. */
static void fill_angles(struct bsx_block *b, uint32_t end)
{
	unsigned n_kinds = b->hp->local_rope.theta > 0 ? 2 : 1, kind;
	uint32_t i;

	for (; b->n_angles < end; b->n_angles++) {
		for (i = 0; i < n_kinds * b->n_pairs; i++) {
			uint32_t pair = i % b->n_pairs;
			size_t at = (size_t)b->n_angles * b->n_pairs + pair;
			float angle;

			kind = i / b->n_pairs;
			angle = (float)b->n_angles * b->inv_freq[kind][pair];
			b->cosine[kind][at] = cosf(angle);
			b->sine[kind][at] = sinf(angle);
		}
	}
}

/* Turn the pairs (i, i + n_pairs) of a head. */
static void rotate(const struct bsx_block *b, unsigned kind, float *head,
		   size_t pos)
{
	const float *c = b->cosine[kind] + pos * b->n_pairs;
	const float *s = b->sine[kind] + pos * b->n_pairs;
	uint32_t n = b->n_pairs, i;

	for (i = 0; i < n; i++) {
		float x = head[i], y = head[n + i];

		head[i] = x * c[i] - y * s[i];
		head[n + i] = y * c[i] + x * s[i];
	}
}

/* ---- Beginning and end --------------------------------------------------- */

enum bsx_result bsx_block_init(struct bsx_block *b,
			       const struct bsx_hparams *hp,
			       struct bsx_team *team, uint32_t n_context,
			       struct bsx_error *err)
{
	unsigned n_threads = bsx_team_size(team);
	void *mem;

	memset(b, 0, sizeof(*b));
	b->mem_len = bsx_block_bytes(hp, n_context, n_threads);
	mem = mmap(NULL, b->mem_len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return bsx_no_memory(err);
	b->mem = mem;
	b->hp = hp;
	b->team = team;
	b->k = bsx_kernels();
	b->n_context = n_context;
	lay_out(b, hp, n_context, n_threads, mem);
	b->n_pairs = pairs_of(hp);
	fill_inv_freq(b->inv_freq[0], &hp->rope, b->n_pairs);
	if (hp->local_rope.theta > 0)
		fill_inv_freq(b->inv_freq[1], &hp->local_rope, b->n_pairs);
	return BSX_OK;
}

void bsx_block_fini(struct bsx_block *b)
{
	if (b->mem)
		munmap(b->mem, b->mem_len);
	b->mem = NULL;
}

/* ---- Products ------------------------------------------------------------ */

#define MAX_PRODUCTS 3

struct product {
	float *out; /* [n][m->rows], or its stride */
	const struct bsx_matrix *m;
	const struct bsx_matrix *bias;
};

struct products {
	struct bsx_block *b;
	struct product one[MAX_PRODUCTS];
	unsigned n_products;
	size_t stride; /* of out; 0: as long as its rows */
	const float *x;
	size_t n; /* tokens */
	size_t step; /* rows an item */
};

static size_t items_of(const struct products *p, unsigned i)
{
	return (p->one[i].m->rows + p->step - 1) / p->step;
}

static void run_product(void *ctx, size_t item, unsigned who)
{
	const struct products *p = ctx;
	const struct product *one;
	const struct bsx_matrix *m;
	size_t row, n_rows, stride, t, r;
	unsigned i = 0;

	(void)who;
	while (item >= items_of(p, i))
		item -= items_of(p, i++);
	one = &p->one[i];
	m = one->m;
	row = item * p->step;
	n_rows = m->rows - row < p->step ? m->rows - row : p->step;
	stride = p->stride ? p->stride : m->rows;
	p->b->k->dot[m->type](one->out + row, stride,
			      (const uint8_t *)m->data +
				      row * m->cols * bsx_type_size(m->type),
			      m->cols, n_rows, p->x, m->cols, p->n, m->cols);
	if (!one->bias || !one->bias->data)
		return;
	for (t = 0; t < p->n; t++) {
		const float *bias = (const float *)one->bias->data + row;
		float *out = one->out + t * stride + row;

		for (r = 0; r < n_rows; r++)
			out[r] += bias[r];
	}
}

static void run_products(struct products *p)
{
	size_t rows = 0, n_items = 0, parts;
	unsigned i;

	for (i = 0; i < p->n_products; i++)
		rows += p->one[i].m->rows;
	/* A few items a thread, so that a slow one does not make all wait. */
	parts = bsx_team_size(p->b->team) * (size_t)8;
	p->step = (rows / parts + 15) / 16 * 16;
	if (p->step < 16)
		p->step = 16;
	for (i = 0; i < p->n_products; i++)
		n_items += items_of(p, i);
	bsx_team_run(p->b->team, n_items, run_product, p);
}

void bsx_matmul(struct bsx_block *b, float *out, size_t stride,
		const struct bsx_matrix *m, const float *x, size_t n)
{
	struct products p = {
		.b = b,
		.one = { { out, m, NULL } },
		.n_products = 1,
		.stride = stride,
		.x = x,
		.n = n,
	};

	run_products(&p);
}

/* ---- Attention ----------------------------------------------------------- */

struct attention {
	struct bsx_block *b;
	const float *keys, *values; /* of the layer */
	uint32_t window; /* 0: all */
	uint32_t pos;
};

/* A token's heads that share a key head. */
static void run_attention(void *ctx, size_t item, unsigned who)
{
	const struct attention *a = ctx;
	const struct bsx_block *b = a->b;
	const struct bsx_hparams *hp = b->hp;
	uint32_t dim = hp->head_dim, group = hp->n_heads / hp->n_kv_heads;
	size_t t = item / hp->n_kv_heads, head = item % hp->n_kv_heads, h;
	size_t end = a->pos + t + 1, first = 0;
	double divisor = hp->attn_divisor > 0 ? hp->attn_divisor : dim;
	float scale = 1.0f / sqrtf((float)divisor);
	float *scores = b->scores + (size_t)who * group * b->n_context;
	size_t at = (t * hp->n_heads + head * group) * dim;
	const float *keys = a->keys + head * b->n_context * dim;
	const float *values = a->values + head * b->n_context * dim;

	if (a->window && end > a->window)
		first = end - a->window;
	b->k->dot[BSX_F32](scores, b->n_context, keys + first * dim, dim,
			   end - first, b->q + at, dim, group, dim);
	for (h = 0; h < group; h++) {
		float *p = scores + h * b->n_context;

		if (hp->attn_cap > 0)
			b->k->soft_cap(p, end - first, scale,
				       (float)hp->attn_cap);
		b->k->softmax(p, end - first, hp->attn_cap > 0 ? 1 : scale);
		b->k->mix(b->mixed + at + h * dim, p, end - first,
			  values + first * dim, dim, dim);
	}
}

/* Queries and keys by head: normalised, if the model has that, and turned. */
static void turn(const struct bsx_block *b, float *head,
		 const struct bsx_matrix *norm, unsigned kind, size_t pos)
{
	if (norm->data)
		b->k->rms_norm(head, head, norm->data, b->hp->head_dim,
			       (float)b->hp->norm_eps);
	rotate(b, kind, head, pos);
}

/* Queries are turned where they are, keys on their way to the kept ones. */
static void place(struct bsx_block *b, const struct bsx_matrix *slot,
		  uint32_t layer, float *keys, float *values, size_t n,
		  uint32_t pos)
{
	const struct bsx_hparams *hp = b->hp;
	unsigned kind = hp->local_rope.theta > 0 && hp->slides[layer];
	size_t dim = hp->head_dim, t, h;

	for (t = 0; t < n; t++) {
		for (h = 0; h < hp->n_heads; h++)
			turn(b, b->q + (t * hp->n_heads + h) * dim,
			     &slot[BSX_Q_NORM], kind, pos + t);
		for (h = 0; h < hp->n_kv_heads; h++) {
			size_t to = (h * b->n_context + pos + t) * dim;
			size_t from = (t * hp->n_kv_heads + h) * dim;

			turn(b, b->k_new + from, &slot[BSX_K_NORM], kind,
			     pos + t);
			memcpy(keys + to, b->k_new + from, dim * sizeof(float));
			memcpy(values + to, b->v_new + from,
			       dim * sizeof(float));
		}
	}
}

static void normalise(const struct bsx_block *b, const struct bsx_matrix *w,
		      const struct bsx_matrix *bias, float *out, const float *x,
		      size_t n)
{
	size_t width = b->hp->n_embd, t;
	float eps = (float)b->hp->norm_eps;

	for (t = 0; t < n * width; t += width) {
		if (b->hp->has_layer_norm)
			b->k->layer_norm(out + t, x + t, w->data, bias->data,
					 width, eps);
		else
			b->k->rms_norm(out + t, x + t, w->data, width, eps);
	}
}

/* Add what a half of the layer gave, which is in b->norm. */
static void add(struct bsx_block *b, float *x, const struct bsx_matrix *norm,
		size_t n)
{
	size_t i;

	if (norm->data)
		normalise(b, norm, NULL, b->norm, b->norm, n);
	for (i = 0; i < n * b->hp->n_embd; i++)
		x[i] += b->norm[i];
}

void bsx_final_norm(struct bsx_block *b, const struct bsx_part *part,
		    float *out, const float *x, size_t n)
{
	normalise(b, &part->slot[BSX_FINAL_NORM],
		  &part->slot[BSX_FINAL_NORM_BIAS], out, x, n);
}

static void attend(struct bsx_block *b, const struct bsx_matrix *slot,
		   uint32_t layer, float *x, size_t n, uint32_t pos)
{
	const struct bsx_hparams *hp = b->hp;
	size_t kept = (size_t)hp->n_kv_heads * b->n_context * hp->head_dim;
	struct attention a = {
		.b = b,
		.keys = b->keys + layer * kept,
		.values = b->values + layer * kept,
		.window = hp->slides[layer] ? hp->window : 0,
		.pos = pos,
	};
	struct products qkv = {
		.b = b,
		.one = { { b->q, &slot[BSX_Q], &slot[BSX_Q_BIAS] },
			 { b->k_new, &slot[BSX_K], &slot[BSX_K_BIAS] },
			 { b->v_new, &slot[BSX_V], &slot[BSX_V_BIAS] } },
		.n_products = 3,
		.x = b->norm,
		.n = n,
	};
	struct products o = {
		.b = b,
		.one = { { b->norm, &slot[BSX_O], &slot[BSX_O_BIAS] } },
		.n_products = 1,
		.x = b->mixed,
		.n = n,
	};

	normalise(b, &slot[BSX_ATTN_NORM], &slot[BSX_ATTN_NORM_BIAS], b->norm,
		  x, n);
	run_products(&qkv);
	place(b, slot, layer, b->keys + layer * kept, b->values + layer * kept,
	      n, pos);
	bsx_team_run(b->team, n * hp->n_kv_heads, run_attention, &a);
	run_products(&o);
	add(b, x, &slot[BSX_ATTN_POST_NORM], n);
}

/* ---- Feed-forward -------------------------------------------------------- */

static void run_act(void *ctx, size_t item, unsigned who)
{
	const struct bsx_block *b = ctx;
	size_t at = item * b->hp->n_ff;

	(void)who;
	if (b->hp->act == BSX_ACT_SILU)
		b->k->silu_mul(b->gate + at, b->up + at, b->hp->n_ff);
	else
		b->k->gelu_mul(b->gate + at, b->up + at, b->hp->n_ff);
}

/* Without a gate. */
static void run_gelu(void *ctx, size_t item, unsigned who)
{
	const struct bsx_block *b = ctx;

	(void)who;
	b->k->gelu(b->up + item * b->hp->n_ff, b->hp->n_ff);
}

static void feed_forward(struct bsx_block *b, const struct bsx_matrix *slot,
			 float *x, size_t n)
{
	bool has_gate = slot[BSX_GATE].data != NULL;
	struct products up = {
		.b = b,
		.one = { { b->up, &slot[BSX_UP], &slot[BSX_UP_BIAS] },
			 { b->gate, &slot[BSX_GATE], &slot[BSX_GATE_BIAS] } },
		.n_products = has_gate ? 2 : 1,
		.x = b->norm,
		.n = n,
	};
	struct products down = {
		.b = b,
		.one = { { b->norm, &slot[BSX_DOWN], &slot[BSX_DOWN_BIAS] } },
		.n_products = 1,
		.x = has_gate ? b->gate : b->up,
		.n = n,
	};

	normalise(b, &slot[BSX_FF_NORM], &slot[BSX_FF_NORM_BIAS], b->norm, x,
		  n);
	run_products(&up);
	bsx_team_run(b->team, n, has_gate ? run_act : run_gelu, b);
	run_products(&down);
	add(b, x, &slot[BSX_FF_POST_NORM], n);
}

void bsx_block_run(struct bsx_block *b, const struct bsx_part *part,
		   uint32_t layer, float *x, size_t n, uint32_t pos)
{
	fill_angles(b, pos + (uint32_t)n);
	attend(b, part->slot, layer, x, n, pos);
	feed_forward(b, part->slot, x, n);
}
