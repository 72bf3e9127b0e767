/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c - what was loaded or decoded, within a byte budget
 *
 *	absent ──get──► loading ──publish──► ready ──evict──► absent
 *	                   └─────fail──────► failed ──last put──► gone
 *
 * Whoever finds an entry absent claims it and loads it, and the others wait:
 * nothing is ever loaded twice at once.  A claim always ends, and ending it
 * wakes the waiters.  Failures are not kept.  Ready entries stay until the
 * budget needs their bytes and nobody holds them; the one unused longest goes
 * first.  A chunk that was read from end to end is in the kernel's cache: of those
 * a few are kept, for readers close behind, and go before any other.
 *
 * The budget is exceeded only by what is pinned: a request goes on when
 * everything else has been evicted, rather than wait for another.  The part of
 * it that is reserved pays for what others hold in memory.
 *
 * Buffers of evicted chunks are used again: fresh memory from the kernel costs
 * more than decoding into it (design figures: 2.4 GB/s for fresh 4 KiB pages).
 * Those of usual chunks are cells of slabs, each a huge page where the kernel has
 * one: the kernel, which takes hold of every page that it copies from, does so in
 * half the time then.
 *
 * The cache does not know what a chunk is.  It does not read or decode.
 */

#include "cache.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)

/* A cell is what a chunk of a usual length takes, and shorter ones down to half
 * of it. */
#define CELL ((size_t)256 << 10)
#define SLAB_LEN ((size_t)2 << 20)
#define N_CELLS (SLAB_LEN / CELL)

#define N_BUCKETS 4096 /* of 256 KiB: a gigabyte before chains grow */

/* The part of the budget that chunks read from end to end may keep: for readers
 * close behind whose pages the kernel does not have. */
#define READ_PART 8

enum state {
	LOADING,
	READY,
	FAILED,
};

/* The memory of some buffers. */
struct slab {
	uint8_t *cells; /* owned: [SLAB_LEN] */
	unsigned n_left; /* cells that were not given back */
};

struct bsfs_entry {
	enum bsfs_kind kind;
	enum state state;
	unsigned n_pins;
	unsigned n_waiters; /* read without the lock, too */
	int is_ahead; /* nobody has wanted it yet */
	int err; /* of a failed one */
	uint64_t file;
	uint64_t no;
	size_t len; /* what it is charged */
	void *object; /* a chunk: its buffer, of 'len' bytes; owned */
	void (*release)(void *object); /* NULL for a chunk */
	struct slab *slab; /* that the buffer is a cell of, or NULL */
	struct bsfs_entry *next; /* in its bucket */
	uint32_t raw_len; /* of a chunk */
	uint32_t n_read; /* bytes of it that were answered */
	struct bsfs_entry *older, *newer; /* in an LRU list, if unpinned */
};

/* Entries that are ready and that nobody holds, by their last use. */
struct lru {
	struct bsfs_entry *oldest, *newest;
	uint64_t len; /* bytes */
};

/* A buffer between two lives; it lies in its own bytes. */
struct spare {
	struct spare *next;
	struct slab *slab; /* or NULL */
	size_t len;
};

struct bsfs_cache {
	pthread_mutex_t lock; /* protects all below, and every entry's state */
	pthread_cond_t changed; /* some entry is no longer loading */
	uint64_t used;
	uint64_t limit; /* of 'used': what is not reserved */
	struct spare *spares;
	struct lru unread, read; /* all bytes of these were answered */
	uint64_t read_max; /* bytes of the latter */
	struct bsfs_cache_stats stats;
	struct bsfs_entry *buckets[N_BUCKETS];
};

struct bsfs_cache *bsfs_cache_new(uint64_t budget)
{
	struct bsfs_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	c->stats.budget = budget;
	c->limit = budget;
	c->read_max = budget / READ_PART;
	return c;
}

static struct bsfs_entry **bucket_of(struct bsfs_cache *c, enum bsfs_kind kind,
				     uint64_t file, uint64_t no)
{
	uint64_t h = (file * 3 + kind) * UINT64_C(0x9e3779b97f4a7c15) + no;

	h *= UINT64_C(0xd6e8feb86659fd93);
	return &c->buckets[(h >> 40) % N_BUCKETS];
}

/* ---- Memory -------------------------------------------------------------- */

static void charge(struct bsfs_cache *c, size_t len)
{
	c->used += len;
	if (c->used > c->stats.peak)
		c->stats.peak = c->used;
}

static struct lru *lru_of(struct bsfs_cache *c, const struct bsfs_entry *e)
{
	return e->raw_len && e->n_read >= e->raw_len ? &c->read : &c->unread;
}

