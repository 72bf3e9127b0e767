/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefetch.c - what will be read next is decoded before it is asked for
 *
 * A few threads take chunks ahead of the streams (stream.c), several reads of
 * the store in flight each, and decode them in the order in which they are
 * wanted: first what a request waits for already, else the oldest.  They never
 * wait for a chunk that somebody else loads, and finish all that they claim.
 * They claim nothing when memory is short.  What fails is left to the request
 * that wants it.
 *
 * To the scheduler they are a little less urgent than what answers requests, and
 * than readers, so that those go on at once and these take what is left.  As
 * urgent as the others they kept them waiting on one processor while the other was
 * idle, and holding them back by counting requests made them sleep and wake a
 * thousand times a second.
 *
 * Another thread gives decoded pieces to the kernel ahead of the reader
 * (notify_store): faults of a mapping then find their pages, where each would
 * else cost a request.  It holds no claim, since the kernel makes it wait for
 * pages that are being read; and it leaves a gap now and then, for which the
 * kernel must ask, so that the reader's place is known.
 */

#include "prefetch.h"

#include "cache.h"
#include "decode.h"
#include "fs.h"
#include "load.h"
#include "stats.h"
#include "stream.h"
#include "uring.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)
#define PAGE ((uint64_t)4096)

/* Threads: what one reader can be given, the kernel's copying limits. */
#define THREADS_MAX 8

/* Reads in flight of a thread. */
#define DEPTH 6

/* What a thread takes, the decoder's scratch memory included; the cache's
 * budget pays for it. */
#define THREAD_MEM (DEPTH * (uint64_t)BSFS_STORED_MAX + 2 * MIB)

/* Ahead of one reader, for each thread and besides: as much again as is in
 * flight, so that a slow disk does not wait.  What is more leaves the processor's
 * caches before it is read: 16 MiB cost a tenth more processor time than 3. */
#define AHEAD_MAX (2 * MIB)

/* So that others come first on their own processor; 5 to 19 are no faster, and lose
 * to no reading ahead at all where other programs want all processors. */
#define LESS_URGENT 2

/* How often to look at what memory there is. */
#define PRESSURE_MS 250

/* The kernel is given what lies so far ahead of its own requests... */
#define PUSH_GUARD (MIB / 4)
/* ... but for a gap at each multiple of this. */
#define GAP_EVERY (2 * MIB)
#define GAP_LEN (MIB / 16)

#define N_BUCKETS 256

/* An open file; its handles share it. */
struct bsfs_reader {
	struct bsfs_reader *next; /* in its bucket; protected by lock */
	uint64_t id; /* by which the kernel knows it */
	unsigned n_handles; /* protected by lock */
	unsigned n_refs; /* likewise: all handles are one, each job is one */
	struct bsfs_inode *inode; /* held */
	struct bsfs_vfile *vfile; /* a reference */
	struct bs_member member; /* borrows of it */
};

/* A chunk on its way. */
struct job {
	struct bsfs_reader *reader; /* a reference; NULL: no job */
	struct bsfs_load load;
	uint64_t order;
	int got; /* by the read, once it has come */
	int has_come;
};

struct prefetcher {
	struct bsfs_prefetch *p; /* borrowed */
	pthread_t thread;
	int is_started;
	struct bsfs_loader loader;
	struct job jobs[DEPTH];
	unsigned n_jobs;
	uint64_t n_taken;
};

