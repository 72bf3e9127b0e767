/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_common.c - what bigsmall mount and mount.bigsmall have in common
 *
 * There are two processes from the start, so that no thread or ring is lost in a
 * fork: the daemon, and the teller, which hears through a pipe that the mount
 * answers, looks into the store for a moment, says what is there and is done.
 * In the background the daemon is the child; the command ends with the teller,
 * or with the daemon's exit code if that ends first.  In the foreground the
 * teller is the child.
 *
 * The daemon itself opens nothing before it is asked for a name.
 */

#include "mount_common.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "files.h"
#include "json.h"

#define CACHE_DEFAULT ((uint64_t)256 << 20)
#define PREFETCH_DEFAULT ((uint64_t)64 << 20)
#define PROBLEMS_SHOWN 5
#define PIPE_FD 3 /* of the daemon in the background, to its parent */

/* How long the teller may look for what it says: a store of 1,000 containers is
 * to be mounted in 50 ms, of which mounting takes 10. */
#define SUMMARY_MS 25

enum {
	ALLOW_OTHER = 1,
	NOALLOW_OTHER,
	CACHE,
	THREADS,
	FSNAME,
	MAX_READ,
	PREFETCH,
	READAHEAD,
	DIRECT,
	RESIDENT,
	RESIDENT_SIZE,
	TIMEOUT,
	RO,
};

const struct bst_option bst_mount_words[] = {
	{ ALLOW_OTHER, "allow_other",
	  .help = "others may read, too (default for root)" },
	{ NOALLOW_OTHER, "noallow_other",
	  .help = "only who mounted may (default for users)" },
	{ CACHE, "cache", "SIZE",
	  .help = "memory for decoded chunks, 256M by default" },
	{ THREADS, "threads", "N",
	  .help = "requests answered at a time, by default the CPUs" },
	{ FSNAME, "fsname", "NAME",
	  .help = "what df and the table of mounts show, by default DIR" },
	{ MAX_READ, "max_read", "SIZE",
	  .help = "the longest request, 1M by default and at most" },
	{ PREFETCH, "prefetch", "SIZE|off",
	  .help = "what is decoded ahead of readers, 64M by default" },
	{ READAHEAD, "readahead", "SIZE",
	  .help = "what the kernel reads ahead, 1M by default for root" },
	{ DIRECT, "direct", "on|off",
	  .help = "read the store past the kernel's cache (default: on)" },
	{ RESIDENT, "resident",
	  .help = "keep files that were opened in memory, decoded (root)" },
	{ RESIDENT_SIZE, "resident", "SIZE",
	  .help = "the same, in so much; by default half of what is free" },
	{ TIMEOUT, "timeout", "N",
	  .help = "unmount after N seconds without use" },
	{ RO, "ro", .help = "accepted: the mount is read-only" },
	{ 0 },
};

const char bst_mount_more[] =
	"and what mount(8) passes on: rw, exec, noexec, nosuid, nodev, atime, "
	"nofail, user, _netdev, x-... (SIZE: a number and k, m or g)";

static const struct bst_option helper_options[] = {
	{ BST_OPT_FOREGROUND, "foreground",
	  .help = "stay, and log to standard error" },
	{ 'f', "fake", .help = "check everything, mount nothing" },
	{ 's', .help = "ignore unknown mount options" },
	{ 'n', .help = "accepted, as mount(8) passes it on" },
	{ 'v', .help = "accepted likewise" },
	{ 't', .arg = "TYPE", .help = "accepted likewise: bigsmall" },
	BST_MOUNT_O,
	{ 'V', "version", .help = "print the version and exit" },
	{ 0 },
};

const struct bst_command bst_mount_helper = {
	"",
	.operands = "DIR [MOUNTPOINT]",
	.value = BST_VALUE_DIR,
	.about = BST_MOUNT_ABOUT,
	.options = helper_options,
};

