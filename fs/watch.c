/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - the thread that hears of changes in the store, and of signals
 *
 * inotify is a hint: it makes changes visible at once that the kernel would
 * find by itself when the time is up that it may trust a name.  Directories
 * are watched by /proc/self/fd, since their own path may lead into the mount.
 * File systems that do not report what others change (NFS and its like) are
 * not watched.
 *
 * No reply waits for this thread, so it may tell the kernel to forget.
 */

#include "watch.h"

#include "inode.h"
#include "resident.h"
#include "stats.h"
#include "store.h"
#include "tree.h"
#include "vfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MASK                                                               \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | \
	 IN_CLOSE_WRITE | IN_ONLYDIR | IN_EXCL_UNLINK)

/* How long a removed container may keep its place on the disk where nothing
 * reports that it was removed. */
#define TIDY_MS 10000

struct bsfs_watch {
	struct bsfs_session *s; /* borrowed */
	pthread_t thread;
	int is_started;
	int signal_fd;
	int stop_fd;
	int inotify_fd; /* -1: changes are not reported */
	uint64_t n_uses; /* of the mount, when that was looked at last */
	time_t idle_since; /* monotonic */
};

/* File systems that others may change without our kernel's knowing. */
static int is_remote(int fd)
{
	static const uint32_t remote[] = {
		0x00006969, /* NFS */
		0xff534d42, /* CIFS */
		0xfe534d42, /* SMB2 */
		0x0000517b, /* SMB */
		0x65735546, /* FUSE */
		0x01021997, /* 9P */
		0x00c36400, /* Ceph */
		0x0bd00bd0, /* Lustre */
		0x47504653, /* GPFS */
		0x5346414f, /* AFS */
		0x01161970, /* GFS2 */
		0x7461636f, /* OCFS2 */
	};
	struct statfs fs;
	size_t i;

	if (fstatfs(fd, &fs) != 0)
		return 1;
	for (i = 0; i < sizeof(remote) / sizeof(remote[0]); i++) {
		if ((uint32_t)fs.f_type == remote[i])
			return 1;
	}
	return 0;
}

/* ---- The thread ---------------------------------------------------------- */

static void on_signal(struct bsfs_watch *w)
{
	struct signalfd_siginfo info;
	size_t len = 0;
	char *text;

	if (read(w->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGUSR1) {
		bsfs_session_stopping(w->s);
		bsfs_session_detach(w->s, 0);
		return;
	}
	text = bsfs_stats_text(w->s, &len);
	if (text)
		bsfs_log(w->s, BSFS_INFO, "%s", text);
	free(text);
	bsfs_survey(w->s);
	text = bsfs_problems_text(w->s->stats, &len);
	if (text && len)
		bsfs_log(w->s, BSFS_INFO, "%s", text);
	free(text);
}

static time_t now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void on_events(struct bsfs_watch *w)
{
	/* One event has at most a name of NAME_MAX. */
	char buf[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(w->inotify_fd, buf, sizeof(buf));
	ssize_t at = 0;

	while (at < n) {
		const struct inotify_event *e =
			(const struct inotify_event *)(const void *)(buf + at);

		at += (ssize_t)(sizeof(*e) + e->len);
		if (e->mask & IN_Q_OVERFLOW)
			bsfs_inode_changed_all(w->s);
		else if (e->mask & IN_IGNORED)
			bsfs_inode_unwatched(w->s, e->wd);
		else if (e->len && e->mask & IN_ATTRIB && e->mask & IN_ISDIR)
			/* Its own watch reports it; forgetting its name would
			 * unmount what is mounted on it. */
			continue;
		else
			bsfs_inode_changed(w->s, e->wd,
					   e->len ? e->name : NULL);
	}
}

/* Whether the mount has been idle for as long as it may; looked at every eighth
 * of that time. */
static void look_for_use(struct bsfs_watch *w)
{
	uint64_t n_uses = __atomic_load_n(&w->s->n_uses, __ATOMIC_RELAXED);
	time_t now = now_seconds();

	if (n_uses != w->n_uses ||
	    bsfs_count(w->s->stats, BSFS_N_OPEN_FILES, 0)) {
		w->n_uses = n_uses;
		w->idle_since = now;
	} else if (now - w->idle_since >= (time_t)w->s->opt->idle_timeout) {
		bsfs_session_detach(w->s, 1);
		w->idle_since = now;
	}
}

/* For how many milliseconds to wait for an event. */
static int wait_ms(const struct bsfs_watch *w)
{
	unsigned timeout = w->s->opt->idle_timeout;

	if (!timeout || timeout >= TIDY_MS / 1000 * 8)
		return TIDY_MS;
	return (int)timeout * 1000 / 8;
}

static void *watch_all(void *arg)
{
	struct bsfs_watch *w = arg;
	struct pollfd fds[] = {
		{ .fd = w->stop_fd, .events = POLLIN },
		{ .fd = w->signal_fd, .events = POLLIN },
		{ .fd = w->inotify_fd, .events = POLLIN },
	};

	w->idle_since = now_seconds();
	for (;;) {
		int n = poll(fds, 3, wait_ms(w));

		if (n < 0 && errno != EINTR)
			return NULL;
		if (n == 0) {
			bsfs_vfiles_tidy(w->s);
			bsfs_resident_tidy(w->s);
		}
		if (w->s->opt->idle_timeout)
			look_for_use(w);
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents)
			on_signal(w);
		if (fds[2].revents)
			on_events(w);
	}
}

int bsfs_watch_new(struct bsfs_session *s, const sigset_t *signals)
{
	struct bsfs_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	s->watch = w;
	w->s = s;
	w->inotify_fd = -1;
	w->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (w->signal_fd < 0 || w->stop_fd < 0)
		return -errno;
	w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return 0;
}

int bsfs_watch_start(struct bsfs_session *s)
{
	int err = pthread_create(&s->watch->thread, NULL, watch_all, s->watch);

	s->watch->is_started = err == 0;
	return -err;
}

void bsfs_watch_stop(struct bsfs_session *s)
{
	struct bsfs_watch *w = s->watch;
	uint64_t one = 1;

	if (!w || !w->is_started)
		return;
	/* An eventfd takes a 1 unless it is full, and it is empty. */
	if (write(w->stop_fd, &one, sizeof(one)) < 0)
		pthread_cancel(w->thread);
	pthread_join(w->thread, NULL);
	w->is_started = 0;
}

void bsfs_watch_free(struct bsfs_session *s)
{
	struct bsfs_watch *w = s->watch;

	if (!w)
		return;
	bsfs_watch_stop(s);
	if (w->signal_fd >= 0)
		close(w->signal_fd);
	if (w->stop_fd >= 0)
		close(w->stop_fd);
	if (w->inotify_fd >= 0)
		close(w->inotify_fd);
	free(w);
	s->watch = NULL;
}

int bsfs_watch_add(struct bsfs_session *s, const char *path)
{
	char proc[64];
	int fd, watch = -1;

	if (s->watch->inotify_fd < 0)
		return -1;
	fd = bsfs_store_open(s, path, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return -1;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (!is_remote(fd))
		watch = inotify_add_watch(s->watch->inotify_fd, proc, MASK);
	close(fd);
	return watch;
}

void bsfs_watch_remove(struct bsfs_session *s, int watch)
{
	/* The mount may have ended, and with it the watcher. */
	if (s->watch)
		inotify_rm_watch(s->watch->inotify_fd, watch);
}
