/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c - from a range of a file to its bytes, by way of the cache
 *
 * A request is cut into pieces of chunks.  All chunks that nobody has are
 * claimed first and loaded; only then are those waited for that others load.
 * So a claim never waits for another claim, and no two requests can wait for
 * each other.
 *
 * A chunk that cannot be had is a problem, named with its tensor, and EIO for
 * those who want it.  Nothing else suffers.
 */

#include "decode.h"

#include "cache.h"
#include "safetensors.h"
#include "stats.h"
#include "uring.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Stored bytes of a batch: the longest chunk with its direct read's edges, or
 * three of the usual ones. */
#define STORED_LEN ((size_t)640 << 10)
static_assert(STORED_LEN >= BSFS_STORED_MAX, "a chunk must fit");

/* Longer headers are not parsed to name a tensor. */
#define HEADER_MAX ((uint64_t)16 << 20)

/* Of a longer path in a bundle, a problem has the beginning. */
#define NAMED_MAX 400

struct bsfs_decoder {
	pthread_mutex_t lock; /* protects 'idle' */
	pthread_cond_t returned;
	int is_async; /* the workers got rings */
	struct bsfs_worker *idle;
};

/* ---- Workers ------------------------------------------------------------- */

static void free_worker(struct bsfs_worker *w)
{
	bsfs_loader_fini(&w->loader);
	free(w->copy);
	free(w);
}

static struct bsfs_worker *new_worker(struct bsfs_session *s)
{
	struct bsfs_worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->s = s;
	if (bsfs_loader_init(&w->loader, s, STORED_LEN) != 0) {
		free_worker(w);
		return NULL;
	}
	return w;
}

int bsfs_decoder_new(struct bsfs_session *s)
{
	struct bsfs_decoder *d = calloc(1, sizeof(*d));
	unsigned i;

	if (!d)
		return -ENOMEM;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->returned, NULL);
	s->decoder = d;
	for (i = 0; i < s->opt->n_threads; i++) {
		struct bsfs_worker *w = new_worker(s);

		if (!w)
			return -ENOMEM;
		w->next = d->idle;
		d->idle = w;
	}
	d->is_async = bsfs_uring_is_async(d->idle->loader.uring);
	return 0;
}

int bsfs_decoder_is_async(const struct bsfs_session *s)
{
	return s->decoder->is_async;
}

void bsfs_decoder_free(struct bsfs_session *s)
{
	struct bsfs_decoder *d = s->decoder;

	if (!d)
		return;
	while (d->idle) {
		struct bsfs_worker *w = d->idle;

		d->idle = w->next;
		free_worker(w);
	}
	pthread_cond_destroy(&d->returned);
	pthread_mutex_destroy(&d->lock);
	free(d);
	s->decoder = NULL;
}

struct bsfs_worker *bsfs_worker_get(struct bsfs_session *s)
{
	struct bsfs_decoder *d = s->decoder;
	struct bsfs_worker *w;

	pthread_mutex_lock(&d->lock);
	while (!d->idle)
		pthread_cond_wait(&d->returned, &d->lock);
	w = d->idle;
	d->idle = w->next;
	pthread_mutex_unlock(&d->lock);
	w->n_iov = 0;
	w->n_pins = 0;
	w->loader.n_again = 0;
	w->loader.bad_chunk = UINT64_MAX;
	return w;
}

static void unpin(struct bsfs_worker *w)
{
	while (w->n_pins) {
		struct bsfs_entry *e = w->pins[--w->n_pins];

		if (e)
			bsfs_cache_put_read(w->s->cache, e,
					    w->n_read[w->n_pins]);
	}
}

void bsfs_worker_put(struct bsfs_worker *w)
{
	struct bsfs_decoder *d = w->s->decoder;

	unpin(w);
	pthread_mutex_lock(&d->lock);
	w->next = d->idle;
	d->idle = w;
	pthread_cond_signal(&d->returned);
	pthread_mutex_unlock(&d->lock);
}

/* ---- Loading chunks ------------------------------------------------------ */

/* Read and decode 'n' placed chunks; each is published as soon as it is. */
static void load_batch(struct bsfs_worker *w, struct bsfs_vfile *f,
		       struct bsfs_load *loads, unsigned n)
{
	struct bsfs_loader *l = &w->loader;
	unsigned i;

	for (i = 0; i < n; i++)
		bsfs_load_begin(l, f, &loads[i], i);
	bsfs_uring_submit(l->uring);
	for (i = 0; i < n; i++) {
		unsigned tag;
		int got;

		bsfs_uring_wait(l->uring, &tag, &got);
		bsfs_load_finish(l, f, &loads[tag], got);
	}
}

/* Load all that was claimed; every claim is ended. */
static void load_claims(struct bsfs_worker *w, struct bsfs_vfile *f,
			struct bsfs_load *loads, unsigned n)
{
	unsigned first = 0, n_batch = 0, i;
	size_t at = 0;