static void lru_add(struct bsfs_cache *c, struct bsfs_entry *e)
{
	struct lru *l = lru_of(c, e);

	e->newer = NULL;
	e->older = l->newest;
	if (l->newest)
		l->newest->newer = e;
	else
		l->oldest = e;
	l->newest = e;
	l->len += e->len;
}

static void lru_remove(struct bsfs_cache *c, struct bsfs_entry *e)
{
	struct lru *l = lru_of(c, e);

	if (e->older)
		e->older->newer = e->newer;
	else
		l->oldest = e->newer;
	if (e->newer)
		e->newer->older = e->older;
	else
		l->newest = e->older;
	l->len -= e->len;
}

/* The entry to evict first. */
static struct bsfs_entry *oldest(const struct bsfs_cache *c)
{
	return c->read.oldest ? c->read.oldest : c->unread.oldest;
}

static void unlink_entry(struct bsfs_cache *c, struct bsfs_entry *e)
{
	struct bsfs_entry **p = bucket_of(c, e->kind, e->file, e->no);

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	c->stats.n_entries--;
}

static void keep_spare(struct bsfs_cache *c, void *buf, size_t len,
		       struct slab *slab)
{
	struct spare *s = buf;

	s->len = len;
	s->slab = slab;
	s->next = c->spares;
	c->spares = s;
}

/* Free an entry that is in no list. */
static void free_entry(struct bsfs_cache *c, struct bsfs_entry *e)
{
	if (e->release) {
		e->release(e->object);
		c->used -= e->len;
	} else if (e->object) {
		keep_spare(c, e->object, e->len, e->slab);
	}
	free(e);
}

/* A cell's memory goes back at once, its addresses with the slab's last. */
static void give_back(struct slab *slab, void *cell)
{
	/* What is given back must not come back in one piece with the rest. */
	if (slab->n_left == N_CELLS)
		madvise(slab->cells, SLAB_LEN, MADV_NOHUGEPAGE);
	madvise(cell, CELL, MADV_DONTNEED);
	if (--slab->n_left == 0) {
		free(slab->cells);
		free(slab);
	}
}

static void free_spare(struct bsfs_cache *c, struct spare **p)
{
	struct spare *s = *p;

	*p = s->next;
	c->used -= s->len;
	if (s->slab)
		give_back(s->slab, s);
	else
		free(s);
}

static void discard(struct bsfs_cache *c, struct bsfs_entry *e)
{
	lru_remove(c, e);
	unlink_entry(c, e);
	free_entry(c, e);
}

static void evict(struct bsfs_cache *c, struct bsfs_entry *e)
{
	c->stats.evictions++;
	c->stats.ahead_unused += (uint64_t)e->is_ahead;
	discard(c, e);
}

/* Make room for 'len' more bytes, as far as that goes. */
static void make_room(struct bsfs_cache *c, size_t len)
{
	while (c->used + len > c->limit) {
		if (c->spares) {
			free_spare(c, &c->spares);
		} else if (oldest(c)) {
			evict(c, oldest(c));
		} else {
			break;
		}
	}
}

static struct spare **find_spare(struct bsfs_cache *c, size_t len)
{
	struct spare **p = &c->spares;

	while (*p && (*p)->len != len)
		p = &(*p)->next;
	return *p ? p : NULL;
}

/* N_CELLS more spares, if the budget has room for all and there is memory. */
static void add_slab(struct bsfs_cache *c)
{
	struct slab *slab = calloc(1, sizeof(*slab));
	void *cells = NULL;
	size_t i;

	if (!slab || posix_memalign(&cells, SLAB_LEN, SLAB_LEN)) {
		free(slab);
		return;
	}
	/* Where there are no huge pages, small ones do. */
	madvise(cells, SLAB_LEN, MADV_HUGEPAGE);
	slab->cells = cells;
	slab->n_left = N_CELLS;
	charge(c, SLAB_LEN);
	for (i = N_CELLS; i > 0; i--)
		keep_spare(c, slab->cells + (i - 1) * CELL, CELL, slab);
}

/* A buffer of 'len' bytes, already charged: 0 or -ENOMEM.  Evicting a chunk as
 * long as this one gives its buffer. */
static int take_buffer(struct bsfs_cache *c, size_t len, void **ret,
		       struct slab **ret_slab)
{
	struct spare **p = find_spare(c, len);

