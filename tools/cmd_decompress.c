/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_decompress.c - bigsmall decompress
 *
 * Restores the file or the directory that a container was made of, with its
 * mode and its time; with --replace, in place of the container.
 */

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behind.h"
#include "bundler.h"
#include "cmd.h"
#include "container.h"
#include "files.h"
#include "json.h"
#include "mirror.h"
#include "naming.h"
#include "restorer.h"

enum { OPT_FORCE = 256, OPT_REPLACE, OPT_JSON };

static const struct bst_option options[] = {
	{ 'o', .arg = "OUT", .value = BST_VALUE_FILE,
	  .help = "write to this file; to a directory if OUT is one, ends in "
		  "'/', or there are several SRC; else beside SRC" },
	{ OPT_REPLACE, "replace",
	  .help = "put each file in place of its .bs, which is removed once "
		  "the file was read back and compared with it; in a "
		  "directory, of every .bs" },
	{ 'j', .arg = "N",
	  .help = "use N threads, 1 to 256; default: one a CPU" },
	{ OPT_FORCE, "force", .help = "replace an output that exists" },
	{ OPT_JSON, "json",
	  .help = "print one JSON object for each .bs, with exact bytes" },
	{ 0 },
};

struct decompress {
	const char *out;
	unsigned n_threads;
	int force;
	int is_in_place;
	int is_json;
	int out_is_dir;
	struct bst_json json;
	size_t n_done; /* in a directory */
};

/* ---- Reports ------------------------------------------------------------- */

static void report_json(struct decompress *d, const struct bst_restore *job,
			int is_bundle)
{
	struct bst_json *j = &d->json;

	bst_json_open(j, NULL, '{');
	bst_json_string(j, "source", job->src);
	bst_json_string(j, "output", job->dst);
	bst_json_u64(j, "exit", (uint64_t)job->exit_code);
	if (job->exit_code == BST_EXIT_OK) {
		bst_json_u64(j, "raw_bytes", job->raw_len);
		bst_json_u64(j, "stored_bytes", job->stored_len);
		bst_json_bool(j, "sha256_ok", job->has_sha256);
		bst_json_bool(j, "upstream", job->is_upstream);
		bst_json_bool(j, "present", job->is_present);
		bst_json_string(j, "kind", is_bundle ? "directory" : "file");
		bst_json_real(j, "seconds", job->seconds);
	}
	bst_json_close(j, '}');
}

static void report(struct decompress *d, const struct bst_restore *job,
		   int is_bundle)
{
	char from[BST_SIZE_LEN], to[BST_SIZE_LEN];

	if (d->is_json) {
		report_json(d, job, is_bundle);
		return;
	}
	if (job->exit_code != BST_EXIT_OK)
		return;
	if (job->is_present)
		bst_print("%s: it was there already%s.\n", job->dst,
			  d->is_in_place ? " and holds the same bytes; the .bs "
					   "is removed"
					 : "");
	else
		bst_print("%s: %s → %s, %s, %.1f s\n", job->dst,
			  bst_size(from, job->stored_len),
			  bst_size(to, job->raw_len),
			  job->has_sha256    ? "SHA-256 agrees"
			  : job->is_upstream ? "every MD5 agrees"
					     : "checksums agree",
			  job->seconds);
}

/* ---- One container ------------------------------------------------------- */

static int say_nameless(const char *src)
{
	return bst_usage("decompress",
			 "the name %s does not end in \".bs\", so it does not "
			 "tell what to call the file; name it with -o.",
			 src);
}

static int restore_bundle(struct decompress *d, struct bst_restore *job)
{
	struct bst_container box;
	double begin = bst_now();
	int code;

	if (d->is_in_place)
		return bst_usage("decompress",
				 "%s holds a directory; --replace is for "
				 "containers of one file.",
				 job->src);
	code = bst_container_open(&box, job->src);
	if (code != BST_EXIT_OK)
		return code;
	job->raw_len = bs_archive_summary(box.ar)->size;
	job->stored_len = (uint64_t)box.st.st_size;
	job->has_sha256 = 1;
	code = bst_restore_dir(&box, job->dst, d->n_threads);
	bst_container_close(&box);
	job->seconds = bst_now() - begin;
	return code;
}

/* The superblock of the container at 'path': 0, or -1. */
static int peek(const char *path, struct bs_summary *ret)
{
	struct stat st;
	int fd, res;

	if (bst_open_regular(path, &fd, &st) != 0)
		return -1;
	res = bst_container_peek(fd, &st, ret, NULL) == BS_OK ? 0 : -1;
	close(fd);
	return res;
}

/* What it is not matters more than what it is called. */
static int refuse_nameless(const char *src)
{
	struct bst_container box;
	int code = bst_container_open(&box, src);

	if (code != BST_EXIT_OK)
		return code;
	bst_container_close(&box);
	return say_nameless(src);
}

