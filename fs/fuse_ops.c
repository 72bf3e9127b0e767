/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse_ops.c - libfuse's operations: unpack, call, reply
 *
 * Pages stay in the kernel's cache when a file is closed (keep_cache), since
 * an inode is one version of a file.  Nothing is opened for direct I/O but the
 * control files, whose length is not known beforehand: mmap of a file opened
 * so drops the cache, and loaders map.
 *
 * INTERRUPT is ignored: a claimed chunk is finished, others may wait for it.
 */

#include "fuse_ops.h"

#include "bundle.h"
#include "decode.h"
#include "inode.h"
#include "passthrough.h"
#include "prefetch.h"
#include "resident.h"
#include "stats.h"
#include "store.h"
#include "tree.h"
#include "vfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* Requests that the kernel may have waiting: its default of 12 stalls parallel
 * loaders.  At least so many, and for each thread. */
#define BACKGROUND_MIN 64
#define BACKGROUND_PER_THREAD 4

/* An open file or directory: one of the kinds, or none for .bigsmall. */
struct bsfs_handle {
	struct bsfs_handle *next, *prev; /* protected by s->handles_lock */
	/* Held: the kernel may forget it before it is heard that it closed. */
	struct bsfs_inode *inode;
	struct bsfs_vfile *vfile; /* what a container holds: a reference */
	struct bsfs_reader *reader; /* likewise; NULL: it is not read ahead */
	struct bsfs_resident_file *resident; /* likewise; or NULL */
	int backing; /* > 0: the kernel reads it */
	struct bs_member member; /* and if it is a file; borrows of the above */
	struct bsfs_bundle_dir dir; /* or if it is a directory in a bundle */
	struct bsfs_listing *listing; /* a store's directory: a reference */
	int fd; /* a file of the store, or -1 */
	char *text; /* a control file: owned */
	size_t text_len;
};

static struct bsfs_session *session_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* The same for what a program asked, which keeps an idle mount alive. */
static struct bsfs_session *use_session(fuse_req_t req)
{
	struct bsfs_session *s = session_of(req);

	__atomic_fetch_add(&s->n_uses, 1, __ATOMIC_RELAXED);
	return s;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct bsfs_session *s = userdata;
	unsigned background = s->opt->n_threads * BACKGROUND_PER_THREAD;

	if (background < BACKGROUND_MIN)
		background = BACKGROUND_MIN;
	conn->want |= conn->capable &
		      (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
		       FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS);
	conn->want &=
		~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
			    FUSE_CAP_SPLICE_MOVE | FUSE_CAP_AUTO_INVAL_DATA);
	/* The longest read follows from the longest write, though there are
	 * none. */
	conn->max_write = BSFS_READ_MAX;
	conn->max_read = s->opt->max_read && s->opt->max_read < BSFS_READ_MAX
				 ? s->opt->max_read
				 : BSFS_READ_MAX;
	/* The kernel takes the less of this and its own 128 KiB, which
	 * session.c raises. */
	conn->max_readahead = s->opt->read_ahead ? s->opt->read_ahead
						 : BSFS_READ_MAX;
	conn->max_background = background;
	conn->congestion_threshold = background * 3 / 4;
	conn->time_gran = 1;
	if (s->resident)
		bsfs_passthrough_init(s);
	bsfs_session_ready(s);
}

/* ---- Handles ------------------------------------------------------------- */

static struct bsfs_handle *new_handle(struct bsfs_session *s,
				      struct bsfs_inode *n)
{
	struct bsfs_handle *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->fd = -1;
	h->inode = n;
	bsfs_inode_hold(s, n, 1);
	pthread_mutex_lock(&s->handles_lock);
	h->next = s->handles;
	if (h->next)
		h->next->prev = h;
	s->handles = h;
	pthread_mutex_unlock(&s->handles_lock);
	return h;
}

