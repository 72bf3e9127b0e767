/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expand.h - which lanes of eight take which of the next words, as the bytes of
 * a table look-up: for CPUs that shuffle bytes and cannot expand a vector
 */

#ifndef BS_EXPAND_H
#define BS_EXPAND_H

#include <stdint.h>

/* For the lanes set in m: both bytes of word 0 for the first, of word 1 for the
 * second, ...; those of some word below 8 for the others. */
#define RANK(m, lane) __builtin_popcount((m) & ((1u << (lane)) - 1))
#define BYTES(m, lane) (0x0202 * RANK(m, lane) + 0x0100)
#define ROW(m)                                                             \
	{                                                                  \
		BYTES(m, 0), BYTES(m, 1), BYTES(m, 2), BYTES(m, 3),        \
			BYTES(m, 4), BYTES(m, 5), BYTES(m, 6), BYTES(m, 7) \
	}
#define ROWS4(m) ROW(m), ROW((m) + 1), ROW((m) + 2), ROW((m) + 3)
#define ROWS16(m) ROWS4(m), ROWS4((m) + 4), ROWS4((m) + 8), ROWS4((m) + 12)
#define ROWS64(m) \
	ROWS16(m), ROWS16((m) + 16), ROWS16((m) + 32), ROWS16((m) + 48)

static const uint16_t expand[256][8]
	__attribute__((aligned(16))) = { ROWS64(0u), ROWS64(64u), ROWS64(128u),
					 ROWS64(192u) };

#endif /* BS_EXPAND_H */
