/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat.h - the forms that conversations have
 *
 * A model brings its form as a program in a template language.  That is not
 * run: the form is recognised by its marks, and written here.
 */

#ifndef BSX_CHAT_H
#define BSX_CHAT_H

#include "fault.h"
#include "utf8.h"

enum bsx_chat_form {
	BSX_CHAT_UNKNOWN, /* there is one, of a form that is not known */
	BSX_CHAT_CHATML,
	BSX_CHAT_LLAMA3,
	BSX_CHAT_LLAMA2,
	BSX_CHAT_MISTRAL,
	BSX_CHAT_GEMMA,
	BSX_CHAT_PHI,
};

struct bsx_chat {
	enum bsx_chat_form form;
	char *start; /* the text of the token that begins all; owned */
	char *end; /* of the one that ends an answer; owned */
	char *system; /* what is said where nothing else is; owned, or NULL */
	bool has_start; /* it begins with 'start' */
	bool says_date; /* Llama 3.1 and later */
	bool knows_now; /* and asks the clock for it */
	bool has_gap; /* Mistral's first ones: a blank before [/INST] */
};

/* *ret is NULL if the model has no template; else the caller's to free. */
enum bsx_result bsx_chat_read(struct bsx_chat **ret,
			      const struct bsx_folder *folder,
			      struct bsx_error *err);
void bsx_chat_free(struct bsx_chat *c);

/* "ChatML"; NULL for an unknown form. */
const char *bsx_chat_name(const struct bsx_chat *c);

/* The mark that ends an answer, or NULL. */
const char *bsx_chat_stop(const struct bsx_chat *c);

#endif /* BSX_CHAT_H */
