/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bigsmall.h - public interface of libbigsmall
 *
 * A struct bs_archive is an open container: immutable after open, safe to
 * share between threads.  Index pages and models are objects of their own,
 * loaded when first needed and held by the caller, so that the caller's memory
 * budget counts them and its locks guard them.  A struct bs_workspace is the
 * scratch memory of one decode or encode in flight: one per thread.
 *
 * Nothing here prints, starts a thread, opens a file or keeps global state,
 * but for the choice of kernels (kernels.h), made once.
 *
 * Offsets and lengths are bytes unless a name says otherwise.  The format is
 * docs/format.md; section numbers in comments are its.
 */

#ifndef BIGSMALL_H
#define BIGSMALL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BIGSMALL_VERSION_MAJOR 0
#define BIGSMALL_VERSION_MINOR 1
#define BIGSMALL_VERSION_PATCH 0

/* Values are stable: new causes are appended inside their decade. */
enum bs_result {
	BS_OK = 0,

	BS_ERR_NOMEM = 1,
	BS_ERR_IO = 2, /* the source or the sink failed */
	BS_ERR_PARAM = 3, /* the caller broke this interface */

	BS_ERR_MAGIC = 10, /* not a container of ours */
	BS_ERR_VERSION = 11, /* ours, but of a version this library lacks */
	BS_ERR_FEATURE = 12, /* needs a feature this library lacks */

	BS_ERR_TRUNCATED = 20, /* the file ends before its index says */
	BS_ERR_CORRUPT = 21, /* a field contradicts the format */
	BS_ERR_CHECKSUM = 22, /* well formed, but not what was written */

	BS_ERR_SYNTAX = 30, /* not a well-formed safetensors header */
};

/* A sentence for people about the last failure; every function that takes a
 * struct bs_error * accepts NULL.  'text' names what is wrong, never the file:
 * the caller knows its name. */
struct bs_error {
	enum bs_result code;
	uint64_t off; /* byte offset in the source, where one is known */
	char text[240];
};

/* The name of a result ("BS_ERR_CHECKSUM"), and a few words for people. */
const char *bs_result_name(enum bs_result res);
const char *bs_result_text(enum bs_result res);

/* The positive errno that a file system should report for 'res' (0: BS_OK). */
int bs_result_errno(enum bs_result res);

/* "0.1.0" */
const char *bs_version(void);

/* The inner loops that run on this CPU: "scalar". */
const char *bs_kernels_name(void);

/* ---- Reading: the container ------------------------------------------- */

/*
 * Where the stored bytes come from.  'pread' reads exactly 'len' bytes at
 * 'off' and returns 0, or returns a negative errno; it is never asked for
 * bytes past 'size'.  It may be called from several threads at once.
 */
struct bs_source {
	int (*pread)(void *ctx, void *buf, size_t len, uint64_t off);
	void *ctx;
	uint64_t size;

	/* Of files of BigSmall (Python): the index of the directory that a shard
	 * is in, borrowed until the archive is open, or NULL; and whether this is
	 * that index, which is shown as model.safetensors.index.json. */
	const struct bs_index *index;
	int is_index;
	/* Of a .bsd: not the file that it was made of, but the directory that its
	 * 4-bit tensors show as; borrowed likewise, or NULL. */
	const struct bs_int4_dir *int4;
};

#define BS_SUFFIX_MAX 64
#define BS_DIGEST_MAX 32

enum bs_digest {
	BS_DIGEST_NONE = 0,
	BS_DIGEST_SHA256 = 1, /* 32 bytes */
	BS_DIGEST_XXH3_128 = 2, /* 16 bytes, canonical (big-endian) order */
};

