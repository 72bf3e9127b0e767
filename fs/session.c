/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - one mount from its making to its end
 *
 * Order of making: the store's descriptor, what the requests need, the mount.
 * Of ending: the mount, the watcher, the rest backwards.  Everything is made
 * on this side of the caller's fork, so that no thread or ring is lost in it.
 */

#include "fs.h"

#include "cache.h"
#include "decode.h"
#include "fuse_ops.h"
#include "inode.h"
#include "passthrough.h"
#include "prefetch.h"
#include "resident.h"
#include "stats.h"
#include "tree.h"
#include "vfile.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the kernel reads ahead of an mmap or a sequential read, if we may say so;
 * the figure from which nothing more is gained there, and beyond which a random
 * fault costs more. */
#define READ_AHEAD ((uint32_t)1 << 20)

/* If it reads less ahead than that, faults cost so many requests that it is
 * given what is decoded unasked. */
#define PUSH_BELOW_KB 512

/* What is longer gets pages of its own, which go when it is freed.  Else the
 * threads' heaps grow as buffers and models come and go among what stays, to
 * twice the bound (tests/fs/run_bounded.sh). */
#define MMAP_FROM (64 << 10)

extern char **environ;

void bsfs_log(const struct bsfs_session *s, enum bsfs_level level,
	      const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->opt->log(s->opt->ctx, level, text);
}

/* ---- What others need of libfuse ----------------------------------------- */

void bsfs_session_forget_name(const struct bsfs_session *s, uint64_t dir,
			      const char *name)
{
	fuse_lowlevel_notify_inval_entry(s->fuse, dir, name, strlen(name));
}

void bsfs_session_forget_inode(const struct bsfs_session *s, uint64_t inode)
{
	/* A negative offset: the attributes, not the pages. */
	fuse_lowlevel_notify_inval_inode(s->fuse, inode, -1, 0);
}

void bsfs_session_store(const struct bsfs_session *s, uint64_t inode,
			uint64_t off, const void *buf, size_t len)
{
	struct fuse_bufvec vec = FUSE_BUFVEC_INIT(len);

	vec.buf[0].mem = (void *)(uintptr_t)buf;
	/* If the kernel does not want it, it will ask. */
	fuse_lowlevel_notify_store(s->fuse, inode, (off_t)off, &vec, 0);
}

void bsfs_session_ready(struct bsfs_session *s)
{
	s->opt->ready(s->opt->ctx);
}

void bsfs_session_stopping(struct bsfs_session *s)
{
	if (!__atomic_exchange_n(&s->is_stopping, 1, __ATOMIC_RELAXED))
		s->opt->stopping(s->opt->ctx);
}

/* ---- The mount table ----------------------------------------------------- */

/* Undo the octal escapes of mountinfo. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 +
				       (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = 0;
}

/* A line of the table. */
struct mount {
	uint64_t dev;
	const char *path; /* in the line */
	int is_ours;
};

/* "ID PARENT MAJOR:MINOR ROOT PATH OPTIONS ... - TYPE SOURCE OPTIONS" */
static int parse_mount(char *line, struct mount *ret)
{
	unsigned major_no, minor_no;
	char *at = line, *type, *end;
	int i;

	if (sscanf(line, "%*d %*d %u:%u", &major_no, &minor_no) != 2)
		return -1;
	for (i = 0; i < 4 && at; i++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	end = at ? strchr(at, ' ') : NULL;
	type = end ? strstr(end, " - ") : NULL;
	if (!type)
		return -1;
	*end = 0;
	unescape(at);
	ret->dev = makedev(major_no, minor_no);
	ret->path = at;
	ret->is_ours = !strncmp(type, " - fuse.bigsmall ", 17);
	return 0;
}

/* The last line that fits, since that mount is on top: of 'path' (NULL: any)
 * and 'dev' (0: any).  1, and its path is the caller's to free; or 0. */
static int find_mount(const char *path, uint64_t dev, struct mount *ret,
		      char **ret_path)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t len = 0;

	*ret_path = NULL;
	while (file && getline(&line, &len, file) > 0) {
		struct mount m;

		if (parse_mount(line, &m) != 0 || (dev && m.dev != dev) ||
		    (path && strcmp(m.path, path) != 0))
			continue;
		free(*ret_path);
		*ret_path = strdup(m.path);
		*ret = m;
	}
	free(line);
	if (file)
		fclose(file);
	return *ret_path != NULL;
}

