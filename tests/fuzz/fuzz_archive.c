/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_archive.c - any bytes as a container
 *
 * The input is opened as it is, and once more with its checksums repaired; then
 * everything that opens is walked: members, extents, blobs, pages, models, and
 * the chunks decoded.
 */

#include "container.h"

/* What one input may cost: enough for every seed, too little to be slow. */
#define PAGES_MAX 32
#define CHUNKS_MAX 64
#define MODELS_MAX 8

static struct bs_workspace *ws;
static unsigned n_chunks, n_models;

static void decode(const struct mem *m, const struct bs_chunk *c,
		   const struct bs_blob *blob, const struct bs_model *model)
{
	static struct guarded in, out;
	uint8_t *stored, *raw;

	MUST(c->raw_len && c->raw_len <= BS_CHUNK_RAW_MAX);
	MUST(c->stored_len && c->stored_len <= BS_CHUNK_STORED_MAX);
	MUST(c->stored_off <= m->len &&
	     c->stored_len <= m->len - c->stored_off);
	stored = guarded_get(&in, c->stored_len);
	raw = guarded_get(&out, c->raw_len);
	memcpy(stored, m->p + c->stored_off, c->stored_len);
	bs_chunk_check_stored(c, stored);
	if (c->coding != BS_CODING_PLANES || model)
		bs_chunk_decode(c, blob, model, ws, stored, raw);
}

static void walk_chunks(const struct mem *m, const struct bs_archive *ar,
			const struct bs_page *page, uint64_t no)
{
	uint64_t first = 0, end = bs_archive_n_chunks(ar), c;

	/* The records of a page are consecutive: find the first. */
	while (first < end) {
		uint64_t mid = first + (end - first) / 2;

		if (bs_archive_page_of(ar, mid) < no)
			first = mid + 1;
		else
			end = mid;
	}
	end = bs_archive_n_chunks(ar);
	for (c = first; c < end && bs_archive_page_of(ar, c) == no; c++) {
		struct bs_model *model = NULL;
		struct bs_chunk chunk;
		struct bs_blob blob;

		if (++n_chunks > CHUNKS_MAX)
			break;
		bs_page_chunk(ar, page, c, &chunk);
		MUST(chunk.no == c && chunk.blob < bs_archive_n_blobs(ar));
		MUST(chunk.blob == bs_archive_blob_of_chunk(ar, c));
		bs_archive_blob(ar, chunk.blob, &blob);
		if (blob.model != BS_NO_MODEL && ++n_models <= MODELS_MAX)
			bs_model_load(ar, blob.model, &model, NULL);
		MUST(!model || bs_model_mem(model));
		decode(m, &chunk, &blob, model);
		bs_model_free(model);
	}
}

static void walk_pages(const struct mem *m, const struct bs_archive *ar)
{
	uint64_t n = bs_archive_n_pages(ar), i;

	for (i = 0; i < n && i < PAGES_MAX; i++) {
		struct bs_error err = { 0 };
		struct bs_page *page;

		if (bs_page_load(ar, i, &page, &err)) {
			MUST(!page && err.code && err.text[0]);
			continue;
		}
		MUST(bs_page_mem(page));
		walk_chunks(m, ar, page, i);
		bs_page_free(page);
	}
}

static void walk_blobs(const struct bs_archive *ar)
{
	uint64_t n = bs_archive_n_blobs(ar), i, off, c, end = 0;
	struct bs_blob b;
	size_t len;

	for (i = 0; i < n; i++) {
		bs_archive_blob(ar, i, &b);
		MUST(b.len && b.n_chunks && b.first_chunk == end);
		end += b.n_chunks;
		MUST(bs_archive_blob_of_chunk(ar, b.first_chunk) == i);
		MUST(bs_archive_blob_of_chunk(ar, end - 1) == i);
		c = bs_blob_chunk_at(&b, b.len - 1);
		MUST(c == end - 1);
		bs_blob_chunk_range(&b, c, &off, &len);
		MUST(len && len <= BS_CHUNK_RAW_MAX && off + len == b.len);
		MUST(bs_blob_chunk_at(&b, off) == c);
		MUST(!off || bs_blob_chunk_at(&b, off - 1) == c - 1);
		MUST(bs_blob_chunk_at(&b, 0) == b.first_chunk);
	}
	MUST(end == bs_archive_n_chunks(ar));
}

/* What an open bundle promises of its names: each is found, and what is below a
 * directory lies between it and what follows. */
static void check_path(const struct bs_archive *ar, const struct bs_member *m,
		       uint64_t i)
{
	uint64_t n = bs_archive_n_members(ar), next = bs_archive_skip(ar, i);
	struct bs_member other;

	MUST(bs_archive_find(ar, m->name, m->name_len) == i);
	MUST(next > i && next <= n);
	MUST(m->type == BS_MEMBER_DIR || next == i + 1);
	if (next > i + 1) {
		bs_archive_member(ar, next - 1, &other);
		MUST(other.name_len > m->name_len &&
		     !memcmp(other.name, m->name, m->name_len) &&
		     other.name[m->name_len] == '/');
	}
	/* A link is relative at least; paths.c walks it to its end. */
	MUST(m->type != BS_MEMBER_SYMLINK || m->target[0] != '/');
}

static void walk_members(const struct bs_archive *ar)
{
	uint64_t n = bs_archive_n_members(ar), i, k, sum = 0;

	for (i = 0; i < n; i++) {
		volatile char last;
		struct bs_member m;
		uint64_t end = 0;

		bs_archive_member(ar, i, &m);
		if (m.name_len)
			last = m.name[m.name_len - 1];
		if (m.target_len)
			last = m.target[m.target_len - 1];
		(void)last;
		check_path(ar, &m, i);
		for (k = m.first_extent; k < m.first_extent + m.n_extents;
		     k++) {
			struct bs_extent e;
			struct bs_blob b;

			bs_archive_extent(ar, k, &e);
			MUST(e.len && e.off == end);
			MUST(e.blob < bs_archive_n_blobs(ar));
			bs_archive_blob(ar, e.blob, &b);
			MUST(e.blob_off <= b.len &&
			     e.len <= b.len - e.blob_off);
			MUST(bs_member_extent_at(ar, &m, e.off) == k);
			end = e.off + e.len;
			MUST(bs_member_extent_at(ar, &m, end - 1) == k);
		}
		MUST(end == m.size);
		sum += m.size;
	}
	MUST(sum == bs_archive_summary(ar)->size);
}

static void walk(struct mem m)
{
	struct bs_source src = mem_source(&m);
	struct bs_error err = { 0 };
	struct bs_summary summary;
	struct bs_archive *ar;
	enum bs_result res;

	res = bs_peek(&src, &summary, &err);
	MUST(res == err.code && (!res || err.text[0]));
	MUST(res || strlen(summary.suffix) <= BS_SUFFIX_MAX);
	memset(&err, 0, sizeof(err));
	if (bs_archive_open(&ar, &src, &err)) {
		MUST(!ar && err.code && err.text[0]);
		return;
	}
	MUST(!res && bs_archive_mem(ar));
	n_chunks = n_models = 0;
	walk_members(ar);
	walk_blobs(ar);
	walk_pages(&m, ar);
	bs_archive_close(ar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mem m = { .p = data, .len = size };
	uint8_t *copy;

	if (!ws)
		MUST(!bs_workspace_new(&ws));
	walk(m);
	copy = malloc(size + !size);
	MUST(copy);
	if (size)
		memcpy(copy, data, size);
	repair(copy, size);
	m.p = copy;
	walk(m);
	free(copy);
	return 0;
}