void bst_mount_init(struct bst_mount *m)
{
	memset(m, 0, sizeof(*m));
	m->fs.cache_len = CACHE_DEFAULT;
	m->fs.prefetch_len = PREFETCH_DEFAULT;
	m->fs.n_threads = bst_default_threads();
	m->fs.allow_other = geteuid() == 0;
	m->store_fd = -1;
}

void bst_mount_fini(struct bst_mount *m)
{
	if (m->store_fd >= 0)
		close(m->store_fd);
	free(m->store);
	free(m->mountpoint);
	free(m->fsname);
}

/* ---- Options ------------------------------------------------------------- */

/* What mount(8) and fstab(5) know, and what makes no difference here: the
 * mount is read-only, without devices and set-user-ID programs in any case. */
static int is_generic(const char *opt)
{
	static const char *const names[] = {
		"defaults", "ro",	  "rw",		 "exec",
		"noexec",   "suid",	  "nosuid",	 "dev",
		"nodev",    "sync",	  "async",	 "dirsync",
		"atime",    "noatime",	  "diratime",	 "nodiratime",
		"relatime", "norelatime", "strictatime", "nostrictatime",
		"lazytime", "nolazytime", "auto",	 "noauto",
		"user",	    "nouser",	  "users",	 "nousers",
		"owner",    "noowner",	  "group",	 "nogroup",
		"nofail",   "_netdev",	  "silent",	 "loud",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(opt, names[i]))
			return 1;
	}
	return !strncmp(opt, "x-", 2) || !strncmp(opt, "X-", 2) ||
	       !strncmp(opt, "comment=", 8);
}

static int bad_value(const char *opt, const char *want)
{
	bst_error("-o %s: %s.", opt, want);
	return -1;
}

/* The word that 'opt' begins with, and *ret_value what stands behind its '=';
 * id 0: none. */
static int find_word(const char *opt, const char **ret_value)
{
	const struct bst_option *word;

	for (word = bst_mount_words; word->id; word++) {
		size_t len = strlen(word->name);

		if (!strncmp(opt, word->name, len) &&
		    opt[len] == (word->arg ? '=' : 0)) {
			*ret_value = opt + len + 1;
			break;
		}
	}
	return word->id;
}

/* One option: 0, or -1 after a sentence. */
static int take_option(struct bst_mount *m, const char *opt)
{
	const char *value;
	unsigned long n;
	uint64_t size;

	switch (find_word(opt, &value)) {
	case ALLOW_OTHER:
		m->fs.allow_other = 1;
		return 0;
	case NOALLOW_OTHER:
		m->fs.allow_other = 0;
		return 0;
	case CACHE:
		if (bst_parse_size(value, (uint64_t)1 << 50, &size) != 0)
			return bad_value(opt, "a size like 256M is wanted");
		m->fs.cache_len = size;
		return 0;
	case THREADS:
		if (bst_parse_number(value, 1, BST_THREADS_MAX, &n) != 0)
			return bad_value(opt, "a number from 1 to 256 is "
					      "wanted");
		m->fs.n_threads = (unsigned)n;
		return 0;
	case TIMEOUT:
		if (bst_parse_number(value, 0, 1ul << 30, &n) != 0)
			return bad_value(opt, "a number of seconds is wanted");
		m->fs.idle_timeout = (unsigned)n;
		return 0;
	case MAX_READ:
		if (bst_parse_size(value, (uint64_t)1 << 30, &size) != 0 ||
		    size < 4096)
			return bad_value(opt, "a size from 4k is wanted");
		m->fs.max_read = (uint32_t)size;
		return 0;
	case PREFETCH:
		size = 0;
		if (strcmp(value, "off") != 0 &&
		    bst_parse_size(value, (uint64_t)1 << 50, &size) != 0)
			return bad_value(opt, "a size like 64M or off is "
					      "wanted");
		m->fs.prefetch_len = size;
		return 0;
	case READAHEAD:
		if (bst_parse_size(value, (uint64_t)1 << 30, &size) != 0 ||
		    size < 4096)
			return bad_value(opt, "a size from 4k is wanted");
		m->fs.read_ahead = (uint32_t)size;
		return 0;
	case RESIDENT:
		m->fs.resident = 1;
		return 0;
	case RESIDENT_SIZE:
		if (bst_parse_size(value, (uint64_t)1 << 50, &size) != 0)
			return bad_value(opt, "a size like 64G is wanted");
		m->fs.resident = 1;
		m->fs.resident_len = size;
		return 0;
	case DIRECT:
		if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
			return bad_value(opt, "on or off is wanted");
		m->fs.no_direct = !strcmp(value, "off");
		return 0;
	case FSNAME:
		free(m->fsname);
		m->fsname = strdup(value);
		return m->fsname ? 0 : bad_value(opt, "out of memory");
	}
	if (!strcmp(opt, "default_permissions")) {
		m->fs.default_permissions = 1;
		return 0;
	}
	if (!strcmp(opt, "noexec") || !strcmp(opt, "exec"))
		m->fs.no_exec = *opt == 'n';
	if (!strcmp(opt, "remount")) {
		bst_error("a mount of bigsmall cannot be changed; unmount it, "
			  "and mount it again.");
		return -1;
	}
	if (!*opt || is_generic(opt) || m->is_sloppy)
		return 0;
	bst_error("there is no mount option %s.", opt);
	return -1;
}

