/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_status.c - bigsmall status
 *
 * What the kernel's table has of ours, and what each mount says of itself in
 * .bigsmall/.  A mount whose daemon hangs would hang whoever touches it, so a
 * child does that, and is given up when its time is over: it may not even die.
 */

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behind.h"
#include "cmd.h"
#include "fs.h"
#include "json.h"
#include "mount_common.h"

#define PATIENCE 2.0 /* seconds, for all mounts together */
#define SUMMARY_MS 1000 /* of them, to look through a store */
#define PROBLEMS_SHOWN 5

enum { OPT_JSON = 256 };

static const struct bst_option options[] = {
	{ OPT_JSON, "json", .help = "print one JSON object for each mount" },
	{ 0 },
};

struct mount {
	char *dir; /* owned, as is the next */
	char *store; /* as the table has it */
	int is_wanted;
	int is_hidden; /* by another mount over it */
	pid_t pid;
	int fd; /* what the child says; -1: nothing more */
	char *said; /* owned: the stats, NUL, the problems, NUL */
	size_t len;
	int err; /* an errno; ETIMEDOUT: no answer */
	const char *stats; /* into 'said' */
	const char *problems;
};

struct status {
	struct mount *mounts; /* [n], owned */
	size_t n;
	int is_json;
	struct bst_json json;
};

/* ---- Finding ------------------------------------------------------------- */

static struct mount *find_mount(struct status *s, const char *dir)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (!strcmp(s->mounts[i].dir, dir))
			return &s->mounts[i];
	return NULL;
}

static int add_mount(struct status *s, const struct mntent *ent)
{
	struct mount *m = realloc(s->mounts, (s->n + 1) * sizeof(*m));

	if (!m)
		return -1;
	s->mounts = m;
	m += s->n++;
	memset(m, 0, sizeof(*m));
	m->fd = -1;
	m->dir = strdup(ent->mnt_dir);
	m->store = strdup(ent->mnt_fsname);
	if (!m->dir || !m->store)
		return -1;
	m->is_hidden = bsfs_mount_at(m->dir, NULL) != BSFS_MOUNT_OURS;
	return 0;
}

static int find_all(struct status *s)
{
	FILE *table = setmntent("/proc/self/mounts", "re");
	const struct mntent *ent;
	int err = 0;

	if (!table) {
		bst_error("/proc/self/mounts cannot be read: %s.",
			  strerror(errno));
		return BST_EXIT_SYSTEM;
	}
	while (!err && (ent = getmntent(table)))
		if (!strcmp(ent->mnt_type, "fuse.bigsmall") &&
		    !find_mount(s, ent->mnt_dir))
			err = add_mount(s, ent);
	endmntent(table);
	if (err)
		bst_error("out of memory.");
	return err ? BST_EXIT_SYSTEM : BST_EXIT_OK;
}

/* ---- Asking -------------------------------------------------------------- */

static int copy_file(const char *name, int out)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	ssize_t len;

	if (fd < 0)
		return errno;
	while ((len = read(fd, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)len) != len)
			return EIO;
	if (len < 0)
		return errno;
	close(fd);
	return 0;
}

static int end_text(int out)
{
	return write(out, "", 1) == 1 ? 0 : EIO;
}

/* The daemon does not look through its store by itself; this adds what there is
 * to its stats. */
static int say_summary(int out)
{
	int fd = open(".bigsmall/store", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct bsfs_summary sum;
	char *problems;

	if (fd < 0)
		return errno;
	bsfs_summarise(fd, SUMMARY_MS, &sum, &problems);
	free(problems);
	close(fd);
	return dprintf(out,
		       "\"models\": %llu\n\"shown_bytes\": %llu\n"
		       "\"stored_bytes\": %llu\n"
		       "\"int4_directories\": %llu\n\"is_partial\": %d\n",
		       (unsigned long long)sum.n_models,
		       (unsigned long long)sum.shown_len,
		       (unsigned long long)sum.stored_len,
		       (unsigned long long)sum.n_int4, sum.is_partial) > 0
		       ? 0
		       : EIO;
}

/* The child: its exit code is an errno. */
static void ask(const struct mount *m, int out)
{
	int err = 0;

	/* Nobody must wait for what this has open besides, should it hang. */
	if (dup2(out, 0) < 0)
		_exit(errno);
	syscall(SYS_close_range, 1u, ~0u, 0);
	if (chdir(m->dir) != 0)
		err = errno;
	if (!err)
		err = copy_file(".bigsmall/stats", 0);
	if (!err)
		err = say_summary(0);
	if (!err)
		err = end_text(0);
	if (!err)
		err = copy_file(".bigsmall/problems", 0);
	if (!err)
		err = end_text(0);
	_exit(err);
}

static void start_asking(struct mount *m)
{
	int fds[2];

	if (m->is_hidden)
		return;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		m->err = errno;
		return;
	}
	m->pid = fork();
	if (m->pid == 0)
		ask(m, fds[1]);
	close(fds[1]);
	m->fd = fds[0];
	if (m->pid < 0) {
		m->err = errno;
		close(m->fd);
		m->fd = -1;
	}
}

