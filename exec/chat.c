/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat.c - recognising a chat template, and writing what it would
 */

#include "chat.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "disk.h"
#include "hparams.h"
#include "engine.h"

#define TEMPLATE_FILE "chat_template.jinja"
#define TEMPLATE_MAX ((size_t)1 << 20)
#define SYSTEM_MAX 4096

/* In order: what a later one looks for, an earlier one may have as well. */
static const struct {
	const char *mark; /* in the template */
	const char *without; /* and this not; NULL: whatever */
	enum bsx_chat_form form;
} marks[] = {
	{ "<|start_header_id|>", NULL, BSX_CHAT_LLAMA3 },
	{ "<start_of_turn>", NULL, BSX_CHAT_GEMMA },
	{ "<|im_start|>", "<|im_sep|>", BSX_CHAT_CHATML },
	{ "<<SYS>>", NULL, BSX_CHAT_LLAMA2 },
	{ "[INST]", "[SYSTEM_PROMPT]", BSX_CHAT_MISTRAL },
	{ "<|end|>", "<|channel|>", BSX_CHAT_PHI },
};

/* ---- Recognising --------------------------------------------------------- */

/* The text between 'open' and 'close' where both stand in one literal of the
 * template: a default that needs no program. */
static char *literal_between(const char *s, const char *open, const char *close)
{
	size_t open_len = strlen(open);

	while ((s = strstr(s, open))) {
		const char *end;

		s += open_len;
		end = strstr(s, close);
		if (end && end - s < SYSTEM_MAX &&
		    !memchr(s, '\'', (size_t)(end - s)) &&
		    !memchr(s, '{', (size_t)(end - s)))
			return strndup(s, (size_t)(end - s));
	}
	return NULL;
}

/* What ChatML says where there is no system message; a new line in a literal is
 * either one, or written \n. */
static char *find_system(const char *s)
{
	char *text = literal_between(s, "<|im_start|>system\n", "<|im_end|>");

	if (!text)
		text = literal_between(s, "<|im_start|>system\\n",
				       "<|im_end|>");
	/* Other escapes are not undone. */
	if (text && strchr(text, '\\')) {
		free(text);
		text = NULL;
	}
	return text;
}

static void recognise(struct bsx_chat *c, const char *s)
{
	size_t i;

	c->form = BSX_CHAT_UNKNOWN;
	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (strstr(s, marks[i].mark) &&
		    !(marks[i].without && strstr(s, marks[i].without))) {
			c->form = marks[i].form;
			break;
		}
	}
	c->says_date = c->form == BSX_CHAT_LLAMA3 &&
		       strstr(s, "Cutting Knowledge Date") != NULL;
	c->knows_now = strstr(s, "strftime_now") != NULL;
	c->has_gap = strstr(s, " [/INST]") != NULL;
	c->has_start = strstr(s, "bos_token") != NULL;
	if (c->form == BSX_CHAT_CHATML)
		c->system = find_system(s);
}

/* A special token's text: a string, or an object that has it. */
static char *token_text(struct bsx_config *config, const char *key)
{
	const char *s = bsx_config_first(config, key);
	struct bsx_config *inner;

	if (!s && (inner = bsx_config_inner(config, key)))
		s = bsx_config_first(inner, "content");
	return strdup(s ? s : "");
}

enum bsx_result bsx_chat_read(struct bsx_chat **ret,
			      const struct bsx_folder *folder,
			      struct bsx_error *err)
{
	struct bsx_config *config = NULL;
	struct bsx_chat *c = NULL;
	enum bsx_result res;
	const char *text = NULL;
	char *file = NULL;
	size_t len;

