/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inode.c - what the kernel knows of the mount: inodes and their look-up counts
 *
 * An inode stands for one version of one file of the store.  Its identity is
 * compared whenever the file is looked up or opened; where it has changed,
 * look-up makes another inode, and the old one answers ESTALE to whoever comes
 * by an old name, upon which the kernel looks up again.  So pages that the
 * kernel holds never belong to another version, and it may keep them for ever.
 *
 * The kernel holds a look-up count while it uses an inode, so a request's
 * inode cannot go away under it; only paths and listings, which change, are
 * taken under the lock.
 *
 * What is in a bundle is known to the kernel by the bundle's number and the
 * member's: bundle.c finds the rest.
 */

#include "inode.h"

#include "bundle.h"
#include "int4_dir.h"
#include "store.h"
#include "vfile.h"
#include "watch.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_BUCKETS 8192
#define N_WATCH_BUCKETS 1024
#define N_BUNDLE_BUCKETS 1024
#define WATCHED_MAX 64 /* directories of a bucket told at a time */

/* Seconds: changes that inotify reports, and others. */
#define TIMEOUT_WATCHED 60.0
#define TIMEOUT_UNWATCHED 1.0

/* How the kernel knows an entry of a bundle: this bit, which no pointer has, the
 * bundle's number, and in the low bits the member's: a directory of 2^30 bytes
 * has no more records of 128. */
#define ENTRY_ID (UINT64_C(1) << 63)
#define ENTRY_BITS 23

/* The upper half of st_ino, which file systems do not use, has two kinds: of
 * bundles on the store's own device, where the store's number and the entry's
 * fit, and hashes. */
#define NUMBER_OF_ENTRY (UINT64_C(2) << 62)
#define NUMBER_HASHED (UINT64_C(3) << 62)
#define NUMBER_INO_BITS 40
#define NUMBER_ENTRY_BITS 22

struct bsfs_inodes {
	pthread_mutex_t lock; /* protects all below */
	uint64_t n_changes; /* events of inotify */
	struct bsfs_inode root;
	struct bsfs_inode control, stats, problems;
	struct bsfs_inode *buckets[N_BUCKETS];
	struct bsfs_inode *replaced; /* by newer versions, not yet forgotten */
	struct bsfs_inode *watched[N_WATCH_BUCKETS];
	uint64_t n_bundles; /* that there have been */
	struct bsfs_inode *bundles[N_BUNDLE_BUCKETS];
};

/* ---- Numbers ------------------------------------------------------------- */

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

/*
 * st_ino: the store's own where a file is shown as it is.  What shares its
 * store file with another (what a container holds, and everything in
 * .bigsmall/store) and what lies on another device gets a number from the upper
 * half.
 */
static ino_t number_of(const struct bsfs_session *s, dev_t dev, ino_t ino,
		       enum bsfs_type type, int is_raw)
{
	const struct bsfs_inode *root = &s->inodes->root;
	uint64_t view = type == BSFS_MODEL_FILE ? 1 : is_raw ? 2 : 0;

	if (dev == root->identity.dev && !view && !(ino >> 63))
		return ino;
	/* Device numbers change from boot to boot; the root's is not used. */
	if (dev == root->identity.dev)
		dev = 0;
	return mix(ino + mix(dev * 4 + view + 1)) | NUMBER_HASHED;
}

/* 'entry' as in struct bsfs_node. */
static ino_t number_in_bundle(const struct bsfs_session *s, dev_t dev,
			      ino_t ino, uint64_t entry)
{
	if (dev == s->inodes->root.identity.dev) {
		if (!(ino >> NUMBER_INO_BITS) && !(entry >> NUMBER_ENTRY_BITS))
			return NUMBER_OF_ENTRY | ino << NUMBER_ENTRY_BITS |
			       entry;
		dev = 0;
	}
	return mix(ino + mix(dev * 4 + 4) + mix(entry + 1)) | NUMBER_HASHED;
}

ino_t bsfs_inode_entry_number(const struct bsfs_session *s,
			      const struct bsfs_inode *n, uint64_t entry)
{
	return number_in_bundle(s, n->identity.dev, n->identity.ino, entry);
}

static uint64_t inode_id(const struct bsfs_session *s,
			 const struct bsfs_inode *n)
{
	return n == &s->inodes->root ? BSFS_ROOT_ID : (uint64_t)(uintptr_t)n;
}

