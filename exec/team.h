/* SPDX-License-Identifier: Apache-2.0 */
/*
 * team.h - threads that do one thing together, then the next
 */

#ifndef BSX_TEAM_H
#define BSX_TEAM_H

#include "fault.h"

struct bsx_team;

/* 'n_threads' with the caller's own, which is the one that runs things. */
enum bsx_result bsx_team_new(struct bsx_team **ret, unsigned n_threads,
			     struct bsx_error *err);
void bsx_team_free(struct bsx_team *t);
unsigned bsx_team_size(const struct bsx_team *t);

/* Call 'run' for each item below 'n', on whatever thread is free; 'who' is the
 * thread's number.  Returns when all are done. */
void bsx_team_run(struct bsx_team *t, size_t n,
		  void (*run)(void *ctx, size_t item, unsigned who), void *ctx);

#endif /* BSX_TEAM_H */
