/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.c - an open container: directory, pages, look-ups
 *
 * The directory is read and checked whole on open; afterwards every record
 * can be trusted: extents lie in their blobs, blobs' chunks are numbered
 * without gaps, members' extents cover them.  Pages are read and checked when
 * asked for.  What the checks establish is docs/format.md 3 to 7, in its order.
 *
 * A file of BigSmall (Python) gets a directory of the same form, made from its
 * header when it is opened: one member, a blob a tensor.  Its pages hold nothing.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* memrchr() */
#endif

#include "archive.h"

#include "bits.h"
#include "checksum.h"
#include "error.h"
#include "format.h"
#include "paths.h"
#include "superblock.h"
#include "upstream/packed.h"
#include "upstream/upstream.h"

#include <stdlib.h>

struct bs_archive {
	struct bs_source src;
	struct bs_superblock sb;
	uint64_t n_pages; /* index pages */
	uint8_t *members; /* owned, as are the next four: raw sections */
	uint8_t *extents;
	uint8_t *names;
	uint8_t *blobs;
	uint8_t *pages;
	uint64_t names_len;
	size_t mem;

	/* Of an upstream's file alone. */
	struct bs_up_file up; /* owned */
	uint64_t whole_max;
};

struct bs_page {
	uint64_t first; /* chunk */
	uint64_t n;
	uint8_t records[]; /* [n * CHUNK_LEN] */
};

#define CORRUPT(err, ...) bs_fail(err, BS_ERR_CORRUPT, 0, __VA_ARGS__)
#define LLU(v) ((unsigned long long)(v))

/* The superblock; of an upstream's file only that it is one. */
static enum bs_result read_first(const struct bs_source *src,
				 struct bs_superblock *ret,
				 struct bs_error *err)
{
	if (!src->is_index)
		return bs_superblock_read(src, ret, err);
	memset(ret, 0, sizeof(*ret));
	ret->summary.is_upstream = 1;
	return BS_OK;
}

enum bs_result bs_peek(const struct bs_source *src, struct bs_summary *ret,
		       struct bs_error *err)
{
	struct bs_superblock sb;
	struct bs_up_file up;
	enum bs_result res;

	res = read_first(src, &sb, err);
	*ret = sb.summary;
	if (!sb.summary.is_upstream)
		return res;
	res = bs_up_file_open(&up, src, err);
	*ret = up.summary;
	bs_up_file_close(&up);
	return res;
}

/* ---- Sections ----------------------------------------------------------- */

static enum bs_result read_checked(const struct bs_source *src, uint8_t *dst,
				   size_t len, uint64_t off, uint64_t sum,
				   const char *what, struct bs_error *err)
{
	int io = len ? src->pread(src->ctx, dst, len, off) : 0;

	if (io)
		return bs_fail(err, BS_ERR_IO, off, "reading %s failed: %s",
			       what, strerror(-io));
	if (bs_xxh3_64(dst, len) != sum)
		return bs_fail(err, BS_ERR_CHECKSUM, off,
			       "%s at byte %llu is damaged", what, LLU(off));
	return BS_OK;
}

/* Read section 'type', which holds n records of 'record_len'; 0: any. */
static enum bs_result load_section(struct bs_archive *ar, unsigned type,
				   const char *what, uint64_t n,
				   uint64_t record_len, uint8_t **ret,
				   struct bs_error *err)
{
	const struct bs_section *s = NULL;
	unsigned i;

	for (i = 0; i < ar->sb.n_sections; i++) {
		if (ar->sb.sections[i].type == type)
			s = &ar->sb.sections[i];
	}
	if (!s)
		return CORRUPT(err, "the section of %s is missing", what);
	if (record_len && (s->len % record_len || s->len / record_len != n))
		return CORRUPT(err, "the section of %s has a wrong length",
			       what);
	*ret = malloc(s->len + 1);
	if (!*ret)
		return bs_fail(err, BS_ERR_NOMEM, 0, "out of memory");
	ar->mem += s->len;
	if (type == SECTION_NAMES)
		ar->names_len = s->len;
	return read_checked(&ar->src, *ret, s->len, s->off, s->sum, what, err);
}

static enum bs_result check_sections(const struct bs_archive *ar,
				     struct bs_error *err)
{
	unsigned i;

	for (i = 0; i < ar->sb.n_sections; i++) {
		const struct bs_section *s = &ar->sb.sections[i];

		if (s->flags & SECTION_FLAG_MUST &&
		    (s->type < SECTION_MEMBERS || s->type > SECTION_PAGES))
			return bs_fail(
				err, BS_ERR_FEATURE, s->off,
				"the container needs section type %u, which this program does not know",
				s->type);
	}
	return BS_OK;
}

