/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfile.h - open containers, and where the bytes of a file in one stand
 */

#ifndef BSFS_VFILE_H
#define BSFS_VFILE_H

#include "bigsmall.h"
#include "fs.h"

/* The alignment of direct reads: the largest that disks ask for. */
#define BSFS_DIRECT_ALIGN 4096u

/* An open container: immutable but for what vfile.c guards. */
struct bsfs_vfile {
	struct bsfs_vfile *next; /* protected by vfiles->lock */
	unsigned n_users; /* likewise */
	uint64_t last_use; /* likewise */
	int is_opening; /* likewise: not to be touched yet */
	int err; /* 0 or -errno: of opening it, once it has ended */
	uint64_t id; /* of its cache entries; never used again */
	struct bsfs_identity identity;
	char *path; /* in the store, for people; owned */
	int fd;
	int direct_fd; /* -1: the file system cannot */
	struct bs_source source;
	struct bs_archive *ar; /* owned */
	/* A bit a chunk: it was decoded; it was reported as bad.  Owned. */
	unsigned char *decoded;
	unsigned char *reported;
	/* The files that its hard links stand for, a number for each link,
	 * sorted; owned.  NULL: it has none. */
	uint32_t *links;
	size_t n_links;
	size_t mem; /* what all this takes: the cache's budget pays for it */
};

/* What the chunks of a request may take while it is answered: those of a
 * BSFS_READ_MAX, wherever it begins. */
#define BSFS_PINNED_MAX ((size_t)2 << 20)

/* Part of a request that one chunk answers. */
struct bsfs_piece {
	uint64_t chunk;
	uint64_t blob;
	uint32_t skip; /* bytes of the chunk before it */
	uint32_t len;
	uint32_t raw_len; /* of the chunk */
};

/* NULL: out of memory. */
struct bsfs_vfiles *bsfs_vfiles_new(void);

/* Close all containers and free s->vfiles, which may be NULL. */
void bsfs_vfiles_free(struct bsfs_session *s);

/*
 * Open the container at 'path' (relative to the store) if it still is the one
 * of 'identity': 0 and *ret has one user more; else *ret is not touched: -ESTALE
 * if it is not, or another -errno, noted as a problem.
 */
int bsfs_vfile_get(struct bsfs_session *s, const char *path,
		   const struct bsfs_identity *identity,
		   struct bsfs_vfile **ret);
/* One user more of one that has some. */
void bsfs_vfile_hold(struct bsfs_session *s, struct bsfs_vfile *f);
void bsfs_vfile_put(struct bsfs_session *s, struct bsfs_vfile *f);

/* The container of that identity if somebody uses it, by whatever name or none:
 * it has one user more.  Or NULL. */
struct bsfs_vfile *bsfs_vfile_in_use(struct bsfs_session *s,
				     const struct bsfs_identity *identity);

/* Close what nobody uses and is deleted, or too much to keep. */
void bsfs_vfiles_tidy(struct bsfs_session *s);

/* The superblock of an open descriptor, of a file of 'size' bytes; 'is_index' and
 * 'index' as a source has them. */
enum bs_result bsfs_peek(int fd, uint64_t size, int is_index,
			 const struct bs_index *index, struct bs_summary *ret,
			 struct bs_error *err);

/* The index of the directory of the store file 'path', or NULL: there is none that
 * can be read.  The caller frees it. */
struct bs_index *bsfs_index_beside(const struct bsfs_session *s,
				   const char *path);

/*
 * Cut [off, off + len) of the file 'm', which lies within its size, into pieces:
 * up to 'max' of them, and no more than BSFS_PINNED_MAX bytes of chunks; returns
 * how many and in *ret_len the bytes they cover.
 */
unsigned bsfs_vfile_cut(const struct bsfs_vfile *f, const struct bs_member *m,
			uint64_t off, size_t len, struct bsfs_piece *ret,
			unsigned max, size_t *ret_len);

/* Set the bit of 'chunk' in one of the above, atomically; 1 if it was set. */
int bsfs_vfile_mark(unsigned char *bits, uint64_t chunk);

/* Whether it is set. */
int bsfs_vfile_is_marked(const unsigned char *bits, uint64_t chunk);

#endif /* BSFS_VFILE_H */