/* Take what is there: 1, or 0 at the end. */
static int hear(struct mount *m)
{
	char *said = realloc(m->said, m->len + 4096);
	ssize_t len;

	if (!said) {
		m->err = ENOMEM;
		return 0;
	}
	m->said = said;
	len = read(m->fd, said + m->len, 4096);
	if (len < 0)
		m->err = errno;
	if (len <= 0)
		return 0;
	m->len += (size_t)len;
	return 1;
}

/* The problems may be missing: before the first time, a large store is looked
 * through for long. */
static void split_answer(struct mount *m)
{
	const char *end = m->said ? memchr(m->said, 0, m->len) : NULL;

	if (end && (!m->err || m->err == ETIMEDOUT)) {
		m->stats = m->said;
		if (end + 1 < m->said + m->len && !m->said[m->len - 1])
			m->problems = end + 1;
	} else if (!m->err) {
		m->err = EIO;
	}
}

static void finish_asking(struct mount *m, double deadline)
{
	struct pollfd pfd = { .fd = m->fd, .events = POLLIN };
	int goes_on = m->fd >= 0, status;

	while (goes_on) {
		double left = deadline - bst_now();
		int n = poll(&pfd, 1, left > 0 ? (int)(left * 1e3) + 1 : 0);

		if (n == 0)
			m->err = ETIMEDOUT;
		goes_on = n > 0 ? hear(m) : n < 0 && errno == EINTR;
	}
	if (m->fd < 0)
		return;
	close(m->fd);
	m->fd = -1;
	if (m->err == ETIMEDOUT)
		kill(m->pid, SIGKILL);
	else if (waitpid(m->pid, &status, 0) == m->pid && !m->err)
		m->err = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	split_answer(m);
}

/* ---- Reports ------------------------------------------------------------- */

static uint64_t stat_of(const struct mount *m, const char *key)
{
	return bst_mount_stat(m->stats, key);
}

static uint64_t saved_by(const struct mount *m)
{
	uint64_t shown = stat_of(m, "shown_bytes");
	uint64_t stored = stat_of(m, "stored_bytes");

	return shown > stored ? shown - stored : 0;
}

static const char *why_silent(const struct mount *m)
{
	switch (m->err) {
	case ETIMEDOUT:
		return "its daemon does not answer";
	case ENOTCONN:
		return "its daemon is gone";
	case EACCES:
	case EPERM:
		return "it answers only who mounted it";
	default:
		return strerror(m->err);
	}
}

static void tell_silent(const struct mount *m)
{
	if (m->is_hidden)
		bst_print("%s: hidden by another mount over it.\n", m->dir);
	else if (m->err == EACCES || m->err == EPERM)
		bst_print("%s: %s.\n", m->dir, why_silent(m));
	else
		bst_print("%s: not answering (%s): %s; end it with: bigsmall "
			  "umount -l %s\n",
			  m->dir, strerrorname_np(m->err), why_silent(m),
			  m->dir);
}

static void tell_problems(const struct mount *m)
{
	const char *at = m->problems;
	unsigned n = 0;

	if (!at) {
		bst_print("  %-9s not all found yet; see "
			  "%s/.bigsmall/problems\n",
			  "problems", m->dir);
		return;
	}
	for (; *at && n < PROBLEMS_SHOWN; n++) {
		size_t len = strcspn(at, "\n");

		bst_print("  %-9s %.*s\n", n ? "" : "problems", (int)len, at);
		at += len + (at[len] == '\n');
	}
	if (*at)
		bst_print("  %-9s and more: see %s/.bigsmall/problems\n", "",
			  m->dir);
}

static void tell(const struct mount *m)
{
	char a[BST_SIZE_LEN], b[BST_SIZE_LEN], c[BST_SIZE_LEN];
	uint64_t models = stat_of(m, "models"), n, all;

	bst_print("%s: %s%llu compressed file%s", m->dir,
		  stat_of(m, "is_partial") ? "more than " : "",
		  (unsigned long long)models, models == 1 ? "" : "s");
	if (models)
		printf(", %s shown from %s stored, %s saved",
		       bst_size(a, stat_of(m, "shown_bytes")),
		       bst_size(b, stat_of(m, "stored_bytes")),
		       bst_size(c, saved_by(m)));
	printf("\n");
	bst_print("  %-9s %s\n", "store", m->store);
	n = stat_of(m, "int4_directories");
	if (n)
		printf("  %-9s %llu director%s of 4-bit weights, .int4\n",
		       "lossy", (unsigned long long)n, n == 1 ? "y" : "ies");
	n = stat_of(m, "open_files");
	printf("  %-9s %llu open file%s\n", "readers", (unsigned long long)n,
	       n == 1 ? "" : "s");
	n = stat_of(m, "read_errors");
	printf("  %-9s %s read, %llu error%s\n", "reads",
	       bst_size(a, stat_of(m, "read_bytes")), (unsigned long long)n,
	       n == 1 ? "" : "s");
	n = stat_of(m, "cache_hits");
	all = n + stat_of(m, "cache_misses");
	printf("  %-9s %s of %s, %.1f %% hits\n", "cache",
	       bst_size(a, stat_of(m, "cache_bytes")),
	       bst_size(b, stat_of(m, "cache_budget_bytes")),
	       all ? 100.0 * (double)n / (double)all : 0.0);
	tell_problems(m);
}

