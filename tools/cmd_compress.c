/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_compress.c - bigsmall compress
 *
 * Looks at each file, decides where its container goes, has it packed, and
 * reports.  A result never has its name before it is complete, and none is
 * left behind by what failed.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "container.h"
#include "files.h"
#include "json.h"
#include "layout.h"
#include "naming.h"
#include "packer.h"

enum { OPT_FORCE = 256, OPT_DRY_RUN, OPT_JSON };

static const struct bst_option options[] = {
	{ 'o', .arg = "OUT", .value = BST_VALUE_FILE,
	  .help = "write to this file; to a directory if OUT is one, ends in "
		  "'/', or there are several SRC; else beside SRC" },
	{ 'j', .arg = "N",
	  .help = "use N threads, 1 to 256; default: one a CPU" },
	{ OPT_FORCE, "force", .help = "replace an output that exists" },
	{ OPT_DRY_RUN, "dry-run", .help = "do all but write" },
	{ OPT_JSON, "json",
	  .help = "print one JSON object for each SRC, with exact bytes" },
	{ 0 },
};

struct compress {
	const char *out;
	unsigned n_threads;
	int force;
	int dry_run;
	int is_json;
	int out_is_dir;
	struct bst_json json;
	uint64_t total_raw;
	uint64_t total_stored;
	unsigned n_done;
	char *dir; /* of all results; owned; NULL: they are in several */
	int is_misnamed; /* a result is not called .bs */
};

/* One SRC. */
struct job {
	const char *src;
	const char *dst;
	const char *suffix;
	int fd;
	struct stat st;
	struct bst_layout layout;
	struct bst_pack pack;
	double seconds;
	int has_grown; /* by its tensors, so it was kept whole */
};

static int open_source(struct job *job)
{
	int err = bst_open_regular(job->src, &job->fd, &job->st);

	if (err == 0)
		return bst_refuse_container(job->src, job->fd, &job->st);
	job->fd = -1;
	if (err == -EISDIR)
		bst_error("%s: directories are not compressed yet; name the "
			  "files.",
			  job->src);
	else if (err == -EINVAL)
		bst_error("%s is not a regular file.", job->src);
	else
		bst_error("%s cannot be read: %s.", job->src, strerror(-err));
	return err == -EISDIR || err == -EINVAL ? BST_EXIT_USAGE
						: bst_exit_of_errno(-err);
}

static int say_layout_error(const struct job *job, int err)
{
	if (err == -EINTR)
		return BST_EXIT_INTERRUPTED;
	if (err == -ENODATA) {
		bst_error("%s: it changed while it was being read.", job->src);
		return BST_EXIT_DATA;
	}
	bst_error("%s: reading failed: %s.", job->src, strerror(-err));
	return BST_EXIT_SYSTEM;
}

static void say_layout(const struct job *job)
{
	const struct bst_layout *lay = &job->layout;

	if (lay->reason[0])
		bst_error("%s: kept as opaque bytes: %s.", job->src,
			  lay->reason);
	if (lay->n_unknown)
		bst_error("%s: %llu tensor%s of a dtype not known here (\"%s\")"
			  " kept as bytes.",
			  job->src, (unsigned long long)lay->n_unknown,
			  lay->n_unknown == 1 ? " is" : "s are",
			  lay->unknown_dtype);
}

static int run_pack(struct job *job)
{
	struct bst_pack *pack = &job->pack;

	pack->layout = &job->layout;
	bst_progress_begin(bst_base_name(job->src), job->layout.size);
	bst_pack(pack);
	bst_progress_end();
	if (pack->exit_code == BST_EXIT_OK)
		return BST_EXIT_OK;
	if (pack->exit_code != BST_EXIT_INTERRUPTED)
		bst_error("%s: %s.", job->src, pack->error);
	return pack->exit_code;
}

/* Whether the container is larger than docs promise: 0.05 % + 4 KiB. */
static int has_grown(const struct job *job)
{
	uint64_t size = job->layout.size;

	return job->pack.stored_len > size + size / 2000 + 4096;
}

/* Pack by tensors; where that grows the file (random bytes in tiny tensors),
 * again as a whole. */
static int pack_best(struct job *job)
{
	uint64_t size = job->layout.size, n_tensors = job->layout.n_tensors;
	int code = run_pack(job);

	if (code != BST_EXIT_OK || !job->layout.is_safetensors ||
	    !has_grown(job))
		return code;
	bst_layout_fini(&job->layout);
	if (bst_layout_opaque(&job->layout, size)) {
		bst_error("%s: out of memory.", job->src);
		return BST_EXIT_SYSTEM;
	}
	job->layout.n_tensors = n_tensors;
	job->has_grown = 1;
	if (job->pack.dst_fd >= 0 && ftruncate(job->pack.dst_fd, 0) != 0)
		return bst_say_output_error(job->dst, -errno);
	return run_pack(job);
}