/* What the superblock alone says: enough for stat() and readdir(). */
struct bs_summary {
	uint16_t version;
	uint8_t is_bundle; /* a directory of members, not a single file */
	/* A file of BigSmall (Python), which has neither mode nor time. */
	uint8_t is_upstream;
	uint8_t digest_alg; /* enum bs_digest of 'digest' */
	uint32_t mode; /* st_mode permission bits of a single file, or of the
			* directory that a bundle was */
	int64_t mtime_ns; /* since the epoch, of the same */
	uint64_t size; /* of a single file; of a bundle, the sum of its files */
	uint64_t container_len;
	uint64_t n_members;
	uint64_t n_int4; /* of a .bsd: tensors that it has in 4 bits as well */
	uint8_t digest[BS_DIGEST_MAX]; /* of a single file */
	/* Appended to the container's own stem it gives the name of the file
	 * ("llama.bs" + ".safetensors"); may be empty; NUL-terminated. */
	char suffix[BS_SUFFIX_MAX + 1];
};

/*
 * Read and check one superblock: the first, or the copy at the end where the
 * first is damaged.  One pread of 4 KiB in the good case.  BS_ERR_MAGIC: not
 * ours.  Of a file of BigSmall (Python) its header is read and checked whole.
 */
enum bs_result bs_peek(const struct bs_source *src, struct bs_summary *ret,
		       struct bs_error *err);

struct bs_archive;

/*
 * Open the container behind 'src' and check its superblock and directory
 * (members, extents, blobs, page table), not its pages or data.  On BS_OK the
 * caller owns *ret and releases it with bs_archive_close(); 'src->ctx' must
 * outlive it.  On failure *ret is NULL.
 */
enum bs_result bs_archive_open(struct bs_archive **ret,
			       const struct bs_source *src,
			       struct bs_error *err);

/*
 * Of a file of BigSmall (Python) nothing tells damage but a tensor's MD5, so that a
 * tensor is decoded whole before any of its bytes can be had: bs_model_load() does
 * that, and keeps the bytes of one of up to 'len' bytes (1 MiB unless this is
 * called), else the decoder's states.  Before the archive is shared.
 */
void bs_archive_keep_whole(struct bs_archive *ar, uint64_t len);

/* Release an archive.  NULL is allowed. */
void bs_archive_close(struct bs_archive *ar);

/* Bytes of memory the archive holds, for the caller's budget. */
size_t bs_archive_mem(const struct bs_archive *ar);

const struct bs_summary *bs_archive_summary(const struct bs_archive *ar);

/* Whether the first superblock was damaged and the copy at the end served. */
int bs_archive_is_degraded(const struct bs_archive *ar);

enum bs_member_type {
	BS_MEMBER_FILE = 1,
	BS_MEMBER_DIR = 2,
	BS_MEMBER_SYMLINK = 3,
	BS_MEMBER_HARDLINK = 4, /* 'target' is the path of another member */
};

struct bs_member {
	enum bs_member_type type;
	uint32_t mode; /* permission bits */
	int64_t mtime_ns;
	uint64_t size;
	const char *name; /* path in the bundle, "" for a single file; borrowed
			   * from the archive, not NUL-terminated */
	size_t name_len;
	const char *target; /* of a link; borrowed likewise */
	size_t target_len;
	uint64_t first_extent;
	uint64_t n_extents;
	uint8_t digest_alg;
	uint8_t digest[BS_DIGEST_MAX];
};

/* 'len' bytes at 'off' of the member are those at 'blob_off' of 'blob'. */
struct bs_extent {
	uint64_t off;
	uint64_t len; /* > 0 */
	uint64_t blob;
	uint64_t blob_off;
};

#define BS_NO_MODEL UINT64_MAX

/* One stored object: a tensor, a run of small ones, a header, opaque bytes. */
struct bs_blob {
	uint64_t len; /* > 0 */
	uint64_t first_chunk; /* numbered over the whole container */
	uint64_t n_chunks;
	uint64_t first_chunk_len; /* 1..chunk_size + 7; later ones have
				   * chunk_size, the last the rest */
	uint32_t chunk_size; /* a power of two, 2^17 .. 2^19 */
	uint8_t dtype; /* enum bs_dtype: how the bytes were modelled */
	uint8_t digest_alg;
	uint8_t digest[BS_DIGEST_MAX];
	uint64_t width; /* elements a row, for row and column classes; or 0 */
	uint64_t model; /* for bs_model_load(), or BS_NO_MODEL */
};

