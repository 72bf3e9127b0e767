/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ui.c - sentences, sizes and the progress line
 *
 * The only place that formats for people.  Errors go to standard error, one
 * sentence a line; results go to standard output by their commands.  What came
 * from a file name or from inside a file never reaches the terminal as a
 * control character.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

#define LINE_MAX_LEN 8192
#define WHAT_LEN 41 /* and a name longer than that is cut */
#define DRAW_EVERY 0.1 /* seconds between two drawings of the line */

static const char *program = "bigsmall";

/* Standard error is one, whichever thread has something to say. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
	int is_drawn;
	char what[WHAT_LEN];
	uint64_t total;
	uint64_t done;
	double next;
	unsigned width; /* columns used by the last drawing */
} progress;

/* Set by a handler, on whatever thread, and read by all: needs no lock, and so
 * may be written there. */
static atomic_int interrupted;

void bst_set_program(const char *name)
{
	program = name;
}

const char *bst_program(void)
{
	return program;
}

static void wipe_line(void)
{
	if (progress.width)
		fprintf(stderr, "\r%*s\r", (int)progress.width, "");
	progress.width = 0;
}

/* No control characters: C0, DEL, and C1 as UTF-8 has it.  A new line may end
 * the line. */
static void make_harmless(char *line)
{
	unsigned char *s = (unsigned char *)line;
	size_t i;

	for (i = 0; s[i]; i++) {
		if ((s[i] < 0x20 && !(s[i] == '\n' && !s[i + 1])) ||
		    s[i] == 0x7f)
			s[i] = '?';
		if (s[i] == 0xc2 && s[i + 1] >= 0x80 && s[i + 1] < 0xa0)
			s[i] = s[i + 1] = '?';
	}
}

/* Write what 'fmt' says into line[LINE_MAX_LEN]. */
static void word_line(char *line, const char *fmt, va_list ap)
{
	vsnprintf(line, LINE_MAX_LEN, fmt, ap);
	make_harmless(line);
}

static void put_sentence(const char *prefix, const char *fmt, va_list ap)
{
	char line[LINE_MAX_LEN];

	word_line(line, fmt, ap);
	pthread_mutex_lock(&lock);
	wipe_line();
	fprintf(stderr, "%s: %s\n", prefix, line);
	pthread_mutex_unlock(&lock);
}

void bst_print(const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	va_list ap;

	va_start(ap, fmt);
	word_line(line, fmt, ap);
	va_end(ap);
	fputs(line, stdout);
}

void bst_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_sentence(program, fmt, ap);
	va_end(ap);
}

int bst_usage(const char *cmd, const char *fmt, ...)
{
	char prefix[64];
	va_list ap;

	snprintf(prefix, sizeof(prefix), "%s %s", program, cmd);
	va_start(ap, fmt);
	put_sentence(prefix, fmt, ap);
	va_end(ap);
	fprintf(stderr, "Try: %s --help\n", prefix);
	return BST_EXIT_USAGE;
}

int bst_bad_option(const char *cmd, int opt, int at, char *const *argv)
{
	const char *arg = argv[at - 1];
	char one[3] = { '-', (char)optopt, 0 };

	/* A letter may stand among others; a long option is its word. */
	if (optopt > 0 && optopt < 128)
		arg = one;
	if (opt == ':')
		return bst_usage(cmd, "%s needs an argument.", arg);
	return bst_usage(cmd, "%s is not understood.", arg);
}

int bst_exit_of_result(enum bs_result res)
{
	switch (res) {
	case BS_OK:
		return BST_EXIT_OK;
	case BS_ERR_NOMEM:
	case BS_ERR_IO:
	case BS_ERR_PARAM:
		return BST_EXIT_SYSTEM;
	case BS_ERR_MAGIC:
	case BS_ERR_VERSION:
	case BS_ERR_FEATURE:
		return BST_EXIT_USAGE;
	default:
		return BST_EXIT_DATA;
	}
}

int bst_exit_of_errno(int err)
{
	switch (err) {
	case 0:
		return BST_EXIT_OK;
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
	case ELOOP:
		return BST_EXIT_USAGE;
	case EEXIST:
		return BST_EXIT_REFUSED;
	default:
		return BST_EXIT_SYSTEM;
	}
}

int bst_say_no_memory(void)
{
	bst_error("out of memory.");
	return BST_EXIT_SYSTEM;
}

int bst_say_busy(const char *path)
{
	bst_error("%s is in use by another run; wait until that has ended.",
		  path);
	return BST_EXIT_REFUSED;
}

int bst_say_output_error(const char *path, int err)
{
	switch (err) {
	case -EEXIST:
		bst_error("%s exists already; --force replaces a regular file.",
			  path);
		return BST_EXIT_REFUSED;
	case -EISDIR:
		bst_error("%s is a directory; to write into it, end it in '/'.",
			  path);
		return BST_EXIT_REFUSED;
	case -EDEADLK:
		bst_error("%s is the file that is to be read; name another "
			  "output with -o.",
			  path);
		return BST_EXIT_REFUSED;
	default:
		bst_error("%s cannot be written: %s.", path, strerror(-err));
		return bst_exit_of_errno(-err);
	}
}