uint64_t bsfs_node_id(const struct bsfs_session *s, struct bsfs_node node)
{
	if (!node.entry)
		return inode_id(s, node.inode);
	return ENTRY_ID | node.inode->bundle << ENTRY_BITS | (node.entry - 1);
}

struct bsfs_node bsfs_node_of(struct bsfs_session *s, uint64_t id)
{
	struct bsfs_inodes *t = s->inodes;
	struct bsfs_node node = { 0 };
	uint64_t bundle;

	if (id == BSFS_ROOT_ID) {
		node.inode = &t->root;
		return node;
	}
	if (!(id & ENTRY_ID)) {
		node.inode = (struct bsfs_inode *)(uintptr_t)id;
		return node;
	}
	node.entry = (id & ((UINT64_C(1) << ENTRY_BITS) - 1)) + 1;
	bundle = (id & ~ENTRY_ID) >> ENTRY_BITS;
	pthread_mutex_lock(&t->lock);
	node.inode = t->bundles[bundle % N_BUNDLE_BUCKETS];
	while (node.inode->bundle != bundle)
		node.inode = node.inode->next_bundle;
	pthread_mutex_unlock(&t->lock);
	return node;
}

ino_t bsfs_inode_number(const struct bsfs_session *s,
			const struct bsfs_inode *dir,
			const struct bsfs_name *name)
{
	if (name->what == BSFS_BUNDLE_DIR)
		return number_in_bundle(s, dir->identity.dev, name->ino, 0);
	enum bsfs_type type = name->what == BSFS_MEMBER ? BSFS_MODEL_FILE
							: BSFS_FILE;

	return number_of(s, dir->identity.dev, name->ino, type, dir->is_raw);
}

/* ---- Attributes ---------------------------------------------------------- */

mode_t bsfs_file_mode(uint32_t mode, mode_t stored)
{
	return S_IFREG | (mode & 0333) | (mode & stored & 0444);
}

mode_t bsfs_dir_mode(uint32_t mode, mode_t stored)
{
	mode_t readers = stored & 0444;

	/* To search it is to read names. */
	return S_IFDIR | (mode & (readers | readers >> 2 | 0222));
}

struct timespec bsfs_timespec_of(int64_t ns)
{
	struct timespec ret = {
		.tv_sec = ns / 1000000000,
		.tv_nsec = ns % 1000000000,
	};

	if (ret.tv_nsec < 0) {
		ret.tv_nsec += 1000000000;
		ret.tv_sec--;
	}
	return ret;
}

/* What a container's file looks like: 'st' is the container's. */
static void show_member(const struct bsfs_name *name, struct stat *st)
{
	st->st_mode = bsfs_file_mode(name->mode, st->st_mode);
	st->st_size = (off_t)name->size;
	st->st_mtim = bsfs_timespec_of(name->mtime_ns);
	st->st_blksize = BSFS_MODEL_BLKSIZE;
	/* st_blocks stays: du shows what is saved. */
}

/* The same for the directory that a bundle is. */
static void show_bundle(const struct bsfs_name *name, struct bsfs_inode *n)
{
	struct stat *st = &n->attr;

	n->is_linked = st->st_nlink > 1;
	n->stored_mode = st->st_mode;
	/* What a .bsd takes, the file beside this directory shows. */
	n->stored_blocks = name->is_int4 ? 0 : st->st_blocks;
	st->st_mode = bsfs_dir_mode(name->mode, st->st_mode);
	st->st_size = 0;
	st->st_mtim = bsfs_timespec_of(name->mtime_ns);
	/* Of a directory 1 says that nobody counts, as on btrfs. */
	st->st_nlink = 1;
	/* Its files have the blocks, if there are bytes in any. */
	if (name->size)
		st->st_blocks = 0;
}

static void show_control(struct bsfs_inode *n, enum bsfs_type type,
			 unsigned number)
{
	int is_dir = type == BSFS_CONTROL_DIR;

	n->type = type;
	n->watch = -1;
	n->attr.st_ino = (ino_t)-1 - number;
	n->attr.st_mode = is_dir ? S_IFDIR | 0555 : S_IFREG | 0444;
	n->attr.st_nlink = is_dir ? 2 : 1;
	n->attr.st_uid = geteuid();
	n->attr.st_gid = getegid();
	clock_gettime(CLOCK_REALTIME, &n->attr.st_mtim);
	n->attr.st_ctim = n->attr.st_atim = n->attr.st_mtim;
}

