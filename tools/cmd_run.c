/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_run.c - bigsmall run
 *
 * The answer goes to standard output as it comes; what runs, how much memory
 * it may take and how much it took go to standard error.
 */

#include <errno.h>
#include <getopt.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "json.h"
#include "receipt.h"
#include "runner.h"
#include "talker.h"

#define N_DEFAULT 512 /* tokens of an answer */
#define CHAT_CONTEXT 4096 /* tokens of a conversation */
#define PROMPT_MAX ((size_t)64 << 20)

static const struct bst_option options[] = { BST_RUN_OPTIONS, { 0 } };

struct run {
	const char *name; /* of the command; borrowed */
	const struct bst_planning *plan; /* borrowed; NULL: it runs */
	struct bst_talker talker;
	struct bst_talker_options how;
	struct bst_wishes wishes;
	struct bst_outlook outlook;
	size_t n_max;
	int wants_chat, is_raw, is_json, wants_receipt;
	struct bsx_message *messages; /* [n_messages]; texts are owned */
	size_t n_messages;
};

/* ---- Saying -------------------------------------------------------------- */

/* Nobody may be listening any more: an exit code. */
static int flush_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return BST_EXIT_OK;
	if (errno != EPIPE)
		bst_error("standard output cannot be written: %s.",
			  strerror(errno));
	/* It has been said. */
	__fpurge(stdout);
	clearerr(stdout);
	return BST_EXIT_SYSTEM;
}

/* To a terminal no control characters but new lines and tabs. */
static int put(const char *s)
{
	static int is_terminal = -1;

	if (is_terminal < 0)
		is_terminal = isatty(STDOUT_FILENO);
	for (; *s; s++) {
		int is_control = ((unsigned char)*s < 0x20 && *s != '\n' &&
				  *s != '\t') ||
				 *s == 0x7f ||
				 (s[0] == '\xc2' && (s[1] & 0xe0) == 0x80);

		putchar(is_terminal && is_control ? '?' : *s);
	}
	return flush_output();
}

static void say_plan(const struct run *r)
{
	const struct bst_choice *choice = &r->outlook.choice;

	if (*choice->announcement)
		fprintf(stderr, "%s\n", choice->announcement);
	fprintf(stderr, "%s\n", choice->sentence);
}

/* The memory that it took, against what was announced. */
static int check_memory(const struct run *r, uint64_t measured)
{
	if (measured <= r->talker.announced)
		return BST_EXIT_OK;
	bst_error("%llu bytes of memory were used, more than the %llu that "
		  "were announced; this is a bug.",
		  (unsigned long long)measured,
		  (unsigned long long)r->talker.announced);
	return BST_EXIT_SYSTEM;
}

static double rate(size_t n, double seconds)
{
	return seconds > 0 ? (double)n / seconds : 0;
}

/* The first token comes out of the prompt's computation. */
static double answer_rate(const struct bst_answer *a)
{
	return rate(a->n ? a->n - 1 : 0, a->seconds);
}

static void say_end(const struct run *r, const struct bst_answer *a,
		    uint64_t measured)
{
	char announced[BST_SIZE_LEN], used[BST_SIZE_LEN];

	fprintf(stderr,
		"%.1f tokens/s (prompt: %zu tokens, %.1f tokens/s); memory: "
		"%s announced, %s measured.\n",
		answer_rate(a), a->n_prompt,
		rate(a->n_prompt, a->prompt_seconds),
		bst_size(announced, r->talker.announced),
		bst_size(used, measured));
}

static void say_json(const struct run *r, const struct bst_answer *a,
		     uint64_t measured, const char *logits_sha256)
{
	const struct bst_choice *choice = &r->outlook.choice;
	struct bst_json j;

	bst_json_init(&j, stdout);
	bst_json_open(&j, NULL, '{');
	bst_json_string(&j, "text", a->text);
	bst_json_bool(&j, "stopped", a->is_stopped);
	bst_json_real(&j, "tokens_per_s", answer_rate(a));
	bst_json_real(&j, "prompt_tokens_per_s",
		      rate(a->n_prompt, a->prompt_seconds));
	bst_json_real(&j, "planned_tokens_per_s",
		      choice->tokens_per_s[choice->member][choice->way]);
	bst_receipt_put(&j, &r->outlook, &r->talker, a, measured,
			logits_sha256);
	bst_json_close(&j, '}');
}

