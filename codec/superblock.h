/* SPDX-License-Identifier: Apache-2.0 */
/*
 * superblock.h - the 512 bytes at both ends of a container, in memory
 */

#ifndef BS_SUPERBLOCK_H
#define BS_SUPERBLOCK_H

#include "bigsmall.h"
#include "format.h"

struct bs_section {
	uint16_t type;
	uint16_t flags;
	uint64_t off;
	uint64_t len;
	uint64_t sum;
};

struct bs_superblock {
	struct bs_summary summary;
	unsigned page_records_log2;
	uint64_t n_blobs;
	uint64_t n_chunks;
	uint64_t n_extents;
	uint64_t n_pool_pages;
	unsigned n_sections;
	struct bs_section sections[SB_SECTIONS_MAX];
	int is_copy; /* the first one was damaged, this is the one at the end */
};

/* Read and check the superblock of 'src': the first, or the copy.  BS_ERR_MAGIC
 * with ret->summary.is_upstream: a file of BigSmall (Python). */
enum bs_result bs_superblock_read(const struct bs_source *src,
				  struct bs_superblock *ret,
				  struct bs_error *err);

/* Write 512 bytes, checksum included. */
void bs_superblock_write(const struct bs_superblock *sb, uint8_t *dst);

#endif /* BS_SUPERBLOCK_H */
