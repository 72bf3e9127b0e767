/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scanner.c - files, and what compressing them would give
 *
 * All files are laid out first, as compress would cut them, and compared with
 * each other; then what does not repeat is sampled.  What is said of values and
 * of equal tensors is no estimate: all of their bytes were compared.
 */

#include "scanner.h"

#include <errno.h>
#include <fts.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "behind.h"
#include "cmd.h"
#include "container.h"
#include "files.h"
#include "naming.h"
#include "pool.h"

/* Chunks that are encoded of a file: so many of 512 KiB, in proportion, and of
 * each tensor a few.  With very many tensors, lots are drawn. */
#define FILE_CHUNKS 256
#define TENSOR_CHUNKS 4
#define DRAWN_CHUNKS 1024
#define CHUNK_LEN ((uint64_t)512 << 10)
/* Tensors of all files together: 100 MiB of memory, with what compares them. */
#define TENSORS_MAX ((size_t)1 << 19)

/* One region on its way through the pool. */
struct item {
	struct bst_scan_file *file;
	struct bst_sample sample;
	int is_last; /* of its file */
	int err;
};

/* ---- Finding files ------------------------------------------------------- */

static int add_file(struct bst_scan *s, const char *path, const struct stat *st,
		    int is_named)
{
	struct bst_scan_file *f;

	if (s->n == s->n_allocated) {
		size_t n = s->n_allocated ? 2 * s->n_allocated : 64;

		f = realloc(s->files, n * sizeof(*f));
		if (!f)
			return -1;
		s->files = f;
		s->n_allocated = n;
	}
	f = &s->files[s->n];
	memset(f, 0, sizeof(*f));
	f->path = strdup(path);
	if (!f->path)
		return -1;
	f->fd = -1;
	f->st = *st;
	f->source = BST_NO_SOURCE;
	f->size = (uint64_t)st->st_size;
	f->is_named = is_named;
	s->n++;
	return 0;
}

static int compare_names(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Links to directories are not followed: what they lead to is elsewhere, or a
 * circle. */
static int visit(struct bst_scan *s, const FTSENT *ent)
{
	struct stat st;

	switch (ent->fts_info) {
	case FTS_F:
		return add_file(s, ent->fts_path, ent->fts_statp, 0);
	case FTS_SL:
		if (stat(ent->fts_accpath, &st) == 0 && S_ISREG(st.st_mode))
			return add_file(s, ent->fts_path, &st, 0);
		return 0;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		bst_error("%s cannot be read: %s.", ent->fts_path,
			  strerror(ent->fts_errno));
		return bst_exit_of_errno(ent->fts_errno);
	default:
		return 0;
	}
}

static int walk(struct bst_scan *s, char *path)
{
	char *paths[] = { path, NULL };
	int code = BST_EXIT_OK, one = 0;
	const FTSENT *ent;
	FTS *fts;

	fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR,
		       compare_names);
	if (!fts)
		return -1;
	while (one >= 0 && !bst_is_interrupted() && (ent = fts_read(fts))) {
		one = visit(s, ent);
		if (one > 0)
			code = bst_exit_worse(code, one);
	}
	fts_close(fts);
	return one < 0 ? -1 : code;
}

static int compare_inodes(const void *pa, const void *pb)
{
	const struct bst_scan_file *a = *(struct bst_scan_file *const *)pa;
	const struct bst_scan_file *b = *(struct bst_scan_file *const *)pb;

	if (a->st.st_ino != b->st.st_ino)
		return a->st.st_ino < b->st.st_ino ? -1 : 1;
	if (a->st.st_dev != b->st.st_dev)
		return a->st.st_dev < b->st.st_dev ? -1 : 1;
	return a < b ? -1 : a > b;
}

/* A file that is reached by several names counts once, and is called by one
 * that says what it is: the blobs of a cache have links to them. */
static int drop_doubles(struct bst_scan *s)
{
	struct bst_scan_file **by_inode =
		calloc(s->n + 1, sizeof(struct bst_scan_file *));
	struct bst_scan_file *first;
	size_t i, n = 0;

	if (!by_inode)
		return -1;
	for (i = 0; i < s->n; i++)
		by_inode[i] = &s->files[i];
	qsort(by_inode, s->n, sizeof(*by_inode), compare_inodes);
	first = by_inode[0];
	for (i = 1; i < s->n; i++) {
		struct bst_scan_file *f = by_inode[i];
		char *path = f->path;

		if (f->st.st_ino != first->st.st_ino ||
		    f->st.st_dev != first->st.st_dev) {
			first = f;
			continue;
		}
		first->is_named |= f->is_named;
		if (!bst_naming_is_safetensors(first->path) &&
		    bst_naming_is_safetensors(path)) {
			path = first->path;
			first->path = f->path;
		}
		free(path);
		f->path = NULL;
	}
	for (i = 0; i < s->n; i++)
		if (s->files[i].path)
			s->files[n++] = s->files[i];
	s->n = n;
	free(by_inode);
	return 0;
}