static enum bs_result load_directory(struct bs_archive *ar,
				     struct bs_error *err)
{
	const struct bs_superblock *sb = &ar->sb;
	enum bs_result res;

	ar->n_pages =
		div_up(sb->n_chunks, UINT64_C(1) << sb->page_records_log2);
	if (sb->n_pool_pages > UINT32_MAX || ar->n_pages > UINT32_MAX)
		return CORRUPT(err, "the superblock counts too many pages");
	res = check_sections(ar, err);
	if (!res)
		res = load_section(ar, SECTION_MEMBERS, "members",
				   sb->summary.n_members, MEMBER_LEN,
				   &ar->members, err);
	if (!res)
		res = load_section(ar, SECTION_EXTENTS, "extents",
				   sb->n_extents, EXTENT_LEN, &ar->extents,
				   err);
	if (!res)
		res = load_section(ar, SECTION_NAMES, "names", 0, 0, &ar->names,
				   err);
	if (!res)
		res = load_section(ar, SECTION_BLOBS, "blobs", sb->n_blobs,
				   BLOB_LEN, &ar->blobs, err);
	if (!res)
		res = load_section(ar, SECTION_PAGES, "pages",
				   ar->n_pages + sb->n_pool_pages,
				   PAGE_RECORD_LEN, &ar->pages, err);
	return res;
}

/* ---- Checks of the directory -------------------------------------------- */

static bool digest_holds(unsigned alg, const uint8_t *digest)
{
	if (alg == BS_DIGEST_NONE)
		return is_zero(digest, BS_DIGEST_MAX);
	if (alg == BS_DIGEST_XXH3_128)
		return is_zero(digest + 16, 16);
	return alg == BS_DIGEST_SHA256;
}

static bool blob_holds(const struct bs_archive *ar, const uint8_t *b,
		       uint64_t first_chunk)
{
	uint64_t len = get_u64(b + BLOB_LENGTH), size, first;
	uint64_t model = get_u64(b + BLOB_MODEL);

	if (b[BLOB_CHUNK_SIZE_LOG2] < CHUNK_SIZE_LOG2_MIN ||
	    b[BLOB_CHUNK_SIZE_LOG2] > CHUNK_SIZE_LOG2_MAX)
		return false;
	size = UINT64_C(1) << b[BLOB_CHUNK_SIZE_LOG2];
	first = get_u64(b + BLOB_FIRST_CHUNK_LENGTH);
	return len > 0 && first >= 1 && first <= len && first <= size + 7 &&
	       get_u64(b + BLOB_FIRST_CHUNK) == first_chunk &&
	       get_u64(b + BLOB_CHUNK_COUNT) == 1 + div_up(len - first, size) &&
	       digest_holds(b[BLOB_DIGEST_ALGORITHM], b + BLOB_DIGEST) &&
	       !b[BLOB_RESERVED0] && get_u32(b + BLOB_BASE) == NO_BASE &&
	       (model == BS_NO_MODEL || model >> 32 < ar->sb.n_pool_pages) &&
	       is_zero(b + BLOB_RESERVED1, 8);
}

static enum bs_result check_blobs(const struct bs_archive *ar,
				  struct bs_error *err)
{
	uint64_t i, n = 0;

	for (i = 0; i < ar->sb.n_blobs; i++) {
		const uint8_t *b = ar->blobs + i * BLOB_LEN;

		if (!blob_holds(ar, b, n) ||
		    __builtin_add_overflow(n, get_u64(b + BLOB_CHUNK_COUNT),
					   &n))
			return CORRUPT(err, "blob %llu contradicts the format",
				       LLU(i));
	}
	if (n != ar->sb.n_chunks)
		return CORRUPT(err, "the blobs have %llu chunks, not %llu",
			       LLU(n), LLU(ar->sb.n_chunks));
	return BS_OK;
}

static enum bs_result check_pages(const struct bs_archive *ar,
				  struct bs_error *err)
{
	uint64_t end = ar->sb.summary.container_len - SB_LEN, i;
	uint64_t per_page = UINT64_C(1) << ar->sb.page_records_log2;