int bst_mount_options(struct bst_mount *m, const char *list)
{
	char *opt = malloc(strlen(list) + 1);
	int res = 0;

	if (!opt) {
		bst_error("out of memory.");
		return -1;
	}
	while (*list && !res) {
		size_t n = 0;

		/* A backslash keeps a comma from ending the option. */
		while (*list && *list != ',') {
			if (*list == '\\' && list[1])
				list++;
			opt[n++] = *list++;
		}
		opt[n] = 0;
		res = take_option(m, opt);
		list += *list == ',';
	}
	free(opt);
	return res;
}

/* ---- Where --------------------------------------------------------------- */

/* Without following its last component: realpath() of what stands before it. */
static char *path_of(const char *path)
{
	char *copy = strdup(path), *dir, *real = NULL, *ret = NULL;
	const char *base;
	size_t len = strlen(path);

	if (!copy)
		return NULL;
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = 0;
	base = bst_base_name(copy);
	/* ".", ".." and "/" have no last component of their own. */
	if (!*base || !strcmp(base, ".") || !strcmp(base, "..")) {
		free(copy);
		return realpath(path, NULL);
	}
	dir = bst_dir_name(copy);
	if (dir)
		real = realpath(dir, NULL);
	if (real)
		ret = bst_join(strcmp(real, "/") ? real : "", base);
	free(real);
	free(dir);
	free(copy);
	return ret;
}

char *bst_mount_path(const char *path)
{
	char target[PATH_MAX];
	char *ret = path_of(path);
	ssize_t len;

	if (!ret || bsfs_mount_at(ret, NULL) != BSFS_MOUNT_NONE)
		return ret;
	/* Not a mount: if it is a link, one may be where it leads. */
	len = readlink(ret, target, sizeof(target) - 1);
	if (len > 0) {
		char *dir = bst_dir_name(ret), *joined = NULL;

		target[len] = 0;
		if (dir)
			joined = *target == '/' ? strdup(target)
						: bst_join(dir, target);
		free(dir);
		free(ret);
		ret = joined ? path_of(joined) : NULL;
		free(joined);
	}
	return ret;
}

static enum bst_mount_end say_bad_dir(const char *path, int err)
{
	if (err == ENOTCONN)
		bst_error("the mount on %s has lost its daemon; end it with: "
			  "bigsmall umount -l %s",
			  path, path);
	else
		bst_error("%s: %s.", path, strerror(err));
	switch (err) {
	case ENOENT:
	case ENOTDIR:
		return BST_MOUNT_USAGE;
	case EACCES:
	case EPERM:
		return BST_MOUNT_DENIED;
	case ENOMEM:
		return BST_MOUNT_SYSTEM;
	default:
		return BST_MOUNT_FAILED;
	}
}