int bst_exit_worse(int a, int b)
{
	static const int order[] = {
		BST_EXIT_OK,   BST_EXIT_REFUSED, BST_EXIT_USAGE,
		BST_EXIT_DATA, BST_EXIT_SYSTEM,	 BST_EXIT_INTERRUPTED,
	};
	size_t i, rank_a = 0, rank_b = 0;

	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (order[i] == a)
			rank_a = i;
		if (order[i] == b)
			rank_b = i;
	}
	return rank_a >= rank_b ? a : b;
}

const char *bst_size(char *buf, uint64_t bytes)
{
	static const char *const unit[] = { "B",  "kB", "MB", "GB",
					    "TB", "PB", "EB" };
	double value = (double)bytes;
	size_t i = 0;

	/* 999.95 would be shown as 1000.0 */
	while (value >= (i ? 999.95 : 1000.0) && i < 6) {
		value /= 1000;
		i++;
	}
	snprintf(buf, BST_SIZE_LEN, i ? "%.1f %s" : "%.0f %s", value, unit[i]);
	return buf;
}

const char *bst_hex(char *buf, const uint8_t *digest, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		snprintf(buf + 2 * i, 3, "%02x", digest[i]);
	buf[2 * len] = '\0';
	return buf;
}

int bst_parse_number(const char *arg, unsigned long min, unsigned long max,
		     unsigned long *ret)
{
	unsigned long value;
	char *end;

	if (!*arg || strspn(arg, "0123456789") != strlen(arg))
		return -1;
	errno = 0;
	value = strtoul(arg, &end, 10);
	if (errno || value < min || value > max)
		return -1;
	*ret = value;
	return 0;
}

int bst_parse_size(const char *arg, uint64_t max, uint64_t *ret)
{
	static const char units[] = "kmg";
	uint64_t scale = 1, step;
	const char *unit;
	uintmax_t n;
	size_t i;
	char *end;

	errno = 0;
	n = strtoumax(arg, &end, 10);
	if (errno || end == arg || *arg == '-' || *arg == '+')
		return -1;
	if (*end) {
		unit = strchr(units, *end | 32);
		step = end[1] == 'B' ? 1000 : 1024;
		if (!unit || (end[1] && strcmp(end + 1, "B") != 0))
			return -1;
		for (i = 0; units + i <= unit; i++)
			scale *= step;
	}
	if (n == 0 || n > max / scale)
		return -1;
	*ret = (uint64_t)n * scale;
	return 0;
}

int bst_parse_threads(const char *arg, unsigned *ret)
{
	unsigned long n;

	if (bst_parse_number(arg, 1, BST_THREADS_MAX, &n) != 0)
		return -1;
	*ret = (unsigned)n;
	return 0;
}

unsigned bst_default_threads(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	else
		n = sysconf(_SC_NPROCESSORS_ONLN);
	if (n < 1)
		return 1;
	return n > BST_THREADS_MAX ? BST_THREADS_MAX : (unsigned)n;
}

double bst_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void bst_progress_begin(const char *what, uint64_t total)
{
	const char *term = getenv("TERM");

	progress.is_drawn = 0;
	if (!isatty(STDERR_FILENO) || (term && !strcmp(term, "dumb")))
		return;
	snprintf(progress.what, sizeof(progress.what), "%s", what);
	make_harmless(progress.what);
	progress.is_drawn = 1;
	progress.total = total;
	progress.done = 0;
	progress.next = bst_now() + DRAW_EVERY;
	progress.width = 0;
}

static void draw_progress(void)
{
	const char *no_color, *on, *off;
	char have[BST_SIZE_LEN], all[BST_SIZE_LEN];
	double part;
	int n;

	progress.next = bst_now() + DRAW_EVERY;
	no_color = getenv("NO_COLOR");
	on = no_color && *no_color ? "" : "\033[1m";
	off = no_color && *no_color ? "" : "\033[0m";
	part = progress.total
		       ? 100.0 * (double)progress.done / (double)progress.total
		       : 100.0;
	wipe_line();
	bst_size(have, progress.done);
	bst_size(all, progress.total);
	n = snprintf(NULL, 0, "%s %3.0f %% %s of %s", progress.what, part, have,
		     all);
	fprintf(stderr, "%s %s%3.0f %%%s %s of %s", progress.what, on, part,
		off, have, all);
	fflush(stderr);
	progress.width = n > 0 ? (unsigned)n : 0;
}

void bst_progress_add(uint64_t n)
{
	if (!progress.is_drawn)
		return;
	pthread_mutex_lock(&lock);
	progress.done += n;
	if (progress.done > progress.total)
		progress.done = progress.total;
	if (bst_now() >= progress.next)
		draw_progress();
	pthread_mutex_unlock(&lock);
}

void bst_progress_end(void)
{
	if (progress.is_drawn)
		wipe_line();
	progress.is_drawn = 0;
}

static void on_signal(int sig)
{
	(void)sig;
	atomic_store(&interrupted, 1);
}

/* What the caller ignores (nohup, a shell's background job) stays ignored. */
static void set_handler(int sig, void (*handler)(int))
{
	struct sigaction sa, old;

	if (sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
		return;
	memset(&sa, 0, sizeof(sa));
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = handler;
	sigaction(sig, &sa, NULL);
}

void bst_catch_signals(void)
{
	set_handler(SIGINT, on_signal);
	set_handler(SIGTERM, on_signal);
	set_handler(SIGHUP, on_signal);
	set_handler(SIGPIPE, SIG_IGN);
	set_handler(SIGXFSZ, SIG_IGN);
}

int bst_is_interrupted(void)
{
	return atomic_load_explicit(&interrupted, memory_order_relaxed);
}