struct bsfs_prefetch {
	struct bsfs_session *s; /* borrowed */
	uint64_t total; /* of streams, when there is memory enough */
	pthread_mutex_t lock; /* protects all that follows, but the threads */
	pthread_cond_t work; /* some stream has come further */
	pthread_cond_t ready; /* there may be something to push */
	struct bsfs_streams streams;
	struct bsfs_reader *readers[N_BUCKETS];
	int64_t looked_ms; /* at the memory there is */
	uint64_t n_events; /* that `ready' tells of */
	unsigned n_waiting; /* for `work' */
	int is_stopping;
	pthread_t pusher;
	int has_pusher;
	unsigned n_threads;
	struct prefetcher *threads; /* owned: [n_threads] */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- Readers ------------------------------------------------------------- */

static void reader_put(struct bsfs_prefetch *p, struct bsfs_reader *r)
{
	int is_last;

	pthread_mutex_lock(&p->lock);
	is_last = --r->n_refs == 0;
	pthread_mutex_unlock(&p->lock);
	if (!is_last)
		return;
	bsfs_vfile_put(p->s, r->vfile);
	bsfs_inode_forget(p->s, r->inode, 1);
	free(r);
}

static struct bsfs_reader **find_reader(struct bsfs_prefetch *p, uint64_t id)
{
	struct bsfs_reader **at =
		&p->readers[id * UINT64_C(0x9e3779b97f4a7c15) >> 56];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

struct bsfs_reader *bsfs_reader_open(struct bsfs_session *s,
				     struct bsfs_node node,
				     struct bsfs_vfile *f,
				     const struct bs_member *m)
{
	struct bsfs_prefetch *p = s->prefetch;
	struct bsfs_reader *r, *fresh, **at;

	fresh = p ? calloc(1, sizeof(*fresh)) : NULL;
	if (!fresh)
		return NULL;
	fresh->id = bsfs_node_id(s, node);
	fresh->inode = node.inode;
	fresh->vfile = f;
	fresh->member = *m;
	fresh->n_refs = 1;
	/* Before others can find it. */
	bsfs_vfile_hold(s, f);
	bsfs_inode_hold(s, node.inode, 1);
	pthread_mutex_lock(&p->lock);
	at = find_reader(p, fresh->id);
	if (!*at)
		*at = fresh;
	r = *at;
	r->n_handles++;
	pthread_mutex_unlock(&p->lock);
	if (r != fresh)
		reader_put(p, fresh);
	return r;
}

void bsfs_reader_close(struct bsfs_session *s, struct bsfs_reader *r)
{
	struct bsfs_prefetch *p = s->prefetch;
	int is_last;

	if (!r)
		return;
	pthread_mutex_lock(&p->lock);
	is_last = --r->n_handles == 0;
	if (is_last) {
		*find_reader(p, r->id) = r->next;
		bsfs_streams_drop(&p->streams, r);
	}
	pthread_mutex_unlock(&p->lock);
	if (is_last)
		reader_put(p, r);
}

/* ---- What requests tell -------------------------------------------------- */

/* Under the lock. */
static void wake(struct bsfs_prefetch *p)
{
	if (p->n_waiting && bsfs_streams_next(&p->streams, now_ms()))
		pthread_cond_signal(&p->work);
}

static void tell_pusher(struct bsfs_prefetch *p)
{
	p->n_events++;
	if (p->has_pusher)
		pthread_cond_signal(&p->ready);
}

void bsfs_reader_note(struct bsfs_session *s, struct bsfs_reader *r,
		      uint64_t off, uint64_t len, int is_direct)
{
	struct bsfs_prefetch *p = s->prefetch;
	struct bsfs_stream *st;

	if (!r)
		return;
	pthread_mutex_lock(&p->lock);
	st = bsfs_streams_note(&p->streams, r, r->member.size, off, len,
			       now_ms());
	st->is_direct = is_direct;
	wake(p);
	tell_pusher(p);
	pthread_mutex_unlock(&p->lock);
}

void bsfs_reader_again(struct bsfs_session *s, struct bsfs_reader *r,
		       uint64_t off)
{
	struct bsfs_prefetch *p = s->prefetch;

	if (!r)
		return;
	pthread_mutex_lock(&p->lock);
	bsfs_streams_note(&p->streams, r, r->member.size, off, 0, now_ms())
		->is_again = 1;
	pthread_mutex_unlock(&p->lock);
}

unsigned bsfs_prefetch_streams(const struct bsfs_session *s, uint64_t *ret_max)
{
	struct bsfs_prefetch *p = s->prefetch;
	unsigned n;

	*ret_max = 0;
	if (!p)
		return 0;
	pthread_mutex_lock(&p->lock);
	n = bsfs_streams_count(&p->streams);
	*ret_max = p->streams.total;
	pthread_mutex_unlock(&p->lock);
	return n;
}

/* ---- Loading ahead ------------------------------------------------------- */

/* Less is loaded ahead where memory is short, and then nothing. */
static void look_at_memory(struct bsfs_prefetch *p)
{
	int64_t now = now_ms();
	uint64_t total;
	int is_due;

	pthread_mutex_lock(&p->lock);
	is_due = now - p->looked_ms >= PRESSURE_MS;
	if (is_due)
		p->looked_ms = now;
	pthread_mutex_unlock(&p->lock);
	if (!is_due)
		return;
	total = bsfs_memory_available("") / 4;
	if (total > p->total)
		total = p->total;
	if (total < MIB)
		total = 0;
	pthread_mutex_lock(&p->lock);
	p->streams.total = total;
	pthread_mutex_unlock(&p->lock);
}

/* Under the lock: cut the chunk at 'off', and say how far it goes from there. */
static size_t cut(const struct bsfs_reader *r, uint64_t off,
		  struct bsfs_piece *ret)
{
	uint64_t left = r->member.size - off;
	size_t len;