static enum bst_mount_end check_dir(const char *path, char **ret)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return say_bad_dir(path, errno);
	if (!S_ISDIR(st.st_mode))
		return say_bad_dir(path, ENOTDIR);
	*ret = realpath(path, NULL);
	return *ret ? BST_MOUNT_OK : say_bad_dir(path, errno);
}

static int is_inside(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) &&
	       (path[len] == '/' || !strcmp(dir, "/"));
}

static enum bst_mount_end find_places(struct bst_mount *m)
{
	char *path = bst_mount_path(m->at ? m->at : m->dir);
	int is_ours = path && bsfs_mount_at(path, NULL) == BSFS_MOUNT_OURS;
	enum bst_mount_end end;

	free(path);
	if (is_ours) {
		bst_error("%s is already mounted by bigsmall; end that with: "
			  "bigsmall umount %s",
			  m->at ? m->at : m->dir, m->at ? m->at : m->dir);
		return BST_MOUNT_REFUSED;
	}
	end = check_dir(m->dir, &m->store);
	if (end == BST_MOUNT_OK && access(m->store, R_OK | X_OK) != 0)
		end = say_bad_dir(m->dir, errno);
	if (end == BST_MOUNT_OK)
		end = check_dir(m->at ? m->at : m->dir, &m->mountpoint);
	if (end != BST_MOUNT_OK)
		return end;
	if (is_inside(m->mountpoint, m->store)) {
		bst_error("%s lies inside %s, so the mount would show itself; "
			  "choose a place outside.",
			  m->mountpoint, m->store);
		return BST_MOUNT_USAGE;
	}
	return BST_MOUNT_OK;
}

/* ---- What is said -------------------------------------------------------- */

static void print_summary(const struct bst_mount *m,
			  const struct bsfs_summary *sum)
{
	char shown[BST_SIZE_LEN], stored[BST_SIZE_LEN];

	printf("%s: %s%" PRIu64 " compressed file%s", m->mountpoint,
	       sum->is_partial ? "more than " : "", sum->n_models,
	       sum->n_models == 1 ? "" : "s");
	if (sum->n_models)
		printf(", %s shown from %s stored",
		       bst_size(shown, sum->shown_len),
		       bst_size(stored, sum->stored_len));
	if (sum->n_int4)
		printf("; in 4 bits as well, lossy: %" PRIu64 " .int4",
		       sum->n_int4);
	printf("; read-only. Unmount: bigsmall umount %s\n", m->mountpoint);
	fflush(stdout);
}

static void print_json(const struct bst_mount *m,
		       const struct bsfs_summary *sum, char *problems)
{
	struct bst_json j;
	char *line;

	bst_json_init(&j, stdout);
	bst_json_open(&j, NULL, '{');
	bst_json_string(&j, "mountpoint", m->mountpoint);
	bst_json_string(&j, "store", m->store);
	bst_json_u64(&j, "models", sum->n_models);
	bst_json_u64(&j, "int4_directories", sum->n_int4);
	bst_json_u64(&j, "shown_bytes", sum->shown_len);
	bst_json_u64(&j, "stored_bytes", sum->stored_len);
	bst_json_bool(&j, "is_partial", sum->is_partial);
	bst_json_open(&j, "problems", '[');
	while ((line = strsep(&problems, "\n")))
		if (*line)
			bst_json_string(&j, NULL, line);
	bst_json_close(&j, ']');
	bst_json_close(&j, '}');
	fflush(stdout);
}

/* The first few lines of 'problems', and how many there are besides. */
static void print_problems(const struct bst_mount *m, uint64_t n,
			   const char *problems)
{
	uint64_t i;

	for (i = 0; i < n && i < PROBLEMS_SHOWN && *problems; i++) {
		size_t len = strcspn(problems, "\n");

		bst_error("%.*s.", (int)len, problems);
		problems += len + (problems[len] == '\n');
	}
	if (n > i)
		bst_error("and %" PRIu64 " more: see %s/.bigsmall/problems",
			  n - i, m->mountpoint);
}

