/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packer.c - files into one container, on many threads
 *
 * The calling thread reads the files once, front to back, in slabs of whole
 * chunks; workers encode them; one sink takes the SHA-256, another hands the
 * chunks to the writer in order.  A blob of several slabs needs its model
 * before the first of them: tasks that run ahead of the reader sample it.
 *
 * Memory: two slabs a thread and a few more, each with room for what it
 * becomes; nothing depends on the files but their layout.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "files.h"
#include "packer.h"
#include "pool.h"

/* Four to sixteen chunks: enough for a read, few enough to share out. */
#define SLAB_LEN ((size_t)2 << 20)
#define SLAB_CHUNKS 20

/* Integers up to this length are counted whole, more by a sample of it. */
#define SAMPLE_LEN ((uint64_t)16 << 20)

/* A blob on its way: made ahead of the reader, freed behind the writer. */
struct parcel {
	struct bst_task task; /* samples the blob; first member */
	struct bst_region *region; /* borrowed from the layout */
	struct bs_blob shape; /* chunks numbered from 0 */
	struct bs_coder *coder; /* owned; NULL: plain bytes */
	int is_sampled_ahead;
	struct parcel *next;
};

struct slab {
	uint8_t *raw; /* [SLAB_LEN + 8], owned */
	uint8_t *stored; /* [SLAB_LEN + BS_CHUNK_STORED_MAX], owned */
	uint64_t blob_off;
	size_t raw_len;
	struct parcel *parcel; /* NULL: bytes that are only hashed */
	struct parcel *ended; /* the same, if this is the blob's last slab */
	uint64_t first_chunk;
	unsigned n_chunks;
	struct bs_encoded enc[SLAB_CHUNKS];
};

struct worker_mem {
	struct bs_workspace *ws;
	struct bs_stats *stats;
	uint8_t *chunk; /* [BS_CHUNK_RAW_MAX] */
};

struct packer {
	struct bst_pack *pack;
	struct bst_pool *pool;
	struct slab *slabs; /* [n_slabs], owned */
	unsigned n_slabs;
	struct worker_mem *mem; /* [n_threads], owned */
	struct bs_hash *xxh; /* of the blob being read; the reader's */

	/* The hashing sink's: which bytes of the layout come next. */
	struct bs_hash *sha; /* of the source */
	size_t hash_region;
	uint64_t hash_off; /* in it */

	/* The reader's: the source that is open. */
	size_t source; /* BST_NO_SOURCE: none */
	int source_fd;

	struct bs_writer *writer; /* the writing sink's */
	struct bs_sink sink;

	/* Parcels made and not yet read, in order; the reader's. */
	struct parcel *ahead;
	struct parcel **ahead_end;
	unsigned n_ahead;
	size_t next_region; /* to make a parcel of */

	pthread_mutex_t lock; /* protects what fail() sets */
};