static int source_changed(const struct job *job)
{
	const struct stat *a = &job->st;
	struct stat b;

	return fstat(job->fd, &b) != 0 || a->st_size != b.st_size ||
	       a->st_mtim.tv_sec != b.st_mtim.tv_sec ||
	       a->st_mtim.tv_nsec != b.st_mtim.tv_nsec ||
	       a->st_ctim.tv_sec != b.st_ctim.tv_sec ||
	       a->st_ctim.tv_nsec != b.st_ctim.tv_nsec;
}

static int check_source(const struct job *job)
{
	uint8_t more;

	if (bst_is_interrupted())
		return BST_EXIT_INTERRUPTED;
	if (source_changed(job)) {
		bst_error("%s: it changed while it was being read.", job->src);
		return BST_EXIT_DATA;
	}
	/* As files of /proc, whose size is 0 whatever they hold. */
	if (pread(job->fd, &more, 1, job->st.st_size) > 0) {
		bst_error("%s: it holds more bytes than its size says; "
			  "compress a copy of it.",
			  job->src);
		return BST_EXIT_DATA;
	}
	return BST_EXIT_OK;
}

static int check_dir_of(const char *path)
{
	char *dir = bst_dir_name(path);
	int err = !dir ? -ENOMEM : bst_is_dir(dir) ? 0 : -ENOENT;

	free(dir);
	return err;
}

static int write_container(struct compress *c, struct job *job)
{
	struct bst_outfile out = { .fd = -1 };
	int err, code;

	err = bst_outfile_check(job->dst, c->force, &job->st);
	if (!err && c->dry_run && !c->out_is_dir)
		err = check_dir_of(job->dst);
	if (!err && !c->dry_run)
		err = bst_outfile_open(&out, job->dst, c->force);
	if (err)
		return bst_say_output_error(job->dst, err);
	job->pack.dst_fd = out.fd;
	code = pack_best(job);
	if (code == BST_EXIT_OK)
		code = check_source(job);
	if (code == BST_EXIT_OK && !c->dry_run) {
		err = bst_outfile_commit(&out, job->st.st_mode, NULL);
		if (err)
			code = bst_say_output_error(job->dst, err);
	}
	bst_outfile_abort(&out);
	return code;
}

/* 64 bits of nanoseconds reach from 1677 to 2262; others become those. */
static int64_t nanoseconds(const struct timespec *ts)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)ts->tv_sec, 1000000000, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)ts->tv_nsec, &ns))
		return ts->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

static int pack_source(struct compress *c, struct job *job)
{
	double begin = bst_now();
	int err, code;

	err = bst_layout_read(&job->layout, job->fd, (uint64_t)job->st.st_size,
			      job->suffix[0] != '\0');
	if (err)
		return say_layout_error(job, err);
	say_layout(job);
	job->pack.src_fd = job->fd;
	job->pack.n_threads = c->n_threads;
	job->pack.suffix = job->suffix;
	job->pack.mode = job->st.st_mode & 07777;
	job->pack.mtime_ns = nanoseconds(&job->st.st_mtim);
	code = write_container(c, job);
	job->seconds = bst_now() - begin;
	return code;
}

/* ---- Reports ------------------------------------------------------------- */

static double saved(uint64_t raw, uint64_t stored)
{
	return raw && stored < raw
		       ? 100.0 - 100.0 * (double)stored / (double)raw
		       : 0.0;
}

static const char *reason_of(const struct job *job)
{
	if (job->has_grown)
		return "by its tensors it would have grown";
	return job->layout.reason[0] ? job->layout.reason : NULL;
}

static void json_amount(struct bst_json *j, const char *key,
			const struct bst_amount *amount)
{
	if (!amount->raw)
		return;
	bst_json_open(j, key, '{');
	bst_json_u64(j, "raw_bytes", amount->raw);
	bst_json_u64(j, "stored_bytes", amount->stored);
	bst_json_close(j, '}');
}

