/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.c - other compressors, each in a child process of some Python
 *
 * The child runs peers.py, which an installation has in share/bigsmall/; they
 * talk in lines.  A child that says nothing for a minute is killed, with all
 * that it started: it leads a process group.
 */

#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "files.h"

/* The slowest known takes half of it for the longest file. */
#define DEADLINE 60.0
#define REAP_MS 1000 /* for one that has done its work to end */
#define FILE_FD 3 /* peers.py reads it there */

/* ---- A child ------------------------------------------------------------- */

static double deadline(void)
{
#ifdef BIGSMALL_TEST_HOOKS
	const char *text = getenv("BIGSMALL_PEER_SECONDS");

	if (text)
		return strtod(text, NULL);
#endif
	return DEADLINE;
}

/* Where peers.py is, from where this program is. */
static void find_script(struct bst_peers *peers)
{
	char exe[2048];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[len > 0 ? len : 0] = 0;
	snprintf(peers->script, sizeof(peers->script),
		 "%.*s/" BIGSMALL_DATA_FROM_BIN "/peers.py",
		 (int)(bst_base_name(exe) - exe), exe);
}

static int add_actions(posix_spawn_file_actions_t *fa, int in, int out, int fd)
{
	int err = posix_spawn_file_actions_adddup2(fa, in, 0);

	if (!err)
		err = posix_spawn_file_actions_adddup2(fa, out, 1);
	if (!err)
		err = posix_spawn_file_actions_addopen(fa, 2, "/dev/null",
						       O_WRONLY, 0);
	if (!err && fd >= 0)
		err = posix_spawn_file_actions_adddup2(fa, fd, FILE_FD);
	return err;
}

static int spawn(pid_t *ret, char *const *argv, int in, int out, int fd)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int err;

	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	err = add_actions(&fa, in, out, fd);
	if (!err)
		err = posix_spawnp(ret, argv[0], &fa, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	return err;
}

/* 0, or an errno. */
static int start(struct bst_peer_run *run, const struct bst_peers *peers,
		 const char *const words[4], int fd)
{
	char text[6][4096];
	char *argv[7] = { NULL };
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err = 0;
	size_t i, n = 2;

	snprintf(text[0], sizeof(text[0]), "%s", peers->python);
	snprintf(text[1], sizeof(text[1]), "%s", peers->script);
	for (i = 0; i < 4 && words[i]; i++)
		snprintf(text[n++], sizeof(text[0]), "%s", words[i]);
	for (i = 0; i < n; i++)
		argv[i] = text[i];
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		err = errno;
	else
		err = spawn(&run->pid, argv, in[0], out[1], fd);
	if (in[0] >= 0)
		close(in[0]);
	if (out[1] >= 0)
		close(out[1]);
	run->to = in[1];
	run->from = out[0];
	if (err)
		run->pid = 0;
	return err;
}

/* Wait for bytes: what read() returns, or -EINTR, or -ETIMEDOUT. */
static ssize_t read_some(struct bst_peer_run *run, char *buf, size_t len,
			 double end)
{
	struct pollfd pfd = { run->from, POLLIN, 0 };
	ssize_t n;

	for (;;) {
		if (bst_is_interrupted())
			return -EINTR;
		if (bst_now() >= end)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, 100) <= 0)
			continue;
		n = read(run->from, buf, len);
		if (n >= 0 || errno != EINTR)
			return n >= 0 ? n : -errno;
	}
}

/* The next line into run->line: 0, or -errno; -ENODATA: there is none. */
static int read_line(struct bst_peer_run *run, double end)
{
	size_t len = 0;

	while (len + 1 < sizeof(run->line)) {
		ssize_t n = read_some(run, run->line + len, 1, end);

		if (n <= 0)
			return n ? (int)n : -ENODATA;
		if (run->line[len] == '\n')
			break;
		len++;
	}
	run->line[len] = 0;
	return 0;
}

static void close_pipes(struct bst_peer_run *run)
{
	if (run->to >= 0)
		close(run->to);
	if (run->from >= 0)
		close(run->from);
	run->to = run->from = -1;
}

/* The status that a child ends with, which is killed if it does not. */
static int reap(struct bst_peer_run *run, int is_done)
{
	struct pollfd end = { .fd = -1, .events = POLLIN };
	int status = 0;
	pid_t got;

	/* Zero would mean ourselves, to kill(). */
	if (run->pid <= 0)
		return 0;
	if (is_done && !bst_is_interrupted()) {
		end.fd = pidfd_open(run->pid, 0);
		poll(&end, 1, REAP_MS);
		if (end.fd >= 0)
			close(end.fd);
	}
	/* What it started may be there even now. */
	kill(-run->pid, SIGKILL);
	do {
		got = waitpid(run->pid, &status, 0);
	} while (got < 0 && errno == EINTR);
	run->pid = 0;
	return status;
}

static void say_end(char *buf, size_t len, int status)
{
	if (WIFSIGNALED(status))
		snprintf(buf, len, "it was killed by signal %d",
			 WTERMSIG(status));
	else
		snprintf(buf, len, "it ended with exit code %d",
			 WEXITSTATUS(status));
}

