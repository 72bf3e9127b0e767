/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_completion.c - bigsmall completion
 *
 * Writes what bash, zsh or fish complete the command lines of both programs by,
 * from the tables that --help and the parser go by.  A mount is completed from
 * the kernel's table and never touched: its daemon may hang.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "mount_common.h"

/* What a shell has to write for each kind of value. */
typedef const char *values[BST_VALUE_N];

static const struct bst_option no_options[] = { { 0 } };

/* Options that stand in place of a command. */
static const struct bst_option main_options[] = {
	{ 'h', "help", .help = "print a summary and exit" },
	{ 'V', "version", .help = "print the version and exit" },
	{ 0 },
};

static const struct bst_option help_option[] = {
	{ 'h', "help", .help = "print this and exit" },
	{ 0 },
};

/* The mountpoints of ours, one a line. */
#define MOUNTS                                                    \
	"sed -n 's/^[^ ]* \\([^ ]*\\) fuse\\.bigsmall .*/\\1/p' " \
	"/proc/self/mounts"

/* The first clause, with a backslash before each of 'special'. */
static void put_text(const char *text, const char *special)
{
	size_t i, len = strcspn(text, ";");

	for (i = 0; i < len; i++) {
		if (text[i] == '\'')
			fputs("'\\'", stdout);
		else if (strchr(special, text[i]))
			putchar('\\');
		putchar(text[i]);
	}
}

/* The two lists of a command's options: its own, then -h. */
#define FOR_EACH_OPTION(opt, part, options) \
	for (part = 0; part < 2; part++)    \
		for (opt = part ? help_option : options; opt->id; opt++)

/* ---- bash ---------------------------------------------------------------- */

static const char bash_begin[] =
	"# bash completion of bigsmall and mount.bigsmall; "
	"made by: bigsmall completion bash\n"
	"\n"
	"# _bigsmall_value KIND [WORD]...: what begins like $cur\n"
	"_bigsmall_value()\n"
	"{\n"
	"	local kind=$1 line\n"
	"	shift\n"
	"	cur=${cur#[\\\"\\']}\n"
	"	cur=${cur//\\\\/}\n"
	"	case $kind in\n"
	"	file)\n"
	"		compopt -o filenames\n"
	"		mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	"		;;\n"
	"	container)\n"
	"		compopt -o filenames\n"
	"		mapfile -t COMPREPLY < <(compgen -f -X '!*.bs' -- "
	"\"$cur\"\n"
	"			compgen -d -- \"$cur\")\n"
	"		;;\n"
	"	dir)\n"
	"		compopt -o filenames\n"
	"		mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n"
	"		;;\n"
	"	mount)\n"
	"		while read -r line; do\n"
	"			printf -v line '%b' \"$line\"\n"
	"			[[ $line == \"$cur\"* ]] || continue\n"
	"			printf -v line '%q' \"$line\"\n"
	"			COMPREPLY+=(\"$line\")\n"
	"		done < <(" MOUNTS ")\n"
	"		;;\n"
	"	choice)\n"
	"		mapfile -t COMPREPLY < <(compgen -W \"$*\" -- "
	"\"$cur\")\n"
	"		;;\n"
	"	list)\n"
	"		compopt -o nospace\n"
	"		line=\n"
	"		[[ $cur != *,* ]] || line=${cur%,*},\n"
	"		mapfile -t COMPREPLY < <(compgen -P \"$line\" -W \"$*\" "
	"-- \\\n"
	"			\"${cur##*,}\")\n"
	"		;;\n"
	"	esac\n"
	"}\n"
	"\n"
	"_bigsmall()\n"
	"{\n"
	"	local cur=${COMP_WORDS[COMP_CWORD]} prev='' command='' options=''\n"
	"	local -a value=(text)\n"
	"\n"
	"	COMPREPLY=()\n"
	"	((COMP_CWORD == 0)) || prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"	# --name=value is three words.\n"
	"	if [[ $cur == = ]]; then\n"
	"		cur=\n"
	"	elif [[ $prev == = ]]; then\n"
	"		prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
	"		[[ $prev == -* ]] || return\n"
	"	fi\n"
	"	case ${COMP_WORDS[0]##*/} in\n"
	"	mount.bigsmall) command=mount.bigsmall ;;\n"
	"	*) ((COMP_CWORD < 2)) || command=${COMP_WORDS[1]} ;;\n"
	"	esac\n"
	"	case $command in\n";

