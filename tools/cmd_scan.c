/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_scan.c - bigsmall scan
 *
 * What would be saved by compressing, before it is done: scanner.c finds it out,
 * and this says it.
 */

#include <getopt.h>

#include "cmd.h"
#include "compressor.h"
#include "json.h"
#include "scanner.h"

enum { OPT_JSON = 256 };

static const struct bst_option options[] = {
	{ 'j', .arg = "N",
	  .help = "use N threads, 1 to 256; default: one a CPU" },
	{ OPT_JSON, "json",
	  .help = "print one JSON object, with bytes instead of GB" },
	{ 0 },
};

/* ---- Sums ---------------------------------------------------------------- */

struct sums {
	unsigned n_files; /* sampled */
	unsigned n_other;
	unsigned n_containers;
	uint64_t raw;
	uint64_t stored;
	uint64_t other_len;
	struct bst_tensors tied;
	struct bst_tensors twins;
	struct bst_tensors hidden[BST_N_HIDDEN];
	uint64_t raw_of[BS_DTYPE_N];
	uint64_t stored_of[BS_DTYPE_N];
};

static void add_amount(struct bst_tensors *to, const struct bst_tensors *of)
{
	to->n += of->n;
	to->len += of->len;
}

static void add_up(const struct bst_scan *s, struct sums *sums)
{
	size_t i;
	unsigned k;

	for (i = 0; i < s->n; i++) {
		const struct bst_scan_file *f = &s->files[i];

		sums->n_containers += f->is_container && !f->code;
		if (f->is_other && !f->is_named && !f->code) {
			sums->n_other++;
			sums->other_len += f->size;
		}
		if (!bst_scan_has(f))
			continue;
		sums->n_files++;
		sums->raw += f->size;
		sums->stored += f->stored;
		add_amount(&sums->tied, &f->tied);
		add_amount(&sums->twins, &f->twins);
		for (k = 0; k < BST_N_HIDDEN; k++)
			add_amount(&sums->hidden[k], &f->hidden[k]);
		for (k = 0; k < BS_DTYPE_N; k++) {
			sums->raw_of[k] += f->share[k].raw;
			sums->stored_of[k] += bst_share_stored(&f->share[k]);
		}
	}
}

/* ---- Reports ------------------------------------------------------------- */

static const char *const hidden_names[BST_N_HIDDEN] = { NULL, "BF16", "F16" };

static void tell_amount(const char *title, const struct bst_tensors *a,
			const char *what)
{
	char size[BST_SIZE_LEN];

	if (a->n)
		bst_print("%-8s %llu tensor%s, %s, %s.\n", title,
			  (unsigned long long)a->n, a->n == 1 ? "" : "s",
			  bst_size(size, a->len), what);
}

static void tell_file(const struct bst_scan_file *f)
{
	char raw[BST_SIZE_LEN], stored[BST_SIZE_LEN];
	double part = bst_saved(f->size, f->stored);

	bst_size(raw, f->size);
	bst_size(stored, f->stored);
	if (f->is_container)
		bst_print("%s: compressed already%s, %s%s.\n", f->path,
			  f->is_upstream ? " by BigSmall (Python)" : "", stored,
			  f->n_int4 ? ", with 4-bit weights (lossy) besides"
				    : "");
	else if (bst_scan_has(f) && part < BST_GAIN_MIN)
		bst_print("%s: %s, nothing to be gained.\n", f->path, raw);
	else if (bst_scan_has(f))
		bst_print("%s: %s → about %s, %.1f %% saved.\n", f->path, raw,
			  stored, part);
}

static void tell_dtypes(const struct sums *sums)
{
	const char *title = "dtype";
	char raw[BST_SIZE_LEN], stored[BST_SIZE_LEN];
	unsigned i;

	for (i = 0; i < BS_DTYPE_N; i++) {
		if (!sums->raw_of[i])
			continue;
		printf("%-8s %-8s %10s → %10s  %5.1f %% saved\n", title,
		       bs_dtype_name(i), bst_size(raw, sums->raw_of[i]),
		       bst_size(stored, sums->stored_of[i]),
		       bst_saved(sums->raw_of[i], sums->stored_of[i]));
		title = "";
	}
}

static void tell(const struct bst_scan *s, const struct sums *sums)
{
	char a[BST_SIZE_LEN], b[BST_SIZE_LEN];
	char text[64];
	size_t i;
	unsigned k;

	for (i = 0; i < s->n; i++)
		tell_file(&s->files[i]);
	tell_dtypes(sums);
	for (k = 1; k < BST_N_HIDDEN; k++) {
		snprintf(text, sizeof(text), "F32 that holds %s values alone",
			 hidden_names[k]);
		tell_amount("hidden", &sums->hidden[k], text);
	}
	tell_amount("tied", &sums->tied,
		    "the same as another of the file, so stored once");
	tell_amount("twins", &sums->twins,
		    "the same as one of another file; stored once in a bundle");
	if (sums->n_other)
		printf("%u other file%s, %s, no safetensors, not looked "
		       "into.\n",
		       sums->n_other, sums->n_other == 1 ? "" : "s",
		       bst_size(a, sums->other_len));
	if (!sums->n_files)
		printf("There is nothing to compress.\n");
	else
		printf("%u file%s: %s → about %s, %.1f %% saved. Do it: "
		       "bigsmall compress\n",
		       sums->n_files, sums->n_files == 1 ? "" : "s",
		       bst_size(a, sums->raw), bst_size(b, sums->stored),
		       bst_saved(sums->raw, sums->stored));
}