/* 'dst' is NULL where 'src' tells no name. */
static int decompress_one(struct decompress *d, const char *src,
			  const char *dst)
{
	struct bst_restore job = {
		.src = src,
		.dst = dst,
		.may_replace = d->force,
		.is_in_place = d->is_in_place,
	};
	struct bs_summary sum = { 0 };
	int code = BST_EXIT_OK;

	(void)peek(src, &sum);
	if (d->is_in_place)
		code = bst_refuse_in_place("decompress", src);
	if (code == BST_EXIT_OK && !dst) {
		code = refuse_nameless(src);
	} else if (code == BST_EXIT_OK && sum.is_bundle) {
		code = restore_bundle(d, &job);
	} else if (code == BST_EXIT_OK) {
		bst_progress_begin(bst_base_name(src), sum.size);
		code = bst_restore_file(&job, d->n_threads);
		bst_progress_end();
	}
	job.exit_code = code;
	report(d, &job, sum.is_bundle);
	return code;
}

/* ---- Directories --------------------------------------------------------- */

/* The index of a directory of shards; the binary one only where the other, which
 * says more, is not there. */
static int is_index(const char *path)
{
	char *dir, *json;
	struct stat st;
	int is_there;

	if (!strcmp(bst_base_name(path), BS_INDEX_NAME))
		return 1;
	if (strcmp(bst_base_name(path), BS_INDEX_BINARY_NAME) != 0)
		return 0;
	dir = bst_dir_name(path);
	json = dir ? bst_join(dir, BS_INDEX_NAME) : NULL;
	is_there = !json || stat(json, &st) == 0;
	free(json);
	free(dir);
	return !is_there;
}

static int plan_file(void *ctx, const char *path, int fd, const struct stat *st,
		     char **ret_name, const char **ret_suffix)
{
	struct bs_summary sum;

	(void)ctx;
	if (is_index(path))
		sum.suffix[0] = '\0';
	else if (bst_container_peek(fd, st, &sum, NULL) != BS_OK ||
		 sum.is_bundle)
		return 0;
	/* Other names of the file have the same, so its text says nothing. */
	*ret_suffix = "";
	*ret_name = bst_naming_original(bst_base_name(path), sum.suffix);
	if (*ret_name)
		return 1;
	if (errno == EINVAL)
		return 0;
	bst_error("out of memory.");
	return -BST_EXIT_SYSTEM;
}

static void run_file(void *ctx, struct bst_mirror_file *f, unsigned n_threads)
{
	const struct decompress *d = ctx;
	struct bst_restore *job = calloc(1, sizeof(*job));

	f->job = job;
	if (!job) {
		bst_error("out of memory.");
		f->exit_code = BST_EXIT_SYSTEM;
		return;
	}
	job->src = f->src;
	job->dst = f->dst;
	job->found = f->st;
	job->may_replace = d->force;
	job->is_in_place = d->is_in_place;
	job->skips_present = !d->is_in_place;
	f->exit_code = bst_restore_file(job, n_threads);
	if (f->exit_code == BST_EXIT_OK)
		f->outcome = BST_MIRROR_MADE;
}

static void file_done(void *ctx, struct bst_mirror_file *f)
{
	struct decompress *d = ctx;

	if (f->job)
		report(d, f->job, 0);
	d->n_done += f->outcome == BST_MIRROR_MADE;
	free(f->job);
	f->job = NULL;
}

static int decompress_dir(struct decompress *d, const char *src,
			  const char *dst)
{
	struct bst_mirror m = {
		.cmd = "decompress",
		.src = src,
		.out = dst,
		.n_threads = d->n_threads,
		.may_replace = d->force,
		.plan = plan_file,
		.run = run_file,
		.done = file_done,
		.ctx = d,
	};
	int code;

	d->n_done = 0;
	code = bst_mirror(&m);
	if (code == BST_EXIT_OK && !d->n_done && !d->is_json)
		bst_print("%s: there is no .bs of a file in it.\n", src);
	return code;
}

/* ---- The command --------------------------------------------------------- */

static int name_dir(const struct decompress *d, const char *src, size_t n,
		    char **ret)
{
	char *path;

	if (d->is_in_place)
		return BST_EXIT_OK;
	if (!d->out_is_dir)
		return bst_usage("decompress",
				 "%s is a directory: say --replace, or where "
				 "to with -o OUT/.",
				 src);
	path = bst_naming_dir(src);
	if (path && !strcmp(path, "/")) {
		free(path);
		return bst_usage("decompress", "name a directory below /.");
	}
	if (path)
		*ret = n == 1 ? strdup(d->out)
			      : bst_join(d->out, bst_base_name(path));
	free(path);
	return *ret ? BST_EXIT_OK : BST_EXIT_SYSTEM;
}