static const char bash_end[] =
	"	*)\n"
	"		return\n"
	"		;;\n"
	"	esac\n"
	"	if [[ $cur == -* ]]; then\n"
	"		mapfile -t COMPREPLY < <(compgen -W \"$options\" -- "
	"\"$cur\")\n"
	"	else\n"
	"		_bigsmall_value \"${value[@]}\"\n"
	"	fi\n"
	"}\n"
	"\n"
	"complete -F _bigsmall bigsmall mount.bigsmall\n";

static const values bash_values = {
	[BST_VALUE_TEXT] = "text",   [BST_VALUE_FILE] = "file",
	[BST_VALUE_DIR] = "dir",     [BST_VALUE_CONTAINER] = "container",
	[BST_VALUE_MOUNT] = "mount", [BST_VALUE_CHOICE] = "choice",
};

static void bash_option_names(const struct bst_option *options)
{
	const struct bst_option *opt;

	for (opt = options; opt->id; opt++) {
		if (opt->id < 256)
			printf(" -%c", opt->id);
		if (opt->name)
			printf(" --%s", opt->name);
	}
}

/* "-x | --name)" and what its argument is. */
static void bash_argument(const struct bst_option *opt)
{
	const struct bst_option *word;

	printf("\t\t");
	if (opt->id < 256)
		printf("-%c%s", opt->id, opt->name ? " | " : "");
	if (opt->name)
		printf("--%s", opt->name);
	printf(")\n\t\t\t_bigsmall_value %s",
	       opt->words ? "list" : bash_values[opt->value]);
	for (word = opt->words ? opt->words : no_options; word->id; word++)
		printf(" %s%s", word->name, word->arg ? "=" : "");
	if (opt->choices)
		printf(" %s", opt->choices);
	printf("\n\t\t\treturn\n\t\t\t;;\n");
}

static void bash_command(const char *name, const struct bst_command *cmd)
{
	const struct bst_option *opt;
	int has_argument = 0;

	printf("\t%s)\n\t\toptions='", name);
	bash_option_names(cmd->options);
	bash_option_names(help_option);
	printf("'\n\t\tvalue=(%s%s%s)\n", bash_values[cmd->value],
	       cmd->choices ? " " : "", cmd->choices ? cmd->choices : "");
	for (opt = cmd->options; opt->id; opt++) {
		if (!opt->arg)
			continue;
		if (!has_argument++)
			printf("\t\tcase $prev in\n");
		bash_argument(opt);
	}
	if (has_argument)
		printf("\t\tesac\n");
	printf("\t\t;;\n");
}

static void bash(void)
{
	size_t i;

	fputs(bash_begin, stdout);
	printf("\t'')\n\t\toptions='");
	bash_option_names(main_options);
	printf("'\n\t\tvalue=(choice");
	for (i = 0; bst_commands[i]; i++)
		printf(" %s", bst_commands[i]->name);
	printf(")\n\t\t;;\n");
	for (i = 0; bst_commands[i]; i++)
		bash_command(bst_commands[i]->name, bst_commands[i]);
	bash_command("mount.bigsmall", &bst_mount_helper);
	fputs(bash_end, stdout);
}

/* ---- zsh ----------------------------------------------------------------- */

static const char zsh_begin[] = "#compdef bigsmall mount.bigsmall\n"
				"# made by: bigsmall completion zsh\n"
				"\n"
				"_bigsmall_mounts() {\n"
				"	local -a mounts\n"
				"	mounts=(${(g:o:)${(f)\"$(" MOUNTS
				")\"}})\n"
				"	compadd -a -- mounts\n"
				"}\n"
				"\n";