static void json_amount(struct bst_json *j, const char *key,
			const struct bst_tensors *a)
{
	bst_json_open(j, key, '{');
	bst_json_u64(j, "tensors", a->n);
	bst_json_u64(j, "bytes", a->len);
	bst_json_close(j, '}');
}

static void json_amounts(struct bst_json *j, const struct bst_tensors *tied,
			 const struct bst_tensors *twins,
			 const struct bst_tensors *hidden)
{
	json_amount(j, "tied", tied);
	json_amount(j, "twins", twins);
	json_amount(j, "f32_holds_bf16", &hidden[BST_HIDDEN_BF16]);
	json_amount(j, "f32_holds_f16", &hidden[BST_HIDDEN_F16]);
}

static void json_file(struct bst_json *j, const struct bst_scan_file *f)
{
	bst_json_open(j, NULL, '{');
	bst_json_string(j, "source", f->path);
	bst_json_u64(j, "exit", (uint64_t)f->code);
	if (!f->code) {
		bst_json_string(j, "kind",
				f->is_upstream	  ? "upstream"
				: f->is_container ? "container"
				: f->is_other	  ? "other"
						  : "safetensors");
		bst_json_u64(j, "raw_bytes", f->size);
	}
	if (f->is_container && !f->code)
		bst_json_u64(j, "stored_bytes", f->stored);
	if (f->is_container && !f->code && f->is_upstream)
		bst_json_u64(j, "int4_tensors", f->n_int4);
	if (bst_scan_has(f)) {
		bst_json_u64(j, "estimated_bytes", f->stored);
		bst_json_bool(j, "worth_it",
			      bst_saved(f->size, f->stored) >= BST_GAIN_MIN);
		bst_json_u64(j, "tensors", f->n_tensors);
		json_amounts(j, &f->tied, &f->twins, f->hidden);
	}
	bst_json_close(j, '}');
}

static void tell_json(const struct bst_scan *s, const struct sums *sums)
{
	struct bst_json j;
	size_t i;

	bst_json_init(&j, stdout);
	bst_json_open(&j, NULL, '{');
	bst_json_open(&j, "files", '[');
	for (i = 0; i < s->n; i++)
		json_file(&j, &s->files[i]);
	bst_json_close(&j, ']');
	bst_json_u64(&j, "raw_bytes", sums->raw);
	bst_json_u64(&j, "estimated_bytes", sums->stored);
	json_amounts(&j, &sums->tied, &sums->twins, sums->hidden);
	bst_json_open(&j, "dtype", '{');
	for (i = 0; i < BS_DTYPE_N; i++) {
		if (!sums->raw_of[i])
			continue;
		bst_json_open(&j, bs_dtype_name((unsigned)i), '{');
		bst_json_u64(&j, "raw_bytes", sums->raw_of[i]);
		bst_json_u64(&j, "estimated_bytes", sums->stored_of[i]);
		bst_json_close(&j, '}');
	}
	bst_json_close(&j, '}');
	bst_json_close(&j, '}');
}

/* ---- The command --------------------------------------------------------- */

static void report(const struct bst_scan *s, int code, int is_json)
{
	struct sums sums = { 0 };

	if (code == BST_EXIT_INTERRUPTED) {
		bst_error("interrupted.");
		return;
	}
	add_up(s, &sums);
	if (is_json)
		tell_json(s, &sums);
	else if (s->n || code == BST_EXIT_OK)
		tell(s, &sums);
}

static int run(int argc, char **argv)
{
	struct bst_scan s = { .n_threads = bst_default_threads() };
	int opt, code, is_json = 0;

	while ((opt = bst_next_option(&bst_cmd_scan, argc, argv)) != -1)
		switch (opt) {
		case 'j':
			if (bst_parse_threads(optarg, &s.n_threads))
				return bst_usage("scan",
						 "-j takes a number from 1 to "
						 "%d.",
						 BST_THREADS_MAX);
			break;
		case OPT_JSON:
			is_json = 1;
			break;
		case 'h':
			bst_print_help(&bst_cmd_scan);
			return BST_EXIT_OK;
		default:
			return bst_bad_option("scan", opt, optind, argv);
		}
	if (optind == argc)
		return bst_usage("scan", "no file or directory is named.");
	bst_catch_signals();
	code = bst_scan(&s, argv + optind, argc - optind);
	report(&s, code, is_json);
	bst_scan_fini(&s);
	return code;
}

const struct bst_command bst_cmd_scan = {
	"scan",
	.operands = "PATH...",
	.value = BST_VALUE_FILE,
	.what = "what compressing would save",
	.about = "Estimate from a sample what compressing files, or those in "
		 "directories, would save, and find what is stored twice or "
		 "wider than it is.",
	.options = options,
	.run = run,
};
