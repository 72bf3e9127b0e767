/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs.h - the mount: what its files share, and what its caller sees
 *
 *	fuse_ops ──► inode ──► tree, bundle ──► vfile   names: which is meant
 *	    ├──────► decode ─► load ─► cache, uring      bytes: what is in it
 *	    ├──────► prefetch ─► stream, load, pressure   and what will be asked
 *	    └──────► resident ─► load, passthrough        or all of it, once
 *
 * LOCK ORDER.  There are eight locks, and no thread holds two of them:
 *
 *	inodes->lock	inode.c: the table, look-up counts, paths, listings
 *	vfiles->lock	vfile.c: which containers are open
 *	cache->lock	cache.c: entries and their states
 *	stats->lock	stats.c: the list of problems
 *	decoder->lock	decode.c: the idle workers
 *	prefetch->lock	prefetch.c: open files as readers, and their streams
 *	resident->lock	resident.c: which files are in memory
 *	handles_lock	fuse_ops.c: which files and directories are open
 *
 * None is held across I/O, decoding, or a call into libfuse (fstat() of unused
 * containers under vfiles->lock, and asking under resident->lock what memory there
 * is and giving it back, is all that comes near it).
 *
 * LIFETIMES.  An inode lives while the kernel knows it or an entry of it, or it
 * is open (look-up count); a listing, while somebody holds it; a container stays
 * open while a file of it is, and some longer; a cache entry cannot be evicted
 * while it is pinned.
 *
 * The daemon reaches the store by the descriptor it took before mounting, and
 * never touches its own mount.
 */

#ifndef BSFS_FS_H
#define BSFS_FS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

struct bsfs_summary {
	uint64_t n_models; /* containers shown as the file they were */
	uint64_t shown_len; /* their bytes as shown */
	uint64_t stored_len; /* and as stored */
	uint64_t n_int4; /* directories of 4-bit tensors, beside the exact file */
	uint64_t n_problems;
	int is_partial; /* there may be more: not all was looked through */
};

enum bsfs_level {
	BSFS_INFO,
	BSFS_ERROR,
};

struct bsfs_options {
	const char *store; /* directory; borrowed, as are all strings */
	const char *mountpoint; /* absolute; may be the store itself */
	const char *fsname; /* NULL: the store's path */
	const char *preferred; /* a container in the store's root that nothing
				* hides; NULL: none */
	uint64_t cache_len; /* bytes */
	uint64_t prefetch_len; /* bytes decoded ahead of readers; 0: none */
	uint32_t max_read; /* bytes; 0: the kernel's own limit */
	uint32_t read_ahead; /* the kernel's, in bytes; 0: as we find best */
	int no_push; /* readers go past the kernel's cache: put nothing there */
	int no_direct; /* read the store through the kernel's cache */
	unsigned n_threads; /* >= 1 */
	unsigned idle_timeout; /* seconds without use, after which the mount
				* ends; 0: never */
	int resident; /* keep decoded files in memory that the kernel reads */
	uint64_t resident_len; /* bytes of it; 0: half of what there is */
	int allow_other; /* and the kernel obeys the modes of the files */
	int default_permissions; /* that alone */
	int no_exec;

	/* Called when the kernel has the mount and requests are answered. */
	void (*ready)(void *ctx);
	/* Called once, when a signal has asked for the mount's end, or it
	 * has ended; from any thread. */
	void (*stopping)(void *ctx);
	/* One sentence, without a new line; from any thread. */
	void (*log)(void *ctx, enum bsfs_level level, const char *text);
	void *ctx;
};

/* The least cache that 'n_threads' can work with, and all memory besides. */
#define BSFS_CACHE_MIN(n_threads) (((uint64_t)(n_threads)*2 + 2) << 20)

/*
 * Mount and serve until the mount ends.  Call it on the process's only thread:
 * it blocks SIGTERM, SIGINT, SIGHUP (they unmount) and SIGUSR1 (it logs the
 * stats).  0, or -errno after a sentence through 'log'; 'ready' was not called
 * if mounting failed.
 */
int bsfs_run(const struct bsfs_options *opt);

/*
 * What there is to see in a store, as far as can be found in 'max_ms'
 * milliseconds; 'store_fd' is its directory.  Nothing is mounted for it, and a
 * mount does not look by itself.  *ret_problems has a sentence a line, the
 * first 'ret->n_problems' of them at most, and is the caller's to free; NULL:
 * out of memory.
 */
void bsfs_summarise(int store_fd, unsigned max_ms, struct bsfs_summary *ret,
		    char **ret_problems);

/*
 * The root of a store as a mount with that 'preferred' would show it, without
 * one.  new: 0 or -errno; the directory stays the caller's.  free: NULL is
 * allowed.
 */
struct bsfs_look;

enum bsfs_shown {
	BSFS_SHOWN_NONE, /* there is no such name */
	BSFS_SHOWN_PLAIN, /* shown as it is, whatever it is */
	BSFS_SHOWN_FILE, /* a container of one file */
	BSFS_SHOWN_BUNDLE, /* one of a directory */
	BSFS_SHOWN_DAMAGED, /* one that cannot be read */
};

int bsfs_look_new(struct bsfs_look **ret, int store_fd, const char *preferred);
void bsfs_look_free(struct bsfs_look *look);

/* What is shown as 'shown', and the store's file behind it; and the way back:
 * of a hidden one, what it would be.  Names are borrowed. */
enum bsfs_shown bsfs_look_find(const struct bsfs_look *look, const char *shown,
			       const char **ret_stored);
enum bsfs_shown bsfs_look_behind(const struct bsfs_look *look,
				 const char *stored, const char **ret_shown);

