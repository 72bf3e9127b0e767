/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpacker.c - all bytes of a container, on many threads
 *
 * The calling thread walks the file's extents and cuts them into slabs of
 * chunks, with their records and their blob's model; workers read, decode,
 * check and write; the sink takes the digest and notes what was bad, in the
 * order of the file.
 *
 * Of a file of BigSmall (Python) a slab is a few tensors, whole: their bytes are
 * written while they are decoded, and at the end the MD5s tell what they are worth.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "files.h"
#include "pool.h"
#include "unpacker.h"

#define SLAB_LEN ((size_t)2 << 20)
#define SLAB_CHUNKS 20

/* A blob while its slabs are on their way. */
struct opened {
	struct bs_blob blob;
	struct bs_model *model; /* owned; NULL: none, or it failed */
	enum bs_result model_res;
};

/* A tensor of an upstream's file. */
struct whole {
	uint64_t blob;
	uint64_t chunk; /* its first */
	uint64_t off; /* in the file */
	uint64_t len;
	enum bs_result res;
	enum bs_result res_int4; /* of its 4-bit values */
};

struct slab {
	uint8_t *raw; /* [SLAB_LEN + BS_CHUNK_RAW_MAX], owned */
	struct opened *of;
	struct opened *ended; /* the same, if it is the extent's last slab */
	uint64_t off; /* in the file */
	uint64_t len; /* of the file */
	size_t skip; /* bytes of raw before those */
	unsigned n_chunks; /* 0: their page is lost */
	struct bs_chunk chunk[SLAB_CHUNKS];
	enum bs_result res[SLAB_CHUNKS]; /* [0] without chunks: of the page */
	uint8_t is_stored_intact[SLAB_CHUNKS];
	uint64_t lost_first; /* of a lost page */
	uint64_t lost_n;
	unsigned n_whole; /* more than 0: an upstream's file's, and only that */
	struct whole whole[BS_UPSTREAM_TOGETHER];
};

struct worker_mem {
	struct bs_workspace *ws;
	uint8_t *stored; /* [BS_CHUNK_STORED_MAX], owned */
};

struct unpacker {
	struct bst_unpack *u;
	struct bst_pool *pool;
	struct slab *slabs; /* [n_slabs], owned */
	unsigned n_slabs;
	struct worker_mem *mem; /* [n_threads], owned */
	struct bs_hash *hash; /* NULL: no digest is wanted */
	struct opened *of; /* being walked */
	struct bs_page *page; /* the walker's; owned */
	uint64_t page_no;
	enum bs_result page_res;
	pthread_mutex_t lock; /* protects what fail() sets */
};

static int fail(struct unpacker *p, int exit_code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Note the first failure; anything but 0 stops the pool. */
static int fail(struct unpacker *p, int exit_code, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&p->lock);
	if (!p->u->exit_code) {
		p->u->exit_code = exit_code;
		va_start(ap, fmt);
		vsnprintf(p->u->error, sizeof(p->u->error), fmt, ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&p->lock);
	return 1;
}

/* ---- Workers ------------------------------------------------------------- */

static enum bs_result decode_chunk(struct unpacker *p, struct worker_mem *mem,
				   const struct slab *slab, unsigned i,
				   uint8_t *dst)
{
	const struct bs_chunk *chunk = &slab->chunk[i];

	if (chunk->coding == BS_CODING_PLANES && !slab->of->model)
		return slab->of->model_res;
	if (p->u->is_fast)
		return BS_OK;
	return bs_chunk_decode(chunk, &slab->of->blob, slab->of->model, mem->ws,
			       mem->stored, dst);
}

static void do_chunk(struct unpacker *p, struct worker_mem *mem,
		     struct slab *slab, unsigned i, uint8_t *dst)
{
	const struct bs_chunk *chunk = &slab->chunk[i];
	int err;

	slab->is_stored_intact[i] = 0;
	err = bst_pread_all(p->u->box->fd, mem->stored, chunk->stored_len,
			    chunk->stored_off);
	if (err) {
		slab->res[i] = err == -ENODATA ? BS_ERR_TRUNCATED : BS_ERR_IO;
		return;
	}
	slab->res[i] = bs_chunk_check_stored(chunk, mem->stored);
	if (slab->res[i] == BS_OK) {
		slab->is_stored_intact[i] = 1;
		slab->res[i] = decode_chunk(p, mem, slab, i, dst);
	}
}

/* Whether all its chunks were decoded. */
static int is_whole(const struct slab *slab)
{
	unsigned i;

	for (i = 0; i < slab->n_chunks; i++)
		if (slab->res[i] != BS_OK)
			return 0;
	return slab->n_chunks > 0;
}

/* Zeros need not be written into a new file. */
static int is_all_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && !memcmp(p, p + 1, len - 1);
}