static void close_handle(struct bsfs_session *s, struct bsfs_handle *h)
{
	pthread_mutex_lock(&s->handles_lock);
	if (h->prev)
		h->prev->next = h->next;
	else
		s->handles = h->next;
	if (h->next)
		h->next->prev = h->prev;
	pthread_mutex_unlock(&s->handles_lock);
	bsfs_reader_close(s, h->reader);
	bsfs_resident_close(s, h->resident, h->backing > 0);
	if (h->vfile)
		bsfs_vfile_put(s, h->vfile);
	if (h->fd >= 0)
		close(h->fd);
	bsfs_listing_put(h->listing);
	bsfs_inode_forget(s, h->inode, 1);
	free(h->text);
	free(h);
}

void bsfs_handles_close(struct bsfs_session *s)
{
	while (s->handles)
		close_handle(s, s->handles);
}

static struct bsfs_handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct bsfs_handle *)(uintptr_t)fi->fh;
}

/* ---- Names --------------------------------------------------------------- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct bsfs_session *s = use_session(req);
	struct fuse_entry_param e = { .generation = 1 };
	struct bsfs_found_inode found;
	int err = bsfs_inode_lookup(s, bsfs_node_of(s, parent), name, &found);

	if (err) {
		fuse_reply_err(req, -err);
		return;
	}
	e.ino = bsfs_node_id(s, found.node);
	e.attr = found.attr;
	e.entry_timeout = found.timeout;
	e.attr_timeout = found.timeout;
	if (fuse_reply_entry(req, &e) == -ENOENT)
		bsfs_inode_forget(s, found.node.inode, 1); /* interrupted */
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n_lookups)
{
	struct bsfs_session *s = session_of(req);

	bsfs_inode_forget(s, bsfs_node_of(s, ino).inode, n_lookups);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t n,
			    struct fuse_forget_data *forgets)
{
	struct bsfs_session *s = session_of(req);
	size_t i;

	for (i = 0; i < n; i++)
		bsfs_inode_forget(s, bsfs_node_of(s, forgets[i].ino).inode,
				  forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct bsfs_session *s = use_session(req);
	struct bsfs_node node = bsfs_node_of(s, ino);
	struct stat st;
	int err = bsfs_inode_getattr(s, node, &st);

	(void)fi; /* the kernel does not say which handle fstat() means */
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_attr(req, &st, bsfs_inode_timeout(s, node.inode));
}

/* 'target' has PATH_MAX bytes. */
static int read_store_link(struct bsfs_session *s, const struct bsfs_inode *n,
			   char *target)
{
	char path[PATH_MAX];
	int len;

	bsfs_inode_path(s, n, path);
	len = bsfs_store_readlink(s, path, target, PATH_MAX);
	if (len == PATH_MAX)
		return -ENAMETOOLONG;
	if (len >= 0)
		target[len] = 0;
	return len < 0 ? len : 0;
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct bsfs_session *s = session_of(req);
	struct bsfs_node node = bsfs_node_of(s, ino);
	char target[PATH_MAX];
	int err;

	if (node.entry)
		err = bsfs_bundle_readlink(s, node, target, sizeof(target));
	else
		err = read_store_link(s, node.inode, target);
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_readlink(req, target);
}

/* ---- Directories --------------------------------------------------------- */

static void op_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct bsfs_session *s = use_session(req);
	struct bsfs_node node = bsfs_node_of(s, ino);
	struct bsfs_handle *h = new_handle(s, node.inode);
	int err = 0;

	if (!h) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (node.inode->type == BSFS_DIR)
		err = bsfs_inode_list(s, node.inode, &h->listing);
	else if (node.inode->type == BSFS_BUNDLE)
		err = bsfs_bundle_opendir(s, node, &h->vfile, &h->dir);
	if (err) {
		close_handle(s, h);
		fuse_reply_err(req, -err);
		return;
	}
	fi->fh = (uintptr_t)h;
	if (fuse_reply_open(req, fi) == -ENOENT)
		close_handle(s, h);
}