/* Whether anything is shown that is not a plain file. */
int bsfs_look_has_containers(const struct bsfs_look *look);

enum bsfs_mount {
	BSFS_MOUNT_NONE,
	BSFS_MOUNT_OURS,
	BSFS_MOUNT_OTHER,
};

/* What is on top at 'path', absolute and without links, and its device number
 * ('ret_dev' may be NULL).  Asked of the kernel's table: a mount whose daemon is
 * gone or hangs must not be touched to be found. */
enum bsfs_mount bsfs_mount_at(const char *path, uint64_t *ret_dev);

/* End a mount of ours at 'path', as above, that has lost its daemon. */
void bsfs_mount_detach(const char *path);

/*
 * Bytes that this process can take before anything has to be swapped or
 * killed: of the machine, and of each control group (version 1 or 2) that it is
 * in; and what it could take if nobody else took any.  'root' is "" but in
 * tests.  What cannot be read does not limit.
 */
uint64_t bsfs_memory_available(const char *root);
uint64_t bsfs_memory_limit(const char *root);

/* ---- Inside fs/ -------------------------------------------------------- */

/* A version of the config.json that goes into what a .bsd shows. */
struct bsfs_config {
	ino_t ino; /* 0: there is none */
	int64_t size;
	struct timespec ctime;
};

/* A version of a store file: equal identities mean equal bytes. */
struct bsfs_identity {
	dev_t dev;
	ino_t ino;
	int64_t size;
	struct timespec mtime;
	struct timespec ctime;

	/* Of the directory that a .bsd's 4-bit tensors show as: links << 1 | 1,
	 * as struct bs_int4_dir has them; else 0. */
	uint32_t int4;
	struct bsfs_config config;
};

static inline struct bsfs_identity bsfs_identity_of(const struct stat *st)
{
	struct bsfs_identity id = {
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
	};

	return id;
}

static inline int bsfs_config_equal(const struct bsfs_config *a,
				    const struct bsfs_config *b)
{
	return a->ino == b->ino && a->size == b->size &&
	       a->ctime.tv_sec == b->ctime.tv_sec &&
	       a->ctime.tv_nsec == b->ctime.tv_nsec;
}

static inline int bsfs_identity_equal(const struct bsfs_identity *a,
				      const struct bsfs_identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime.tv_sec == b->mtime.tv_sec &&
	       a->mtime.tv_nsec == b->mtime.tv_nsec &&
	       a->ctime.tv_sec == b->ctime.tv_sec &&
	       a->ctime.tv_nsec == b->ctime.tv_nsec && a->int4 == b->int4 &&
	       bsfs_config_equal(&a->config, &b->config);
}

/* The same view of the store file that 'st' is now; its config.json is not
 * looked at. */
static inline struct bsfs_identity
bsfs_identity_now(const struct stat *st, const struct bsfs_identity *like)
{
	struct bsfs_identity id = bsfs_identity_of(st);

	id.int4 = like->int4;
	id.config = like->config;
	return id;
}

/* The largest read request: FUSE's on all kernels without its sysctl raised. */
#define BSFS_READ_MAX ((size_t)1 << 20)

struct fuse_session;
struct bsfs_cache;
struct bsfs_decoder;
struct bsfs_handle;
struct bsfs_inodes;
struct bsfs_prefetch;
struct bsfs_resident;
struct bsfs_stats;
struct bsfs_vfiles;
struct bsfs_watch;

struct bsfs_session {
	const struct bsfs_options *opt; /* borrowed */
	int store_fd; /* O_PATH, taken before mounting */
	uint64_t dev; /* the mount's st_dev, once it is mounted */
	uint64_t deadline_ns; /* for reading directories, monotonic; 0: none */
	int is_stopping; /* atomic: the caller knows */
	int has_passthrough; /* atomic: passthrough.c's */
	int is_surveyed; /* atomic: problems of all the store are known */

	struct fuse_session *fuse; /* owned, as is all below */
	struct bsfs_stats *stats;
	struct bsfs_cache *cache;
	struct bsfs_vfiles *vfiles;
	struct bsfs_decoder *decoder;
	struct bsfs_prefetch *prefetch; /* NULL: nothing is read ahead */
	struct bsfs_resident *resident; /* NULL: files are not kept */
	struct bsfs_inodes *inodes;
	struct bsfs_watch *watch;
	uint64_t n_uses; /* atomic: requests that a program made */
	pthread_mutex_t handles_lock;
	struct bsfs_handle *handles;
};

/* ---- session.c: what others need of libfuse ----------------------------- */

/* One sentence to the log. */
void bsfs_log(const struct bsfs_session *s, enum bsfs_level level,
	      const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Let the kernel forget a name in a directory, or the attributes of an inode.
 * Not to be called by a thread that a reply waits for. */
void bsfs_session_forget_name(const struct bsfs_session *s, uint64_t dir,
			      const char *name);
void bsfs_session_forget_inode(const struct bsfs_session *s, uint64_t inode);

/* Give the kernel the bytes of an inode at 'off': whole pages, but where the file
 * ends.  Not to be called by a thread that a reply waits for, directly or not:
 * it may wait for a read of these pages. */
void bsfs_session_store(const struct bsfs_session *s, uint64_t inode,
			uint64_t off, const void *buf, size_t len);

/* Detach the mount; its last user's leaving ends the session.  'is_gentle':
 * only if nobody uses it, which somebody may without a request: as a current
 * directory. */
void bsfs_session_detach(const struct bsfs_session *s, int is_gentle);

/* INIT has come, or the end: tell the caller. */
void bsfs_session_ready(struct bsfs_session *s);
void bsfs_session_stopping(struct bsfs_session *s);

#endif /* BSFS_FS_H */
