/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.c - parsing and printing what option.h describes
 */

#include "option.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"

#define COLUMNS 79
#define LEFT_LEN 64 /* "-o OPTION[,OPTION]..." */

static const struct bst_option help_option = { 'h', "help",
					       .help = "print this and exit" };

static int has_letter(const struct bst_option *opt)
{
	return opt->id < 256;
}

/* ---- Parsing ------------------------------------------------------------- */

int bst_next_option(const struct bst_command *cmd, int argc, char **argv)
{
	struct option words[BST_OPTIONS_MAX + 1] = { 0 };
	char letters[2 * BST_OPTIONS_MAX + 2] = ":";
	const struct bst_option *opt = cmd->options;
	size_t n = 0, len = 1, i;

	for (i = 0; opt != &help_option; i++) {
		opt = cmd->options[i].id ? &cmd->options[i] : &help_option;
		assert(i < BST_OPTIONS_MAX);
		if (has_letter(opt)) {
			letters[len++] = (char)opt->id;
			if (opt->arg)
				letters[len++] = ':';
		}
		if (opt->name) {
			words[n].name = opt->name;
			words[n].has_arg = opt->arg ? required_argument
						    : no_argument;
			words[n++].val = opt->id;
		}
	}
	opterr = 0;
	return getopt_long(argc, argv, letters, words, NULL);
}

/* ---- Printing ------------------------------------------------------------ */

/* The length of the first word; what stands in brackets stays together. */
static size_t word_len(const char *text)
{
	unsigned depth = 0;
	size_t i;

	for (i = 0; text[i] && (depth || text[i] != ' '); i++) {
		depth += text[i] == '[';
		depth -= depth && text[i] == ']';
	}
	return i;
}

/* Print 'text' from column 'at' on, its further lines at 'indent'; the column
 * reached. */
static size_t wrap(const char *text, size_t at, size_t indent)
{
	while (*text) {
		size_t len = word_len(text);

		if (at > indent && at + 1 + len > COLUMNS) {
			printf("\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			putchar(' ');
			at++;
		}
		printf("%.*s", (int)len, text);
		at += len;
		text += len;
		text += strspn(text, " ");
	}
	return at;
}

/* "-o OUT", "-f, --foreground", "--json" */
static size_t left_of(char *buf, const struct bst_option *opt)
{
	char letter[3] = { '-', (char)opt->id, 0 };

	return (size_t)snprintf(buf, LEFT_LEN, "%s%s%s%s%s%s",
				has_letter(opt) ? letter : "",
				has_letter(opt) && opt->name ? ", " : "",
				opt->name ? "--" : "",
				opt->name ? opt->name : "", opt->arg ? " " : "",
				opt->arg ? opt->arg : "");
}

static void print_words(const struct bst_option *opt)
{
	const struct bst_option *word;
	char buf[LEFT_LEN];

	for (word = opt->words; word->id; word++) {
		snprintf(buf, sizeof(buf), "%s%s%s", word->name,
			 word->arg ? "=" : "", word->arg ? word->arg : "");
		printf("      %-14s  ", buf);
		wrap(word->help, 22, 22);
		putchar('\n');
	}
	printf("      ");
	wrap(opt->help, 6, 6);
	putchar('\n');
}

static void print_option(const struct bst_option *opt, size_t width)
{
	char buf[LEFT_LEN];

	left_of(buf, opt);
	if (opt->words) {
		printf("  %s\n", buf);
		print_words(opt);
		return;
	}
	printf("  %-*s  ", (int)width, buf);
	wrap(opt->help, width + 4, width + 4);
	putchar('\n');
}

/* "Usage: bigsmall compress SRC... [-o OUT] [--force]" */
static void print_usage(const struct bst_command *cmd)
{
	size_t indent = (size_t)printf("Usage: %s%s%s ", bst_program(),
				       *cmd->name ? " " : "", cmd->name);
	const struct bst_option *opt;
	size_t at;

	/* Further lines stand below the first operand. */
	at = wrap(cmd->operands, indent, indent);
	for (opt = cmd->options; opt->id; opt++) {
		struct bst_option one = *opt;
		char left[LEFT_LEN], buf[LEFT_LEN + 2];

		if (has_letter(opt))
			one.name = NULL;
		left_of(left, &one);
		snprintf(buf, sizeof(buf), "[%s]", left);
		at = wrap(buf, at, indent);
	}
	putchar('\n');
}

void bst_print_help(const struct bst_command *cmd)
{
	const struct bst_option *opt;
	char buf[LEFT_LEN];
	size_t width = left_of(buf, &help_option);

	print_usage(cmd);
	wrap(cmd->about, 0, 0);
	printf("\n\nOptions:\n");
	for (opt = cmd->options; opt->id; opt++) {
		size_t len = left_of(buf, opt);

		if (!opt->words && len > width)
			width = len;
	}
	for (opt = cmd->options; opt->id; opt++)
		print_option(opt, width);
	print_option(&help_option, width);
}