	for (i = 0; i < n; i++) {
		struct bsfs_load load = loads[i];
		int err = bsfs_load_find(&w->loader, f, &load);
		size_t end;

		if (err) {
			bsfs_load_end(&w->loader, &load, err);
			continue;
		}
		end = bsfs_load_place(f, &load, at);
		if (n_batch == BSFS_URING_DEPTH || end > STORED_LEN) {
			load_batch(w, f, loads + first, n_batch);
			first += n_batch;
			n_batch = 0;
			end = bsfs_load_place(f, &load, 0);
		}
		/* Slots of ended claims before 'i' are free. */
		loads[first + n_batch++] = load;
		at = (end + BSFS_DIRECT_ALIGN - 1) / BSFS_DIRECT_ALIGN *
		     BSFS_DIRECT_ALIGN;
	}
	load_batch(w, f, loads + first, n_batch);
}

/* Wait for piece 'i', which another loads: 0 or -errno. */
static int wait_for(struct bsfs_worker *w, struct bsfs_vfile *f,
		    const struct bsfs_piece *piece, unsigned i)
{
	struct bsfs_cache *c = w->s->cache;
	struct bsfs_load load = { .no = piece->chunk };
	int err, found;

	for (;;) {
		err = bsfs_cache_wait(c, w->pins[i]);
		if (err != -ECANCELED)
			return err;
		/* Who failed had not been asked for it, and does not say what
		 * is wrong. */
		bsfs_cache_put(c, w->pins[i]);
		found = bsfs_cache_get(c, BSFS_CHUNK, f->id, piece->chunk,
				       piece->raw_len, &w->pins[i]);
		if (found < 0) {
			w->pins[i] = NULL;
			return found;
		}
		if (found == BSFS_CLAIMED) {
			load.entry = w->pins[i];
			load_claims(w, f, &load, 1);
		}
	}
}

/* Have the chunks of 'n' pieces in memory, pinned. */
static int load_pieces(struct bsfs_worker *w, struct bsfs_vfile *f,
		       const struct bsfs_piece *pieces, unsigned n)
{
	struct bsfs_load loads[BSFS_PIECES_MAX];
	unsigned n_loads = 0, i;
	int waits[BSFS_PIECES_MAX];
	int err = 0;

	assert(w->n_pins == 0);
	for (i = 0; i < n; i++) {
		int found = bsfs_cache_get(w->s->cache, BSFS_CHUNK, f->id,
					   pieces[i].chunk, pieces[i].raw_len,
					   &w->pins[i]);

		if (found < 0) {
			err = found;
			break;
		}
		w->n_read[w->n_pins++] = 0;
		waits[i] = found != BSFS_READY;
		if (found == BSFS_CLAIMED) {
			loads[n_loads].entry = w->pins[i];
			loads[n_loads++].no = pieces[i].chunk;
		}
	}
	load_claims(w, f, loads, n_loads);
	for (i = 0; i < w->n_pins; i++) {
		int res = waits[i] ? wait_for(w, f, &pieces[i], i) : 0;

		if (res)
			err = res;
	}
	if (err)
		unpin(w);
	return err;
}

/* Copy [off, off + len) to 'dst', piece by piece. */
static int read_copy(struct bsfs_worker *w, struct bsfs_vfile *f,
		     const struct bs_member *m, uint64_t off, size_t len,
		     uint8_t *dst)
{
	struct bsfs_piece pieces[BSFS_PIECES_MAX];
	int err = 0;

	while (len && !err) {
		size_t covered;
		unsigned i, n;

		/* As little at a time as a request: pins are a budget. */
		n = bsfs_vfile_cut(f, m, off,
				   len < BSFS_READ_MAX ? len : BSFS_READ_MAX,
				   pieces, BSFS_PIECES_MAX, &covered);
		err = load_pieces(w, f, pieces, n);
		for (i = 0; i < n && !err; i++) {
			w->n_read[i] = w->is_direct ? 0 : pieces[i].len;
			memcpy(dst,
			       bsfs_entry_bytes(w->pins[i]) + pieces[i].skip,
			       pieces[i].len);
			dst += pieces[i].len;
		}
		unpin(w);
		off += covered;
		len -= covered;
	}
	return err;
}

/* ---- Problems ------------------------------------------------------------ */

/* The names of the file's tensors, or NULL. */
static struct bs_st *read_names(struct bsfs_worker *w, struct bsfs_vfile *f,
				const struct bs_member *m)
{
	uint64_t size = m->size;
	struct bs_st *st = NULL;
	uint8_t prefix[8];
	uint8_t *head;
	uint64_t len;

	if (size < sizeof(prefix) ||
	    read_copy(w, f, m, 0, sizeof(prefix), prefix) != 0 ||
	    bs_st_header_len(prefix, size, &len, NULL) != BS_OK ||
	    len > HEADER_MAX)
		return NULL;
	head = malloc((size_t)len);
	if (head && read_copy(w, f, m, 0, (size_t)len, head) == 0 &&
	    bs_st_parse(&st, head, (size_t)len, size, NULL) != BS_OK)
		st = NULL;
	free(head);
	return st;
}