static int fail(struct packer *p, int exit_code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Note the first failure; anything but 0 stops the pool. */
static int fail(struct packer *p, int exit_code, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&p->lock);
	if (!p->pack->exit_code) {
		p->pack->exit_code = exit_code;
		va_start(ap, fmt);
		vsnprintf(p->pack->error, sizeof(p->pack->error), fmt, ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&p->lock);
	return 1;
}

/* 'which' of the sources; of several, the sentence names it. */
static int fail_source(struct packer *p, size_t which, int exit_code,
		       const char *what)
{
	const struct bst_layout *lay = p->pack->layout;

	if (lay->n_sources == 1)
		return fail(p, exit_code, "%s", what);
	return fail(p, exit_code, "%s: %s", lay->source[which].path, what);
}

static int fail_read(struct packer *p, size_t which, int err)
{
	char text[128];

	if (err == -ENODATA)
		return fail_source(p, which, BST_EXIT_DATA,
				   "it changed while it was being read");
	snprintf(text, sizeof(text), "reading failed: %s", strerror(-err));
	return fail_source(p, which, BST_EXIT_SYSTEM, text);
}

static int fail_result(struct packer *p, enum bs_result res, const char *what)
{
	return fail(p, BST_EXIT_SYSTEM, "%s failed: %s", what,
		    bs_result_text(res));
}

/* ---- Models -------------------------------------------------------------- */

static int make_coder(struct packer *p, struct parcel *par,
		      struct bs_stats *stats)
{
	enum bs_result res = bs_coder_new(&par->coder, stats);

	return res == BS_OK ? 0 : fail_result(p, res, "choosing a model");
}

static int begin_stats(struct packer *p, struct worker_mem *mem,
		       const struct bst_region *reg)
{
	enum bs_result res = BS_OK;

	if (!mem->stats)
		res = bs_stats_new(&mem->stats, p->pack->level);
	if (!res)
		res = bs_stats_begin(mem->stats, reg->dtype, reg->blob_len,
				     reg->width);
	return res == BS_OK ? 0 : fail_result(p, res, "counting");
}

/* A task: look through the blob, or through an even sample of its chunks where
 * that is enough, and choose its model.  What the reader reads soon is in the
 * page cache then. */
static int sample_blob(void *ctx, unsigned worker, struct bst_task *task)
{
	struct packer *p = ctx;
	struct parcel *par = (struct parcel *)task;
	struct worker_mem *mem = &p->mem[worker];
	const struct bst_source *src =
		&p->pack->layout->source[par->region->source];
	uint64_t n = par->shape.n_chunks, want = n, i;
	int fd, err = 0;

	if (par->region->len > SAMPLE_LEN &&
	    bs_stats_takes_sample(par->region->dtype))
		want = SAMPLE_LEN / par->shape.chunk_size;
	if (begin_stats(p, mem, par->region))
		return 1;
	fd = bst_source_open(src);
	if (fd < 0)
		return fail_read(p, par->region->source, fd);
	for (i = 0; i < want && !err; i++) {
		uint64_t off;
		size_t len;

		/* n and want are below 2^47 and 2^8 */
		bs_blob_chunk_range(&par->shape, i * n / want, &off, &len);
		err = bst_pread_all(fd, mem->chunk, len,
				    par->region->off + off);
		if (!err)
			bs_stats_add(mem->stats, mem->chunk, len);
	}
	bst_source_close(src, fd);
	if (err)
		return fail_read(p, par->region->source, err);
	return make_coder(p, par, mem->stats);
}

/* The model of a blob that lies wholly in 'slab'. */
static int model_slab(struct packer *p, struct worker_mem *mem,
		      struct slab *slab)
{
	struct parcel *par = slab->parcel;

	if (begin_stats(p, mem, par->region))
		return 1;
	bs_stats_add(mem->stats, slab->raw, slab->raw_len);
	return make_coder(p, par, mem->stats);
}

/* ---- Workers and sinks ----------------------------------------------------- */

static int encode_slab(void *ctx, unsigned worker, void *item)
{
	struct packer *p = ctx;
	struct slab *slab = item;
	struct parcel *par = slab->parcel;
	struct worker_mem *mem = &p->mem[worker];
	size_t at = 0;
	unsigned i;

	if (!par)
		return 0;
	if (!par->is_sampled_ahead && par->region->dtype != BS_DTYPE_BYTES &&
	    model_slab(p, mem, slab))
		return 1;
	for (i = 0; i < slab->n_chunks; i++) {
		enum bs_result res;
		uint64_t off;
		size_t len;

		bs_blob_chunk_range(&par->shape, slab->first_chunk + i, &off,
				    &len);
		/* Stored never exceeds raw, so the next always has room. */
		res = bs_chunk_encode(par->coder, mem->ws, off,
				      slab->raw + (off - slab->blob_off), len,
				      slab->stored + at, &slab->enc[i]);
		if (res != BS_OK)
			return fail_result(p, res, "encoding");
		at += slab->enc[i].stored_len;
	}
	return 0;
}

static int hash_slab(void *ctx, void *item)
{
	struct packer *p = ctx;
	const struct slab *slab = item;
	const struct bst_layout *lay = p->pack->layout;
	size_t pos = 0;

	while (pos < slab->raw_len) {
		const struct bst_region *reg = &lay->region[p->hash_region];
		struct bst_source *src = &lay->source[reg->source];
		size_t n = slab->raw_len - pos;

		if (n > reg->len - p->hash_off)
			n = (size_t)(reg->len - p->hash_off);
		bs_hash_update(p->sha, slab->raw + pos, n);
		pos += n;
		p->hash_off += n;
		if (p->hash_off < reg->len)
			continue;
		p->hash_off = 0;
		p->hash_region++;
		if (p->hash_region == src->first_region + src->n_regions)
			bs_hash_final(p->sha, src->sha256);
	}
	return 0;
}

static int write_slab(void *ctx, void *item)
{
	struct packer *p = ctx;
	struct slab *slab = item;
	struct parcel *par = slab->parcel;
	enum bs_result res = BS_OK;
	const uint8_t *stored = slab->stored;
	struct bs_blob blob;
	unsigned i;

	if (!par)
		return 0;
	if (slab->first_chunk == 0)
		res = bs_writer_begin_blob(p->writer, par->region->dtype,
					   par->coder, par->region->off,
					   par->region->blob_len,
					   &par->region->blob, &blob);
	for (i = 0; i < slab->n_chunks && res == BS_OK; i++) {
		const struct bs_encoded *enc = &slab->enc[i];

		res = bs_writer_put_chunk(p->writer, enc, stored);
		stored += enc->stored_len;
		if (enc->coding < BST_N_CODINGS) {
			p->pack->by_coding[enc->coding].raw += enc->raw_len;
			p->pack->by_coding[enc->coding].stored +=
				enc->stored_len;
		}
		p->pack->by_dtype[par->region->dtype].raw += enc->raw_len;
		p->pack->by_dtype[par->region->dtype].stored += enc->stored_len;
	}
	if (res == BS_OK && slab->ended) {
		res = bs_writer_end_blob(p->writer, par->region->digest);
		p->pack->n_blobs++;
	}
	if (res != BS_OK)
		return fail_result(p, res, "writing");
	return 0;
}

static int write_to_fd(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct packer *p = ctx;
	int err;

	if (p->pack->dst_fd < 0)
		return 0;
	err = bst_pwrite_all(p->pack->dst_fd, buf, len, off);
	if (err)
		fail(p, BST_EXIT_SYSTEM, "writing the result failed: %s",
		     strerror(-err));
	return err;
}

/* ---- The reader ------------------------------------------------------------ */

static void parcel_free(struct parcel *par)
{
	if (par)
		bs_coder_free(par->coder);
	free(par);
}

static int is_leader(const struct bst_layout *lay, const struct bst_region *reg)
{
	return &lay->region[reg->leader] == reg;
}

/* Make parcels until enough big blobs are being sampled. */
static int look_ahead(struct packer *p)
{
	const struct bst_layout *lay = p->pack->layout;
	unsigned want = 2 + p->pack->n_threads / 2;

	while (p->n_ahead < want && p->next_region < lay->n_regions) {
		struct bst_region *reg = &lay->region[p->next_region++];
		struct parcel *par;

		if (reg->same_as != BST_NO_REGION || !is_leader(lay, reg))
			continue;
		par = calloc(1, sizeof(*par));
		if (!par)
			return fail(p, BST_EXIT_SYSTEM, "out of memory");
		par->region = reg;
		par->task.run = sample_blob;
		bs_blob_layout(p->pack->level, reg->dtype, reg->off,
			       reg->blob_len, &par->shape);
		par->shape.first_chunk = 0;
		*p->ahead_end = par;
		p->ahead_end = &par->next;
		p->n_ahead++;
		if (reg->len > SLAB_LEN && reg->dtype != BS_DTYPE_BYTES) {
			par->is_sampled_ahead = 1;
			bst_pool_task(p->pool, &par->task);
		}
	}
	return 0;
}

static struct parcel *next_parcel(struct packer *p)
{
	struct parcel *par;

	if (look_ahead(p))
		return NULL;
	par = p->ahead;
	p->ahead = par->next;
	if (!p->ahead)
		p->ahead_end = &p->ahead;
	p->n_ahead--;
	return par;
}

/* A free slab, its former blob released. */
static struct slab *claim_slab(struct packer *p)
{
	struct slab *slab;

	if (bst_is_interrupted()) {
		fail(p, BST_EXIT_INTERRUPTED, "interrupted");
		return NULL;
	}
	slab = bst_pool_claim(p->pool);
	if (!slab)
		return NULL;
	parcel_free(slab->ended);
	slab->ended = NULL;
	slab->parcel = NULL;
	slab->n_chunks = 0;
	return slab;
}

/* Look at an open source once more, now that it was read. */
static int check_source(struct packer *p, size_t which, int fd)
{
	const struct bst_source *src = &p->pack->layout->source[which];
	struct stat st;
	uint8_t more;

	if (fstat(fd, &st) != 0 || !bst_same_version(&st, &src->st))
		return fail_read(p, which, -ENODATA);
	/* As files of /proc, whose size is 0 whatever they hold. */
	if (pread(fd, &more, 1, src->st.st_size) > 0)
		return fail_source(p, which, BST_EXIT_DATA,
				   "it holds more bytes than its size says; "
				   "compress a copy of it");
	return 0;
}

/* Close the source that is open. */
static int leave_source(struct packer *p)
{
	const struct bst_source *src;
	int err;

	if (p->source == BST_NO_SOURCE)
		return 0;
	src = &p->pack->layout->source[p->source];
	err = check_source(p, p->source, p->source_fd);
	bst_source_close(src, p->source_fd);
	p->source = BST_NO_SOURCE;
	return err;
}

static int enter_source(struct packer *p, size_t which)
{
	int fd;

	if (p->source == which)
		return 0;
	if (leave_source(p))
		return 1;
	fd = bst_source_open(&p->pack->layout->source[which]);
	if (fd < 0)
		return fail_read(p, which, fd);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	p->source = which;
	p->source_fd = fd;
	return 0;
}

/* Read 'len' bytes at 'off' of a region. */
static int read_region(struct packer *p, const struct bst_region *reg,
		       uint64_t off, uint8_t *dst, size_t len)
{
	int err;

	if (enter_source(p, reg->source))
		return 1;
	err = bst_pread_all(p->source_fd, dst, len, reg->off + off);
	if (err)
		return fail_read(p, reg->source, err);
	bs_hash_update(p->xxh, dst, len);
	bst_progress_add(len);
	return 0;
}

/* The slab's bytes of the blob that 'reg' leads: of a blob that small files
 * share, it is all of them. */
static int fill_slab(struct packer *p, struct slab *slab,
		     const struct bst_region *reg, uint64_t off)
{
	size_t leader = reg->leader, pos = 0;

	if (reg->blob_len == reg->len)
		return read_region(p, reg, off, slab->raw, slab->raw_len);
	for (; pos < slab->raw_len; reg++) {
		if (reg->leader != leader)
			return fail(p, BST_EXIT_SYSTEM, "a layout is wrong");
		if (read_region(p, reg, 0, slab->raw + pos, (size_t)reg->len))
			return 1;
		pos += (size_t)reg->len;
	}
	return 0;
}

/* As many whole chunks from 'chunk' on as fit. */
static void plan_slab(struct slab *slab, struct parcel *par, uint64_t chunk)
{
	uint64_t off;
	size_t len;

	slab->parcel = par;
	slab->first_chunk = chunk;
	bs_blob_chunk_range(&par->shape, chunk, &slab->blob_off, &len);
	slab->raw_len = 0;
	do {
		slab->raw_len += len;
		slab->n_chunks++;
		if (++chunk == par->shape.n_chunks) {
			slab->ended = par;
			break;
		}
		bs_blob_chunk_range(&par->shape, chunk, &off, &len);
	} while (slab->n_chunks < SLAB_CHUNKS &&
		 slab->raw_len + len <= SLAB_LEN);
}

/* Read a blob and pass it on.  Its parcel belongs to its last slab. */
static int read_blob(struct packer *p, struct bst_region *reg)
{
	struct parcel *par = next_parcel(p);
	uint64_t chunk = 0;
	int err = 1;

	if (!par)
		return 1;
	if (par->is_sampled_ahead && bst_pool_wait(p->pool, &par->task))
		goto out;
	while (chunk < par->shape.n_chunks) {
		struct slab *slab = claim_slab(p);

		if (!slab)
			goto out;
		plan_slab(slab, par, chunk);
		chunk += slab->n_chunks;
		if (fill_slab(p, slab, reg, slab->blob_off)) {
			slab->ended = NULL;
			goto out;
		}
		/* The writer looks at it with the last slab, after this. */
		if (slab->ended)
			bs_hash_final(p->xxh, reg->digest);
		bst_pool_submit(p->pool);
	}
	return 0;
out:
	/* Workers and tasks may still use it: they end first. */
	par->next = p->ahead;
	p->ahead = par;
	return err;
}

/* Bytes that an earlier blob holds already: hash them. */
static int read_repeat(struct packer *p, struct bst_region *reg)
{
	const struct bst_region *first = &p->pack->layout->region[reg->same_as];
	uint64_t pos;

	for (pos = 0; pos < reg->len;) {
		struct slab *slab = claim_slab(p);

		if (!slab)
			return 1;
		slab->raw_len = reg->len - pos < SLAB_LEN
					? (size_t)(reg->len - pos)
					: SLAB_LEN;
		if (fill_slab(p, slab, reg, pos))
			return 1;
		pos += slab->raw_len;
		bst_pool_submit(p->pool);
	}
	bs_hash_final(p->xxh, reg->digest);
	if (memcmp(reg->digest, first->digest, sizeof(reg->digest)))
		return fail_read(p, reg->source, -ENODATA);
	return 0;
}

/* Sources without bytes are only looked at. */
static int read_empty(struct packer *p)
{
	const struct bst_layout *lay = p->pack->layout;
	size_t i;

	for (i = 0; i < lay->n_sources; i++) {
		if (lay->source[i].n_regions)
			continue;
		if (enter_source(p, i) || leave_source(p))
			return 1;
	}
	return 0;
}

static int read_all(struct packer *p)
{
	const struct bst_layout *lay = p->pack->layout;
	size_t i;
	int err = 0;

	for (i = 0; i < lay->n_regions && !err; i++) {
		struct bst_region *reg = &lay->region[i];

		if (reg->same_as != BST_NO_REGION)
			err = read_repeat(p, reg);
		else if (is_leader(lay, reg))
			err = read_blob(p, reg);
	}
	if (!err)
		err = leave_source(p) || read_empty(p);
	return err;
}

/* ---- The whole ----------------------------------------------------------- */

/* A source's bytes as extents; 'ext' has room for them. */
static void make_extents(const struct bst_layout *lay,
			 const struct bst_source *src, struct bs_extent *ext)
{
	size_t i;

	for (i = 0; i < src->n_regions; i++) {
		const struct bst_region *reg =
			&lay->region[src->first_region + i];
		const struct bst_region *of =
			reg->same_as == BST_NO_REGION
				? reg
				: &lay->region[reg->same_as];

		ext[i].off = reg->off;
		ext[i].len = reg->len;
		ext[i].blob = lay->region[of->leader].blob;
		ext[i].blob_off = of->blob_off;
	}
}

/* A member; 'ext' has room for the extents of any source. */
static enum bs_result add_member(struct packer *p, size_t i,
				 struct bs_extent *ext)
{
	const struct bst_pack *pack = p->pack;
	struct bs_member m = { .type = BS_MEMBER_FILE,
			       .name = "",
			       .target = "",
			       .mode = pack->mode,
			       .mtime_ns = pack->mtime_ns };
	const struct bst_source *src;
	size_t source = 0;

	if (pack->member)
		pack->member(pack->ctx, i, &m, &source);
	if (source == BST_NO_SOURCE)
		return bs_writer_add_member(p->writer, &m, NULL);
	src = &pack->layout->source[source];
	make_extents(pack->layout, src, ext);
	m.size = (uint64_t)src->st.st_size;
	m.n_extents = src->n_regions;
	m.digest_alg = BS_DIGEST_SHA256;
	memcpy(m.digest, src->sha256, sizeof(src->sha256));
	return bs_writer_add_member(p->writer, &m, ext);
}

static enum bs_result add_members(struct packer *p)
{
	const struct bst_layout *lay = p->pack->layout;
	size_t n = p->pack->member ? p->pack->n_members : 1, max = 1, i;
	enum bs_result res = BS_OK;
	struct bs_extent *ext;

	for (i = 0; i < lay->n_sources; i++) {
		struct bst_source *src = &lay->source[i];

		if (src->n_regions > max)
			max = src->n_regions;
		if (!src->n_regions)
			bs_hash_final(p->sha, src->sha256);
	}
	ext = calloc(max, sizeof(*ext));
	if (!ext)
		return BS_ERR_NOMEM;
	for (i = 0; i < n && !res; i++)
		res = add_member(p, i, ext);
	free(ext);
	return res;
}

static int finish(struct packer *p)
{
	struct bst_pack *pack = p->pack;
	enum bs_result res;

	res = add_members(p);
	if (!res && pack->member)
		res = bs_writer_finish_bundle(p->writer, pack->mode,
					      pack->mtime_ns,
					      &pack->stored_len);
	else if (!res)
		res = bs_writer_finish(p->writer, pack->suffix,
				       &pack->stored_len);
	return res == BS_OK ? 0 : fail_result(p, res, "writing");
}

static int get_memory(struct packer *p)
{
	unsigned i;

	p->n_slabs = 2 * p->pack->n_threads + 4;
	p->slabs = calloc(p->n_slabs, sizeof(*p->slabs));
	p->mem = calloc(p->pack->n_threads, sizeof(*p->mem));
	if (!p->slabs || !p->mem)
		return -1;
	for (i = 0; i < p->n_slabs; i++) {
		p->slabs[i].raw = malloc(SLAB_LEN + 8);
		p->slabs[i].stored = malloc(SLAB_LEN + BS_CHUNK_STORED_MAX);
		if (!p->slabs[i].raw || !p->slabs[i].stored)
			return -1;
	}
	for (i = 0; i < p->pack->n_threads; i++) {
		p->mem[i].chunk = malloc(BS_CHUNK_RAW_MAX);
		if (!p->mem[i].chunk ||
		    bs_workspace_new(&p->mem[i].ws) != BS_OK)
			return -1;
	}
	if (bs_hash_new(&p->sha, BS_DIGEST_SHA256) != BS_OK ||
	    bs_hash_new(&p->xxh, BS_DIGEST_XXH3_128) != BS_OK ||
	    bs_writer_new(&p->writer, p->pack->level, &p->sink) != BS_OK)
		return -1;
	return 0;
}

static void put_memory(struct packer *p)
{
	unsigned i;

	for (i = 0; p->slabs && i < p->n_slabs; i++) {
		parcel_free(p->slabs[i].ended);
		free(p->slabs[i].stored);
		free(p->slabs[i].raw);
	}
	for (i = 0; p->mem && i < p->pack->n_threads; i++) {
		bs_workspace_free(p->mem[i].ws);
		bs_stats_free(p->mem[i].stats);
		free(p->mem[i].chunk);
	}
	while (p->ahead) {
		struct parcel *par = p->ahead;

		p->ahead = par->next;
		parcel_free(par);
	}
	if (p->source != BST_NO_SOURCE)
		bst_source_close(&p->pack->layout->source[p->source],
				 p->source_fd);
	bs_writer_free(p->writer);
	bs_hash_free(p->xxh);
	bs_hash_free(p->sha);
	free(p->mem);
	free(p->slabs);
}

static int run_pool(struct packer *p)
{
	struct bst_pool_conf conf = {
		.n_threads = p->pack->n_threads,
		.n_items = p->n_slabs,
		.n_sinks = 2,
		.items = p->slabs,
		.item_len = sizeof(*p->slabs),
		.work = encode_slab,
		.sink = { { hash_slab, 1 }, { write_slab, 0 } },
		.ctx = p,
	};
	int err;

	err = bst_pool_new(&p->pool, &conf);
	if (err)
		return fail(p, BST_EXIT_SYSTEM, "starting threads failed: %s",
			    strerror(-err));
	if (read_all(p))
		bst_pool_fail(p->pool, 1);
	return bst_pool_end(p->pool);
}

int bst_pack(struct bst_pack *pack)
{
	struct packer p = { .pack = pack, .source = BST_NO_SOURCE };

	pack->exit_code = 0;
	pack->error[0] = '\0';
	pack->n_blobs = 0;
	memset(pack->by_coding, 0, sizeof(pack->by_coding));
	memset(pack->by_dtype, 0, sizeof(pack->by_dtype));
	p.sink.pwrite = write_to_fd;
	p.sink.ctx = &p;
	p.ahead_end = &p.ahead;
	pthread_mutex_init(&p.lock, NULL);
	if (get_memory(&p))
		fail(&p, BST_EXIT_SYSTEM, "out of memory");
	else if (!run_pool(&p))
		finish(&p);
	put_memory(&p);
	pthread_mutex_destroy(&p.lock);
	return pack->exit_code;
}
