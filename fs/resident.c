/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resident.c - files that are decoded whole, into memory that the kernel reads
 *
 * The first open of a file decodes it into a file of a tmpfs of ours, in huge
 * pages, by all processors; then the kernel reads and maps that one
 * (passthrough.h), and the page cache has no second copy.  It stays until its
 * room is wanted: by another file, or when memory is short.  Who opens it is
 * kept waiting meanwhile, since there is no way to fill a mapping by need.
 *
 * All open files of an inode must be of one kind, so a file that is open as any
 * other stays so until the last one is closed.
 */

#include "resident.h"

#include "fs.h"
#include "load.h"
#include "passthrough.h"
#include "stats.h"
#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)
#define HUGE_PAGE (2 * MIB)

#define FILLERS_MAX 16
/* A thread for each so many bytes, at most. */
#define FILLER_LEN (4 * MIB)

/* Chunks of a batch: read together, decoded one by one, written at once. */
#define BATCH 4

/* What must be left of the machine's memory, or the control group's. */
#define MEMORY_MARGIN (256 * MIB)

enum state {
	ABSENT,
	LOADING,
	READY,
	DAMAGED, /* or cannot be read: not tried again */
};

/* A file in one version of it.  All of it is protected by the lock. */
struct bsfs_resident_file {
	struct bsfs_resident_file *next;
	struct bsfs_identity identity;
	uint64_t entry;
	enum state state;
	int backing; /* if it is ready */
	uint64_t len; /* of memory, if it is ready or loading */
	unsigned n_backed, n_others; /* open files, by their kind */
	uint64_t last_use;
};

struct bsfs_resident {
	uint64_t budget; /* bytes */
	int dir; /* of the tmpfs */
	pthread_mutex_t lock; /* protects all that follows */
	pthread_cond_t loaded;
	struct bsfs_resident_file *files;
	uint64_t used;
	uint64_t n_uses;
};

/* ---- Making ----------------------------------------------------------------- */

/* A tmpfs that is mounted nowhere: its directory, or -errno. */
static int make_tmpfs(uint64_t len)
{
	char size[32];
	int fs, dir = -1, err = 0;

	fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)len);
	if (fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) != 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) != 0)
		err = -errno;
	/* Without huge pages, if the kernel has none. */
	(void)fsconfig(fs, FSCONFIG_SET_STRING, "huge", "always", 0);
	if (!err && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		err = -errno;
	if (!err) {
		dir = fsmount(fs, FSMOUNT_CLOEXEC, 0);
		if (dir < 0)
			err = -errno;
	}
	close(fs);
	return err ? err : dir;
}

int bsfs_resident_new(struct bsfs_session *s)
{
	struct bsfs_resident *r;

	if (!s->opt->resident)
		return 0;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->budget = s->opt->resident_len;
	if (!r->budget)
		r->budget = bsfs_memory_available("") / 2;
	r->dir = make_tmpfs(r->budget);
	if (r->dir < 0) {
		bsfs_log(s, BSFS_INFO,
			 "files are not kept resident: a tmpfs cannot be made: "
			 "%s",
			 strerror(-r->dir));
		free(r);
		return 0;
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->loaded, NULL);
	s->resident = r;
	return 0;
}

void bsfs_resident_free(struct bsfs_session *s)
{
	struct bsfs_resident *r = s->resident;
	struct bsfs_resident_file *f;

	if (!r)
		return;
	while ((f = r->files) != NULL) {
		r->files = f->next;
		if (f->state == READY)
			bsfs_backing_close(s, f->backing);
		free(f);
	}
	close(r->dir);
	pthread_cond_destroy(&r->loaded);
	pthread_mutex_destroy(&r->lock);
	free(r);
	s->resident = NULL;
}

/* ---- Filling ---------------------------------------------------------------- */

/* A file on its way into memory, by several threads. */
struct filling {
	struct bsfs_session *s;
	struct bsfs_vfile *f; /* borrowed, as is the next */
	const struct bs_member *m;
	int fd;
	pthread_mutex_t lock; /* protects what follows */
	uint64_t at; /* where the next batch begins */
	int err; /* 0 or -errno: the first failure */
};

struct filler {
	struct filling *fill; /* borrowed */
	struct bsfs_loader loader;
	uint8_t *out; /* [BSFS_PINNED_MAX], owned */
	uint8_t *chunk; /* [BS_CHUNK_RAW_MAX], owned: one that is used in part */
	struct bsfs_piece pieces[BATCH];
	struct bsfs_load loads[BATCH];
};

/* The next batch: how many pieces, with *ret_off and *ret_len in the file. */
static unsigned next_batch(struct filler *t, uint64_t *ret_off, size_t *ret_len)
{
	struct filling *fill = t->fill;
	unsigned n = 0;

	pthread_mutex_lock(&fill->lock);
	if (__atomic_load_n(&fill->s->is_stopping, __ATOMIC_RELAXED))
		fill->err = -ECANCELED;
	if (!fill->err && fill->at < fill->m->size) {
		*ret_off = fill->at;
		n = bsfs_vfile_cut(fill->f, fill->m, fill->at,
				   (size_t)(fill->m->size - fill->at),
				   t->pieces, BATCH, ret_len);
		fill->at += *ret_len;
	}
	pthread_mutex_unlock(&fill->lock);
	return n;
}