/* Where in the file the first byte of 'chunk' is shown. */
static int find_chunk(const struct bsfs_vfile *f, const struct bs_member *m,
		      uint64_t chunk, uint64_t *ret_off, uint64_t *ret_len)
{
	uint64_t no = bs_archive_blob_of_chunk(f->ar, chunk);
	struct bs_blob blob;
	uint64_t i, off;
	size_t len;

	bs_archive_blob(f->ar, no, &blob);
	bs_blob_chunk_range(&blob, chunk, &off, &len);
	for (i = 0; i < m->n_extents; i++) {
		struct bs_extent ext;

		bs_archive_extent(f->ar, m->first_extent + i, &ext);
		if (ext.blob != no || off + len <= ext.blob_off ||
		    off >= ext.blob_off + ext.len)
			continue;
		*ret_off =
			ext.off + (off > ext.blob_off ? off - ext.blob_off : 0);
		*ret_len = len;
		return 1;
	}
	return 0;
}

/* Say which chunk of 'f' failed, and what stood there in 'm'. */
static void report_bad(struct bsfs_worker *w, struct bsfs_vfile *f,
		       const struct bs_member *m)
{
	const struct bs_st_tensor *t = NULL;
	struct bsfs_session *s = w->s;
	uint64_t chunk = w->loader.bad_chunk, off = 0, len = 0;
	int name_len = m->name_len < NAMED_MAX ? (int)m->name_len : NAMED_MAX;
	char what[240];
	struct bs_st *st;

	if (bsfs_vfile_mark(f->reported, chunk))
		return;
	bsfs_count(s->stats, BSFS_N_BAD_CHUNKS, 1);
	/* Reading the header may fail for the same reason, and note it. */
	snprintf(what, sizeof(what), "%s", w->loader.bad_text);
	st = read_names(w, f, m);
	if (find_chunk(f, m, chunk, &off, &len) && st)
		t = bs_st_tensor_at(st, off);
	if (bsfs_problem(
		    s->stats, f->path,
		    "chunk %llu (%llu bytes at %llu of %s%.*s%s%s) cannot be read: %s; run bigsmall verify on it, then restore it from a copy",
		    (unsigned long long)chunk, (unsigned long long)len,
		    (unsigned long long)off,
		    m->name_len ? "" : "the file shown", name_len, m->name,
		    t ? ", in tensor " : "", t ? t->name : "", what))
		bsfs_log(s, BSFS_ERROR, "%s: chunk %llu cannot be read: %s",
			 f->path, (unsigned long long)chunk, what);
	bs_st_free(st);
}

/* ---- Requests ------------------------------------------------------------ */

static int read_in_place(struct bsfs_worker *w, struct bsfs_vfile *f,
			 const struct bsfs_piece *pieces, unsigned n)
{
	int err = load_pieces(w, f, pieces, n);
	unsigned i;

	if (err)
		return err;
	for (i = 0; i < n; i++) {
		w->iov[i].iov_base =
			bsfs_entry_bytes(w->pins[i]) + pieces[i].skip;
		w->iov[i].iov_len = pieces[i].len;
		w->n_read[i] = w->is_direct ? 0 : pieces[i].len;
	}
	w->n_iov = n;
	return 0;
}

/* One buffer for the answer. */
static int use_copy(struct bsfs_worker *w, size_t len)
{
	if (!w->copy)
		w->copy = malloc(BSFS_READ_MAX);
	if (!w->copy)
		return -ENOMEM;
	w->iov[0].iov_base = w->copy;
	w->iov[0].iov_len = len;
	w->n_iov = 1;
	return 0;
}

int bsfs_worker_read(struct bsfs_worker *w, struct bsfs_vfile *f,
		     const struct bs_member *m, uint64_t off, size_t len,
		     int is_direct)
{
	struct bsfs_piece pieces[BSFS_PIECES_MAX];
	size_t covered;
	unsigned n;
	int err;

	assert(len <= BSFS_READ_MAX && off + len <= m->size);
	w->is_direct = is_direct;
	n = bsfs_vfile_cut(f, m, off, len, pieces, BSFS_PIECES_MAX, &covered);
	if (covered == len)
		err = read_in_place(w, f, pieces, n);
	else
		err = use_copy(w, len) ? -ENOMEM
				       : read_copy(w, f, m, off, len, w->copy);
	if (err && w->loader.bad_chunk != UINT64_MAX)
		report_bad(w, f, m);
	return err;
}

int bsfs_worker_pread(struct bsfs_worker *w, int fd, uint64_t off, size_t len)
{
	size_t got = 0;

	assert(len <= BSFS_READ_MAX);
	if (use_copy(w, 0) != 0)
		return -ENOMEM;
	while (got < len) {
		ssize_t n =
			pread(fd, w->copy + got, len - got, (off_t)(off + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	w->iov[0].iov_len = got;
	return 0;
}