static void json_codec_stats(struct bst_json *j, const struct bst_pack *pack)
{
	unsigned i;

	bst_json_open(j, "codec_stats", '{');
	bst_json_open(j, "coding", '{');
	for (i = 0; i < BST_N_CODINGS; i++)
		json_amount(j, bst_coding_name(i), &pack->by_coding[i]);
	bst_json_close(j, '}');
	bst_json_open(j, "dtype", '{');
	for (i = 0; i < BS_DTYPE_N; i++)
		json_amount(j, bs_dtype_name(i), &pack->by_dtype[i]);
	bst_json_close(j, '}');
	bst_json_close(j, '}');
}

static void report_json(struct compress *c, const struct job *job, int code)
{
	const struct bst_layout *lay = &job->layout;
	const struct bst_pack *pack = &job->pack;
	struct bst_json *j = &c->json;
	char hex[65];

	bst_json_open(j, NULL, '{');
	bst_json_string(j, "source", job->src);
	bst_json_string(j, "output", job->dst);
	bst_json_u64(j, "exit", (uint64_t)code);
	if (code == BST_EXIT_OK) {
		bst_json_u64(j, "raw_bytes", lay->size);
		bst_json_u64(j, "stored_bytes", pack->stored_len);
		bst_json_real(j, "ratio",
			      lay->size ? (double)pack->stored_len /
						  (double)lay->size
					: 0.0);
		bst_json_real(j, "seconds", job->seconds);
		bst_json_string(j, "sha256", bst_hex(hex, pack->sha256, 32));
		bst_json_string(j, "kind",
				lay->is_safetensors ? "safetensors" : "opaque");
		bst_json_string(j, "reason", reason_of(job));
		bst_json_u64(j, "tensors", lay->n_tensors);
		bst_json_u64(j, "unknown_dtype_tensors", lay->n_unknown);
		bst_json_u64(j, "blobs", pack->n_blobs);
		bst_json_u64(j, "tied", lay->n_tied);
		bst_json_u64(j, "tied_bytes", lay->tied_len);
		bst_json_bool(j, "dry_run", c->dry_run);
		json_codec_stats(j, pack);
	}
	bst_json_close(j, '}');
}

/* "14.2 GB → 9.3 GB, 34 % saved, 12.1 s" */
static void print_sizes(uint64_t raw, uint64_t stored, double seconds)
{
	char from[BST_SIZE_LEN], to[BST_SIZE_LEN];

	printf("%s → %s, %.0f %% saved, %.1f s", bst_size(from, raw),
	       bst_size(to, stored), saved(raw, stored), seconds);
}

static void report(struct compress *c, const struct job *job)
{
	const struct bst_pack *pack = &job->pack;

	bst_print("%s: ", job->src);
	print_sizes(job->layout.size, pack->stored_len, job->seconds);
	printf("\n");
	if (job->layout.n_tied) {
		char size[BST_SIZE_LEN];

		bst_print("%s: %llu tensor%s stored once, %s less.\n", job->src,
			  (unsigned long long)job->layout.n_tied,
			  job->layout.n_tied == 1 ? " is tied and"
						  : "s are tied "
						    "and",
			  bst_size(size, job->layout.tied_len));
	}
	if (saved(job->layout.size, pack->stored_len) < 1.0)
		bst_print("%s: nothing was to be gained%s.\n", job->src,
			  c->dry_run ? ""
				     : "; the .bs is written all the same");
}

static int is_shown_by_mount(const char *path)
{
	size_t len = strlen(path);

	return len > 3 && !strcmp(path + len - 3, ".bs");
}

/* The last line: what to do next. */
static void report_end(const struct compress *c, double seconds)
{
	const char *quote =
		c->dir && strpbrk(c->dir, " \t\"\\$&;()<>*?[`|") ? "'" : "";

	if (c->n_done > 1) {
		printf("%u files: ", c->n_done);
		print_sizes(c->total_raw, c->total_stored, seconds);
		printf(". ");
	}
	if (c->dry_run)
		printf("Nothing was written.\n");
	else if (!c->dir)
		printf("Read them: mount.bigsmall on each directory\n");
	else if (c->is_misnamed)
		printf("Named .bs, a mount shows it; "
		       "bigsmall decompress restores it anyway\n");
	else
		bst_print("Read %s: mount.bigsmall %s%s%s\n",
			  c->n_done > 1 ? "them" : "it", quote, c->dir, quote);
}

/* Remember where results are, for the last line. */
static void note_result(struct compress *c, const char *dst)
{
	char *dir = bst_dir_name(dst);

	c->is_misnamed |= !is_shown_by_mount(dst);
	if (c->n_done == 1) {
		c->dir = dir;
		return;
	}
	if (c->dir && (!dir || strcmp(dir, c->dir) != 0)) {
		free(c->dir);
		c->dir = NULL;
	}
	free(dir);
}