	bsfs_vfile_cut(r->vfile, &r->member, off,
		       left < BSFS_READ_MAX ? (size_t)left : BSFS_READ_MAX, ret,
		       1, &len);
	return len;
}

/* Under the lock: the next chunk to load ahead, with a reference to its reader.
 * NULL: there is none, or now is not the time. */
static struct bsfs_reader *take(struct bsfs_prefetch *p, struct bsfs_piece *ret,
				int *ret_is_again)
{
	struct bsfs_stream *st;
	struct bsfs_reader *r;

	if (p->is_stopping)
		return NULL;
	st = bsfs_streams_next(&p->streams, now_ms());
	if (!st)
		return NULL;
	r = st->file;
	if (st->is_down) {
		uint64_t last = st->loaded_low - 1;

		cut(r, last, ret);
		/* Where the chunk begins, if it begins in this extent. */
		st->loaded_low = ret->skip < last ? last - ret->skip : 0;
	} else {
		st->loaded += cut(r, st->loaded, ret);
	}
	*ret_is_again = st->is_again;
	r->n_refs++;
	return r;
}

static struct job *free_job(struct prefetcher *t)
{
	struct job *j = t->jobs;

	while (j->reader)
		j++;
	return j;
}

/* Whether 'chunk' was claimed and its read queued. */
static int begin_job(struct prefetcher *t, struct bsfs_reader *r,
		     const struct bsfs_piece *piece, int is_again)
{
	struct bsfs_vfile *f = r->vfile;
	struct job *j = free_job(t);
	size_t slot = (size_t)(j - t->jobs);
	int err;

	/* What was decoded is in the kernel's cache, unless it turns out that
	 * it is not. */
	if (!is_again && bsfs_vfile_is_marked(f->decoded, piece->chunk))
		return 0;
	if (bsfs_cache_get_ahead(t->p->s->cache, f->id, piece->chunk,
				 piece->raw_len,
				 &j->load.entry) != BSFS_CLAIMED)
		return 0;
	j->load.no = piece->chunk;
	err = bsfs_load_find(&t->loader, f, &j->load);
	if (err) {
		bsfs_load_end(&t->loader, &j->load, err);
		bsfs_cache_put(t->p->s->cache, j->load.entry);
		return 0;
	}
	bsfs_load_place(f, &j->load, slot * BSFS_STORED_MAX);
	bsfs_load_begin(&t->loader, f, &j->load, (unsigned)slot);
	j->reader = r;
	j->order = t->n_taken++;
	j->has_come = 0;
	t->n_jobs++;
	return 1;
}

static void fill(struct prefetcher *t)
{
	struct bsfs_prefetch *p = t->p;

	while (t->n_jobs < DEPTH) {
		struct bsfs_piece piece;
		struct bsfs_reader *r;
		int is_again;

		pthread_mutex_lock(&p->lock);
		r = take(p, &piece, &is_again);
		pthread_mutex_unlock(&p->lock);
		if (!r)
			break;
		if (!begin_job(t, r, &piece, is_again))
			reader_put(p, r);
	}
	bsfs_uring_submit(t->loader.uring);
}

/* What to decode next: of what has come what somebody waits for, else the
 * oldest of all, if that has come. */
static struct job *next_job(struct prefetcher *t)
{
	struct job *oldest = NULL, *j;

