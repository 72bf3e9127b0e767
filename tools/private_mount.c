/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private_mount.c - a store mounted for this process, as long as it lives
 *
 * The daemon is a child in a session of its own, so that a terminal's SIGINT is
 * the parent's alone.  When the parent is gone the kernel sends it SIGTERM, upon
 * which it detaches the mount and removes the directory.  That signal is blocked
 * before there is a child, and waits until the daemon listens to it; so neither
 * is left behind, whenever the parent dies.  If it is the daemon that dies, the
 * parent removes both.
 */

#include "private_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "files.h"
#include "fs.h"
#include "walk.h"

#define PREFETCH ((uint64_t)64 << 20)
#define THREAD_LEN ((uint64_t)2 << 20) /* as docs/architecture.md has it */
#define REST_LEN ((uint64_t)16 << 20)
#define PIPE_FD 3 /* the daemon's, to its parent */

uint64_t bst_mount_bound(unsigned n_threads, uint64_t cache_len)
{
	return cache_len + n_threads * THREAD_LEN + REST_LEN;
}

/* ---- Where --------------------------------------------------------------- */

/* A new directory below 'top', unless that lies in the store: a mount that
 * shows itself would wait for itself.  NULL: errno says why. */
static char *make_dir_in(const char *top, const char *store)
{
	char *real = realpath(top, NULL), *path = NULL;

	if (real && bst_is_below(real, store))
		errno = EXDEV;
	else if (real)
		path = bst_join(real, "bigsmall-run.XXXXXX");
	if (path && !mkdtemp(path)) {
		int err = errno;

		free(path);
		path = NULL;
		errno = err;
	}
	free(real);
	return path;
}

static char *make_dir(const char *store)
{
	const char *tops[] = { getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"),
			       "/tmp", "/var/tmp", "/dev/shm" };
	char *path = NULL;
	size_t i;

	errno = ENOENT;
	for (i = 0; !path && i < sizeof(tops) / sizeof(tops[0]); i++)
		if (tops[i] && *tops[i] == '/')
			path = make_dir_in(tops[i], store);
	if (!path)
		bst_error("no directory can be made to mount in: %s; set "
			  "TMPDIR to a place that is not below %s.",
			  strerror(errno), store);
	return path;
}

/* ---- The daemon ---------------------------------------------------------- */

/* It has no more output than its parent's sentences. */
static void tell_ready(void *ctx)
{
	(void)ctx;
	if (write(PIPE_FD, "", 1) == 1)
		close(PIPE_FD);
}

static void do_nothing(void *ctx)
{
	(void)ctx;
}

static void log_errors(void *ctx, enum bsfs_level level, const char *text)
{
	(void)ctx;
	if (level == BSFS_ERROR)
		bst_error("%s.", text);
}

/* What the parent has open stays its own, but for standard error. */
static int leave(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    (fd != PIPE_FD && dup2(fd, PIPE_FD) < 0))
		return -1;
	fcntl(PIPE_FD, F_SETFD, FD_CLOEXEC);
	syscall(SYS_close_range, PIPE_FD + 1, ~0u, 0);
	setsid();
	umask(0);
	return chdir("/");
}

static int serve(const struct bsfs_options *options, int fd)
{
	int err = leave(fd) != 0 ? -errno : bsfs_run(options);

	rmdir(options->mountpoint);
	return err ? BST_EXIT_SYSTEM : BST_EXIT_OK;
}

/* ---- The parent ---------------------------------------------------------- */

/* Wait for the daemon's word: 1; or 0: it has ended, or we are interrupted. */
static int hear(int fd)
{
	char word;
	ssize_t n;

	do {
		n = read(fd, &word, 1);
	} while (n < 0 && errno == EINTR && !bst_is_interrupted());
	return n == 1;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* Both are gone already if the daemon ended well. */
static void clear_away(struct bst_private_mount *m)
{
	bsfs_mount_detach(m->path);
	rmdir(m->path);
	free(m->path);
	memset(m, 0, sizeof(*m));
}

static int start(struct bst_private_mount *m,
		 const struct bsfs_options *options, int fd)
{
	pid_t parent = getpid();
	sigset_t term, old;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &old);
	m->pid = fork();
	if (m->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		/* It may be gone already. */
		if (getppid() != parent)
			raise(SIGTERM);
		_exit(serve(options, fd));
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (m->pid > 0)
		return BST_EXIT_OK;
	bst_error("no process can be started: %s.", strerror(errno));
	return BST_EXIT_SYSTEM;
}

/* How the daemon ended that did not mount; it has said why, if it could. */
static int end_early(struct bst_private_mount *m)
{
	int status;

	if (bst_is_interrupted()) {
		kill(m->pid, SIGTERM);
		wait_for(m->pid);
		bst_error("interrupted.");
		return BST_EXIT_INTERRUPTED;
	}
	status = wait_for(m->pid);
	if (WIFEXITED(status) && WEXITSTATUS(status))
		return WEXITSTATUS(status);
	bst_error("the mount's daemon ended before it had mounted.");
	return BST_EXIT_SYSTEM;
}

int bst_private_mount_open(struct bst_private_mount *m, const char *store,
			   const char *preferred, unsigned n_threads,
			   uint64_t cache_len)
{
	struct bsfs_options options = {
		.store = store,
		.preferred = preferred,
		.cache_len = cache_len,
		.prefetch_len = PREFETCH,
		.n_threads = n_threads,
		.no_push = 1,
		.ready = tell_ready,
		.stopping = do_nothing,
		.log = log_errors,
	};
	int fds[2], code;

	memset(m, 0, sizeof(*m));
	m->path = make_dir(store);
	if (!m->path)
		return BST_EXIT_SYSTEM;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		bst_error("no pipe can be made: %s.", strerror(errno));
		clear_away(m);
		return BST_EXIT_SYSTEM;
	}
	fflush(NULL);
	options.mountpoint = m->path;
	code = start(m, &options, fds[1]);
	close(fds[1]);
	if (!code && !hear(fds[0]))
		code = end_early(m);
	close(fds[0]);
	if (code)
		clear_away(m);
	return code;
}

int bst_private_mount_close(struct bst_private_mount *m)
{
	int status, code = BST_EXIT_OK;

	if (!m->path)
		return BST_EXIT_OK;
	kill(m->pid, SIGTERM);
	status = wait_for(m->pid);
	if (WIFSIGNALED(status)) {
		bst_error("the mount's daemon was killed by signal %d.",
			  WTERMSIG(status));
		code = BST_EXIT_SYSTEM;
	} else if (WEXITSTATUS(status)) {
		code = BST_EXIT_SYSTEM;
	}
	clear_away(m);
	return code;
}