/* An entry of a directory: where it is, and where the next may be. */
struct place {
	uint64_t at; /* 0 and 1 are "." and ".." */
	uint64_t next;
	struct stat st; /* its type and number */
	struct bsfs_bundle_entry entry; /* of a bundle, if it has a node */
};

static const char *control_entry(struct bsfs_session *s, struct bsfs_node dir,
				 struct place *p)
{
	static const char *const names[] = { "store", "stats", "problems" };
	struct bsfs_found_inode found;

	if (p->at - 2 >= 3 ||
	    bsfs_inode_lookup(s, dir, names[p->at - 2], &found) != 0)
		return NULL;
	p->st.st_mode = found.attr.st_mode;
	p->st.st_ino = found.attr.st_ino;
	bsfs_inode_forget(s, found.node.inode, 1);
	return names[p->at - 2];
}

/* The name at p->at; NULL: the end. */
static const char *dir_entry(struct bsfs_session *s, struct bsfs_node dir,
			     const struct bsfs_handle *h, struct place *p)
{
	const struct bsfs_listing *l = h->listing;

	memset(&p->st, 0, sizeof(p->st));
	p->st.st_mode = S_IFDIR;
	p->st.st_ino = dir.inode->attr.st_ino;
	p->next = p->at + 1;
	p->entry.node.inode = NULL;
	if (dir.entry)
		p->st.st_ino = bsfs_inode_entry_number(s, dir.inode, dir.entry);
	if (p->at < 2)
		return p->at ? ".." : ".";
	if (h->vfile) {
		if (!bsfs_bundle_next(s, dir.inode, h->vfile, &h->dir,
				      p->at - 2, &p->entry))
			return NULL;
		p->st = p->entry.attr;
		p->next = p->entry.next + 2;
		return p->entry.name;
	}
	if (!l)
		return control_entry(s, dir, p);
	if (p->at - 2 >= l->n_names)
		return NULL;
	p->st.st_mode = DTTOIF(l->names[p->at - 2].d_type);
	p->st.st_ino = bsfs_inode_number(s, dir.inode, &l->names[p->at - 2]);
	return l->names[p->at - 2].shown;
}

/* Add it to the list; the bytes that takes, or would.  'is_plus': with the node
 * that it is, if that is known without a look-up. */
static size_t add_entry(fuse_req_t req, char *buf, size_t len, const char *name,
			const struct place *p, int is_plus)
{
	struct fuse_entry_param e = { .generation = 1, .attr = p->st };
	struct bsfs_node node = p->entry.node;

	if (!is_plus)
		return fuse_add_direntry(req, buf, len, name, &p->st,
					 (off_t)p->next);
	if (node.inode) {
		e.ino = bsfs_node_id(session_of(req), node);
		e.entry_timeout = node.inode->timeout;
		e.attr_timeout = node.inode->timeout;
	}
	return fuse_add_direntry_plus(req, buf, len, name, &e, (off_t)p->next);
}

static void read_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		     const struct fuse_file_info *fi, int is_plus)
{
	struct bsfs_session *s = session_of(req);
	struct bsfs_node dir = bsfs_node_of(s, ino);
	const struct bsfs_handle *h = handle_of(fi);
	struct place p = { .at = (uint64_t)off };
	char *buf = malloc(size);
	uint64_t n_lookups = 0;
	size_t len = 0;
	const char *name;

	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	while ((name = dir_entry(s, dir, h, &p)) != NULL) {
		size_t n = add_entry(req, buf + len, size - len, name, &p,
				     is_plus);

		if (n > size - len)
			break;
		len += n;
		n_lookups += is_plus && p.entry.node.inode;
		p.at = p.next;
	}
	/* All are entries of one bundle; the kernel may forget them as soon as
	 * it has the answer. */
	bsfs_inode_hold(s, dir.inode, n_lookups);
	if (fuse_reply_buf(req, buf, len) == -ENOENT)
		bsfs_inode_forget(s, dir.inode, n_lookups);
	free(buf);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	read_dir(req, ino, size, off, fi, 0);
}

