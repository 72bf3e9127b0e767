/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.c - a container, opened by its path
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "container.h"
#include "files.h"
#include "layout.h"

static int source_pread(void *ctx, void *buf, size_t len, uint64_t off)
{
	const int *fd = ctx;
	int err = bst_pread_all(*fd, buf, len, off);

	/* The file became shorter while it was open. */
	return err == -ENODATA ? -EIO : err;
}

enum bs_result bst_container_peek(int fd, const struct stat *st,
				  struct bs_summary *ret, struct bs_error *err)
{
	struct bs_summary summary;
	struct bs_source src = {
		.pread = source_pread,
		.ctx = &fd,
		.size = (uint64_t)st->st_size,
	};

	return bs_peek(&src, ret ? ret : &summary, err);
}

int bst_refuse_container(const char *path, int fd, const struct stat *st)
{
	struct bs_summary summary;
	struct bs_error err = { 0 };

	switch (bst_container_peek(fd, st, &summary, &err)) {
	case BS_ERR_MAGIC:
		return BST_EXIT_OK;
	case BS_OK:
		bst_error("%s is compressed already%s.", path,
			  summary.is_upstream ? ", by BigSmall (Python)" : "");
		return BST_EXIT_REFUSED;
	case BS_ERR_IO:
	case BS_ERR_NOMEM:
		bst_error("%s: %s.", path, err.text);
		return BST_EXIT_SYSTEM;
	default:
		bst_error("%s is a .bs already, though one that cannot be "
			  "read: %s.",
			  path, err.text);
		return BST_EXIT_REFUSED;
	}
}

/* Say why the container cannot be opened, and what helps. */
static int say_open_error(const char *path, enum bs_result res,
			  const struct bs_error *err)
{
	switch (res) {
	case BS_ERR_MAGIC:
		bst_error("%s is not a .bs file of ours, or both its ends are "
			  "damaged.",
			  path);
		break;
	case BS_ERR_TRUNCATED:
	case BS_ERR_CORRUPT:
	case BS_ERR_CHECKSUM:
		bst_error("%s: %s; restore it from a copy.", path, err->text);
		break;
	default:
		bst_error("%s: %s.", path, err->text);
	}
	return bst_exit_of_result(res);
}

/* The index of the directory that 'path' is in, or NULL. */
static struct bs_index *read_index_beside(const char *path)
{
	char *dir = bst_dir_name(path);
	char *name = dir ? bst_join(dir, BS_INDEX_NAME) : NULL;
	struct bs_index *index = NULL;
	struct bs_source src = { .pread = source_pread };
	struct stat st;
	int fd;

	if (name && bst_open_regular(name, &fd, &st) == 0) {
		src.ctx = &fd;
		src.size = (uint64_t)st.st_size;
		(void)bs_index_read(&index, &src, NULL);
		close(fd);
	}
	free(name);
	free(dir);
	return index;
}

/* A shard of BigSmall (Python) shows what its directory's index says, too. */
static enum bs_result open_in_index(struct bst_container *c,
				    struct bs_error *err)
{
	struct bs_index *index = read_index_beside(c->path);
	enum bs_result res = BS_OK;

	if (index) {
		bs_archive_close(c->ar);
		c->source.index = index;
		res = bs_archive_open(&c->ar, &c->source, err);
		c->source.index = NULL;
	}
	bs_index_free(index);
	return res;
}

static int open_archive(struct bst_container *c)
{
	struct bs_error err = { 0 };
	enum bs_result res;

	c->source.pread = source_pread;
	c->source.ctx = &c->fd;
	c->source.size = (uint64_t)c->st.st_size;
	c->source.is_index = bs_index_is_named(bst_base_name(c->path));
	res = bs_archive_open(&c->ar, &c->source, &err);
	if (res == BS_OK && bs_archive_summary(c->ar)->is_upstream &&
	    !c->source.is_index)
		res = open_in_index(c, &err);
	if (res != BS_OK)
		return say_open_error(c->path, res, &err);
	c->is_bundle = bs_archive_summary(c->ar)->is_bundle;
	if (!c->is_bundle)
		bs_archive_member(c->ar, 0, &c->member);
	/* Upstream's record neither: the virtual file has the file's own. */
	if (bs_archive_summary(c->ar)->is_upstream) {
		c->member.mode = c->st.st_mode & 07777;
		c->member.mtime_ns = bst_nanoseconds(&c->st.st_mtim);
	}
	return BST_EXIT_OK;
}

/* ---- Reading a little ---------------------------------------------------- */

