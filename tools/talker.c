/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talker.c - tokens in, tokens out
 *
 * Memory is announced before weights are read: what the process has taken so
 * far, what the engine says that it will, and a little for stacks and buffers.
 */

#include "talker.h"

#include <stdlib.h>
#include <string.h>

/* Stacks of threads, as far as they are used, and what the allocator rounds. */
#define SLACK ((uint64_t)16 << 20)

int bst_say_exec_error(enum bsx_result res, const struct bsx_error *err)
{
	static const int codes[] = {
		[BSX_OK] = BST_EXIT_OK,
		[BSX_ERR_DATA] = BST_EXIT_DATA,
		[BSX_ERR_MODEL] = BST_EXIT_USAGE,
		[BSX_ERR_SYSTEM] = BST_EXIT_SYSTEM,
		[BSX_ERR_REFUSED] = BST_EXIT_REFUSED,
		[BSX_ERR_STOPPED] = BST_EXIT_INTERRUPTED,
	};

	if (res == BSX_ERR_STOPPED)
		bst_error("interrupted.");
	else
		bst_error("%s", err->text);
	return codes[res];
}

static bool is_interrupted(void)
{
	return bst_is_interrupted();
}

/* ---- Memory -------------------------------------------------------------- */

uint64_t bst_status_bytes(pid_t pid, const char *key)
{
	char path[64] = "/proc/self/status";
	unsigned long long kib = 0;
	char line[256];
	FILE *file;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, strlen(key))) {
			kib = strtoull(line + strlen(key), NULL, 10);
			break;
		}
	}
	fclose(file);
	return (uint64_t)kib << 10;
}

uint64_t bst_talker_peak(const struct bst_talker *t)
{
	return bst_status_bytes(0, "VmHWM:") + bst_model_peak(&t->source);
}

/* What the process has, and will need besides the session: logits, what the
 * sampler sorts; and the mount's daemon. */
static uint64_t bytes_besides(const struct bst_talker *t)
{
	return bst_status_bytes(0, "VmRSS:") + SLACK +
	       bsx_model_facts(t->model)->n_vocab * (uint64_t)12 + t->daemon;
}

/* The session's options, with what of the budget is left for it.  Pages of a
 * private mount are nobody's afterwards. */
static struct bsx_session_options
session_options(const struct bst_talker *t,
		const struct bst_talker_options *options, uint64_t besides)
{
	struct bsx_session_options o = {
		.n_threads = options->n_threads,
		.n_context = options->n_context,
		.budget = UINT64_MAX,
		.streams = options->streams,
		.once = options->streams || options->budget ||
			t->source.kind == BST_MODEL_STORE,
		.stop = is_interrupted,
	};

	if (options->budget)
		o.budget = options->budget > besides ? options->budget - besides
						     : 0;
	return o;
}

void bst_talker_look(struct bst_talker *t)
{
	t->besides = bytes_besides(t);
}

enum bsx_result bst_talker_would(const struct bst_talker *t,
				 const struct bst_talker_options *options,
				 struct bsx_plan *ret_plan, uint64_t *ret_bytes,
				 struct bsx_error *err)
{
	struct bsx_session_options o = session_options(t, options, t->besides);
	uint64_t peak = bst_status_bytes(0, "VmHWM:") + t->daemon;
	enum bsx_result res;

	/* What was taken and given back counts: opening a tokenizer. */
	if (options->budget && peak > options->budget) {
		snprintf(err->text, sizeof(err->text),
			 "%llu bytes of memory were needed before any "
			 "weights, and there is room for %llu.",
			 (unsigned long long)peak,
			 (unsigned long long)options->budget);
		return BSX_ERR_REFUSED;
	}
	res = bsx_session_plan(t->model, &o, ret_plan, err);
	if (res)
		return res;
	*ret_bytes = t->besides + ret_plan->bytes;
	if (*ret_bytes < peak)
		*ret_bytes = peak;
	return BSX_OK;
}

/* ---- Beginning and end --------------------------------------------------- */

static int find_model(struct bst_talker *t, const char *path,
		      const struct bst_talker_options *options)
{
	int code = bst_model_find(&t->source, path);

	if (!code && options->wants_int4)
		code = bst_model_take_int4(&t->source);
	return code;
}

int bst_talker_open(struct bst_talker *t, const char *path,
		    const struct bst_talker_options *options)
{
	int code;

	memset(t, 0, sizeof(*t));
	code = find_model(t, path, options);
	if (!code)
		code = bst_model_open(&t->source, options->n_threads,
				      options->budget, &t->model);
	t->daemon = t->source.bound;
	return code;
}

int bst_talker_describe(struct bst_talker *t, const char *path,
			const struct bst_talker_options *options)
{
	int code;

	memset(t, 0, sizeof(*t));
	code = find_model(t, path, options);
	/* Those are made of a .bsd by nothing but a mount. */
	if (!code && t->source.is_int4)
		code = bst_model_open(&t->source, options->n_threads,
				      options->budget, &t->model);
	else if (!code)
		code = bst_model_describe(&t->source, &t->model);
	if (!code)
		t->daemon = bst_model_bound(&t->source, options->n_threads,
					    options->budget);
	return code;
}

