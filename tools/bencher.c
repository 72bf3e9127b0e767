/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bencher.c - our encoding and decoding in memory, and copies, timed
 *
 * No page is fresh when the clock runs: what is encoded was read, and results
 * go to memory that is used again and again.  What is decoded comes from memory,
 * not from caches, if a copy of 64 MiB ran before, which throws it out.
 *
 * Encoding is what compress does for the bytes: it chooses each blob's model,
 * encodes the chunks, and takes the blob's XXH3-128.  Decoding is what a mount
 * does: kernels, merging, and the comparison of the chunk's checksum.
 */

#include "bencher.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "container.h"
#include "files.h"
#include "layout.h"
#include "packer.h"

#define WINDOW_LEN ((size_t)1 << 20) /* what is decoded into */
#define COPY_LEN ((size_t)64 << 20) /* of all threads together */
#define COPY_LEN_MIN ((size_t)8 << 20) /* of each */

/* As compress counts: long blobs by a sample. */
#define SAMPLE_LEN ((uint64_t)16 << 20)

/* A blob to be encoded. */
struct job {
	const struct bst_region *region; /* borrowed */
	struct bs_blob shape; /* chunks numbered from 'first_unit' */
	struct bs_coder *coder; /* owned; of one round */
};

/* A chunk to be decoded. */
struct work {
	struct bs_chunk chunk;
	struct bs_blob blob;
	const struct bs_model *model; /* borrowed; NULL: needs none */
};

struct form {
	enum bs_level level;
	struct bst_layout layout;
	struct job *jobs; /* [n_jobs], owned */
	size_t n_jobs;
	size_t n_chunks; /* of all jobs */
	uint64_t coded_len; /* of all jobs */
	uint64_t stored_len; /* of the container */

	struct bst_container box;
	uint8_t *stored; /* the container, mapped; owned */
	struct bs_model **models; /* [n_blobs], owned, as are they */
	struct work *work; /* [n_work], owned */
	size_t n_work;
};

struct mem {
	struct bs_workspace *ws; /* owned, as is all below */
	struct bs_stats *stats[BS_LEVEL_N];
	uint8_t *stored; /* [BS_CHUNK_STORED_MAX] */
	uint8_t *window; /* [WINDOW_LEN] */
	uint8_t *from, *to; /* [copy_len] */
	size_t copy_len; /* of one round */
};

struct bst_bencher {
	const struct bst_specimen *spec; /* borrowed */
	struct form form[BST_BENCH_FORMS];
	struct mem *mem; /* [n_threads], owned */
	unsigned n_threads;
	struct bs_hash *sha; /* owned */
};

static int fail_result(enum bs_result res)
{
	bst_error("the benchmark failed: %s.", bs_result_text(res));
	return bst_exit_of_result(res);
}

static int fail_memory(void)
{
	return fail_result(BS_ERR_NOMEM);
}

/* ---- What is measured with ------------------------------------------------- */

static enum bs_level level_of(enum bst_bench_form form)
{
	return form == BST_BENCH_INFERENCE ? BS_LEVEL_INFERENCE
	       : form == BST_BENCH_STORAGE ? BS_LEVEL_STORAGE
					   : BS_LEVEL_DEFAULT;
}

static int lay_out(struct form *f, const struct bst_specimen *spec,
		   enum bst_bench_form form)
{
	uint64_t n_chunks = 0;
	size_t i;
	int err;

	err = bst_layout_add(&f->layout, "the file", spec->fd, &spec->st,
			     form != BST_BENCH_ZSTD && spec->is_safetensors
				     ? BST_LAYOUT_FILE
				     : BST_LAYOUT_OPAQUE,
			     0);
	if (!err && form != BST_BENCH_ZSTD)
		err = bst_layout_find_ties(&f->layout);
	if (err == -EINTR)
		return BST_EXIT_INTERRUPTED;
	if (err) {
		bst_error("the benchmark failed: %s.", strerror(-err));
		return bst_exit_of_errno(-err);
	}
	f->jobs = calloc(f->layout.n_regions + 1, sizeof(*f->jobs));
	if (!f->jobs)
		return fail_memory();
	for (i = 0; i < f->layout.n_regions; i++) {
		const struct bst_region *reg = &f->layout.region[i];
		struct job *job = &f->jobs[f->n_jobs];

		if (reg->same_as != BST_NO_REGION)
			continue;
		job->region = reg;
		bs_blob_layout(f->level, reg->dtype, reg->off, reg->len,
			       &job->shape);
		job->shape.first_chunk = n_chunks;
		n_chunks += job->shape.n_chunks;
		f->coded_len += reg->len;
		f->n_jobs++;
	}
	f->n_chunks = (size_t)n_chunks;
	return BST_EXIT_OK;
}