/* ---- The table ----------------------------------------------------------- */

static struct bsfs_inode **bucket_of(struct bsfs_inodes *t,
				     const struct bsfs_identity *id)
{
	return &t->buckets[mix(id->ino + id->dev * 31) % N_BUCKETS];
}

static void free_inode(struct bsfs_inode *n)
{
	bsfs_listing_put(n->listing);
	bsfs_listing_put(n->previous);
	free(n->path);
	free(n);
}

static void unlink_from(struct bsfs_inode **first, struct bsfs_inode *n)
{
	while (*first != n)
		first = &(*first)->next;
	*first = n->next;
}

/* The inode of this file and view, whatever its version. */
static struct bsfs_inode *find(struct bsfs_inodes *t,
			       const struct bsfs_inode *like)
{
	struct bsfs_inode *n = *bucket_of(t, &like->identity);

	/* Of a directory the kernel wants one name for an inode. */
	while (n && !(n->identity.dev == like->identity.dev &&
		      n->identity.ino == like->identity.ino &&
		      n->type == like->type && n->is_raw == like->is_raw &&
		      !(n->type == BSFS_BUNDLE && like->is_linked &&
			strcmp(n->path, like->path) != 0)))
		n = n->next;
	return n;
}

/* A directory stays the same however it changes. */
static int is_same_version(const struct bsfs_inode *a,
			   const struct bsfs_inode *b)
{
	return a->type == BSFS_DIR ||
	       bsfs_identity_equal(&a->identity, &b->identity);
}

/* Under the lock: the inode to answer with for 'fresh', which is either it or
 * not needed. */
static struct bsfs_inode *enter(struct bsfs_inodes *t, struct bsfs_inode *fresh)
{
	struct bsfs_inode *n = find(t, fresh);
	struct bsfs_inode **p;
	char *path;

	if (n && is_same_version(n, fresh)) {
		path = n->path;
		n->path = fresh->path;
		fresh->path = path;
		n->n_lookups++;
		return n;
	}
	if (n) {
		unlink_from(bucket_of(t, &n->identity), n);
		n->is_replaced = 1;
		n->next = t->replaced;
		t->replaced = n;
	}
	p = bucket_of(t, &fresh->identity);
	fresh->next = *p;
	fresh->n_lookups = 1;
	*p = fresh;
	if (fresh->type == BSFS_BUNDLE) {
		fresh->bundle = ++t->n_bundles;
		p = &t->bundles[fresh->bundle % N_BUNDLE_BUCKETS];
		fresh->next_bundle = *p;
		*p = fresh;
	}
	return fresh;
}

static void forget_bundle(struct bsfs_inodes *t, struct bsfs_inode *n)
{
	struct bsfs_inode **p = &t->bundles[n->bundle % N_BUNDLE_BUCKETS];

	while (*p != n)
		p = &(*p)->next_bundle;
	*p = n->next_bundle;
}

void bsfs_inode_path(struct bsfs_session *s, const struct bsfs_inode *n,
		     char *buf)
{
	pthread_mutex_lock(&s->inodes->lock);
	snprintf(buf, PATH_MAX, "%s", n->path);
	pthread_mutex_unlock(&s->inodes->lock);
}

/* ---- Watches ------------------------------------------------------------- */

static void set_watch(struct bsfs_session *s, struct bsfs_inode *n)
{
	struct bsfs_inodes *t = s->inodes;
	struct bsfs_inode **p;
	char path[PATH_MAX];
	int watch;

	bsfs_inode_path(s, n, path);
	watch = bsfs_watch_add(s, path);
	if (watch < 0)
		return;
	pthread_mutex_lock(&t->lock);
	/* One descriptor a directory: a second look-up gets the same. */
	if (n->watch < 0) {
		n->watch = watch;
		p = &t->watched[(unsigned)watch % N_WATCH_BUCKETS];
		n->next_watched = *p;
		*p = n;
	}
	pthread_mutex_unlock(&t->lock);
}

static double timeout_of(struct bsfs_session *s, const struct bsfs_inode *dir,
			 uint64_t *ret_changes)
{
	int watch;

	pthread_mutex_lock(&s->inodes->lock);
	watch = dir->watch;
	*ret_changes = s->inodes->n_changes;
	pthread_mutex_unlock(&s->inodes->lock);
	return watch >= 0 ? TIMEOUT_WATCHED : TIMEOUT_UNWATCHED;
}

