/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - one chunk from the store into the cache, or elsewhere
 *
 * A claimed chunk is found in the index, read, decoded into its entry's buffer
 * and published.  Pages of the index and models are claimed one at a time and
 * loaded at once, so who waits for one waits for no claim.
 *
 * A chunk that does not decode to what was written is read and decoded once
 * more, since memory and buses fail too; then it is noted as bad.  Whom to tell
 * is left to the caller.
 */

#include "load.h"

#include "stats.h"
#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int bsfs_loader_init(struct bsfs_loader *l, struct bsfs_session *s,
		     size_t stored_len)
{
	void *stored = NULL;

	l->s = s;
	l->bad_chunk = UINT64_MAX;
	l->uring = bsfs_uring_new();
	if (posix_memalign(&stored, BSFS_DIRECT_ALIGN, stored_len) == 0)
		l->stored = stored;
	if (!l->uring || !l->stored || bs_workspace_new(&l->ws) != BS_OK)
		return -ENOMEM;
	return 0;
}

void bsfs_loader_fini(struct bsfs_loader *l)
{
	bsfs_uring_free(l->uring);
	bs_workspace_free(l->ws);
	free(l->stored);
}

/* ---- Pages and models ---------------------------------------------------- */

static void note_bad(struct bsfs_loader *l, uint64_t chunk, const char *text)
{
	l->bad_chunk = chunk;
	snprintf(l->bad_text, sizeof(l->bad_text), "%s", text);
}

static void release_page(void *page)
{
	bs_page_free(page);
}

static void release_model(void *model)
{
	bs_model_free(model);
}

static enum bs_result load_object(struct bsfs_vfile *f, enum bsfs_kind kind,
				  uint64_t no, void **ret, size_t *ret_len,
				  struct bs_error *err)
{
	struct bs_page *page;
	struct bs_model *model;
	enum bs_result res;

	if (kind == BSFS_PAGE) {
		res = bs_page_load(f->ar, no, &page, err);
		*ret = page;
		*ret_len = res == BS_OK ? bs_page_mem(page) : 0;
	} else {
		res = bs_model_load(f->ar, no, &model, err);
		*ret = model;
		*ret_len = res == BS_OK ? bs_model_mem(model) : 0;
	}
	return res;
}

/* Get page or model 'no', which 'chunk' needs, pinned. */
static int get_object(struct bsfs_loader *l, struct bsfs_vfile *f,
		      enum bsfs_kind kind, uint64_t no, uint64_t chunk,
		      struct bsfs_entry **ret)
{
	struct bsfs_cache *c = l->s->cache;
	struct bs_error error = { 0 };
	enum bs_result res;
	void *object;
	size_t len;
	int found = bsfs_cache_get(c, kind, f->id, no, 0, ret);
	int err = 0;

	if (found < 0)
		return found;
	if (found == BSFS_LOADING)
		err = bsfs_cache_wait(c, *ret);
	if (found == BSFS_CLAIMED) {
		res = load_object(f, kind, no, &object, &len, &error);
		if (res == BS_OK) {
			bsfs_cache_publish_object(c, *ret, object, len,
						  kind == BSFS_PAGE
							  ? release_page
							  : release_model);
		} else {
			if (res != BS_ERR_NOMEM)
				note_bad(l, chunk, error.text);
			err = -bs_result_errno(res);
			bsfs_cache_fail(c, *ret, -err);
		}
	}
	if (err)
		bsfs_cache_put(c, *ret);
	return err;
}

/* ---- Chunks -------------------------------------------------------------- */

int bsfs_load_find(struct bsfs_loader *l, struct bsfs_vfile *f,
		   struct bsfs_load *load)
{
	struct bsfs_entry *page;
	int err = get_object(l, f, BSFS_PAGE,
			     bs_archive_page_of(f->ar, load->no), load->no,
			     &page);

	if (err)
		return err;
	bs_page_chunk(f->ar, bsfs_entry_object(page), load->no, &load->chunk);
	bsfs_cache_put(l->s->cache, page);
	return 0;
}

size_t bsfs_load_place(const struct bsfs_vfile *f, struct bsfs_load *load,
		       size_t at)
{
	uint64_t off = load->chunk.stored_off;
	size_t len = load->chunk.stored_len;

	load->edge = 0;
	if (f->direct_fd >= 0) {
		load->edge = (uint32_t)(off % BSFS_DIRECT_ALIGN);
		len += load->edge;
		len += BSFS_DIRECT_ALIGN - 1;
		len -= len % BSFS_DIRECT_ALIGN;
	}
	load->stored_at = at;
	load->read_len = len;
	return at + len;
}

