/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_verify.c - bigsmall verify
 *
 * Reads all of a container and names all that is wrong: each bad chunk with
 * the tensor it belongs to, how bad that is, and what to do next.
 */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behind.h"
#include "cmd.h"
#include "container.h"
#include "files.h"
#include "json.h"
#include "unpacker.h"
#include "walk.h"

enum { OPT_FAST = 256, OPT_JSON };

static const struct bst_option options[] = {
	{ OPT_FAST, "fast",
	  .help = "check the structure and the stored checksums, decode "
		  "nothing" },
	{ OPT_JSON, "json", .help = "print one JSON object for each SRC" },
	{ 0 },
};

struct verify {
	int is_fast;
	int is_json;
	const char *member; /* of a bundle: that alone, or what is below it; "":
			     * all; borrowed */
	struct bst_json json;
};

/* What was found out about one container. */
struct findings {
	struct bst_container box;
	struct bst_unpack u;
	enum bs_result copy; /* the superblock at the end */
	enum bs_result names; /* BS_ERR_SYNTAX: the file is no safetensors */
	size_t n_tensors;
	size_t n_hurt; /* tensors with bad bytes */
	int is_header_hurt;
	int digest_differs;
	double seconds;
};

/* ---- Looking ------------------------------------------------------------- */

/* Count the tensors that the bad stretches touch.  Both come in the order of
 * the file. */
static void count_hurt(struct findings *f)
{
	const struct bs_st *st = f->box.names;
	size_t i, next = 0;

	if (!st)
		return;
	f->n_tensors = bs_st_n_tensors(st);
	for (i = 0; i < f->u.n_bad; i++) {
		const struct bst_bad *bad = &f->u.bad[i];
		size_t t = bst_tensor_after(st, bad->off);

		if (t < next)
			t = next;
		for (; t < f->n_tensors; t++) {
			const struct bs_st_tensor *ten = bs_st_tensor(st, t);

			if (ten->off >= bad->off + bad->len)
				break;
			f->n_hurt += ten->len > 0;
			next = t + 1;
		}
	}
}

/* Read the file that was entered, or the only one. */
static int look(const struct verify *v, struct findings *f)
{
	const struct bst_container *box = &f->box;

	f->u.box = &f->box;
	f->u.dst_fd = -1;
	f->u.cmp_fd = -1;
	f->u.n_threads = bst_default_threads();
	f->u.is_fast = v->is_fast;
	f->u.goes_on = 1;
	bst_unpack(&f->u);
	if (f->u.exit_code != BST_EXIT_OK)
		return f->u.exit_code;
	f->names = bst_container_load_names(&f->box, NULL);
	f->is_header_hurt = f->u.n_bad && !f->box.names &&
			    f->names != BS_ERR_SYNTAX;
	count_hurt(f);
	f->digest_differs =
		f->u.has_digest &&
		memcmp(f->u.digest, box->member.digest, BS_DIGEST_MAX);
	return BST_EXIT_OK;
}

/* Both ends of the container. */
static int judge_ends(const struct findings *f)
{
	return f->copy != BS_OK || bs_archive_is_degraded(f->box.ar)
		       ? BST_EXIT_DATA
		       : BST_EXIT_OK;
}

/* The worst of all that was found in the file. */
static int judge(const struct findings *f)
{
	int code = BST_EXIT_OK;
	size_t i;

	if (f->u.exit_code != BST_EXIT_OK)
		return f->u.exit_code;
	if (f->digest_differs)
		code = BST_EXIT_DATA;
	for (i = 0; i < f->u.n_bad; i++)
		code = bst_exit_worse(code,
				      bst_exit_of_result(f->u.bad[i].res));
	return code;
}

/* ---- Telling ------------------------------------------------------------- */

static const char *severity(const struct bst_bad *bad)
{
	if (bad->res == BS_ERR_IO)
		return "unreadable";
	if (bad->n_chunks > 1)
		return "index lost";
	return bad->is_stored_intact ? "undecodable" : "damaged";
}