double bsfs_inode_timeout(struct bsfs_session *s, const struct bsfs_inode *n)
{
	uint64_t n_changes;

	return n->type == BSFS_DIR ? timeout_of(s, n, &n_changes) : n->timeout;
}

static struct bsfs_inode *find_watched(struct bsfs_inodes *t, int watch)
{
	struct bsfs_inode *n = t->watched[(unsigned)watch % N_WATCH_BUCKETS];

	while (n && n->watch != watch)
		n = n->next_watched;
	return n;
}

static void unset_watch(struct bsfs_inodes *t, struct bsfs_inode *n)
{
	struct bsfs_inode **p;

	if (n->watch < 0)
		return;
	p = &t->watched[(unsigned)n->watch % N_WATCH_BUCKETS];
	while (*p != n)
		p = &(*p)->next_watched;
	*p = n->next_watched;
	n->watch = -1;
}

void bsfs_inode_unwatched(struct bsfs_session *s, int watch)
{
	struct bsfs_inodes *t = s->inodes;
	struct bsfs_inode *n;

	pthread_mutex_lock(&t->lock);
	n = find_watched(t, watch);
	if (n)
		unset_watch(t, n);
	pthread_mutex_unlock(&t->lock);
}

/* Let the kernel forget the names under which 'l' shows what the store file
 * 'stored' has to do with.  Its own name is another matter. */
static void forget_shown(struct bsfs_session *s, uint64_t dir,
			 const struct bsfs_listing *l, const char *stored)
{
	const struct bsfs_name *name = bsfs_listing_find_stored(l, stored);
	size_t i;

	if (name && strcmp(name->shown, stored) != 0)
		bsfs_session_forget_name(s, dir, name->shown);
	/* Of these directories what lies beside them is a part. */
	for (i = 0; l->n_int4 && i < l->n_names; i++)
		if (l->names[i].is_int4)
			bsfs_session_forget_name(s, dir, l->names[i].shown);
}

void bsfs_inode_changed(struct bsfs_session *s, int watch, const char *stored)
{
	/* What the listing at hand shows, and what the one before it did: the
	 * directory may have been read anew before its event came. */
	struct bsfs_listing *lists[2] = { NULL, NULL };
	struct bsfs_inodes *t = s->inodes;
	struct bsfs_inode *dir;
	uint64_t id = 0;
	int i;

	pthread_mutex_lock(&t->lock);
	t->n_changes++;
	dir = find_watched(t, watch);
	if (dir) {
		id = inode_id(s, dir);
		if (dir->listing)
			lists[0] = bsfs_listing_get(dir->listing);
		if (dir->previous)
			lists[1] = bsfs_listing_get(dir->previous);
	}
	pthread_mutex_unlock(&t->lock);
	if (!id)
		return;
	/* A plain file may hide or uncover another, so its own name counts as
	 * well as what it was shown under. */
	if (stored)
		bsfs_session_forget_name(s, id, stored);
	for (i = 0; i < 2; i++) {
		if (stored && lists[i])
			forget_shown(s, id, lists[i], stored);
		bsfs_listing_put(lists[i]);
	}
	bsfs_session_forget_inode(s, id);
	bsfs_vfiles_tidy(s);
}

void bsfs_inode_changed_all(struct bsfs_session *s)
{
	struct bsfs_inodes *t = s->inodes;
	struct bsfs_inode *n;
	size_t i, j;

	for (i = 0; i < N_WATCH_BUCKETS; i++) {
		struct bsfs_listing *lists[WATCHED_MAX];
		uint64_t ids[WATCHED_MAX];
		size_t n_dirs = 0;

		pthread_mutex_lock(&t->lock);
		t->n_changes++;
		for (n = t->watched[i]; n && n_dirs < WATCHED_MAX;
		     n = n->next_watched) {
			if (!n->listing)
				continue;
			ids[n_dirs] = inode_id(s, n);
			lists[n_dirs++] = bsfs_listing_get(n->listing);
		}
		pthread_mutex_unlock(&t->lock);
		while (n_dirs--) {
			for (j = 0; j < lists[n_dirs]->n_names; j++)
				bsfs_session_forget_name(
					s, ids[n_dirs],
					lists[n_dirs]->names[j].shown);
			bsfs_session_forget_inode(s, ids[n_dirs]);
			bsfs_listing_put(lists[n_dirs]);
		}
	}
	bsfs_vfiles_tidy(s);
}