	for (i = 0; i < ar->n_pages + ar->sb.n_pool_pages; i++) {
		const uint8_t *p = ar->pages + i * PAGE_RECORD_LEN;
		uint64_t off = get_u64(p + PAGE_OFFSET);
		uint32_t len = get_u32(p + PAGE_LENGTH);
		bool holds = off % 8 == 0 && off >= SB_LEN &&
			     in_range(off, len, end) &&
			     !get_u32(p + PAGE_RESERVED);

		if (i < ar->n_pages) {
			uint64_t n = ar->sb.n_chunks - i * per_page;

			n = n < per_page ? n : per_page;
			holds = holds && len == n * CHUNK_LEN;
		} else {
			holds = holds && len >= 1 && len <= POOL_PAGE_MAX;
		}
		if (!holds)
			return CORRUPT(err, "page %llu contradicts the format",
				       LLU(i));
	}
	return BS_OK;
}

static enum bs_result check_extents(const struct bs_archive *ar,
				    const struct bs_member *m, uint64_t no,
				    struct bs_error *err)
{
	uint64_t at = 0, i;

	for (i = 0; i < m->n_extents; i++) {
		struct bs_extent e;
		uint64_t blob_len;

		bs_archive_extent(ar, m->first_extent + i, &e);
		blob_len = e.blob < ar->sb.n_blobs
				   ? get_u64(ar->blobs + e.blob * BLOB_LEN +
					     BLOB_LENGTH)
				   : 0;
		if (e.off != at || !e.len ||
		    !in_range(e.blob_off, e.len, blob_len) ||
		    __builtin_add_overflow(at, e.len, &at))
			return CORRUPT(
				err,
				"extent %llu of member %llu contradicts the format",
				LLU(i), LLU(no));
	}
	if (at != m->size)
		return CORRUPT(err, "member %llu has %llu bytes, not %llu",
			       LLU(no), LLU(at), LLU(m->size));
	return BS_OK;
}

static bool member_holds(const struct bs_archive *ar, const uint8_t *b,
			 uint64_t first_extent)
{
	uint64_t n_extents = get_u64(b + MEMBER_EXTENT_COUNT);
	uint32_t target_len = get_u32(b + MEMBER_TARGET_LENGTH);
	unsigned type = b[MEMBER_TYPE], alg = b[MEMBER_DIGEST_ALGORITHM];
	bool is_link = type == BS_MEMBER_SYMLINK || type == BS_MEMBER_HARDLINK;

	if (type < BS_MEMBER_FILE || type > BS_MEMBER_HARDLINK ||
	    get_u16(b + MEMBER_RESERVED0) || get_u32(b + MEMBER_RESERVED1) ||
	    !is_zero(b + MEMBER_RESERVED2, 16) ||
	    get_u32(b + MEMBER_MODE) > 07777 ||
	    !digest_holds(alg, b + MEMBER_DIGEST))
		return false;
	if (!in_range(get_u64(b + MEMBER_NAME_OFFSET),
		      get_u32(b + MEMBER_NAME_LENGTH), ar->names_len) ||
	    !in_range(get_u64(b + MEMBER_TARGET_OFFSET), target_len,
		      ar->names_len) ||
	    !in_range(get_u64(b + MEMBER_EXTENSION_OFFSET),
		      get_u32(b + MEMBER_EXTENSION_LENGTH), ar->names_len))
		return false;
	if (is_link ? !target_len || target_len > NAME_LEN_MAX : target_len)
		return false;
	if (type != BS_MEMBER_FILE &&
	    (alg || get_u64(b + MEMBER_SIZE) || n_extents))
		return false;
	return get_u64(b + MEMBER_FIRST_EXTENT) == first_extent &&
	       in_range(first_extent, n_extents, ar->sb.n_extents);
}

/* A bundle's member: its name, its place in the order, its parent. */
static bool path_holds(const struct bs_archive *ar, const struct bs_member *m,
		       uint64_t no)
{
	const char *slash;
	struct bs_member other;
	uint64_t parent;

	if (!bs_path_holds(m->name, m->name_len) ||
	    (m->target_len && memchr(m->target, 0, m->target_len)))
		return false;
	if (no) {
		bs_archive_member(ar, no - 1, &other);
		if (bs_path_compare(other.name, other.name_len, m->name,
				    m->name_len) >= 0)
			return false;
	}
	if (m->type == BS_MEMBER_HARDLINK) {
		parent = bs_archive_find(ar, m->target, m->target_len);
		if (parent == ar->sb.summary.n_members)
			return false;
		bs_archive_member(ar, parent, &other);
		if (other.type != BS_MEMBER_FILE)
			return false;
	}
	slash = memrchr(m->name, '/', m->name_len);
	if (!slash)
		return true;
	parent = bs_archive_find(ar, m->name, (size_t)(slash - m->name));
	if (parent == ar->sb.summary.n_members)
		return false;
	bs_archive_member(ar, parent, &other);
	return other.type == BS_MEMBER_DIR;
}

