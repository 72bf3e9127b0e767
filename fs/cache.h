/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - what was loaded or decoded, within a byte budget
 */

#ifndef BSFS_CACHE_H
#define BSFS_CACHE_H

#include <stddef.h>
#include <stdint.h>

enum bsfs_kind {
	BSFS_CHUNK, /* decoded bytes, in a buffer of the cache's */
	BSFS_PAGE, /* struct bs_page */
	BSFS_MODEL, /* struct bs_model */
};

struct bsfs_entry;

/* What the cache counts; a snapshot. */
struct bsfs_cache_stats {
	uint64_t budget;
	uint64_t used; /* bytes, buffers kept for reuse included */
	uint64_t reserved; /* bytes elsewhere that the budget pays for */
	uint64_t peak;
	uint64_t n_entries;
	uint64_t hits; /* found ready */
	uint64_t misses; /* claimed */
	uint64_t waits; /* found loading */
	uint64_t failures;
	uint64_t evictions;
	uint64_t ahead; /* claimed before anybody wanted them */
	uint64_t ahead_used; /* and wanted then */
	uint64_t ahead_unused; /* and evicted without that */
};

struct bsfs_cache;

/* NULL: out of memory. */
struct bsfs_cache *bsfs_cache_new(uint64_t budget);

/*
 * 'len' more bytes of memory outside the cache (< 0: less) that its budget pays
 * for: entries make room for them.  They keep 'least' bytes, whatever is taken.
 */
void bsfs_cache_reserve(struct bsfs_cache *c, int64_t len, uint64_t least);

/* Nothing may be pinned any more.  NULL is allowed. */
void bsfs_cache_free(struct bsfs_cache *c);

enum bsfs_found {
	BSFS_READY, /* use it */
	BSFS_CLAIMED, /* absent: load it, then publish or fail it */
	BSFS_LOADING, /* somebody does: bsfs_cache_wait() */
};

/*
 * Look for an entry and pin it, in any state; bsfs_cache_put() ends that.
 * 'len' is the size of a chunk's buffer and 0 for other kinds.  -ENOMEM: there
 * is no memory for a new one; else an enum bsfs_found.
 *
 * Who claims must not wait for a chunk before its claims are published.
 */
int bsfs_cache_get(struct bsfs_cache *c, enum bsfs_kind kind, uint64_t file,
		   uint64_t no, size_t len, struct bsfs_entry **ret);
void bsfs_cache_put(struct bsfs_cache *c, struct bsfs_entry *e);

/* The same, of a chunk of which 'n_read' bytes were answered: when all were, the
 * kernel has it, and it need not be kept. */
void bsfs_cache_put_read(struct bsfs_cache *c, struct bsfs_entry *e,
			 uint32_t n_read);

/*
 * The same for a chunk that nobody wants yet: claimed only if it is absent and
 * there is room, and pinned then; else BSFS_READY, nothing is pinned, and *ret
 * is not set.
 */
int bsfs_cache_get_ahead(struct bsfs_cache *c, uint64_t file, uint64_t no,
			 size_t len, struct bsfs_entry **ret);

/* Whether somebody waits for a chunk that is loading. */
int bsfs_cache_is_awaited(const struct bsfs_entry *e);

/* What has become of a chunk that was to be loaded ahead. */
enum bsfs_ahead {
	BSFS_AHEAD_NONE, /* it is absent, or somebody has used it */
	BSFS_AHEAD_LOADING,
	BSFS_AHEAD_READY, /* *ret is it, pinned; it counts as used now */
};

enum bsfs_ahead bsfs_cache_take_ahead(struct bsfs_cache *c, uint64_t file,
				      uint64_t no, struct bsfs_entry **ret);

/* A chunk's bytes: written by its claimant, read by others once it is ready. */
uint8_t *bsfs_entry_bytes(const struct bsfs_entry *e);

/* The object that was published. */
void *bsfs_entry_object(const struct bsfs_entry *e);

/* A claimed chunk is ready. */
void bsfs_cache_publish(struct bsfs_cache *c, struct bsfs_entry *e);

/* A claimed object is ready; 'release' frees its 'len' bytes of memory. */
void bsfs_cache_publish_object(struct bsfs_cache *c, struct bsfs_entry *e,
			       void *object, size_t len,
			       void (*release)(void *object));

/* Loading failed with 'err' (> 0, an errno): waiters get it, and the next who
 * looks claims anew. */
void bsfs_cache_fail(struct bsfs_cache *c, struct bsfs_entry *e, int err);

/* Wait until a pinned entry is no longer loading: 0 or -errno. */
int bsfs_cache_wait(struct bsfs_cache *c, struct bsfs_entry *e);

/* Drop all entries of a file that nobody reads any more. */
void bsfs_cache_drop(struct bsfs_cache *c, uint64_t file);

void bsfs_cache_get_stats(struct bsfs_cache *c, struct bsfs_cache_stats *ret);

#endif /* BSFS_CACHE_H */
