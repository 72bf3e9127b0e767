/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle.c - what is in a bundle: a container that shows as a directory
 *
 * An entry is a number in its container, and nothing in memory: its name, its
 * attributes and its neighbours are looked up in the container's directory,
 * which is sorted.  So 100,000 names that the kernel knows cost nothing here
 * but that directory, and it can be dropped and read again (vfile.c).
 *
 * Every look at an entry first compares the container's file in the store with
 * the one that the inode stands for (bsfs_vfile_get()), so names and numbers of
 * two versions do not mix.
 *
 * A hard link is the file that it stands for, under another name.
 */

#include "bundle.h"

#include "store.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static_assert(NAME_MAX == 255, "a component of a name fits, and no more");

/* The container, open; *ret is not touched where that fails. */
static int get(struct bsfs_session *s, const struct bsfs_inode *n,
	       struct bsfs_vfile **ret)
{
	struct bsfs_vfile *f;
	char path[PATH_MAX];
	int err;

	bsfs_inode_path(s, n, path);
	err = bsfs_vfile_get(s, path, &n->identity, &f);
	if (err)
		return err;
	if (!bs_archive_summary(f->ar)->is_bundle) {
		/* It changed without a new time since its name was read. */
		bsfs_vfile_put(s, f);
		return -EIO;
	}
	*ret = f;
	return 0;
}

/* The container and the member of 'node', which must be of 'type'; likewise. */
static int get_member(struct bsfs_session *s, struct bsfs_node node,
		      enum bs_member_type type, int type_err,
		      struct bsfs_vfile **ret, struct bs_member *m)
{
	struct bsfs_vfile *f;
	int err = get(s, node.inode, &f);

	if (err)
		return err;
	if (node.entry > bs_archive_n_members(f->ar)) {
		err = -EIO;
	} else if (node.entry) {
		bs_archive_member(f->ar, node.entry - 1, m);
		err = m->type == type ? 0 : type_err;
	} else if (type != BS_MEMBER_DIR) {
		err = type_err;
	} else {
		*m = (struct bs_member){ .type = BS_MEMBER_DIR, .name = "" };
	}
	if (err)
		bsfs_vfile_put(s, f);
	else
		*ret = f;
	return err;
}

/* ---- Attributes ---------------------------------------------------------- */

/* The number of the file that member 'i' is: itself, unless it is a hard link;
 * *ret is the file's. */
static uint64_t resolve(const struct bsfs_vfile *f, uint64_t i,
			struct bs_member *ret)
{
	bs_archive_member(f->ar, i, ret);
	if (ret->type != BS_MEMBER_HARDLINK)
		return i;
	i = bs_archive_find(f->ar, ret->target, ret->target_len);
	bs_archive_member(f->ar, i, ret);
	return i;
}

/* How many links of f->links are numbers below 'no'. */
static size_t count_below(const struct bsfs_vfile *f, uint64_t no)
{
	size_t lo = 0, hi = f->n_links;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->links[mid] < no)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * What file 'i' has of the container's blocks: as much as it has of the bytes,
 * so that du shows what is saved.  Small files have less than a block each;
 * what is rounded up and what down is spread by the golden ratio, so that the
 * sum is right.
 */
static blkcnt_t share_of(const struct bsfs_inode *n, uint64_t i, uint64_t size,
			 uint64_t total)
{
	uint64_t fraction = i * UINT64_C(0x9e3779b97f4a7c15);
	unsigned __int128 part;

	if (!total)
		return 0;
	part = (unsigned __int128)n->stored_blocks * size;
	part += (unsigned __int128)fraction * total >> 64;
	return (blkcnt_t)(part / total);
}

/* What stat() shows of member 'i', which is no hard link. */
static void show(const struct bsfs_session *s, const struct bsfs_inode *n,
		 const struct bsfs_vfile *f, uint64_t i,
		 const struct bs_member *m, struct stat *st)
{
	*st = n->attr; /* whose it is, and the times that are not stored */
	st->st_ino = bsfs_inode_entry_number(s, n, i + 1);
	st->st_nlink = 1;
	st->st_size = (off_t)m->size;
	st->st_blocks = 0;
	if (!n->identity.int4) /* else the container's own */
		st->st_mtim = bsfs_timespec_of(m->mtime_ns);
	switch (m->type) {
	case BS_MEMBER_DIR:
		st->st_mode = bsfs_dir_mode(m->mode, n->stored_mode);
		break;
	case BS_MEMBER_SYMLINK:
		st->st_mode = S_IFLNK | 0777;
		st->st_size = (off_t)m->target_len;
		break;
	default:
		st->st_mode = bsfs_file_mode(m->mode, n->stored_mode);
		st->st_nlink +=
			(nlink_t)(count_below(f, i + 1) - count_below(f, i));
		st->st_blksize = BSFS_MODEL_BLKSIZE;
		st->st_blocks = share_of(n, i, m->size,
					 bs_archive_summary(f->ar)->size);
	}
}