/* Where the file of 'src' goes; only the superblock is read.  *ret is NULL
 * where that does not say: decompress_one() tells why. */
static int name_output(const struct decompress *d, const char *src, size_t n,
		       char **ret)
{
	struct bs_summary summary;
	char *name;

	*ret = NULL;
	if (bst_is_dir(src))
		return name_dir(d, src, n, ret);
	if (d->out && !d->out_is_dir) {
		*ret = strdup(d->out);
		return *ret ? BST_EXIT_OK : BST_EXIT_SYSTEM;
	}
	if (access(src, R_OK) != 0)
		return BST_EXIT_OK;
	if (peek(src, &summary) != 0)
		summary.suffix[0] = '\0';
	name = bst_naming_original(bst_base_name(src), summary.suffix);
	if (!name)
		return errno == EINVAL ? BST_EXIT_OK : BST_EXIT_SYSTEM;
	*ret = bst_naming_path(src, d->out, d->out_is_dir, name);
	free(name);
	return *ret ? BST_EXIT_OK : BST_EXIT_SYSTEM;
}

static int name_outputs(struct decompress *d, char **src, char **dst, size_t n)
{
	size_t i;
	int code;

	code = bst_naming_outdir("decompress", d->out, n, &d->out_is_dir);
	for (i = 0; i < n && code == BST_EXIT_OK; i++) {
		code = name_output(d, src[i], n, &dst[i]);
		if (code == BST_EXIT_SYSTEM)
			bst_error("out of memory.");
	}
	if (code == BST_EXIT_OK)
		code = bst_naming_check(src, dst, n);
	/* A single directory makes its own, once it has looked at its names. */
	if (code == BST_EXIT_OK && d->out_is_dir &&
	    !(n == 1 && bst_is_dir(src[0])))
		code = bst_naming_make_outdir(d->out);
	return code;
}

static int decompress_all(struct decompress *d, char **src, char **dst,
			  size_t n)
{
	int code, one;
	size_t i;

	code = name_outputs(d, src, dst, n);
	if (code != BST_EXIT_OK)
		return code;
	for (i = 0; i < n && code != BST_EXIT_INTERRUPTED; i++) {
		one = bst_is_dir(src[i]) ? decompress_dir(d, src[i], dst[i])
					 : decompress_one(d, src[i], dst[i]);
		code = bst_exit_worse(code, one);
	}
	if (code == BST_EXIT_INTERRUPTED)
		bst_error("interrupted; nothing unfinished was left behind.");
	return code;
}

static int parse_options(struct decompress *d, int argc, char **argv)
{
	int opt;

	while ((opt = bst_next_option(&bst_cmd_decompress, argc, argv)) != -1)
		switch (opt) {
		case 'o':
			d->out = optarg;
			break;
		case 'j':
			if (bst_parse_threads(optarg, &d->n_threads))
				return bst_usage("decompress",
						 "-j takes a number from 1 to "
						 "%d.",
						 BST_THREADS_MAX);
			break;
		case OPT_REPLACE:
			d->is_in_place = 1;
			break;
		case OPT_FORCE:
			d->force = 1;
			break;
		case OPT_JSON:
			d->is_json = 1;
			break;
		case 'h':
			bst_print_help(&bst_cmd_decompress);
			return -1;
		default:
			return bst_bad_option("decompress", opt, optind, argv);
		}
	if (optind == argc)
		return bst_usage("decompress", "no file is named.");
	if (d->is_in_place && d->out)
		return bst_usage("decompress",
				 "-o and --replace exclude each other.");
	return BST_EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct decompress d = { .n_threads = bst_default_threads() };
	size_t i, n;
	char **dst;
	int code;

	code = parse_options(&d, argc, argv);
	if (code)
		return code < 0 ? BST_EXIT_OK : code;
	bst_catch_signals();
	bst_json_init(&d.json, stdout);
	n = (size_t)(argc - optind);
	dst = calloc(n, sizeof(*dst));
	if (!dst) {
		bst_error("out of memory.");
		return BST_EXIT_SYSTEM;
	}
	if (d.is_json)
		bst_json_open(&d.json, NULL, '[');
	code = decompress_all(&d, argv + optind, dst, n);
	if (d.is_json)
		bst_json_close(&d.json, ']');
	for (i = 0; i < n; i++)
		free(dst[i]);
	free(dst);
	return code;
}

const struct bst_command bst_cmd_decompress = {
	"decompress",
	.operands = "SRC...",
	.value = BST_VALUE_CONTAINER,
	.what = "restore the model, bit for bit",
	.about = "Restore the file or directory that each .bs was made of; or, "
		 "of a directory, the file of each .bs in it.",
	.options = options,
	.run = run,
};
