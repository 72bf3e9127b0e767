/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_compress.c - bigsmall compress
 *
 * Files become containers, directories bundles or directories of containers;
 * with --replace, containers in place of the files.  The outputs of all
 * sources are named before the first is written.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behind.h"
#include "bundler.h"
#include "cmd.h"
#include "compressor.h"
#include "container.h"
#include "files.h"
#include "jobs.h"
#include "json.h"
#include "mirror.h"
#include "naming.h"

enum {
	OPT_FORCE = 256,
	OPT_DRY_RUN,
	OPT_JSON,
	OPT_REPLACE,
	OPT_INFERENCE,
	OPT_STORAGE
};

static const struct bst_option options[] = {
	{ 'o', .arg = "OUT", .value = BST_VALUE_FILE,
	  .help = "write to this file; to a directory if OUT is one, ends in "
		  "'/', or there are several SRC; else beside SRC" },
	{ OPT_REPLACE, "replace",
	  .help = "put each .bs in place of its file, which is removed once "
		  "the .bs was read back and compared with it; in a directory, "
		  "of every safetensors file" },
	{ OPT_INFERENCE, "inference",
	  .help = "decode a quarter faster, for about half a per cent more "
		  "space" },
	{ OPT_STORAGE, "storage",
	  .help = "take the least space: slower to make and to read" },
	{ 'j', .arg = "N",
	  .help = "use N threads, 1 to 256; default: one a CPU" },
	{ OPT_FORCE, "force", .help = "replace an output that exists" },
	{ OPT_DRY_RUN, "dry-run", .help = "do all but write" },
	{ OPT_JSON, "json",
	  .help = "print one JSON object for each file, with exact bytes" },
	{ 0 },
};

struct compress {
	const char *out;
	unsigned n_threads;
	enum bs_level level;
	int force;
	int dry_run;
	int is_json;
	int is_in_place;
	int out_is_dir;
	struct bst_json json;
	uint64_t total_raw;
	uint64_t total_stored;
	size_t n_done;
	size_t n_left;
	char *dir; /* of all results; owned; NULL: they are in several */
	int is_misnamed; /* a result is not called .bs */
};

/* What is named on the command line. */
struct source {
	const char *src;
	char *dst; /* owned; NULL: in place */
	int is_dir;
	int is_mirrored; /* a directory that becomes one */
	struct bst_compress job; /* of one that is not */
};

/* ---- Reports ------------------------------------------------------------- */

static const char *reason_of(const struct bst_compress *job)
{
	if (job->has_grown)
		return "by its tensors it would have grown";
	return job->reason[0] ? job->reason : NULL;
}

static const char *kind_of(const struct bst_compress *job)
{
	if (job->is_bundle)
		return "directory";
	return job->is_safetensors ? "safetensors" : "opaque";
}