/* The kernel asks for this when it sees that each entry is looked up. */
static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	read_dir(req, ino, size, off, fi, 1);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino,
			  struct fuse_file_info *fi)
{
	(void)ino;
	close_handle(session_of(req), handle_of(fi));
	fuse_reply_err(req, 0);
}

/* ---- Files --------------------------------------------------------------- */

/* Open a file that is shown as it is, if it is still the same. */
static int open_plain(struct bsfs_session *s, const struct bsfs_inode *n,
		      struct bsfs_handle *h)
{
	struct bsfs_identity now;
	char path[PATH_MAX];
	struct stat st;

	bsfs_inode_path(s, n, path);
	h->fd = bsfs_store_open(s, path, O_RDONLY);
	if (h->fd < 0)
		return h->fd == -ENOENT || h->fd == -ELOOP ? -ESTALE : h->fd;
	if (fstat(h->fd, &st) != 0)
		return -errno;
	now = bsfs_identity_of(&st);
	return bsfs_identity_equal(&now, &n->identity) ? 0 : -ESTALE;
}

/*
 * Whether pages of an earlier open are good.  A file whose times lie in the last
 * seconds may change without changing them, so what was read then is dropped by
 * the first open after.  (The mtime can be set; the ctime cannot.)
 */
static int is_settled(struct bsfs_inode *n)
{
	if (time(NULL) - n->identity.ctime.tv_sec <= 2)
		return 0;
	return __atomic_exchange_n(&n->was_settled, 1, __ATOMIC_RELAXED);
}

static int open_model(struct bsfs_session *s, const struct bsfs_inode *n,
		      struct bsfs_handle *h)
{
	char path[PATH_MAX];
	int err;

	bsfs_inode_path(s, n, path);
	err = bsfs_vfile_get(s, path, &n->identity, &h->vfile);

	if (err)
		return err;
	/* It changed without a new time since its name was read. */
	if (bs_archive_summary(h->vfile->ar)->is_bundle)
		return -EIO;
	bs_archive_member(h->vfile->ar, 0, &h->member);
	return 0;
}

static int open_handle(struct bsfs_session *s, struct bsfs_node node,
		       struct bsfs_handle *h, struct fuse_file_info *fi)
{
	struct bsfs_inode *n = node.inode;
	int err;

	fi->noflush = 1;
	switch (n->type) {
	case BSFS_MODEL_FILE:
	case BSFS_BUNDLE:
		fi->keep_cache = 1;
		err = n->type == BSFS_BUNDLE
			      ? bsfs_bundle_open(s, node, &h->vfile, &h->member)
			      : open_model(s, n, h);
		if (!err)
			h->backing = bsfs_resident_open(s, h->vfile, &h->member,
							node.entry,
							&h->resident);
		if (!err && !h->backing)
			h->reader =
				bsfs_reader_open(s, node, h->vfile, &h->member);
		return err;
	case BSFS_FILE:
		fi->keep_cache = is_settled(n);
		return open_plain(s, n, h);
	case BSFS_STATS_FILE:
		fi->direct_io = 1;
		h->text = bsfs_stats_text(s, &h->text_len);
		return h->text ? 0 : -ENOMEM;
	case BSFS_PROBLEMS_FILE:
		fi->direct_io = 1;
		bsfs_survey(s);
		h->text = bsfs_problems_text(s->stats, &h->text_len);
		return h->text ? 0 : -ENOMEM;
	default:
		return -EISDIR;
	}
}

