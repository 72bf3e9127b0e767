/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_benchmark.c - bigsmall benchmark
 *
 * What our codec makes of a file on this machine, beside copying, zstd, and
 * other compressors.  All take turns, so that what slows the machine down slows
 * them all; of each figure, the median of the turns, the least and the most.
 */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "bencher.h"
#include "cmd.h"
#include "json.h"
#include "peers.h"
#include "specimen.h"

#define TURNS 7
#define PEER_TURNS 5
#define TURNS_MAX (TURNS + BST_PEERS_MAX * PEER_TURNS)

/* Seconds after which no further turn begins, of ours and of each peer. */
#define BUDGET 12.0
#define PEER_BUDGET 4.0

/* A load average, for each CPU, that takes from what threads get. */
#define BUSY 0.2

enum { OPT_JSON = 256, OPT_PEERS, OPT_PYTHON };

static const struct bst_option options[] = {
	{ OPT_PEERS, "peers",
	  .help = "also those of zipnn, lmzip, blosc2, zstandard and BigSmall "
		  "(Python) that a Python has" },
	{ OPT_PYTHON, "python", "PATH", BST_VALUE_FILE,
	  .help = "that Python; default: python3" },
	{ 'j', .arg = "N",
	  .help = "use N threads as well as one, 1 to 256; default: one a "
		  "CPU" },
	{ OPT_JSON, "json", .help = "print a JSON list of the rows" },
	{ 0 },
};

/* ---- Figures ------------------------------------------------------------- */

struct series {
	double v[TURNS_MAX]; /* in order once summed up */
	unsigned n;
};

struct row {
	char name[BST_PEER_WORD];
	char level[BST_PEER_WORD];
	char version[BST_PEER_WORD];
	unsigned threads;
	double ratio; /* negative: not applicable */
	struct series copy, encode, encode_sha256, decode; /* GB/s */
};

#define ROWS_MAX (7 + BST_PEERS_MAX)

struct benchmark {
	struct bst_specimen spec;
	struct bst_bencher *bencher; /* owned */
	unsigned n_threads;
	double load; /* the load average before; negative: not known */
	struct row row[ROWS_MAX];
	size_t n;
};

static void add(struct series *s, double value)
{
	if (value > 0 && s->n < TURNS_MAX)
		s->v[s->n++] = value;
}

static void sort(struct series *s)
{
	qsort(s->v, s->n, sizeof(s->v[0]), bst_by_value);
}

static double median(const struct series *s)
{
	if (!s->n)
		return -1;
	return (s->v[(s->n - 1) / 2] + s->v[s->n / 2]) / 2;
}

static struct row *add_row(struct benchmark *b, const char *name,
			   const char *level, unsigned threads, double stored)
{
	struct row *row = &b->row[b->n++];

	snprintf(row->name, sizeof(row->name), "%s", name);
	snprintf(row->level, sizeof(row->level), "%s", level);
	row->threads = threads;
	row->ratio = stored >= 0 && b->spec.len ? stored / (double)b->spec.len
						: -1;
	return row;
}

/* ---- Turns --------------------------------------------------------------- */

static int measure(struct benchmark *b, enum bst_bench_form form,
		   enum bst_bench_what what, unsigned n_threads,
		   struct series *to)
{
	double rate;
	int code = bst_bencher_run(b->bencher, form, what, n_threads, &rate);

	if (!code)
		add(to, rate);
	return code;
}

/* A copy before each decoding throws out of the caches what is to be read. */
static int take_turn(struct benchmark *b, enum bst_bench_form form,
		     struct row *copy, struct row *row, int with_sha256)
{
	int code;

	code = measure(b, form, BST_BENCH_ENCODE, row->threads, &row->encode);
	if (!code && with_sha256)
		code = measure(b, form, BST_BENCH_ENCODE_SHA256, row->threads,
			       &row->encode_sha256);
	if (!code)
		code = measure(b, form, BST_BENCH_COPY, row->threads,
			       &row->copy);
	if (!code)
		code = measure(b, form, BST_BENCH_DECODE, row->threads,
			       &row->decode);
	if (!code && copy && row->copy.n)
		add(&copy->copy, row->copy.v[row->copy.n - 1]);
	return code;
}

static int is_over(double begin, double budget)
{
	return bst_now() - begin > budget;
}