/* ---- The table's life ----------------------------------------------------- */

int bsfs_inodes_new(struct bsfs_session *s)
{
	struct bsfs_inodes *t = calloc(1, sizeof(*t));
	struct stat st;

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	s->inodes = t;
	t->root.type = BSFS_DIR;
	t->root.watch = -1;
	t->root.path = strdup(".");
	if (!t->root.path)
		return -ENOMEM;
	if (fstat(s->store_fd, &st) != 0)
		return -errno;
	t->root.identity = bsfs_identity_of(&st);
	t->root.attr = st;
	show_control(&t->control, BSFS_CONTROL_DIR, 0);
	show_control(&t->stats, BSFS_STATS_FILE, 1);
	show_control(&t->problems, BSFS_PROBLEMS_FILE, 2);
	set_watch(s, &t->root);
	return 0;
}

static void free_list(struct bsfs_inode **first)
{
	while (*first) {
		struct bsfs_inode *n = *first;

		*first = n->next;
		free_inode(n);
	}
}

void bsfs_inodes_free(struct bsfs_session *s)
{
	struct bsfs_inodes *t = s->inodes;
	size_t i;

	if (!t)
		return;
	/* The kernel does not say that it forgets when the mount ends. */
	for (i = 0; i < N_BUCKETS; i++)
		free_list(&t->buckets[i]);
	free_list(&t->replaced);
	bsfs_listing_put(t->root.listing);
	bsfs_listing_put(t->root.previous);
	free(t->root.path);
	pthread_mutex_destroy(&t->lock);
	free(t);
	s->inodes = NULL;
}

/* ---- Look-up ------------------------------------------------------------- */

/* How far a listing at hand is trusted. */
enum trust {
	TRUST_LIKELY, /* if the directory's times are the same */
	TRUST_SURE, /* and could not be the same after a change */
	TRUST_NONE,
};

static int holds(const struct bsfs_listing *l, const struct stat *st,
		 enum trust trust)
{
	struct bsfs_identity now = bsfs_identity_of(st);

	if (!l || trust == TRUST_NONE ||
	    !bsfs_identity_equal(&l->identity, &now))
		return 0;
	/* A racy listing is good for as long as another would be racy, too. */
	return !l->is_racy ||
	       (trust == TRUST_LIKELY && bsfs_is_racy(&st->st_mtim));
}

/* The directory's attributes, if it still is at 'path'. */
static int stat_dir(struct bsfs_session *s, const struct bsfs_inode *dir,
		    const char *path, struct stat *ret)
{
	int err = bsfs_store_stat(s, path, ret);

	if (err)
		return bsfs_store_stale(err);
	return ret->st_dev == dir->identity.dev &&
			       ret->st_ino == dir->identity.ino
		       ? 0
		       : -ESTALE;
}

/* The directory's listing: the one at hand if it holds, else read anew. */
static int get_listing(struct bsfs_session *s, struct bsfs_inode *dir,
		       const char *path, enum trust trust,
		       struct bsfs_listing **ret)
{
	struct bsfs_inodes *t = s->inodes;
	struct bsfs_listing *old, *l;
	struct stat st;
	int err;

	err = stat_dir(s, dir, path, &st);
	if (err)
		return err;
	pthread_mutex_lock(&t->lock);
	old = dir->listing ? bsfs_listing_get(dir->listing) : NULL;
	pthread_mutex_unlock(&t->lock);
	if (holds(old, &st, trust)) {
		*ret = old;
		return 0;
	}
	err = bsfs_listing_read(s, path, dir->is_raw, old, &l);
	bsfs_listing_put(old);
	if (err)
		return err;
	pthread_mutex_lock(&t->lock);
	old = dir->previous;
	dir->previous = dir->listing;
	dir->listing = bsfs_listing_get(l);
	pthread_mutex_unlock(&t->lock);
	bsfs_listing_put(old);
	*ret = l;
	return 0;
}

int bsfs_inode_list(struct bsfs_session *s, struct bsfs_inode *dir,
		    struct bsfs_listing **ret)
{
	char path[PATH_MAX];