/* The container, in memory. */
static int pack(struct form *f, unsigned n_threads)
{
	struct bst_pack p = {
		.n_threads = n_threads,
		.level = f->level,
		.layout = &f->layout,
		.suffix = ".safetensors",
	};
	int code;

	p.dst_fd = memfd_create("benchmark.bs", MFD_CLOEXEC);
	if (p.dst_fd < 0)
		return fail_memory();
	code = bst_pack(&p);
	f->stored_len = p.stored_len;
	if (code && code != BST_EXIT_INTERRUPTED)
		bst_error("the benchmark failed: %s.", p.error);
	if (!code)
		code = bst_container_open_fd(&f->box, "the result", p.dst_fd);
	close(p.dst_fd);
	return code;
}

static enum bs_result load_model(struct form *f, struct work *w)
{
	struct bs_model **model = &f->models[w->chunk.blob];
	enum bs_result res = BS_OK;

	bs_archive_blob(f->box.ar, w->chunk.blob, &w->blob);
	if (w->chunk.coding != BS_CODING_PLANES)
		return BS_OK;
	if (!*model)
		res = bs_model_load(f->box.ar, w->blob.model, model, NULL);
	w->model = *model;
	return res;
}

static int load(struct form *f)
{
	const struct bs_archive *ar = f->box.ar;
	uint64_t page_no = UINT64_MAX, i;
	enum bs_result res = BS_OK;
	struct bs_page *page = NULL;

	f->stored = mmap(NULL, (size_t)f->stored_len, PROT_READ,
			 MAP_SHARED | MAP_POPULATE, f->box.fd, 0);
	f->n_work = (size_t)bs_archive_n_chunks(ar);
	f->work = calloc(f->n_work + 1, sizeof(*f->work));
	f->models = calloc((size_t)bs_archive_n_blobs(ar) + 1,
			   sizeof(struct bs_model *));
	if (f->stored == MAP_FAILED)
		f->stored = NULL;
	if (!f->stored || !f->work || !f->models)
		return fail_memory();
	for (i = 0; i < f->n_work && res == BS_OK; i++) {
		if (bs_archive_page_of(ar, i) != page_no) {
			bs_page_free(page);
			page_no = bs_archive_page_of(ar, i);
			res = bs_page_load(ar, page_no, &page, NULL);
		}
		if (res == BS_OK) {
			bs_page_chunk(ar, page, i, &f->work[i].chunk);
			res = load_model(f, &f->work[i]);
		}
	}
	bs_page_free(page);
	return res == BS_OK ? BST_EXIT_OK : fail_result(res);
}

static int make_form(struct bst_bencher *b, enum bst_bench_form form)
{
	struct form *f = &b->form[form];
	int code;

	f->level = level_of(form);
	code = lay_out(f, b->spec, form);
	if (!code)
		code = pack(f, b->n_threads);
	if (!code)
		code = load(f);
	return code;
}

static void free_form(struct form *f)
{
	size_t i, n = f->models ? (size_t)bs_archive_n_blobs(f->box.ar) : 0;

	for (i = 0; i < n; i++)
		bs_model_free(f->models[i]);
	if (f->stored)
		munmap(f->stored, (size_t)f->stored_len);
	if (f->box.ar)
		bst_container_close(&f->box);
	free(f->models);
	free(f->work);
	free(f->jobs);
	bst_layout_fini(&f->layout);
}

/* Memory that was touched, in huge pages where there are such. */
static uint8_t *touched(size_t len)
{
	void *p;

	if (posix_memalign(&p, (size_t)2 << 20, len))
		return NULL;
	(void)madvise(p, len, MADV_HUGEPAGE);
	memset(p, 1, len);
	return p;
}

static int make_mem(struct mem *m)
{
	unsigned i;

	m->stored = touched(BS_CHUNK_STORED_MAX);
	m->window = touched(WINDOW_LEN);
	if (!m->stored || !m->window || bs_workspace_new(&m->ws) != BS_OK)
		return fail_memory();
	for (i = 0; i < BS_LEVEL_N; i++) {
		if (bs_stats_new(&m->stats[i], i) != BS_OK)
			return fail_memory();
	}
	return BST_EXIT_OK;
}

static void free_mem(struct mem *m)
{
	unsigned i;

	for (i = 0; i < BS_LEVEL_N; i++)
		bs_stats_free(m->stats[i]);
	bs_workspace_free(m->ws);
	free(m->stored);
	free(m->window);
	free(m->from);
	free(m->to);
}