static int write_bytes(struct unpacker *p, const uint8_t *data, size_t len,
		       uint64_t off)
{
	int err;

	if (is_all_zero(data, len))
		return 0;
	err = bst_pwrite_all(p->u->dst_fd, data, len, off);
	if (err)
		return fail(p, BST_EXIT_SYSTEM, "writing the result failed: %s",
			    strerror(-err));
	return 0;
}

/* Compare with the other file, piece by piece: the worker's memory for stored
 * bytes is free by now. */
static int compare_bytes(struct unpacker *p, struct worker_mem *mem,
			 const uint8_t *data, size_t len, uint64_t off)
{
	size_t pos, n;
	int err;

	for (pos = 0; pos < len; pos += n) {
		n = len - pos;
		if (n > BS_CHUNK_STORED_MAX)
			n = BS_CHUNK_STORED_MAX;
		err = bst_pread_all(p->u->cmp_fd, mem->stored, n, off + pos);
		if (err && err != -ENODATA)
			return fail(p, BST_EXIT_SYSTEM,
				    "reading it back failed: %s",
				    strerror(-err));
		if (err || memcmp(mem->stored, data + pos, n) != 0) {
			__atomic_store_n(&p->u->differs, 1, __ATOMIC_RELAXED);
			return 1;
		}
	}
	return 0;
}

/* What a worker does with good bytes of the file, and with an upstream's before
 * they are known to be good. */
static int put_bytes(struct unpacker *p, struct worker_mem *mem,
		     const uint8_t *data, size_t len, uint64_t off)
{
	if (p->u->cmp_fd >= 0 && compare_bytes(p, mem, data, len, off))
		return 1;
	return p->u->dst_fd >= 0 && write_bytes(p, data, len, off);
}

struct tensor_work {
	struct unpacker *p;
	struct worker_mem *mem;
	uint64_t off; /* of the tensor */
	int has_failed;
};

static int take_tensor(void *ctx, uint64_t off, const void *data, size_t len)
{
	struct tensor_work *t = ctx;

	if (bst_is_interrupted())
		t->has_failed = fail(t->p, BST_EXIT_INTERRUPTED, "interrupted");
	else
		t->has_failed =
			put_bytes(t->p, t->mem, data, len, t->off + off);
	return t->has_failed;
}

/* Its 4-bit values only those who check want. */
static int work_tensors(struct unpacker *p, unsigned worker, struct slab *slab)
{
	struct bs_upstream_job jobs[BS_UPSTREAM_TOGETHER];
	struct tensor_work t[BS_UPSTREAM_TOGETHER];
	int checks = p->u->dst_fd < 0 && p->u->cmp_fd < 0;
	int has_failed = 0;
	unsigned i;

	for (i = 0; i < slab->n_whole; i++) {
		t[i] = (struct tensor_work){ p, &p->mem[worker],
					     slab->whole[i].off, 0 };
		jobs[i] = (struct bs_upstream_job){ .blob = slab->whole[i].blob,
						    .take = take_tensor,
						    .ctx = &t[i],
						    .checks_int4 = checks };
	}
	if (!p->u->is_fast)
		bs_upstream_decode(p->u->box->ar, jobs, slab->n_whole);
	for (i = 0; i < slab->n_whole; i++) {
		slab->whole[i].res = jobs[i].res;
		slab->whole[i].res_int4 = jobs[i].res_int4;
		has_failed |= t[i].has_failed;
	}
	return has_failed;
}

static int work_slab(void *ctx, unsigned worker, void *item)
{
	struct unpacker *p = ctx;
	struct slab *slab = item;
	uint8_t *dst = slab->raw;
	unsigned i;

	if (slab->n_whole)
		return work_tensors(p, worker, slab);
	for (i = 0; i < slab->n_chunks; i++) {
		do_chunk(p, &p->mem[worker], slab, i, dst);
		dst += slab->chunk[i].raw_len;
	}
	return is_whole(slab) &&
	       put_bytes(p, &p->mem[worker], slab->raw + slab->skip,
			 (size_t)slab->len, slab->off);
}

/* ---- The sink ------------------------------------------------------------ */

static struct bst_bad *add_bad(struct unpacker *p)
{
	struct bst_unpack *u = p->u;

