/* SPDX-License-Identifier: Apache-2.0 */
/*
 * specimen.c - the bytes that a benchmark is made with
 *
 * They are copied into memory, so that no disk is measured and the file may
 * change meanwhile.  Of a file that is too long an even sample is taken: of a
 * safetensors file some of its tensors, in a header of their own, so that it is
 * again such a file; of any other, stretches of it.
 */

#include "specimen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "behind.h"
#include "cmd.h"
#include "container.h"
#include "files.h"
#include "json.h"
#include "layout.h"

/* No tensor of a sample is longer than a sixteenth of it. */
#define PIECE_MAX (BST_SPECIMEN_MAX / 16)
#define N_STRETCHES 64

/* A cut falls on whole elements, of 4, 6 or up to 64 bits. */
#define CUT 192

#define COPY_LEN ((size_t)1 << 20)

/* What is read: a file, or the member of a container. */
struct origin {
	const char *path; /* borrowed */
	int fd; /* -1: 'box' is read */
	struct bst_container box;
	uint64_t len;
};

/* A tensor, or a stretch of a file, that is taken. */
struct piece {
	const struct bs_st_tensor *t; /* borrowed; NULL: a stretch */
	uint64_t off;
	uint64_t len;
};

static int fail_errno(const struct origin *from, int err)
{
	bst_error("%s cannot be read: %s.", from->path, strerror(-err));
	return bst_exit_of_errno(-err);
}

/* ---- Reading ------------------------------------------------------------- */

/* The largest file of a bundle. */
static int enter_largest(struct origin *from)
{
	struct bst_container *box = &from->box;
	uint64_t n = bs_archive_n_members(box->ar), best = n, i;
	struct bs_member m = { 0 };
	uint64_t len = 0;

	for (i = 0; i < n; i++) {
		bs_archive_member(box->ar, i, &m);
		if (m.type != BS_MEMBER_FILE || (best < n && m.size <= len))
			continue;
		best = i;
		len = m.size;
	}
	if (best == n) {
		bst_error("%s holds no file.", from->path);
		return BST_EXIT_USAGE;
	}
	bst_container_enter(box, best);
	return BST_EXIT_OK;
}

static int open_origin(struct origin *from)
{
	struct stat st;
	int err, code = BST_EXIT_OK;

	err = bst_open_regular(from->path, &from->fd, &st);
	if (err == -EISDIR || err == -EINVAL) {
		bst_error("%s is %s; name a file.", from->path,
			  err == -EISDIR ? "a directory" : "no regular file");
		return BST_EXIT_USAGE;
	}
	if (err)
		return fail_errno(from, err);
	from->len = (uint64_t)st.st_size;
	if (bst_container_peek(from->fd, &st, NULL, NULL) == BS_ERR_MAGIC)
		return BST_EXIT_OK;
	close(from->fd);
	from->fd = -1;
	code = bst_container_open(&from->box, from->path);
	if (!code && from->box.is_bundle)
		code = enter_largest(from);
	from->len = from->box.member.size;
	return code;
}

static void close_origin(struct origin *from)
{
	if (from->fd >= 0)
		close(from->fd);
	if (from->box.ar)
		bst_container_close(&from->box);
}

static int read_origin(struct origin *from, uint64_t off, size_t len, void *dst)
{
	struct bs_error why = { 0 };
	enum bs_result res;
	int err;

	if (bst_is_interrupted())
		return BST_EXIT_INTERRUPTED;
	if (from->fd >= 0) {
		err = bst_pread_all(from->fd, dst, len, off);
		return err ? fail_errno(from, err) : BST_EXIT_OK;
	}
	res = bst_container_read(&from->box, off, len, dst, &why);
	if (res == BS_OK)
		return BST_EXIT_OK;
	bst_error("%s: %s; bigsmall verify says what is damaged.", from->path,
		  why.text[0] ? why.text : bs_result_text(res));
	return bst_exit_of_result(res);
}