/* What is left to do when the answer is there. */
static int finish(const struct run *r, const struct bst_answer *a,
		  uint64_t measured)
{
	char hex[2 * BS_DIGEST_MAX + 1] = "";
	uint8_t digest[32];
	int code;

	if (r->talker.hash) {
		bs_hash_final(r->talker.hash, digest);
		bst_hex(hex, digest, sizeof(digest));
	}
	if (r->is_json)
		say_json(r, a, measured, hex);
	code = flush_output();
	if (r->wants_receipt)
		code = bst_exit_worse(code,
				      bst_receipt_keep(&r->outlook, &r->talker,
						       a, measured, hex));
	say_end(r, a, measured);
	return bst_exit_worse(code, check_memory(r, measured));
}

/* ---- Prompts ------------------------------------------------------------- */

static int uses_chat(const struct run *r)
{
	return !r->is_raw &&
	       (r->wants_chat ||
		bsx_model_facts(r->talker.model)->template_name != NULL);
}

/* What the model gets to read for a text: the caller's to free. */
static int encode_raw(struct run *r, const char *text, uint32_t **ret,
		      size_t *ret_n)
{
	struct bsx_error err;
	enum bsx_result res = bsx_encode(r->talker.model, text, strlen(text), 1,
					 ret, ret_n, &err);

	return res ? bst_say_exec_error(res, &err) : BST_EXIT_OK;
}

/* The same for the conversation so far. */
static int encode_chat(struct run *r, uint32_t **ret, size_t *ret_n)
{
	struct bsx_error err;
	enum bsx_result res;
	char *text;

	res = bsx_render_chat(r->talker.model, r->messages, r->n_messages,
			      &text, &err);
	if (res)
		return bst_say_exec_error(res, &err);
	res = bsx_encode(r->talker.model, text, strlen(text), 0, ret, ret_n,
			 &err);
	free(text);
	return res ? bst_say_exec_error(res, &err) : BST_EXIT_OK;
}

static int add_message(struct run *r, int role, const char *text)
{
	struct bsx_message *grown = realloc(
		r->messages, (r->n_messages + 1) * sizeof(*r->messages));
	char *own = strdup(text);

	if (grown)
		r->messages = grown;
	if (!grown || !own) {
		free(own);
		return bst_say_no_memory();
	}
	r->messages[r->n_messages].role = role;
	r->messages[r->n_messages++].text = own;
	return BST_EXIT_OK;
}

static void free_messages(struct run *r)
{
	size_t i;

	for (i = 0; i < r->n_messages; i++)
		free((char *)(uintptr_t)r->messages[i].text);
	free(r->messages);
}

/* ---- Running ------------------------------------------------------------- */

/* Announce, and read the weights, with room for so many tokens; or only tell the
 * plan. */
static int start(struct run *r, size_t n_context)
{
	uint32_t limit = bsx_model_facts(r->talker.model)->n_context;
	int code;

	if (limit && n_context > limit) {
		bst_error("the prompt and %zu tokens are %zu, and the model is "
			  "made for %u.",
			  r->n_max, n_context, (unsigned)limit);
		return BST_EXIT_REFUSED;
	}
	r->how.n_context = (uint32_t)n_context;
	r->how.with_hash = r->is_json || r->wants_receipt;
	code = bst_outlook(&r->outlook, &r->talker, &r->how, &r->wishes);
	if (code)
		return code;
	if (r->plan)
		return bst_tell_plan(&r->outlook, &r->talker, r->plan);
	say_plan(r);
	return bst_talker_start(&r->talker, &r->how);
}

