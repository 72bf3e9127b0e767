/* SPDX-License-Identifier: Apache-2.0 */
/*
 * specimen.h - the bytes that a benchmark is made with
 */

#ifndef BST_SPECIMEN_H
#define BST_SPECIMEN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Larger files are sampled: what encoders and decoders hold of it at once is
 * some four times as much. */
#define BST_SPECIMEN_MAX ((uint64_t)256000000)

struct bst_specimen {
	int fd; /* owned; of a file without a name, in memory */
	struct stat st; /* of that */
	const uint8_t *raw; /* [len], and 8 that can be read; owned */
	size_t len;
	uint64_t whole_len; /* of the file */
	int is_safetensors;
	size_t n_tensors;
};

/*
 * Read 'path': a file, or what a container holds, of a bundle the largest file.
 * Prints a sentence where that fails; returns an exit code.
 */
int bst_specimen_open(struct bst_specimen *s, const char *path);

/* Also of one whose opening failed. */
void bst_specimen_close(struct bst_specimen *s);

#endif /* BST_SPECIMEN_H */
