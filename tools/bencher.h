/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bencher.h - our encoding and decoding in memory, and copies, timed
 *
 * Seconds are the thread's processor time where there is one thread, since
 * others may want its core, and of several the time from the first one's begin
 * to the last one's end.
 */

#ifndef BST_BENCHER_H
#define BST_BENCHER_H

#include <stddef.h>
#include <stdint.h>

#include "specimen.h"

struct bst_bencher; /* threads' memory, and a file in all forms */

enum bst_bench_form {
	BST_BENCH_OURS, /* as compress makes it, and so on */
	BST_BENCH_INFERENCE, /* compress --inference */
	BST_BENCH_STORAGE,
	BST_BENCH_ZSTD, /* as opaque bytes: chunks by zstd */
	BST_BENCH_FORMS
};

enum bst_bench_what {
	BST_BENCH_COPY,
	BST_BENCH_ENCODE,
	BST_BENCH_ENCODE_SHA256, /* and the SHA-256 of the whole */
	BST_BENCH_DECODE,
};

/*
 * Make the first 'n_forms' of the specimen, which is borrowed, and memory for up
 * to 'n_threads'.  Prints a sentence where that fails; returns an exit code.
 */
int bst_bencher_new(struct bst_bencher **ret, const struct bst_specimen *spec,
		    unsigned n_threads, unsigned n_forms);
void bst_bencher_free(struct bst_bencher *b);

/* Of the whole container, and of what is encoded and decoded: bytes that repeat
 * others are not. */
uint64_t bst_bencher_stored(const struct bst_bencher *b,
			    enum bst_bench_form form);

/*
 * Do it once: *ret is GB/s, 10^9 raw bytes a second, or negative where there
 * are no bytes.  Prints a sentence where that fails; returns an exit code.
 */
int bst_bencher_run(struct bst_bencher *b, enum bst_bench_form form,
		    enum bst_bench_what what, unsigned n_threads, double *ret);

/* For qsort(): doubles, the least first. */
int bst_by_value(const void *a, const void *b);

#endif /* BST_BENCHER_H */