static int run_once(struct run *r, const char *prompt)
{
	struct bst_answer answer = { 0 };
	uint32_t *ids = NULL;
	size_t n = 0;
	int code;

	if (uses_chat(r)) {
		code = add_message(r, BSX_USER, prompt);
		if (!code)
			code = encode_chat(r, &ids, &n);
	} else {
		code = encode_raw(r, prompt, &ids, &n);
	}
	if (!code && !n) {
		bst_error("there is no prompt to go on with.");
		code = BST_EXIT_USAGE;
	}
	if (!code)
		code = start(r, n + r->n_max);
	if (!code && !r->plan)
		code = bst_talker_answer(&r->talker, ids, n, r->n_max,
					 r->is_json ? NULL : put, &answer);
	free(ids);
	if (!r->is_json && answer.text_len)
		putchar('\n');
	if (!code && !r->plan)
		code = finish(r, &answer, bst_talker_peak(&r->talker));
	bst_answer_fini(&answer);
	return code;
}

/* One question and its answer; *ret_full: there is no room for it. */
static int take_turn(struct run *r, const char *line, int *ret_full,
		     struct bst_answer *ret)
{
	uint32_t *ids = NULL;
	size_t n = 0;
	int code;

	code = add_message(r, BSX_USER, line);
	if (!code)
		code = encode_chat(r, &ids, &n);
	*ret_full = !code && n >= r->how.n_context;
	if (!code && !*ret_full) {
		bst_answer_fini(ret);
		code = bst_talker_answer(&r->talker, ids, n, r->n_max, put,
					 ret);
		if (!code)
			code = add_message(r, BSX_ASSISTANT, ret->text);
		putchar('\n');
	}
	free(ids);
	return code;
}

/* Tokens of a conversation. */
static size_t chat_context(const struct run *r)
{
	uint32_t limit = bsx_model_facts(r->talker.model)->n_context;

	return limit && limit < CHAT_CONTEXT ? limit : CHAT_CONTEXT;
}

static int converse(struct run *r)
{
	struct bst_answer last = { 0 };
	int code, is_full = 0;
	size_t room = 0;
	char *line = NULL;
	ssize_t len;

	if (!uses_chat(r)) {
		bst_error("without a chat template, a prompt is needed.");
		return BST_EXIT_USAGE;
	}
	code = start(r, chat_context(r));
	while (!code && !is_full) {
		fprintf(stderr, "> ");
		len = getline(&line, &room, stdin);
		if (len < 0)
			break;
		if (len && line[len - 1] == '\n')
			line[len - 1] = 0;
		if (*line)
			code = take_turn(r, line, &is_full, &last);
	}
	free(line);
	if (is_full)
		bst_error("the conversation has filled its %u tokens; begin "
			  "another.",
			  (unsigned)r->how.n_context);
	if (!code && last.n)
		say_end(r, &last, bst_talker_peak(&r->talker));
	if (!code)
		code = check_memory(r, bst_talker_peak(&r->talker));
	bst_answer_fini(&last);
	return code;
}

/* All of standard input; the caller's to free. */
static int read_prompt(char **ret)
{
	size_t room = 4096, len = 0, n;
	char *text = malloc(room), *grown;

	while (text) {
		n = fread(text + len, 1, room - len - 1, stdin);
		len += n;
		if (!n)
			break;
		if (len + 1 < room)
			continue;
		room *= 2;
		grown = room <= PROMPT_MAX ? realloc(text, room) : NULL;
		if (!grown) {
			free(text);
			text = NULL;
		} else {
			text = grown;
		}
	}
	if (!text) {
		bst_error("the prompt is too long.");
		return BST_EXIT_REFUSED;
	}
	if (ferror(stdin) || memchr(text, 0, len)) {
		bst_error("standard input %s.",
			  ferror(stdin) ? "cannot be read" : "is no text");
		free(text);
		return ferror(stdin) ? BST_EXIT_SYSTEM : BST_EXIT_USAGE;
	}
	text[len] = 0;
	/* The last line's end is the shell's. */
	if (len && text[len - 1] == '\n')
		text[len - 1] = 0;
	*ret = text;
	return BST_EXIT_OK;
}

/* Say what is about to be done without the template that the model has. */
static int check_template(const struct run *r)
{
	const struct bsx_facts *f = bsx_model_facts(r->talker.model);

	if (f->template_name || r->is_raw)
		return BST_EXIT_OK;
	if (r->wants_chat) {
		bst_error("the model has no chat template%s; --raw goes on "
			  "with the prompt as it is.",
			  f->has_template ? " that is known here" : "");
		return BST_EXIT_USAGE;
	}
	if (f->has_template)
		bst_error("the model's chat template is not known here, so the "
			  "prompt is taken as it is.");
	return BST_EXIT_OK;
}