uint64_t bs_archive_n_members(const struct bs_archive *ar);
uint64_t bs_archive_n_blobs(const struct bs_archive *ar);
uint64_t bs_archive_n_chunks(const struct bs_archive *ar);

/* The i-th member, extent or blob; 'i' must be in range. */
void bs_archive_member(const struct bs_archive *ar, uint64_t i,
		       struct bs_member *ret);
void bs_archive_extent(const struct bs_archive *ar, uint64_t i,
		       struct bs_extent *ret);
void bs_archive_blob(const struct bs_archive *ar, uint64_t i,
		     struct bs_blob *ret);

/*
 * Paths in a bundle.  Members stand in the order of bs_path_compare(): a
 * directory, then all that is below it, then its next sibling.  find: the
 * number of the member called 'path' (not NUL-terminated), or n_members.
 * skip: the first member past 'i' and all that is below it.  So the entries
 * of a directory d are i = d + 1, skip(i), ... while i < skip(d).
 *
 * That an archive opened says: no name leads out of the bundle, and no link.
 */
uint64_t bs_archive_find(const struct bs_archive *ar, const char *path,
			 size_t len);
uint64_t bs_archive_skip(const struct bs_archive *ar, uint64_t i);

/* By components, bytewise: '/' before every other byte.  < 0, 0 or > 0. */
int bs_path_compare(const char *a, size_t a_len, const char *b, size_t b_len);

/* The number of the extent that holds byte 'off' (< size) of member 'm'. */
uint64_t bs_member_extent_at(const struct bs_archive *ar,
			     const struct bs_member *m, uint64_t off);

/* The blob that chunk 'chunk' belongs to. */
uint64_t bs_archive_blob_of_chunk(const struct bs_archive *ar, uint64_t chunk);

/* The chunk (container-wide number) that holds byte 'off' (< len) of a blob,
 * and where a chunk of the blob begins and how long it is, in blob bytes. */
uint64_t bs_blob_chunk_at(const struct bs_blob *blob, uint64_t off);
void bs_blob_chunk_range(const struct bs_blob *blob, uint64_t chunk,
			 uint64_t *ret_off, size_t *ret_len);

/* ---- Reading: pages, models, chunks ------------------------------------ */

struct bs_page; /* some index records, checked; immutable */

/* The page that holds the record of 'chunk'; pages are 0 .. n_pages - 1. */
uint64_t bs_archive_page_of(const struct bs_archive *ar, uint64_t chunk);
uint64_t bs_archive_n_pages(const struct bs_archive *ar);

/*
 * Read an index page and check it: checksum, every record against the file
 * size and its blob.  The caller owns *ret.
 */
enum bs_result bs_page_load(const struct bs_archive *ar, uint64_t page,
			    struct bs_page **ret, struct bs_error *err);
size_t bs_page_mem(const struct bs_page *page);
void bs_page_free(struct bs_page *page);

enum bs_coding {
	BS_CODING_RAW = 0,
	BS_CODING_CONSTANT = 1,
	BS_CODING_ZSTD = 2,
	BS_CODING_PLANES = 3,
	/* Of BigSmall (Python): its model decodes it and finds what is stored;
	 * stored_len is 0. */
	BS_CODING_UPSTREAM = 255,
};

struct bs_chunk {
	uint64_t no; /* container-wide */
	uint64_t blob;
	uint64_t blob_off;
	uint32_t raw_len; /* <= BS_CHUNK_RAW_MAX */
	uint32_t stored_len; /* <= BS_CHUNK_STORED_MAX */
	uint64_t stored_off; /* in the container */
	uint8_t coding; /* enum bs_coding */
	uint64_t raw_sum; /* XXH3-64 of the decoded bytes */
	uint64_t stored_sum; /* XXH3-64 of the stored bytes */
};

#define BS_CHUNK_RAW_MAX ((1u << 19) + 7)
#define BS_CHUNK_STORED_MAX (BS_CHUNK_RAW_MAX + 4096)