	bsfs_inode_path(s, dir, path);
	return get_listing(s, dir, path, TRUST_SURE, ret);
}

/* Make an inode of the file at 'path', which 'name' (NULL: as it is) shows.
 * -EAGAIN: it is not what the listing says. */
static int make_inode(struct bsfs_session *s, const struct bsfs_inode *dir,
		      const struct bsfs_name *name, const char *path,
		      struct bsfs_inode **ret)
{
	struct bsfs_inode *n;
	struct stat st;
	uint64_t n_changes;
	int err;

	err = bsfs_store_stat(s, path, &st);
	if (err)
		return err == -ENOENT ? -EAGAIN : err;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->watch = -1;
	n->timeout = timeout_of(s, dir, &n_changes);
	n->is_raw = dir->is_raw;
	n->identity = bsfs_identity_of(&st);
	n->type = S_ISDIR(st.st_mode) ? BSFS_DIR : BSFS_FILE;
	n->attr = st;
	if (name && name->is_int4) {
		n->identity.int4 = name->identity.int4;
		n->identity.config = bsfs_int4_config(s, path);
	}
	if (name && name->what != BSFS_PLAIN) {
		if (!bsfs_identity_equal(&n->identity, &name->identity)) {
			free(n);
			return -EAGAIN;
		}
		n->type = BSFS_MODEL_FILE;
		if (name->what == BSFS_BUNDLE_DIR)
			n->type = BSFS_BUNDLE;
	}
	n->attr.st_ino = number_of(s, st.st_dev, st.st_ino, n->type, n->is_raw);
	if (n->type == BSFS_MODEL_FILE) {
		show_member(name, &n->attr);
	} else if (n->type == BSFS_BUNDLE) {
		show_bundle(name, n);
		n->attr.st_ino = bsfs_inode_entry_number(s, n, 0);
	}
	n->path = strdup(path);
	if (!n->path) {
		free(n);
		return -ENOMEM;
	}
	*ret = n;
	return 0;
}

static void enter_inode(struct bsfs_session *s, struct bsfs_inode *fresh,
			struct bsfs_found_inode *ret)
{
	struct bsfs_inodes *t = s->inodes;

	ret->attr = fresh->attr;
	pthread_mutex_lock(&t->lock);
	ret->node.inode = enter(t, fresh);
	pthread_mutex_unlock(&t->lock);
	if (ret->node.inode != fresh)
		free_inode(fresh);
	if (ret->node.inode->type == BSFS_DIR && !ret->node.inode->is_raw)
		set_watch(s, ret->node.inode);
}

static int found_control(struct bsfs_inode *n, struct bsfs_found_inode *ret)
{
	ret->node.inode = n;
	ret->attr = n->attr;
	return 0;
}

static int lookup_control(struct bsfs_session *s, const char *name,
			  struct bsfs_found_inode *ret)
{
	struct bsfs_inodes *t = s->inodes;
	struct bsfs_inode *fresh;
	int err;

	if (!strcmp(name, "stats"))
		return found_control(&t->stats, ret);
	if (!strcmp(name, "problems"))
		return found_control(&t->problems, ret);
	if (strcmp(name, "store") != 0)
		return -ENOENT;
	err = make_inode(s, &t->root, NULL, ".", &fresh);
	if (err)
		return err;
	fresh->is_raw = 1;
	fresh->attr.st_ino = number_of(s, fresh->identity.dev,
				       fresh->identity.ino, BSFS_DIR, 1);
	enter_inode(s, fresh, ret);
	return 0;
}

/* One try: -EAGAIN if the listing may be older than the file. */
static int lookup_once(struct bsfs_session *s, struct bsfs_inode *dir,
		       const char *dir_path, const char *shown,
		       enum trust trust, struct bsfs_found_inode *ret)
{
	struct bsfs_inode *fresh = NULL;
	const struct bsfs_name *name;
	struct bsfs_listing *l;
	char path[PATH_MAX];
	int err;

	err = get_listing(s, dir, dir_path, trust, &l);
	if (err)
		return err;
	name = bsfs_listing_find(l, shown);
	if (!name)
		err = l->is_racy ? -EAGAIN : -ENOENT;
	else
		err = bsfs_path_join(path, dir_path, name->stored);
	if (!err && name->what == BSFS_DAMAGED)
		err = bsfs_store_compare(s, path, &name->identity) == 0
			      ? -name->err
			      : -EAGAIN;
	if (!err)
		err = make_inode(s, dir, name, path, &fresh);
	bsfs_listing_put(l);
	if (!err)
		enter_inode(s, fresh, ret);
	return err;
}