static int find_files(struct bst_scan *s, char **paths, int n)
{
	int code = BST_EXIT_OK, one, i;
	struct stat st;

	for (i = 0; i < n; i++) {
		if (stat(paths[i], &st) != 0) {
			bst_error("%s cannot be read: %s.", paths[i],
				  strerror(errno));
			one = bst_exit_of_errno(errno);
		} else if (S_ISDIR(st.st_mode)) {
			one = walk(s, paths[i]);
		} else if (S_ISREG(st.st_mode)) {
			one = add_file(s, paths[i], &st, 1);
		} else {
			bst_error("%s is neither a file nor a directory.",
				  paths[i]);
			one = BST_EXIT_USAGE;
		}
		if (one < 0) {
			bst_error("out of memory.");
			one = BST_EXIT_SYSTEM;
		}
		code = bst_exit_worse(code, one);
	}
	if (drop_doubles(s)) {
		bst_error("out of memory.");
		return BST_EXIT_SYSTEM;
	}
	return code;
}

/* ---- Looking into them --------------------------------------------------- */

static void say_error(struct bst_scan_file *f, int err)
{
	if (err == -EINTR) {
		f->code = BST_EXIT_INTERRUPTED;
		return;
	}
	if (err == -E2BIG) {
		bst_error("%s: too many tensors together; name fewer paths.",
			  f->path);
		f->code = BST_EXIT_USAGE;
		return;
	}
	f->code = err == -ENODATA ? BST_EXIT_DATA : bst_exit_of_errno(-err);
	if (err == -ENODATA)
		bst_error("%s: it changed while it was being read.", f->path);
	else
		bst_error("%s cannot be read: %s.", f->path, strerror(-err));
}

static int work(void *ctx, unsigned worker, void *p)
{
	struct bst_scan *s = ctx;
	struct item *item = p;

	item->err = bst_sample(s->samplers[worker], &item->sample);
	return item->err == -EINTR ? BST_EXIT_INTERRUPTED : 0;
}

/* Only adds up: the main thread speaks. */
static int collect(void *ctx, void *p)
{
	struct item *item = p;
	struct bst_scan_file *f = item->file;
	const struct bst_sample *sample = &item->sample;
	struct bst_share *share = &f->share[sample->dtype];

	(void)ctx;
	if (item->err && !f->err)
		f->err = item->err;
	share->raw += sample->len;
	if (sample->n_chunks) {
		share->counted += sample->len;
		share->stored += sample->stored;
	}
	if (sample->hidden) {
		f->hidden[sample->hidden].n++;
		f->hidden[sample->hidden].len += sample->len;
	}
	if (item->is_last) {
		close(f->fd);
		f->fd = -1;
	}
	return 0;
}

/* Some of very many tensors, the same each time.  Every k-th would always meet
 * the same ones of each layer. */
static int is_drawn(size_t i, double part)
{
	uint32_t x = (uint32_t)i * 2654435761u;

	x ^= x >> 15;
	x *= 2246822519u;
	x ^= x >> 13;
	return (double)x < part * 4294967296.0;
}

/* How many chunks of a region are encoded, of a file that has 'all'. */
static uint64_t chunks_wanted(uint64_t len, uint64_t all)
{
	uint64_t n = len / CHUNK_LEN + 1;
	double part = (double)FILE_CHUNKS / (double)all;

	if (n <= TENSOR_CHUNKS || part >= 1)
		return n;
	if ((double)n * part < TENSOR_CHUNKS)
		return TENSOR_CHUNKS;
	return (uint64_t)((double)n * part);
}

/* Hand the regions of a file to the pool; 1: it has failed. */
static int submit(const struct bst_scan *s, struct bst_pool *pool,
		  struct bst_scan_file *f)
{
	const struct bst_source *src = &s->lay.source[f->source];
	const struct bst_region *reg = &s->lay.region[src->first_region];
	uint64_t all = f->size / CHUNK_LEN + 1, sum = 0;
	int has_share[BS_DTYPE_N] = { 0 };
	struct item *item;
	size_t i, last = 0;
	double part;