/* The record of 'chunk', which must lie in 'page'. */
void bs_page_chunk(const struct bs_archive *ar, const struct bs_page *page,
		   uint64_t chunk, struct bs_chunk *ret);

struct bs_model; /* decoding tables and classes, built; immutable */

/* Load what bs_blob.model names and build its tables.  The caller owns *ret; the
 * archive outlives it. */
enum bs_result bs_model_load(const struct bs_archive *ar, uint64_t model,
			     struct bs_model **ret, struct bs_error *err);
size_t bs_model_mem(const struct bs_model *model);
void bs_model_free(struct bs_model *model);

struct bs_workspace;

enum bs_result bs_workspace_new(struct bs_workspace **ret);
void bs_workspace_free(struct bs_workspace *ws);

/*
 * Decode 'stored' (chunk->stored_len bytes) into 'dst', which has room for
 * exactly chunk->raw_len bytes, and compare its checksum.  'blob' is the
 * chunk's; 'model' is the blob's, or NULL where the chunk's coding is neither
 * BS_CODING_PLANES nor BS_CODING_UPSTREAM.  Allocates nothing, but for the latter
 * where the workspace was in another tensor before.  On failure the contents of
 * 'dst' are undefined and must not be served.
 */
enum bs_result bs_chunk_decode(const struct bs_chunk *chunk,
			       const struct bs_blob *blob,
			       const struct bs_model *model,
			       struct bs_workspace *ws, const void *stored,
			       void *dst);

/* Check the stored bytes alone: BS_OK or BS_ERR_CHECKSUM. */
enum bs_result bs_chunk_check_stored(const struct bs_chunk *chunk,
				     const void *stored);

/* ---- Reading: files of BigSmall (Python) -------------------------------- */

#define BS_MD5_LEN 16

/*
 * The index of a directory of shards, a file of this name.  It has the tensors
 * that are stored in no shard, being equal to one of another name: opened with it,
 * a shard shows those that are equal to its own.  The binary one, which is of use
 * where the other is not there, does not have those.  The caller frees *ret.
 */
#define BS_INDEX_NAME "bigsmall.index.json"
#define BS_INDEX_BINARY_NAME "bigsmall.index.bin"
#define BS_INDEX_SHOWN "model.safetensors.index.json"

/* Whether a file called so, without its directory, is one of the two. */
int bs_index_is_named(const char *name);

struct bs_index;

enum bs_result bs_index_read(struct bs_index **ret, const struct bs_source *src,
			     struct bs_error *err);
void bs_index_free(struct bs_index *ix); /* NULL is allowed */

/*
 * A .bsd has its tensors in 4 bits as well, which is lossy.  They show as a
 * directory that loads by itself, called as the .bsd is but for this suffix:
 * docs/upstream.md.  What lies beside the .bsd goes into it: the model's config.json,
 * which says then how the weights are stored, and links to a tokenizer's files.
 */
#define BS_INT4_SUFFIX ".int4"

struct bs_int4_dir {
	const char *config; /* [config_len], or NULL: there is none to be had */
	size_t config_len;
	uint32_t links; /* bit i: bs_int4_link(i) lies beside the .bsd */
};

/* The i-th name that is linked to; NULL: there are no more. */
const char *bs_int4_link(unsigned i);

/* Whether a config.json can say it: BS_ERR_SYNTAX where it is none, or describes
 * quantised weights itself. */
enum bs_result bs_int4_config_check(const char *config, size_t len,
				    struct bs_error *err);
#define BS_INT4_CONFIG_MAX ((size_t)1 << 20)

/* How that file has a blob. */
struct bs_upstream {
	const char *codec; /* "bf16_se_rans"; borrowed */
	uint64_t stored_off;
	uint64_t stored_len;
	uint8_t md5[BS_MD5_LEN]; /* of the blob's bytes */
};

/* 1, or 0 where the blob is not stored: it is the header that is made up. */
int bs_archive_upstream(const struct bs_archive *ar, uint64_t blob,
			struct bs_upstream *ret);