static const char zsh_function[] =
	"_bigsmall() {\n"
	"	local curcontext=$curcontext state line name=$service\n"
	"	local -a commands\n"
	"\n"
	"	commands=(\n";

static const char zsh_middle[] =
	"	)\n"
	"	if [[ $name == bigsmall ]]; then\n"
	"		_arguments -C \\\n"
	"			'(- *)'{-h,--help}'[print a summary and exit]' \\\n"
	"			'(- *)'{-V,--version}'[print the version and "
	"exit]' \\\n"
	"			'1:command:->command' '*::argument:->argument' "
	"&& return\n"
	"		case $state in\n"
	"		command)\n"
	"			_describe command commands\n"
	"			return\n"
	"			;;\n"
	"		argument) name=$words[1] ;;\n"
	"		esac\n"
	"	fi\n"
	"	case $name in\n";

static const char zsh_end[] = "	esac\n"
			      "}\n"
			      "\n"
			      "_bigsmall \"$@\"\n";

static const values zsh_values = {
	[BST_VALUE_TEXT] = " ",
	[BST_VALUE_FILE] = "_files",
	[BST_VALUE_DIR] = "_files -/",
	[BST_VALUE_CONTAINER] = "_files -g \"*.bs(-.)\"",
	[BST_VALUE_MOUNT] = "_bigsmall_mounts",
};

static void zsh_value(enum bst_value value, const char *choices)
{
	if (value == BST_VALUE_CHOICE)
		printf("(%s)", choices);
	else
		printf("%s", zsh_values[value]);
}

static void zsh_option(const struct bst_option *opt)
{
	printf("\t\t\t'");
	if (opt->id < 256 && opt->name)
		printf("(-%c --%s)'{-%c,--%s}'", opt->id, opt->name, opt->id,
		       opt->name);
	else if (opt->name)
		printf("--%s", opt->name);
	else
		printf("-%c", opt->id);
	printf("[");
	put_text(opt->words ? "mount options" : opt->help, "[]:\\");
	printf("]");
	if (opt->words) {
		printf(":options:_bigsmall_mount_options");
	} else if (opt->arg) {
		printf(":%s:", opt->arg);
		zsh_value(opt->value, opt->choices);
	}
	printf("' \\\n");
}

static void zsh_mount_options(void)
{
	const struct bst_option *word;

	printf("_bigsmall_mount_options() {\n\t_values -s , option");
	for (word = bst_mount_words; word->id; word++) {
		printf(" \\\n\t\t'%s[", word->name);
		put_text(word->help, "[]:\\");
		printf("]%s'", word->arg ? ":value: " : "");
	}
	printf("\n}\n\n");
}

static void zsh_command(const char *name, const struct bst_command *cmd)
{
	const struct bst_option *opt;
	int part;

	printf("\t%s)\n\t\t_arguments -s \\\n", name);
	FOR_EACH_OPTION(opt, part, cmd->options)
	zsh_option(opt);
	printf("\t\t\t'*:operand:");
	zsh_value(cmd->value, cmd->choices);
	printf("'\n\t\t;;\n");
}

static void zsh(void)
{
	size_t i;

	fputs(zsh_begin, stdout);
	zsh_mount_options();
	fputs(zsh_function, stdout);
	for (i = 0; bst_commands[i]; i++) {
		printf("\t\t'%s:", bst_commands[i]->name);
		put_text(bst_commands[i]->what, ":\\");
		printf("'\n");
	}
	fputs(zsh_middle, stdout);
	for (i = 0; bst_commands[i]; i++)
		zsh_command(bst_commands[i]->name, bst_commands[i]);
	zsh_command("mount.bigsmall", &bst_mount_helper);
	fputs(zsh_end, stdout);
}

/* ---- fish ---------------------------------------------------------------- */