int bsfs_bundle_getattr(struct bsfs_session *s, struct bsfs_node node,
			struct stat *ret)
{
	const struct bsfs_inode *n = node.inode;
	struct bsfs_vfile *f = NULL;
	char path[PATH_MAX];
	int err;

	*ret = n->attr;
	if (node.entry) {
		err = get(s, n, &f);
	} else {
		/* The superblock said it all. */
		bsfs_inode_path(s, n, path);
		err = bsfs_store_compare(s, path, &n->identity);
	}
	/* Who has a file of it open goes on seeing what was opened. */
	if (err == -ESTALE) {
		f = bsfs_vfile_in_use(s, &n->identity);
		err = f ? 0 : err;
	}
	if (!err && node.entry) {
		struct bs_member m;

		if (node.entry > bs_archive_n_members(f->ar)) {
			err = -EIO;
		} else {
			uint64_t i = resolve(f, node.entry - 1, &m);

			show(s, n, f, i, &m, ret);
		}
	}
	if (f)
		bsfs_vfile_put(s, f);
	return err;
}

/* ---- Names --------------------------------------------------------------- */

/* The number of the member 'name' of 'dir'. */
static int find_child(const struct bsfs_vfile *f, const struct bs_member *dir,
		      const char *name, uint64_t *ret)
{
	size_t len = dir->name_len, name_len = strlen(name);
	char path[PATH_MAX + 1 + NAME_MAX];

	if (name_len > NAME_MAX || len > PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(path, dir->name, len);
	if (len)
		path[len++] = '/';
	memcpy(path + len, name, name_len);
	*ret = bs_archive_find(f->ar, path, len + name_len);
	return *ret < bs_archive_n_members(f->ar) ? 0 : -ENOENT;
}

int bsfs_bundle_lookup(struct bsfs_session *s, struct bsfs_node node,
		       const char *name, struct bsfs_found_inode *ret)
{
	struct bsfs_vfile *f;
	struct bs_member m;
	uint64_t i;
	int err;

	err = get_member(s, node, BS_MEMBER_DIR, -ENOTDIR, &f, &m);
	if (err)
		return err;
	err = find_child(f, &m, name, &i);
	if (!err) {
		i = resolve(f, i, &m);
		show(s, node.inode, f, i, &m, &ret->attr);
		ret->node.inode = node.inode;
		ret->node.entry = i + 1;
		ret->timeout = node.inode->timeout;
	}
	bsfs_vfile_put(s, f);
	return err;
}

int bsfs_bundle_readlink(struct bsfs_session *s, struct bsfs_node node,
			 char *buf, size_t len)
{
	struct bsfs_vfile *f;
	struct bs_member m;
	int err;

	err = get_member(s, node, BS_MEMBER_SYMLINK, -EINVAL, &f, &m);
	if (err)
		return err;
	if (m.target_len < len) {
		memcpy(buf, m.target, m.target_len);
		buf[m.target_len] = 0;
	} else {
		err = -ENAMETOOLONG;
	}
	bsfs_vfile_put(s, f);
	return err;
}

/* ---- What is open -------------------------------------------------------- */

int bsfs_bundle_open(struct bsfs_session *s, struct bsfs_node node,
		     struct bsfs_vfile **ret, struct bs_member *ret_member)
{
	return get_member(s, node, BS_MEMBER_FILE, -EISDIR, ret, ret_member);
}

int bsfs_bundle_opendir(struct bsfs_session *s, struct bsfs_node node,
			struct bsfs_vfile **ret,
			struct bsfs_bundle_dir *ret_dir)
{
	struct bs_member m;
	int err = get_member(s, node, BS_MEMBER_DIR, -ENOTDIR, ret, &m);

	if (err)
		return err;
	ret_dir->first = node.entry;
	ret_dir->prefix_len = m.name_len ? m.name_len + 1 : 0;
	ret_dir->end = node.entry ? bs_archive_skip((*ret)->ar, node.entry - 1)
				  : bs_archive_n_members((*ret)->ar);
	return 0;
}

int bsfs_bundle_next(const struct bsfs_session *s, struct bsfs_inode *n,
		     const struct bsfs_vfile *f,
		     const struct bsfs_bundle_dir *dir, uint64_t at,
		     struct bsfs_bundle_entry *ret)
{
	struct bs_member m;
	uint64_t i = at > dir->first ? at : dir->first;

	for (; i < dir->end; i++) {
		const char *name;
		size_t len;

		bs_archive_member(f->ar, i, &m);
		name = m.name + dir->prefix_len;
		len = m.name_len - dir->prefix_len;
		/* Deeper: only where a reader sought to a place of its own. */
		if (memchr(name, '/', len))
			continue;
		ret->next = m.type == BS_MEMBER_DIR ? bs_archive_skip(f->ar, i)
						    : i + 1;
		memcpy(ret->name, name, len);
		ret->name[len] = 0;
		i = resolve(f, i, &m);
		show(s, n, f, i, &m, &ret->attr);
		ret->node.inode = n;
		ret->node.entry = i + 1;
		return 1;
	}
	return 0;
}