static struct row *add_form(struct benchmark *b, enum bst_bench_form form,
			    unsigned threads)
{
	static const char *const names[][2] = {
		[BST_BENCH_OURS] = { "bigsmall", "default" },
		[BST_BENCH_INFERENCE] = { "bigsmall", "inference" },
		[BST_BENCH_STORAGE] = { "bigsmall", "storage" },
		[BST_BENCH_ZSTD] = { "zstd-chunks", "3" },
	};
	double stored = (double)bst_bencher_stored(b->bencher, form);
	struct row *row =
		add_row(b, names[form][0], names[form][1], threads, stored);

	if (form != BST_BENCH_ZSTD)
		snprintf(row->version, BST_PEER_WORD, "%s", bs_version());
	return row;
}

/* The rows of ours: copies and the default by one thread and by all, the other
 * forms by one. */
static int run_ours(struct benchmark *b)
{
	static const enum bst_bench_form others[] = { BST_BENCH_INFERENCE,
						      BST_BENCH_STORAGE,
						      BST_BENCH_ZSTD };
	int is_many = b->n_threads > 1, code = BST_EXIT_OK, i, k;
	struct row *copy[2], *ours[2] = { NULL, NULL }, *alone[3];
	double begin = bst_now();

	copy[0] = add_row(b, "memcpy", "", 1, -1);
	copy[1] = is_many ? add_row(b, "memcpy", "", b->n_threads, -1) : NULL;
	ours[0] = add_form(b, BST_BENCH_OURS, 1);
	if (is_many)
		ours[1] = add_form(b, BST_BENCH_OURS, b->n_threads);
	for (k = 0; k < 3; k++)
		alone[k] = add_form(b, others[k], 1);
	bst_progress_begin("bigsmall", TURNS * (uint64_t)b->spec.len);
	for (i = 0; i < TURNS && !code; i++) {
		if (i && is_over(begin, BUDGET))
			break;
		code = take_turn(b, BST_BENCH_OURS, copy[0], ours[0], 1);
		if (!code && is_many)
			code = take_turn(b, BST_BENCH_OURS, copy[1], ours[1],
					 1);
		for (k = 0; k < 3 && !code; k++)
			code = take_turn(b, others[k], NULL, alone[k], 0);
		bst_progress_add(b->spec.len);
	}
	bst_progress_end();
	return code;
}

/* Our row of one thread, which the peers take turns with. */
static struct row *ours_alone(struct benchmark *b)
{
	size_t i;

	for (i = 0; strcmp(b->row[i].name, "bigsmall") != 0; i++)
		;
	return &b->row[i];
}

static int take_peer_turns(struct benchmark *b, struct bst_peer_run *run,
			   struct row *row)
{
	double begin = bst_now(), len = (double)b->spec.len / 1e9;
	struct row *ours = ours_alone(b);
	unsigned copies = ours->copy.n;
	int code = BST_EXIT_OK, i;

	for (i = 0; i < (run->is_slow ? 1 : PEER_TURNS) && !code; i++) {
		double encode, decode;

		if (i && is_over(begin, PEER_BUDGET))
			break;
		code = take_turn(b, BST_BENCH_OURS, &b->row[0], ours, 0);
		if (!code)
			code = bst_peer_turn(run, &encode, &decode);
		if (!code) {
			add(&row->encode, encode > 0 ? len / encode : -1);
			add(&row->decode, decode > 0 ? len / decode : -1);
		}
		bst_progress_add(b->spec.len);
	}
	for (; copies < ours->copy.n; copies++)
		add(&row->copy, ours->copy.v[copies]);
	return code;
}

static int run_peer(struct benchmark *b, const struct bst_peers *peers,
		    size_t i)
{
	const struct bst_peer *peer = &peers->peer[i];
	struct bst_peer_run run;
	struct row *row;
	int code;

	bst_progress_begin(peer->name, PEER_TURNS * (uint64_t)b->spec.len);
	code = bst_peer_start(&run, peers, i, b->spec.fd);
	if (!code) {
		row = add_row(b, peer->name, peer->level, 1,
			      (double)run.stored);
		memcpy(row->version, peer->version, sizeof(row->version));
		code = take_peer_turns(b, &run, row);
		if (code == BST_EXIT_DATA)
			memset(&b->row[--b->n], 0, sizeof(*row));
	}
	bst_peer_stop(&run);
	bst_progress_end();
	return code == BST_EXIT_DATA ? BST_EXIT_OK : code;
}