int bst_bencher_new(struct bst_bencher **ret, const struct bst_specimen *spec,
		    unsigned n_threads, unsigned n_forms)
{
	struct bst_bencher *b = calloc(1, sizeof(*b));
	int code = BST_EXIT_OK;
	unsigned i;

	*ret = b;
	if (!b)
		return fail_memory();
	b->spec = spec;
	b->n_threads = n_threads;
	b->mem = calloc(n_threads, sizeof(*b->mem));
	if (!b->mem || bs_hash_new(&b->sha, BS_DIGEST_SHA256) != BS_OK)
		return fail_memory();
	for (i = 0; i < n_threads && !code; i++)
		code = make_mem(&b->mem[i]);
	for (i = 0; i < n_forms && !code; i++)
		code = make_form(b, i);
	return code;
}

void bst_bencher_free(struct bst_bencher *b)
{
	unsigned i;

	if (!b)
		return;
	for (i = 0; i < BST_BENCH_FORMS; i++)
		free_form(&b->form[i]);
	for (i = 0; b->mem && i < b->n_threads; i++)
		free_mem(&b->mem[i]);
	bs_hash_free(b->sha);
	free(b->mem);
	free(b);
}

uint64_t bst_bencher_stored(const struct bst_bencher *b,
			    enum bst_bench_form form)
{
	return b->form[form].stored_len;
}

/* ---- One round ------------------------------------------------------------- */

/* What the threads of a round share; units are taken one after another. */
struct round {
	struct bst_bencher *b; /* borrowed */
	struct form *f; /* borrowed */
	enum bst_bench_what what;
	unsigned n_threads;
	pthread_barrier_t barrier;
	atomic_size_t next_job, next_unit;
	atomic_int hash_taken;
	atomic_int res; /* enum bs_result of what failed */
};

struct thread {
	pthread_t id;
	struct round *r; /* borrowed */
	struct mem *mem; /* borrowed */
	struct bs_hash *xxh; /* owned; of one round */
	double begin, end;
};

static double clock_of(const struct round *r)
{
	struct timespec ts;

	if (r->n_threads > 1)
		return bst_now();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static int goes_on(struct round *r)
{
	return !bst_is_interrupted() && atomic_load(&r->res) == BS_OK;
}

static void note(struct round *r, enum bs_result res)
{
	if (res != BS_OK)
		atomic_store(&r->res, (int)res);
}

static void hash_whole(struct round *r)
{
	const struct bst_specimen *spec = r->b->spec;
	uint8_t digest[BS_DIGEST_MAX];

	if (r->what != BST_BENCH_ENCODE_SHA256 ||
	    atomic_exchange(&r->hash_taken, 1))
		return;
	bs_hash_update(r->b->sha, spec->raw, spec->len);
	bs_hash_final(r->b->sha, digest);
}

/* The model of a blob, and its digest, chunk by chunk: compress takes the digest
 * of what it has just read, too. */
static enum bs_result begin_blob(struct thread *t, struct job *job)
{
	struct bs_stats *stats = t->mem->stats[t->r->f->level];
	const struct bst_region *reg = job->region;
	const uint8_t *raw = t->r->b->spec->raw + reg->off;
	uint64_t n = job->shape.n_chunks, want = n, i, sampled = 0;
	uint8_t digest[BS_DIGEST_MAX];
	enum bs_result res;

	if (reg->dtype == BS_DTYPE_BYTES)
		want = 0;
	else if (reg->len > SAMPLE_LEN && bs_stats_takes_sample(reg->dtype))
		want = SAMPLE_LEN / job->shape.chunk_size;
	res = bs_stats_begin(stats, reg->dtype, reg->len, reg->width);
	if (res != BS_OK)
		return res;
	for (i = 0; i < n; i++) {
		uint64_t off;
		size_t len;

		bs_blob_chunk_range(&job->shape, job->shape.first_chunk + i,
				    &off, &len);
		bs_hash_update(t->xxh, raw + off, len);
		if (sampled < want && i == sampled * n / want) {
			bs_stats_add(stats, raw + off, len);
			sampled++;
		}
	}
	bs_hash_final(t->xxh, digest);
	return want ? bs_coder_new(&job->coder, stats) : BS_OK;
}

/* The job that has this chunk. */
static const struct job *job_of(const struct form *f, size_t chunk)
{
	size_t lo = 0, hi = f->n_jobs;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->jobs[mid].shape.first_chunk <= chunk)
			lo = mid;
		else
			hi = mid;
	}
	return &f->jobs[lo];
}

static void encode(struct thread *t)
{
	struct round *r = t->r;
	struct form *f = r->f;
	size_t i;

	hash_whole(r);
	while ((i = atomic_fetch_add(&r->next_job, 1)) < f->n_jobs &&
	       goes_on(r))
		note(r, begin_blob(t, &f->jobs[i]));
	pthread_barrier_wait(&r->barrier);
	while ((i = atomic_fetch_add(&r->next_unit, 1)) < f->n_chunks &&
	       goes_on(r)) {
		const struct job *job = job_of(f, i);
		struct bs_encoded enc;
		uint64_t off;
		size_t len;

		bs_blob_chunk_range(&job->shape, i, &off, &len);
		note(r,
		     bs_chunk_encode(job->coder, t->mem->ws, off,
				     r->b->spec->raw + job->region->off + off,
				     len, t->mem->stored, &enc));
	}
}