	if (u->n_bad == u->n_allocated) {
		size_t n = u->n_allocated ? 2 * u->n_allocated : 16;
		struct bst_bad *bad = realloc(u->bad, n * sizeof(*bad));

		if (!bad) {
			fail(p, BST_EXIT_SYSTEM, "out of memory");
			return NULL;
		}
		u->bad = bad;
		u->n_allocated = n;
	}
	memset(&u->bad[u->n_bad], 0, sizeof(*u->bad));
	return &u->bad[u->n_bad++];
}

static int note_lost_page(struct unpacker *p, const struct slab *slab)
{
	struct bst_bad *bad = add_bad(p);

	if (!bad)
		return 1;
	bad->chunk = slab->lost_first;
	bad->n_chunks = slab->lost_n;
	bad->off = slab->off;
	bad->len = slab->len;
	bad->res = slab->res[0];
	return !p->u->goes_on;
}

static int note_chunk(struct unpacker *p, const struct slab *slab, unsigned i)
{
	const struct bs_chunk *chunk = &slab->chunk[i];
	struct bst_bad *bad = add_bad(p);
	uint64_t begin, end, blob_off;

	if (!bad)
		return 1;
	/* The part of the chunk that the extent shows, in the file. */
	blob_off = slab->chunk[0].blob_off + slab->skip;
	begin = chunk->blob_off > blob_off ? chunk->blob_off - blob_off : 0;
	end = chunk->blob_off + chunk->raw_len - blob_off;
	if (end > slab->len)
		end = slab->len;
	bad->chunk = chunk->no;
	bad->n_chunks = 1;
	bad->off = slab->off + begin;
	bad->len = end - begin;
	bad->stored_off = chunk->stored_off;
	bad->stored_len = chunk->stored_len;
	bad->res = slab->res[i];
	bad->is_stored_intact = slab->is_stored_intact[i];
	return !p->u->goes_on;
}

static int take_tensor_result(struct unpacker *p, const struct whole *w)
{
	struct bs_upstream up = { 0 };
	struct bst_bad *bad;

	p->u->n_chunks += w->blob > 0; /* not the header */
	if (w->res == BS_OK && w->res_int4 == BS_OK)
		return 0;
	bad = add_bad(p);
	if (!bad)
		return 1;
	(void)bs_archive_upstream(p->u->box->ar, w->blob, &up);
	bad->chunk = w->chunk;
	bad->n_chunks = 1;
	bad->off = w->off;
	bad->len = w->len;
	bad->stored_off = up.stored_off;
	bad->stored_len = up.stored_len;
	bad->is_int4 = w->res == BS_OK;
	bad->res = bad->is_int4 ? w->res_int4 : w->res;
	return !p->u->goes_on;
}

static int take_tensor_results(struct unpacker *p, const struct slab *slab)
{
	unsigned i;

	for (i = 0; i < slab->n_whole; i++)
		if (take_tensor_result(p, &slab->whole[i]))
			return 1;
	return 0;
}

static int take_slab(void *ctx, void *item)
{
	struct unpacker *p = ctx;
	struct slab *slab = item;
	unsigned i;

	if (slab->n_whole)
		return take_tensor_results(p, slab);
	if (slab->n_chunks == 0)
		return note_lost_page(p, slab);
	for (i = 0; i < slab->n_chunks; i++)
		if (slab->res[i] != BS_OK && note_chunk(p, slab, i))
			return 1;
	p->u->n_chunks += slab->n_chunks;
	if (p->hash && !p->u->n_bad)
		bs_hash_update(p->hash, slab->raw + slab->skip,
			       (size_t)slab->len);
	return 0;
}

/* ---- The walker ---------------------------------------------------------- */

static void opened_free(struct opened *of)
{
	if (of)
		bs_model_free(of->model);
	free(of);
}

static struct slab *claim_slab(struct unpacker *p)
{
	struct slab *slab;

	if (bst_is_interrupted()) {
		fail(p, BST_EXIT_INTERRUPTED, "interrupted");
		return NULL;
	}
	slab = bst_pool_claim(p->pool);
	if (!slab)
		return NULL;
	opened_free(slab->ended);
	slab->ended = NULL;
	slab->n_chunks = 0;
	slab->n_whole = 0;
	return slab;
}

/* The page of 'chunk', or NULL with p->page_res set. */
static const struct bs_page *get_page(struct unpacker *p, uint64_t chunk)
{
	const struct bs_archive *ar = p->u->box->ar;
	uint64_t no = bs_archive_page_of(ar, chunk);

	if (no == p->page_no)
		return p->page;
	bs_page_free(p->page);
	p->page = NULL;
	p->page_no = no;
	p->page_res = bs_page_load(ar, no, &p->page, NULL);
	return p->page;
}

