#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""int4.py EXACT SHOWN GROUP LEAST [NAME=N]... - SHOWN is what docs/upstream.md says

EXACT is a safetensors file, SHOWN the model.safetensors of its 4-bit tensors: EXACT's
tensors of LEAST or more BF16 are there by 4-bit values, GROUP of which have one
scale; those that are named are packed, with a scale for each N values.  All is
made here from EXACT alone, by another quantiser and another packer than the
mount's.
"""
import array
import json
import math
import struct
import sys


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    n = int.from_bytes(data[:8], "little")
    head = json.loads(data[8:8 + n])
    meta = head.pop("__metadata__", None)
    return head, meta, data[8 + n:]


def to_float(word):
    return struct.unpack("<f", struct.pack("<I", word << 16))[0]


def to_f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def to_bf16(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    return bits + 0x7FFF + (bits >> 16 & 1) >> 16 & 0xFFFF


FLOATS = [to_float(w) for w in range(65536)]


def quantise(words, group):
    """(values, scales)"""
    values, scales = [], []
    for at in range(0, len(words), group):
        part = [FLOATS[w] for w in words[at:at + group]]
        top = max((abs(x) for x in part if math.isfinite(x)), default=0.0)
        scale = to_bf16(to_f32(top / 7))
        scales.append(scale)
        by = FLOATS[scale]
        for x in part:
            if by == 0 or not math.isfinite(x):
                values.append(0)
                continue
            values.append(max(-7, min(7, round(to_f32(x / by)))))
    return values, scales


def check(exact, shown, group, least, packed):
    head, _, data = read(exact)
    have, meta, raw = read(shown)
    assert meta["bigsmall"].startswith("LOSSY"), meta
    assert meta["format"] == "pt", meta
    want = {}
    for name, t in head.items():
        first, end = t["data_offsets"]
        own = data[first:end]
        n = math.prod(t["shape"])
        if t["dtype"] != "BF16" or n < least:
            want[name] = (t["dtype"], t["shape"], own)
            continue
        values, scales = quantise(array.array("H", own), group)
        if name not in packed:
            words = array.array("H", [
                to_bf16(v * FLOATS[scales[i // group]])
                for i, v in enumerate(values)])
            want[name] = ("BF16", t["shape"], words.tobytes())
            continue
        rows, cols = t["shape"]
        shown_group = packed[name]
        want[name + "_shape"] = ("I64", [2], struct.pack("<2q", rows, cols))
        # 8 values an int32, the first in its lowest bits; each plus 8
        words = array.array("I", [
            sum(values[i + k] + 8 << 4 * k for k in range(8))
            for i in range(0, n, 8)])
        want[name + "_packed"] = ("I32", [rows, cols // 8], words.tobytes())
        parts = array.array("H", [
            scales[i // group] for i in range(0, n, shown_group)])
        want[name + "_scale"] = ("BF16", [rows, cols // shown_group],
                                 parts.tobytes())
    assert set(have) == set(want), set(have) ^ set(want)
    sizes = {"I64": 8, "I32": 4, "BF16": 2}
    for name, (dtype, shape, own) in want.items():
        t = have[name]
        first, end = t["data_offsets"]
        assert (t["dtype"], t["shape"]) == (dtype, shape), (name, t)
        assert raw[first:end] == own, f"{name} differs"
        assert first % sizes[dtype] == 0, f"{name} is not aligned"
    assert max(t["data_offsets"][1] for t in have.values()) == len(raw)


def main():
    packed = {}
    for arg in sys.argv[5:]:
        name, group = arg.rsplit("=", 1)
        packed[name] = int(group)
    check(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), packed)


main()
