/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bigsmall.c - the table of subcommands
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"

const struct bst_command *const bst_commands[] = {
	/* One a line, in the order of --help. */
	/* clang-format off */
	&bst_cmd_scan,
	&bst_cmd_compress,
	&bst_cmd_decompress,
	&bst_cmd_verify,
	&bst_cmd_info,
	&bst_cmd_mount,
	&bst_cmd_umount,
	&bst_cmd_status,
	&bst_cmd_doctor,
	&bst_cmd_profile,
	&bst_cmd_plan,
	&bst_cmd_run,
	&bst_cmd_benchmark,
	&bst_cmd_completion,
	NULL,
	/* clang-format on */
};

static void print_help(FILE *file)
{
	size_t i;

	fprintf(file, "Usage: bigsmall COMMAND [ARGUMENT]...\n"
		      "Store AI model weights a third smaller, lossless, and "
		      "use them without unpacking.\n\n"
		      "Commands:\n");
	for (i = 0; bst_commands[i]; i++)
		fprintf(file, "  %-10s  %-16s  %s\n", bst_commands[i]->name,
			bst_commands[i]->operands, bst_commands[i]->what);
	fprintf(file, "\nOptions:\n"
		      "  -h, --help     print this and exit\n"
		      "  -V, --version  print the version and exit\n\n"
		      "bigsmall COMMAND --help says more about a command.\n");
}

static int run_command(int argc, char **argv)
{
	size_t i;

	for (i = 0; bst_commands[i]; i++)
		if (!strcmp(argv[1], bst_commands[i]->name))
			return bst_commands[i]->run(argc - 1, argv + 1);
	if (argv[1][0] == '-')
		bst_error("there is no option %s.", argv[1]);
	else
		bst_error("there is no command %s.", argv[1]);
	fprintf(stderr, "Try: bigsmall --help\n");
	return BST_EXIT_USAGE;
}

/* Output that could not be written is a failure of the system. */
static int close_stdout(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno != EPIPE)
		bst_error("standard output could not be written: %s.",
			  strerror(errno));
	return bst_exit_worse(code, BST_EXIT_SYSTEM);
}

int main(int argc, char **argv)
{
	int code = BST_EXIT_OK;

	if (argc < 2) {
		print_help(stderr);
		return BST_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		print_help(stdout);
	else if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		printf("bigsmall %s\n", bs_version());
	else
		code = run_command(argc, argv);
	return close_stdout(code);
}
