/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_info.c - bigsmall info
 *
 * What a container holds, by dtype and by coding, from its index alone; of a
 * plain safetensors file, its sizes by dtype.  Only the header's bytes are
 * decoded: info does not check the data, verify does.
 */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behind.h"
#include "census.h"
#include "cmd.h"
#include "container.h"
#include "files.h"
#include "json.h"
#include "layout.h"
#include "naming.h"

enum { OPT_JSON = 256 };

static const struct bst_option options[] = {
	{ OPT_JSON, "json",
	  .help = "print one JSON object, with exact bytes and every tensor" },
	{ 0 },
};

/* ---- A container --------------------------------------------------------- */

/* 'box' and 'cen' are NULL of a plain file. */
static void json_tensor(struct bst_json *j, const struct bst_container *box,
			const struct bst_census *cen,
			const struct bs_st_tensor *t)
{
	const char *coding = NULL;
	uint64_t stored = 0;
	size_t i;

	bst_json_open(j, NULL, '{');
	bst_json_string(j, "name", t->name);
	bst_json_string(j, "dtype", t->dtype_name);
	bst_json_open(j, "shape", '[');
	for (i = 0; i < t->n_dims; i++)
		bst_json_u64(j, NULL, t->shape[i]);
	bst_json_close(j, ']');
	bst_json_u64(j, "offset", t->off);
	bst_json_u64(j, "raw_bytes", t->len);
	if (cen) {
		if (t->len)
			stored = bst_census_of_range(cen, box, t->off, t->len,
						     &coding);
		bst_json_u64(j, "stored_bytes", stored);
		bst_json_string(j, "coding", coding);
	}
	bst_json_close(j, '}');
}

static void json_tensors(struct bst_json *j, const struct bst_container *box,
			 const struct bst_census *cen, const struct bs_st *st)
{
	size_t i, n = st ? bs_st_n_tensors(st) : 0;

	bst_json_open(j, "tensors", '[');
	for (i = 0; i < n; i++)
		json_tensor(j, box, cen, bs_st_tensor(st, i));
	bst_json_close(j, ']');
}

static void json_amounts(struct bst_json *j, const char *key,
			 const struct bst_amount *amounts, unsigned n,
			 const char *(*name)(unsigned))
{
	unsigned i;

	bst_json_open(j, key, '{');
	for (i = 0; i < n; i++) {
		if (!amounts[i].raw)
			continue;
		bst_json_open(j, name(i), '{');
		bst_json_u64(j, "raw_bytes", amounts[i].raw);
		bst_json_u64(j, "stored_bytes", amounts[i].stored);
		bst_json_close(j, '}');
	}
	bst_json_close(j, '}');
}

static void json_codecs(struct bst_json *j, const struct bst_census *cen)
{
	unsigned i;

	bst_json_open(j, "coding", '{');
	for (i = 0; i < cen->n_codecs; i++) {
		bst_json_open(j, cen->codecs[i].name, '{');
		bst_json_u64(j, "raw_bytes", cen->codecs[i].amount.raw);
		bst_json_u64(j, "stored_bytes", cen->codecs[i].amount.stored);
		bst_json_close(j, '}');
	}
	bst_json_close(j, '}');
}

static void tell_json(const struct bst_container *box,
		      const struct bst_census *cen)
{
	const struct bs_summary *sum = bs_archive_summary(box->ar);
	const struct bs_st *st = box->names;
	char hex[2 * BS_DIGEST_MAX + 1];
	struct bst_json j;

	bst_json_init(&j, stdout);
	bst_json_open(&j, NULL, '{');
	bst_json_string(&j, "source", box->path);
	bst_json_string(&j, "kind",
			sum->is_upstream ? "upstream" : "container");
	bst_json_string(&j, "holds", st ? "safetensors" : "opaque");
	bst_json_u64(&j, "version", sum->version);
	bst_json_string(&j, "suffix", sum->suffix);
	bst_json_u64(&j, "raw_bytes", box->member.size);
	bst_json_u64(&j, "stored_bytes", (uint64_t)box->st.st_size);
	bst_json_string(&j, "sha256",
			sum->digest_alg == BS_DIGEST_SHA256
				? bst_hex(hex, sum->digest, 32)
				: NULL);
	bst_json_u64(&j, "mode", box->member.mode);
	bst_json_real(&j, "mtime", (double)box->member.mtime_ns / 1e9);
	bst_json_u64(&j, "blobs", bs_archive_n_blobs(box->ar));
	bst_json_u64(&j, "chunks", bs_archive_n_chunks(box->ar));
	bst_json_u64(&j, "tied", cen->n_tied);
	bst_json_u64(&j, "int4_tensors", sum->n_int4);
	bst_json_bool(&j, "first_superblock_ok",
		      !bs_archive_is_degraded(box->ar));
	if (sum->is_upstream)
		json_codecs(&j, cen);
	else
		json_amounts(&j, "coding", cen->by_coding, BST_N_CODINGS,
			     bst_coding_name);
	json_amounts(&j, "dtype", cen->by_dtype, BS_DTYPE_N, bs_dtype_name);
	json_tensors(&j, box, cen, st);
	bst_json_close(&j, '}');
}

