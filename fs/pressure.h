/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure.h - how much memory can still be had
 */

#ifndef BSFS_PRESSURE_H
#define BSFS_PRESSURE_H

#include <stdint.h>

/*
 * Bytes that this process can take before anything has to be swapped or
 * killed: of the machine, and of each control group (version 1 or 2) that it is
 * in.  'root' is "" but in tests.  What cannot be read does not limit.
 */
uint64_t bsfs_memory_available(const char *root);

#endif /* BSFS_PRESSURE_H */