static void tell_bad(const struct findings *f, const struct bst_bad *bad)
{
	char where[BST_WHERE_LEN], file[BST_WHERE_LEN];
	unsigned long long first = bad->off, last = bad->off + bad->len - 1;

	bst_container_where(&f->box, bad->off, bad->len, where);
	bst_container_file(&f->box, file);
	if (bad->is_int4)
		bst_error("%s: the 4-bit values of %s are damaged, stored at "
			  "byte %llu: %s.  The tensor itself is good.",
			  f->box.path, where,
			  (unsigned long long)bad->stored_off,
			  bs_result_text(bad->res));
	else if (bs_archive_summary(f->box.ar)->is_upstream)
		bst_error("%s: %s is damaged, bytes %llu to %llu of the file, "
			  "stored at byte %llu: %s.",
			  f->box.path, where, first, last,
			  (unsigned long long)bad->stored_off,
			  bs_result_text(bad->res));
	else if (bad->stored_len)
		bst_error("%s: chunk %llu is %s: %s, bytes %llu to %llu of %s, "
			  "stored at byte %llu: %s.",
			  f->box.path, (unsigned long long)bad->chunk,
			  severity(bad), where, first, last, file,
			  (unsigned long long)bad->stored_off,
			  bs_result_text(bad->res));
	else
		bst_error("%s: the index page of chunks %llu to %llu is "
			  "damaged: %s, bytes %llu to %llu of %s.",
			  f->box.path, (unsigned long long)bad->chunk,
			  (unsigned long long)(bad->chunk + bad->n_chunks - 1),
			  where, first, last, file);
}

/* What is left, and what to do. */
static void tell_remedy(const struct findings *f)
{
	const char *path = f->box.path;

	if (f->is_header_hurt)
		bst_error("%s: its header is damaged, so its tensors cannot be "
			  "named; restore %s from a copy.",
			  path, path);
	else if (f->u.n_bad && f->n_tensors)
		bst_error("%s: %zu of %zu tensors are damaged, the other %zu "
			  "are intact; restore %s from a copy.",
			  path, f->n_hurt, f->n_tensors,
			  f->n_tensors - f->n_hurt, path);
	else if (f->u.n_bad)
		bst_error("%s: restore it from a copy; all other bytes are "
			  "intact.",
			  path);
	if (f->digest_differs)
		bst_error("%s: all its chunks are sound, but together they are "
			  "not the file that was compressed (SHA-256); restore "
			  "it from a copy.",
			  path);
}

static void tell_ends(const struct findings *f)
{
	if (bs_archive_is_degraded(f->box.ar))
		bst_error("%s: its first superblock is damaged, the copy at "
			  "its end served; restore it from a copy.",
			  f->box.path);
	else if (f->copy != BS_OK)
		bst_error("%s: the copy of the superblock at its end is "
			  "damaged; restore it from a copy.",
			  f->box.path);
}

static void tell(const struct verify *v, const struct findings *f, int code)
{
	char raw[BST_SIZE_LEN];
	size_t i;

	for (i = 0; i < f->u.n_bad; i++)
		tell_bad(f, &f->u.bad[i]);
	tell_remedy(f);
	tell_ends(f);
	if (code != BST_EXIT_OK || v->is_json)
		return;
	if (bs_archive_summary(f->box.ar)->is_upstream) {
		bst_print("%s: fine: %llu tensors, %s, %s, %.1f s\n",
			  f->box.path, (unsigned long long)f->n_tensors,
			  bst_size(raw, f->box.member.size),
			  v->is_fast ? "the header holds, nothing else can be "
				       "checked without decoding"
				     : "every MD5 agrees",
			  f->seconds);
		return;
	}
	bst_print("%s: fine: %llu chunks, %s, %s, %.1f s\n", f->box.path,
		  (unsigned long long)f->u.n_chunks,
		  bst_size(raw, f->box.member.size),
		  v->is_fast ? "stored checksums agree" : "SHA-256 agrees",
		  f->seconds);
}

static void json_bad(struct bst_json *j, const struct findings *f,
		     const struct bst_bad *bad)
{
	char where[BST_WHERE_LEN];

	bst_json_open(j, NULL, '{');
	if (f->box.is_bundle)
		bst_json_string(j, "file", bst_container_file(&f->box, where));
	bst_json_u64(j, "chunk", bad->chunk);
	bst_json_u64(j, "chunks", bad->n_chunks);
	bst_json_string(j, "where",
			bst_container_where(&f->box, bad->off, bad->len,
					    where));
	bst_json_u64(j, "offset", bad->off);
	bst_json_u64(j, "length", bad->len);
	bst_json_u64(j, "stored_offset", bad->stored_off);
	bst_json_u64(j, "stored_length", bad->stored_len);
	bst_json_string(j, "severity", severity(bad));
	bst_json_string(j, "result", bs_result_name(bad->res));
	if (bs_archive_summary(f->box.ar)->is_upstream)
		bst_json_bool(j, "int4_only", bad->is_int4);
	bst_json_close(j, '}');
}