/* Where the symbolic links lead, once all names are known to be good. */
static enum bs_result check_links(const struct bs_archive *ar,
				  struct bs_error *err)
{
	uint64_t n = ar->sb.summary.n_members, i;
	uint64_t budget = LINK_STEPS_MIN + LINK_STEPS_PER_MEMBER * n;

	for (i = 0; i < n; i++) {
		struct bs_member m;

		bs_archive_member(ar, i, &m);
		if (m.type == BS_MEMBER_SYMLINK &&
		    !bs_link_holds(ar, &m, &budget))
			return CORRUPT(
				err,
				"link \"%.*s\" leads out of the bundle or to itself",
				m.name_len < 160 ? (int)m.name_len : 160,
				m.name);
	}
	return BS_OK;
}

static bool single_holds(const struct bs_archive *ar, const struct bs_member *m)
{
	const struct bs_summary *s = &ar->sb.summary;

	return m->type == BS_MEMBER_FILE && !m->name_len &&
	       m->size == s->size && m->mode == s->mode &&
	       m->mtime_ns == s->mtime_ns && m->digest_alg == s->digest_alg &&
	       !memcmp(m->digest, s->digest, BS_DIGEST_MAX);
}

static enum bs_result check_members(const struct bs_archive *ar,
				    struct bs_error *err)
{
	uint64_t i, n_extents = 0, total = 0;
	enum bs_result res;

	/* Records first: bs_archive_find() looks at all of them. */
	for (i = 0; i < ar->sb.summary.n_members; i++) {
		const uint8_t *b = ar->members + i * MEMBER_LEN;

		if (!member_holds(ar, b, n_extents))
			return CORRUPT(err,
				       "member %llu contradicts the format",
				       LLU(i));
		n_extents += get_u64(b + MEMBER_EXTENT_COUNT);
	}
	if (n_extents != ar->sb.n_extents)
		return CORRUPT(err, "the members have %llu extents, not %llu",
			       LLU(n_extents), LLU(ar->sb.n_extents));
	for (i = 0; i < ar->sb.summary.n_members; i++) {
		struct bs_member m;

		bs_archive_member(ar, i, &m);
		if (ar->sb.summary.is_bundle ? !path_holds(ar, &m, i)
					     : !single_holds(ar, &m))
			return CORRUPT(err,
				       "member %llu contradicts the format",
				       LLU(i));
		res = check_extents(ar, &m, i, err);
		if (res)
			return res;
		if (__builtin_add_overflow(total, m.size, &total))
			return CORRUPT(err, "the members' sizes overflow");
	}
	if (total != ar->sb.summary.size)
		return CORRUPT(err, "the members have %llu bytes, not %llu",
			       LLU(total), LLU(ar->sb.summary.size));
	/* Those that we make up lead beside the directory. */
	return ar->sb.summary.is_bundle && !ar->sb.summary.is_upstream
		       ? check_links(ar, err)
		       : BS_OK;
}

/* ---- A directory for an upstream's file --------------------------------- */

/* All chunks are in one page. */
#define UPSTREAM_RECORDS_LOG2 63

/* Tensors of up to this length are kept whole unless the caller has a word. */
#define WHOLE_MAX (UINT64_C(1) << 20)

static void make_blob(struct bs_archive *ar, uint64_t i, uint64_t len,
		      uint8_t dtype)
{
	uint64_t n = div_up(len, UP_CHUNK);
	uint8_t *b = ar->blobs + i * BLOB_LEN;

	put_u64(b + BLOB_LENGTH, len);
	put_u64(b + BLOB_FIRST_CHUNK, ar->sb.n_chunks);
	put_u64(b + BLOB_CHUNK_COUNT, n);
	put_u64(b + BLOB_FIRST_CHUNK_LENGTH, len < UP_CHUNK ? len : UP_CHUNK);
	b[BLOB_CHUNK_SIZE_LOG2] = UP_CHUNK_LOG2;
	b[BLOB_DTYPE] = dtype;
	put_u32(b + BLOB_BASE, NO_BASE);
	put_u64(b + BLOB_MODEL, i);
	ar->sb.n_chunks += n;
}

static uint64_t put_name(struct bs_archive *ar, const char *name)
{
	uint64_t off = ar->names_len;
	size_t len = strlen(name);

	memcpy(ar->names + off, name, len);
	ar->names_len += len;
	return off;
}