struct bst_reader {
	struct bs_workspace *ws; /* owned, as is all below */
	uint8_t *stored; /* [BS_CHUNK_STORED_MAX] */
	uint8_t *raw; /* [BS_CHUNK_RAW_MAX] */
	struct bs_page *page;
	uint64_t page_no;
	struct bs_chunk chunk; /* what 'raw' holds */
	int has_chunk;
};

static void reader_free(struct bst_reader *r)
{
	if (!r)
		return;
	bs_page_free(r->page);
	bs_workspace_free(r->ws);
	free(r->raw);
	free(r->stored);
	free(r);
}

static struct bst_reader *reader_new(void)
{
	struct bst_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->stored = malloc(BS_CHUNK_STORED_MAX);
	r->raw = malloc(BS_CHUNK_RAW_MAX);
	if (r->stored && r->raw && bs_workspace_new(&r->ws) == BS_OK)
		return r;
	reader_free(r);
	return NULL;
}

static enum bs_result get_record(struct bst_container *c, uint64_t no,
				 struct bs_chunk *ret, struct bs_error *err)
{
	struct bst_reader *r = c->reader;
	uint64_t page_no = bs_archive_page_of(c->ar, no);
	enum bs_result res;

	if (!r->page || r->page_no != page_no) {
		bs_page_free(r->page);
		r->page = NULL;
		res = bs_page_load(c->ar, page_no, &r->page, err);
		if (res != BS_OK)
			return res;
		r->page_no = page_no;
	}
	bs_page_chunk(c->ar, r->page, no, ret);
	return BS_OK;
}

/* Decode chunk 'no' of 'blob' into the reader's memory. */
static enum bs_result read_chunk(struct bst_container *c,
				 const struct bs_blob *blob, uint64_t no,
				 struct bs_error *err)
{
	struct bst_reader *r = c->reader;
	struct bs_model *model = NULL;
	struct bs_chunk chunk;
	enum bs_result res;

	if (r->has_chunk && r->chunk.no == no)
		return BS_OK;
	r->has_chunk = 0;
	res = get_record(c, no, &chunk, err);
	if (res != BS_OK)
		return res;
	if (bst_pread_all(c->fd, r->stored, chunk.stored_len,
			  chunk.stored_off) != 0)
		return BS_ERR_IO;
	if (chunk.coding >= BS_CODING_PLANES) {
		if (blob->model == BS_NO_MODEL)
			return BS_ERR_CORRUPT;
		res = bs_model_load(c->ar, blob->model, &model, err);
		if (res != BS_OK)
			return res;
	}
	res = bs_chunk_decode(&chunk, blob, model, r->ws, r->stored, r->raw);
	bs_model_free(model);
	r->chunk = chunk;
	r->has_chunk = res == BS_OK;
	return res;
}

enum bs_result bst_container_read(struct bst_container *c, uint64_t off,
				  size_t len, void *dst, struct bs_error *err)
{
	uint8_t *to = dst;

	if (!c->reader)
		c->reader = reader_new();
	if (!c->reader)
		return BS_ERR_NOMEM;
	while (len) {
		const struct bs_chunk *chunk = &c->reader->chunk;
		struct bs_extent ext;
		struct bs_blob blob;
		uint64_t skip, n;
		enum bs_result res;

		bs_archive_extent(c->ar,
				  bs_member_extent_at(c->ar, &c->member, off),
				  &ext);
		bs_archive_blob(c->ar, ext.blob, &blob);
		skip = off - ext.off;
		res = read_chunk(c, &blob,
				 bs_blob_chunk_at(&blob, ext.blob_off + skip),
				 err);
		if (res != BS_OK)
			return res;
		n = ext.len - skip;
		skip += ext.blob_off - chunk->blob_off;
		if (n > chunk->raw_len - skip)
			n = chunk->raw_len - skip;
		if (n > len)
			n = len;
		memcpy(to, c->reader->raw + skip, (size_t)n);
		to += n;
		off += n;
		len -= (size_t)n;
	}
	return BS_OK;
}

/* ---- Opening ------------------------------------------------------------- */

int bst_container_open(struct bst_container *c, const char *path)
{
	int err, code;

	memset(c, 0, sizeof(*c));
	c->path = path;
	c->fd = -1;
	err = bst_open_regular(path, &c->fd, &c->st);
	if (err == -EISDIR || err == -EINVAL) {
		bst_error("%s is %s; name a .bs file.", path,
			  err == -EISDIR ? "a directory" : "no regular file");
		return BST_EXIT_USAGE;
	}
	if (err) {
		bst_error("%s cannot be read: %s.", path, strerror(-err));
		return bst_exit_of_errno(-err);
	}
	code = open_archive(c);
	if (code != BST_EXIT_OK)
		bst_container_close(c);
	return code;
}

