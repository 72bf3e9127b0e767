/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nn_kernels.c - which of the engine's kernels run on this CPU
 *
 * In test builds $BIGSMALL_CPU names the table, as for the codec; a name that
 * this CPU cannot run is fatal.
 */

#include "nn.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "exec.h"

static bool always(void)
{
	return true;
}

#ifdef __x86_64__

#include <cpuid.h>

/* The builtins ask the operating system too: whether it saves the registers. */
static bool has_avx2(void)
{
	unsigned a, b, c = 0, d;

	__builtin_cpu_init();
	/* F16C uses no other registers than AVX; not all compilers know it. */
	return __builtin_cpu_supports("avx2") &&
	       __builtin_cpu_supports("fma") &&
	       __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool has_avx512(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vl");
}

#endif

/* Best first. */
static const struct {
	bool (*runs_here)(void);
	const struct bsx_kernels *k;
} tables[] = {
#ifdef __x86_64__
	{ has_avx512, &bsx_kernels_avx512 },
	{ has_avx2, &bsx_kernels_avx2 },
#endif
#ifdef __aarch64__
	{ always, &bsx_kernels_neon },
#endif
	{ always, &bsx_kernels_scalar },
};

const struct bsx_kernels *bsx_kernels_at(unsigned i)
{
	unsigned t;

	for (t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		if (tables[t].runs_here() && i-- == 0)
			return tables[t].k;
	}
	return NULL;
}

static const struct bsx_kernels *choose(void)
{
#ifdef BIGSMALL_TEST_HOOKS
	const char *want = getenv("BIGSMALL_CPU");
	const struct bsx_kernels *k;
	unsigned i;

	if (want && *want) {
		for (i = 0; (k = bsx_kernels_at(i)); i++) {
			if (!strcmp(k->name, want))
				return k;
		}
		abort();
	}
#endif
	return bsx_kernels_at(0);
}

const struct bsx_kernels *bsx_kernels(void)
{
	static _Atomic(const struct bsx_kernels *) chosen;
	const struct bsx_kernels *k = atomic_load(&chosen);

	/* Two threads may both choose; they choose the same table. */
	if (!k) {
		k = choose();
		atomic_store(&chosen, k);
	}
	return k;
}

const char *bsx_kernels_name(void)
{
	return bsx_kernels()->name;
}
