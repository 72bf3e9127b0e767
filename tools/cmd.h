/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd.h - the subcommands, and how they speak to people
 *
 * One description per subcommand; to its 'run', argv[0] is the subcommand's
 * name, and what it returns is the exit code.  Below them the helpers of ui.c:
 * the only place that words an error, a size or a progress line.
 */

#ifndef BST_CMD_H
#define BST_CMD_H

#include <stdint.h>
#include <stdio.h>

#include "bigsmall.h"
#include "option.h"

enum bst_exit {
	BST_EXIT_OK = 0,
	BST_EXIT_DATA = 1, /* the data is wrong: differs, corrupt */
	BST_EXIT_USAGE = 2, /* wrong arguments, or nothing we can read */
	BST_EXIT_SYSTEM = 3, /* I/O, memory, permission, no /dev/fuse */
	BST_EXIT_REFUSED = 4, /* would overwrite */
	BST_EXIT_INTERRUPTED = 130,
};

extern const struct bst_command bst_cmd_scan;
extern const struct bst_command bst_cmd_compress;
extern const struct bst_command bst_cmd_decompress;
extern const struct bst_command bst_cmd_verify;
extern const struct bst_command bst_cmd_info;
extern const struct bst_command bst_cmd_mount;
extern const struct bst_command bst_cmd_umount;
extern const struct bst_command bst_cmd_status;
extern const struct bst_command bst_cmd_doctor;
extern const struct bst_command bst_cmd_profile;
extern const struct bst_command bst_cmd_plan;
extern const struct bst_command bst_cmd_run;
extern const struct bst_command bst_cmd_benchmark;
extern const struct bst_command bst_cmd_completion;

/* All of them, in the order of --help; NULL ends them. */
extern const struct bst_command *const bst_commands[];

/* ---- ui.c ---------------------------------------------------------------- */

/* The name that error sentences begin with; "bigsmall" until it is set.
 * 'name' is borrowed. */
void bst_set_program(const char *name);
const char *bst_program(void);

/* One sentence to standard error, with the program's name before it and a new
 * line after it.  Control characters that came from a file name or a file are
 * shown as '?'. */
void bst_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same for results: a line, or a part of one, to standard output; the new
 * line is the caller's. */
void bst_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "bigsmall SUBCOMMAND: WHAT" and where to read on; BST_EXIT_USAGE. */
int bst_usage(const char *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for what bst_next_option() did not take: 'opt' is ':' or '?', 'at'
 * its optind. */
int bst_bad_option(const char *cmd, int opt, int at, char *const *argv);

/* The exit code that a codec result, or an errno, means. */
int bst_exit_of_result(enum bs_result res);
int bst_exit_of_errno(int err);

/* Say why there is no output (-errno, as files.h gives it) and return the exit
 * code. */
int bst_say_output_error(const char *path, int err);

/* There is no memory; BST_EXIT_SYSTEM. */
int bst_say_no_memory(void);

/* Another run works on that file; BST_EXIT_REFUSED. */
int bst_say_busy(const char *path);

/* The worse of two exit codes: an interruption, then the system's failures,
 * then wrong data, then what was refused or misused. */
int bst_exit_worse(int a, int b);

/* "14.2 GB" in powers of ten; 'buf' has room for BST_SIZE_LEN and is
 * returned. */
#define BST_SIZE_LEN 16
const char *bst_size(char *buf, uint64_t bytes);

/* A digest as hexadecimal digits; 'buf' has room for 2 * len + 1. */
const char *bst_hex(char *buf, const uint8_t *digest, size_t len);

/* Parse 'arg' as a whole decimal number within [min, max]: 0 or -1. */
int bst_parse_number(const char *arg, unsigned long min, unsigned long max,
		     unsigned long *ret);

/* Parse "256M" as bytes within (0, max], with a unit of K, M or G, or KB, MB or
 * GB in powers of ten, or none: 0 or -1. */
int bst_parse_size(const char *arg, uint64_t max, uint64_t *ret);

/* The argument of -j; *ret gets 1 .. BST_THREADS_MAX, by default the CPUs this
 * process may run on. */
#define BST_THREADS_MAX 256
int bst_parse_threads(const char *arg, unsigned *ret);
unsigned bst_default_threads(void);

/* Seconds on a clock that only runs forward. */
double bst_now(void);

/*
 * A line that is drawn over itself on standard error where that is a terminal,
 * else nothing.  begin and end are the main thread's, add any thread's.
 */
void bst_progress_begin(const char *what, uint64_t total);
void bst_progress_add(uint64_t n);
void bst_progress_end(void);

/* SIGINT, SIGTERM and SIGHUP set a flag that long loops look at; SIGPIPE and
 * SIGXFSZ become errors of write. */
void bst_catch_signals(void);
int bst_is_interrupted(void);

#endif /* BST_CMD_H */