int bst_container_open_fd(struct bst_container *c, const char *path, int fd)
{
	int code;

	memset(c, 0, sizeof(*c));
	c->path = path;
	c->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (c->fd < 0 || fstat(c->fd, &c->st) != 0) {
		bst_error("%s cannot be read: %s.", path, strerror(errno));
		code = BST_EXIT_SYSTEM;
	} else {
		code = open_archive(c);
	}
	if (code != BST_EXIT_OK)
		bst_container_close(c);
	return code;
}

void bst_container_enter(struct bst_container *c, uint64_t i)
{
	bs_st_free(c->names);
	c->names = NULL;
	bs_archive_member(c->ar, i, &c->member);
}

void bst_container_close(struct bst_container *c)
{
	reader_free(c->reader);
	c->reader = NULL;
	bs_st_free(c->names);
	bs_archive_close(c->ar);
	if (c->fd >= 0)
		close(c->fd);
	c->names = NULL;
	c->ar = NULL;
	c->fd = -1;
}

/* As source_pread, but the first superblock reads as zeros. */
static int blind_pread(void *ctx, void *buf, size_t len, uint64_t off)
{
	int err = source_pread(ctx, buf, len, off);

	if (!err && off == 0)
		memset(buf, 0, len < 8 ? len : 8);
	return err;
}

enum bs_result bst_container_check_copy(const struct bst_container *c)
{
	struct bs_source src = c->source;
	struct bs_summary summary;

	if (bs_archive_summary(c->ar)->is_upstream)
		return BS_OK; /* there is no copy to be damaged */
	src.pread = blind_pread;
	return bs_peek(&src, &summary, NULL);
}

/* ---- Names --------------------------------------------------------------- */

enum bs_result bst_container_load_names(struct bst_container *c,
					struct bs_error *err)
{
	uint64_t len;
	uint8_t prefix[8];
	enum bs_result res;
	void *head;

	if (c->names)
		return BS_OK;
	if (c->member.size < sizeof(prefix))
		return BS_ERR_SYNTAX;
	res = bst_container_read(c, 0, sizeof(prefix), prefix, err);
	if (res == BS_OK)
		res = bs_st_header_len(prefix, c->member.size, &len, err);
	if (res != BS_OK)
		return res;
	/* What compress did not parse for its size is not parsed here. */
	if (len > BST_HEADER_MAX)
		return BS_ERR_SYNTAX;
	head = malloc((size_t)len);
	if (!head)
		return BS_ERR_NOMEM;
	res = bst_container_read(c, 0, (size_t)len, head, err);
	if (res == BS_OK)
		res = bs_st_parse(&c->names, head, (size_t)len, c->member.size,
				  err);
	free(head);
	return res;
}

size_t bst_tensor_after(const struct bs_st *st, uint64_t off)
{
	size_t lo = 0, hi = bs_st_n_tensors(st);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct bs_st_tensor *t = bs_st_tensor(st, mid);

		if (t->off + t->len > off)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

const char *bst_container_where(const struct bst_container *c, uint64_t off,
				uint64_t len, char *buf)
{
	const struct bs_st_tensor *first = NULL;
	size_t i, n = 0;

	if (!c->names)
		return bst_container_file(c, buf);
	for (i = bst_tensor_after(c->names, off); i < bs_st_n_tensors(c->names);
	     i++) {
		const struct bs_st_tensor *t = bs_st_tensor(c->names, i);

		if (t->off >= off + len)
			break;
		if (t->len && !n++)
			first = t;
	}
	if (!first)
		snprintf(buf, BST_WHERE_LEN, "%s",
			 off == 0 ? "the header" : "bytes outside any tensor");
	else if (n == 1)
		snprintf(buf, BST_WHERE_LEN, "tensor \"%.200s\"", first->name);
	else
		snprintf(buf, BST_WHERE_LEN, "tensor \"%.200s\" and %zu more",
			 first->name, n - 1);
	return buf;
}

const char *bst_container_file(const struct bst_container *c, char *buf)
{
	size_t len = c->member.name_len;

	if (!c->is_bundle)
		snprintf(buf, BST_WHERE_LEN, "the file");
	else
		snprintf(buf, BST_WHERE_LEN, "the file \"%s%.*s\" in it",
			 len > 200 ? "..." : "", len > 200 ? 200 : (int)len,
			 c->member.name + (len > 200 ? len - 200 : 0));
	return buf;
}

const char *bst_coding_name(unsigned coding)
{
	static const char *const name[] = { "raw", "constant", "zstd",
					    "planes" };

	return coding < sizeof(name) / sizeof(name[0]) ? name[coding] : "?";
}