/* A blob to be decoded in one go: 'take' gets its bytes in order, before it is
 * known whether they are good, which BS_OK says at the end.  What 'take' returns,
 * if not 0, ends it with BS_ERR_IO. */
struct bs_upstream_job {
	uint64_t blob;
	int (*take)(void *ctx, uint64_t off, const void *data, size_t len);
	void *ctx;
	/* Whoever wants to know only whether a blob is good: where it has 4-bit
	 * values, res_int4 says the same of them, whether they follow of its
	 * bytes; 'take' then gets nothing that means anything. */
	int checks_int4;
	enum bs_result res;
	enum bs_result res_int4;
};

/*
 * Do all jobs; so many at a time take turns, which is faster than one after
 * another.
 */
#define BS_UPSTREAM_TOGETHER 4
void bs_upstream_decode(const struct bs_archive *ar,
			struct bs_upstream_job *jobs, unsigned n);

/* ---- Writing ------------------------------------------------------------ */

/* How bytes are modelled.  The numbers are those of docs/format.md. */
enum bs_dtype {
	BS_DTYPE_BYTES = 0,
	BS_DTYPE_BF16,
	BS_DTYPE_F16,
	BS_DTYPE_F32,
	BS_DTYPE_F64,
	BS_DTYPE_F8_E4M3,
	BS_DTYPE_F8_E5M2,
	BS_DTYPE_F8_E8M0,
	BS_DTYPE_F4,
	BS_DTYPE_F6_E2M3,
	BS_DTYPE_F6_E3M2,
	BS_DTYPE_I8,
	BS_DTYPE_U8,
	BS_DTYPE_I16,
	BS_DTYPE_U16,
	BS_DTYPE_I32,
	BS_DTYPE_U32,
	BS_DTYPE_I64,
	BS_DTYPE_U64,
	BS_DTYPE_BOOL,
	BS_DTYPE_C64,
	BS_DTYPE_N
};

/* "BF16"; and the bits an element has on disk (4, 6, 8 .. 64). */
const char *bs_dtype_name(unsigned dtype);
unsigned bs_dtype_bits(unsigned dtype);

/* Bytes of the unit that a dtype's planes are cut from (1, 2, 4 or 8): chunk
 * boundaries are multiples of it from the blob's start. */
unsigned bs_dtype_unit(unsigned dtype);

/*
 * What is given for density: of decoding time, of encoding time, and of what a
 * small random read decodes.  Every reader reads all of them; what each does is
 * in docs/codec.md.
 */
enum bs_level {
	BS_LEVEL_DEFAULT = 0,
	BS_LEVEL_INFERENCE, /* decodes fastest */
	BS_LEVEL_STORAGE, /* takes least */
	BS_LEVEL_N
};

/*
 * Statistics of one blob: what its coding is chosen by.  begin: it has 'len'
 * bytes, and 'width' elements a row (of bs_dtype_unit() bytes), or 0.  Then add
 * it in order and from its start, in units of the dtype: all of it, or, where
 * bs_stats_takes_sample(), an even sample of it.  What was not added stays
 * codable.  Not thread-safe; pieces of any length give the same result.
 */
struct bs_stats;

int bs_stats_takes_sample(unsigned dtype);

enum bs_result bs_stats_new(struct bs_stats **ret, enum bs_level level);
enum bs_result bs_stats_begin(struct bs_stats *st, unsigned dtype, uint64_t len,
			      uint64_t width);
void bs_stats_add(struct bs_stats *st, const void *data, size_t len);
void bs_stats_free(struct bs_stats *st);

/* How a blob's chunks are coded: a model and its encoding tables.  Immutable,
 * shared by encoding threads. */
struct bs_coder;

/* Choose the cheapest model by the statistics, which serve as scratch and stay
 * as they are otherwise. */
enum bs_result bs_coder_new(struct bs_coder **ret, struct bs_stats *st);
void bs_coder_free(struct bs_coder *coder);

/* One encoded chunk; what the writer records of it. */
struct bs_encoded {
	uint32_t raw_len;
	uint32_t stored_len;
	uint8_t coding;
	uint64_t raw_sum;
	uint64_t stored_sum;
};