static int lookup_entry(struct bsfs_session *s, struct bsfs_node dir,
			const char *name, struct bsfs_found_inode *ret)
{
	int err = bsfs_bundle_lookup(s, dir, name, ret);

	if (!err)
		bsfs_inode_hold(s, dir.inode, 1);
	return err;
}

int bsfs_inode_lookup(struct bsfs_session *s, struct bsfs_node node,
		      const char *name, struct bsfs_found_inode *ret)
{
	struct bsfs_inode *dir = node.inode;
	uint64_t n_before, n_after;
	char path[PATH_MAX];
	int err;

	if (dir->type == BSFS_BUNDLE)
		return lookup_entry(s, node, name, ret);
	ret->node.entry = 0;
	ret->timeout = timeout_of(s, dir, &n_before);
	if (dir->type == BSFS_CONTROL_DIR)
		return lookup_control(s, name, ret);
	if (dir->type != BSFS_DIR)
		return -ENOTDIR;
	if (dir == &s->inodes->root && !strcmp(name, BSFS_CONTROL_NAME))
		return found_control(&s->inodes->control, ret);
	bsfs_inode_path(s, dir, path);
	err = lookup_once(s, dir, path, name, TRUST_LIKELY, ret);
	/* A file changed in place does not change its directory. */
	if (err == -EAGAIN)
		err = lookup_once(s, dir, path, name, TRUST_NONE, ret);
	/* The kernel may have been told to forget before it learns of this. */
	timeout_of(s, dir, &n_after);
	if (n_after != n_before)
		ret->timeout = TIMEOUT_UNWATCHED;
	return err == -EAGAIN ? -ENOENT : err;
}

static int is_counted(const struct bsfs_session *s, const struct bsfs_inode *n)
{
	const struct bsfs_inodes *t = s->inodes;

	return n != &t->root && n != &t->control && n != &t->stats &&
	       n != &t->problems;
}

void bsfs_inode_hold(struct bsfs_session *s, struct bsfs_inode *n,
		     uint64_t n_lookups)
{
	pthread_mutex_lock(&s->inodes->lock);
	n->n_lookups += n_lookups;
	pthread_mutex_unlock(&s->inodes->lock);
}

void bsfs_inode_forget(struct bsfs_session *s, struct bsfs_inode *n,
		       uint64_t n_lookups)
{
	struct bsfs_inodes *t = s->inodes;
	int is_last, watch;

	if (!is_counted(s, n))
		return;
	pthread_mutex_lock(&t->lock);
	assert(n->n_lookups >= n_lookups);
	n->n_lookups -= n_lookups;
	is_last = n->n_lookups == 0;
	watch = n->watch;
	if (is_last) {
		unlink_from(n->is_replaced ? &t->replaced
					   : bucket_of(t, &n->identity),
			    n);
		unset_watch(t, n);
		if (n->type == BSFS_BUNDLE)
			forget_bundle(t, n);
	}
	pthread_mutex_unlock(&t->lock);
	if (!is_last)
		return;
	if (watch >= 0)
		bsfs_watch_remove(s, watch);
	free_inode(n);
}

static int compare_store(struct bsfs_session *s, const struct bsfs_inode *n,
			 struct stat *ret)
{
	char path[PATH_MAX];
	int err;

	bsfs_inode_path(s, n, path);
	if (n->type != BSFS_DIR)
		return bsfs_store_compare(s, path, &n->identity);
	err = stat_dir(s, n, path, ret);
	ret->st_ino = n->attr.st_ino;
	return err;
}

int bsfs_inode_getattr(struct bsfs_session *s, struct bsfs_node node,
		       struct stat *ret)
{
	struct bsfs_inode *n = node.inode;
	int err;

	if (n->type == BSFS_BUNDLE)
		return bsfs_bundle_getattr(s, node, ret);
	*ret = n->attr;
	if (n->type > BSFS_MODEL_FILE)
		return 0;
	err = compare_store(s, n, ret);
	/* Who has the file open goes on seeing what was opened. */
	if (__atomic_load_n(&n->n_open, __ATOMIC_RELAXED))
		return 0;
	return err;
}