/* Fill 'slab' with the chunks from 'chunk' to 'last' that have room in it;
 * returns how many bytes of the blob they are. */
static size_t gather_chunks(struct unpacker *p, struct slab *slab,
			    uint64_t chunk, uint64_t last)
{
	size_t len = 0;

	for (; chunk <= last && slab->n_chunks < SLAB_CHUNKS; chunk++) {
		const struct bs_page *page = get_page(p, chunk);
		struct bs_chunk *c = &slab->chunk[slab->n_chunks];

		if (!page)
			break;
		bs_page_chunk(p->u->box->ar, page, chunk, c);
		if (slab->n_chunks && len + c->raw_len > SLAB_LEN)
			break;
		len += c->raw_len;
		slab->n_chunks++;
	}
	return len;
}

/* The chunks from 'chunk' to 'last' whose records are lost with their page;
 * returns where the last of them ends in the blob. */
static uint64_t gather_lost(struct unpacker *p, struct slab *slab,
			    uint64_t chunk, uint64_t last)
{
	const struct bs_archive *ar = p->u->box->ar;
	uint64_t off, end = chunk;
	size_t len;

	while (end < last && bs_archive_page_of(ar, end + 1) == p->page_no)
		end++;
	slab->res[0] = p->page_res;
	slab->lost_first = chunk;
	slab->lost_n = end - chunk + 1;
	bs_blob_chunk_range(&p->of->blob, end, &off, &len);
	return off + len;
}

static struct opened *open_blob(struct unpacker *p, uint64_t no)
{
	const struct bs_archive *ar = p->u->box->ar;
	struct opened *of = calloc(1, sizeof(*of));

	if (!of) {
		fail(p, BST_EXIT_SYSTEM, "out of memory");
		return NULL;
	}
	bs_archive_blob(ar, no, &of->blob);
	of->model_res = BS_ERR_CORRUPT;
	if (of->blob.model != BS_NO_MODEL)
		of->model_res =
			bs_model_load(ar, of->blob.model, &of->model, NULL);
	return of;
}

static int walk_extent(struct unpacker *p, const struct bs_extent *ext)
{
	uint64_t pos = 0, chunk, end, last;

	p->of = open_blob(p, ext->blob);
	if (!p->of)
		return 1;
	last = bs_blob_chunk_at(&p->of->blob, ext->blob_off + ext->len - 1);
	while (pos < ext->len) {
		struct slab *slab = claim_slab(p);

		if (!slab)
			return 1;
		chunk = bs_blob_chunk_at(&p->of->blob, ext->blob_off + pos);
		end = gather_chunks(p, slab, chunk, last);
		if (slab->n_chunks) {
			end += slab->chunk[0].blob_off;
			slab->skip = (size_t)(ext->blob_off + pos -
					      slab->chunk[0].blob_off);
		} else {
			end = gather_lost(p, slab, chunk, last);
			slab->skip = 0;
		}
		end -= ext->blob_off;
		if (end > ext->len)
			end = ext->len;
		slab->of = p->of;
		slab->off = ext->off + pos;
		slab->len = end - pos;
		if (end == ext->len) {
			slab->ended = p->of;
			p->of = NULL;
		}
		bst_pool_submit(p->pool);
		bst_progress_add(end - pos);
		pos = end;
	}
	return 0;
}

/* How many of 'n' tensors a thread decodes side by side: as many as go, but all
 * threads have as many groups of them as any.  What four tensors take of memory,
 * eight threads have room for. */
static uint64_t n_together(const struct unpacker *p, uint64_t n)
{
	uint64_t n_threads = p->u->n_threads;
	uint64_t max = n_threads > 8 ? 2 : BS_UPSTREAM_TOGETHER;
	uint64_t each = (n + max * n_threads - 1) / (max * n_threads);

	return (n + each * n_threads - 1) / (each * n_threads);
}

/* An extent of an upstream's file shows all of its blob. */
static int walk_tensors(struct unpacker *p, uint64_t first, uint64_t n)
{
	const struct bs_archive *ar = p->u->box->ar;
	struct slab *slab = claim_slab(p);
	uint64_t len = 0;

	if (!slab)
		return 1;
	for (; slab->n_whole < n; slab->n_whole++) {
		struct bs_extent ext;
		struct bs_blob blob;

		bs_archive_extent(ar, first + slab->n_whole, &ext);
		bs_archive_blob(ar, ext.blob, &blob);
		slab->whole[slab->n_whole] = (struct whole){
			.blob = ext.blob,
			.chunk = blob.first_chunk,
			.off = ext.off,
			.len = ext.len,
		};
		len += ext.len;
	}
	bst_pool_submit(p->pool);
	bst_progress_add(len);
	return 0;
}