enum bsfs_mount bsfs_mount_at(const char *path, uint64_t *ret_dev)
{
	enum bsfs_mount ret = BSFS_MOUNT_NONE;
	struct mount m = { 0 };
	char *found;

	if (find_mount(path, 0, &m, &found))
		ret = m.is_ours ? BSFS_MOUNT_OURS : BSFS_MOUNT_OTHER;
	if (ret_dev)
		*ret_dev = m.dev;
	free(found);
	return ret;
}

static void run_fusermount(char *path, int is_lazy)
{
	char *const argv[] = { (char[]){ "fusermount3" },
			       (char[]){ "-u" },
			       (char[]){ "-q" },
			       is_lazy ? (char[]){ "-z" } : (char[]){ "-q" },
			       (char[]){ "--" },
			       path,
			       NULL };
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0)
		waitpid(pid, NULL, 0);
}

static void unmount(char *path, int is_lazy)
{
	if (geteuid() == 0)
		umount2(path, UMOUNT_NOFOLLOW | (is_lazy ? MNT_DETACH : 0));
	else
		run_fusermount(path, is_lazy);
}

void bsfs_mount_detach(const char *path)
{
	char *copy = strdup(path);

	if (copy && bsfs_mount_at(path, NULL) == BSFS_MOUNT_OURS)
		unmount(copy, 1);
	free(copy);
}

void bsfs_session_detach(const struct bsfs_session *s, int is_gentle)
{
	uint64_t on_top;
	struct mount m;
	char *path;

	/* It may have moved with a directory above it, be gone, or lie below
	 * another's mount, which is not ours to end. */
	if (!s->dev || !find_mount(NULL, s->dev, &m, &path))
		return;
	bsfs_mount_at(path, &on_top);
	if (on_top == s->dev)
		unmount(path, !is_gentle);
	free(path);
}

/* What the kernel reads ahead in the mount, in KiB: what is wanted, if we are
 * root, or less. */
static unsigned set_read_ahead(const struct bsfs_session *s)
{
	uint32_t want = s->opt->read_ahead ? s->opt->read_ahead : READ_AHEAD;
	unsigned kb = 128; /* if it does not say */
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
		 major(s->dev), minor(s->dev));
	file = geteuid() == 0 ? fopen(path, "we") : NULL;
	if (file) {
		fprintf(file, "%u", want >> 10);
		fclose(file);
	}
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%u", &kb) != 1)
			kb = 128;
		fclose(file);
	}
	if (s->opt->read_ahead && kb < want >> 10)
		bsfs_log(s, BSFS_INFO,
			 "only root can make the kernel read more than %u KiB "
			 "ahead",
			 kb);
	return kb;
}

/* ---- Mounting ------------------------------------------------------------ */

static int is_in_path(const char *program)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];

	/* mount(8), set-user-ID, hands on none; posix_spawnp() has its own. */
	if (!path)
		path = "/bin:/usr/bin";
	while (*path) {
		size_t len = strcspn(path, ":");

		if (snprintf(file, sizeof(file), "%.*s/%s", (int)len, path,
			     program) < PATH_MAX &&
		    access(file, X_OK) == 0)
			return 1;
		path += len + (path[len] == ':');
	}
	return 0;
}

/* Whether fuse.conf lets users share their mounts. */
static int may_share(void)
{
	FILE *file = fopen("/etc/fuse.conf", "re");
	char *line = NULL;
	size_t len = 0;
	int ret = 0;

	while (file && !ret && getline(&line, &len, file) > 0) {
		char word[32], more;

		line[strcspn(line, "#")] = 0;
		ret = sscanf(line, "%31s %c", word, &more) == 1 &&
		      !strcmp(word, "user_allow_other");
	}
	free(line);
	if (file)
		fclose(file);
	return ret;
}

