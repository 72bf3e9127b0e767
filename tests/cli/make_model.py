#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a safetensors file of likely weights.

usage: make_model.py FILE KIB [SEED [BF16|F16|F32]]

Five tensors, embed, layer.0 to layer.2 and norm, of KIB KiB together.  The
same bytes for the same arguments.
"""

import json
import random
import struct
import sys


# Bytes of a number; the mean, spread, least and most of its upper seven bits
# after the sign: the most of its exponent, about 2^-6.
DTYPES = {
    "BF16": (2, 60, 0.7, 50, 62),
    "F16": (2, 37, 4, 4, 58),
    "F32": (4, 60, 0.7, 50, 62),
}


def weights(rng, n, dtype):
    """n numbers with exponents as a model has them."""
    width, mean, spread, least, most = DTYPES[dtype]
    table = bytes((rng.getrandbits(1) << 7) | min(max(int(
        rng.gauss(mean, spread)), least), most) for _ in range(256))
    out = bytearray(width * n)
    for i in range(width - 1):
        out[i::width] = rng.randbytes(n)
    out[width - 1::width] = rng.randbytes(n).translate(table)
    return bytes(out)


def main():
    path, kib = sys.argv[1], int(sys.argv[2])
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    dtype = sys.argv[4] if len(sys.argv) > 4 else "BF16"
    width = DTYPES[dtype][0]
    n = kib * 1024 // width // 8
    head, data = {"__metadata__": {"format": "pt"}}, []
    end = 0
    for name, count in (("embed", 3 * n), ("layer.0", n), ("layer.1", n),
                        ("layer.2", 2 * n), ("norm", n)):
        data.append(weights(rng, count, dtype))
        head[name] = {"dtype": dtype, "shape": [count],
                      "data_offsets": [end, end + width * count]}
        end += width * count
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.writelines(data)


main()