	for (i = 0; i < src->n_regions; i++)
		if (reg[i].same_as == BST_NO_REGION) {
			sum += chunks_wanted(reg[i].len, all);
			last = i;
		}
	/* A merged run of small ones is a chunk, however short. */
	part = sum > DRAWN_CHUNKS ? DRAWN_CHUNKS / (double)sum : 1;
	for (i = 0; i < src->n_regions; i++) {
		if (reg[i].same_as != BST_NO_REGION)
			continue;
		item = bst_pool_claim(pool);
		if (!item)
			return 1;
		memset(item, 0, sizeof(*item));
		item->file = f;
		item->sample.fd = f->fd;
		item->sample.off = reg[i].off;
		item->sample.len = reg[i].len;
		item->sample.dtype = reg[i].dtype;
		item->sample.width = reg[i].width;
		if (!has_share[reg[i].dtype] || is_drawn(i, part))
			item->sample.n_chunks = chunks_wanted(reg[i].len, all);
		has_share[reg[i].dtype] = 1;
		item->is_last = i == last;
		bst_pool_submit(pool);
		bst_progress_add(reg[i].len);
	}
	return 0;
}

static void sample_file(struct bst_scan *s, struct bst_pool *pool,
			struct bst_scan_file *f)
{
	if (f->source == BST_NO_SOURCE || f->code ||
	    !s->lay.source[f->source].n_regions)
		return;
	f->fd = bst_source_open(&s->lay.source[f->source]);
	if (f->fd < 0)
		say_error(f, f->fd);
	else
		submit(s, pool, f);
}

static int sample_all(struct bst_scan *s)
{
	struct bst_pool_conf conf = {
		.n_threads = s->n_threads,
		.n_items = 4 * s->n_threads + 4,
		.n_sinks = 1,
		.item_len = sizeof(struct item),
		.work = work,
		.sink = { { collect, 0 } },
		.ctx = s,
	};
	struct bst_pool *pool;
	size_t i;
	int err;

	conf.items = calloc(conf.n_items, sizeof(struct item));
	if (!conf.items) {
		bst_error("out of memory.");
		return BST_EXIT_SYSTEM;
	}
	err = bst_pool_new(&pool, &conf);
	if (err) {
		bst_error("starting threads failed: %s.", strerror(-err));
		free(conf.items);
		return BST_EXIT_SYSTEM;
	}
	bst_progress_begin("scan", s->lay.size);
	for (i = 0; i < s->n && !bst_is_interrupted(); i++)
		sample_file(s, pool, &s->files[i]);
	err = bst_pool_end(pool);
	bst_progress_end();
	free(conf.items);
	for (i = 0; i < s->n; i++)
		if (s->files[i].err)
			say_error(&s->files[i], s->files[i].err);
	return bst_is_interrupted() ? BST_EXIT_INTERRUPTED : err;
}

/* ---- What they are ------------------------------------------------------- */

static int is_opened_container(struct bst_scan_file *f, int fd)
{
	struct bs_summary summary;
	enum bs_result res = bst_container_peek(fd, &f->st, &summary, NULL);

	if (res == BS_ERR_MAGIC)
		return 0;
	f->is_container = 1;
	f->stored = f->size;
	f->is_upstream = res == BS_OK && summary.is_upstream;
	if (res == BS_OK) {
		f->size = summary.size;
		f->n_int4 = summary.n_int4;
	}
	return 1;
}

static int add_to_layout(struct bst_scan *s, struct bst_scan_file *f,
			 int is_expected)
{
	size_t n_sources = s->lay.n_sources, n_regions = s->lay.n_regions;
	uint64_t n_tensors = s->lay.n_tensors;
	int err;

	err = bst_layout_add(&s->lay, f->path, -1, &f->st, BST_LAYOUT_FILE,
			     is_expected);
	if (err) {
		s->lay.n_sources = n_sources;
		s->lay.n_regions = n_regions;
		return err;
	}
	f->source = n_sources;
	f->is_other = !s->lay.source[n_sources].is_safetensors;
	f->n_tensors = s->lay.n_tensors - n_tensors;
	if (s->lay.reason[0])
		bst_error("%s: would be kept as opaque bytes: %s.", f->path,
			  s->lay.reason);
	return 0;
}

/* A mount of ours shows what is compressed as if it were not. */
static void look_behind(struct bst_scan_file *f, int fd)
{
	struct statfs fs;
	char *behind, *member = NULL;
	struct stat st;

	if (fstatfs(fd, &fs) != 0 || fs.f_type != FUSE_SUPER_MAGIC)
		return;
	behind = bst_behind_member(f->path, &member);
	if (behind && stat(behind, &st) == 0) {
		f->is_container = 1;
		f->stored = (uint64_t)st.st_size;
		/* The blocks of a bundle's file are its share. */
		if (*member)
			f->stored = (uint64_t)f->st.st_blocks * 512;
	}
	free(member);
	free(behind);
}

