/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - who reads which file in order, and what comes next
 */

#ifndef BSFS_STREAM_H
#define BSFS_STREAM_H

#include <stdint.h>

/* Streams followed at a time, of all files; the one unused longest makes room. */
#define BSFS_STREAMS_MAX 64

/* A reader that goes through a file in order; offsets are the file's. */
struct bsfs_stream {
	void *file; /* as its caller knows it; NULL: unused */
	uint64_t size; /* of the file */
	uint64_t low; /* where what was asked for begins */
	uint64_t next; /* and ends: what the reader asks for next */
	uint64_t loaded; /* up to which was loaded, or is being: >= next */
	uint64_t loaded_low; /* likewise of a reader that goes down: <= low */
	uint64_t pushed; /* up to which the kernel was given */
	uint64_t last_off, last_end; /* of the last request */
	uint64_t gap; /* bytes that it jumped over and did not read since */
	uint64_t run; /* bytes asked for in order */
	uint64_t down_run; /* of them by going down, since it last went up */
	uint64_t last_use;
	int64_t last_ms;
	unsigned n_reads;
	unsigned n_unfilled; /* jumps whose gap was not read */
	int is_down; /* it goes down */
	int is_again; /* what it reads was decoded, and is gone */
	int is_direct; /* the kernel keeps nothing of it; the caller's */
};

struct bsfs_streams {
	uint64_t total; /* bytes ahead of all readers, at most */
	uint64_t each; /* and of one */
	uint64_t n_uses;
	struct bsfs_stream all[BSFS_STREAMS_MAX];
};

/* [off, off + len) of 'file' is asked for, at 'now_ms'; the stream it is of. */
struct bsfs_stream *bsfs_streams_note(struct bsfs_streams *t, void *file,
				      uint64_t size, uint64_t off, uint64_t len,
				      int64_t now_ms);

/* The stream whose reader is nearest to the end of what was loaded for it, if
 * more may be loaded: from its 'loaded' on, or below its 'loaded_low' if it goes
 * down.  Or NULL. */
struct bsfs_stream *bsfs_streams_next(struct bsfs_streams *t, int64_t now_ms);

/* Forget a file. */
void bsfs_streams_drop(struct bsfs_streams *t, const void *file);

/* Streams now. */
unsigned bsfs_streams_count(const struct bsfs_streams *t);

#endif /* BSFS_STREAM_H */
