/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfile.c - open containers, and where the bytes of a file in one stand
 *
 * A container is opened when a file of it is, or a name in it is looked up, and
 * its chunks stay in the cache as long as it stays open.  So a few that nobody
 * uses are kept: loaders open a file, read its header, close it and open it
 * again; and who walks through a bundle has none of it open between two names.
 * The cache's budget pays for the directories of all that are open.
 *
 * Store files are read through two descriptors: chunks directly, where the
 * file system can, so that memory does not hold the model twice; the index,
 * which is small, through the page cache.
 */

#include "vfile.h"

#include "cache.h"
#include "int4_dir.h"
#include "stats.h"
#include "store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What unused containers may hold: descriptors, and this part of the cache for
 * their directories.  The one used last is kept whatever it takes, since the
 * next name may be looked up in it. */
#define IDLE_MAX 16
#define IDLE_MEM_PART 4

/* The cache has room for this many tensors a thread of a file of BigSmall (Python)
 * that are decoded in one go; longer ones are decoded twice. */
#define WHOLE_PART 4

struct bsfs_vfiles {
	pthread_mutex_t lock; /* protects all below, and the containers' use */
	struct bsfs_vfile *first;
	uint64_t n_opened;
	uint64_t n_uses;
	pthread_cond_t opened; /* some container is no longer opening */
};

struct bsfs_vfiles *bsfs_vfiles_new(void)
{
	struct bsfs_vfiles *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->opened, NULL);
	return v;
}

/* ---- One container ------------------------------------------------------- */

static int pread_all(int fd, void *buf, size_t len, uint64_t off)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO; /* it became shorter */
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int source_pread(void *ctx, void *buf, size_t len, uint64_t off)
{
	const int *fd = ctx;

	return pread_all(*fd, buf, len, off);
}

enum bs_result bsfs_peek(int fd, uint64_t size, int is_index,
			 const struct bs_index *index, struct bs_summary *ret,
			 struct bs_error *err)
{
	struct bs_source src = {
		.pread = source_pread,
		.ctx = &fd,
		.size = size,
		.index = index,
		.is_index = is_index,
	};

	return bs_peek(&src, ret, err);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

struct bs_index *bsfs_index_beside(const struct bsfs_session *s,
				   const char *path)
{
	int dir_len = (int)(base_name(path) - path), fd;
	struct bs_index *index = NULL;
	struct bs_source src = { .pread = source_pread, .ctx = &fd };
	char name[PATH_MAX];
	struct stat st;

	if (snprintf(name, sizeof(name), "%.*s%s", dir_len, path,
		     BS_INDEX_NAME) >= (int)sizeof(name))
		return NULL;
	fd = bsfs_store_open(s, name, O_RDONLY);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		src.size = (uint64_t)st.st_size;
		(void)bs_index_read(&index, &src, NULL);
	}
	close(fd);
	return index;
}

/* A descriptor for direct reads, or -1.  Some file systems let it be opened
 * and refuse to read. */
static int open_direct(const struct bsfs_session *s, const char *path,
		       const struct bsfs_identity *identity)
{
	int fd = bsfs_store_open(s, path, O_RDONLY | O_DIRECT);
	struct bsfs_identity now;
	struct stat st;
	void *buf = NULL;

	if (fd < 0)
		return -1;
	if (posix_memalign(&buf, BSFS_DIRECT_ALIGN, BSFS_DIRECT_ALIGN) == 0 &&
	    fstat(fd, &st) == 0 && pread(fd, buf, BSFS_DIRECT_ALIGN, 0) > 0) {
		now = bsfs_identity_now(&st, identity);
		if (bsfs_identity_equal(&now, identity)) {
			free(buf);
			return fd;
		}
	}
	free(buf);
	close(fd);
	return -1;
}

/* 'mem' bytes of directories more, or less. */
static void pay_for(struct bsfs_session *s, int64_t mem)
{
	bsfs_count(s->stats, BSFS_N_OPEN_BYTES, mem);
	bsfs_cache_reserve(s->cache, mem, BSFS_CACHE_MIN(s->opt->n_threads));
}

static void close_vfile(struct bsfs_session *s, struct bsfs_vfile *f)
{
	if (s->cache)
		bsfs_cache_drop(s->cache, f->id);
	pay_for(s, -(int64_t)f->mem);
	bs_archive_close(f->ar);
	if (f->fd >= 0)
		close(f->fd);
	if (f->direct_fd >= 0)
		close(f->direct_fd);
	free(f->decoded);
	free(f->reported);
	free(f->links);
	free(f->path);
	free(f);
}