static void print_amount(const char *title, const char *name,
			 const struct bst_amount *a)
{
	char raw[BST_SIZE_LEN], stored[BST_SIZE_LEN];

	printf("%-8s %-10s %10s → %10s  %6.2f %%\n", title, name,
	       bst_size(raw, a->raw), bst_size(stored, a->stored),
	       100.0 * (double)a->stored / (double)a->raw);
}

static void print_amounts(const char *title, const struct bst_amount *amounts,
			  unsigned n, const char *(*name)(unsigned))
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (!amounts[i].raw)
			continue;
		print_amount(title, name(i), &amounts[i]);
		title = "";
	}
}

static void print_codings(const struct bst_census *cen)
{
	unsigned i;

	print_amounts("coding", cen->by_coding, BST_N_CODINGS, bst_coding_name);
	for (i = 0; i < cen->n_codecs; i++)
		print_amount(i ? "" : "coding", cen->codecs[i].name,
			     &cen->codecs[i].amount);
}

static void tell(const struct bst_container *box, const struct bst_census *cen)
{
	const struct bs_summary *sum = bs_archive_summary(box->ar);
	char raw[BST_SIZE_LEN], stored[BST_SIZE_LEN];
	char hex[2 * BS_DIGEST_MAX + 1];
	uint64_t size = box->member.size;

	bst_print("%s: a %s, format version %u\n", box->path,
		  sum->is_upstream ? "file of BigSmall (Python)" : ".bs",
		  sum->version);
	printf("%-8s %s\n", "holds",
	       box->names ? "a safetensors file" : "a file of other bytes");
	printf("%-8s %s → %s, %.2f %%\n", "size", bst_size(raw, size),
	       bst_size(stored, (uint64_t)box->st.st_size),
	       size ? 100.0 * (double)box->st.st_size / (double)size : 0.0);
	if (sum->digest_alg == BS_DIGEST_SHA256)
		printf("%-8s %s\n", "sha256", bst_hex(hex, sum->digest, 32));
	if (box->names)
		printf("%-8s %zu, %llu of them tied\n", "tensors",
		       bs_st_n_tensors(box->names),
		       (unsigned long long)cen->n_tied);
	if (sum->n_int4)
		printf("%-8s %llu of them in 4 bits as well, lossy; a mount "
		       "shows these as a directory, " BS_INT4_SUFFIX "\n",
		       "int4", (unsigned long long)sum->n_int4);
	if (!sum->is_upstream)
		printf("%-8s %llu, in %llu chunks\n", "blobs",
		       (unsigned long long)bs_archive_n_blobs(box->ar),
		       (unsigned long long)bs_archive_n_chunks(box->ar));
	print_amounts("dtype", cen->by_dtype, BS_DTYPE_N, bs_dtype_name);
	print_codings(cen);
}

/* ---- A bundle ------------------------------------------------------------ */

static const char *type_name(enum bs_member_type type)
{
	static const char *const name[] = { "?", "file", "directory",
					    "symbolic link", "hard link" };

	return name[type];
}

/* A name or a target, which ends nowhere. */
static void json_bytes(struct bst_json *j, const char *key, const char *p,
		       size_t len)
{
	char text[4097];

	memcpy(text, p, len);
	text[len] = '\0';
	bst_json_string(j, key, text);
}

static void json_member(struct bst_json *j, const struct bs_member *m)
{
	char hex[2 * BS_DIGEST_MAX + 1];

	bst_json_open(j, NULL, '{');
	json_bytes(j, "path", m->name, m->name_len);
	bst_json_string(j, "type", type_name(m->type));
	bst_json_u64(j, "mode", m->mode);
	bst_json_real(j, "mtime", (double)m->mtime_ns / 1e9);
	if (m->target_len)
		json_bytes(j, "target", m->target, m->target_len);
	if (m->type == BS_MEMBER_FILE) {
		bst_json_u64(j, "raw_bytes", m->size);
		bst_json_string(j, "sha256",
				m->digest_alg == BS_DIGEST_SHA256
					? bst_hex(hex, m->digest, 32)
					: NULL);
	}
	bst_json_close(j, '}');
}

