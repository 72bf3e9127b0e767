/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - one chunk from the store into the cache, or elsewhere
 */

#ifndef BSFS_LOAD_H
#define BSFS_LOAD_H

#include "cache.h"
#include "fs.h"
#include "vfile.h"

/* What a chunk's stored bytes take, the edges of a direct read with them. */
#define BSFS_STORED_MAX                                                      \
	((BS_CHUNK_STORED_MAX + 3 * BSFS_DIRECT_ALIGN) / BSFS_DIRECT_ALIGN * \
	 BSFS_DIRECT_ALIGN)

/* What loading takes: a ring, and scratch memory.  One thread's. */
struct bsfs_loader {
	struct bsfs_session *s; /* borrowed */
	struct bsfs_uring *uring; /* owned, as are the next two */
	struct bs_workspace *ws;
	uint8_t *stored;
	int is_ahead; /* nobody asked: failures are left to who does */
	unsigned n_again; /* chunks that were decoded before */
	uint64_t bad_chunk; /* of the last failure, or UINT64_MAX */
	char bad_text[240];
};

/* 'stored_len' bytes for stored ones: 0 or -ENOMEM; fini is called either way,
 * and may be called on zeros. */
int bsfs_loader_init(struct bsfs_loader *l, struct bsfs_session *s,
		     size_t stored_len);
void bsfs_loader_fini(struct bsfs_loader *l);

/* A chunk on its way: 'no' is the caller's to set, with the claimed entry or
 * with 'dst'. */
struct bsfs_load {
	struct bsfs_entry *entry;
	uint64_t no;
	struct bs_chunk chunk;
	uint8_t *dst; /* where to decode it */
	size_t stored_at; /* in l->stored: where its read begins */
	size_t read_len;
	uint32_t edge; /* bytes read before the chunk's own */
};

/* Find where the chunk is stored: 0 or -errno, with which to end it. */
int bsfs_load_find(struct bsfs_loader *l, struct bsfs_vfile *f,
		   struct bsfs_load *load);

/* Decide what to read, at 'at' of l->stored, a multiple of BSFS_DIRECT_ALIGN;
 * returns where what is read ends, at most BSFS_STORED_MAX further. */
size_t bsfs_load_place(const struct bsfs_vfile *f, struct bsfs_load *load,
		       size_t at);

/* Queue the read in l->uring, known as 'tag'. */
void bsfs_load_begin(struct bsfs_loader *l, const struct bsfs_vfile *f,
		     const struct bsfs_load *load, unsigned tag);

/* A read has come: 'got' bytes or -errno.  Decode it to load->dst: 0 or -errno. */
int bsfs_load_decode(struct bsfs_loader *l, struct bsfs_vfile *f,
		     const struct bsfs_load *load, int got);

/* The same into the claimed entry, and end the claim. */
void bsfs_load_finish(struct bsfs_loader *l, struct bsfs_vfile *f,
		      struct bsfs_load *load, int got);

/* End a claim, failed if 'err' is not 0; with -ECANCELED if nobody asked. */
void bsfs_load_end(struct bsfs_loader *l, const struct bsfs_load *load,
		   int err);

#endif /* BSFS_LOAD_H */