static void make_member(struct bs_archive *ar, uint64_t i)
{
	const struct bs_up_member *m = &ar->up.members[i];
	uint8_t *b = ar->members + i * MEMBER_LEN;

	b[MEMBER_TYPE] = m->target ? BS_MEMBER_SYMLINK : BS_MEMBER_FILE;
	put_u32(b + MEMBER_MODE, 0644);
	put_u64(b + MEMBER_SIZE, m->size);
	put_u64(b + MEMBER_FIRST_EXTENT, m->first_extent);
	put_u64(b + MEMBER_EXTENT_COUNT, m->n_extents);
	put_u64(b + MEMBER_NAME_OFFSET, put_name(ar, m->name));
	put_u32(b + MEMBER_NAME_LENGTH, (uint32_t)strlen(m->name));
	if (m->target) {
		put_u64(b + MEMBER_TARGET_OFFSET, put_name(ar, m->target));
		put_u32(b + MEMBER_TARGET_LENGTH, (uint32_t)strlen(m->target));
	}
}

static void make_members(struct bs_archive *ar)
{
	uint64_t i, n = 0;

	for (i = 0; i < ar->up.n_members; i++) {
		/* The extents are in the order in which they were made. */
		struct bs_up_member *m = &ar->up.members[i];
		uint64_t k;

		for (k = 0; k < m->n_extents; k++) {
			const struct bs_extent *e =
				&ar->up.extents[m->first_extent + k];
			uint8_t *b = ar->extents + (n + k) * EXTENT_LEN;

			put_u64(b + EXTENT_FILE_OFFSET, e->off);
			put_u64(b + EXTENT_LENGTH, e->len);
			put_u64(b + EXTENT_BLOB, e->blob);
			put_u64(b + EXTENT_BLOB_OFFSET, e->blob_off);
		}
		m->first_extent = n;
		n += m->n_extents;
		make_member(ar, i);
	}
}

static size_t names_len(const struct bs_up_file *up)
{
	size_t len = 1, i;

	for (i = 0; i < up->n_members; i++) {
		len += strlen(up->members[i].name);
		if (up->members[i].target)
			len += strlen(up->members[i].target);
	}
	return len;
}

static enum bs_result make_directory(struct bs_archive *ar,
				     struct bs_error *err)
{
	struct bs_up_file *up = &ar->up;
	enum bs_result res;
	size_t i;

	res = bs_up_file_open(up, &ar->src, err);
	if (res)
		return res;
	ar->sb.summary = up->summary;
	ar->sb.page_records_log2 = UPSTREAM_RECORDS_LOG2;
	ar->sb.n_blobs = up->n_tensors + 1;
	ar->sb.n_extents = up->n_extents;
	ar->sb.n_pool_pages = 1; /* that models seem to be in */
	ar->n_pages = 1;
	ar->whole_max = WHOLE_MAX;
	ar->members = calloc(up->n_members, MEMBER_LEN);
	ar->extents = calloc(ar->sb.n_extents, EXTENT_LEN);
	ar->names = calloc(1, names_len(up));
	ar->blobs = calloc(ar->sb.n_blobs, BLOB_LEN);
	if (!ar->members || !ar->extents || !ar->names || !ar->blobs)
		return bs_fail(err, BS_ERR_NOMEM, 0, "out of memory");
	ar->mem += up->n_members * MEMBER_LEN + ar->sb.n_extents * EXTENT_LEN +
		   ar->sb.n_blobs * (BLOB_LEN + sizeof(*up->tensors)) +
		   up->head_len;
	make_blob(ar, 0, up->head_len, BS_DTYPE_BYTES);
	for (i = 0; i < up->n_tensors; i++)
		make_blob(ar, i + 1, up->tensors[i].raw_len,
			  up->tensors[i].dtype);
	make_members(ar);
	free(up->members);
	free(up->extents);
	up->members = NULL;
	up->extents = NULL;
	return BS_OK;
}

void bs_archive_keep_whole(struct bs_archive *ar, uint64_t len)
{
	ar->whole_max = len;
}

enum bs_result bs_archive_load_upstream(struct bs_up_model **ret,
					const struct bs_archive *ar,
					uint64_t blob)
{
	if (!blob)
		return bs_up_model_of_bytes(ret, ar->up.head);
	return bs_up_model_load(ret, &ar->up.tensors[blob - 1], &ar->src,
				ar->whole_max);
}

int bs_archive_upstream(const struct bs_archive *ar, uint64_t blob,
			struct bs_upstream *ret)
{
	const struct bs_up_tensor *t;

	if (!ar->sb.summary.is_upstream || !blob)
		return 0;
	t = &ar->up.tensors[blob - 1];
	ret->codec = t->codec->name;
	ret->stored_off = t->span.off;
	ret->stored_len = t->span.len;
	memcpy(ret->md5, t->md5, sizeof(ret->md5));
	return 1;
}