/* 'prompt' is NULL: standard input. */
static int run_model(struct run *r, const char *prompt)
{
	char *own = NULL;
	int code;

	if (!prompt && !r->plan && !isatty(STDIN_FILENO)) {
		code = read_prompt(&own);
		if (code)
			return code;
		prompt = own;
	}
	code = check_template(r);
	if (!code && prompt)
		code = run_once(r, prompt);
	else if (!code && r->plan)
		code = start(r, uses_chat(r) ? chat_context(r) : r->n_max);
	else if (!code && (r->is_json || r->wants_receipt))
		code = bst_usage(r->name, "--json and --receipt need a "
					  "prompt.");
	else if (!code)
		code = converse(r);
	free(own);
	return code;
}

/* ---- Arguments ----------------------------------------------------------- */

/* A decimal number within [min, max]: 0 or -1. */
static int parse_real(const char *arg, double min, double max, float *ret)
{
	char *end;
	double v;

	if (!strchr("0123456789.", *arg) || !*arg)
		return -1;
	v = strtod(arg, &end);
	if (*end || !(v >= min && v <= max))
		return -1;
	*ret = (float)v;
	return 0;
}

struct sampling_options {
	float temp, top_p; /* below 0: not given */
	unsigned long top_k, seed;
	int has_top_k;
};

/* What the user says counts more than what the model's makers advise. */
static void choose_sampling(struct run *r, const struct sampling_options *o)
{
	struct bsx_sampling *s = &r->how.sampling;

	*s = bsx_model_facts(r->talker.model)->sampling;
	s->seed = o->seed;
	if (o->temp >= 0)
		s->temperature = o->temp;
	else if ((o->has_top_k || o->top_p >= 0) && !(s->temperature > 0))
		s->temperature = 1;
	if (o->has_top_k)
		s->top_k = (uint32_t)o->top_k;
	if (o->top_p >= 0)
		s->top_p = o->top_p;
}

/* One of two words: which, or -1. */
static int parse_word(const char *arg, const char *first, const char *second)
{
	return !strcmp(arg, first) ? 0 : !strcmp(arg, second) ? 1 : -1;
}

/* An option that has an argument: 0, or the exit code after a sentence. */
static int take(struct run *r, struct sampling_options *o, int opt,
		const char *arg)
{
	unsigned long n = 0;
	int word;

	switch (opt) {
	case BST_OPT_MODE:
		word = parse_word(arg, "perfect", "fast");
		if (word < 0)
			return bst_usage(r->name, "--mode is perfect or fast.");
		r->wishes.mode = word ? BST_MODE_FAST : BST_MODE_PERFECT;
		break;
	case BST_OPT_RESIDENT:
		word = parse_word(arg, "auto", "plain");
		if (word < 0)
			return bst_usage(r->name,
					 "--resident is auto or plain.");
		r->wishes.is_plain = word;
		break;
	case 'n':
		if (bst_parse_number(arg, 1, 1000000, &n))
			return bst_usage(r->name, "-n takes a number from 1 to "
						  "1000000.");
		r->n_max = n;
		break;
	case 'j':
		if (bst_parse_threads(arg, &r->how.n_threads))
			return bst_usage(r->name,
					 "-j takes a number from 1 to %d.",
					 BST_THREADS_MAX);
		break;
	case BST_OPT_BUDGET:
		if (bst_parse_size(arg, (uint64_t)1 << 50, &r->wishes.budget))
			return bst_usage(r->name,
					 "--budget takes a size, such as "
					 "600M.");
		break;
	case BST_OPT_TEMP:
		if (parse_real(arg, 0, 100, &o->temp))
			return bst_usage(r->name,
					 "--temp takes a number from 0 "
					 "to 100.");
		break;
	case BST_OPT_TOP_P:
		if (parse_real(arg, 0, 1, &o->top_p))
			return bst_usage(r->name,
					 "--top-p takes a number from 0 "
					 "to 1.");
		break;
	case BST_OPT_TOP_K:
		if (bst_parse_number(arg, 0, UINT32_MAX, &o->top_k))
			return bst_usage(r->name, "--top-k takes a number.");
		o->has_top_k = 1;
		break;
	default:
		if (bst_parse_number(arg, 0, UINT32_MAX, &o->seed))
			return bst_usage(r->name,
					 "--seed takes a number from 0 "
					 "to 4294967295.");
		break;
	}
	return 0;
}

