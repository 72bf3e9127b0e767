/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_plan.c - bigsmall plan
 *
 * What `run` would do with the same arguments: its first line, and what else
 * was considered.
 */

#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "compressor.h"
#include "files.h"
#include "json.h"
#include "runner.h"
#include "scanner.h"

static const struct bst_option options[] = {
	BST_RUN_OPTIONS,
	{ BST_OPT_GPU, "gpu", .arg = "SIZE",
	  .help = "also say what would have to fit in a GPU's memory of SIZE "
		  "(such as 20GB): a sum, nothing more" },
	{ BST_OPT_VERBOSE, "verbose",
	  .help = "also say what was considered, and why it is not what runs" },
	{ 0 },
};

/* What a GPU needs besides: its context, and a program's buffers. */
#define GPU_REST ((uint64_t)1000000000)

/* What a mount's daemon takes: its cache by default, and what is beside. */
#define DAEMON ((uint64_t)320 << 20)

/* Files that are looked into. */
#define FILES_MAX 64

struct tale {
	const struct bst_outlook *o; /* borrowed, as is the next */
	const struct bst_planning *how;
	const struct bst_member_facts *member;
	const struct bst_way_facts *way;
	uint64_t compressed; /* the weights, stored so; 0: not known */
	int is_estimated;
	uint64_t kv_bytes; /* keys and values, for a GPU */
	uint64_t layer_bytes; /* decoded, at a time */
};

/* ---- What compressing would save ----------------------------------------- */

/* From a sample, as `scan` does; what is wrong with it is not the plan's. */
static int estimate(struct tale *tale, const struct bst_talker *t)
{
	struct bst_scan s = { .n_threads = bst_default_threads() };
	char *paths[FILES_MAX];
	int n = 0, i, code;
	const char *name;
	size_t k;

	/* Of more files, which would take long, nothing is said. */
	if (bsx_model_file(t->model, FILES_MAX - 1))
		return BST_EXIT_OK;
	while ((name = bsx_model_file(t->model, (size_t)n)) &&
	       (paths[n] = bst_join(t->source.dir, name)))
		n++;
	code = bst_scan(&s, paths, n);
	for (k = 0; k < s.n && !code; k++) {
		if (bst_scan_has(&s.files[k]))
			tale->compressed += s.files[k].stored;
		else
			tale->compressed += s.files[k].size;
	}
	tale->is_estimated = 1;
	bst_scan_fini(&s);
	for (i = 0; i < n; i++)
		free(paths[i]);
	return code == BST_EXIT_INTERRUPTED ? code : BST_EXIT_OK;
}

static void tell_saving(const struct tale *tale)
{
	uint64_t raw = tale->member->weight_bytes;
	double part = bst_saved(raw, tale->compressed);
	char size[BST_SIZE_LEN];
	int fits = tale->way->bytes + DAEMON <= tale->o->facts.room;

	if (!tale->compressed)
		return;
	bst_size(size, tale->compressed);
	if (!tale->is_estimated)
		printf("The disk has %s of them, %.0f %% less.\n", size, part);
	else if (part < BST_GAIN_MIN)
		printf("Compressing would save nothing.\n");
	else
		printf("Compressed, it would save about %.0f %% (%s on the "
		       "disk) and %s.\n",
		       part, size,
		       !fits ? "run with less of it in memory"
		       : tale->way->plan.pass_bytes
			       ? "still run, streamed through a mount"
			       : "still run resident");
}

/* ---- GPUs ---------------------------------------------------------------- */

static const char *fits(uint64_t need, uint64_t room)
{
	return need <= room ? "fits" : "does not fit";
}

static void tell_gpu(const struct tale *tale)
{
	uint64_t weights = tale->member->weight_bytes, room = tale->how->gpu;
	uint64_t rest = tale->kv_bytes + GPU_REST;
	char gpu[BST_SIZE_LEN], w[BST_SIZE_LEN], kv[BST_SIZE_LEN];
	char sum[BST_SIZE_LEN], layer[BST_SIZE_LEN];

	printf("In a GPU's memory of %s, as a sum (no GPU is used): weights "
	       "%s, keys and values of %u tokens %s, 1.0 GB for the rest: %s, "
	       "which %s.\n",
	       bst_size(gpu, room), bst_size(w, weights),
	       (unsigned)tale->o->facts.n_context, bst_size(kv, tale->kv_bytes),
	       bst_size(sum, weights + rest), fits(weights + rest, room));
	if (!tale->compressed)
		return;
	printf("With the weights compressed there, and decoded a layer at a "
	       "time: %s and %s in place of %s: %s, which %s.\n",
	       bst_size(w, tale->compressed),
	       bst_size(layer, tale->layer_bytes), bst_size(kv, weights),
	       bst_size(sum, tale->compressed + tale->layer_bytes + rest),
	       fits(tale->compressed + tale->layer_bytes + rest, room));
}

/* ---- Reports ------------------------------------------------------------- */

