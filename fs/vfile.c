/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfile.c - open containers, and where the bytes of a file in one stand
 *
 * A container is opened when a file of it is, and its chunks stay in the cache
 * as long as it stays open.  So a few that nobody uses are kept: loaders open
 * a file, read its header, close it and open it again.
 *
 * Store files are read through two descriptors: chunks directly, where the
 * file system can, so that memory does not hold the model twice; the index,
 * which is small, through the page cache.
 */

#include "vfile.h"

#include "cache.h"
#include "stats.h"
#include "store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What unused containers may hold: descriptors, and bytes of directories. */
#define IDLE_MAX 16
#define IDLE_MEM_MAX ((size_t)4 << 20)

struct bsfs_vfiles {
	pthread_mutex_t lock; /* protects the list and its members' use */
	struct bsfs_vfile *first;
	uint64_t n_opened;
	uint64_t n_uses;
};

struct bsfs_vfiles *bsfs_vfiles_new(void)
{
	struct bsfs_vfiles *v = calloc(1, sizeof(*v));

	if (v)
		pthread_mutex_init(&v->lock, NULL);
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

enum bs_result bsfs_peek(int fd, uint64_t size, struct bs_summary *ret,
			 struct bs_error *err)
{
	struct bs_source src = { source_pread, &fd, size };

	return bs_peek(&src, ret, err);
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
		now = bsfs_identity_of(&st);
		if (bsfs_identity_equal(&now, identity)) {
			free(buf);
			return fd;
		}
	}
	free(buf);
	close(fd);
	return -1;
}

static void close_vfile(struct bsfs_session *s, struct bsfs_vfile *f)
{
	if (s->cache)
		bsfs_cache_drop(s->cache, f->id);
	bs_archive_close(f->ar);
	if (f->fd >= 0)
		close(f->fd);
	if (f->direct_fd >= 0)
		close(f->direct_fd);
	free(f->decoded);
	free(f->reported);
	free(f->path);
	free(f);
}

static int open_archive(struct bsfs_session *s, struct bsfs_vfile *f)
{
	struct bs_error error = { 0 };
	enum bs_result res;
	size_t bits_len;

	f->source = (struct bs_source){ source_pread, &f->fd,
					(uint64_t)f->identity.size };
	res = bs_archive_open(&f->ar, &f->source, &error);
	if (res != BS_OK) {
		if (bsfs_problem(s->stats, f->path,
				 "%s; restore the file from a copy",
				 error.text))
			bsfs_log(s, BSFS_ERROR, "%s: %s", f->path, error.text);
		return res == BS_ERR_NOMEM ? -ENOMEM : -EIO;
	}
	if (bs_archive_summary(f->ar)->is_bundle)
		return -EIO; /* tree.c shows none */
	bs_archive_member(f->ar, 0, &f->member);
	bits_len = bs_archive_n_chunks(f->ar) / 8 + 1;
	f->decoded = calloc(1, bits_len);
	f->reported = calloc(1, bits_len);
	return f->decoded && f->reported ? 0 : -ENOMEM;
}

static int open_vfile(struct bsfs_session *s, const char *path,
		      const struct bsfs_identity *identity,
		      struct bsfs_vfile **ret)
{
	struct bsfs_vfile *f = calloc(1, sizeof(*f));
	struct stat st;
	int err = -ENOMEM;