static void log_to_stderr(void *ctx, enum bsfs_level level, const char *text)
{
	(void)ctx;
	(void)level;
	bst_error("%s", text);
}

/* Tell systemd, if it started us and wants to know (sd_notify(3)): one datagram
 * to the socket that it names. */
static void notify_manager(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if ((len && *path != '/' && *path != '@') || len < 2 ||
	    len >= sizeof(to.sun_path))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	memcpy(to.sun_path, path, len);
	if (*path == '@')
		to.sun_path[0] = 0; /* in the abstract name space */
	/* Nobody there is nobody to tell. */
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL,
		   (const struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) <
	    0)
		log_to_stderr(NULL, BSFS_INFO, "systemd was not told");
	close(fd);
}

/* ---- The teller ---------------------------------------------------------- */

/* What is wrong comes first, so that with the line all is said. */
static void tell(const struct bst_mount *m)
{
	struct bsfs_summary summary = { .is_partial = 1 };
	char *problems = NULL;

	if (m->store_fd >= 0)
		bsfs_summarise(m->store_fd, SUMMARY_MS, &summary, &problems);
	if (m->is_json) {
		print_json(m, &summary, problems);
	} else {
		print_problems(m, summary.n_problems, problems ? problems : "");
		print_summary(m, &summary);
	}
	free(problems);
}

/* Wait for the daemon's word: 1; or 0: it has ended, or we are interrupted. */
static int hear_daemon(int fd)
{
	char word;
	ssize_t n;

	do {
		n = read(fd, &word, 1);
	} while (n < 0 && errno == EINTR && !bst_is_interrupted());
	close(fd);
	return n == 1;
}

/* ---- The daemon ---------------------------------------------------------- */

struct daemon {
	_Atomic int fd; /* the pipe to the teller; -1: it has been told */
};

/* 0, or -1 if nobody listens any more. */
static int tell_ready(struct daemon *d)
{
	int fd = d->fd;
	ssize_t n = write(fd, "", 1);

	d->fd = -1;
	close(fd);
	return n == 1 ? 0 : -1;
}

static void ready_in_foreground(void *ctx)
{
	notify_manager("READY=1");
	tell_ready(ctx);
}

static void stopping_in_foreground(void *ctx)
{
	(void)ctx;
	notify_manager("STOPPING=1");
}

/* Until the command is done, errors are its own; later, the system's. */
static void log_in_background(void *ctx, enum bsfs_level level,
			      const char *text)
{
	const struct daemon *d = ctx;

	if (d->fd >= 0)
		bst_error("%s.", text);
	else
		syslog(level == BSFS_ERROR ? LOG_ERR : LOG_INFO, "%s", text);
}

static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	openlog("mount.bigsmall", LOG_PID, LOG_DAEMON);
	if (null < 0)
		return;
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	close(null);
}

static void ready_in_background(void *ctx)
{
	/* Who does not wait any more has interrupted the command. */
	if (tell_ready(ctx) != 0)
		kill(getpid(), SIGTERM);
	leave_terminal();
}

static void stopping_in_background(void *ctx)
{
	(void)ctx;
}

static enum bst_mount_end serve(struct bst_mount *m)
{
	switch (bsfs_run(&m->fs)) {
	case 0:
		return BST_MOUNT_OK;
	case -EPERM:
	case -EACCES:
		return BST_MOUNT_DENIED;
	case -ENOMEM:
	case -EAGAIN:
	case -EMFILE:
	case -ENFILE:
		return BST_MOUNT_SYSTEM;
	default:
		return BST_MOUNT_FAILED;
	}
}

static enum bst_mount_end serve_in_background(struct bst_mount *m, int fd)
{
	struct daemon d = { PIPE_FD };