static void tell(const struct tale *tale)
{
	const struct bst_outlook *o = tale->o;
	const struct bst_choice *c = &o->choice;
	char size[BST_SIZE_LEN];
	size_t i;

	if (*c->announcement)
		printf("%s\n", c->announcement);
	printf("%s\n", c->sentence);
	tell_saving(tale);
	if (tale->how->gpu)
		tell_gpu(tale);
	if (!tale->how->is_verbose)
		return;
	printf("Considered, with room for %s:\n",
	       bst_size(size, o->facts.room));
	for (i = 0; i < c->n_considered; i++)
		printf("- %s\n", c->considered[i]);
	if (o->machine.n_gpus)
		bst_print("- the GPU (%s): run does not use any.\n",
			  o->machine.gpu);
	if (o->disk)
		printf("The disk is read at %.2f GB/s.\n", o->disk->rate / 1e9);
}

static void json_gpu(struct bst_json *j, const struct tale *tale)
{
	uint64_t rest = tale->kv_bytes + GPU_REST;
	uint64_t plain = tale->member->weight_bytes + rest;
	uint64_t dense = tale->compressed + tale->layer_bytes + rest;

	bst_json_open(j, "gpu", '{');
	bst_json_u64(j, "room_bytes", tale->how->gpu);
	bst_json_u64(j, "weight_bytes", tale->member->weight_bytes);
	bst_json_u64(j, "kv_bytes", tale->kv_bytes);
	bst_json_u64(j, "other_bytes", GPU_REST);
	bst_json_u64(j, "sum_bytes", plain);
	bst_json_bool(j, "fits", plain <= tale->how->gpu);
	if (tale->compressed) {
		bst_json_u64(j, "compressed_sum_bytes", dense);
		bst_json_bool(j, "compressed_fits", dense <= tale->how->gpu);
	}
	bst_json_close(j, '}');
}

static void json_considered(struct bst_json *j, const struct bst_choice *c)
{
	size_t i;

	bst_json_open(j, "considered", '[');
	for (i = 0; i < c->n_considered; i++)
		bst_json_string(j, NULL, c->considered[i]);
	bst_json_close(j, ']');
}

static void tell_json(const struct tale *tale)
{
	const struct bst_case *facts = &tale->o->facts;
	const struct bst_choice *c = &tale->o->choice;
	struct bst_json j;

	bst_json_init(&j, stdout);
	bst_json_open(&j, NULL, '{');
	bst_json_string(&j, "plan", c->sentence);
	bst_json_string(&j, "announcement",
			*c->announcement ? c->announcement : NULL);
	bst_json_string(&j, "mode",
			c->member == BST_ORIGINAL ? "perfect" : "fast");
	bst_json_bool(&j, "bit_exact", c->member == BST_ORIGINAL);
	bst_json_string(&j, "source",
			facts->source == BST_FROM_MOUNT ? "mount" : "files");
	bst_json_string(&j, "architecture", facts->arch);
	bst_json_u64(&j, "weights", facts->n_weights);
	bst_json_u64(&j, "weight_bytes", tale->member->weight_bytes);
	bst_json_u64(&j, "layers", tale->member->n_layers);
	bst_json_u64(&j, "layers_in_memory", tale->way->plan.n_kept);
	bst_json_u64(&j, "read_per_token_bytes", tale->way->plan.pass_bytes);
	bst_json_u64(&j, "threads", facts->n_threads);
	bst_json_u64(&j, "context", facts->n_context);
	bst_json_real(&j, "tokens_per_s", c->tokens_per_s[c->member][c->way]);
	bst_json_u64(&j, "announced_bytes", tale->way->bytes);
	bst_json_u64(&j, "room_bytes", facts->room);
	if (tale->compressed) {
		bst_json_u64(&j, "compressed_bytes", tale->compressed);
		bst_json_bool(&j, "compressed_is_estimated",
			      tale->is_estimated);
	}
	if (tale->how->gpu)
		json_gpu(&j, tale);
	json_considered(&j, c);
	bst_json_close(&j, '}');
}

int bst_tell_plan(const struct bst_outlook *o, const struct bst_talker *t,
		  const struct bst_planning *how)
{
	const struct bst_choice *c = &o->choice;
	struct tale tale = { .o = o,
			     .how = how,
			     .member = &o->facts.members[c->member],
			     .way = &o->facts.members[c->member].ways[c->way] };
	int code = BST_EXIT_OK;
	unsigned i;

	/* Two bytes an element there, where we have four. */
	tale.kv_bytes = tale.member->work.bytes_held / 2 * o->facts.n_context;
	for (i = 0; i < BSX_N_WEIGHT_TYPES; i++)
		tale.layer_bytes += tale.member->work.bytes[i];
	tale.layer_bytes /= tale.member->n_layers;
	if (o->facts.source == BST_FROM_MOUNT)
		tale.compressed = tale.member->stored_bytes;
	else
		code = estimate(&tale, t);
	if (code) {
		bst_error("interrupted.");
		return code;
	}
	if (how->is_json)
		tell_json(&tale);
	else
		tell(&tale);
	return BST_EXIT_OK;
}

/* ---- The command --------------------------------------------------------- */

static int run(int argc, char **argv)
{
	struct bst_planning how = { 0 };

	return bst_run_command(&bst_cmd_plan, &how, argc, argv);
}

const struct bst_command bst_cmd_plan = {
	"plan",
	.operands = "MODEL [PROMPT]",
	.value = BST_VALUE_FILE,
	.what = "what run would do: how, how fast, in how much memory",
	.about = "Say in a sentence what run would do with the same arguments: "
		 "what runs, from where, how faithfully, how fast, and in how "
		 "much memory. No weights are read but a sample of them.",
	.options = options,
	.run = run,
};