	if (!p && c->used + len > c->limit && oldest(c)) {
		evict(c, oldest(c));
		p = find_spare(c, len);
	}
	if (!p && len == CELL && c->used + SLAB_LEN <= c->limit) {
		add_slab(c);
		p = find_spare(c, len);
	}
	*ret_slab = NULL;
	if (p) {
		*ret_slab = (*p)->slab;
		*ret = *p;
		*p = (*p)->next;
		return 0;
	}
	make_room(c, len);
	if (posix_memalign(ret, PAGE, len))
		return -ENOMEM;
	charge(c, len);
	return 0;
}

void bsfs_cache_free(struct bsfs_cache *c)
{
	if (!c)
		return;
	while (oldest(c))
		discard(c, oldest(c));
	while (c->spares)
		free_spare(c, &c->spares);
	assert(c->used == 0 && c->stats.n_entries == 0);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void bsfs_cache_reserve(struct bsfs_cache *c, int64_t len, uint64_t least)
{
	uint64_t budget = c->stats.budget, reserved;

	pthread_mutex_lock(&c->lock);
	if (least > budget)
		least = budget;
	reserved = c->stats.reserved + (uint64_t)len;
	c->stats.reserved = reserved;
	c->limit = reserved < budget - least ? budget - reserved : least;
	make_room(c, 0);
	pthread_mutex_unlock(&c->lock);
}

/* ---- Entries ------------------------------------------------------------- */

/* A chunk's buffer is as long as the longest chunk that may use it again. */
static size_t buffer_len(size_t len)
{
	if (len > CELL / 2 && len <= CELL)
		return CELL;
	return len ? (len + PAGE - 1) / PAGE * PAGE : PAGE;
}

static struct bsfs_entry *claim(struct bsfs_cache *c, enum bsfs_kind kind,
				uint64_t file, uint64_t no, size_t len)
{
	struct bsfs_entry *e = calloc(1, sizeof(*e));
	struct bsfs_entry **p;

	if (!e)
		return NULL;
	if (kind == BSFS_CHUNK) {
		e->len = buffer_len(len);
		if (take_buffer(c, e->len, &e->object, &e->slab) != 0) {
			free(e);
			return NULL;
		}
	}
	e->kind = kind;
	e->file = file;
	e->no = no;
	e->raw_len = (uint32_t)len;
	e->n_pins = 1;
	e->state = LOADING;
	p = bucket_of(c, kind, file, no);
	e->next = *p;
	*p = e;
	c->stats.n_entries++;
	c->stats.misses++;
	return e;
}

static struct bsfs_entry *find(struct bsfs_cache *c, enum bsfs_kind kind,
			       uint64_t file, uint64_t no)
{
	struct bsfs_entry *e = *bucket_of(c, kind, file, no);

	while (e && !(e->kind == kind && e->file == file && e->no == no))
		e = e->next;
	return e;
}

static void pin(struct bsfs_cache *c, struct bsfs_entry *e)
{
	if (e->state == READY && e->n_pins == 0)
		lru_remove(c, e);
	e->n_pins++;
}

/* Somebody wants it, now if not before. */
static void use(struct bsfs_cache *c, struct bsfs_entry *e)
{
	c->stats.ahead_used += (uint64_t)e->is_ahead;
	e->is_ahead = 0;
}

static int get_locked(struct bsfs_cache *c, enum bsfs_kind kind, uint64_t file,
		      uint64_t no, size_t len, struct bsfs_entry **ret)
{
	struct bsfs_entry *e = find(c, kind, file, no);

	if (!e) {
		*ret = claim(c, kind, file, no, len);
		return *ret ? BSFS_CLAIMED : -ENOMEM;
	}
	*ret = e;
	pin(c, e);
	use(c, e);
	if (e->state == READY) {
		c->stats.hits++;
		return BSFS_READY;
	}
	c->stats.waits++;
	return BSFS_LOADING;
}

int bsfs_cache_get(struct bsfs_cache *c, enum bsfs_kind kind, uint64_t file,
		   uint64_t no, size_t len, struct bsfs_entry **ret)
{
	int found;

	pthread_mutex_lock(&c->lock);
	found = get_locked(c, kind, file, no, len, ret);
	pthread_mutex_unlock(&c->lock);
	return found;
}

int bsfs_cache_get_ahead(struct bsfs_cache *c, uint64_t file, uint64_t no,
			 size_t len, struct bsfs_entry **ret)
{
	int found = BSFS_READY;

	pthread_mutex_lock(&c->lock);
	if (!find(c, BSFS_CHUNK, file, no) &&
	    (oldest(c) || c->spares || c->used + len <= c->limit)) {
		*ret = claim(c, BSFS_CHUNK, file, no, len);
		found = *ret ? BSFS_CLAIMED : -ENOMEM;
		if (*ret) {
			(*ret)->is_ahead = 1;
			c->stats.ahead++;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

int bsfs_cache_is_awaited(const struct bsfs_entry *e)
{
	return __atomic_load_n(&e->n_waiters, __ATOMIC_RELAXED) != 0;
}

enum bsfs_ahead bsfs_cache_take_ahead(struct bsfs_cache *c, uint64_t file,
				      uint64_t no, struct bsfs_entry **ret)
{
	enum bsfs_ahead found = BSFS_AHEAD_NONE;
	struct bsfs_entry *e;

	pthread_mutex_lock(&c->lock);
	e = find(c, BSFS_CHUNK, file, no);
	if (e && e->is_ahead && e->state == LOADING) {
		found = BSFS_AHEAD_LOADING;
	} else if (e && e->is_ahead) {
		pin(c, e);
		use(c, e);
		*ret = e;
		found = BSFS_AHEAD_READY;
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

void bsfs_cache_put_read(struct bsfs_cache *c, struct bsfs_entry *e,
			 uint32_t n_read)
{
	pthread_mutex_lock(&c->lock);
	assert(e->n_pins > 0);
	/* Once read it stays so, and the sum does not wrap. */
	if (e->n_read < e->raw_len)
		e->n_read += n_read;
	if (--e->n_pins == 0) {
		assert(e->state != LOADING);
		if (e->state == READY) {
			lru_add(c, e);
			while (c->read.len > c->read_max)
				evict(c, c->read.oldest);
			make_room(c, 0);
		} else {
			free_entry(c, e);
		}
	}
	pthread_mutex_unlock(&c->lock);
}

void bsfs_cache_put(struct bsfs_cache *c, struct bsfs_entry *e)
{
	bsfs_cache_put_read(c, e, 0);
}

uint8_t *bsfs_entry_bytes(const struct bsfs_entry *e)
{
	return e->object;
}

void *bsfs_entry_object(const struct bsfs_entry *e)
{
	return e->object;
}

/* Under the lock. */
static void end_loading(struct bsfs_cache *c, struct bsfs_entry *e,
			enum state state)
{
	assert(e->state == LOADING);
	e->state = state;
	if (e->n_waiters)
		pthread_cond_broadcast(&c->changed);
}

void bsfs_cache_publish(struct bsfs_cache *c, struct bsfs_entry *e)
{
	pthread_mutex_lock(&c->lock);
	end_loading(c, e, READY);
	pthread_mutex_unlock(&c->lock);
}

void bsfs_cache_publish_object(struct bsfs_cache *c, struct bsfs_entry *e,
			       void *object, size_t len,
			       void (*release)(void *object))
{
	pthread_mutex_lock(&c->lock);
	make_room(c, len);
	charge(c, len);
	e->object = object;
	e->len = len;
	e->release = release;
	end_loading(c, e, READY);
	pthread_mutex_unlock(&c->lock);
}

void bsfs_cache_fail(struct bsfs_cache *c, struct bsfs_entry *e, int err)
{
	pthread_mutex_lock(&c->lock);
	e->err = err;
	unlink_entry(c, e);
	c->stats.failures++;
	end_loading(c, e, FAILED);
	pthread_mutex_unlock(&c->lock);
}

int bsfs_cache_wait(struct bsfs_cache *c, struct bsfs_entry *e)
{
	int err;

	pthread_mutex_lock(&c->lock);
	__atomic_fetch_add(&e->n_waiters, 1, __ATOMIC_RELAXED);
	while (e->state == LOADING)
		pthread_cond_wait(&c->changed, &c->lock);
	__atomic_fetch_sub(&e->n_waiters, 1, __ATOMIC_RELAXED);
	err = e->state == FAILED ? -e->err : 0;
	pthread_mutex_unlock(&c->lock);
	return err;
}

static void drop_from(struct bsfs_cache *c, struct lru *l, uint64_t file)
{
	struct bsfs_entry *e, *newer;

	for (e = l->oldest; e; e = newer) {
		newer = e->newer;
		if (e->file == file)
			discard(c, e);
	}
}

void bsfs_cache_drop(struct bsfs_cache *c, uint64_t file)
{
	pthread_mutex_lock(&c->lock);
	drop_from(c, &c->read, file);
	drop_from(c, &c->unread, file);
	pthread_mutex_unlock(&c->lock);
}

void bsfs_cache_get_stats(struct bsfs_cache *c, struct bsfs_cache_stats *ret)
{
	pthread_mutex_lock(&c->lock);
	*ret = c->stats;
	ret->used = c->used;
	pthread_mutex_unlock(&c->lock);
}