static int run_peers(struct benchmark *b, const struct bst_peers *peers)
{
	int code = BST_EXIT_OK;
	size_t i;

	if (!b->spec.len && peers->n) {
		bst_error("there are no bytes to compare the peers with.");
		return BST_EXIT_OK;
	}
	for (i = 0; i < peers->n && !code; i++)
		code = run_peer(b, peers, i);
	return code;
}

/* ---- Reports ------------------------------------------------------------- */

/* "3.84 (3.76-3.95)", and less than 0.1 in three digits; or nothing. */
static const char *word(char *buf, size_t len, const struct series *s)
{
	int digits = median(s) < 0.1 ? 3 : 2;

	buf[0] = 0;
	if (s->n)
		snprintf(buf, len, "%.*f (%.*f-%.*f)", digits, median(s),
			 digits, s->v[0], digits, s->v[s->n - 1]);
	return buf;
}

static void tell_row(const struct row *row)
{
	int is_copy = !strcmp(row->name, "memcpy");
	char title[2 * BST_PEER_WORD], stored[16] = "", part[16] = "";
	char encode[64], decode[64];

	snprintf(title, sizeof(title), "%s%s%s", row->name,
		 row->level[0] ? " " : "", row->level);
	if (row->ratio >= 0)
		snprintf(stored, sizeof(stored), "%.2f %%", 100 * row->ratio);
	if (row->decode.n && row->copy.n)
		snprintf(part, sizeof(part), "%.3f",
			 median(&row->decode) / median(&row->copy));
	word(encode, sizeof(encode), &row->encode);
	word(decode, sizeof(decode), is_copy ? &row->copy : &row->decode);
	bst_print("%-25s %7u %9s  %-19s  %-*s%s\n", title, row->threads, stored,
		  encode, part[0] ? 22 : 0, decode, part);
	if (row->encode_sha256.n)
		printf("%-25s %7s %9s  %s\n", "  with the SHA-256", "", "",
		       word(encode, sizeof(encode), &row->encode_sha256));
}

static void tell(const struct benchmark *b, const char *path)
{
	char size[BST_SIZE_LEN], whole[BST_SIZE_LEN];
	const struct bst_specimen *spec = &b->spec;
	size_t i;

	bst_size(size, spec->len);
	if (spec->len != spec->whole_len)
		bst_print("%s: an even sample of %s, %s of %s.\n", path,
			  spec->is_safetensors ? "its tensors" : "its bytes",
			  size, bst_size(whole, spec->whole_len));
	else
		bst_print("%s: %s, %s.\n", path,
			  spec->is_safetensors ? "a safetensors file"
					       : "a file of other bytes",
			  size);
	printf("%-25s %7s %9s  %-19s  %-20s  %s\n", "", "threads", "stored",
	       "encode, GB/s", "decode or copy, GB/s", "of memcpy");
	for (i = 0; i < b->n; i++)
		tell_row(&b->row[i]);
	printf("Medians, and least and most in brackets; 10^9 raw bytes a "
	       "second.\n");
	if (b->n_threads > 1 && b->load > BUSY * bst_default_threads())
		printf("The load average was %.1f before: figures of several "
		       "threads are lower than they could be.\n",
		       b->load);
}

static void json_number(struct bst_json *j, const char *key, double value)
{
	if (value < 0)
		bst_json_string(j, key, NULL);
	else
		bst_json_real(j, key, value);
}

static void json_series(struct bst_json *j, const char *key,
			const struct series *s)
{
	char name[64];

	json_number(j, key, median(s));
	snprintf(name, sizeof(name), "%s_min", key);
	json_number(j, name, s->n ? s->v[0] : -1);
	snprintf(name, sizeof(name), "%s_max", key);
	json_number(j, name, s->n ? s->v[s->n - 1] : -1);
}

static const char *or_null(const char *text)
{
	return text[0] ? text : NULL;
}

