/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int4_dir.h - the directory that a .bsd's 4-bit tensors show as, beside its file
 */

#ifndef BSFS_INT4_DIR_H
#define BSFS_INT4_DIR_H

#include "bigsmall.h"
#include "fs.h"

#define BSFS_CONFIG_NAME "config.json"

/* The config.json beside the .bsd at 'path', as it is now, unless the .bsd has but
 * a part of the model. */
struct bsfs_config bsfs_int4_config(const struct bsfs_session *s,
				    const char *path);

/*
 * What the directory is opened with; 'ret->config' is the caller's to free.  0, or
 * -ESTALE where config.json is another than 'identity' says, or -ENOMEM.  One that
 * cannot be used is a problem, and left out.
 */
int bsfs_int4_dir(struct bsfs_session *s, const char *path,
		  const struct bsfs_identity *identity,
		  struct bs_int4_dir *ret);

#endif /* BSFS_INT4_DIR_H */