static int decode_piece(struct filler *t, unsigned i, int got, uint8_t *dst)
{
	const struct bsfs_piece *piece = &t->pieces[i];
	int is_whole = piece->len == piece->raw_len, err;

	t->loads[i].dst = is_whole ? dst : t->chunk;
	err = bsfs_load_decode(&t->loader, t->fill->f, &t->loads[i], got);
	if (!err && !is_whole)
		memcpy(dst, t->chunk + piece->skip, piece->len);
	return err;
}

/* All of a batch's reads are waited for, whatever becomes of it. */
static int fill_batch(struct filler *t, unsigned n, uint64_t off, size_t len)
{
	struct filling *fill = t->fill;
	uint8_t *dst[BATCH], *out = t->out;
	size_t at = 0, done = 0;
	unsigned i, n_begun = 0;
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		struct bsfs_load *load = &t->loads[i];

		dst[i] = out;
		out += t->pieces[i].len;
		load->no = t->pieces[i].chunk;
		err = bsfs_load_find(&t->loader, fill->f, load);
		if (err)
			break;
		at = bsfs_load_place(fill->f, load, at);
		bsfs_load_begin(&t->loader, fill->f, load, i);
		n_begun++;
	}
	bsfs_uring_submit(t->loader.uring);
	while (n_begun--) {
		unsigned tag;
		int got, res;

		bsfs_uring_wait(t->loader.uring, &tag, &got);
		res = decode_piece(t, tag, got, dst[tag]);
		err = err ? err : res;
	}
	while (!err && done < len) {
		ssize_t w = pwrite(fill->fd, t->out + done, len - done,
				   (off_t)(off + done));

		if (w < 0 && errno != EINTR)
			err = -errno;
		done += w > 0 ? (size_t)w : 0;
	}
	return err;
}

static void *fill_some(void *arg)
{
	struct filling *fill = arg;
	struct filler t = { .fill = fill };
	uint64_t off;
	size_t len;
	unsigned n;
	int err;

	err = bsfs_loader_init(&t.loader, fill->s, BATCH * BSFS_STORED_MAX);
	t.out = malloc(BSFS_PINNED_MAX);
	t.chunk = malloc(BS_CHUNK_RAW_MAX);
	if (!t.out || !t.chunk)
		err = -ENOMEM;
	while (!err && (n = next_batch(&t, &off, &len)) > 0)
		err = fill_batch(&t, n, off, len);
	if (err) {
		pthread_mutex_lock(&fill->lock);
		fill->err = fill->err ? fill->err : err;
		pthread_mutex_unlock(&fill->lock);
	}
	bsfs_loader_fini(&t.loader);
	free(t.out);
	free(t.chunk);
	return NULL;
}

static int fill(struct bsfs_session *s, struct bsfs_vfile *f,
		const struct bs_member *m, int fd)
{
	struct filling fill = { .s = s, .f = f, .m = m, .fd = fd };
	uint64_t want = m->size / FILLER_LEN + 1;
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[FILLERS_MAX];
	unsigned n = 0;

	/* Its length first: only within it are pages huge. */
	if (ftruncate(fd, (off_t)m->size) != 0)
		return -errno;
	pthread_mutex_init(&fill.lock, NULL);
	if (want > (uint64_t)n_cpus)
		want = (uint64_t)n_cpus;
	if (want > FILLERS_MAX)
		want = FILLERS_MAX;
	while (n + 1 < want &&
	       pthread_create(&threads[n], NULL, fill_some, &fill) == 0)
		n++;
	fill_some(&fill);
	while (n)
		pthread_join(threads[--n], NULL);
	pthread_mutex_destroy(&fill.lock);
	return fill.err;
}