	for (j = t->jobs; j < t->jobs + DEPTH; j++) {
		if (!j->reader)
			continue;
		if (j->has_come && bsfs_cache_is_awaited(j->load.entry))
			return j;
		if (!oldest || j->order < oldest->order)
			oldest = j;
	}
	return oldest->has_come ? oldest : NULL;
}

static void finish_job(struct prefetcher *t)
{
	struct bsfs_prefetch *p = t->p;
	struct job *j;

	while (!(j = next_job(t))) {
		unsigned tag;
		int got;

		bsfs_uring_wait(t->loader.uring, &tag, &got);
		t->jobs[tag].got = got;
		t->jobs[tag].has_come = 1;
	}
	bsfs_load_finish(&t->loader, j->reader->vfile, &j->load, j->got);
	bsfs_cache_put(p->s->cache, j->load.entry);
	bsfs_count(p->s->stats, BSFS_N_PREFETCHES, 1);
	pthread_mutex_lock(&p->lock);
	tell_pusher(p);
	pthread_mutex_unlock(&p->lock);
	reader_put(p, j->reader);
	j->reader = NULL;
	t->n_jobs--;
}

/* Wait until there may be something to load; 0: the end. */
static int wait_for_work(struct bsfs_prefetch *p)
{
	struct timespec until;
	int goes_on;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1;
	pthread_mutex_lock(&p->lock);
	p->n_waiting++;
	if (!p->is_stopping && !bsfs_streams_next(&p->streams, now_ms())) {
		/* Memory may be there again without anybody's telling. */
		if (p->streams.total < p->total)
			pthread_cond_timedwait(&p->work, &p->lock, &until);
		else
			pthread_cond_wait(&p->work, &p->lock);
	}
	p->n_waiting--;
	goes_on = !p->is_stopping;
	pthread_mutex_unlock(&p->lock);
	return goes_on;
}

/* Of the calling thread alone; whatever the daemon itself has is kept. */
static void be_less_urgent(void)
{
	int now = getpriority(PRIO_PROCESS, 0);

	setpriority(PRIO_PROCESS, 0, now + LESS_URGENT);
}

static void *prefetch(void *arg)
{
	struct prefetcher *t = arg;

	be_less_urgent();
	for (;;) {
		look_at_memory(t->p);
		fill(t);
		if (t->n_jobs)
			finish_job(t);
		else if (!wait_for_work(t->p))
			return NULL;
	}
}

/* ---- Pushing ------------------------------------------------------------- */

/* Under the lock: where to push of a stream; what is in a gap is left out. */
static uint64_t push_from(const struct bsfs_stream *st)
{
	uint64_t at = st->next + PUSH_GUARD;

	if (at < st->pushed)
		at = st->pushed;
	at = (at + PAGE - 1) / PAGE * PAGE;
	if (at % GAP_EVERY < GAP_LEN)
		at = at / GAP_EVERY * GAP_EVERY + GAP_LEN;
	return at;
}

static struct bsfs_reader *take_push(struct bsfs_prefetch *p, unsigned i,
				     uint64_t *ret_at)
{
	struct bsfs_stream *st = &p->streams.all[i];
	struct bsfs_reader *r = NULL;

	pthread_mutex_lock(&p->lock);
	if (st->file && !st->is_direct && !p->is_stopping) {
		*ret_at = push_from(st);
		if (*ret_at < st->loaded) {
			r = st->file;
			r->n_refs++;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

/* Whole pages of a piece that begins at 'at', up to a gap; how many bytes. */
static uint32_t push_piece(struct bsfs_prefetch *p, const struct bsfs_reader *r,
			   const struct bsfs_piece *piece,
			   const struct bsfs_entry *e, uint64_t at)
{
	uint64_t end = at + piece->len;
	uint64_t gap = (at + GAP_EVERY) / GAP_EVERY * GAP_EVERY;

	if (end > gap)
		end = gap;
	if (end < r->member.size)
		end = end / PAGE * PAGE;
	if (end <= at)
		return 0;
	bsfs_session_store(p->s, r->id, at, bsfs_entry_bytes(e) + piece->skip,
			   (size_t)(end - at));
	bsfs_count(p->s->stats, BSFS_N_PUSHED_BYTES, (int64_t)(end - at));
	return (uint32_t)(end - at);
}

/* Push a chunk of stream 'i', if there is one; 0: there is not, or not yet. */
static int push_some(struct bsfs_prefetch *p, unsigned i)
{
	struct bsfs_stream *st = &p->streams.all[i];
	struct bsfs_entry *e;
	struct bsfs_piece piece;
	enum bsfs_ahead found;
	uint64_t at;
	size_t len;
	struct bsfs_reader *r = take_push(p, i, &at);

	if (!r)
		return 0;
	len = cut(r, at, &piece);
	found = bsfs_cache_take_ahead(p->s->cache, r->vfile->id, piece.chunk,
				      &e);
	if (found == BSFS_AHEAD_READY) {
		bsfs_cache_put_read(p->s->cache, e,
				    push_piece(p, r, &piece, e, at));
	}
	if (found != BSFS_AHEAD_LOADING) {
		pthread_mutex_lock(&p->lock);
		if (st->file == r && st->pushed < at + len)
			st->pushed = at + len;
		pthread_mutex_unlock(&p->lock);
	}
	reader_put(p, r);
	return found != BSFS_AHEAD_LOADING;
}

static void *push(void *arg)
{
	struct bsfs_prefetch *p = arg;
	uint64_t n_events = 0;
	int goes_on = 1;

	while (goes_on) {
		int n = 0;
		unsigned i;

		for (i = 0; i < BSFS_STREAMS_MAX; i++)
			n += push_some(p, i);
		pthread_mutex_lock(&p->lock);
		while (!n && !p->is_stopping && p->n_events == n_events)
			pthread_cond_wait(&p->ready, &p->lock);
		n_events = p->n_events;
		goes_on = !p->is_stopping;
		pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

/* ---- The whole ----------------------------------------------------------- */

/* How many threads the cache has room for, beside what requests need and as
 * much again ahead of readers. */
static unsigned choose_threads(const struct bsfs_options *opt)
{
	uint64_t least = BSFS_CACHE_MIN(opt->n_threads) + 4 * MIB;
	uint64_t n = opt->n_threads < THREADS_MAX ? opt->n_threads
						  : THREADS_MAX;

	if (!opt->prefetch_len || opt->cache_len < least)
		return 0;
	if (n > (opt->cache_len - least) / THREAD_MEM)
		n = (opt->cache_len - least) / THREAD_MEM;
	return (unsigned)n;
}

static int start(struct bsfs_prefetch *p)
{
	unsigned i;

	for (i = 0; i < p->n_threads; i++) {
		struct prefetcher *t = &p->threads[i];

		t->p = p;
		if (bsfs_loader_init(&t->loader, p->s,
				     DEPTH * BSFS_STORED_MAX) != 0)
			return -ENOMEM;
		t->loader.is_ahead = 1;
		if (pthread_create(&t->thread, NULL, prefetch, t) != 0)
			return -EAGAIN;
		t->is_started = 1;
	}
	return 0;
}

int bsfs_prefetch_new(struct bsfs_session *s)
{
	unsigned n = choose_threads(s->opt);
	struct bsfs_prefetch *p;

	if (!n)
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	s->prefetch = p;
	p->s = s;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->ready, NULL);
	p->total = (s->opt->cache_len - n * THREAD_MEM -
		    BSFS_CACHE_MIN(s->opt->n_threads)) /
		   2;
	if (p->total > s->opt->prefetch_len)
		p->total = s->opt->prefetch_len;
	p->streams.total = p->total;
	p->streams.each = (n + 1) * AHEAD_MAX;
	p->n_threads = n;
	p->threads = calloc(n, sizeof(*p->threads));
	if (!p->threads)
		return -ENOMEM;
	bsfs_cache_reserve(s->cache, (int64_t)(n * THREAD_MEM),
			   BSFS_CACHE_MIN(s->opt->n_threads));
	return start(p);
}

int bsfs_prefetch_push(struct bsfs_session *s)
{
	struct bsfs_prefetch *p = s->prefetch;
	int err = p ? pthread_create(&p->pusher, NULL, push, p) : 0;

	if (p && !err) {
		pthread_mutex_lock(&p->lock);
		p->has_pusher = 1;
		pthread_mutex_unlock(&p->lock);
	}
	return -err;
}

void bsfs_prefetch_stop(struct bsfs_session *s)
{
	struct bsfs_prefetch *p = s->prefetch;
	unsigned i;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->is_stopping = 1;
	pthread_cond_broadcast(&p->work);
	pthread_cond_broadcast(&p->ready);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; p->threads && i < p->n_threads; i++) {
		if (p->threads[i].is_started)
			pthread_join(p->threads[i].thread, NULL);
		p->threads[i].is_started = 0;
	}
	if (p->has_pusher)
		pthread_join(p->pusher, NULL);
	p->has_pusher = 0;
}

void bsfs_prefetch_free(struct bsfs_session *s)
{
	struct bsfs_prefetch *p = s->prefetch;
	unsigned i;

	if (!p)
		return;
	bsfs_prefetch_stop(s);
	for (i = 0; p->threads && i < p->n_threads; i++)
		bsfs_loader_fini(&p->threads[i].loader);
	free(p->threads);
	pthread_cond_destroy(&p->ready);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
	s->prefetch = NULL;
}