void bsfs_load_begin(struct bsfs_loader *l, const struct bsfs_vfile *f,
		     const struct bsfs_load *load, unsigned tag)
{
	struct bsfs_stats *st = l->s->stats;

	bsfs_uring_read(l->uring, f->direct_fd >= 0 ? f->direct_fd : f->fd,
			l->stored + load->stored_at, load->read_len,
			load->chunk.stored_off - load->edge, tag);
	bsfs_count(st, BSFS_N_STORE_READS, 1);
	bsfs_count(st, BSFS_N_STORE_BYTES, (int64_t)load->read_len);
	bsfs_count_in_flight(st, 1);
}

/* Read what is missing after 'got' bytes: of a short read, or of one that
 * failed.  Only the chunk's own bytes count; the file may end within the
 * edge. */
static int read_rest(struct bsfs_loader *l, const struct bsfs_vfile *f,
		     const struct bsfs_load *load, size_t got)
{
	size_t want = load->edge + load->chunk.stored_len;
	uint8_t *dst = l->stored + load->stored_at;
	uint64_t off = load->chunk.stored_off - load->edge;

	while (got < want) {
		/* Through the page cache: any alignment will do. */
		ssize_t n =
			pread(f->fd, dst + got, want - got, (off_t)(off + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		got += (size_t)n;
	}
	return 0;
}

static enum bs_result decode(struct bsfs_loader *l, struct bsfs_vfile *f,
			     const struct bsfs_load *load)
{
	const struct bs_chunk *chunk = &load->chunk;
	struct bsfs_entry *model = NULL;
	struct bs_blob blob;
	enum bs_result res;

	bs_archive_blob(f->ar, chunk->blob, &blob);
	if (chunk->coding >= BS_CODING_PLANES && blob.model != BS_NO_MODEL) {
		int err = get_object(l, f, BSFS_MODEL, blob.model, load->no,
				     &model);

		if (err)
			return err == -ENOMEM ? BS_ERR_NOMEM : BS_ERR_CORRUPT;
	}
	res = bs_chunk_decode(chunk, &blob,
			      model ? bsfs_entry_object(model) : NULL, l->ws,
			      l->stored + load->stored_at + load->edge,
			      load->dst);
	if (model)
		bsfs_cache_put(l->s->cache, model);
	return res;
}

static int decode_read(struct bsfs_loader *l, struct bsfs_vfile *f,
		       const struct bsfs_load *load, int got)
{
	const struct bs_chunk *chunk = &load->chunk;
	struct bsfs_stats *st = l->s->stats;
	enum bs_result res;
	int err;

	if (got < 0 || (size_t)got < load->edge + chunk->stored_len)
		bsfs_count(st, BSFS_N_SHORT_READS, 1);
	err = read_rest(l, f, load, got < 0 ? 0 : (size_t)got);
	if (err) {
		note_bad(l, load->no, "the store cannot be read");
		return err;
	}
	bsfs_count(st, BSFS_N_DECODES, 1);
	bsfs_count(st, BSFS_N_DECODED_BYTES, chunk->raw_len);
	if (bsfs_vfile_mark(f->decoded, load->no)) {
		bsfs_count(st, BSFS_N_REDECODES, 1);
		l->n_again++;
	}
	res = decode(l, f, load);
	if (res == BS_OK)
		return 0;
	if (res == BS_ERR_NOMEM)
		return -ENOMEM;
	/* From the disk, not the page cache. */
	posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (read_rest(l, f, load, 0) == 0 && decode(l, f, load) == BS_OK) {
		bsfs_count(st, BSFS_N_HEALED, 1);
		return 0;
	}
	if (l->bad_chunk == load->no)
		return -EIO; /* said already: its model cannot be had */
	if (bs_chunk_check_stored(chunk, l->stored + load->stored_at +
						 load->edge) != BS_OK)
		note_bad(l, load->no, "the stored bytes are damaged");
	else
		note_bad(l, load->no, bs_result_text(res));
	return -EIO;
}

int bsfs_load_decode(struct bsfs_loader *l, struct bsfs_vfile *f,
		     const struct bsfs_load *load, int got)
{
	int err;

	bsfs_count_in_flight(l->s->stats, -1);
	err = decode_read(l, f, load, got);
	/* A model of upstream's reads for itself: nothing was read here. */
	if (f->direct_fd < 0 && load->chunk.stored_len)
		posix_fadvise(f->fd, (off_t)load->chunk.stored_off,
			      load->chunk.stored_len, POSIX_FADV_DONTNEED);
	return err;
}

void bsfs_load_finish(struct bsfs_loader *l, struct bsfs_vfile *f,
		      struct bsfs_load *load, int got)
{
	load->dst = bsfs_entry_bytes(load->entry);
	bsfs_load_end(l, load, bsfs_load_decode(l, f, load, got));
}

void bsfs_load_end(struct bsfs_loader *l, const struct bsfs_load *load, int err)
{
	if (err)
		bsfs_cache_fail(l->s->cache, load->entry,
				l->is_ahead ? ECANCELED : -err);
	else
		bsfs_cache_publish(l->s->cache, load->entry);
}