static int compare_links(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Note which files have hard links: stat() counts them. */
static int index_links(struct bsfs_vfile *f)
{
	uint64_t n = bs_archive_n_members(f->ar), i;
	struct bs_member m;
	size_t n_links = 0;

	for (i = 0; i < n; i++) {
		bs_archive_member(f->ar, i, &m);
		n_links += m.type == BS_MEMBER_HARDLINK;
	}
	if (!n_links)
		return 0;
	f->links = malloc(n_links * sizeof(*f->links));
	if (!f->links)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		bs_archive_member(f->ar, i, &m);
		if (m.type == BS_MEMBER_HARDLINK)
			f->links[f->n_links++] = (uint32_t)bs_archive_find(
				f->ar, m.target, m.target_len);
	}
	qsort(f->links, n_links, sizeof(*f->links), compare_links);
	return 0;
}

/* A shard shows what its directory's index says, too. */
static enum bs_result open_in_index(const struct bsfs_session *s,
				    struct bsfs_vfile *f, struct bs_error *err)
{
	struct bs_index *index;
	enum bs_result res = BS_OK;

	if (f->source.is_index)
		return BS_OK;
	index = bsfs_index_beside(s, f->path);
	if (index) {
		bs_archive_close(f->ar);
		f->source.index = index;
		res = bs_archive_open(&f->ar, &f->source, err);
		f->source.index = NULL;
	}
	bs_index_free(index);
	return res;
}

/* The directory of a .bsd's 4-bit tensors, and not its file. */
static int open_int4(struct bsfs_session *s, struct bsfs_vfile *f,
		     enum bs_result *ret, struct bs_error *error)
{
	struct bs_int4_dir dir;
	int err = bsfs_int4_dir(s, f->path, &f->identity, &dir);

	if (err)
		return err;
	f->source.int4 = &dir;
	*ret = bs_archive_open(&f->ar, &f->source, error);
	f->source.int4 = NULL;
	free((char *)(uintptr_t)dir.config);
	return 0;
}

static int open_archive(struct bsfs_session *s, struct bsfs_vfile *f)
{
	struct bs_error error = { 0 };
	enum bs_result res = BS_OK;
	size_t bits_len;
	int err = 0;

	f->source = (struct bs_source){
		.pread = source_pread,
		.ctx = &f->fd,
		.size = (uint64_t)f->identity.size,
		.is_index = bs_index_is_named(base_name(f->path)),
	};
	if (f->identity.int4)
		err = open_int4(s, f, &res, &error);
	else
		res = bs_archive_open(&f->ar, &f->source, &error);
	if (err)
		return err;
	if (res == BS_OK && !f->identity.int4 &&
	    bs_archive_summary(f->ar)->is_upstream)
		res = open_in_index(s, f, &error);
	if (res != BS_OK) {
		if (bsfs_problem(s->stats, f->path,
				 "%s; restore the file from a copy",
				 error.text))
			bsfs_log(s, BSFS_ERROR, "%s: %s", f->path, error.text);
		return res == BS_ERR_NOMEM ? -ENOMEM : -EIO;
	}
	bs_archive_keep_whole(f->ar, s->opt->cache_len /
					     (WHOLE_PART * s->opt->n_threads));
	bits_len = bs_archive_n_chunks(f->ar) / 8 + 1;
	f->decoded = calloc(1, bits_len);
	f->reported = calloc(1, bits_len);
	if (!f->decoded || !f->reported || index_links(f) != 0)
		return -ENOMEM;
	f->mem = bs_archive_mem(f->ar) + 2 * bits_len +
		 f->n_links * sizeof(*f->links);
	pay_for(s, (int64_t)f->mem);
	return 0;
}

/* Open the container at 'path' into 'f', which has its identity. */
static int open_vfile(struct bsfs_session *s, const char *path,
		      struct bsfs_vfile *f)
{
	struct bsfs_identity now;
	struct stat st;
	int err;

	f->fd = bsfs_store_open(s, path, O_RDONLY);
	if (f->fd < 0)
		return bsfs_store_stale(f->fd);
	if (fstat(f->fd, &st) != 0)
		return -errno;
	now = bsfs_identity_now(&st, &f->identity);
	if (!bsfs_identity_equal(&f->identity, &now))
		return -ESTALE;
	f->path = strdup(path);
	if (!f->path)
		return -ENOMEM;
	/* Pages of the index are read one at a time, from anywhere. */
	posix_fadvise(f->fd, 0, 0, POSIX_FADV_RANDOM);
	err = open_archive(s, f);
	if (!err && !s->opt->no_direct)
		f->direct_fd = open_direct(s, path, &f->identity);
	return err;
}

