#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a safetensors file of likely BF16 weights.

usage: make_model.py FILE KIB [SEED]

Five tensors, embed, layer.0 to layer.2 and norm, of KIB KiB together.  The
same bytes for the same arguments.
"""

import json
import random
import struct
import sys


def weights(rng, n):
    """n bf16 numbers with exponents as a model has them."""
    # the upper byte: the sign and seven bits of an exponent about 2^-6
    table = bytes((rng.getrandbits(1) << 7) | min(max(int(
        rng.gauss(60, 0.7)), 50), 62) for _ in range(256))
    out = bytearray(2 * n)
    out[0::2] = rng.randbytes(n)
    out[1::2] = rng.randbytes(n).translate(table)
    return bytes(out)


def main():
    path, kib = sys.argv[1], int(sys.argv[2])
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    n = kib * 512 // 8
    head, data = {"__metadata__": {"format": "pt"}}, []
    end = 0
    for name, count in (("embed", 3 * n), ("layer.0", n), ("layer.1", n),
                        ("layer.2", 2 * n), ("norm", n)):
        data.append(weights(rng, count))
        head[name] = {"dtype": "BF16", "shape": [count],
                      "data_offsets": [end, end + 2 * count]}
        end += 2 * count
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.writelines(data)


main()
