# SPDX-License-Identifier: Apache-2.0
"""samples.py - the values and containers that golden files begin with"""

import math
import os
import random
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from refenc import (PLANES, Blob, Container, Member, Model, Plane, Table,  # noqa: E402
                    count, scale)

K128 = 1 << 17


def rng(name):
    return random.Random("bigsmall " + name)


def floats(r, n, deviation=0.02):
    return [r.gauss(0, deviation) for _ in range(n)]


def bf16(values):
    return b"".join(struct.pack("<f", v)[2:] for v in values)


def f16(values):
    return struct.pack("<%de" % len(values), *values)


def f32(values):
    return struct.pack("<%df" % len(values), *values)


def geometric(r, n, p=0.6, top=255):
    return [min(top, int(math.log(1 - r.random()) / math.log(1 - p)))
            for _ in range(n)]


def elements(unit, raw):
    code = {1: "B", 2: "H", 4: "I", 8: "Q"}[unit]
    return struct.unpack("<%d%s" % (len(raw) // unit, code), raw)


def single(blobs, **kw):
    member = {k: kw.pop(k) for k in ("mode", "mtime", "alg") if k in kw}
    c = Container(**kw)
    c.add_file(blobs, **member)
    return c


BF16_EXPONENT = [(7, 8)]
BF16_REST = [(15, 1), (0, 7)]


def bf16_model(raw, base=90, bits=11, escape=0, coding="coded"):
    """The exponent in one table whose unseen symbols escape."""
    exponents = [e >> 7 & 255 for e in elements(2, raw)]
    counts = count([(e - base) % 256 for e in exponents])
    n = 64
    counts = counts[:n]
    counts[escape] = max(1, len(raw) // 2 // 100)
    t = Table(bits, scale(counts, bits))
    return Model(2, [
        Plane(coding, BF16_EXPONENT, [t], base=base, escape=escape,
              n_symbols=n),
        Plane("raw", BF16_REST)])


def bundle():
    r = rng("bundle")
    raw = bf16(floats(r, 700))
    c = Container(bundle=True, suffix=b"", mode=0o750, mtime=-7)
    tensor = c.add_blob(Blob(raw, [PLANES], bf16_model(raw, 80), dtype=1))
    text = c.add_blob(Blob(b'{"hidden": 1}\n'))

    def add(name, kind=1, extents=(), **kw):
        c.members.append(Member(name, kind, extents, **kw))

    add(b"a", 2, mode=0o755)
    add(b"a/b", 2, mode=0o700, mtime=5)
    add(b"a/b/w.safetensors", extents=[(tensor, 0, 1400)], mtime=-1)
    add(b"a/\xff\x01not utf8", extents=[(text, 0, 14)], alg=2)
    add(b"a-b", extents=[])
    add(b"a.b", 4, target=b"a/b/w.safetensors")
    add(b"config.json", extents=[(text, 0, 14)], mode=0o600, alg=0)
    add(b"empty", 2, mode=0o755)
    add(b"link", 3, target=b"a/.././empty//../up/\xc3\xa9", mode=0o777)
    add(b"n" * 255, extents=[(text, 3, 4), (tensor, 1, 2), (text, 0, 3)])
    add(b"up", 3, target=b"a/b", mode=0o777)
    return c


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)