static const char *outcome_name(enum bst_outcome outcome)
{
	static const char *const name[] = {
		[BST_FAILED] = "failed",     [BST_WRITTEN] = "written",
		[BST_REPLACED] = "replaced", [BST_RESUMED] = "resumed",
		[BST_LEFT_OTHER] = "left",   [BST_LEFT_DENSE] = "left",
		[BST_PRESENT] = "present",
	};

	return name[outcome];
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

static void json_codec_stats(struct bst_json *j, const struct bst_compress *job)
{
	unsigned i;

	bst_json_open(j, "codec_stats", '{');
	bst_json_open(j, "coding", '{');
	for (i = 0; i < BST_N_CODINGS; i++)
		json_amount(j, bst_coding_name(i), &job->by_coding[i]);
	bst_json_close(j, '}');
	bst_json_open(j, "dtype", '{');
	for (i = 0; i < BS_DTYPE_N; i++)
		json_amount(j, bs_dtype_name(i), &job->by_dtype[i]);
	bst_json_close(j, '}');
	bst_json_close(j, '}');
}

static void json_sizes(struct bst_json *j, const struct bst_compress *job)
{
	bst_json_u64(j, "raw_bytes", job->raw_len);
	bst_json_u64(j, "stored_bytes", job->stored_len);
	bst_json_real(j, "ratio",
		      job->raw_len
			      ? (double)job->stored_len / (double)job->raw_len
			      : 0.0);
	bst_json_real(j, "seconds", job->seconds);
	bst_json_string(j, "kind", kind_of(job));
	bst_json_string(j, "reason", reason_of(job));
}

static void report_json(struct compress *c, const struct bst_compress *job)
{
	struct bst_json *j = &c->json;
	char hex[65];

	bst_json_open(j, NULL, '{');
	bst_json_string(j, "source", job->src);
	bst_json_string(j, "output", job->dst);
	bst_json_u64(j, "exit", (uint64_t)job->exit_code);
	bst_json_string(j, "outcome", outcome_name(job->outcome));
	if (job->outcome != BST_FAILED)
		json_sizes(j, job);
	if (job->outcome == BST_WRITTEN || job->outcome == BST_REPLACED) {
		bst_json_string(j, "sha256",
				job->is_bundle ? NULL
					       : bst_hex(hex, job->sha256, 32));
		bst_json_u64(j, "files", job->is_bundle ? job->n_files : 1);
		bst_json_u64(j, "tensors", job->n_tensors);
		bst_json_u64(j, "unknown_dtype_tensors", job->n_unknown);
		bst_json_u64(j, "blobs", job->n_blobs);
		bst_json_u64(j, "tied", job->n_tied);
		bst_json_u64(j, "tied_bytes", job->tied_len);
		bst_json_bool(j, "dry_run", c->dry_run);
		json_codec_stats(j, job);
	}
	bst_json_close(j, '}');
}

/* "14.2 GB → 9.3 GB, 34 % saved, 12.1 s" */
static void print_sizes(uint64_t raw, uint64_t stored, double seconds)
{
	char from[BST_SIZE_LEN], to[BST_SIZE_LEN];

	printf("%s → %s, %.0f %% saved, %.1f s", bst_size(from, raw),
	       bst_size(to, stored), bst_saved(raw, stored), seconds);
}

/* What is stored once although it is there more often. */
static void report_ties(const struct bst_compress *job)
{
	char size[BST_SIZE_LEN];

	bst_size(size, job->tied_len);
	if (job->is_bundle && job->tied_len)
		bst_print("%s: what is there more than once is stored once, "
			  "%s less.\n",
			  job->src, size);
	else if (job->n_tied)
		bst_print("%s: %llu tensor%s stored once, %s less.\n", job->src,
			  (unsigned long long)job->n_tied,
			  job->n_tied == 1 ? " is tied and" : "s are tied and",
			  size);
}

static void report_made(const struct compress *c,
			const struct bst_compress *job)
{
	bst_print("%s: ", job->src);
	print_sizes(job->raw_len, job->stored_len, job->seconds);
	printf(job->outcome == BST_REPLACED ? ", compared and replaced\n"
					    : "\n");
	report_ties(job);
	if (bst_saved(job->raw_len, job->stored_len) < BST_GAIN_MIN)
		bst_print("%s: nothing was to be gained%s.\n", job->src,
			  c->dry_run ? ""
				     : "; the .bs is written all the same");
}

static void report(const struct compress *c, const struct bst_compress *job)
{
	switch (job->outcome) {
	case BST_WRITTEN:
	case BST_REPLACED:
		report_made(c, job);
		break;
	case BST_RESUMED:
		bst_print("%s: %s was there already and holds the same "
			  "bytes%s.\n",
			  job->src, job->dst,
			  c->dry_run ? "" : "; the original is removed");
		break;
	case BST_LEFT_DENSE:
		bst_print("%s: less than 1 %% would be saved; it is left as it "
			  "is.\n",
			  job->src);
		break;
	case BST_LEFT_OTHER:
		bst_print("%s: it is no safetensors file%s%s; it is left as it "
			  "is.\n",
			  job->src, job->reason[0] ? ": " : "", job->reason);
		break;
	case BST_PRESENT:
		bst_print("%s: %s was made of it before.\n", job->src,
			  job->dst);
		break;
	case BST_FAILED:
		break;
	}
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
		printf("%zu files: ", c->n_done);
		print_sizes(c->total_raw, c->total_stored, seconds);
		printf(". ");
	}
	if (c->n_left)
		printf("%zu file%s left as %s. ", c->n_left,
		       c->n_left == 1 ? " is" : "s are",
		       c->n_left == 1 ? "it is" : "they are");
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
static void note_dir(struct compress *c, const char *dir)
{
	if (c->n_done == 1 && dir) {
		free(c->dir);
		c->dir = strdup(dir);
		return;
	}
	if (c->dir && (!dir || strcmp(dir, c->dir) != 0)) {
		free(c->dir);
		c->dir = NULL;
	}
}

static int is_gain(enum bst_outcome outcome)
{
	return outcome == BST_WRITTEN || outcome == BST_REPLACED ||
	       outcome == BST_RESUMED || outcome == BST_PRESENT;
}

/* A file or a directory is done: 'dir' is where a mount shows it. */
static void note_done(struct compress *c, const struct bst_compress *job,
		      const char *dir)
{
	if (c->is_json)
		report_json(c, job);
	else
		report(c, job);
	if (!is_gain(job->outcome))
		return;
	c->total_raw += job->raw_len;
	c->total_stored += job->stored_len;
	c->n_done++;
	c->is_misnamed |= !is_shown_by_mount(job->dst);
	note_dir(c, dir);
}

/* ---- Directories --------------------------------------------------------- */

/* One that is mirrored. */
struct mirroring {
	struct compress *c;
	const char *dir; /* of the results */
};

static int plan_file(void *ctx, const char *path, int fd, const struct stat *st,
		     char **ret_name, const char **ret_suffix)
{
	const char *base = bst_base_name(path);

	(void)ctx;
	if (bst_container_peek(fd, st, NULL, NULL) != BS_ERR_MAGIC)
		return 0;
	if (!bst_naming_is_safetensors(base) &&
	    !bst_looks_like_safetensors(fd, (uint64_t)st->st_size))
		return 0;
	*ret_name = bst_naming_container(base, ret_suffix);
	if (*ret_name)
		return 1;
	bst_error("out of memory.");
	return -BST_EXIT_SYSTEM;
}

static void run_file(void *ctx, struct bst_mirror_file *f, unsigned n_threads)
{
	const struct compress *c = ((struct mirroring *)ctx)->c;
	struct bst_compress *job = calloc(1, sizeof(*job));

	f->job = job;
	if (!job) {
		bst_error("out of memory.");
		f->exit_code = BST_EXIT_SYSTEM;
		return;
	}
	job->src = f->src;
	job->dst = f->dst;
	job->suffix = f->suffix;
	job->found = f->st;
	job->level = c->level;
	job->may_replace = c->force;
	job->dry_run = c->dry_run;
	job->is_weights_only = 1;
	job->is_in_place = c->is_in_place;
	job->skips_present = !c->is_in_place;
	f->exit_code = bst_compress_file(job, n_threads);
	if (is_gain(job->outcome))
		f->outcome = BST_MIRROR_MADE;
	else if (job->outcome != BST_FAILED)
		f->outcome = BST_MIRROR_LEFT;
}

static void file_done(void *ctx, struct bst_mirror_file *f)
{
	struct mirroring *mr = ctx;
	const struct bst_compress *job = f->job;

	/* What only looked like a model file is no news. */
	if (job && (job->outcome != BST_LEFT_OTHER || job->reason[0]))
		note_done(mr->c, job, mr->dir);
	free(f->job);
	f->job = NULL;
}

static int mirror_dir(struct compress *c, const struct source *s)
{
	struct mirroring mr = { c, s->dst ? s->dst : s->src };
	struct bst_mirror m = {
		.cmd = "compress",
		.src = s->src,
		.out = s->dst,
		.n_threads = c->n_threads,
		.may_replace = c->force,
		.dry_run = c->dry_run,
		.plan = plan_file,
		.run = run_file,
		.done = file_done,
		.ctx = &mr,
	};
	int code = bst_mirror(&m);

	c->n_left += m.n_left;
	if (code == BST_EXIT_OK && !c->n_done && !c->is_json)
		bst_print("%s: there is nothing to compress in it.\n", s->src);
	return code;
}

static int bundle_dir(struct compress *c, struct source *s)
{
	char *dir = bst_dir_name(s->dst);
	int code = bst_compress_dir(&s->job, c->n_threads);

	note_done(c, &s->job, dir);
	free(dir);
	return code;
}

/* ---- Files --------------------------------------------------------------- */

/* Sources one after another that are files. */
struct batch {
	struct compress *c;
	struct source *s;
	int code;
};

static uint64_t batch_size(void *ctx, size_t i)
{
	const struct batch *b = ctx;
	struct stat st;

	return stat(b->s[i].src, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void batch_run(void *ctx, size_t i, unsigned n_threads)
{
	struct batch *b = ctx;

	bst_compress_file(&b->s[i].job, n_threads);
}

static void batch_done(void *ctx, size_t i)
{
	struct batch *b = ctx;
	struct bst_compress *job = &b->s[i].job;
	char *dir = bst_dir_name(job->dst);

	note_done(b->c, job, dir);
	b->code = bst_exit_worse(b->code, job->exit_code);
	free(dir);
}

static int compress_files(struct compress *c, struct source *s, size_t n)
{
	struct batch b = { c, s, BST_EXIT_OK };
	struct bst_jobs jobs = {
		.n = n,
		.n_threads = c->n_threads,
		.size = batch_size,
		.run = batch_run,
		.done = batch_done,
		.ctx = &b,
	};
	uint64_t total = 0;
	char what[32];
	size_t i;

	for (i = 0; i < n; i++)
		total += batch_size(&b, i);
	snprintf(what, sizeof(what), "%zu files", n);
	bst_progress_begin(n == 1 ? bst_base_name(s->src) : what, total);
	bst_run_jobs(&jobs);
	bst_progress_end();
	return bst_is_interrupted() ? BST_EXIT_INTERRUPTED : b.code;
}

/* ---- The command --------------------------------------------------------- */

static int compress_all(struct compress *c, struct source *s, size_t n)
{
	double begin = bst_now();
	int code = BST_EXIT_OK, one;
	size_t i, end;

	for (i = 0; i < n && code != BST_EXIT_INTERRUPTED; i = end) {
		end = i + 1;
		if (s[i].is_mirrored) {
			one = mirror_dir(c, &s[i]);
		} else if (s[i].is_dir) {
			one = bundle_dir(c, &s[i]);
		} else {
			while (end < n && !s[end].is_dir)
				end++;
			one = compress_files(c, &s[i], end - i);
		}
		code = bst_exit_worse(code, one);
	}
	if (!c->is_json && c->n_done)
		report_end(c, bst_now() - begin);
	if (code == BST_EXIT_INTERRUPTED)
		bst_error("interrupted; nothing unfinished was left behind.");
	return code;
}

/* Where the result of a directory goes: *ret is NULL if nowhere else. */
static int name_dir(const struct compress *c, struct source *s, size_t n)
{
	char *path = bst_naming_dir(s->src), *name = NULL;

	s->is_mirrored = c->is_in_place || c->out_is_dir;
	if (!path) {
		bst_error("%s cannot be read: %s.", s->src, strerror(errno));
		return bst_exit_of_errno(errno);
	}
	if (c->is_in_place) {
		free(path);
		return BST_EXIT_OK;
	}
	if (!strcmp(path, "/")) {
		free(path);
		return bst_usage("compress", "name a directory below /.");
	}
	if (s->is_mirrored)
		s->dst = n == 1 ? strdup(c->out)
				: bst_join(c->out, bst_base_name(path));
	else if (asprintf(&name, "%s.bs", bst_base_name(path)) >= 0)
		s->dst = bst_naming_path(path, c->out, 0, name);
	free(name);
	free(path);
	return BST_EXIT_OK;
}

static void name_file(const struct compress *c, struct source *s)
{
	const char *suffix;
	char *name = bst_naming_container(bst_base_name(s->src), &suffix);

	if (name)
		s->dst = bst_naming_path(s->src, c->out, c->out_is_dir, name);
	free(name);
	s->job.suffix = suffix;
	s->job.checks_dir = !c->out_is_dir;
	s->job.is_in_place = c->is_in_place;
	s->job.is_weights_only = c->is_in_place;
}

static int name_output(const struct compress *c, struct source *s, size_t n)
{
	int code = BST_EXIT_OK;

	s->is_dir = bst_is_dir(s->src);
	if (s->is_dir)
		code = name_dir(c, s, n);
	else if (c->is_in_place)
		code = bst_refuse_in_place("compress", s->src);
	if (code == BST_EXIT_OK && !s->is_dir)
		name_file(c, s);
	if (code == BST_EXIT_OK && !s->dst && !(s->is_dir && c->is_in_place)) {
		bst_error("out of memory.");
		code = BST_EXIT_SYSTEM;
	}
	s->job.src = s->src;
	s->job.dst = s->dst;
	s->job.level = c->level;
	s->job.may_replace = c->force;
	s->job.dry_run = c->dry_run;
	return code;
}

/* Decide every output, and refuse before anything is written if two are one. */
static int name_outputs(struct compress *c, struct source *s, char **src,
			size_t n)
{
	char **dst = calloc(n, sizeof(*dst));
	size_t i;
	int code;

	if (!dst) {
		bst_error("out of memory.");
		return BST_EXIT_SYSTEM;
	}
	code = bst_naming_outdir("compress", c->out, n, &c->out_is_dir);
	for (i = 0; i < n && code == BST_EXIT_OK; i++) {
		s[i].src = src[i];
		code = name_output(c, &s[i], n);
		dst[i] = s[i].dst;
	}
	if (code == BST_EXIT_OK)
		code = bst_naming_check(src, dst, n);
	/* A single directory makes its own, once it has looked at its names. */
	if (code == BST_EXIT_OK && c->out_is_dir && !c->dry_run &&
	    !(n == 1 && s->is_mirrored))
		code = bst_naming_make_outdir(c->out);
	free(dst);
	return code;
}

static int parse_options(struct compress *c, int argc, char **argv)
{
	int opt, n_levels = 0;

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
		case OPT_REPLACE:
			c->is_in_place = 1;
			break;
		case OPT_INFERENCE:
		case OPT_STORAGE:
			n_levels++;
			c->level = opt == OPT_STORAGE ? BS_LEVEL_STORAGE
						      : BS_LEVEL_INFERENCE;
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
	if (n_levels > 1)
		return bst_usage("compress",
				 "--inference and --storage exclude "
				 "each other.");
	if (c->is_in_place && c->out)
		return bst_usage("compress",
				 "-o and --replace exclude each other.");
	return BST_EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct compress c = { .n_threads = bst_default_threads() };
	struct source *s;
	size_t i, n;
	int code;

	code = parse_options(&c, argc, argv);
	if (code)
		return code < 0 ? BST_EXIT_OK : code;
	bst_catch_signals();
	bst_json_init(&c.json, stdout);
	n = (size_t)(argc - optind);
	s = calloc(n, sizeof(*s));
	if (!s) {
		bst_error("out of memory.");
		return BST_EXIT_SYSTEM;
	}
	if (c.is_json)
		bst_json_open(&c.json, NULL, '[');
	code = name_outputs(&c, s, argv + optind, n);
	if (code == BST_EXIT_OK)
		code = compress_all(&c, s, n);
	if (c.is_json)
		bst_json_close(&c.json, ']');
	for (i = 0; i < n; i++)
		free(s[i].dst);
	free(c.dir);
	free(s);
	return code;
}

const struct bst_command bst_cmd_compress = {
	"compress",
	.operands = "SRC...",
	.value = BST_VALUE_FILE,
	.what = "make a .bs of a model, a third smaller",
	.about = "Make m.bs of m.safetensors, f.bs of any other file f, and "
		 "d.bs of all that is in a directory d; or, of a directory, "
		 "another one, in which each safetensors file is a .bs.",
	.options = options,
	.run = run,
};