/* ---- All of them --------------------------------------------------------- */

static struct bsfs_vfile *find(struct bsfs_vfiles *v,
			       const struct bsfs_identity *identity)
{
	struct bsfs_vfile *f = v->first;

	while (f && !bsfs_identity_equal(&f->identity, identity))
		f = f->next;
	if (f)
		f->n_users++;
	return f;
}

/* Whether the file has no name any more, so that only we keep its bytes on the
 * disk. */
static int is_deleted(const struct bsfs_vfile *f)
{
	struct stat st;

	return fstat(f->fd, &st) != 0 || st.st_nlink == 0;
}

/*
 * Take one out of the list that nobody uses and that is deleted, or unused the
 * longest if there are too many.  'only' (NULL: all) is looked at for being
 * deleted.  Under the lock; the caller closes it.
 */
static struct bsfs_vfile *take_idle(const struct bsfs_session *s,
				    const struct bsfs_vfile *only)
{
	struct bsfs_vfiles *v = s->vfiles;
	struct bsfs_vfile **p, **oldest = NULL, *f;
	int is_too_much = 0;
	uint64_t mem = 0;
	size_t n = 0;

	for (p = &v->first; *p && !is_too_much; p = &(*p)->next) {
		if ((*p)->n_users)
			continue;
		n++;
		mem += (*p)->mem;
		if ((!only || *p == only) && is_deleted(*p)) {
			oldest = p;
			is_too_much = 1;
		} else if (!oldest || (*p)->last_use < (*oldest)->last_use) {
			oldest = p;
		}
	}
	if (n > IDLE_MAX || (n > 1 && mem > s->opt->cache_len / IDLE_MEM_PART))
		is_too_much = 1;
	if (!is_too_much)
		return NULL;
	f = *oldest;
	*oldest = f->next;
	return f;
}

static void tidy(struct bsfs_session *s, const struct bsfs_vfile *only)
{
	struct bsfs_vfiles *v = s->vfiles;
	struct bsfs_vfile *f;

	do {
		pthread_mutex_lock(&v->lock);
		f = take_idle(s, only);
		pthread_mutex_unlock(&v->lock);
		if (f) {
			bsfs_count(s->stats, BSFS_N_OPEN_CONTAINERS, -1);
			close_vfile(s, f);
		}
	} while (f);
}

void bsfs_vfiles_tidy(struct bsfs_session *s)
{
	tidy(s, NULL);
}

/* Under the lock: one to be opened, with one user, in the list. */
static struct bsfs_vfile *add_vfile(struct bsfs_vfiles *v,
				    const struct bsfs_identity *identity)
{
	struct bsfs_vfile *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->identity = *identity;
	f->fd = f->direct_fd = -1;
	f->is_opening = 1;
	f->n_users = 1;
	f->id = ++v->n_opened;
	f->next = v->first;
	v->first = f;
	return f;
}

static void remove_vfile(struct bsfs_vfiles *v, struct bsfs_vfile *f)
{
	struct bsfs_vfile **p = &v->first;

	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
}

int bsfs_vfile_get(struct bsfs_session *s, const char *path,
		   const struct bsfs_identity *identity,
		   struct bsfs_vfile **ret)
{
	struct bsfs_vfiles *v = s->vfiles;
	struct bsfs_vfile *f;
	int err, is_mine = 0, is_last;

	/* That the container is open still does not mean that it is what the
	 * name leads to. */
	err = bsfs_store_compare(s, path, identity);
	if (err)
		return err;
	pthread_mutex_lock(&v->lock);
	f = find(v, identity);
	if (!f) {
		f = add_vfile(v, identity);
		is_mine = 1;
	}
	/* Its directory may be large: one opens it, whoever asks. */
	while (f && !is_mine && f->is_opening)
		pthread_cond_wait(&v->opened, &v->lock);
	pthread_mutex_unlock(&v->lock);
	if (!f)
		return -ENOMEM;
	if (is_mine) {
		err = open_vfile(s, path, f);
		if (!err)
			bsfs_count(s->stats, BSFS_N_OPEN_CONTAINERS, 1);
		pthread_mutex_lock(&v->lock);
		f->is_opening = 0;
		f->err = err;
		if (err)
			remove_vfile(v, f);
		pthread_cond_broadcast(&v->opened);
		pthread_mutex_unlock(&v->lock);
	}
	err = f->err;
	if (!err) {
		*ret = f;
		return 0;
	}
	pthread_mutex_lock(&v->lock);
	is_last = --f->n_users == 0;
	pthread_mutex_unlock(&v->lock);
	if (is_last)
		close_vfile(s, f);
	return err;
}

