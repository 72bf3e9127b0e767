/* SPDX-License-Identifier: Apache-2.0 */
/*
 * superblock.c - the 512 bytes at both ends of a container (docs/format.md 3)
 */

#include "superblock.h"

#include "bits.h"
#include "checksum.h"
#include "error.h"

/* One pread gets the superblock; 4 KiB costs what 512 bytes do. */
#define FIRST_READ 4096

static unsigned digest_len(unsigned alg)
{
	return alg == BS_DIGEST_SHA256	   ? 32
	       : alg == BS_DIGEST_XXH3_128 ? 16
					   : 0;
}

static void summary_read(struct bs_superblock *sb, const uint8_t *b)
{
	struct bs_summary *s = &sb->summary;

	s->version = get_u16(b + SB_VERSION);
	s->is_bundle = get_u32(b + SB_FLAGS) & SB_FLAG_BUNDLE;
	s->container_len = get_u64(b + SB_CONTAINER_LENGTH);
	s->n_members = get_u64(b + SB_MEMBER_COUNT);
	s->size = get_u64(b + SB_TOTAL_SIZE);
	s->mtime_ns = (int64_t)get_u64(b + SB_FILE_MTIME);
	s->mode = get_u32(b + SB_FILE_MODE);
	s->digest_alg = b[SB_DIGEST_ALGORITHM];
	memcpy(s->digest, b + SB_FILE_DIGEST, BS_DIGEST_MAX);
	memcpy(s->suffix, b + SB_SUFFIX, BS_SUFFIX_MAX);
	sb->page_records_log2 = b[SB_PAGE_RECORDS_LOG2];
	sb->n_blobs = get_u64(b + SB_BLOB_COUNT);
	sb->n_chunks = get_u64(b + SB_CHUNK_COUNT);
	sb->n_extents = get_u64(b + SB_EXTENT_COUNT);
	sb->n_pool_pages = get_u64(b + SB_POOL_PAGE_COUNT);
	sb->n_sections = b[SB_SECTION_COUNT];
}

static bool section_read(struct bs_section *s, const uint8_t *b,
			 uint64_t container_len)
{
	s->type = get_u16(b + SECTION_TYPE);
	s->flags = get_u16(b + SECTION_FLAGS);
	s->off = get_u64(b + SECTION_OFFSET);
	s->len = get_u64(b + SECTION_LENGTH);
	s->sum = get_u64(b + SECTION_CHECKSUM);
	return !get_u32(b + SECTION_RESERVED) &&
	       !(s->flags & ~SECTION_FLAG_MUST) &&
	       s->len <= SECTION_LENGTH_MAX && s->off % 8 == 0 &&
	       s->off >= SB_LEN &&
	       in_range(s->off, s->len, container_len - SB_LEN);
}

static bool sections_read(struct bs_superblock *sb, const uint8_t *b)
{
	uint64_t len = sb->summary.container_len;
	unsigned i, k;

	if (sb->n_sections < SB_SECTIONS_MIN ||
	    sb->n_sections > SB_SECTIONS_MAX)
		return false;
	for (i = 0; i < sb->n_sections; i++) {
		if (!section_read(&sb->sections[i],
				  b + SB_SECTIONS + SECTION_RECORD_LEN * i,
				  len))
			return false;
		for (k = 0; k < i; k++) {
			if (sb->sections[k].type == sb->sections[i].type)
				return false;
		}
	}
	return is_zero(b + SB_SECTIONS + SECTION_RECORD_LEN * i,
		       SECTION_RECORD_LEN * (SB_SECTIONS_MAX - i));
}