/* What fusermount3 will ask of a user. */
static int check_user(const struct bsfs_session *s)
{
	if (!is_in_path("fusermount3")) {
		bsfs_log(s, BSFS_ERROR,
			 "fusermount3 is not installed, which mounts for "
			 "users: as root, run apt-get install fuse3");
		return -ENOENT;
	}
	if (access(s->opt->mountpoint, W_OK) != 0) {
		bsfs_log(s, BSFS_ERROR,
			 "%s may be mounted on only by root and by those who "
			 "may write to it",
			 s->opt->mountpoint);
		return -EACCES;
	}
	if (s->opt->allow_other && !may_share()) {
		bsfs_log(s, BSFS_ERROR,
			 "only root may give allow_other, unless there is a "
			 "line user_allow_other in /etc/fuse.conf");
		return -EPERM;
	}
	return 0;
}

/* Whether mounting is possible here at all; if not, say what helps. */
static int check_fuse(const struct bsfs_session *s)
{
	if (access("/dev/fuse", F_OK) != 0) {
		bsfs_log(s, BSFS_ERROR,
			 "there is no /dev/fuse: as root, run modprobe fuse; "
			 "a container needs --device /dev/fuse --cap-add "
			 "SYS_ADMIN");
		return -ENODEV;
	}
	if (access("/dev/fuse", R_OK | W_OK) != 0) {
		bsfs_log(s, BSFS_ERROR,
			 "/dev/fuse may not be opened: as root, run chmod 666 "
			 "/dev/fuse; a container needs --device /dev/fuse "
			 "--cap-add SYS_ADMIN");
		return -EACCES;
	}
	return geteuid() == 0 ? 0 : check_user(s);
}

/* 's' with its commas and backslashes escaped, as mount options want them; the
 * caller frees it. */
static char *escape(const char *s)
{
	char *ret = malloc(2 * strlen(s) + 1);
	char *to = ret;

	for (; ret && *s; s++) {
		if (*s == ',' || *s == '\\')
			*to++ = '\\';
		*to++ = *s;
	}
	if (ret)
		*to = 0;
	return ret;
}

/*
 * Without allow_other the modes are left to the store, which the daemon reads
 * as the only user there is.  With default_permissions the kernel compares
 * them itself, and now and then, while a directory's attributes are being
 * replaced (6.18), finds none and refuses: tests/fs/stress.sh as a user.
 */
static int add_options(const struct bsfs_session *s, struct fuse_args *args)
{
	const struct bsfs_options *opt = s->opt;
	char *name = escape(opt->fsname ? opt->fsname : opt->store);
	char *text = NULL;
	int n;

	if (!name)
		return -ENOMEM;
	n = asprintf(&text,
		     "-oro,nosuid,nodev%s%s,"
		     "subtype=bigsmall,max_read=%zu,fsname=%s",
		     opt->no_exec ? ",noexec" : "",
		     opt->allow_other ? ",default_permissions,allow_other"
		     : opt->default_permissions ? ",default_permissions"
						: "",
		     opt->max_read && opt->max_read < BSFS_READ_MAX
			     ? (size_t)opt->max_read
			     : BSFS_READ_MAX,
		     name);
	free(name);
	if (n < 0)
		return -ENOMEM;
	n = fuse_opt_add_arg(args, "bigsmall") || fuse_opt_add_arg(args, text);
	free(text);
	return n ? -ENOMEM : 0;
}

static int mount_session(struct bsfs_session *s)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int err = check_fuse(s);

	if (!err)
		err = add_options(s, &args);
	if (err)
		goto out;
	s->fuse = fuse_session_new(&args, &bsfs_ops, sizeof(bsfs_ops), s);
	if (!s->fuse) {
		bsfs_log(s, BSFS_ERROR, "libfuse refuses the mount options");
		err = -EINVAL;
	} else if (fuse_session_mount(s->fuse, s->opt->mountpoint) != 0) {
		bsfs_log(s, BSFS_ERROR,
			 "%s cannot be mounted on; in a container, start it "
			 "with --device /dev/fuse --cap-add SYS_ADMIN",
			 s->opt->mountpoint);
		fuse_session_destroy(s->fuse);
		s->fuse = NULL;
		err = -EIO;
	} else {
		err = bsfs_device_attach(s);
	}