static void tell_json(struct verify *v, const struct findings *f, int code)
{
	struct bst_json *j = &v->json;
	char hex[2 * BS_DIGEST_MAX + 1];
	size_t i;

	bst_json_open(j, NULL, '{');
	bst_json_string(j, "source", f->box.path);
	bst_json_u64(j, "exit", (uint64_t)code);
	if (f->box.ar) {
		bst_json_bool(j, "ok", code == BST_EXIT_OK);
		bst_json_bool(j, "fast", v->is_fast);
		bst_json_string(j, "kind",
				bs_archive_summary(f->box.ar)->is_upstream
					? "upstream"
					: "container");
		bst_json_u64(j, "raw_bytes", f->box.member.size);
		bst_json_u64(j, "stored_bytes", (uint64_t)f->box.st.st_size);
		bst_json_u64(j, "chunks", f->u.n_chunks);
		bst_json_u64(j, "tensors", f->n_tensors);
		bst_json_u64(j, "damaged_tensors", f->n_hurt);
		bst_json_bool(j, "first_superblock_ok",
			      !bs_archive_is_degraded(f->box.ar));
		bst_json_bool(j, "last_superblock_ok", f->copy == BS_OK);
		bst_json_string(j, "sha256",
				f->u.has_digest ? bst_hex(hex, f->u.digest, 32)
						: NULL);
		bst_json_bool(j, "sha256_ok",
			      f->u.has_digest && !f->digest_differs);
		bst_json_real(j, "seconds", f->seconds);
		bst_json_open(j, "bad", '[');
		for (i = 0; i < f->u.n_bad; i++)
			json_bad(j, f, &f->u.bad[i]);
		bst_json_close(j, ']');
	}
	bst_json_close(j, '}');
}

/* ---- Bundles ------------------------------------------------------------- */

/* Small files are read one after another: many share a blob. */
#define ALONE_LEN ((uint64_t)1 << 20)

struct totals {
	uint64_t n_files;
	uint64_t n_hurt;
	uint64_t raw;
	uint64_t n_chunks;
};

/* Whether the small file that was entered is sound; where it is not, look()
 * says how. */
static int is_sound(struct findings *f, uint8_t *buf, struct bs_hash *hash)
{
	const struct bs_member *m = &f->box.member;
	uint8_t digest[BS_DIGEST_MAX];

	if (bst_container_read(&f->box, 0, (size_t)m->size, buf, NULL) != BS_OK)
		return 0;
	bs_hash_update(hash, buf, (size_t)m->size);
	bs_hash_final(hash, digest);
	bst_progress_add(m->size);
	return m->digest_alg != BS_DIGEST_SHA256 ||
	       !memcmp(digest, m->digest, sizeof(digest));
}

/* The file that was entered. */
static int verify_file(struct verify *v, struct findings *f, struct totals *sum)
{
	char file[BST_WHERE_LEN];
	int code = look(v, f);
	size_t i;

	if (code == BST_EXIT_OK)
		code = judge(f);
	else if (code != BST_EXIT_INTERRUPTED)
		bst_error("%s: %s.", f->box.path, f->u.error);
	if (code == BST_EXIT_INTERRUPTED)
		return code;
	sum->n_chunks += f->u.n_chunks;
	sum->n_hurt += code != BST_EXIT_OK;
	for (i = 0; i < f->u.n_bad; i++) {
		tell_bad(f, &f->u.bad[i]);
		if (v->is_json)
			json_bad(&v->json, f, &f->u.bad[i]);
	}
	if (f->digest_differs)
		bst_error("%s: %s has another SHA-256 than it had; restore the "
			  ".bs from a copy.",
			  f->box.path, bst_container_file(&f->box, file));
	bst_unpack_fini(&f->u);
	memset(&f->u, 0, sizeof(f->u));
	f->digest_differs = 0;
	return code;
}