static void tell_bundle_json(const struct bst_container *box,
			     const struct bst_census *cen)
{
	const struct bs_summary *sum = bs_archive_summary(box->ar);
	struct bst_json j;
	uint64_t i;

	bst_json_init(&j, stdout);
	bst_json_open(&j, NULL, '{');
	bst_json_string(&j, "source", box->path);
	bst_json_string(&j, "kind", "container");
	bst_json_string(&j, "holds", "directory");
	bst_json_u64(&j, "version", sum->version);
	bst_json_u64(&j, "raw_bytes", sum->size);
	bst_json_u64(&j, "stored_bytes", (uint64_t)box->st.st_size);
	bst_json_u64(&j, "mode", sum->mode);
	bst_json_real(&j, "mtime", (double)sum->mtime_ns / 1e9);
	bst_json_u64(&j, "blobs", bs_archive_n_blobs(box->ar));
	bst_json_u64(&j, "chunks", bs_archive_n_chunks(box->ar));
	bst_json_u64(&j, "tied", cen->n_tied);
	bst_json_bool(&j, "first_superblock_ok",
		      !bs_archive_is_degraded(box->ar));
	json_amounts(&j, "coding", cen->by_coding, BST_N_CODINGS,
		     bst_coding_name);
	json_amounts(&j, "dtype", cen->by_dtype, BS_DTYPE_N, bs_dtype_name);
	bst_json_open(&j, "members", '[');
	for (i = 0; i < sum->n_members; i++) {
		struct bs_member m;

		bs_archive_member(box->ar, i, &m);
		json_member(&j, &m);
	}
	bst_json_close(&j, ']');
	bst_json_close(&j, '}');
}

static void tell_bundle(const struct bst_container *box,
			const struct bst_census *cen)
{
	const struct bs_summary *sum = bs_archive_summary(box->ar);
	char raw[BST_SIZE_LEN], stored[BST_SIZE_LEN];
	uint64_t n[5] = { 0 }, i;

	for (i = 0; i < sum->n_members; i++) {
		struct bs_member m;

		bs_archive_member(box->ar, i, &m);
		n[m.type]++;
	}
	bst_print("%s: a .bs, format version %u\n", box->path, sum->version);
	printf("%-8s a directory: %llu files, %llu directories, %llu links\n",
	       "holds", (unsigned long long)n[BS_MEMBER_FILE],
	       (unsigned long long)n[BS_MEMBER_DIR],
	       (unsigned long long)(n[BS_MEMBER_SYMLINK] +
				    n[BS_MEMBER_HARDLINK]));
	printf("%-8s %s → %s, %.2f %%\n", "size", bst_size(raw, sum->size),
	       bst_size(stored, (uint64_t)box->st.st_size),
	       sum->size ? 100.0 * (double)box->st.st_size / (double)sum->size
			 : 0.0);
	printf("%-8s %llu, in %llu chunks; %llu times one serves again\n",
	       "blobs", (unsigned long long)bs_archive_n_blobs(box->ar),
	       (unsigned long long)bs_archive_n_chunks(box->ar),
	       (unsigned long long)cen->n_tied);
	print_amounts("dtype", cen->by_dtype, BS_DTYPE_N, bs_dtype_name);
	print_amounts("coding", cen->by_coding, BST_N_CODINGS, bst_coding_name);
}

/* ---- Any container ------------------------------------------------------- */

static int say_damage(const struct bst_container *box, enum bs_result res,
		      const struct bs_error *err)
{
	bst_error("%s: %s; bigsmall verify lists all damage.", box->path,
		  err->code == res ? err->text : bs_result_text(res));
	return bst_exit_of_result(res);
}

