/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.h - commands and their options, as data
 *
 * What --help says, what the parser takes and what a shell completes come from
 * these tables, so that they cannot disagree.
 */

#ifndef BST_OPTION_H
#define BST_OPTION_H

/* What an operand or an option's argument is, for completion. */
enum bst_value {
	BST_VALUE_TEXT, /* a number, a name: nothing to offer */
	BST_VALUE_FILE, /* any file or directory */
	BST_VALUE_CONTAINER, /* a .bs */
	BST_VALUE_DIR,
	BST_VALUE_MOUNT, /* where a mount of ours is */
	BST_VALUE_CHOICE, /* one of 'choices' */
	BST_VALUE_N
};

/* A table of them ends with one whose id is 0. */
struct bst_option {
	int id; /* the letter of -x; from 256 on: it has none */
	const char *name; /* of --name; NULL: it has none */
	const char *arg; /* "OUT": what its argument is called; NULL: none */
	enum bst_value value;
	const char *choices; /* words with a blank between them */
	const char *help; /* a phrase; broken into lines when printed */
	/* What stands in its argument with commas between them: NAME, or
	 * NAME=ARG; ids are the owner's. */
	const struct bst_option *words;
};

#define BST_OPTIONS_MAX 32 /* of a command, -h included */

/* Every command has -h, --help besides its options. */
struct bst_command {
	const char *name; /* "" : the program itself */
	const char *operands; /* "SRC..." */
	enum bst_value value; /* of its operands */
	const char *choices;
	const char *what; /* a phrase for the list of commands */
	const char *about; /* sentences for its --help */
	const struct bst_option *options;
	int (*run)(int argc, char **argv);
};

/*
 * getopt_long() for the options of 'cmd', after ':' with opterr at 0: the next
 * option's id, 'h', ':' or '?' (for bst_bad_option()), or -1 at the end.
 */
int bst_next_option(const struct bst_command *cmd, int argc, char **argv);

void bst_print_help(const struct bst_command *cmd);

#endif /* BST_OPTION_H */