static int is_asked_for(const struct verify *v, const struct bs_member *m)
{
	size_t len = strlen(v->member);

	if (!len)
		return 1;
	return m->name_len >= len && !memcmp(m->name, v->member, len) &&
	       (m->name_len == len || m->name[len] == '/');
}

static int verify_files(struct verify *v, struct findings *f,
			struct totals *sum)
{
	uint64_t n = bs_archive_n_members(f->box.ar), i;
	uint8_t *buf = malloc(ALONE_LEN);
	struct bs_hash *hash = NULL;
	int code = BST_EXIT_OK;

	if (!buf || bs_hash_new(&hash, BS_DIGEST_SHA256) != BS_OK) {
		bst_error("out of memory.");
		code = BST_EXIT_SYSTEM;
		n = 0;
	}
	for (i = 0; i < n && code != BST_EXIT_INTERRUPTED; i++) {
		bst_container_enter(&f->box, i);
		if (f->box.member.type != BS_MEMBER_FILE ||
		    !is_asked_for(v, &f->box.member))
			continue;
		sum->n_files++;
		sum->raw += f->box.member.size;
		if (bst_is_interrupted())
			code = BST_EXIT_INTERRUPTED;
		else if (f->box.member.size > ALONE_LEN ||
			 !is_sound(f, buf, hash))
			code = bst_exit_worse(code, verify_file(v, f, sum));
	}
	bs_hash_free(hash);
	free(buf);
	return code;
}

static void tell_bundle(struct verify *v, const struct findings *f,
			const struct totals *sum, int code)
{
	char raw[BST_SIZE_LEN];

	tell_ends(f);
	if (sum->n_hurt)
		bst_error("%s: %llu of %llu files in it are damaged, the "
			  "others are intact; restore it from a copy.",
			  f->box.path, (unsigned long long)sum->n_hurt,
			  (unsigned long long)sum->n_files);
	if (code == BST_EXIT_OK && !v->is_json)
		bst_print("%s: fine: %llu files, %s, %s, %.1f s\n", f->box.path,
			  (unsigned long long)sum->n_files,
			  bst_size(raw, sum->raw),
			  v->is_fast ? "checksums agree" : "SHA-256 agrees",
			  f->seconds);
}

static int verify_bundle(struct verify *v, struct findings *f)
{
	struct bst_json *j = &v->json;
	struct totals sum = { 0 };
	double begin = bst_now();
	int code;

	if (v->is_json) {
		bst_json_open(j, NULL, '{');
		bst_json_string(j, "source", f->box.path);
		bst_json_string(j, "holds", "directory");
		bst_json_open(j, "bad", '[');
	}
	bst_progress_begin(bst_base_name(f->box.path),
			   bs_archive_summary(f->box.ar)->size);
	code = verify_files(v, f, &sum);
	bst_progress_end();
	code = bst_exit_worse(code, judge_ends(f));
	f->seconds = bst_now() - begin;
	if (code != BST_EXIT_INTERRUPTED)
		tell_bundle(v, f, &sum, code);
	if (v->is_json) {
		bst_json_close(j, ']');
		bst_json_u64(j, "exit", (uint64_t)code);
		bst_json_bool(j, "ok", code == BST_EXIT_OK);
		bst_json_bool(j, "fast", v->is_fast);
		bst_json_u64(j, "raw_bytes", sum.raw);
		bst_json_u64(j, "stored_bytes", (uint64_t)f->box.st.st_size);
		bst_json_u64(j, "files", sum.n_files);
		bst_json_u64(j, "damaged_files", sum.n_hurt);
		bst_json_bool(j, "first_superblock_ok",
			      !bs_archive_is_degraded(f->box.ar));
		bst_json_bool(j, "last_superblock_ok", f->copy == BS_OK);
		bst_json_real(j, "seconds", f->seconds);
		bst_json_close(j, '}');
	}
	return code;
}

/* ---- The command --------------------------------------------------------- */

static int verify_single(struct verify *v, struct findings *f)
{
	double begin = bst_now();
	int code;

	bst_progress_begin(bst_base_name(f->box.path), f->box.member.size);
	code = look(v, f);
	bst_progress_end();
	f->seconds = bst_now() - begin;
	if (code == BST_EXIT_OK) {
		code = bst_exit_worse(judge(f), judge_ends(f));
		tell(v, f, code);
	} else if (code != BST_EXIT_INTERRUPTED) {
		bst_error("%s: %s.", f->box.path, f->u.error);
	}
	return code;
}