/* Fields that hold for every container, and those of a single file. */
static bool fields_hold(const struct bs_superblock *sb, const uint8_t *b)
{
	const struct bs_summary *s = &sb->summary;
	unsigned suffix_len = b[SB_SUFFIX_LENGTH], alg = s->digest_alg;

	if (get_u16(b + SB_SUPERBLOCK_LENGTH) != SB_LEN ||
	    get_u32(b + SB_FLAGS) & ~SB_FLAG_BUNDLE ||
	    !is_zero(b + SB_RESERVED, SB_CHECKSUM - SB_RESERVED) ||
	    s->container_len < 2 * SB_LEN || s->size > INT64_MAX ||
	    sb->page_records_log2 < PAGE_RECORDS_LOG2_MIN ||
	    sb->page_records_log2 > PAGE_RECORDS_LOG2_MAX || s->mode > 07777 ||
	    suffix_len > BS_SUFFIX_MAX || alg > BS_DIGEST_XXH3_128 ||
	    !is_zero(s->digest + digest_len(alg),
		     BS_DIGEST_MAX - digest_len(alg)))
		return false;
	if (strnlen(s->suffix, BS_SUFFIX_MAX) != suffix_len ||
	    memchr(s->suffix, '/', suffix_len) ||
	    !is_zero(s->suffix + suffix_len, BS_SUFFIX_MAX - suffix_len))
		return false;
	if (s->is_bundle)
		return !alg && !suffix_len;
	return s->n_members == 1;
}

/* One superblock; 'off' is where it stood, for the sentence. */
static enum bs_result parse(struct bs_superblock *sb, const uint8_t *b,
			    uint64_t file_len, uint64_t off,
			    struct bs_error *err)
{
	unsigned long long must;

	memset(sb, 0, sizeof(*sb));
	if (memcmp(b, SB_MAGIC, SB_MAGIC_LEN))
		return bs_fail(err, BS_ERR_MAGIC, off,
			       "not a bigsmall container");
	if (file_len < SB_LEN)
		return bs_fail(err, BS_ERR_TRUNCATED, off,
			       "the file is cut off within its superblock");
	if (get_u16(b + SB_SUPERBLOCK_LENGTH) != SB_LEN ||
	    bs_xxh3_64(b, SB_CHECKSUM) != get_u64(b + SB_CHECKSUM))
		return bs_fail(err, BS_ERR_CHECKSUM, off,
			       "the superblock at byte %llu is damaged",
			       (unsigned long long)off);
	if (get_u16(b + SB_VERSION) > BS_FORMAT_VERSION)
		return bs_fail(
			err, BS_ERR_VERSION, off,
			"the container has format version %u; this program reads versions up to %u",
			get_u16(b + SB_VERSION), BS_FORMAT_VERSION);
	must = get_u64(b + SB_FEATURES_MUST);
	if (must)
		return bs_fail(
			err, BS_ERR_FEATURE, off,
			"the container needs feature %d (%s), which this program lacks; a newer bigsmall may read it",
			__builtin_ctzll(must),
			must & 1 ? "base references" : "unknown");
	summary_read(sb, b);
	if (!fields_hold(sb, b) || !sections_read(sb, b))
		return bs_fail(err, BS_ERR_CORRUPT, off,
			       "the superblock contradicts the format");
	if (sb->summary.container_len > file_len)
		return bs_fail(
			err, BS_ERR_TRUNCATED, off,
			"the file is cut off: %llu of %llu bytes are there",
			(unsigned long long)file_len,
			(unsigned long long)sb->summary.container_len);
	if (sb->summary.container_len < file_len)
		return bs_fail(err, BS_ERR_CORRUPT, off,
			       "%llu bytes follow the container's end",
			       (unsigned long long)(file_len -
						    sb->summary.container_len));
	return BS_OK;
}

enum bs_result bs_superblock_read(const struct bs_source *src,
				  struct bs_superblock *ret,
				  struct bs_error *err)
{
	uint8_t b[FIRST_READ];
	size_t len = src->size < sizeof(b) ? (size_t)src->size : sizeof(b);
	enum bs_result res, res2;
	struct bs_superblock copy;
	int io;