	*ret = NULL;
	if (!bsx_file_exists(folder, "tokenizer_config.json"))
		return BSX_OK;
	res = bsx_config_read(&config, folder, "tokenizer_config.json", err);
	if (res)
		return res;
	if (bsx_file_exists(folder, TEMPLATE_FILE)) {
		res = bsx_file_load(folder, TEMPLATE_FILE, TEMPLATE_MAX, &file,
				    &len, err);
		text = file;
	} else if (bsx_config_has(config, "chat_template")) {
		/* Of several in a list none is taken: the form is unknown. */
		text = bsx_config_first(config, "chat_template");
		text = text ? text : "";
	}
	if (res || !text)
		goto out;
	c = calloc(1, sizeof(*c));
	if (c) {
		c->start = token_text(config, "bos_token");
		c->end = token_text(config, "eos_token");
	}
	if (!c || !c->start || !c->end) {
		bsx_chat_free(c);
		res = bsx_no_memory(err);
		goto out;
	}
	recognise(c, text);
	*ret = c;
out:
	free(file);
	bsx_config_free(config);
	return res;
}

void bsx_chat_free(struct bsx_chat *c)
{
	if (!c)
		return;
	free(c->start);
	free(c->end);
	free(c->system);
	free(c);
}

const char *bsx_chat_name(const struct bsx_chat *c)
{
	static const char *const names[] = {
		[BSX_CHAT_UNKNOWN] = NULL,	[BSX_CHAT_CHATML] = "ChatML",
		[BSX_CHAT_LLAMA3] = "Llama 3",	[BSX_CHAT_LLAMA2] = "Llama 2",
		[BSX_CHAT_MISTRAL] = "Mistral", [BSX_CHAT_GEMMA] = "Gemma",
		[BSX_CHAT_PHI] = "Phi",
	};

	return names[c->form];
}

const char *bsx_chat_stop(const struct bsx_chat *c)
{
	switch (c->form) {
	case BSX_CHAT_CHATML:
		return "<|im_end|>";
	case BSX_CHAT_LLAMA3:
		return "<|eot_id|>";
	case BSX_CHAT_GEMMA:
		return "<end_of_turn>";
	case BSX_CHAT_PHI:
		return "<|end|>";
	default:
		return NULL;
	}
}

/* ---- Writing ------------------------------------------------------------- */

struct writer {
	const struct bsx_chat *c;
	struct bsx_text out;
	bool ok;
};

static void say(struct writer *w, const char *s)
{
	w->ok = w->ok && bsx_text_add_string(&w->out, s);
}

/* Without the white space around it. */
static void say_trimmed(struct writer *w, const char *s)
{
	size_t len;

	s += strspn(s, " \t\r\n\v\f");
	for (len = strlen(s); len && strchr(" \t\r\n\v\f", s[len - 1]); len--)
		;
	w->ok = w->ok && bsx_text_add(&w->out, s, len);
}

static void say_date(struct writer *w)
{
	char date[32] = "26 Jul 2024"; /* the template's own, without a clock */
	time_t now = time(NULL);
	struct tm tm;

	if (w->c->knows_now && localtime_r(&now, &tm))
		strftime(date, sizeof(date), "%d %b %Y", &tm);
	say(w, "Cutting Knowledge Date: December 2023\nToday Date: ");
	say(w, date);
	say(w, "\n\n");
}

static const char *role_of(const struct bsx_message *m, const char *assistant)
{
	return m->role == BSX_SYSTEM ? "system"
	       : m->role == BSX_USER ? "user"
				     : assistant;
}

static void write_chatml(struct writer *w, const struct bsx_message *m,
			 size_t n)
{
	size_t i;

	if (w->c->system && n && m[0].role != BSX_SYSTEM) {
		say(w, "<|im_start|>system\n");
		say(w, w->c->system);
		say(w, "<|im_end|>\n");
	}
	for (i = 0; i < n; i++) {
		say(w, "<|im_start|>");
		say(w, role_of(&m[i], "assistant"));
		say(w, "\n");
		say(w, m[i].text);
		say(w, "<|im_end|>\n");
	}
	say(w, "<|im_start|>assistant\n");
}

