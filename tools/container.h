/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - a container, opened by its path
 */

#ifndef BST_CONTAINER_H
#define BST_CONTAINER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "bigsmall.h"
#include "safetensors.h"

struct bst_container {
	const char *path; /* borrowed */
	int fd;
	struct stat st;
	struct bs_source source;
	struct bs_archive *ar; /* owned */
	int is_bundle;
	struct bs_member member; /* the one file it holds; of a bundle, the one
				  * entered last */
	struct bs_st *names; /* of that; owned; NULL: no safetensors, or not
			      * read */
	struct bst_reader *reader; /* owned */
};

/*
 * Open 'path' and print a sentence where that fails; returns an exit code.
 * The container is not moved afterwards: its source points into it.
 */
int bst_container_open(struct bst_container *c, const char *path);

/* The same through a descriptor, which stays the caller's; 'path' is for
 * sentences. */
int bst_container_open_fd(struct bst_container *c, const char *path, int fd);
void bst_container_close(struct bst_container *c);

/* Make member 'i' of a bundle the one that the functions below are about. */
void bst_container_enter(struct bst_container *c, uint64_t i);

/* What 'path' begins like: BS_OK a container, BS_ERR_MAGIC something else;
 * 'ret' may be NULL. */
enum bs_result bst_container_peek(int fd, const struct stat *st,
				  struct bs_summary *ret, struct bs_error *err);

/* Print a sentence where 'fd' is a container already (or upstream's), or where
 * that cannot be told; returns an exit code. */
int bst_refuse_container(const char *path, int fd, const struct stat *st);

/* Whether the superblock at the end can stand in for the first. */
enum bs_result bst_container_check_copy(const struct bst_container *c);

/*
 * Decode 'len' bytes at 'off' of the member on the calling thread.  The chunk
 * decoded last is kept for the next call.
 */
enum bs_result bst_container_read(struct bst_container *c, uint64_t off,
				  size_t len, void *dst, struct bs_error *err);

/*
 * Read the member's header, if it is a safetensors file, into c->names.
 * BS_ERR_SYNTAX: it is none; any other failure: it cannot be read.
 */
enum bs_result bst_container_load_names(struct bst_container *c,
					struct bs_error *err);

/* The first tensor (in order) that ends after 'off', or their number. */
size_t bst_tensor_after(const struct bs_st *st, uint64_t off);

/*
 * What stands in [off, off + len) of the member, for people: 'tensor "x" and 3
 * more'; 'buf' is returned.
 */
#define BST_WHERE_LEN 320
const char *bst_container_where(const struct bst_container *c, uint64_t off,
				uint64_t len, char *buf);

/* "the file", or of a bundle which of its files, as above. */
const char *bst_container_file(const struct bst_container *c, char *buf);

/* "planes" */
const char *bst_coding_name(unsigned coding);

#endif /* BST_CONTAINER_H */