/*
 * Encode one chunk of at most BS_CHUNK_RAW_MAX bytes into 'dst' (room for
 * BS_CHUNK_STORED_MAX).  'off' is the chunk's offset in its blob.  Never
 * larger than raw; deterministic.
 */
enum bs_result bs_chunk_encode(const struct bs_coder *coder,
			       struct bs_workspace *ws, uint64_t off,
			       const void *raw, size_t raw_len, void *dst,
			       struct bs_encoded *ret);

/* Where the container goes.  'pwrite' writes all of 'len' bytes at 'off' and
 * returns 0, or returns a negative errno.  Called from one thread at a time. */
struct bs_sink {
	int (*pwrite)(void *ctx, const void *buf, size_t len, uint64_t off);
	void *ctx;
};

/*
 * The ordered writer.  Blobs are written one after another, the chunks of a
 * blob in order; members and their extents may be added at any time.  Memory:
 * the directory (160 bytes a tensor) and one open page.  After a failure the
 * writer only accepts bs_writer_free().  Not thread-safe.
 */
struct bs_writer;

enum bs_result bs_writer_new(struct bs_writer **ret, enum bs_level level,
			     const struct bs_sink *sink);
void bs_writer_free(struct bs_writer *w);

/*
 * Begin a blob of 'len' > 0 bytes whose first byte stands at 'file_off' of
 * its (first) member: chunk boundaries fall on multiples of the chunk size
 * there.  *ret describes the blob, chunk ranges included.  'coder' is
 * borrowed until bs_writer_end_blob(); NULL: plain bytes, zstd or raw.
 */
enum bs_result bs_writer_begin_blob(struct bs_writer *w, unsigned dtype,
				    const struct bs_coder *coder,
				    uint64_t file_off, uint64_t len,
				    uint64_t *ret_blob, struct bs_blob *ret);
enum bs_result bs_writer_put_chunk(struct bs_writer *w,
				   const struct bs_encoded *enc,
				   const void *stored);

/* End the blob; 'digest' is its bytes' XXH3-128 (16 bytes) or NULL. */
enum bs_result bs_writer_end_blob(struct bs_writer *w, const uint8_t *digest);

/*
 * The layout that bs_writer_begin_blob() gives a blob, for planning chunks
 * before it begins; 'first_chunk' and 'model' are not set.
 */
void bs_blob_layout(enum bs_level level, unsigned dtype, uint64_t file_off,
		    uint64_t len, struct bs_blob *ret);

/*
 * Add a member; name, target, digest, mode, mtime and size are copied from
 * 'm' ('first_extent' is ignored), then its m->n_extents extents from 'ext'.
 * Extents must cover [0, size) in order.
 */
enum bs_result bs_writer_add_member(struct bs_writer *w,
				    const struct bs_member *m,
				    const struct bs_extent *ext);

/*
 * Write the directory and both superblocks.  A single file: exactly one
 * member, named "", and the suffix its name gets back.  *ret_len is the
 * container's length.
 */
enum bs_result bs_writer_finish(struct bs_writer *w, const char *suffix,
				uint64_t *ret_len);

/*
 * The same for a bundle: its members, named by their paths, were added in the
 * order of bs_path_compare().  'mode' and 'mtime_ns' are the directory's own.
 */
enum bs_result bs_writer_finish_bundle(struct bs_writer *w, uint32_t mode,
				       int64_t mtime_ns, uint64_t *ret_len);

/* ---- Digests ------------------------------------------------------------ */

/* Incremental SHA-256 and XXH3-128.  new allocates, final writes 32 or 16
 * bytes and resets. */
struct bs_hash;

enum bs_result bs_hash_new(struct bs_hash **ret, enum bs_digest alg);
void bs_hash_update(struct bs_hash *h, const void *data, size_t len);
void bs_hash_final(struct bs_hash *h, uint8_t *ret);
void bs_hash_free(struct bs_hash *h);

#ifdef __cplusplus
}
#endif

#endif /* BIGSMALL_H */
