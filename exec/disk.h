/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h - files of a model's directory
 */

#ifndef BSX_DISK_H
#define BSX_DISK_H

#include "fault.h"

/* Open a regular file for reading, and its size.  BSX_ERR_MODEL: there is no
 * such file. */
enum bsx_result bsx_file_open(const struct bsx_folder *folder, const char *name,
			      int *ret_fd, uint64_t *ret_size,
			      struct bsx_error *err);

/* Read all of 'len' bytes at 'off'; 'name' is for the sentence. */
enum bsx_result bsx_file_read(int fd, const char *name, void *buf, size_t len,
			      uint64_t off, struct bsx_error *err);

/* A whole file of at most 'max' bytes with a NUL behind it; *ret is the
 * caller's to free. */
enum bsx_result bsx_file_load(const struct bsx_folder *folder, const char *name,
			      size_t max, char **ret, size_t *ret_len,
			      struct bsx_error *err);

/* Whether there is anything of that name. */
bool bsx_file_exists(const struct bsx_folder *folder, const char *name);

#endif /* BSX_DISK_H */
