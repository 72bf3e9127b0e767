/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - the thread that hears of changes in the store, and of signals
 */

#ifndef BSFS_WATCH_H
#define BSFS_WATCH_H

#include "fs.h"

#include <signal.h>

/* Prepare to watch directories and to act on 'signals', which all threads have
 * blocked: 0 or -errno; s->watch is set. */
int bsfs_watch_new(struct bsfs_session *s, const sigset_t *signals);

/* Start the thread, once there is a mount: 0 or -errno. */
int bsfs_watch_start(struct bsfs_session *s);

/* End the thread, which may be done twice.  No s->watch is allowed. */
void bsfs_watch_stop(struct bsfs_session *s);
void bsfs_watch_free(struct bsfs_session *s);

/* Watch the directory at 'path' in the store: a descriptor, or -1 where that
 * cannot be. */
int bsfs_watch_add(struct bsfs_session *s, const char *path);
void bsfs_watch_remove(struct bsfs_session *s, int watch);

#endif /* BSFS_WATCH_H */
