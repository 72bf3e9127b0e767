/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels.c - which inner loops run on this CPU
 *
 * The only file that asks what the CPU can do.  In test builds $BIGSMALL_CPU
 * names the table to use; a name that this CPU cannot run is fatal, since a
 * run that silently tested something else is worse than none.
 */

#include "kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bigsmall.h"

static const struct bs_kernels scalar = {
	.name = "scalar",
	.rans_decode = bs_rans_decode_scalar,
	.plane_or = bs_plane_or_scalar,
};

const struct bs_kernels *bs_kernels_at(unsigned i)
{
	return i == 0 ? &scalar : NULL;
}

static const struct bs_kernels *choose(void)
{
#ifdef BIGSMALL_TEST_HOOKS
	const char *want = getenv("BIGSMALL_CPU");
	const struct bs_kernels *k;
	unsigned i;

	if (want && *want) {
		for (i = 0; (k = bs_kernels_at(i)); i++) {
			if (!strcmp(k->name, want))
				return k;
		}
		abort();
	}
#endif
	return bs_kernels_at(0);
}

const struct bs_kernels *bs_kernels(void)
{
	static _Atomic(const struct bs_kernels *) chosen;
	const struct bs_kernels *k = atomic_load(&chosen);

	/* Two threads may both choose; they choose the same table. */
	if (!k) {
		k = choose();
		atomic_store(&chosen, k);
	}
	return k;
}

const char *bs_kernels_name(void)
{
	return bs_kernels()->name;
}