/* What does not go along with others: the header, and checking 4-bit values. */
static int do_alone(const struct bs_archive *ar, struct bs_upstream_job *j)
{
	const struct bs_up_file *up = &ar->up;

	j->res = j->res_int4 = BS_OK;
	if (!j->blob) {
		if (j->take && j->take(j->ctx, 0, up->head, up->head_len))
			j->res = BS_ERR_IO;
		return 1;
	}
	if (!j->checks_int4 || !bs_up_packed_has(&up->tensors[j->blob - 1]))
		return 0;
	j->res = bs_up_packed_check(&up->tensors[j->blob - 1], &ar->src,
				    j->take, j->ctx, &j->res_int4);
	return 1;
}

void bs_upstream_decode(const struct bs_archive *ar,
			struct bs_upstream_job *jobs, unsigned n)
{
	struct bs_up_decode d[BS_UPSTREAM_TOGETHER];
	struct bs_upstream_job *of[BS_UPSTREAM_TOGETHER];
	unsigned n_now = 0, i, k;

	for (i = 0; i < n || n_now; i++) {
		if (i < n && !do_alone(ar, &jobs[i])) {
			of[n_now] = &jobs[i];
			d[n_now++] = (struct bs_up_decode){
				&ar->up.tensors[jobs[i].blob - 1], jobs[i].take,
				jobs[i].ctx, BS_OK
			};
		}
		if (i + 1 < n && n_now < BS_UPSTREAM_TOGETHER)
			continue;
		bs_up_tensors_decode(d, n_now, &ar->src);
		for (k = 0; k < n_now; k++)
			of[k]->res = d[k].res;
		n_now = 0;
	}
}

/* ---- Opening ------------------------------------------------------------- */

enum bs_result bs_archive_open(struct bs_archive **ret,
			       const struct bs_source *src,
			       struct bs_error *err)
{
	struct bs_archive *ar;
	enum bs_result res;
	bool is_upstream;

	*ret = NULL;
	ar = calloc(1, sizeof(*ar));
	if (!ar)
		return bs_fail(err, BS_ERR_NOMEM, 0, "out of memory");
	ar->src = *src;
	ar->mem = sizeof(*ar);
	res = read_first(src, &ar->sb, err);
	is_upstream = ar->sb.summary.is_upstream;
	if (is_upstream)
		res = make_directory(ar, err);
	if (!res && !is_upstream)
		res = load_directory(ar, err);
	if (!res)
		res = check_blobs(ar, err);
	if (!res && !is_upstream)
		res = check_pages(ar, err);
	if (!res)
		res = check_members(ar, err);
	ar->src.index = NULL;
	ar->src.int4 = NULL;
	if (res) {
		bs_archive_close(ar);
		return res;
	}
	*ret = ar;
	return BS_OK;
}

void bs_archive_close(struct bs_archive *ar)
{
	if (!ar)
		return;
	free(ar->members);
	free(ar->extents);
	free(ar->names);
	free(ar->blobs);
	free(ar->pages);
	bs_up_file_close(&ar->up);
	free(ar);
}

/* ---- Look-ups ----------------------------------------------------------- */

size_t bs_archive_mem(const struct bs_archive *ar)
{
	return ar->mem;
}

const struct bs_summary *bs_archive_summary(const struct bs_archive *ar)
{
	return &ar->sb.summary;
}

int bs_archive_is_degraded(const struct bs_archive *ar)
{
	return ar->sb.is_copy;
}

uint64_t bs_archive_n_members(const struct bs_archive *ar)
{
	return ar->sb.summary.n_members;
}

uint64_t bs_archive_n_blobs(const struct bs_archive *ar)
{
	return ar->sb.n_blobs;
}

uint64_t bs_archive_n_chunks(const struct bs_archive *ar)
{
	return ar->sb.n_chunks;
}

void bs_archive_member(const struct bs_archive *ar, uint64_t i,
		       struct bs_member *ret)
{
	const uint8_t *b = ar->members + i * MEMBER_LEN;
	const char *names = (const char *)ar->names;

	ret->type = (enum bs_member_type)b[MEMBER_TYPE];
	ret->mode = get_u32(b + MEMBER_MODE);
	ret->mtime_ns = (int64_t)get_u64(b + MEMBER_MTIME);
	ret->size = get_u64(b + MEMBER_SIZE);
	ret->name = names + get_u64(b + MEMBER_NAME_OFFSET);
	ret->name_len = get_u32(b + MEMBER_NAME_LENGTH);
	ret->target = names + get_u64(b + MEMBER_TARGET_OFFSET);
	ret->target_len = get_u32(b + MEMBER_TARGET_LENGTH);
	ret->first_extent = get_u64(b + MEMBER_FIRST_EXTENT);
	ret->n_extents = get_u64(b + MEMBER_EXTENT_COUNT);
	ret->digest_alg = b[MEMBER_DIGEST_ALGORITHM];
	memcpy(ret->digest, b + MEMBER_DIGEST, BS_DIGEST_MAX);
}