/* One that has none: 0, or -1 if there is no such option. */
static int take_word(struct run *r, struct bst_planning *plan, int opt)
{
	switch (opt) {
	case BST_OPT_CHAT:
		r->wants_chat = 1;
		return 0;
	case BST_OPT_RAW:
		r->is_raw = 1;
		return 0;
	case BST_OPT_STREAM:
		r->wishes.streams = 1;
		return 0;
	case BST_OPT_RECEIPT:
		r->wants_receipt = 1;
		return 0;
	case BST_OPT_VERBOSE:
		plan->is_verbose = 1;
		return 0;
	case BST_OPT_JSON:
		r->is_json = 1;
		return 0;
	default:
		return -1;
	}
}

static int check_options(const struct run *r, int n_operands)
{
	if (n_operands < 1 || n_operands > 2)
		return bst_usage(r->name, "name one model, and quote the "
					  "prompt.");
	if (r->wants_chat && r->is_raw)
		return bst_usage(r->name,
				 "--chat and --raw exclude each other.");
	if (r->wishes.streams && r->wishes.is_plain)
		return bst_usage(r->name, "--stream and --resident plain "
					  "exclude each other.");
	return 0;
}

int bst_run_command(const struct bst_command *cmd, struct bst_planning *plan,
		    int argc, char **argv)
{
	struct run r = { .name = cmd->name, .plan = plan, .n_max = N_DEFAULT };
	struct sampling_options o = { .temp = -1, .top_p = -1 };
	int opt, code;

	r.how.n_threads = bst_default_threads();
	while ((opt = bst_next_option(cmd, argc, argv)) != -1) {
		if (opt == 'h') {
			bst_print_help(cmd);
			return BST_EXIT_OK;
		}
		if (opt == ':' || opt == '?')
			return bst_bad_option(cmd->name, opt, optind, argv);
		if (opt == BST_OPT_GPU &&
		    bst_parse_size(optarg, (uint64_t)1 << 50, &plan->gpu))
			return bst_usage(cmd->name,
					 "--gpu takes a size, such as 20GB.");
		if (opt == BST_OPT_GPU || !take_word(&r, plan, opt))
			continue;
		code = take(&r, &o, opt, optarg);
		if (code)
			return code;
	}
	code = check_options(&r, argc - optind);
	if (code)
		return code;
	if (plan)
		plan->is_json = r.is_json;
	bst_catch_signals();
	r.how.budget = r.wishes.budget;
	r.how.wants_int4 = r.wishes.mode == BST_MODE_FAST;
	code = plan ? bst_talker_describe(&r.talker, argv[optind], &r.how)
		    : bst_talker_open(&r.talker, argv[optind], &r.how);
	if (!code) {
		choose_sampling(&r, &o);
		code = run_model(&r,
				 optind + 1 < argc ? argv[optind + 1] : NULL);
	}
	code = bst_exit_worse(code, bst_talker_close(&r.talker));
	free_messages(&r);
	return code;
}

static int run(int argc, char **argv)
{
	return bst_run_command(&bst_cmd_run, NULL, argc, argv);
}

const struct bst_command bst_cmd_run = {
	"run",
	.operands = "MODEL [PROMPT]",
	.value = BST_VALUE_FILE,
	.what = "a model's answer to a prompt, or a chat",
	.about = "Run a language model: a directory as Hugging Face has it, "
		 "plain, compressed or mounted, a bundle of one, or a file of "
		 "weights in one. Without a PROMPT it is read from standard "
		 "input, unless that is a terminal: then this is a chat.",
	.options = options,
	.run = run,
};