/* Its header; *ret is NULL if it has none that can be used. */
static int read_names(struct origin *from, struct bs_st **ret)
{
	char reason[BST_REASON_LEN];
	uint64_t header_len;
	enum bs_result res;
	int err;

	*ret = NULL;
	if (from->fd >= 0) {
		err = bst_read_header(from->fd, from->len, ret, &header_len,
				      reason);
		return err ? fail_errno(from, err) : BST_EXIT_OK;
	}
	res = bst_container_load_names(&from->box, NULL);
	if (res != BS_OK && res != BS_ERR_SYNTAX) {
		bst_error("%s: %s.", from->path, bs_result_text(res));
		return bst_exit_of_result(res);
	}
	*ret = from->box.names;
	from->box.names = NULL;
	return BST_EXIT_OK;
}

/* ---- Sampling ------------------------------------------------------------ */

/* Bytes of a row, or 0 where they are no whole number. */
static uint64_t row_len(const struct bs_st_tensor *t)
{
	if (!t->n_dims || !t->shape[0] || t->len % t->shape[0])
		return 0;
	return t->len / t->shape[0];
}

/* What is taken of a tensor: all, or as many of its rows as may be, or elements
 * where a row is too long. */
static uint64_t piece_len(const struct bs_st_tensor *t)
{
	uint64_t row = row_len(t);

	if (t->len <= PIECE_MAX || !t->is_known)
		return t->len;
	if (row && row <= PIECE_MAX)
		return PIECE_MAX / row * row;
	return PIECE_MAX / CUT * CUT;
}

/* Some tensors, evenly over the file: each adds its part of the sample to what
 * may be taken, and is taken once that is enough for it. */
static size_t pick_tensors(const struct bs_st *st, uint64_t whole_len,
			   struct piece *pieces)
{
	double part = (double)BST_SPECIMEN_MAX / (double)whole_len, may = 0;
	size_t i, n = 0;

	for (i = 0; i < bs_st_n_tensors(st); i++) {
		const struct bs_st_tensor *t = bs_st_tensor(st, i);
		uint64_t len = piece_len(t);

		may += part * (double)t->len;
		if (!len || (double)len > may)
			continue;
		may -= (double)len;
		pieces[n].t = t;
		pieces[n].off = t->off;
		pieces[n++].len = len;
	}
	return n;
}

static size_t pick_stretches(uint64_t whole_len, struct piece *pieces)
{
	uint64_t len = BST_SPECIMEN_MAX / N_STRETCHES / CUT * CUT;
	size_t i;

	for (i = 0; i < N_STRETCHES; i++) {
		pieces[i].t = NULL;
		pieces[i].off = whole_len / N_STRETCHES * i;
		pieces[i].len = len;
	}
	return N_STRETCHES;
}

static void put_shape(struct bst_json *j, const struct piece *piece)
{
	const struct bs_st_tensor *t = piece->t;
	uint64_t row = row_len(t);
	size_t i;

	bst_json_open(j, "shape", '[');
	if (piece->len != t->len && (!row || piece->len % row))
		bst_json_u64(j, NULL, piece->len * 8 / bs_dtype_bits(t->dtype));
	else
		for (i = 0; i < t->n_dims; i++)
			bst_json_u64(j, NULL,
				     i || piece->len == t->len
					     ? t->shape[i]
					     : piece->len / row);
	bst_json_close(j, ']');
}

static void put_tensor(struct bst_json *j, const struct piece *piece,
		       uint64_t at)
{
	const struct bs_st_tensor *t = piece->t;

	bst_json_open(j, t->name, '{');
	bst_json_string(j, "dtype", t->dtype_name);
	put_shape(j, piece);
	bst_json_open(j, "data_offsets", '[');
	bst_json_u64(j, NULL, at);
	bst_json_u64(j, NULL, at + piece->len);
	bst_json_close(j, ']');
	bst_json_close(j, '}');
}

/* A header for the tensors: with its length before it, the caller's to free, or
 * NULL. */
static char *make_header(const struct piece *pieces, size_t n, size_t *ret_len)
{
	uint64_t at = 0, len;
	struct bst_json j;
	char *text = NULL;
	FILE *file;
	size_t i;

	file = open_memstream(&text, ret_len);
	if (!file)
		return NULL;
	fwrite("        ", 1, 8, file);
	bst_json_init(&j, file);
	bst_json_open(&j, NULL, '{');
	for (i = 0; i < n; i++) {
		put_tensor(&j, &pieces[i], at);
		at += pieces[i].len;
	}
	bst_json_close(&j, '}');
	while (ftell(file) % 8)
		putc(' ', file);
	if (fclose(file) != 0) {
		free(text);
		return NULL;
	}
	len = *ret_len - 8; /* little-endian, as are the machines */
	memcpy(text, &len, 8);
	return text;
}