static void count_open(struct bsfs_session *s, struct bsfs_inode *n, int by)
{
	__atomic_fetch_add(&n->n_open, (unsigned)by, __ATOMIC_RELAXED);
	bsfs_count(s->stats, BSFS_N_OPEN_FILES, by);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct bsfs_session *s = use_session(req);
	struct bsfs_node node = bsfs_node_of(s, ino);
	struct bsfs_handle *h = new_handle(s, node.inode);
	int err;

	if (!h) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	err = open_handle(s, node, h, fi);
	if (err) {
		if (err == -ESTALE)
			bsfs_count(s->stats, BSFS_N_STALE, 1);
		close_handle(s, h);
		fuse_reply_err(req, -err);
		return;
	}
	count_open(s, node.inode, 1);
	fi->fh = (uintptr_t)h;
	if (h->backing)
		err = bsfs_reply_open_backed(req, fi, h->backing);
	else
		err = fuse_reply_open(req, fi);
	if (err == -ENOENT) {
		count_open(s, node.inode, -1);
		close_handle(s, h);
	}
}

static void op_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct bsfs_session *s = session_of(req);
	struct bsfs_handle *h = handle_of(fi);

	(void)ino;
	count_open(s, h->inode, -1);
	close_handle(s, h);
	fuse_reply_err(req, 0);
}

static void reply_error(fuse_req_t req, int err)
{
	bsfs_count(session_of(req)->stats, BSFS_N_READ_ERRORS, 1);
	fuse_reply_err(req, -err);
}

static void read_model(fuse_req_t req, const struct bsfs_handle *h,
		       uint64_t off, size_t size, int is_direct)
{
	struct bsfs_session *s = session_of(req);
	struct bsfs_worker *w;
	int err;

	if (off >= h->member.size) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	if (size > h->member.size - off)
		size = (size_t)(h->member.size - off);
	bsfs_reader_note(s, h->reader, off, size, is_direct);
	w = bsfs_worker_get(s);
	err = bsfs_worker_read(w, h->vfile, &h->member, off, size, is_direct);
	/* The reply may be what its reader waits for to close the file. */
	if (w->loader.n_again)
		bsfs_reader_again(s, h->reader, off);
	if (err) {
		reply_error(req, err);
	} else {
		bsfs_count(s->stats, BSFS_N_READ_BYTES, (int64_t)size);
		fuse_reply_iov(req, w->iov, (int)w->n_iov);
	}
	bsfs_worker_put(w);
}

static void read_plain(fuse_req_t req, int fd, uint64_t off, size_t size)
{
	struct bsfs_session *s = session_of(req);
	struct bsfs_worker *w = bsfs_worker_get(s);
	int err = bsfs_worker_pread(w, fd, off, size);

	if (err) {
		reply_error(req, err);
	} else {
		bsfs_count(s->stats, BSFS_N_READ_BYTES,
			   (int64_t)w->iov[0].iov_len);
		fuse_reply_iov(req, w->iov, (int)w->n_iov);
	}
	bsfs_worker_put(w);
}

/* From a copy: the reader may close the file, and so free the text, before the
 * system call that replies has returned. */
static void read_text(fuse_req_t req, const struct bsfs_handle *h, size_t off,
		      size_t size)
{
	char *copy;

	if (off > h->text_len)
		off = h->text_len;
	if (size > h->text_len - off)
		size = h->text_len - off;
	copy = malloc(size + 1);
	if (!copy) {
		reply_error(req, -ENOMEM);
		return;
	}
	memcpy(copy, h->text + off, size);
	fuse_reply_buf(req, copy, size);
	free(copy);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	const struct bsfs_handle *h = handle_of(fi);

	(void)ino;
	bsfs_count(session_of(req)->stats, BSFS_N_READS, 1);
	if (size > BSFS_READ_MAX)
		size = BSFS_READ_MAX; /* never: INIT said so */
	if (h->vfile)
		read_model(req, h, (uint64_t)off, size,
			   (fi->flags & O_DIRECT) != 0);
	else if (h->fd >= 0)
		read_plain(req, h->fd, (uint64_t)off, size);
	else
		read_text(req, h, (size_t)off, size);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	(void)ino;
	if (fstatvfs(session_of(req)->store_fd, &st) != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statfs(req, &st);
}

const struct fuse_lowlevel_ops bsfs_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.open = op_open,
	.read = op_read,
	.release = op_release,
	.statfs = op_statfs,
};