/* Why there is no answer. */
static void say_no_answer(struct bst_peer_run *run, int err, char *buf,
			  size_t len)
{
	if (err == -ENODATA)
		say_end(buf, len, reap(run, 1));
	else if (err == -ETIMEDOUT)
		snprintf(buf, len, "it did not answer for %.0f seconds",
			 deadline());
	else
		snprintf(buf, len, "%s", strerror(-err));
}

/* ---- Which there are ----------------------------------------------------- */

static void add_missing(char *buf, size_t len, const char *name)
{
	size_t at = strlen(buf);

	/* Of two levels, the name once. */
	if (strstr(buf, name))
		return;
	snprintf(buf + at, len - at, "%s%s", at ? ", " : "", name);
}

static void take_peer(struct bst_peers *peers, const char *line, char *missing,
		      size_t missing_len)
{
	struct bst_peer *peer = &peers->peer[peers->n];

	if (sscanf(line, "%31s %31s %31s", peer->name, peer->level,
		   peer->version) != 3)
		return;
	if (!strcmp(peer->version, "-"))
		add_missing(missing, missing_len, peer->name);
	else
		peers->n++;
}

int bst_peers_find(struct bst_peers *peers, const char *python)
{
	static const char *const words[4] = { "list" };
	struct bst_peer_run run = { .to = -1, .from = -1 };
	char missing[512] = "", why[128];
	double end = bst_now() + deadline();
	int err, status;

	memset(peers, 0, sizeof(*peers));
	peers->python = python;
	find_script(peers);
	/* Peers whose pages are fresh would be slower than they are. */
	setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 0);
	err = start(&run, peers, words, -1);
	if (err) {
		close_pipes(&run);
		bst_error("%s cannot be run: %s; name a Python that has the "
			  "peers with --python.",
			  python, strerror(err));
		return err == ENOMEM || err == EAGAIN ? BST_EXIT_SYSTEM
						      : BST_EXIT_USAGE;
	}
	while (peers->n < BST_PEERS_MAX && !(err = read_line(&run, end)))
		take_peer(peers, run.line, missing, sizeof(missing));
	if (err == -EINTR) {
		bst_peer_stop(&run);
		return BST_EXIT_INTERRUPTED;
	}
	why[0] = 0;
	if (err && err != -ENODATA)
		say_no_answer(&run, err, why, sizeof(why));
	status = reap(&run, err == -ENODATA);
	close_pipes(&run);
	if (!why[0] && status)
		say_end(why, sizeof(why), status);
	if (why[0]) {
		bst_error("%s does not say which peers it has: %s; they are "
			  "left out.",
			  python, why);
		peers->n = 0;
	} else if (missing[0] || !peers->n) {
		bst_error("%s has no %s; not compared.", python,
			  missing[0] ? missing : "peers");
	}
	return BST_EXIT_OK;
}

/* ---- One of them --------------------------------------------------------- */

static int leave_out(struct bst_peer_run *run, const char *why)
{
	bst_error("%s %s is left out: %s.", run->peer->name, run->peer->level,
		  why);
	return BST_EXIT_DATA;
}

static int get_answer(struct bst_peer_run *run)
{
	char why[128];
	int err = read_line(run, bst_now() + deadline());

	if (err == -EINTR)
		return BST_EXIT_INTERRUPTED;
	if (err) {
		say_no_answer(run, err, why, sizeof(why));
		return leave_out(run, why);
	}
	if (!strncmp(run->line, "failed ", 7))
		return leave_out(run, run->line + 7);
	return BST_EXIT_OK;
}

int bst_peer_start(struct bst_peer_run *run, const struct bst_peers *peers,
		   size_t i, int fd)
{
	const char *words[4] = { "run", peers->peer[i].name,
				 peers->peer[i].level, run->dir };
	unsigned long long stored;
	int err, code;

	memset(run, 0, sizeof(*run));
	run->peer = &peers->peer[i];
	run->to = run->from = -1;
	snprintf(run->dir, sizeof(run->dir), "%s/bigsmall-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(run->dir)) {
		err = errno;
		run->dir[0] = 0;
		return leave_out(run, strerror(err));
	}
	err = start(run, peers, words, fd);
	if (err)
		return leave_out(run, strerror(err));
	code = get_answer(run);
	if (code)
		return code;
	if (sscanf(run->line, "ready %llu %d", &stored, &run->is_slow) != 2)
		return leave_out(run, "its answer is not understood");
	run->stored = stored;
	return BST_EXIT_OK;
}

int bst_peer_turn(struct bst_peer_run *run, double *ret_encode,
		  double *ret_decode)
{
	int code;

	/* One that is dead is noticed at its answer. */
	(void)!write(run->to, "go\n", 3);
	code = get_answer(run);
	if (code)
		return code;
	if (sscanf(run->line, "%lf %lf", ret_encode, ret_decode) != 2)
		return leave_out(run, "its answer is not understood");
	return BST_EXIT_OK;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	(void)remove(path);
	return 0;
}

void bst_peer_stop(struct bst_peer_run *run)
{
	reap(run, 0);
	close_pipes(run);
	if (run->dir[0])
		nftw(run->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	run->dir[0] = 0;
}