int bst_talker_start(struct bst_talker *t,
		     const struct bst_talker_options *options)
{
	struct bsx_session_options o = session_options(t, options, t->besides);
	uint32_t n_vocab = bsx_model_facts(t->model)->n_vocab;
	struct bsx_error err;
	enum bsx_result res;

	t->n_context = options->n_context;
	t->sampler = bsx_sampler_new(&options->sampling, n_vocab);
	t->logits = malloc(n_vocab * sizeof(*t->logits));
	t->held = malloc(options->n_context * sizeof(*t->held));
	if (!t->sampler || !t->logits || !t->held ||
	    (options->with_hash && bs_hash_new(&t->hash, BS_DIGEST_SHA256)))
		return bst_say_no_memory();
	res = bsx_session_new(&t->session, t->model, &o, &err);
	return res ? bst_say_exec_error(res, &err) : BST_EXIT_OK;
}

int bst_talker_close(struct bst_talker *t)
{
	int code;

	bs_hash_free(t->hash);
	free(t->held);
	free(t->logits);
	bsx_sampler_free(t->sampler);
	bsx_session_free(t->session);
	bsx_model_free(t->model);
	code = bst_model_end(&t->source);
	bst_model_fini(&t->source);
	memset(t, 0, sizeof(*t));
	return code;
}

/* ---- Answering ----------------------------------------------------------- */

static int feed(struct bst_talker *t, const uint32_t *ids, size_t n)
{
	struct bsx_error err;
	enum bsx_result res;

	res = bsx_session_feed(t->session, ids, n, t->logits, 1, &err);
	if (res)
		return bst_say_exec_error(res, &err);
	memcpy(t->held + t->n_held, ids, n * sizeof(*ids));
	t->n_held += n;
	return BST_EXIT_OK;
}

/* Forget what the session holds besides the beginning of these tokens; at least
 * one is left to compute. */
static size_t keep_common(struct bst_talker *t, const uint32_t *ids, size_t n)
{
	size_t same = 0;

	while (same < t->n_held && same + 1 < n && t->held[same] == ids[same])
		same++;
	bsx_session_rewind(t->session, (uint32_t)same);
	t->n_held = same;
	return same;
}

/* Text that goes out, and is kept. */
static int put_text(struct bst_answer *a, const char *s,
		    int (*put)(const char *s))
{
	size_t len = strlen(s);
	char *grown;

	if (!len)
		return BST_EXIT_OK;
	grown = realloc(a->text, a->text_len + len + 1);
	if (!grown)
		return bst_say_no_memory();
	a->text = grown;
	memcpy(a->text + a->text_len, s, len + 1);
	a->text_len += len;
	return put ? put(s) : BST_EXIT_OK;
}

static int go_on(struct bst_talker *t, size_t n_max, int (*put)(const char *s),
		 struct bsx_decoder *decoder, struct bst_answer *a)
{
	uint32_t n_vocab = bsx_model_facts(t->model)->n_vocab;
	int code = BST_EXIT_OK;

	while (a->n < n_max && !code) {
		uint32_t id = bsx_sample(t->sampler, t->logits);

		if (t->hash)
			bs_hash_update(t->hash, t->logits,
				       n_vocab * sizeof(*t->logits));
		a->ids[a->n++] = id;
		if (bsx_is_stop(t->model, id)) {
			a->is_stopped = 1;
			break;
		}
		code = put_text(a, bsx_decode(decoder, id), put);
		/* What nobody asks for after the last one. */
		if (!code && a->n < n_max)
			code = feed(t, &id, 1);
	}
	if (!code)
		code = put_text(a, bsx_decode_end(decoder), put);
	return code;
}

int bst_talker_answer(struct bst_talker *t, const uint32_t *ids, size_t n,
		      size_t n_max, int (*put)(const char *s),
		      struct bst_answer *ret)
{
	struct bsx_decoder *decoder = bsx_decoder_new(t->model);
	double begin = bst_now();
	int code = BST_EXIT_OK;
	size_t same;

	memset(ret, 0, sizeof(*ret));
	if (n_max > t->n_context - n)
		n_max = t->n_context - n;
	ret->prompt = malloc(n * sizeof(*ids));
	ret->ids = malloc((n_max + 1) * sizeof(*ret->ids));
	ret->text = strdup("");
	if (!decoder || !ret->prompt || !ret->ids || !ret->text) {
		code = bst_say_no_memory();
		goto out;
	}
	memcpy(ret->prompt, ids, n * sizeof(*ids));
	ret->n_prompt = n;
	same = keep_common(t, ids, n);
	code = feed(t, ids + same, n - same);
	ret->prompt_seconds = bst_now() - begin;
	begin = bst_now();
	if (!code)
		code = go_on(t, n_max, put, decoder, ret);
	ret->seconds = bst_now() - begin;
out:
	bsx_decoder_free(decoder);
	return code;
}

void bst_answer_fini(struct bst_answer *a)
{
	free(a->prompt);
	free(a->ids);
	free(a->text);
}