/* Decode the file and hand it to the kernel: its number, or -errno. */
static int load(struct bsfs_session *s, struct bsfs_vfile *f,
		const struct bs_member *m)
{
	int fd, ret;

	fd = openat(s->resident->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	ret = fill(s, f, m, fd);
	if (!ret)
		ret = bsfs_backing_open(s, fd);
	close(fd);
	return ret;
}

/* ---- Room --------------------------------------------------------------------- */

/* Let go of a file that nobody has open. */
static void evict(struct bsfs_session *s, struct bsfs_resident_file *f)
{
	bsfs_backing_close(s, f->backing);
	f->state = ABSENT;
	s->resident->used -= f->len;
	bsfs_count(s->stats, BSFS_N_RESIDENT_FILES, -1);
	bsfs_count(s->stats, BSFS_N_RESIDENT_BYTES, -(int64_t)f->len);
}

/* The one that was unused for longest, or NULL. */
static struct bsfs_resident_file *oldest(const struct bsfs_resident *r)
{
	struct bsfs_resident_file *f, *ret = NULL;

	for (f = r->files; f; f = f->next) {
		if (f->state == READY && !f->n_backed &&
		    (!ret || f->last_use < ret->last_use))
			ret = f;
	}
	return ret;
}

/* Make room for 'len' bytes; whether there is. */
static int make_room(struct bsfs_session *s, uint64_t len)
{
	struct bsfs_resident *r = s->resident;
	struct bsfs_resident_file *f;

	if (len > r->budget)
		return 0;
	while (r->budget - r->used < len ||
	       bsfs_memory_available("") < len + MEMORY_MARGIN) {
		f = oldest(r);
		if (!f)
			return 0;
		evict(s, f);
	}
	return 1;
}

/* Of files that are neither in memory nor open nothing needs to be known. */
static void forget_absent(struct bsfs_resident *r)
{
	struct bsfs_resident_file **at = &r->files, *f;

	while ((f = *at) != NULL) {
		if (f->n_backed || f->n_others || f->state != ABSENT) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		free(f);
	}
}

void bsfs_resident_tidy(struct bsfs_session *s)
{
	struct bsfs_resident *r = s->resident;
	struct bsfs_resident_file *f;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	while (bsfs_memory_available("") < MEMORY_MARGIN &&
	       (f = oldest(r)) != NULL)
		evict(s, f);
	pthread_mutex_unlock(&r->lock);
}

/* ---- Opening -------------------------------------------------------------------- */

static int is_same_file(const struct bsfs_identity *a,
			const struct bsfs_identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && !a->int4 == !b->int4;
}

/* The file, known from now on; NULL: out of memory.  Of older versions of it
 * memory is given back. */
static struct bsfs_resident_file *find(struct bsfs_session *s,
				       const struct bsfs_identity *identity,
				       uint64_t entry)
{
	struct bsfs_resident *r = s->resident;
	struct bsfs_resident_file *f, *ret = NULL;

	for (f = r->files; f; f = f->next) {
		int is_current = bsfs_identity_equal(&f->identity, identity);

		if (is_current && f->entry == entry)
			ret = f;
		else if (!is_current && is_same_file(&f->identity, identity) &&
			 f->state == READY && !f->n_backed)
			evict(s, f);
	}
	if (ret)
		return ret;
	ret = calloc(1, sizeof(*ret));
	if (!ret)
		return NULL;
	ret->identity = *identity;
	ret->entry = entry;
	ret->next = r->files;
	r->files = ret;
	return ret;
}

/* Load a file that is absent; called, and returns, with the lock. */
static void load_absent(struct bsfs_session *s, struct bsfs_resident_file *f,
			struct bsfs_vfile *v, const struct bs_member *m)
{
	struct bsfs_resident *r = s->resident;
	int backing;

	f->len = (m->size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	if (!m->size || !make_room(s, f->len))
		return;
	r->used += f->len;
	f->state = LOADING;
	pthread_mutex_unlock(&r->lock);
	backing = load(s, v, m);
	pthread_mutex_lock(&r->lock);
	if (backing > 0) {
		f->backing = backing;
		f->state = READY;
		bsfs_count(s->stats, BSFS_N_RESIDENT_FILES, 1);
		bsfs_count(s->stats, BSFS_N_RESIDENT_BYTES, (int64_t)f->len);
	} else {
		r->used -= f->len;
		f->state = backing == -EIO ? DAMAGED : ABSENT;
	}
	pthread_cond_broadcast(&r->loaded);
}

int bsfs_resident_open(struct bsfs_session *s, struct bsfs_vfile *v,
		       const struct bs_member *m, uint64_t entry,
		       struct bsfs_resident_file **ret)
{
	struct bsfs_resident *r = s->resident;
	struct bsfs_resident_file *f;
	int backing = 0;

	*ret = NULL;
	if (!r || !bsfs_passthrough_is_on(s))
		return 0;
	pthread_mutex_lock(&r->lock);
	forget_absent(r);
	f = find(s, &v->identity, entry);
	if (f) {
		/* So that it is not forgotten; which kind it is shows below. */
		f->n_others++;
		while (f->state == LOADING)
			pthread_cond_wait(&r->loaded, &r->lock);
		if (f->state == ABSENT && f->n_others == 1)
			load_absent(s, f, v, m);
		f->last_use = ++r->n_uses;
		if (f->state == READY) {
			f->n_others--;
			f->n_backed++;
			backing = f->backing;
		}
	}
	pthread_mutex_unlock(&r->lock);
	*ret = f;
	return backing;
}

void bsfs_resident_close(struct bsfs_session *s, struct bsfs_resident_file *f,
			 int is_backed)
{
	struct bsfs_resident *r = s->resident;

	if (!f)
		return;
	pthread_mutex_lock(&r->lock);
	if (is_backed)
		f->n_backed--;
	else
		f->n_others--;
	f->last_use = ++r->n_uses;
	pthread_mutex_unlock(&r->lock);
}