uint64_t bs_archive_find(const struct bs_archive *ar, const char *path,
			 size_t len)
{
	uint64_t lo = 0, hi = ar->sb.summary.n_members;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		struct bs_member m;
		int order;

		bs_archive_member(ar, mid, &m);
		order = bs_path_compare(m.name, m.name_len, path, len);
		if (!order)
			return mid;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return ar->sb.summary.n_members;
}

uint64_t bs_archive_skip(const struct bs_archive *ar, uint64_t i)
{
	uint64_t lo = i + 1, hi = ar->sb.summary.n_members;
	struct bs_member dir, m;

	bs_archive_member(ar, i, &dir);
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		bs_archive_member(ar, mid, &m);
		if (m.name_len > dir.name_len && m.name[dir.name_len] == '/' &&
		    !memcmp(m.name, dir.name, dir.name_len))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void bs_archive_extent(const struct bs_archive *ar, uint64_t i,
		       struct bs_extent *ret)
{
	const uint8_t *b = ar->extents + i * EXTENT_LEN;

	ret->off = get_u64(b + EXTENT_FILE_OFFSET);
	ret->len = get_u64(b + EXTENT_LENGTH);
	ret->blob = get_u64(b + EXTENT_BLOB);
	ret->blob_off = get_u64(b + EXTENT_BLOB_OFFSET);
}

void bs_archive_blob(const struct bs_archive *ar, uint64_t i,
		     struct bs_blob *ret)
{
	const uint8_t *b = ar->blobs + i * BLOB_LEN;

	ret->len = get_u64(b + BLOB_LENGTH);
	ret->first_chunk = get_u64(b + BLOB_FIRST_CHUNK);
	ret->n_chunks = get_u64(b + BLOB_CHUNK_COUNT);
	ret->first_chunk_len = get_u64(b + BLOB_FIRST_CHUNK_LENGTH);
	ret->chunk_size = 1u << b[BLOB_CHUNK_SIZE_LOG2];
	ret->dtype = b[BLOB_DTYPE] < BS_DTYPE_N ? b[BLOB_DTYPE] : 0;
	ret->digest_alg = b[BLOB_DIGEST_ALGORITHM];
	memcpy(ret->digest, b + BLOB_DIGEST, BS_DIGEST_MAX);
	ret->width = get_u64(b + BLOB_WIDTH);
	ret->model = get_u64(b + BLOB_MODEL);
}

uint64_t bs_member_extent_at(const struct bs_archive *ar,
			     const struct bs_member *m, uint64_t off)
{
	uint64_t lo = m->first_extent, hi = lo + m->n_extents;

	/* The last extent that begins at or before 'off'. */
	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (get_u64(ar->extents + mid * EXTENT_LEN +
			    EXTENT_FILE_OFFSET) <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

uint64_t bs_archive_blob_of_chunk(const struct bs_archive *ar, uint64_t chunk)
{
	uint64_t lo = 0, hi = ar->sb.n_blobs;

	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (get_u64(ar->blobs + mid * BLOB_LEN + BLOB_FIRST_CHUNK) <=
		    chunk)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

uint64_t bs_blob_chunk_at(const struct bs_blob *blob, uint64_t off)
{
	if (off < blob->first_chunk_len)
		return blob->first_chunk;
	return blob->first_chunk + 1 +
	       (off - blob->first_chunk_len) / blob->chunk_size;
}

void bs_blob_chunk_range(const struct bs_blob *blob, uint64_t chunk,
			 uint64_t *ret_off, size_t *ret_len)
{
	uint64_t k = chunk - blob->first_chunk, off, len;

	if (!k) {
		*ret_off = 0;
		*ret_len = blob->first_chunk_len;
		return;
	}
	off = blob->first_chunk_len + (k - 1) * blob->chunk_size;
	len = blob->len - off;
	*ret_off = off;
	*ret_len = len < blob->chunk_size ? len : blob->chunk_size;
}

/* ---- Pages -------------------------------------------------------------- */

uint64_t bs_archive_n_pages(const struct bs_archive *ar)
{
	return ar->n_pages;
}

uint64_t bs_archive_page_of(const struct bs_archive *ar, uint64_t chunk)
{
	return chunk >> ar->sb.page_records_log2;
}

static bool record_holds(const struct bs_archive *ar, const struct bs_chunk *c,
			 const uint8_t *b)
{
	return c->stored_len >= 1 && c->stored_len <= c->raw_len &&
	       c->coding <= BS_CODING_PLANES && c->stored_off % 8 == 0 &&
	       c->stored_off >= SB_LEN &&
	       in_range(c->stored_off, c->stored_len,
			ar->sb.summary.container_len - SB_LEN) &&
	       is_zero(b + CHUNK_RESERVED, 3);
}

enum bs_result bs_page_load(const struct bs_archive *ar, uint64_t page,
			    struct bs_page **ret, struct bs_error *err)
{
	bool is_upstream = ar->sb.summary.is_upstream;
	const uint8_t *rec = is_upstream ? NULL
					 : ar->pages + page * PAGE_RECORD_LEN;
	uint32_t len = is_upstream ? 0 : get_u32(rec + PAGE_LENGTH);
	struct bs_page *p;
	enum bs_result res;
	uint64_t i;

	*ret = NULL;
	p = calloc(1, sizeof(*p) + len);
	if (!p)
		return bs_fail(err, BS_ERR_NOMEM, 0, "out of memory");
	if (is_upstream) {
		*ret = p;
		return BS_OK;
	}
	p->first = page << ar->sb.page_records_log2;
	p->n = len / CHUNK_LEN;
	res = read_checked(&ar->src, p->records, len,
			   get_u64(rec + PAGE_OFFSET),
			   get_u64(rec + PAGE_CHECKSUM), "an index page", err);
	for (i = 0; i < p->n && !res; i++) {
		struct bs_chunk c;

		bs_page_chunk(ar, p, p->first + i, &c);
		if (!record_holds(ar, &c, p->records + i * CHUNK_LEN))
			res = CORRUPT(
				err,
				"the record of chunk %llu contradicts the format",
				LLU(c.no));
	}
	if (res) {
		free(p);
		return res;
	}
	*ret = p;
	return BS_OK;
}

size_t bs_page_mem(const struct bs_page *page)
{
	return sizeof(*page) + page->n * CHUNK_LEN;
}

void bs_page_free(struct bs_page *page)
{
	free(page);
}

void bs_page_chunk(const struct bs_archive *ar, const struct bs_page *page,
		   uint64_t chunk, struct bs_chunk *ret)
{
	const uint8_t *b = page->records + (chunk - page->first) * CHUNK_LEN;
	struct bs_blob blob;
	size_t raw_len;

	ret->no = chunk;
	ret->blob = bs_archive_blob_of_chunk(ar, chunk);
	bs_archive_blob(ar, ret->blob, &blob);
	bs_blob_chunk_range(&blob, chunk, &ret->blob_off, &raw_len);
	ret->raw_len = (uint32_t)raw_len;
	if (ar->sb.summary.is_upstream) {
		ret->stored_len = 0;
		ret->stored_off = 0;
		ret->coding = BS_CODING_UPSTREAM;
		ret->raw_sum = ret->stored_sum = 0;
		return;
	}
	ret->stored_len = get_u32(b + CHUNK_STORED_LENGTH);
	ret->stored_off = get_u64(b + CHUNK_OFFSET);
	ret->coding = b[CHUNK_CODING];
	ret->raw_sum = get_u64(b + CHUNK_RAW_CHECKSUM);
	ret->stored_sum = get_u64(b + CHUNK_STORED_CHECKSUM);
}

enum bs_result bs_archive_pool_page(const struct bs_archive *ar, uint64_t page,
				    uint8_t **ret, size_t *ret_len,
				    struct bs_error *err)
{
	const uint8_t *rec;
	enum bs_result res;

	*ret = NULL;
	if (page >= ar->sb.n_pool_pages)
		return CORRUPT(err, "a reference names pool page %llu of %llu",
			       LLU(page), LLU(ar->sb.n_pool_pages));
	rec = ar->pages + (ar->n_pages + page) * PAGE_RECORD_LEN;
	*ret_len = get_u32(rec + PAGE_LENGTH);
	*ret = malloc(*ret_len);
	if (!*ret)
		return bs_fail(err, BS_ERR_NOMEM, 0, "out of memory");
	res = read_checked(&ar->src, *ret, *ret_len, get_u64(rec + PAGE_OFFSET),
			   get_u64(rec + PAGE_CHECKSUM), "a pool page", err);
	if (res) {
		free(*ret);
		*ret = NULL;
	}
	return res;
}
