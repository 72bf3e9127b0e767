#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write every odd file that the tools and the mount must bring back whole.

usage: make_odd.py DIR

The files go to DIR/good (well-formed safetensors), DIR/opaque (named so, but
kept as bytes, their tensors unknown) and DIR/plain (files of other names).
The same bytes every time.
"""

import json
import os
import random
import struct
import sys

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16,
    "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64,
    "I64": 64, "U64": 64,
}
# (exponent bits, mantissa bits) of the floats
FLOATS = {
    "BF16": (8, 7), "F16": (5, 10), "F32": (8, 23), "F64": (11, 52),
    "F8_E4M3": (4, 3), "F8_E5M2": (5, 2), "F6_E2M3": (2, 3),
    "F6_E3M2": (3, 2), "F4": (2, 1),
}
CHUNK = 1 << 17


def header(text):
    if isinstance(text, dict):
        text = json.dumps(text, ensure_ascii=False, separators=(",", ":"))
    if isinstance(text, str):
        text = text.encode()
    return struct.pack("<Q", len(text)) + text


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def pack(tensors, **extra):
    """A file of [(name, dtype, shape, bytes)], one after another."""
    head, data = dict(extra), b""
    for name, dtype, shape, raw in tensors:
        head[name] = tensor(dtype, shape, len(data), len(data) + len(raw))
        data += raw
    return header(head) + data


def elements(dtype, values):
    """Integers as elements of 'dtype', packed to its bits."""
    bits = BITS[dtype]
    if bits == 4:
        values = [a | b << 4 for a, b in zip(values[::2], values[1::2])]
    elif bits == 6:
        whole = b""
        for i in range(0, len(values), 4):
            a, b, c, d = values[i:i + 4]
            whole += (a | b << 6 | c << 12 | d << 18).to_bytes(3, "little")
        return whole
    size = max(bits // 8, 1)
    return b"".join(v.to_bytes(size, "little") for v in values)


def to_float(dtype, value):
    """The bits of 'value' (of moderate size) in a float dtype, truncated."""
    if dtype == "F64":
        return struct.unpack("<Q", struct.pack("<d", value))[0]
    exp_bits, man_bits = FLOATS[dtype]
    wide = struct.unpack("<I", struct.pack("<f", value))[0]
    exponent = (wide >> 23 & 255) - 127 + (1 << (exp_bits - 1)) - 1
    exponent = min(max(exponent, 0), (1 << exp_bits) - 2)
    mantissa = wide >> (23 - man_bits) & ((1 << man_bits) - 1)
    return ((wide >> 31) << exp_bits | exponent) << man_bits | mantissa


def likely(rng, dtype, n):
    """n elements of 'dtype' such as a model has them."""
    scale = 1.0 if dtype.startswith(("F4", "F6")) else 0.02
    if dtype in FLOATS:
        return elements(dtype, [to_float(dtype, rng.gauss(0, scale))
                                for _ in range(n)])
    if dtype == "C64":
        return likely(rng, "F32", 2 * n)
    if dtype == "F8_E8M0":
        return bytes(int(rng.gauss(120, 2)) & 255 for _ in range(n))
    if dtype == "BOOL":
        return bytes(int(rng.random() < 0.1) for _ in range(n))
    mask = (1 << BITS[dtype]) - 1
    return elements(dtype, [int(rng.gauss(0, 20)) & mask for _ in range(n)])


def special(rng, dtype, n):
    """{kind: bytes} of n elements of a float dtype."""
    exp_bits, man_bits = FLOATS[dtype]
    sign = 1 << (exp_bits + man_bits)
    man = (1 << man_bits) - 1
    inf = ((1 << exp_bits) - 1) << man_bits
    one = ((1 << (exp_bits - 1)) - 1) << man_bits
    nan = inf | (1 << (man_bits - 1))
    if dtype == "F8_E4M3":
        inf, nan = inf | man - 1, inf | man  # its largest number; its only NaN
    both = (0, sign)

    def some(make):
        return elements(dtype, [make() for _ in range(n)])

    return {
        "nan": elements(dtype, [nan] * n),
        "nan_payloads": some(lambda: rng.choice(both) | inf |
                             max(rng.getrandbits(man_bits), 1)),
        "equal": elements(dtype, [one + 3] * n),
        "zero": elements(dtype, [0] * n),
        "both_zeros": some(lambda: rng.choice(both)),
        "denormal": some(lambda: rng.choice(both) | rng.getrandbits(man_bits)),
        "infinite": some(lambda: rng.choice(both) | inf),
        "sparse": some(lambda: 0 if rng.random() < 0.95 else
                       to_float(dtype, rng.gauss(0, 0.1))),
        "rare_huge": some(lambda: to_float(dtype, rng.gauss(0, 0.02))
                          if rng.random() < 0.999 else inf - 1),
    }


def good_small(rng):
    raw = rng.randbytes(64)
    a = tensor("U8", [64], 0, 64)
    yield "empty_list", header("{}")
    yield "empty_list_metadata", header({"__metadata__": {"format": "pt"}})
    yield "empty_list_trailing", header("{}") + raw
    yield "padded_empty", header("{}" + " " * 1000)
    yield "zero_size", pack([("none", "F32", [0], b""),
                             ("also_none", "BF16", [3, 0, 5], b"")])
    yield "zero_size_among_others", pack([
        ("a", "U8", [64], raw), ("z", "F16", [0], b""), ("b", "U8", [64], raw)])
    yield "one_byte", pack([("b", "U8", [1], b"\x2a")])
    yield "zero_d", pack([(d, d, [], bytes(range(BITS[d] // 8)))
                          for d in BITS if BITS[d] >= 8])
    yield "metadata", pack([("a", "U8", [64], raw)], __metadata__={
        "format": "pt", "": "", "größe": "ü\n\"\\", "long": "x" * 20000})
    yield "odd_key_order", header(
        '{ "b" :\n{"data_offsets":[64,128] ,"shape":[ 64 ],"dtype":"U8"},\t'
        '"__metadata__":{"k":"v"},"a":{"shape":[64],"dtype":"U8",'
        '"data_offsets":[0,64]}}') + raw + raw[::-1]
    yield "padded", header(json.dumps({"a": a}) + " " * 4099) + raw
    yield "names_non_ascii", pack([
        ("größe", "U8", [64], raw), ("模型.层.0", "U8", [64], raw[::-1]),
        ("🌳", "U8", [1], b"x"), ("", "U8", [1], b"y")])
    yield "names_escaped", header(
        '{"\\u6a21\\ud83c\\udf33\\n\\"\\\\\\u001b[31m":' + json.dumps(a) +
        "}") + raw
    yield "names_10kb", pack([("x" * 10000, "U8", [64], raw),
                              ("模" * 3333 + "y", "U8", [64], raw[::-1])])
    yield "unknown_dtype", pack([
        ("q", "INT3", [7], raw[:3]), ("r", "F8_E4M3FNUZ", [61], raw[3:]),
        ("known", "BF16", [4000], likely(rng, "BF16", 4000))])
    yield "name with space", pack([("a", "U8", [64], raw)])
    yield "größe 模型", pack([("a", "U8", [64], raw)])


def good_layout(rng):
    part = [likely(rng, "BF16", n) for n in (70000, 3, 100001)]
    a, b, c = (len(p) for p in part)
    gap = rng.randbytes(5001)
    yield "out_of_order", header({
        "c": tensor("BF16", [c // 2], a + b, a + b + c),
        "b": tensor("BF16", [b // 2], a, a + b),
        "a": tensor("BF16", [a // 2], 0, a)}) + b"".join(part)
    yield "gaps", header({
        "a": tensor("BF16", [a // 2], 3, 3 + a),
        "c": tensor("BF16", [c // 2], 5004 + a, 5004 + a + c)}) + \
        b"gap" + part[0] + gap + part[2]
    yield "trailing", pack([("a", "BF16", [a // 2], part[0])]) + \
        rng.randbytes(2 * CHUNK + 1)
    yield "tied", pack([("embed", "BF16", [c // 2], part[2]),
                        ("middle", "BF16", [a // 2], part[0]),
                        ("lm_head", "BF16", [c // 2], part[2])])
    yield "sizes_near_a_chunk", pack([
        ("%s.%d" % (dtype, n), dtype, [n * 8 // BITS[dtype]],
         likely(rng, dtype, n * 8 // BITS[dtype]))
        for dtype in ("U8", "BF16", "F64")
        for n in (CHUNK - 8, CHUNK, CHUNK + 8, 3 * CHUNK - 8)])
    yield "ten_thousand", pack([
        ("layer.%d.weight" % i, "BF16", [i % 33],
         elements("BF16", [rng.getrandbits(7) | 0x3c00] * (i % 33)))
        for i in range(10000)])


def good_weights(rng):
    n = 24000
    yield "every_dtype_random", pack([
        (d, d, [n], rng.randbytes(n * BITS[d] // 8)) for d in BITS])
    yield "every_dtype_likely", pack([
        (d, d, [n // 200, 200], likely(rng, d, n)) for d in BITS])
    yield "every_dtype_zero", pack([
        (d, d, [n], bytes(n * BITS[d] // 8)) for d in BITS])
    for dtype in ("BF16", "F16", "F32", "F64", "F8_E4M3", "F8_E5M2"):
        yield "special_" + dtype, pack([
            (kind, dtype, [n], raw)
            for kind, raw in special(rng, dtype, n).items()])
    halves = [struct.unpack("<f", struct.pack("<HH", 0, v))[0]
              for v in struct.unpack("<%dH" % n, likely(rng, "BF16", n))]
    narrow = struct.unpack("<%de" % n, likely(rng, "F16", n))
    yield "narrow_in_wide", pack([
        ("bf16_in_f32", "F32", [n], struct.pack("<%df" % n, *halves)),
        ("f16_in_f32", "F32", [n], struct.pack("<%df" % n, *narrow)),
        ("f32_in_f64", "F64", [n], struct.pack("<%dd" % n, *halves))])


def refused(rng):
    raw = rng.randbytes(64)
    a = json.dumps(tensor("U8", [64], 0, 64))

    def entry(**change):
        return header({"a": {**tensor("U8", [64], 0, 64), **change}}) + raw

    yield "empty", b""
    yield "bytes_1", b"\x01"
    yield "bytes_7", raw[:7]
    yield "bytes_8_zero", bytes(8)
    yield "bytes_8", raw[:8]
    yield "bytes_9", bytes(9)
    yield "garbage", rng.randbytes(300000)
    yield "text", b"This is no safetensors file.\n" * 999
    yield "header_longer_than_file", struct.pack("<Q", 1000) + b"{}"
    yield "header_length_huge", struct.pack("<Q", 1 << 63) + b"{}" + raw
    yield "header_length_minus_1", struct.pack("<Q", 2 ** 64 - 1) + b"{}"
    yield "header_truncated", header('{"a":%s}' % a)[:40]
    yield "json_truncated", header('{"a":%s' % a) + raw
    yield "json_array", header("[]") + raw
    yield "json_then_more", header('{"a":%s}{}' % a) + raw
    yield "json_bom", header("\ufeff{}") + raw
    yield "json_deep", header('{"a":' + "[" * 100000 + "]" * 100000 + "}")
    yield "not_utf8", header(b'{"\xff":' + a.encode() + b"}") + raw
    yield "nul_in_name", header('{"a\\u0000b":%s}' % a) + raw
    yield "duplicate_key", header('{"a":%s,"a":%s}' % (a, a)) + raw
    yield "duplicate_metadata", header(
        '{"__metadata__":{},"a":%s,"__metadata__":{}}' % a) + raw
    yield "metadata_not_text", header('{"__metadata__":{"k":1},"a":%s}' % a) + \
        raw
    yield "overlap", header({"a": tensor("U8", [40], 0, 40),
                             "b": tensor("U8", [40], 24, 64)}) + raw
    yield "overlap_whole", header('{"a":%s,"b":%s}' % (a, a)) + raw
    yield "offsets_reversed", entry(data_offsets=[64, 0])
    yield "offsets_past_end", entry(data_offsets=[1, 65])
    yield "offsets_far_past_end", entry(data_offsets=[2 ** 40, 2 ** 40 + 64])
    yield "offsets_overflow", entry(data_offsets=[2 ** 64 - 32, 2 ** 64 + 32])
    yield "offsets_past_double", entry(data_offsets=[2 ** 53, 2 ** 53 + 64])
    yield "offsets_negative", entry(data_offsets=[-64, 0])
    yield "offsets_three", entry(data_offsets=[0, 32, 64])
    yield "shape_overflow", entry(shape=[2 ** 32, 2 ** 32])
    yield "shape_mismatch", entry(shape=[63])
    yield "shape_fraction", entry(shape=[64.5])
    yield "field_missing", header({"a": {"dtype": "U8", "shape": [64]}}) + raw
    yield "field_unknown", entry(more=[1])


def plain(rng):
    """Files of other names."""
    yield "config.json", json.dumps({"hidden_size": 384}).encode()
    yield "no_suffix", rng.randbytes(CHUNK + 1)
    yield "empty.txt", b""
    yield ".hidden", b"hidden\n"
    yield "tokens.model", b"the quick brown fox " * 20000


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rng = random.Random(20240229)
    groups = [("good", ".safetensors", make)
              for make in (good_small, good_layout, good_weights)]
    groups += [("opaque", ".safetensors", refused), ("plain", "", plain)]
    for folder, suffix, make in groups:
        folder = os.path.join(sys.argv[1], folder)
        os.makedirs(folder, exist_ok=True)
        for name, content in make(rng):
            with open(os.path.join(folder, name + suffix), "xb") as f:
                f.write(content)


main()
