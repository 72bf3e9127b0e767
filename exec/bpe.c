/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpe.c - joining neighbours, the best pair first
 *
 * Symbols are a linked list, candidates a heap by rank, then by place; one whose
 * symbols have changed since is skipped when its turn comes.  So a piece of any
 * length takes n log n.
 */

#include "bpe.h"

#include <stdlib.h>
#include <string.h>

#define NO_SYMBOL UINT32_MAX
#define PIECE_MAX ((size_t)1 << 30) /* places have 32 bits */

struct symbol {
	uint32_t id;
	uint32_t previous, next; /* NO_SYMBOL: none */
	bool is_gone;
};

struct candidate {
	uint32_t rank;
	uint32_t at; /* the left symbol */
	uint32_t result;
};

struct job {
	struct symbol *symbols;
	size_t n_symbols;
	struct candidate *heap;
	size_t n_heap;
	/* Most words are short. */
	struct symbol few_symbols[64];
	struct candidate few_candidates[192];
};

/* ---- Merges -------------------------------------------------------------- */

static size_t hash_pair(uint32_t left, uint32_t right)
{
	uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;

	return (size_t)(h >> 20);
}

static struct bsx_merge *find_slot(const struct bsx_bpe *b, uint32_t left,
				   uint32_t right)
{
	size_t i = hash_pair(left, right) & (b->n_slots - 1);

	while (b->merges[i].left != BSX_NONE &&
	       (b->merges[i].left != left || b->merges[i].right != right))
		i = (i + 1) & (b->n_slots - 1);
	return &b->merges[i];
}

enum bsx_result bsx_bpe_reserve(struct bsx_bpe *b, size_t n,
				struct bsx_error *err)
{
	size_t n_slots = 64, i;

	while (n_slots < 2 * n)
		n_slots *= 2;
	b->merges = malloc(n_slots * sizeof(*b->merges));
	if (!b->merges)
		return bsx_no_memory(err);
	b->n_slots = n_slots;
	for (i = 0; i < n_slots; i++)
		b->merges[i].left = BSX_NONE;
	return BSX_OK;
}

void bsx_bpe_add_merge(struct bsx_bpe *b, uint32_t left, uint32_t right,
		       uint32_t rank, uint32_t result)
{
	struct bsx_merge *m = find_slot(b, left, right);

	if (m->left == BSX_NONE)
		*m = (struct bsx_merge){ left, right, rank, result };
}

void bsx_bpe_fini(struct bsx_bpe *b)
{
	bsx_table_fini(&b->vocab);
	free(b->merges);
	b->merges = NULL;
}

/* ---- The heap ------------------------------------------------------------ */

static bool is_before(const struct candidate *a, const struct candidate *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void push(struct job *j, struct candidate c)
{
	size_t i = j->n_heap++;

	while (i && is_before(&c, &j->heap[(i - 1) / 2])) {
		j->heap[i] = j->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	j->heap[i] = c;
}

static struct candidate pop(struct job *j)
{
	struct candidate top = j->heap[0], last = j->heap[--j->n_heap];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < j->n_heap) {
		if (child + 1 < j->n_heap &&
		    is_before(&j->heap[child + 1], &j->heap[child]))
			child++;
		if (!is_before(&j->heap[child], &last))
			break;
		j->heap[i] = j->heap[child];
		i = child;
	}
	j->heap[i] = last;
	return top;
}

/* ---- Symbols ------------------------------------------------------------- */

static void add_symbol(struct job *j, uint32_t id)
{
	uint32_t i = (uint32_t)j->n_symbols++;

	j->symbols[i] = (struct symbol){ .id = id,
					 .previous = i ? i - 1 : NO_SYMBOL,
					 .next = NO_SYMBOL };
	if (i)
		j->symbols[i - 1].next = i;
}

static bool add_bytes(const struct bsx_bpe *b, struct job *j, const char *s,
		      size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (b->byte_id[(uint8_t)s[i]] == BSX_NONE)
			return false;
	}
	for (i = 0; i < len; i++)
		add_symbol(j, b->byte_id[(uint8_t)s[i]]);
	return true;
}