/* The first extent of an upstream's file is the header. */
static int walk_all_tensors(struct unpacker *p)
{
	uint64_t i = p->u->box->member.first_extent;
	uint64_t n_left = p->u->box->member.n_extents - 1;
	uint64_t n = n_left ? n_together(p, n_left) : 0;

	if (walk_tensors(p, i++, 1))
		return 1;
	while (n_left) {
		if (n > n_left)
			n = n_left;
		if (walk_tensors(p, i, n))
			return 1;
		i += n;
		n_left -= n;
	}
	return 0;
}

static int walk_all(struct unpacker *p)
{
	const struct bst_container *box = p->u->box;
	struct bs_extent ext;
	uint64_t i;

	if (bs_archive_summary(box->ar)->is_upstream)
		return walk_all_tensors(p);
	for (i = 0; i < box->member.n_extents; i++) {
		bs_archive_extent(box->ar, box->member.first_extent + i, &ext);
		if (walk_extent(p, &ext))
			return 1;
	}
	return 0;
}

/* ---- The whole ----------------------------------------------------------- */

static int get_memory(struct unpacker *p)
{
	unsigned i;

	p->n_slabs = 2 * p->u->n_threads + 4;
	p->slabs = calloc(p->n_slabs, sizeof(*p->slabs));
	p->mem = calloc(p->u->n_threads, sizeof(*p->mem));
	if (!p->slabs || !p->mem)
		return -1;
	for (i = 0; i < p->n_slabs; i++) {
		p->slabs[i].raw = malloc(SLAB_LEN + BS_CHUNK_RAW_MAX);
		if (!p->slabs[i].raw)
			return -1;
	}
	for (i = 0; i < p->u->n_threads; i++) {
		p->mem[i].stored = malloc(BS_CHUNK_STORED_MAX);
		if (!p->mem[i].stored ||
		    bs_workspace_new(&p->mem[i].ws) != BS_OK)
			return -1;
	}
	if (p->u->is_fast || p->u->box->member.digest_alg == BS_DIGEST_NONE)
		return 0;
	return bs_hash_new(&p->hash, p->u->box->member.digest_alg) == BS_OK
		       ? 0
		       : -1;
}

static void put_memory(struct unpacker *p)
{
	unsigned i;

	for (i = 0; p->slabs && i < p->n_slabs; i++) {
		opened_free(p->slabs[i].ended);
		free(p->slabs[i].raw);
	}
	for (i = 0; p->mem && i < p->u->n_threads; i++) {
		bs_workspace_free(p->mem[i].ws);
		free(p->mem[i].stored);
	}
	opened_free(p->of);
	bs_page_free(p->page);
	bs_hash_free(p->hash);
	free(p->mem);
	free(p->slabs);
}

static int run_pool(struct unpacker *p)
{
	struct bst_pool_conf conf = {
		.n_threads = p->u->n_threads,
		.n_items = p->n_slabs,
		.n_sinks = 1,
		.items = p->slabs,
		.item_len = sizeof(*p->slabs),
		.work = work_slab,
		.sink = { { take_slab, 0 } },
		.ctx = p,
	};
	int err;

	err = bst_pool_new(&p->pool, &conf);
	if (err)
		return fail(p, BST_EXIT_SYSTEM, "starting threads failed: %s",
			    strerror(-err));
	if (walk_all(p))
		bst_pool_fail(p->pool, 1);
	return bst_pool_end(p->pool);
}

int bst_unpack(struct bst_unpack *u)
{
	struct unpacker p = { .u = u, .page_no = UINT64_MAX };

	pthread_mutex_init(&p.lock, NULL);
	(void)posix_fadvise(u->box->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (get_memory(&p))
		fail(&p, BST_EXIT_SYSTEM, "out of memory");
	else if (!run_pool(&p) && p.hash && !u->n_bad) {
		bs_hash_final(p.hash, u->digest);
		u->has_digest = 1;
	}
	put_memory(&p);
	pthread_mutex_destroy(&p.lock);
	return u->exit_code;
}

void bst_unpack_fini(struct bst_unpack *u)
{
	free(u->bad);
	u->bad = NULL;
	u->n_bad = 0;
	u->n_allocated = 0;
}