static void write_llama3(struct writer *w, const struct bsx_message *m,
			 size_t n)
{
	size_t i;

	if (w->c->says_date) {
		say(w, "<|start_header_id|>system<|end_header_id|>\n\n");
		say_date(w);
		if (n && m[0].role == BSX_SYSTEM) {
			say_trimmed(w, m->text);
			m++;
			n--;
		}
		say(w, "<|eot_id|>");
	}
	for (i = 0; i < n; i++) {
		say(w, "<|start_header_id|>");
		say(w, role_of(&m[i], "assistant"));
		say(w, "<|end_header_id|>\n\n");
		say_trimmed(w, m[i].text);
		say(w, "<|eot_id|>");
	}
	say(w, "<|start_header_id|>assistant<|end_header_id|>\n\n");
}

static void write_llama2(struct writer *w, const struct bsx_message *m,
			 size_t n)
{
	const char *system = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		if (m[i].role == BSX_SYSTEM) {
			system = m[i].text;
		} else if (m[i].role == BSX_USER) {
			if (i > (system != NULL))
				say(w, w->c->start);
			say(w, "[INST] ");
			if (system) {
				say(w, "<<SYS>>\n");
				say(w, system);
				say(w, "\n<</SYS>>\n\n");
				system = NULL;
			}
			say_trimmed(w, m[i].text);
			say(w, " [/INST]");
		} else {
			say(w, " ");
			say_trimmed(w, m[i].text);
			say(w, " ");
			say(w, w->c->end);
		}
	}
}

static void write_mistral(struct writer *w, const struct bsx_message *m,
			  size_t n)
{
	const char *system = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		if (m[i].role == BSX_SYSTEM) {
			system = m[i].text;
		} else if (m[i].role == BSX_USER) {
			say(w, "[INST] ");
			/* Newer templates put it before the last question. */
			if (system && (w->c->has_gap || i + 1 == n)) {
				say(w, system);
				say(w, "\n\n");
				system = NULL;
			}
			say(w, m[i].text);
			say(w, w->c->has_gap ? " [/INST]" : "[/INST]");
		} else {
			say(w, w->c->has_gap ? "" : " ");
			say(w, m[i].text);
			say(w, w->c->end);
		}
	}
}

static void write_gemma(struct writer *w, const struct bsx_message *m, size_t n)
{
	const char *system = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		if (m[i].role == BSX_SYSTEM) {
			system = m[i].text;
			continue;
		}
		say(w, "<start_of_turn>");
		say(w, role_of(&m[i], "model"));
		say(w, "\n");
		if (system) {
			say(w, system);
			say(w, "\n\n");
			system = NULL;
		}
		say_trimmed(w, m[i].text);
		say(w, "<end_of_turn>\n");
	}
	say(w, "<start_of_turn>model\n");
}

static void write_phi(struct writer *w, const struct bsx_message *m, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		say(w, "<|");
		say(w, role_of(&m[i], "assistant"));
		say(w, "|>\n");
		say(w, m[i].text);
		say(w, "<|end|>\n");
	}
	say(w, "<|assistant|>\n");
}

enum bsx_result bsx_render_chat(const struct bsx_model *model,
				const struct bsx_message *messages, size_t n,
				char **ret, struct bsx_error *err)
{
	static void (*const write[])(struct writer * w,
				     const struct bsx_message *m, size_t n) = {
		[BSX_CHAT_CHATML] = write_chatml,
		[BSX_CHAT_LLAMA3] = write_llama3,
		[BSX_CHAT_LLAMA2] = write_llama2,
		[BSX_CHAT_MISTRAL] = write_mistral,
		[BSX_CHAT_GEMMA] = write_gemma,
		[BSX_CHAT_PHI] = write_phi,
	};
	struct writer w = { .c = model->chat, .ok = true };

	if (!w.c || w.c->form == BSX_CHAT_UNKNOWN)
		return bsx_fail(err, BSX_ERR_MODEL,
				"the model has no chat template that is known "
				"here.");
	if (w.c->has_start)
		say(&w, w.c->start);
	write[w.c->form](&w, messages, n);
	if (!w.ok || !bsx_text_add(&w.out, "", 1)) {
		free(w.out.s);
		return bsx_no_memory(err);
	}
	*ret = w.out.s;
	return BSX_OK;
}