/* At most one symbol a byte. */
static void begin_bytes(const struct bsx_bpe *b, struct job *j, const char *s,
			size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		add_bytes(b, j, s + i, 1);
}

static void begin_characters(const struct bsx_bpe *b, struct job *j,
			     const char *s, size_t len)
{
	bool was_unknown = false;
	uint32_t c, id;
	unsigned n;

	for (; len; s += n, len -= n) {
		n = bsx_utf8_next(s, len, &c);
		if (!n)
			n = 1; /* cannot be: 's' is valid */
		id = bsx_table_get(&b->vocab, s, n);
		if (id != BSX_NONE) {
			add_symbol(j, id);
		} else if (b->has_byte_fallback && add_bytes(b, j, s, n)) {
			;
		} else if (b->unknown != BSX_NONE) {
			if (!was_unknown || !b->fuses_unknown)
				add_symbol(j, b->unknown);
			was_unknown = true;
			continue;
		}
		was_unknown = false;
	}
}

/* ---- Joining ------------------------------------------------------------- */

static void consider(const struct bsx_bpe *b, struct job *j, uint32_t at)
{
	const struct symbol *left = &j->symbols[at];
	const struct bsx_merge *m;

	if (left->next == NO_SYMBOL)
		return;
	m = find_slot(b, left->id, j->symbols[left->next].id);
	if (m->left != BSX_NONE)
		push(j, (struct candidate){ m->rank, at, m->result });
}

static void join(const struct bsx_bpe *b, struct job *j)
{
	uint32_t i;

	for (i = 0; i + 1 < j->n_symbols; i++)
		consider(b, j, i);
	while (j->n_heap) {
		struct candidate c = pop(j);
		struct symbol *left = &j->symbols[c.at], *right;
		const struct bsx_merge *m;

		if (left->is_gone || left->next == NO_SYMBOL)
			continue;
		right = &j->symbols[left->next];
		m = find_slot(b, left->id, right->id);
		if (m->left == BSX_NONE || m->result != c.result)
			continue;
		left->id = m->result;
		left->next = right->next;
		right->is_gone = true;
		if (right->next != NO_SYMBOL)
			j->symbols[right->next].previous = c.at;
		if (left->previous != NO_SYMBOL)
			consider(b, j, left->previous);
		consider(b, j, c.at);
	}
}

static enum bsx_result put_out(const struct job *j, struct bsx_ids *ids,
			       struct bsx_error *err)
{
	uint32_t i;

	/* The first symbol is never the right one of a pair. */
	for (i = j->n_symbols ? 0 : NO_SYMBOL; i != NO_SYMBOL;
	     i = j->symbols[i].next) {
		if (!bsx_ids_add(ids, j->symbols[i].id))
			return bsx_no_memory(err);
	}
	return BSX_OK;
}

enum bsx_result bsx_bpe_encode(const struct bsx_bpe *b, const char *s,
			       size_t len, struct bsx_ids *ids,
			       struct bsx_error *err)
{
	struct job j;
	enum bsx_result res;
	uint32_t id;

	j.symbols = j.few_symbols;
	j.heap = j.few_candidates;
	j.n_symbols = j.n_heap = 0;
	if (b->ignores_merges) {
		id = bsx_table_get(&b->vocab, s, len);
		if (id != BSX_NONE)
			return bsx_ids_add(ids, id) ? BSX_OK
						    : bsx_no_memory(err);
	}
	if (len > PIECE_MAX)
		return bsx_fail(err, BSX_ERR_REFUSED, "the text is too long.");
	/* A join takes one symbol away and adds at most two candidates. */
	if (len > sizeof(j.few_symbols) / sizeof(j.few_symbols[0])) {
		j.symbols = malloc(len * sizeof(*j.symbols));
		j.heap = malloc(3 * len * sizeof(*j.heap));
		if (!j.symbols || !j.heap) {
			res = bsx_no_memory(err);
			goto out;
		}
	}
	if (b->is_byte_level)
		begin_bytes(b, &j, s, len);
	else
		begin_characters(b, &j, s, len);
	join(b, &j);
	res = put_out(&j, ids, err);
out:
	if (j.symbols != j.few_symbols)
		free(j.symbols);
	if (j.heap != j.few_candidates)
		free(j.heap);
	return res;
}
