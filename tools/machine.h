/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - the machine that this runs on, from what the kernel says
 */

#ifndef BST_MACHINE_H
#define BST_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "exec.h"

struct bst_machine {
	char cpu[96]; /* its model */
	unsigned n_cpus; /* that this process may run on */
	uint64_t memory; /* bytes */
	uint64_t limit; /* of them, what this process's groups may have */
	uint64_t available; /* of those, what can be had now */
	unsigned n_gpus; /* of NVIDIA's */
	char gpu[96]; /* the first one's model; "": none */
	char driver[64]; /* its version */
};

/* 'root' is "" but in tests.  A GPU is read about, never touched. */
void bst_machine_look(struct bst_machine *m, const char *root);

/* What makes two machines two, as far as a profile goes: the processor, how many
 * of it, memory, and the kernels chosen. */
void bst_machine_id(const struct bst_machine *m, char *buf, size_t len);

/* What makes two file systems two; -errno where that cannot be asked. */
int bst_disk_id(int fd, char *buf, size_t len);

/*
 * Measure how fast a file is read from its disk, past the kernel's cache where
 * that is possible: 0, -ENODATA if there is too little to tell by, or another
 * -errno.
 */
int bst_disk_measure(int fd, struct bsx_disk *ret);

/* The same with a file that has no name, on the file system of a directory. */
int bst_disk_measure_dir(const char *dir, struct bsx_disk *ret);

#endif /* BST_MACHINE_H */