static void tell_json(const struct benchmark *b)
{
	struct bst_json j;
	size_t i;

	bst_json_init(&j, stdout);
	bst_json_open(&j, NULL, '[');
	for (i = 0; i < b->n; i++) {
		const struct row *row = &b->row[i];

		bst_json_open(&j, NULL, '{');
		bst_json_string(&j, "name", row->name);
		bst_json_string(&j, "level", or_null(row->level));
		bst_json_string(&j, "version", or_null(row->version));
		json_number(&j, "ratio", row->ratio);
		json_series(&j, "encode_gbps", &row->encode);
		json_series(&j, "encode_sha256_gbps", &row->encode_sha256);
		json_series(&j, "decode_gbps", &row->decode);
		bst_json_u64(&j, "threads", row->threads);
		json_series(&j, "memcpy_gbps", &row->copy);
		bst_json_u64(&j, "turns", row->copy.n);
		bst_json_u64(&j, "raw_bytes", b->spec.len);
		bst_json_u64(&j, "file_bytes", b->spec.whole_len);
		bst_json_close(&j, '}');
	}
	bst_json_close(&j, ']');
}

/* ---- The command --------------------------------------------------------- */

static void sum_up(struct benchmark *b)
{
	size_t i;

	for (i = 0; i < b->n; i++) {
		sort(&b->row[i].copy);
		sort(&b->row[i].encode);
		sort(&b->row[i].encode_sha256);
		sort(&b->row[i].decode);
	}
}

static int run_all(struct benchmark *b, const char *path,
		   const struct bst_peers *peers)
{
	int code;

	code = bst_specimen_open(&b->spec, path);
	if (!code)
		code = bst_bencher_new(&b->bencher, &b->spec, b->n_threads,
				       BST_BENCH_FORMS);
	if (!code)
		code = run_ours(b);
	if (!code && peers)
		code = run_peers(b, peers);
	sum_up(b);
	return code;
}

/* 'python' is NULL: no peers. */
static int benchmark(const char *path, const char *python, unsigned n_threads,
		     int is_json)
{
	struct benchmark *b = calloc(1, sizeof(*b));
	struct bst_peers peers;
	int code = BST_EXIT_OK;

	if (!b) {
		bst_error("out of memory.");
		return BST_EXIT_SYSTEM;
	}
	b->n_threads = n_threads;
	b->spec.fd = -1;
	if (getloadavg(&b->load, 1) != 1)
		b->load = -1;
	/* Before minutes are spent. */
	if (python)
		code = bst_peers_find(&peers, python);
	if (!code)
		code = run_all(b, path, python ? &peers : NULL);
	if (code == BST_EXIT_INTERRUPTED)
		bst_error("interrupted.");
	else if (!code && is_json)
		tell_json(b);
	else if (!code)
		tell(b, path);
	bst_bencher_free(b->bencher);
	bst_specimen_close(&b->spec);
	free(b);
	return code;
}

static int run(int argc, char **argv)
{
	unsigned n_threads = bst_default_threads();
	int opt, is_json = 0, with_peers = 0;
	const char *python = NULL;

	while ((opt = bst_next_option(&bst_cmd_benchmark, argc, argv)) != -1)
		switch (opt) {
		case OPT_PEERS:
			with_peers = 1;
			break;
		case OPT_PYTHON:
			python = optarg;
			with_peers = 1;
			break;
		case 'j':
			if (bst_parse_threads(optarg, &n_threads))
				return bst_usage("benchmark",
						 "-j takes a number from 1 to "
						 "%d.",
						 BST_THREADS_MAX);
			break;
		case OPT_JSON:
			is_json = 1;
			break;
		case 'h':
			bst_print_help(&bst_cmd_benchmark);
			return BST_EXIT_OK;
		default:
			return bst_bad_option("benchmark", opt, optind, argv);
		}
	if (argc - optind != 1)
		return bst_usage("benchmark", "name one file.");
	bst_catch_signals();
	if (with_peers && !python)
		python = "python3";
	return benchmark(argv[optind], python, n_threads, is_json);
}

const struct bst_command bst_cmd_benchmark = {
	"benchmark",
	.operands = "FILE",
	.value = BST_VALUE_FILE,
	.what = "size and speed on this machine, beside others",
	.about = "Measure size, encoding and decoding of a file, or of what a "
		 ".bs holds, on this machine, in memory, beside copying, zstd "
		 "and other compressors.",
	.options = options,
	.run = run,
};