/* Of what only lies about in a directory, nothing is promised. */
static void look_at(struct bst_scan *s, struct bst_scan_file *f)
{
	int is_expected = bst_naming_is_safetensors(f->path), is_one, err, fd;
	struct stat st;

	err = bst_open_regular(f->path, &fd, &st);
	if (err) {
		say_error(f, err);
		return;
	}
	is_one = is_expected || f->is_named ||
		 bst_looks_like_safetensors(fd, f->size);
	f->is_other = 1;
	look_behind(f, fd);
	if (f->is_container || is_opened_container(f, fd))
		f->is_other = 0;
	else if (is_one && s->lay.n_regions > TENSORS_MAX)
		err = -E2BIG;
	else if (is_one)
		err = add_to_layout(s, f, is_expected);
	close(fd);
	if (err)
		say_error(f, err);
}

/* Regions that repeat one of another file are counted, and then stand for
 * themselves: what they are the same as is left where their own file has it
 * already. */
static int judge_ties(struct bst_scan *s)
{
	size_t n = s->lay.n_regions, i, k;
	size_t *holder = calloc(n + 1, sizeof(*holder));

	if (!holder)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		holder[i] = s->lay.region[i].source;
	for (k = 0; k < s->n; k++) {
		struct bst_scan_file *f = &s->files[k];
		const struct bst_source *src;

		if (f->source == BST_NO_SOURCE)
			continue;
		src = &s->lay.source[f->source];
		for (i = 0; i < src->n_regions; i++) {
			struct bst_region *reg =
				&s->lay.region[src->first_region + i];
			size_t first = reg->same_as;
			struct bst_tensors *to = &f->tied;

			if (first == BST_NO_REGION)
				continue;
			if (holder[first] != f->source) {
				holder[first] = f->source;
				reg->same_as = BST_NO_REGION;
				to = &f->twins;
			}
			to->n += reg->is_tensor;
			to->len += reg->len;
		}
	}
	free(holder);
	return 0;
}

static int compare_tensors(struct bst_scan *s)
{
	int err = bst_layout_find_ties(&s->lay);

	if (!err)
		err = judge_ties(s);
	if (!err)
		return BST_EXIT_OK;
	if (err == -EINTR)
		return BST_EXIT_INTERRUPTED;
	bst_error("tensors could not be compared: %s.",
		  err == -ENODATA ? "a file changed while it was being read"
				  : strerror(-err));
	return err == -ENODATA ? BST_EXIT_DATA : bst_exit_of_errno(-err);
}

/* ---- The whole ----------------------------------------------------------- */

uint64_t bst_share_stored(const struct bst_share *share)
{
	if (!share->counted)
		return 0;
	return (uint64_t)((double)share->stored * (double)share->raw /
			  (double)share->counted);
}

int bst_scan_has(const struct bst_scan_file *f)
{
	return !f->code && !f->is_container && (!f->is_other || f->is_named);
}

/* compress keeps a file whole that would grow by its tensors. */
static void estimate(struct bst_scan_file *f)
{
	uint64_t bound = f->size + f->size / 2000 + 4096;
	unsigned i;

	if (!bst_scan_has(f))
		return;
	f->stored = 8192 + 128; /* both superblocks, and the member */
	for (i = 0; i < BS_DTYPE_N; i++)
		f->stored += bst_share_stored(&f->share[i]);
	if (f->stored > bound)
		f->stored = bound;
}

static int get_memory(struct bst_scan *s)
{
	unsigned i;

	s->samplers = calloc(s->n_threads, sizeof(*s->samplers));
	for (i = 0; s->samplers && i < s->n_threads; i++) {
		s->samplers[i] = bst_sampler_new();
		if (!s->samplers[i])
			break;
	}
	if (i == s->n_threads)
		return BST_EXIT_OK;
	bst_error("out of memory.");
	return BST_EXIT_SYSTEM;
}

int bst_scan(struct bst_scan *s, char **paths, int n)
{
	int code = find_files(s, paths, n), err;
	size_t i;

	for (i = 0; i < s->n && !bst_is_interrupted(); i++)
		look_at(s, &s->files[i]);
	code = bst_exit_worse(code, compare_tensors(s));
	err = get_memory(s);
	if (err == BST_EXIT_OK && code != BST_EXIT_INTERRUPTED)
		err = sample_all(s);
	code = bst_exit_worse(code, err);
	for (i = 0; i < s->n; i++) {
		estimate(&s->files[i]);
		code = bst_exit_worse(code, s->files[i].code);
	}
	return code;
}

void bst_scan_fini(struct bst_scan *s)
{
	unsigned i;
	size_t k;

	for (i = 0; s->samplers && i < s->n_threads; i++)
		bst_sampler_free(s->samplers[i]);
	for (k = 0; k < s->n; k++) {
		if (s->files[k].fd >= 0)
			close(s->files[k].fd);
		free(s->files[k].path);
	}
	free(s->samplers);
	free(s->files);
	bst_layout_fini(&s->lay);
}