static void json_problems(struct bst_json *j, const struct mount *m)
{
	char *copy = m->problems ? strdup(m->problems) : NULL;
	char *rest = copy, *line;

	bst_json_bool(j, "problems_known", m->problems != NULL);
	bst_json_open(j, "problems", '[');
	while (copy && (line = strsep(&rest, "\n")))
		if (*line)
			bst_json_string(j, NULL, line);
	bst_json_close(j, ']');
	free(copy);
}

static void tell_json(struct status *s, const struct mount *m)
{
	static const char *const keys[] = {
		"pid",		"models",	    "shown_bytes",
		"stored_bytes", "int4_directories", "open_files",
		"reads",	"read_bytes",	    "read_errors",
		"bad_chunks",	"cache_bytes",	    "cache_hits",
		"cache_misses",
	};
	struct bst_json *j = &s->json;
	size_t i;

	bst_json_open(j, NULL, '{');
	bst_json_string(j, "mountpoint", m->dir);
	bst_json_string(j, "store", m->store);
	bst_json_bool(j, "hidden", m->is_hidden);
	bst_json_bool(j, "answers", m->stats != NULL);
	if (m->stats) {
		for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			bst_json_u64(j, keys[i], stat_of(m, keys[i]));
		bst_json_u64(j, "saved_bytes", saved_by(m));
		bst_json_bool(j, "is_partial", stat_of(m, "is_partial") != 0);
		json_problems(j, m);
	} else if (!m->is_hidden) {
		bst_json_string(j, "error", strerrorname_np(m->err));
	}
	bst_json_close(j, '}');
}

/* ---- The command --------------------------------------------------------- */

/* Mark those that are named, and say which of them is none. */
static int select_mounts(struct status *s, char **names, int n_names)
{
	int code = BST_EXIT_OK, i;

	for (i = 0; i < n_names; i++) {
		char *path = bst_mount_path(names[i]);
		struct mount *m = path ? find_mount(s, path) : NULL;

		free(path);
		if (m) {
			m->is_wanted = 1;
			continue;
		}
		bst_error("%s is not mounted by bigsmall.", names[i]);
		code = BST_EXIT_USAGE;
	}
	return code;
}

static int report(struct status *s)
{
	double deadline = bst_now() + PATIENCE;
	int code = BST_EXIT_OK;
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->mounts[i].is_wanted)
			start_asking(&s->mounts[i]);
	for (i = 0; i < s->n; i++) {
		struct mount *m = &s->mounts[i];

		if (!m->is_wanted)
			continue;
		finish_asking(m, deadline);
		if (s->is_json)
			tell_json(s, m);
		else if (m->stats)
			tell(m);
		else
			tell_silent(m);
		if (!m->stats && !m->is_hidden)
			code = BST_EXIT_SYSTEM;
	}
	return code;
}

static int status(struct status *s, char **names, int n_names)
{
	int code = find_all(s), i;

	for (i = 0; !n_names && i < (int)s->n; i++)
		s->mounts[i].is_wanted = 1;
	if (code == BST_EXIT_OK)
		code = select_mounts(s, names, n_names);
	bst_json_init(&s->json, stdout);
	if (s->is_json)
		bst_json_open(&s->json, NULL, '[');
	else if (code == BST_EXIT_OK && !s->n)
		printf("Nothing is mounted by bigsmall.\n");
	fflush(stdout);
	code = bst_exit_worse(code, report(s));
	if (s->is_json)
		bst_json_close(&s->json, ']');
	return code;
}

static int run(int argc, char **argv)
{
	struct status s = { 0 };
	int opt, code;
	size_t i;

	while ((opt = bst_next_option(&bst_cmd_status, argc, argv)) != -1)
		switch (opt) {
		case OPT_JSON:
			s.is_json = 1;
			break;
		case 'h':
			bst_print_help(&bst_cmd_status);
			return BST_EXIT_OK;
		default:
			return bst_bad_option("status", opt, optind, argv);
		}
	code = status(&s, argv + optind, argc - optind);
	for (i = 0; i < s.n; i++) {
		free(s.mounts[i].dir);
		free(s.mounts[i].store);
		free(s.mounts[i].said);
	}
	free(s.mounts);
	return code;
}

const struct bst_command bst_cmd_status = {
	"status",
	.operands = "[MOUNTPOINT]...",
	.value = BST_VALUE_MOUNT,
	.what = "what is mounted, and how it is doing",
	.about = "Say of each mount what it shows and saves, who reads it, and "
		 "what is wrong.",
	.options = options,
	.run = run,
};