static const values fish_values = {
	[BST_VALUE_TEXT] = "-x",
	[BST_VALUE_FILE] = "-r -F",
	[BST_VALUE_DIR] = "-x -a '(__fish_complete_directories)'",
	[BST_VALUE_CONTAINER] = "-x -k -a '(__fish_complete_suffix .bs)'",
	[BST_VALUE_MOUNT] = "-x -a '(__bigsmall_mounts)'",
};

static void fish_value(enum bst_value value, const char *choices)
{
	if (value == BST_VALUE_CHOICE)
		printf(" -x -a '%s'", choices);
	else
		printf(" %s", fish_values[value]);
}

/* "complete -c PROGRAM -n CONDITION" */
static void fish_rule(const char *program, const char *name)
{
	printf("complete -c %s", program);
	if (name && *name)
		printf(" -n '__fish_seen_subcommand_from %s'", name);
	else if (name)
		printf(" -n __fish_use_subcommand");
}

static void fish_option(const char *program, const char *name,
			const struct bst_option *opt)
{
	const struct bst_option *word;

	fish_rule(program, name);
	if (opt->id < 256)
		printf(" -s %c", opt->id);
	if (opt->name)
		printf(" -l %s", opt->name);
	if (opt->words) {
		printf(" -x -a '(__fish_append ,");
		for (word = opt->words; word->id; word++)
			printf(" %s%s", word->name, word->arg ? "=" : "");
		printf(")'");
	} else if (opt->arg) {
		fish_value(opt->value, opt->choices);
	}
	printf(" -d '");
	put_text(opt->words ? "mount options" : opt->help, "\\");
	printf("'\n");
}

static void fish_command(const char *program, const char *name,
			 const struct bst_command *cmd)
{
	const struct bst_option *opt;
	int part;

	FOR_EACH_OPTION(opt, part, cmd->options)
	fish_option(program, name, opt);
	fish_rule(program, name);
	fish_value(cmd->value, cmd->choices);
	printf("\n");
}

static void fish(void)
{
	const struct bst_option *opt;
	size_t i;

	printf("# fish completion of bigsmall and mount.bigsmall; made by: "
	       "bigsmall completion fish\n\n"
	       "function __bigsmall_mounts\n"
	       "\tprintf '%%b\\n' (" MOUNTS ")\n"
	       "end\n\n"
	       "complete -c bigsmall -f\n"
	       "complete -c mount.bigsmall -f\n");
	for (opt = main_options; opt->id; opt++)
		fish_option("bigsmall", "", opt);
	for (i = 0; bst_commands[i]; i++) {
		const struct bst_command *cmd = bst_commands[i];

		fish_rule("bigsmall", "");
		printf(" -a %s -d '", cmd->name);
		put_text(cmd->what, "\\");
		printf("'\n");
		fish_command("bigsmall", cmd->name, cmd);
	}
	fish_command("mount.bigsmall", NULL, &bst_mount_helper);
}

/* ---- The command --------------------------------------------------------- */

static int run(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
	size_t i;
	int opt;

	while ((opt = bst_next_option(&bst_cmd_completion, argc, argv)) != -1)
		switch (opt) {
		case 'h':
			bst_print_help(&bst_cmd_completion);
			return BST_EXIT_OK;
		default:
			return bst_bad_option("completion", opt, optind, argv);
		}
	for (i = 0; argc - optind == 1 && i < 3; i++) {
		if (strcmp(argv[optind], shells[i].name) != 0)
			continue;
		shells[i].print();
		return BST_EXIT_OK;
	}
	return bst_usage("completion", "name one shell: bash, zsh or fish.");
}

const struct bst_command bst_cmd_completion = {
	"completion",
	.operands = "SHELL",
	.value = BST_VALUE_CHOICE,
	.choices = "bash zsh fish",
	.what = "completions for bash, zsh or fish",
	.about = "Print what the shell completes both programs' command lines "
		 "by. An installation has it in place already.",
	.options = no_options,
	.run = run,
};