	if (!f)
		return err;
	f->direct_fd = -1;
	f->fd = bsfs_store_open(s, path, O_RDONLY);
	if (f->fd < 0) {
		err = f->fd;
		goto fail;
	}
	if (fstat(f->fd, &st) != 0) {
		err = -errno;
		goto fail;
	}
	f->identity = bsfs_identity_of(&st);
	if (!bsfs_identity_equal(&f->identity, identity)) {
		err = -ESTALE;
		goto fail;
	}
	f->path = strdup(path);
	if (!f->path)
		goto fail;
	/* Pages of the index are read one at a time, from anywhere. */
	posix_fadvise(f->fd, 0, 0, POSIX_FADV_RANDOM);
	err = open_archive(s, f);
	if (err)
		goto fail;
	f->direct_fd = open_direct(s, path, identity);
	*ret = f;
	return 0;
fail:
	close_vfile(s, f);
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

/* Take one out of the list that nobody uses and that is deleted, or unused the
 * longest if there are too many.  Under the lock; the caller closes it. */
static struct bsfs_vfile *take_idle(struct bsfs_vfiles *v)
{
	struct bsfs_vfile **p, **oldest = NULL, *f;
	size_t n = 0, mem = 0;
	int is_too_much = 0;

	for (p = &v->first; *p && !is_too_much; p = &(*p)->next) {
		if ((*p)->n_users)
			continue;
		n++;
		mem += bs_archive_mem((*p)->ar);
		if (is_deleted(*p)) {
			oldest = p;
			is_too_much = 1;
		} else if (!oldest || (*p)->last_use < (*oldest)->last_use) {
			oldest = p;
		}
	}
	if (n > IDLE_MAX || mem > IDLE_MEM_MAX)
		is_too_much = 1;
	if (!is_too_much)
		return NULL;
	f = *oldest;
	*oldest = f->next;
	return f;
}

void bsfs_vfiles_tidy(struct bsfs_session *s)
{
	struct bsfs_vfiles *v = s->vfiles;
	struct bsfs_vfile *f;

	do {
		pthread_mutex_lock(&v->lock);
		f = take_idle(v);
		pthread_mutex_unlock(&v->lock);
		if (f) {
			bsfs_count(s->stats, BSFS_N_OPEN_CONTAINERS, -1);
			close_vfile(s, f);
		}
	} while (f);
}

int bsfs_vfile_get(struct bsfs_session *s, const char *path,
		   const struct bsfs_identity *identity,
		   struct bsfs_vfile **ret)
{
	struct bsfs_vfiles *v = s->vfiles;
	struct bsfs_vfile *opened = NULL;
	int err;

	/* That the container is open still does not mean that it is what the
	 * name leads to. */
	err = bsfs_store_compare(s, path, identity);
	if (err)
		return err;
	pthread_mutex_lock(&v->lock);
	*ret = find(v, identity);
	pthread_mutex_unlock(&v->lock);
	if (*ret)
		return 0;
	err = open_vfile(s, path, identity, &opened);
	if (err)
		return err;
	/* Another thread may have been faster. */
	pthread_mutex_lock(&v->lock);
	*ret = find(v, identity);
	if (!*ret) {
		opened->id = ++v->n_opened;
		opened->n_users = 1;
		opened->next = v->first;
		v->first = opened;
		*ret = opened;
		opened = NULL;
	}
	pthread_mutex_unlock(&v->lock);
	if (opened)
		close_vfile(s, opened);
	else
		bsfs_count(s->stats, BSFS_N_OPEN_CONTAINERS, 1);
	return 0;
}

void bsfs_vfile_put(struct bsfs_session *s, struct bsfs_vfile *f)
{
	struct bsfs_vfiles *v = s->vfiles;

	pthread_mutex_lock(&v->lock);
	assert(f->n_users > 0);
	f->last_use = ++v->n_uses;
	f->n_users--;
	pthread_mutex_unlock(&v->lock);
	bsfs_vfiles_tidy(s);
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
	pthread_mutex_destroy(&v->lock);
	free(v);
	s->vfiles = NULL;
}

/* ---- Where bytes stand --------------------------------------------------- */

unsigned bsfs_vfile_cut(const struct bsfs_vfile *f, uint64_t off, size_t len,
			struct bsfs_piece *ret, unsigned max, size_t *ret_len)
{
	uint64_t i = bs_member_extent_at(f->ar, &f->member, off);
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