static int info_container(const char *path, int is_json)
{
	struct bst_census cen = { 0 };
	struct bst_container box;
	struct bs_error err = { 0 };
	enum bs_result res;
	int code;

	code = bst_container_open(&box, path);
	if (code != BST_EXIT_OK)
		return code;
	res = bst_census_take(&cen, &box, &err);
	if (res == BS_OK && !box.is_bundle)
		res = bst_container_load_names(&box, &err);
	if (res != BS_OK && res != BS_ERR_SYNTAX)
		code = say_damage(&box, res, &err);
	else if (box.is_bundle && is_json)
		tell_bundle_json(&box, &cen);
	else if (box.is_bundle)
		tell_bundle(&box, &cen);
	else if (is_json)
		tell_json(&box, &cen);
	else
		tell(&box, &cen);
	if (code == BST_EXIT_OK && bs_archive_is_degraded(box.ar)) {
		bst_error("%s: its first superblock is damaged, the copy at "
			  "its end served; restore it from a copy.",
			  path);
		code = BST_EXIT_DATA;
	}
	bst_census_fini(&cen);
	bst_container_close(&box);
	return code;
}

/* ---- Any other file ------------------------------------------------------ */

static void tell_plain(const char *path, uint64_t size, const struct bs_st *st,
		       const char *reason)
{
	uint64_t by_dtype[BS_DTYPE_N] = { 0 };
	char text[BST_SIZE_LEN];
	unsigned dtype;
	size_t i;

	bst_print("%s: %s, %s\n", path,
		  st ? "a safetensors file" : "a file of other bytes",
		  bst_size(text, size));
	if (reason[0])
		bst_print("%-8s %s\n", "because", reason);
	if (!st)
		return;
	printf("%-8s %zu\n", "tensors", bs_st_n_tensors(st));
	for (i = 0; i < bs_st_n_tensors(st); i++) {
		const struct bs_st_tensor *t = bs_st_tensor(st, i);

		by_dtype[t->dtype] += t->len;
	}
	for (dtype = 0; dtype < BS_DTYPE_N; dtype++)
		if (by_dtype[dtype])
			printf("%-8s %-10s %10s\n", "dtype",
			       bs_dtype_name(dtype),
			       bst_size(text, by_dtype[dtype]));
}

static int info_plain(const char *path, int fd, uint64_t size, int is_json)
{
	char reason[BST_REASON_LEN];
	struct bs_st *st = NULL;
	uint64_t header_len;
	struct bst_json j;
	int err;

	err = bst_read_header(fd, size, &st, &header_len, reason);
	if (err) {
		bst_error("%s: reading failed: %s.", path, strerror(-err));
		return BST_EXIT_SYSTEM;
	}
	if (!bst_naming_is_safetensors(path))
		reason[0] = '\0';
	if (is_json) {
		bst_json_init(&j, stdout);
		bst_json_open(&j, NULL, '{');
		bst_json_string(&j, "source", path);
		bst_json_string(&j, "kind", st ? "safetensors" : "opaque");
		bst_json_string(&j, "reason", reason[0] ? reason : NULL);
		bst_json_u64(&j, "raw_bytes", size);
		json_tensors(&j, NULL, NULL, st);
		bst_json_close(&j, '}');
	} else {
		tell_plain(path, size, st, reason);
	}
	bs_st_free(st);
	return BST_EXIT_OK;
}

/* ---- The command --------------------------------------------------------- */

static int info_path(const char *path, int is_json)
{
	size_t len = strlen(path);
	struct stat st;
	int fd, code;

	/* What cannot be opened, and what should be a container: let that
	 * code say what is wrong. */
	if (bst_open_regular(path, &fd, &st) != 0)
		return info_container(path, is_json);
	if ((len > 3 && !strcmp(path + len - 3, ".bs")) ||
	    bst_container_peek(fd, &st, NULL, NULL) != BS_ERR_MAGIC)
		code = info_container(path, is_json);
	else
		code = info_plain(path, fd, (uint64_t)st.st_size, is_json);
	close(fd);
	return code;
}

static int run(int argc, char **argv)
{
	int opt, code, is_json = 0;
	char *behind;

	while ((opt = bst_next_option(&bst_cmd_info, argc, argv)) != -1)
		switch (opt) {
		case OPT_JSON:
			is_json = 1;
			break;
		case 'h':
			bst_print_help(&bst_cmd_info);
			return BST_EXIT_OK;
		default:
			return bst_bad_option("info", opt, optind, argv);
		}
	if (argc - optind != 1)
		return bst_usage("info", "name one file.");
	behind = bst_behind_mount(argv[optind]);
	code = info_path(behind ? behind : argv[optind], is_json);
	free(behind);
	return code;
}

const struct bst_command bst_cmd_info = {
	"info",
	.operands = "SRC",
	.value = BST_VALUE_FILE,
	.what = "what a .bs or a model file holds",
	.about = "Say what a .bs holds, or what a model file would have "
		 "stored.",
	.options = options,
	.run = run,
};