/* ---- The command --------------------------------------------------------- */

static int compress_one(struct compress *c, struct job *job)
{
	int code;

	job->fd = -1;
	code = open_source(job);
	if (code == BST_EXIT_OK)
		code = pack_source(c, job);
	if (c->is_json)
		report_json(c, job, code);
	else if (code == BST_EXIT_OK)
		report(c, job);
	if (code == BST_EXIT_OK) {
		c->total_raw += job->layout.size;
		c->total_stored += job->pack.stored_len;
		c->n_done++;
		note_result(c, job->dst);
	}
	bst_layout_fini(&job->layout);
	if (job->fd >= 0)
		close(job->fd);
	return code;
}

static int compress_all(struct compress *c, char **src, char **dst, size_t n)
{
	double begin = bst_now();
	int code = BST_EXIT_OK;
	size_t i;

	if (c->is_json)
		bst_json_open(&c->json, NULL, '[');
	for (i = 0; i < n && code != BST_EXIT_INTERRUPTED; i++) {
		struct job job = { .src = src[i], .dst = dst[i] };
		int one;

		free(bst_naming_container(bst_base_name(src[i]), &job.suffix));
		one = compress_one(c, &job);
		code = bst_exit_worse(code, one);
	}
	if (c->is_json)
		bst_json_close(&c->json, ']');
	else if (c->n_done)
		report_end(c, bst_now() - begin);
	free(c->dir);
	if (code == BST_EXIT_INTERRUPTED)
		bst_error("interrupted; nothing unfinished was left behind.");
	return code;
}

/* Decide every output, and refuse before anything is written if two are one. */
static int name_outputs(struct compress *c, char **src, char **dst, size_t n)
{
	size_t i;
	int code;

	code = bst_naming_outdir("compress", c->out, n, c->dry_run,
				 &c->out_is_dir);
	for (i = 0; i < n && code == BST_EXIT_OK; i++) {
		const char *suffix;
		char *name;

		name = bst_naming_container(bst_base_name(src[i]), &suffix);
		if (name)
			dst[i] = bst_naming_path(src[i], c->out, c->out_is_dir,
						 name);
		free(name);
		if (!dst[i]) {
			bst_error("out of memory.");
			code = BST_EXIT_SYSTEM;
		}
	}
	if (code == BST_EXIT_OK)
		code = bst_naming_check(src, dst, n);
	return code;
}

static int parse_options(struct compress *c, int argc, char **argv)
{
	int opt;

	while ((opt = bst_next_option(&bst_cmd_compress, argc, argv)) != -1)
		switch (opt) {
		case 'o':
			c->out = optarg;
			break;
		case 'j':
			if (bst_parse_threads(optarg, &c->n_threads))
				return bst_usage("compress",
						 "-j takes a number from 1 to "
						 "%d.",
						 BST_THREADS_MAX);
			break;
		case OPT_FORCE:
			c->force = 1;
			break;
		case OPT_DRY_RUN:
			c->dry_run = 1;
			break;
		case OPT_JSON:
			c->is_json = 1;
			break;
		case 'h':
			bst_print_help(&bst_cmd_compress);
			return -1;
		default:
			return bst_bad_option("compress", opt, optind, argv);
		}
	if (optind == argc)
		return bst_usage("compress", "no file is named.");
	return BST_EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct compress c = { .n_threads = bst_default_threads() };
	size_t i, n;
	char **dst;
	int code;

	code = parse_options(&c, argc, argv);
	if (code)
		return code < 0 ? BST_EXIT_OK : code;
	bst_catch_signals();
	bst_json_init(&c.json, stdout);
	n = (size_t)(argc - optind);
	dst = calloc(n, sizeof(*dst));
	if (!dst) {
		bst_error("out of memory.");
		return BST_EXIT_SYSTEM;
	}
	code = name_outputs(&c, argv + optind, dst, n);
	if (code == BST_EXIT_OK)
		code = compress_all(&c, argv + optind, dst, n);
	else if (c.is_json)
		printf("[]\n");
	for (i = 0; i < n; i++)
		free(dst[i]);
	free(dst);
	return code;
}

const struct bst_command bst_cmd_compress = {
	"compress",
	.operands = "SRC...",
	.value = BST_VALUE_FILE,
	.what = "make a .bs of a model file, a third smaller",
	.about = "Make m.bs of m.safetensors, and f.bs of any other file f.",
	.options = options,
	.run = run,
};