struct bsfs_vfile *bsfs_vfile_in_use(struct bsfs_session *s,
				     const struct bsfs_identity *identity)
{
	struct bsfs_vfiles *v = s->vfiles;
	struct bsfs_vfile *f;

	pthread_mutex_lock(&v->lock);
	f = find(v, identity);
	if (f && (f->n_users == 1 || f->is_opening)) {
		f->n_users--;
		f = NULL;
	}
	pthread_mutex_unlock(&v->lock);
	return f;
}

void bsfs_vfile_hold(struct bsfs_session *s, struct bsfs_vfile *f)
{
	pthread_mutex_lock(&s->vfiles->lock);
	assert(f->n_users > 0);
	f->n_users++;
	pthread_mutex_unlock(&s->vfiles->lock);
}

void bsfs_vfile_put(struct bsfs_session *s, struct bsfs_vfile *f)
{
	struct bsfs_vfiles *v = s->vfiles;
	int is_idle;

	pthread_mutex_lock(&v->lock);
	assert(f->n_users > 0);
	f->last_use = ++v->n_uses;
	is_idle = --f->n_users == 0;
	pthread_mutex_unlock(&v->lock);
	/* Every look-up in a bundle comes by here: the others are looked at
	 * when there is reason to. */
	if (is_idle)
		tidy(s, f);
}

void bsfs_vfiles_free(struct bsfs_session *s)
{
	struct bsfs_vfiles *v = s->vfiles;

	if (!v)
		return;
	while (v->first) {
		struct bsfs_vfile *f = v->first;

		assert(f->n_users == 0);
		v->first = f->next;
		close_vfile(s, f);
	}
	pthread_cond_destroy(&v->opened);
	pthread_mutex_destroy(&v->lock);
	free(v);
	s->vfiles = NULL;
}

/* ---- Where bytes stand --------------------------------------------------- */

unsigned bsfs_vfile_cut(const struct bsfs_vfile *f, const struct bs_member *m,
			uint64_t off, size_t len, struct bsfs_piece *ret,
			unsigned max, size_t *ret_len)
{
	uint64_t i = bs_member_extent_at(f->ar, m, off);
	uint64_t chunk = UINT64_MAX;
	size_t pinned = 0;
	unsigned n = 0;

	*ret_len = 0;
	while (len && n < max) {
		struct bsfs_piece *p = &ret[n];
		struct bs_extent ext;
		struct bs_blob blob;
		uint64_t at, chunk_off, left;
		size_t chunk_len;

		bs_archive_extent(f->ar, i, &ext);
		bs_archive_blob(f->ar, ext.blob, &blob);
		at = ext.blob_off + (off - ext.off);
		p->blob = ext.blob;
		p->chunk = bs_blob_chunk_at(&blob, at);
		bs_blob_chunk_range(&blob, p->chunk, &chunk_off, &chunk_len);
		if (p->chunk != chunk)
			pinned += chunk_len;
		if (n && pinned > BSFS_PINNED_MAX)
			break;
		n++;
		chunk = p->chunk;
		p->raw_len = (uint32_t)chunk_len;
		p->skip = (uint32_t)(at - chunk_off);
		left = ext.off + ext.len - off;
		if (left > chunk_len - p->skip)
			left = chunk_len - p->skip;
		if (left > len)
			left = len;
		p->len = (uint32_t)left;
		off += left;
		len -= (size_t)left;
		*ret_len += (size_t)left;
		if (off == ext.off + ext.len)
			i++;
	}
	return n;
}

int bsfs_vfile_mark(unsigned char *bits, uint64_t chunk)
{
	unsigned char bit = (unsigned char)(1u << (chunk % 8));
	unsigned char old =
		__atomic_fetch_or(&bits[chunk / 8], bit, __ATOMIC_RELAXED);

	return (old & bit) != 0;
}

int bsfs_vfile_is_marked(const unsigned char *bits, uint64_t chunk)
{
	return __atomic_load_n(&bits[chunk / 8], __ATOMIC_RELAXED) >>
		       (chunk % 8) &
	       1;
}
