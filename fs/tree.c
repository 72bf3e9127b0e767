/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.c - a directory of the store, and the names that the mount shows for it
 *
 * The name of a container is its own stem and the suffix that it recorded (none,
 * if it holds a directory), so to know one name of a directory all its containers' superblocks are read.
 * That is done once: a listing holds as long as the directory's mtime does,
 * and another reading of the directory looks only into what has changed.
 *
 * Nobody loses a file to a clash of names: a plain file hides a container, but
 * for one that the caller prefers, of two containers the first in order of
 * extension and name is shown, and the other is a problem that the user hears of.
 */

#include "tree.h"

#include "int4_dir.h"
#include "stats.h"
#include "store.h"
#include "vfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The mtime of a directory changes no oftener than the kernel's clock ticks,
 * or once in two seconds where it has no fraction. */
#define TICK_NS (20 * 1000 * 1000)
#define COARSE_NS (2 * 1000 * 1000 * (int64_t)1000)

/* How many superblocks are read at a time, and a bound of their length. */
#define ANNOUNCED 32
#define SUPERBLOCK_LEN 4096

/* The summary does not look further, nor deeper. */
#define SUMMARY_MAX 20000
#define SUMMARY_DEPTH 64

int bsfs_path_join(char *buf, const char *dir, const char *name)
{
	int n;

	if (!strcmp(dir, "."))
		n = snprintf(buf, PATH_MAX, "%s", name);
	else
		n = snprintf(buf, PATH_MAX, "%s/%s", dir, name);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* ---- Names --------------------------------------------------------------- */

/* Which extension of a store file the name has: 1 .bs, 2 .bsd, 3 .bsr, or
 * that it is the index of shards (the order in which they claim a name), or 0. */
enum { INDEX = 4, INDEX_BINARY = 5 };

static unsigned store_extension(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (!strcmp(name, BS_INDEX_NAME))
		return INDEX;
	if (!strcmp(name, BS_INDEX_BINARY_NAME))
		return INDEX_BINARY;
	if (!dot || dot == name)
		return 0;
	if (!strcmp(dot, ".bs"))
		return 1;
	if (!strcmp(dot, ".bsd"))
		return 2;
	return !strcmp(dot, ".bsr") ? 3 : 0;
}

/* Whether "stem.ext" looks like a file that kept its extension ("config.json"
 * but not "llama-3.2-1b"). */
static int has_extension(const char *stem, size_t len)
{
	size_t n = 0;

	while (n < len && ((stem[len - 1 - n] | 32) >= 'a') &&
	       (stem[len - 1 - n] | 32) <= 'z')
		n++;
	return n > 0 && n < len - 1 && stem[len - 1 - n] == '.';
}

/* The control directory's name is taken in the root, and given to nobody
 * elsewhere either. */
static int is_file_name(const char *name)
{
	return *name && strlen(name) <= NAME_MAX && !strchr(name, '/') &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strcmp(name, BSFS_CONTROL_NAME) != 0;
}

/* The name that a container is shown under; NULL: out of memory, or (errno
 * EINVAL) no file can be called that.  'suffix' is NULL where it is lost: then
 * the likeliest. */
static char *shown_name(const char *stored, const char *suffix)
{
	size_t stem = (size_t)(strrchr(stored, '.') - stored);
	char *name;

	if (store_extension(stored) >= INDEX)
		return strdup(BS_INDEX_SHOWN);
	if (!suffix)
		suffix = has_extension(stored, stem) ? "" : ".safetensors";
	name = malloc(stem + strlen(suffix) + 1);
	if (!name)
		return NULL;
	memcpy(name, stored, stem);
	strcpy(name + stem, suffix);
	if (!is_file_name(name)) {
		free(name);
		errno = EINVAL;
		return NULL;
	}
	return name;
}

static int is_plain(struct bsfs_name *n)
{
	n->what = BSFS_PLAIN;
	n->shown = n->stored;
	return 0;
}

/* A file of BigSmall (Python) records neither mode nor time: they are its own. */
static void lend_attributes(struct bsfs_name *n, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return;
	n->mode = st.st_mode & 07777;
	n->mtime_ns =
		st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
}

/* What the container's superblock says of it. */
static int name_container(struct bsfs_session *s, const char *path,
			  const struct bs_index *index, struct bsfs_name *n,
			  int fd)
{
	int is_index = store_extension(n->stored) >= INDEX;
	struct bs_summary sum;
	struct bs_error error = { 0 };
	enum bs_result res = bsfs_peek(fd, (uint64_t)n->identity.size, is_index,
				       index, &sum, &error);
	const char *suffix = NULL;

	if (res == BS_ERR_MAGIC || (is_index && res != BS_OK) ||
	    (sum.is_upstream &&
	     (res == BS_ERR_FEATURE || res == BS_ERR_VERSION))) {
		bsfs_problem(s->stats, path, "%s; it is shown as it is",
			     error.text);
		return is_plain(n);
	}
	if (res == BS_OK || res == BS_ERR_TRUNCATED)
		suffix = sum.suffix;
	if (res != BS_OK) {
		bsfs_problem(s->stats, path, "%s; restore it from a copy",
			     error.text);
		n->what = BSFS_DAMAGED;
		n->err = bs_result_errno(res);
	} else {
		n->what = sum.is_bundle ? BSFS_BUNDLE_DIR : BSFS_MEMBER;
		n->size = sum.size;
		n->n_int4 = sum.n_int4;
		n->mtime_ns = sum.mtime_ns;
		n->mode = sum.mode;
		if (sum.is_upstream)
			lend_attributes(n, fd);
	}
	if (suffix && sum.is_bundle)
		n->d_type = DT_DIR;
	n->shown = shown_name(n->stored, suffix);
	if (n->shown)
		return 0;
	n->d_type = DT_REG;
	if (errno != EINVAL)
		return -ENOMEM;
	bsfs_problem(s->stats, path,
		     "the name it would have is none; it is shown as it is");
	return is_plain(n);
}

static int copy_known(const struct bsfs_name *old, struct bsfs_name *n)
{
	char *stored = n->stored;

	*n = *old;
	n->stored = stored;
	n->shown = stored;
	if (old->shown != old->stored)
		n->shown = strdup(old->shown);
	return n->shown ? 0 : -ENOMEM;
}

/* What a directory's index says of the shards in it. */
struct shards {
	struct bs_index *index; /* owned; NULL: none */
	int has_changed; /* so what was known of shards is not to be used */
	int has_json; /* then the binary index says nothing that is not there */
};

/* A regular file with a container's extension; 'dir_fd' is its directory. */
static int name_candidate(struct bsfs_session *s, const char *dir, int dir_fd,
			  const struct bsfs_listing *old,
			  const struct shards *shards, struct bsfs_name *n)
{
	const struct bsfs_name *known;
	char path[PATH_MAX];
	struct stat st;
	int fd, err;

	if (bsfs_path_join(path, dir, n->stored) != 0)
		return is_plain(n);
	if (fstatat(dir_fd, n->stored, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode) ||
	    (shards->has_json && store_extension(n->stored) == INDEX_BINARY))
		return is_plain(n);
	n->d_type = DT_REG;
	n->identity = bsfs_identity_of(&st);
	known = old ? bsfs_listing_find_stored(old, n->stored) : NULL;
	if (known && !bsfs_identity_equal(&known->identity, &n->identity))
		bsfs_problem_clear(s->stats, path);
	else if (known && !shards->has_changed &&
		 (known->what == BSFS_MEMBER || known->what == BSFS_BUNDLE_DIR))
		return copy_known(known, n);
	fd = openat(dir_fd, n->stored,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		n->what = BSFS_DAMAGED;
		n->err = errno;
		bsfs_problem(s->stats, path, "it cannot be opened: %s",
			     strerror(n->err));
		n->shown = shown_name(n->stored, NULL);
		return n->shown ? 0 : is_plain(n);
	}
	if (fstat(fd, &st) == 0)
		n->identity = bsfs_identity_of(&st);
	bsfs_count(s->stats, BSFS_N_SUPERBLOCKS, 1);
	err = name_container(s, path, shards->index, n, fd);
	close(fd);
	return err;
}

/* ---- Listings ------------------------------------------------------------ */

static void free_name(struct bsfs_name *n)
{
	if (n->shown != n->stored)
		free(n->shown);
	free(n->stored);
}

struct bsfs_listing *bsfs_listing_get(struct bsfs_listing *l)
{
	__atomic_fetch_add(&l->n_refs, 1, __ATOMIC_RELAXED);
	return l;
}

void bsfs_listing_put(struct bsfs_listing *l)
{
	size_t i;

	if (!l || __atomic_sub_fetch(&l->n_refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (i = 0; i < l->n_names + l->n_hidden; i++)
		free_name(&l->names[i]);
	free(l->names);
	free(l->by_stored);
	free(l);
}

/* By what is shown; of the same, who gets it first. */
static int compare_names(const void *a, const void *b)
{
	const struct bsfs_name *x = a, *y = b;
	int order = strcmp(x->shown, y->shown);

	if (order)
		return order;
	if (x->is_preferred != y->is_preferred)
		return x->is_preferred ? -1 : 1;
	if ((x->what == BSFS_PLAIN) != (y->what == BSFS_PLAIN))
		return x->what == BSFS_PLAIN ? -1 : 1;
	order = (int)store_extension(x->stored) -
		(int)store_extension(y->stored);
	return order ? order : strcmp(x->stored, y->stored);
}

static void say_hidden(struct bsfs_session *s, const char *dir,
		       const struct bsfs_name *hidden, const char *by)
{
	char path[PATH_MAX];

	if (bsfs_path_join(path, dir, hidden->stored) != 0)
		return;
	if (hidden->is_int4)
		bsfs_problem(s->stats, path,
			     "the directory of its 4-bit tensors is hidden, "
			     "because %s is there too; remove or rename it",
			     by);
	else
		bsfs_problem(s->stats, path,
			     "hidden, because %s is there too; remove "
			     "or rename one of them",
			     by);
}

/* Put the hidden ones behind those shown, and say so. */
static void hide_clashes(struct bsfs_session *s, const char *dir,
			 struct bsfs_listing *l)
{
	size_t n = l->n_names, kept = 0, i;

	for (i = 0; i < n; i++) {
		struct bsfs_name hidden = l->names[i];

		if (!kept ||
		    strcmp(l->names[kept - 1].shown, hidden.shown) != 0) {
			l->names[i] = l->names[kept];
			l->names[kept++] = hidden;
			continue;
		}
		say_hidden(s, dir, &hidden, l->names[kept - 1].stored);
	}
	l->n_names = kept;
	l->n_hidden = n - kept;
}

static int compare_stored(const void *a, const void *b)
{
	const struct bsfs_name *const *x = a, *const *y = b;

	return strcmp((*x)->stored, (*y)->stored);
}

static int index_by_stored(struct bsfs_listing *l)
{
	size_t n = l->n_names + l->n_hidden, i;

	l->by_stored = malloc((n + 1) * sizeof(struct bsfs_name *));
	if (!l->by_stored)
		return -ENOMEM;
	l->n_stored = 0;
	for (i = 0; i < n; i++)
		if (!l->names[i].is_int4)
			l->by_stored[l->n_stored++] = &l->names[i];
	qsort(l->by_stored, l->n_stored, sizeof(*l->by_stored), compare_stored);
	return 0;
}

/* What was said of names that are gone, or that were hidden, is past. */
static void clear_problems(struct bsfs_session *s, const char *dir,
			   const struct bsfs_listing *old,
			   const struct bsfs_listing *l)
{
	size_t i;

	for (i = 0; old && i < old->n_names + old->n_hidden; i++) {
		const struct bsfs_name *n = &old->names[i];
		char path[PATH_MAX];

		if ((i >= old->n_names ||
		     !bsfs_listing_find_stored(l, n->stored)) &&
		    bsfs_path_join(path, dir, n->stored) == 0)
			bsfs_problem_clear(s->stats, path);
	}
}

int bsfs_is_racy(const struct timespec *mtime)
{
	struct timespec now;
	int64_t age;

	clock_gettime(CLOCK_REALTIME, &now);
	age = (now.tv_sec - mtime->tv_sec) * INT64_C(1000000000) +
	      (now.tv_nsec - mtime->tv_nsec);
	return age < (mtime->tv_nsec ? TICK_NS : COARSE_NS);
}

/* NULL: out of memory. */
static struct bsfs_name *add_name(struct bsfs_listing *l, const char *stored)
{
	struct bsfs_name *n;

	if (l->n_names == l->n_allocated) {
		size_t more = l->n_allocated ? l->n_allocated * 2 : 64;

		n = reallocarray(l->names, more, sizeof(*n));
		if (!n)
			return NULL;
		l->names = n;
		l->n_allocated = more;
	}
	n = &l->names[l->n_names];
	memset(n, 0, sizeof(*n));
	n->stored = strdup(stored);
	if (!n->stored)
		return NULL;
	n->shown = n->stored;
	l->n_names++;
	return n;
}

static int add_entry(struct bsfs_listing *l, const struct dirent *d)
{
	struct bsfs_name *n = add_name(l, d->d_name);

	if (!n)
		return -ENOMEM;
	n->ino = d->d_ino;
	n->d_type = d->d_type;
	return 0;
}

static int is_shown(const struct bsfs_session *s, const char *dir,
		    const char *name)
{
	if (strcmp(dir, ".") != 0 || strcmp(name, BSFS_CONTROL_NAME) != 0)
		return 1;
	bsfs_problem(s->stats, name,
		     "hidden, because the mount has a directory of that name");
	return 0;
}

/* In order of inode numbers, which is about that on the disk: twice as fast as
 * the directory's own where nothing is cached. */
static int compare_inodes(const void *a, const void *b)
{
	const struct bsfs_name *x = a, *y = b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int is_late(const struct bsfs_session *s)
{
	return s->deadline_ns && now_ns() >= s->deadline_ns;
}

static int may_be_container(const struct bsfs_name *n)
{
	return store_extension(n->stored) &&
	       (n->d_type == DT_REG || n->d_type == DT_UNKNOWN);
}

/* Let the kernel begin to read the next superblocks, so that the disk has more
 * than one to do at a time: 10,000 cold ones in 0.3 s instead of 0.8. */
static void announce(const struct bsfs_listing *old,
		     const struct bsfs_listing *l, size_t i, int dir_fd)
{
	size_t end = i + ANNOUNCED < l->n_names ? i + ANNOUNCED : l->n_names;

	for (; i < end; i++) {
		const char *stored = l->names[i].stored;
		int fd;

		if (!may_be_container(&l->names[i]) ||
		    (old && bsfs_listing_find_stored(old, stored)))
			continue;
		fd = openat(dir_fd, stored,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd < 0)
			continue;
		posix_fadvise(fd, 0, SUPERBLOCK_LEN, POSIX_FADV_WILLNEED);
		close(fd);
	}
}

static void find_shards(const struct bsfs_session *s, const char *path,
			int dir_fd, const struct bsfs_listing *old,
			struct shards *ret)
{
	const struct bsfs_name *known = NULL;
	struct bsfs_identity now = { 0 };
	char name[PATH_MAX];
	struct stat st;

	memset(ret, 0, sizeof(*ret));
	if (old)
		known = bsfs_listing_find_stored(old, BS_INDEX_NAME);
	if (fstatat(dir_fd, BS_INDEX_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode)) {
		ret->has_changed = known != NULL;
		return;
	}
	ret->has_json = 1;
	now = bsfs_identity_of(&st);
	ret->has_changed = !known ||
			   !bsfs_identity_equal(&known->identity, &now);
	if (bsfs_path_join(name, path, BS_INDEX_NAME) == 0)
		ret->index = bsfs_index_beside(s, name);
}

/* What the containers among the entries are; 'fd' is their directory. */
static int name_containers(struct bsfs_session *s, const char *path, int fd,
			   const struct bsfs_listing *old,
			   struct bsfs_listing *l)
{
	struct shards shards;
	int err = 0;
	size_t i;

	if (l->n_names)
		qsort(l->names, l->n_names, sizeof(*l->names), compare_inodes);
	find_shards(s, path, fd, old, &shards);
	for (i = 0; !err && i < l->n_names; i++) {
		struct bsfs_name *n = &l->names[i];

		if (i % ANNOUNCED == 0)
			announce(old, l, i, fd);
		if (!may_be_container(n))
			continue;
		l->is_partial = is_late(s);
		if (l->is_partial)
			break;
		err = name_candidate(s, path, fd, old, &shards, n);
	}
	bs_index_free(shards.index);
	return err;
}

static int read_entries(struct bsfs_session *s, const char *path, int is_raw,
			DIR *dir, struct bsfs_listing *l)
{
	struct dirent *d;
	int err = 0;

	while (!err) {
		/* Looking at the clock costs more than an entry. */
		if (l->n_names % 256 == 0 && is_late(s)) {
			l->is_partial = 1;
			return 0;
		}
		errno = 0;
		d = readdir(dir);
		if (!d)
			return -errno;
		if (strcmp(d->d_name, ".") != 0 &&
		    strcmp(d->d_name, "..") != 0 &&
		    (is_raw || is_shown(s, path, d->d_name)))
			err = add_entry(l, d);
	}
	return err;
}

/* ---- 4-bit tensors -------------------------------------------------------- */

/* Which files of a tokenizer are shown here. */
static uint32_t links_in(const struct bsfs_listing *l)
{
	uint32_t links = 0;
	const char *name;
	unsigned k;
	size_t i;

	for (i = 0; i < l->n_names; i++)
		for (k = 0; (name = bs_int4_link(k)) != NULL; k++)
			if (!strcmp(l->names[i].shown, name))
				links |= UINT32_C(1) << k;
	return links;
}

/* The directory that 'names[i]' of the directory at 'path' shows besides. */
static int add_int4(struct bsfs_session *s, const char *path,
		    struct bsfs_listing *l, size_t i, uint32_t links)
{
	const struct bsfs_name *of = &l->names[i];
	size_t stem = (size_t)(strrchr(of->stored, '.') - of->stored);
	char *shown = malloc(stem + sizeof(BS_INT4_SUFFIX)), file[PATH_MAX];
	struct bsfs_name *n;

	if (!shown)
		return -ENOMEM;
	memcpy(shown, of->stored, stem);
	strcpy(shown + stem, BS_INT4_SUFFIX);
	if (!is_file_name(shown) ||
	    bsfs_path_join(file, path, of->stored) != 0) {
		free(shown);
		return 0;
	}
	n = add_name(l, of->stored);
	if (!n) {
		free(shown);
		return -ENOMEM;
	}
	of = &l->names[i]; /* they may have moved */
	n->shown = shown;
	n->what = BSFS_BUNDLE_DIR;
	n->d_type = DT_DIR;
	n->ino = of->ino;
	n->identity = of->identity;
	n->identity.int4 = links << 1 | 1;
	n->identity.config = bsfs_int4_config(s, file);
	n->is_int4 = 1;
	l->n_int4++;
	n->size = of->size;
	n->mtime_ns = of->mtime_ns;
	n->mode = 0755;
	return 0;
}

static int add_all_int4(struct bsfs_session *s, const char *path,
			struct bsfs_listing *l)
{
	size_t n = l->n_names, i;
	uint32_t links = 0;
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		if (l->names[i].what != BSFS_MEMBER || !l->names[i].n_int4)
			continue;
		links = links ? links : links_in(l);
		err = add_int4(s, path, l, i, links);
	}
	return err;
}

static void prefer(const struct bsfs_session *s, const char *path,
		   struct bsfs_listing *l)
{
	const char *name = s->opt ? s->opt->preferred : NULL;
	size_t i;

	for (i = 0; name && !strcmp(path, ".") && i < l->n_names; i++)
		l->names[i].is_preferred = !strcmp(l->names[i].stored, name);
}

/* Sort, and settle who is shown. */
static int arrange(struct bsfs_session *s, const char *path,
		   const struct bsfs_listing *old, struct bsfs_listing *l)
{
	int err;

	prefer(s, path, l);
	if (l->n_names)
		qsort(l->names, l->n_names, sizeof(*l->names), compare_names);
	err = index_by_stored(l);
	if (err)
		return err;
	clear_problems(s, path, old, l);
	hide_clashes(s, path, l);
	/* Entries have moved. */
	free(l->by_stored);
	return index_by_stored(l);
}

int bsfs_listing_read(struct bsfs_session *s, const char *path, int is_raw,
		      const struct bsfs_listing *old, struct bsfs_listing **ret)
{
	struct bsfs_listing *l = calloc(1, sizeof(*l));
	struct stat st;
	DIR *dir = NULL;
	int fd, err;

	if (!l)
		return -ENOMEM;
	l->n_refs = 1;
	fd = bsfs_store_open(s, path, O_RDONLY | O_DIRECTORY);
	err = fd < 0 ? fd : fstat(fd, &st) != 0 ? -errno : 0;
	if (!err) {
		dir = fdopendir(fd);
		err = dir ? 0 : -errno;
	}
	if (err) {
		if (fd >= 0)
			close(fd);
		goto out;
	}
	l->identity = bsfs_identity_of(&st);
	l->is_racy = bsfs_is_racy(&st.st_mtim);
	err = read_entries(s, path, is_raw, dir, l);
	if (!err && !is_raw)
		err = name_containers(s, path, fd, old, l);
	if (!err && !is_raw)
		err = add_all_int4(s, path, l);
	if (!err)
		err = arrange(s, path, old, l);
out:
	if (dir)
		closedir(dir);
	if (err) {
		bsfs_listing_put(l);
		return err;
	}
	*ret = l;
	return 0;
}

static int compare_to_shown(const void *key, const void *name)
{
	const struct bsfs_name *n = name;

	return strcmp(key, n->shown);
}

const struct bsfs_name *bsfs_listing_find(const struct bsfs_listing *l,
					  const char *name)
{
	if (!l->n_names)
		return NULL;
	return bsearch(name, l->names, l->n_names, sizeof(*l->names),
		       compare_to_shown);
}

static int compare_to_stored(const void *key, const void *name)
{
	const struct bsfs_name *const *n = name;

	return strcmp(key, (*n)->stored);
}

const struct bsfs_name *bsfs_listing_find_stored(const struct bsfs_listing *l,
						 const char *stored)
{
	struct bsfs_name **n = bsearch(stored, l->by_stored, l->n_stored,
				       sizeof(*l->by_stored),
				       compare_to_stored);

	return n ? *n : NULL;
}

/* ---- The summary --------------------------------------------------------- */

static void summarise_dir(struct bsfs_session *s, const char *path,
			  unsigned depth, struct bsfs_summary *sum,
			  size_t *n_seen)
{
	struct bsfs_listing *l;
	char sub[PATH_MAX];
	size_t i;

	if (depth > SUMMARY_DEPTH || is_late(s)) {
		sum->is_partial = 1;
		return;
	}
	if (bsfs_listing_read(s, path, 0, NULL, &l) != 0)
		return;
	sum->is_partial |= l->is_partial;
	for (i = 0; i < l->n_names; i++) {
		const struct bsfs_name *n = &l->names[i];

		if (++*n_seen > SUMMARY_MAX) {
			sum->is_partial = 1;
			break;
		}
		if (n->is_int4) {
			sum->n_int4++;
			continue;
		}
		if (n->what == BSFS_MEMBER || n->what == BSFS_BUNDLE_DIR) {
			sum->n_models++;
			sum->shown_len += n->size;
			sum->stored_len += (uint64_t)n->identity.size;
		} else if (n->what == BSFS_PLAIN && n->d_type == DT_DIR &&
			   bsfs_path_join(sub, path, n->stored) == 0) {
			summarise_dir(s, sub, depth + 1, sum, n_seen);
		}
	}
	bsfs_listing_put(l);
}

void bsfs_summarise(int store_fd, unsigned max_ms, struct bsfs_summary *ret,
		    char **ret_problems)
{
	struct bsfs_session s = {
		.store_fd = store_fd,
		.deadline_ns = now_ns() + (uint64_t)max_ms * 1000000,
		.stats = bsfs_stats_new(),
	};
	size_t n_seen = 0, len;

	memset(ret, 0, sizeof(*ret));
	*ret_problems = NULL;
	if (!s.stats)
		return;
	summarise_dir(&s, ".", 0, ret, &n_seen);
	ret->n_problems = bsfs_n_problems(s.stats);
	*ret_problems = bsfs_problems_text(s.stats, &len);
	bsfs_stats_free(s.stats);
}

void bsfs_survey(struct bsfs_session *s)
{
	struct bsfs_summary sum = { 0 };
	size_t n_seen = 0;

	if (__atomic_load_n(&s->is_surveyed, __ATOMIC_RELAXED))
		return;
	summarise_dir(s, ".", 0, &sum, &n_seen);
	__atomic_store_n(&s->is_surveyed, 1, __ATOMIC_RELAXED);
}
