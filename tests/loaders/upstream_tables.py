# SPDX-License-Identifier: Apache-2.0
"""upstream_tables.py - what constriction makes of 12,000 tables of counts

Prints the SHA-256 that tests/unit/test_quantise.c expects of our own
probabilities for the same tables, which both make from the same numbers.
"""
import hashlib
import struct

import constriction
import numpy as np

MASK = (1 << 64) - 1
ALPHABETS = (2, 5, 16, 64, 128, 256, 512, 1024)


class Numbers:
    """xorshift64*, as tests/test.h has it"""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        s = self.state
        s ^= s >> 12
        s = (s ^ s << 25) & MASK
        s ^= s >> 27
        self.state = s
        return s * 2685821657736338717 & MASK


def count(kind, same, r):
    if kind == 0:
        return r >> 33 & 1023
    if kind == 1:
        return r >> 36 >> (r & 31) if r >> 32 & 1 else 0
    if kind == 2:
        return same
    return 1 << (r >> 40 & 15) if r >> 32 & 7 == 0 else r >> 33 & 1


def main():
    digest = hashlib.sha256()
    for i in range(12000):
        numbers = Numbers(i + 1)
        head = numbers.next()
        n, kind, same = (ALPHABETS[head >> 8 & 7], head >> 16 & 3,
                         head >> 24 & 4095)
        counts = [count(kind, same, numbers.next()) for _ in range(n)]
        p = np.array(counts, np.float64) + 0.01
        p /= p.sum()
        model = constriction.stream.model.Categorical(p, perfect=True)
        for s in range(n):
            # A symbol pushed on nothing leaves what comes before it.
            coder = constriction.stream.stack.AnsCoder()
            coder.encode_reverse(np.array([s], np.int32), model)
            words = coder.get_compressed()
            digest.update(struct.pack("<I", int(words[0]) if len(words) else 0))
    print(digest.hexdigest())


main()