static int verify_one(struct verify *v, const char *src)
{
	struct findings f = { .copy = BS_OK };
	int code;

	code = bst_container_open(&f.box, src);
	if (code == BST_EXIT_OK)
		f.copy = bst_container_check_copy(&f.box);
	if (code == BST_EXIT_OK && f.box.is_bundle) {
		code = verify_bundle(v, &f);
		bst_container_close(&f.box);
		return code;
	}
	if (code == BST_EXIT_OK)
		code = verify_single(v, &f);
	if (v->is_json)
		tell_json(v, &f, code);
	bst_unpack_fini(&f.u);
	bst_container_close(&f.box);
	return code;
}

static int parse_options(struct verify *v, int argc, char **argv)
{
	int opt;

	while ((opt = bst_next_option(&bst_cmd_verify, argc, argv)) != -1)
		switch (opt) {
		case OPT_FAST:
			v->is_fast = 1;
			break;
		case OPT_JSON:
			v->is_json = 1;
			break;
		case 'h':
			bst_print_help(&bst_cmd_verify);
			return -1;
		default:
			return bst_bad_option("verify", opt, optind, argv);
		}
	if (optind == argc)
		return bst_usage("verify", "no file is named.");
	return BST_EXIT_OK;
}

/* Whether a file in a directory is to be verified: if it is a container, or was
 * one. */
static int is_container(const char *path)
{
	struct stat st;
	int fd, ret;

	if (bst_open_regular(path, &fd, &st) != 0)
		return 0;
	ret = bst_container_peek(fd, &st, NULL, NULL) != BS_ERR_MAGIC;
	close(fd);
	return ret;
}

/* Every container below a directory; of a mount, of the store behind it. */
static int verify_dir(struct verify *v, const char *path)
{
	char *behind = bst_behind_mount_dir(path);
	struct bst_tree tree;
	size_t n = 0, i;
	int code;

	code = bst_tree_read(&tree, behind ? behind : path, 0);
	for (i = 0; i < tree.n && code != BST_EXIT_INTERRUPTED; i++) {
		char *file;

		if (tree.entry[i].type != BST_ENTRY_FILE ||
		    tree.entry[i].same_as != BST_NO_ENTRY)
			continue;
		file = bst_join(tree.root, tree.entry[i].path);
		if (file && is_container(file)) {
			code = bst_exit_worse(code, verify_one(v, file));
			n++;
		}
		free(file);
	}
	if (code == BST_EXIT_OK && !n && !v->is_json)
		bst_print("%s: there is no .bs in it.\n", path);
	bst_tree_fini(&tree);
	free(behind);
	return code;
}

static int verify_path(struct verify *v, const char *path)
{
	/* A bundle that is mounted is a directory to look at. */
	char *member, *behind = bst_behind_member(path, &member);
	int code;

	v->member = member ? member : "";
	if (!behind && bst_is_dir(path))
		code = verify_dir(v, path);
	else
		code = verify_one(v, behind ? behind : path);
	free(member);
	free(behind);
	return code;
}

static int run(int argc, char **argv)
{
	struct verify v = { 0 };
	int i, code;

	code = parse_options(&v, argc, argv);
	if (code)
		return code < 0 ? BST_EXIT_OK : code;
	bst_catch_signals();
	bst_json_init(&v.json, stdout);
	if (v.is_json)
		bst_json_open(&v.json, NULL, '[');
	for (i = optind; i < argc && code != BST_EXIT_INTERRUPTED; i++)
		code = bst_exit_worse(code, verify_path(&v, argv[i]));
	if (v.is_json)
		bst_json_close(&v.json, ']');
	if (code == BST_EXIT_INTERRUPTED)
		bst_error("interrupted.");
	return code;
}

const struct bst_command bst_cmd_verify = {
	"verify",
	.operands = "SRC...",
	.value = BST_VALUE_CONTAINER,
	.what = "check every byte of a .bs",
	.about =
		"Check every byte of each .bs, and of each in a directory, and "
		"name what is damaged.",
	.options = options,
	.run = run,
};