static void decode(struct thread *t)
{
	struct round *r = t->r;
	struct form *f = r->f;
	size_t i, at = 0;

	while ((i = atomic_fetch_add(&r->next_unit, 1)) < f->n_work &&
	       goes_on(r)) {
		const struct work *w = &f->work[i];

		if (at + w->chunk.raw_len > WINDOW_LEN)
			at = 0;
		note(r,
		     bs_chunk_decode(&w->chunk, &w->blob, w->model, t->mem->ws,
				     f->stored + w->chunk.stored_off,
				     t->mem->window + at));
		at += (w->chunk.raw_len + 63) / 64 * 64;
	}
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	struct round *r = t->r;

	pthread_barrier_wait(&r->barrier);
	t->begin = clock_of(r);
	if (r->what == BST_BENCH_COPY) {
		memcpy(t->mem->to, t->mem->from, t->mem->copy_len);
		/* A copy that nobody reads might be left out. */
		__asm__ volatile("" : : "r"(t->mem->to) : "memory");
	} else if (r->what == BST_BENCH_DECODE) {
		decode(t);
	} else {
		encode(t);
	}
	t->end = clock_of(r);
	return NULL;
}

/* Seconds, or negative. */
static double run_threads(struct round *r, struct thread *threads)
{
	double begin = 0, end = 0;
	unsigned i, n = 0;

	pthread_barrier_init(&r->barrier, NULL, r->n_threads);
	for (; n < r->n_threads; n++)
		if (pthread_create(&threads[n].id, NULL, run_thread,
				   &threads[n]))
			break;
	/* Those that wait for one that is missing end with the program. */
	if (n < r->n_threads)
		return -1;
	for (i = 0; i < n; i++) {
		pthread_join(threads[i].id, NULL);
		if (!i || threads[i].begin < begin)
			begin = threads[i].begin;
		if (!i || threads[i].end > end)
			end = threads[i].end;
	}
	pthread_barrier_destroy(&r->barrier);
	return end - begin;
}

/* Memory for copies is made when it is first wanted; the first thread copies
 * alone, too, and has enough for that. */
static int make_copies(struct mem *m, size_t len)
{
	if (!m->from)
		m->from = touched(len);
	if (!m->to)
		m->to = touched(len);
	return m->from && m->to ? 0 : -1;
}

/* Before the clock runs. */
static enum bs_result prepare(struct round *r, struct thread *threads)
{
	size_t len = COPY_LEN / r->n_threads;
	unsigned i;

	if (len < COPY_LEN_MIN)
		len = COPY_LEN_MIN;
	for (i = 0; i < r->n_threads; i++) {
		struct mem *m = &r->b->mem[i];

		threads[i].r = r;
		threads[i].mem = m;
		m->copy_len = len;
		if (bs_hash_new(&threads[i].xxh, BS_DIGEST_XXH3_128) != BS_OK)
			return BS_ERR_NOMEM;
		if (r->what == BST_BENCH_COPY &&
		    make_copies(m, i ? len : COPY_LEN))
			return BS_ERR_NOMEM;
	}
	return BS_OK;
}

int bst_bencher_run(struct bst_bencher *b, enum bst_bench_form form,
		    enum bst_bench_what what, unsigned n_threads, double *ret)
{
	struct round r = { .b = b,
			   .f = &b->form[form],
			   .what = what,
			   .n_threads = n_threads };
	struct thread *threads = calloc(n_threads, sizeof(*threads));
	enum bs_result res = BS_ERR_NOMEM;
	uint64_t len = r.f->coded_len;
	double spent = 0;
	unsigned i;

	if (threads)
		res = prepare(&r, threads);
	if (res == BS_OK) {
		spent = run_threads(&r, threads);
		res = spent < 0 ? BS_ERR_NOMEM
				: (enum bs_result)atomic_load(&r.res);
	}
	if (what == BST_BENCH_COPY)
		len = (uint64_t)b->mem[0].copy_len * n_threads;
	*ret = len && spent > 0 ? (double)len / 1e9 / spent : -1;
	for (i = 0; i < r.f->n_jobs; i++) {
		bs_coder_free(r.f->jobs[i].coder);
		r.f->jobs[i].coder = NULL;
	}
	for (i = 0; threads && i < n_threads; i++)
		bs_hash_free(threads[i].xxh);
	free(threads);
	if (bst_is_interrupted())
		return BST_EXIT_INTERRUPTED;
	return res == BS_OK ? BST_EXIT_OK : fail_result(res);
}

int bst_by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}