out:
	fuse_opt_free_args(&args);
	return err;
}

static int loop(struct bsfs_session *s)
{
	struct fuse_loop_config *conf = fuse_loop_cfg_create();
	int err;

	if (!conf)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(conf, 0);
	fuse_loop_cfg_set_max_threads(conf, s->opt->n_threads);
	fuse_loop_cfg_set_idle_threads(conf, s->opt->n_threads);
	err = fuse_session_loop_mt(s->fuse, conf);
	fuse_loop_cfg_destroy(conf);
	/* Positive: ended by a signal. */
	return err < 0 ? err : 0;
}

/* ---- The whole ----------------------------------------------------------- */

static void block_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, ret, NULL);
	/* A reader that went away is an error of write. */
	signal(SIGPIPE, SIG_IGN);
}

/* Every open file of the mount may hold two descriptors. */
static void raise_file_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

static int make(struct bsfs_session *s)
{
	sigset_t signals;
	int err;

	mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
	pthread_mutex_init(&s->handles_lock, NULL);
	block_signals(&signals);
	raise_file_limit();
	s->stats = bsfs_stats_new();
	s->cache = bsfs_cache_new(s->opt->cache_len);
	s->vfiles = bsfs_vfiles_new();
	if (!s->stats || !s->cache || !s->vfiles)
		return -ENOMEM;
	err = bsfs_decoder_new(s);
	if (!err)
		err = bsfs_prefetch_new(s);
	if (!err)
		err = bsfs_resident_new(s);
	if (!err)
		err = bsfs_watch_new(s, &signals);
	if (!err)
		err = bsfs_inodes_new(s);
	return err;
}

static void unmake(struct bsfs_session *s)
{
	/* They speak to libfuse and the inodes. */
	bsfs_prefetch_stop(s);
	bsfs_watch_free(s);
	bsfs_handles_close(s);
	bsfs_resident_free(s);
	if (s->fuse)
		fuse_session_destroy(s->fuse);
	s->fuse = NULL;
	bsfs_prefetch_free(s);
	bsfs_inodes_free(s);
	bsfs_decoder_free(s);
	bsfs_vfiles_free(s);
	bsfs_cache_free(s->cache);
	bsfs_stats_free(s->stats);
	pthread_mutex_destroy(&s->handles_lock);
	close(s->store_fd);
}

int bsfs_run(const struct bsfs_options *opt)
{
	struct bsfs_session s = { .opt = opt };
	int err;

	s.store_fd = open(opt->store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s.store_fd < 0) {
		err = -errno;
		bsfs_log(&s, BSFS_ERROR, "%s cannot be opened: %s", opt->store,
			 strerror(-err));
		return err;
	}
	err = make(&s);
	if (err)
		bsfs_log(&s, BSFS_ERROR, "the mount cannot be prepared: %s",
			 strerror(-err));
	if (!err)
		err = mount_session(&s);
	if (!err) {
		bsfs_mount_at(opt->mountpoint, &s.dev);
		if (set_read_ahead(&s) < PUSH_BELOW_KB && !opt->no_push)
			err = bsfs_prefetch_push(&s);
		if (!err)
			err = bsfs_watch_start(&s);
		if (!err)
			err = loop(&s);
		bsfs_session_stopping(&s);
		bsfs_prefetch_stop(&s);
		/* It tells the kernel of changes by the descriptor that is closed
		 * next.  Where the kernel has not let go, that may wait for an
		 * answer which nobody gives: then closing comes first. */
		if (!err)
			bsfs_watch_stop(&s);
		fuse_session_unmount(s.fuse);
	}
	unmake(&s);
	return err;
}