	/* Nothing that the command had open stays open as long as the mount. */
	if (dup2(fd, PIPE_FD) < 0)
		return BST_MOUNT_SYSTEM;
	fcntl(PIPE_FD, F_SETFD, FD_CLOEXEC);
	syscall(SYS_close_range, PIPE_FD + 1, ~0u, 0);
	setsid();
	umask(0);
	/* The directory that the command ran in may be unmounted. */
	if (chdir("/") != 0)
		return BST_MOUNT_SYSTEM;
	m->fs.ready = ready_in_background;
	m->fs.stopping = stopping_in_background;
	m->fs.log = log_in_background;
	m->fs.ctx = &d;
	return serve(m);
}

static enum bst_mount_end serve_in_foreground(struct bst_mount *m, int fd)
{
	struct daemon d = { fd };

	close(m->store_fd);
	m->store_fd = -1;
	m->fs.ready = ready_in_foreground;
	m->fs.stopping = stopping_in_foreground;
	m->fs.log = log_to_stderr;
	m->fs.ctx = &d;
	return serve(m);
}

/* ---- Both ---------------------------------------------------------------- */

static enum bst_mount_end say_no_process(void)
{
	bst_error("no process can be started: %s.", strerror(errno));
	return BST_MOUNT_SYSTEM;
}

static enum bst_mount_end run_foreground(struct bst_mount *m, int fds[2])
{
	/* The teller leaves nothing behind to wait for. */
	struct sigaction sa = { .sa_handler = SIG_DFL,
				.sa_flags = SA_NOCLDWAIT };
	pid_t pid;

	sigaction(SIGCHLD, &sa, NULL);
	pid = fork();
	if (pid == 0) {
		close(fds[1]);
		if (hear_daemon(fds[0]))
			tell(m);
		fflush(NULL);
		_exit(0);
	}
	close(fds[0]);
	if (pid > 0)
		return serve_in_foreground(m, fds[1]);
	close(fds[1]);
	return say_no_process();
}

/* How the daemon ended that did not mount. */
static enum bst_mount_end end_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return BST_MOUNT_SYSTEM;
		if (bst_is_interrupted())
			return BST_MOUNT_INTERRUPTED;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) != BST_MOUNT_OK)
		return (enum bst_mount_end)WEXITSTATUS(status);
	bst_error("the daemon ended before it had mounted.");
	return BST_MOUNT_BUG;
}

static enum bst_mount_end run_background(struct bst_mount *m, int fds[2])
{
	pid_t pid = fork();

	if (pid == 0) {
		close(fds[0]);
		_exit((int)serve_in_background(m, fds[1]));
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return say_no_process();
	}
	bst_catch_signals();
	if (hear_daemon(fds[0])) {
		tell(m);
		return BST_MOUNT_OK;
	}
	if (!bst_is_interrupted())
		return end_of(pid);
	/* It unmounts, or does not mount at all. */
	kill(pid, SIGTERM);
	bst_error("interrupted; nothing is mounted.");
	return BST_MOUNT_INTERRUPTED;
}

/* What we open must not get the numbers of standard input and output, which the
 * daemon replaces. */
static void fill_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd < 3);
	if (fd >= 0)
		close(fd);
}

enum bst_mount_end bst_mount_run(struct bst_mount *m)
{
	uint64_t least = BSFS_CACHE_MIN(m->fs.n_threads);
	char size[BST_SIZE_LEN];
	enum bst_mount_end end;
	int fds[2];

	fill_standard_files();
	end = find_places(m);
	if (end != BST_MOUNT_OK || m->is_fake)
		return end;
	if (m->fs.cache_len < least) {
		bst_error("%u threads need a cache of %s; that is used.",
			  m->fs.n_threads, bst_size(size, least));
		m->fs.cache_len = least;
	}
	m->fs.store = m->store;
	m->fs.mountpoint = m->mountpoint;
	m->fs.fsname = m->fsname;
	/* From before the mount, which may hide it. */
	m->store_fd = open(m->store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (pipe2(fds, O_CLOEXEC) != 0) {
		bst_error("no pipe can be made: %s.", strerror(errno));
		return BST_MOUNT_SYSTEM;
	}
	fflush(NULL);
	return m->is_foreground ? run_foreground(m, fds)
				: run_background(m, fds);
}