	memset(ret, 0, sizeof(*ret));
	memset(b, 0, SB_LEN);
	io = len ? src->pread(src->ctx, b, len, 0) : 0;
	if (io)
		return bs_fail(err, BS_ERR_IO, 0, "reading failed: %s",
			       strerror(-io));
	if (!memcmp(b, "BGSM", 4) || !memcmp(b, "BGSD", 4)) {
		ret->summary.is_upstream = 1;
		return BS_ERR_MAGIC;
	}
	res = parse(ret, b, src->size, 0, err);
	if (!res || res == BS_ERR_VERSION || res == BS_ERR_FEATURE ||
	    res == BS_ERR_TRUNCATED || res == BS_ERR_CORRUPT ||
	    src->size < 2 * SB_LEN)
		return res;
	io = src->pread(src->ctx, b, SB_LEN, src->size - SB_LEN);
	if (io)
		return bs_fail(err, BS_ERR_IO, src->size - SB_LEN,
			       "reading failed: %s", strerror(-io));
	res2 = parse(&copy, b, src->size, src->size - SB_LEN, NULL);
	if (res2) {
		if (res == BS_ERR_MAGIC && res2 != BS_ERR_MAGIC)
			return parse(&copy, b, src->size, src->size - SB_LEN,
				     err);
		return res;
	}
	*ret = copy;
	ret->is_copy = 1;
	if (err)
		memset(err, 0, sizeof(*err));
	return BS_OK;
}

void bs_superblock_write(const struct bs_superblock *sb, uint8_t *dst)
{
	const struct bs_summary *s = &sb->summary;
	unsigned i;

	memset(dst, 0, SB_LEN);
	memcpy(dst, SB_MAGIC, SB_MAGIC_LEN);
	put_u16(dst + SB_VERSION, BS_FORMAT_VERSION);
	put_u16(dst + SB_SUPERBLOCK_LENGTH, SB_LEN);
	put_u32(dst + SB_FLAGS, s->is_bundle ? SB_FLAG_BUNDLE : 0);
	put_u64(dst + SB_CONTAINER_LENGTH, s->container_len);
	put_u64(dst + SB_MEMBER_COUNT, s->n_members);
	put_u64(dst + SB_TOTAL_SIZE, s->size);
	put_u64(dst + SB_FILE_MTIME, (uint64_t)s->mtime_ns);
	put_u32(dst + SB_FILE_MODE, s->mode);
	dst[SB_DIGEST_ALGORITHM] = s->digest_alg;
	dst[SB_SUFFIX_LENGTH] = (uint8_t)strlen(s->suffix);
	dst[SB_SECTION_COUNT] = (uint8_t)sb->n_sections;
	dst[SB_PAGE_RECORDS_LOG2] = (uint8_t)sb->page_records_log2;
	memcpy(dst + SB_FILE_DIGEST, s->digest, BS_DIGEST_MAX);
	memcpy(dst + SB_SUFFIX, s->suffix, strlen(s->suffix));
	put_u64(dst + SB_BLOB_COUNT, sb->n_blobs);
	put_u64(dst + SB_CHUNK_COUNT, sb->n_chunks);
	put_u64(dst + SB_EXTENT_COUNT, sb->n_extents);
	put_u64(dst + SB_POOL_PAGE_COUNT, sb->n_pool_pages);
	for (i = 0; i < sb->n_sections; i++) {
		uint8_t *b = dst + SB_SECTIONS + SECTION_RECORD_LEN * i;

		put_u16(b + SECTION_TYPE, sb->sections[i].type);
		put_u16(b + SECTION_FLAGS, sb->sections[i].flags);
		put_u64(b + SECTION_OFFSET, sb->sections[i].off);
		put_u64(b + SECTION_LENGTH, sb->sections[i].len);
		put_u64(b + SECTION_CHECKSUM, sb->sections[i].sum);
	}
	put_u64(dst + SB_CHECKSUM, bs_xxh3_64(dst, SB_CHECKSUM));
}