/* ---- Copying ------------------------------------------------------------- */

static int put_bytes(struct bst_specimen *s, const void *buf, size_t len)
{
	int err = bst_pwrite_all(s->fd, buf, len, s->len);

	s->len += len;
	if (!err)
		return BST_EXIT_OK;
	bst_error("the file does not fit into memory: %s.", strerror(-err));
	return BST_EXIT_SYSTEM;
}

static int copy(struct bst_specimen *s, struct origin *from, uint64_t off,
		uint64_t len)
{
	uint8_t *buf = malloc(COPY_LEN);
	int code = buf ? BST_EXIT_OK : fail_errno(from, -ENOMEM);

	while (len && !code) {
		size_t n = len < COPY_LEN ? (size_t)len : COPY_LEN;

		code = read_origin(from, off, n, buf);
		if (!code)
			code = put_bytes(s, buf, n);
		off += n;
		len -= n;
	}
	free(buf);
	return code;
}

static int copy_sample(struct bst_specimen *s, struct origin *from,
		       const struct bs_st *st)
{
	size_t max = st ? bs_st_n_tensors(st) : 0, n, i, len;
	struct piece *pieces = calloc(max + N_STRETCHES, sizeof(*pieces));
	int code = BST_EXIT_OK;
	char *head;

	if (!pieces)
		return fail_errno(from, -ENOMEM);
	n = st ? pick_tensors(st, from->len, pieces) : 0;
	if (n) {
		s->n_tensors = n;
		head = make_header(pieces, n, &len);
		code = head ? put_bytes(s, head, len)
			    : fail_errno(from, -ENOMEM);
		free(head);
	} else {
		/* Of any other, and of one without tensors to speak of. */
		s->is_safetensors = 0;
		n = pick_stretches(from->len, pieces);
	}
	for (i = 0; i < n && !code; i++)
		code = copy(s, from, pieces[i].off, pieces[i].len);
	free(pieces);
	return code;
}

/* Behind the file's last page there is another, since encoders read on. */
static int map(struct bst_specimen *s)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *at, *file = NULL;

	at = mmap(NULL, s->len + 2 * page, PROT_READ,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at != MAP_FAILED && s->len)
		file = mmap(at, s->len, PROT_READ,
			    MAP_SHARED | MAP_FIXED | MAP_POPULATE, s->fd, 0);
	if (at == MAP_FAILED || file == MAP_FAILED || fstat(s->fd, &s->st)) {
		bst_error("the file does not fit into memory: %s.",
			  strerror(errno));
		return BST_EXIT_SYSTEM;
	}
	s->raw = at;
	return BST_EXIT_OK;
}

static int fill(struct bst_specimen *s, struct origin *from)
{
	struct bs_st *st = NULL;
	int code;

	code = read_names(from, &st);
	if (code)
		return code;
	s->whole_len = from->len;
	s->is_safetensors = st != NULL;
	if (st)
		s->n_tensors = bs_st_n_tensors(st);
	s->fd = memfd_create("benchmark", MFD_CLOEXEC);
	if (s->fd < 0)
		code = fail_errno(from, -errno);
	else if (from->len <= BST_SPECIMEN_MAX)
		code = copy(s, from, 0, from->len);
	else
		code = copy_sample(s, from, st);
	bs_st_free(st);
	return code ? code : map(s);
}

int bst_specimen_open(struct bst_specimen *s, const char *path)
{
	char *behind = bst_behind_mount(path);
	struct origin from = { .path = behind ? behind : path, .fd = -1 };
	int code;

	memset(s, 0, sizeof(*s));
	s->fd = -1;
	code = open_origin(&from);
	if (!code)
		code = fill(s, &from);
	close_origin(&from);
	free(behind);
	return code;
}

void bst_specimen_close(struct bst_specimen *s)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (s->raw) {
		/* The constant pointer is ours for all that. */
		union {
			const uint8_t *raw;
			void *at;
		} u = { .raw = s->raw };

		munmap(u.at, s->len + 2 * page);
	}
	if (s->fd >= 0)
		close(s->fd);
	s->raw = NULL;
	s->fd = -1;
}
