#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make.py - how every golden file was made

usage: make.py OUT [BIN]
       make.py --inputs DIR

Writes good/, bad/ and future/ below OUT, most with refenc.py, which follows
the document and not the C encoder; with BIN, the folder of the bigsmall
program, also what that program makes of small files.  Golden files freeze
what is decoded (the damaged ones are bad.py's): those of a released format are added to, never made anew.
--inputs writes only those small files.
"""

import hashlib
import itertools
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bad import make_bad, make_future  # noqa: E402
from refenc import (CONSTANT, PLANES, RAW, ZSTD, Blob,  # noqa: E402
                    Classes, Container, Member, Model, Plane, Table, count,
                    scale, table)
from samples import (BF16_EXPONENT, BF16_REST, K128, bf16,  # noqa: E402
                     bf16_model, bundle, elements, f16, f32, floats,
                     geometric, put, rng, single)


# ---- Good: files -----------------------------------------------------------

def good_bf16_escapes():
    r = rng("escapes")
    values = floats(r, 3000)
    for _ in range(70):
        values[r.randrange(3000)] = r.choice([1e30, -1e-30, math.inf, 0.0])
    raw = bf16(values)
    return single([Blob(raw, [PLANES], bf16_model(raw), dtype=1)])


def good_codings():
    """One blob with a chunk of each coding, the first of odd length."""
    r = rng("codings")
    head = r.randbytes(1001)
    constant = b"\x12\x34\x56\x78" * (K128 // 4)
    packed = (b"to be or not to be " * 7000)[:K128]
    planes = bytes(geometric(r, 5000, top=15))
    model = Model(1, [Plane("coded", [(0, 4)], [
        Table(10, scale(count(planes)[:16], 10))], n_symbols=16),
        Plane("constant", [(4, 4)])])
    return single([Blob(head + constant + packed + planes, [
        RAW, (CONSTANT, b"\x12\x34\x56\x78"), ZSTD, PLANES], model,
        first_len=1001)], suffix=b"")


def good_constants():
    """Patterns of 1, 2, 4 and 8 bytes; the longest chunk there can be."""
    blobs = []
    for n in (1, 2, 4, 8):
        pattern = bytes(range(1, n + 1))
        blobs.append(Blob(pattern * 100, [(CONSTANT, pattern)]))
    for log2 in (17, 18, 19):
        blobs.append(Blob(b"\xaa" * ((2 << log2) + 8),
                          [(CONSTANT, b"\xaa")], first_len=(1 << log2) + 7,
                          log2=log2))
    return single(blobs)


def good_lengths():
    """Coded chunks whose last round of lanes is full, nearly full, or one
    element; raw sections of few bytes."""
    r = rng("lengths")
    t = Table(12, [4000, 90, 6])
    fixed = 0x10305 & ~0x38
    blobs = []
    for n in (127, 128, 129, 191, 320, 383, 385):
        raw = struct.pack("<%dI" % n, *[
            r.choice([0, 0, 0, 1, 2]) << 24 | fixed | r.randrange(8) << 3
            for _ in range(n)])
        blobs.append(Blob(raw, [PLANES], Model(4, [
            Plane("coded", [(24, 8)], [t], n_symbols=3),
            Plane("constant", [(6, 18), (0, 3)],
                  base=fixed >> 6 << 3 | fixed & 7),
            Plane("raw", [(3, 3)])])))
    return single(blobs)


def good_small_chunks():
    """The shortest coded chunks: one element of 8 bytes cannot pay for 64
    states, so 70 and 129 elements of 8 bytes with 7 constant bytes do."""
    r = rng("small chunks")
    t = Table(10, [1000, 20, 4])
    blobs = []
    for n in (35, 63, 64, 65, 70, 129):
        raw = b"".join(bytes([r.choice([5, 5, 6, 7])]) + bytes(5)
                       + bytes([128 | r.randrange(2), 9]) for _ in range(n))
        blobs.append(Blob(raw, [PLANES], Model(8, [
            Plane("constant", [(56, 8), (55, 1), (49, 6)],
                  base=9 << 7 | 1 << 6),
            Plane("raw", [(48, 1)]),
            Plane("constant", [(8, 40)]),
            Plane("coded", [(0, 8)], [t], base=5, n_symbols=3)])))
    return single(blobs)


def good_raw_widths():
    """Raw planes of every width there can be beside a constant one, in
    elements of 8 bytes; and of 1 to 15 bits beside a coded plane, whose lanes
    carry their end."""
    r = rng("widths")
    blobs = []
    for n, widths in ((64, range(1, 10)), (128, [55]), (63, [30, 25]),
                      (100, [43, 7]), (61, [10, 11, 12, 13]), (2, [8, 32]),
                      (65, [15, 17]), (1, [8, 16]), (192, [63])):
        low, planes, raw = 0, [], []
        for w in widths:
            planes.append(Plane("raw", [(low, w)]))
            low += w
        planes.append(Plane("constant", [(low, 64 - low)], base=1))
        r.shuffle(planes)
        raw = struct.pack("<%dQ" % n, *[1 << low | r.getrandbits(low)
                                        for _ in range(n)])
        blobs.append(Blob(raw, [PLANES], Model(8, planes)))
    t = Table(10, [1000, 24])
    for w in range(1, 12):
        n = 500 + w
        raw = struct.pack("<%dH" % n, *[
            (r.random() < 0.03) << w | r.randrange(1 << w)
            for _ in range(n)])
        blobs.append(Blob(raw, [PLANES], Model(2, [
            Plane("coded", [(w, 16 - w)], [t], n_symbols=2),
            Plane("raw", [(0, w)])])))
    return single(blobs)


def good_parts():
    """Planes of up to four parts, in an order other than the bits'."""
    r = rng("parts")
    raw = b"".join(struct.pack(
        "<I", r.choice([1, 1, 1, 2]) << 30 | r.randrange(256) << 12
        | r.choice([3, 3, 3, 1]) << 3) for _ in range(2000))
    syms = Plane("raw", [(3, 2), (30, 2), (0, 3), (29, 1)])
    counts = count(syms.values(elements(4, raw)))
    return single([Blob(raw, [PLANES], Model(4, [
        Plane("coded", syms.parts, [Table(11, scale(counts, 11))]),
        Plane("raw", [(18, 2), (12, 6)]),
        Plane("constant", [(5, 7), (20, 9)])]))])


def good_local():
    """A local plane: with a table, raw, with another precision; a chunk in
    which no plane is coded."""
    r = rng("local")
    first = bytes(geometric(r, 3000))
    second = bytes(r.choice([3, 200, 201]) for _ in range(2000))
    wide = r.randbytes(600)
    low = bytes(r.choice([0x51, 0x52, 0x91]) for _ in range(3000))
    whole = Model(1, [Plane("local", [(0, 8)], bits=12)])
    halves = Model(1, [Plane("local", [(4, 4)], bits=10),
                       Plane("local", [(0, 3)], bits=11),
                       Plane("constant", [(3, 1)])])
    low = bytes(b & 0xF7 for b in low)
    return single([Blob(first, [PLANES], whole),
                   Blob(second, [PLANES], whole),
                   Blob(wide[:570], [RAW], whole),
                   Blob(low, [PLANES], halves),
                   Blob(low[:640], [(PLANES, False)], halves)])


def good_tables():
    """Tables of every precision; 256 symbols; one symbol alone; frequencies
    with long gaps; a last symbol that does not occur."""
    r = rng("tables")
    blobs = []
    flat = r.randbytes(8192)
    for bits in (10, 11, 12):
        skew = bytes(min(255, int(r.expovariate(0.2))) for _ in range(3000))
        t = Table(bits, scale(count(skew), bits))
        blobs.append(Blob(skew, [PLANES], Model(1, [
            Plane("coded", [(0, 8)], [t])])))
    # 254 of frequency 1, the rest on two: a table of all symbols.
    t = Table(12, [1] * 100 + [2000] + [1] * 154 + [4096 - 2254])
    data = bytes(r.choices(range(256), t.freqs, k=3000))
    blobs.append(Blob(data, [PLANES], Model(1, [
        Plane("coded", [(0, 8)], [t])])))
    t = Table(12, [0] * 17 + [4095, 1])
    blobs.append(Blob(bytes([17]) * 1000, [PLANES], Model(1, [
        Plane("coded", [(0, 8)], [t], n_symbols=19)])))
    t = Table(10, [0] * 5 + [1023] + [0] * 200 + [1])
    blobs.append(Blob(bytes([5]) * 999 + bytes([206]), [PLANES], Model(1, [
        Plane("coded", [(0, 8)], [t])])))
    t = Table(11, [1024, 1024])
    t.payload = lambda: table(11, [1024, 1024], 255) + bytes(7)
    data = bytes(r.randrange(2) for _ in range(3000))
    blobs.append(Blob(data, [PLANES], Model(1, [
        Plane("coded", [(0, 8)], [t], n_symbols=2)])))
    blobs.append(Blob(flat[:100]))
    return single(blobs)


def good_wide():
    """A coded plane of 16 bits: symbols from a base that wraps, escapes of
    two bytes; one of 12 bits."""
    r = rng("wide")
    t = Table(12, scale(count(geometric(r, 5000, 0.05, 200))
                        [:201] + [40], 12))
    values = [(65500 + s) % 65536 for s in geometric(r, 4000, 0.05, 200)]
    for _ in range(60):
        values[r.randrange(4000)] = r.randrange(65536)
    raw = struct.pack("<4000H", *values)
    wide = Model(2, [Plane("coded", [(0, 16)], [t], base=65500, escape=201,
                           n_symbols=202)])
    values = [(0xFF0 + s) % 4096 | r.randrange(16) << 12
              for s in geometric(r, 3000, 0.05, 200)]
    for i in range(0, 3000, 97):
        values[i] = r.randrange(65536)
    twelve = Model(2, [Plane("coded", [(0, 12)], [t], base=0xFF0,
                             escape=201, n_symbols=202),
                       Plane("raw", [(12, 4)])])
    return single([Blob(raw, [PLANES], wide),
                   Blob(struct.pack("<3000H", *values), [PLANES], twelve)])


def context_values(r, rows, columns, level_of):
    """Exponents whose level and spread follow the classes' sums."""
    out = []
    for row in rows:
        for column in columns:
            q = row + column
            level = level_of(q)
            out.append(level + min(20, geometric(r, 1, 0.35 + q % 4 / 8)[0]))
    return out


def good_classes(rows_used, columns_used, packed, log2, shift, name):
    r = rng(name)
    rows, columns = 37, 83
    cr = [r.randrange(40) if rows_used else 0 for _ in range(rows)]
    cc = [r.randrange(24) if columns_used else 0 for _ in range(columns)]
    exponents = context_values(
        r, cr, cc, lambda q: 110 + ((q >> log2) << shift))
    del exponents[-30:]  # the last row may be short
    for _ in range(30):
        exponents[r.randrange(len(exponents))] = r.randrange(256)
    n_tables = 1 << log2
    raw = struct.pack("<%dH" % len(exponents), *[
        (e << 7 | r.randrange(128) | r.randrange(2) << 15)
        for e in exponents])
    counts = [[1] * 40 for _ in range(n_tables)]
    for i, e in enumerate(exponents):
        q = cr[i // columns] + cc[i % columns]
        s = (e - 108 - ((q >> log2) << shift)) % 256
        if s < 39:
            counts[q % n_tables][s] += 1
    tables = [Table(11, scale(c, 11)) for c in counts]
    model = Model(2, [
        Plane("coded", BF16_EXPONENT, tables, base=108, escape=39,
              n_symbols=40, shift=shift,
              rows=Classes(cr + [9], packed) if rows_used else None,
              columns=Classes(cc, packed) if columns_used else None),
        Plane("raw", BF16_REST)])
    return single([Blob(raw, [PLANES], model, width=columns, dtype=1,
                        first_len=1002)])


def place(parts, value):
    """The bits of an element that a plane's value is in."""
    left, out = sum(n for _, n in parts), 0
    for low, n in parts:
        left -= n
        out |= (value >> left & ((1 << n) - 1)) << low
    return out


def contexts(r, unit, parts, others, log2, shift, bits, packed=False):
    """A blob whose first plane has rows, columns and 2^log2 tables, a base
    from which symbols and classes wrap, and escapes."""
    width = sum(n for _, n in parts)
    n_symbols = min(30, (1 << width) - 1)
    escape, base = n_symbols - 1, r.randrange(1 << width)
    rows = [r.randrange(5 << log2) for _ in range(23)]
    columns = [r.randrange(3 << log2) for _ in range(61)]
    counts = [[1] * n_symbols for _ in range(1 << log2)]
    out = []
    for i in range(23 * 61 - 17):  # the last row is short
        q = rows[i // 61] + columns[i % 61]
        s = geometric(r, 1, 0.3 + 0.4 * (q % 2), n_symbols - 2)[0]
        if r.random() < 0.02:
            s = r.randrange(1 << width)
        counts[q % (1 << log2)][min(s, escape)] += 1
        e = place(parts, s + base + ((q >> log2) << shift))
        for p in others:
            v = p.base
            if p.coding == 0:
                v = r.getrandbits(p.width)
            elif p.coding == 3:
                v = geometric(r, 1, 0.5, (1 << p.width) - 1)[0]
            e |= place(p.parts, v)
        out.append(e)
    first = Plane("coded", parts, [Table(bits, scale(c, bits))
                                   for c in counts],
                  base=base, escape=escape, n_symbols=n_symbols, shift=shift,
                  rows=Classes(rows, packed), columns=Classes(columns))
    raw = b"".join(e.to_bytes(unit, "little") for e in out)
    return Blob(raw, [PLANES], Model(unit, [first] + others), width=61,
                first_len=unit * 300)


def good_contexts():
    """Rows, columns and escapes in elements of each size, beside planes of
    each coding; 1, 2, 4, 8 and 16 tables; values of 2 to 14 bits."""
    r = rng("contexts")
    return single([
        contexts(r, 1, [(0, 7)], [Plane("raw", [(7, 1)])], 2, 3, 11),
        contexts(r, 1, [(0, 8)], [], 1, 2, 12),
        contexts(r, 2, [(7, 8), (15, 1)],
                 [Plane("local", [(0, 7)], bits=12)], 4, 4, 12, True),
        contexts(r, 2, [(8, 2)], [Plane("constant", [(10, 6)], base=37),
                                  Plane("raw", [(0, 8)])], 0, 1, 10),
        contexts(r, 2, [(4, 3)], [Plane("local", [(7, 8)], bits=10),
                                  Plane("constant", [(15, 1), (0, 4)])],
                 1, 0, 11),
        contexts(r, 4, [(21, 10), (31, 1)],
                 [Plane("raw", [(16, 5)]), Plane("local", [(8, 8)]),
                  Plane("constant", [(0, 8)])], 3, 3, 11),
        contexts(r, 8, [(50, 13), (63, 1)],
                 [Plane("raw", [(29, 21)]), Plane("constant", [(0, 29)])],
                 1, 12, 10)])


def good_longest():
    """A chunk of 2^19 + 7 elements in planes, and one of 2^19."""
    r = rng("longest")
    n = (2 << 19) + 7
    raw = bytearray(b"\x54" * n)
    for _ in range(500):
        raw[r.randrange(n)] ^= r.choice((1, 2, 3))
    return single([Blob(raw, [PLANES], Model(1, [
        Plane("constant", [(2, 6)], base=0x15),
        Plane("coded", [(0, 2)], [Table(12, [4093, 1, 1, 1])],
              n_symbols=4)]), first_len=(1 << 19) + 7, log2=19)])


def good_sign():
    """A sign plane of its own, its tables chosen by the column."""
    r = rng("sign")
    columns = 60
    cc = [r.randrange(4) for _ in range(columns)]
    odds = [0.03, 0.3, 0.8, 0.98]
    n = 6000
    signs = [r.random() < odds[cc[i % columns]] for i in range(n)]
    raw = bytes(s << 7 | (x & 15) << 3 | r.randrange(8)
                for s, x in zip(signs, geometric(r, n, 0.4)))
    tables = [Table(12, [round(4096 * (1 - p)), 4096 - round(4096 * (1 - p))])
              for p in odds]
    symbols = Table(11, scale(count([e >> 3 & 15 for e in raw])[:16], 11))
    return single([Blob(raw, [PLANES], Model(1, [
        Plane("coded", [(3, 4)], [symbols], n_symbols=16),
        Plane("coded", [(7, 1)], tables, n_symbols=2, columns=Classes(cc)),
        Plane("raw", [(0, 3)])]), width=columns, dtype=5)])


def good_many_planes():
    """16 planes, 32 tables over several coded planes, 4 escapes lists."""
    r = rng("many planes")
    columns = 50
    cc = Classes([r.randrange(8) for _ in range(columns)])
    n = 3000
    planes, tables = [], []
    for i in range(4):
        tables = [Table(10 + i % 3, scale(
            [40 + 9 * k] + [1] * 14 + [3], 10 + i % 3)) for k in range(8)]
        planes.append(Plane("coded", [(4 * i, 4)], tables, escape=15,
                            n_symbols=16, columns=cc, shift=i))
    planes += [Plane("raw", [(16 + k, 1)]) for k in range(5)]
    planes += [Plane("local", [(21, 3)], bits=10),
               Plane("local", [(24, 2)], bits=12)]
    planes += [Plane("constant", [(26 + k, 1)], base=k & 1)
               for k in range(4)]
    planes.append(Plane("constant", [(30, 2)], base=3))
    raw = struct.pack("<%dI" % n, *[
        sum(r.choice([0] * 30 + list(range(16))) << 4 * k for k in range(4))
        | r.randrange(32) << 16 | r.choice([1, 1, 1, 2]) << 21
        | r.choice([0, 0, 3]) << 24 | 0b1010 << 26 | 3 << 30
        for _ in range(n)])
    return single([Blob(raw, [PLANES], Model(4, planes), width=columns,
                        dtype=3)])


def good_many_chunks():
    """More chunks than an index page holds, more objects than a pool page."""
    r = rng("many chunks")
    c = Container(page_log2=7, pool_page=200)
    blobs = []
    t = Table(10, [900, 100, 24])
    for i in range(130):
        blobs.append(Blob(r.randbytes(1 + i % 5), alg=0))
    for i in range(5):
        raw = bytes(r.choice([0, 0, 0, 0, 1, 2]) for _ in range(900))
        blobs.append(Blob(raw, [PLANES], Model(1, [
            Plane("coded", [(0, 8)], [t], n_symbols=3 + i)])))
    c.add_file(blobs)
    return c


def good_long_pages():
    c = Container(page_log2=11)
    c.add_file([Blob(bytes([i])) for i in range(20)], alg=2)
    return c


def good_several_chunks():
    """A blob of three chunks in planes with classes: elements are numbered
    in the blob, not in the chunk."""
    r = rng("several")
    columns = 1000
    cc = [k % 5 for k in range(columns)]
    n = (2 * K128 + 3000) // 8
    tables = [Table(12, [4095 - k, 1 + k]) for k in range(8)]
    raw = bytearray(8 * n)
    for _ in range(40):
        raw[8 * r.randrange(n)] = 1
    for i in range(n):  # what the shift adds
        raw[8 * i] += cc[i % columns] >> 3 << 2
    model = Model(8, [
        Plane("coded", [(0, 8)], tables, n_symbols=2, shift=2,
              columns=Classes(cc)),
        Plane("constant", [(8, 56)])])
    return single([Blob(raw, [PLANES], model, width=columns,
                        first_len=3000)])


def good_fields():
    """Fields that are information or may hold anything."""
    c = Container(suffix=b".x" * 32, page_log2=9)
    c.may = 0xF0
    c.add_file([Blob(b"some bytes", dtype=200), Blob(b"and more", dtype=20,
                                                     alg=1)],
               mode=0o7777, mtime=-1, alg=0)
    c.extra_sections = [(18, 0, b"not read"), (777, 0, b"")]
    return c


def good_version_0():
    """From before the format was declared: the same, but for the number."""
    c = good_codings()
    c.version = 0
    return c


def good_empty():
    c = Container(suffix=b".safetensors")
    c.add_file([], mode=0, mtime=0, alg=2)
    return c


def good_extents():
    """Pieces of blobs in any order, some shared, all chunk codings."""
    r = rng("extents")
    raw = bf16(floats(r, 3000))
    c = Container()
    a = c.add_blob(Blob(raw, [PLANES], bf16_model(raw, 80), dtype=1))
    b = c.add_blob(Blob(r.randbytes(100), alg=1))
    c.add_blob(Blob(b"no member has me"))
    c.members = [Member(extents=[(b, 50, 50), (a, 0, 6000), (b, 0, 50),
                                 (a, 1, 4999), (b, 99, 1)])]
    return c


def good_bundle_empty():
    return Container(bundle=True, suffix=b"")


GOOD = {
    "bf16-escapes": good_bf16_escapes,
    "codings": good_codings,
    "version-0": good_version_0,
    "constants": good_constants,
    "lengths": good_lengths,
    "small-chunks": good_small_chunks,
    "raw-widths": good_raw_widths,
    "parts": good_parts,
    "local": good_local,
    "tables": good_tables,
    "wide": good_wide,
    "classes-rows": lambda: good_classes(1, 0, 0, 2, 0, "rows"),
    "classes-columns": lambda: good_classes(0, 1, 0, 3, 1, "columns"),
    "classes-both": lambda: good_classes(1, 1, 0, 5, 2, "both"),
    "classes-zstd": lambda: good_classes(1, 1, 1, 2, 0, "zstd"),
    "classes-one-table": lambda: good_classes(1, 1, 0, 0, 0, "one table"),
    "contexts": good_contexts,
    "longest": good_longest,
    "sign": good_sign,
    "many-planes": good_many_planes,
    "many-chunks": good_many_chunks,
    "long-pages": good_long_pages,
    "several-chunks": good_several_chunks,
    "fields": good_fields,
    "empty": good_empty,
    "extents": good_extents,
    "bundle": bundle,
    "bundle-empty": good_bundle_empty,
}


# ---- The files ------------------------------------------------------------


def describe(c, stem):
    """What refdec.py --list and --sha256 say, from the other side."""
    names, sums = [], []
    for m in c.members:
        name = m.name if c.bundle else stem.encode() + c.suffix
        raw = c.bytes_of(m)
        names.append(b"%c %o %d %d %s%s\n" % (
            b"?fdlh"[m.kind], m.mode, m.mtime, len(raw), name,
            b" -> " + m.target if m.target else b""))
        if m.kind == 1:
            sums.append(b"%s  %s\n" % (
                hashlib.sha256(raw).hexdigest().encode(), name))
    return b"".join(names), b"".join(sums)


def make_good(out):
    for stem, make in GOOD.items():
        c = make()
        data = c.done()
        names, sums = describe(c, stem)
        save_good(out, stem, data, names, sums)
    # The first superblock is unwritten, or damaged: the copy serves.
    c = good_extents()
    data = c.done()
    for stem, first in (("first-block-zero", bytes(512)),
                        ("first-block-bit", data[:200] + b"\xff"
                         + data[201:512])):
        save_good(out, stem, first + data[512:], *describe(c, stem))


def save_good(out, stem, data, names, sums):
    put(os.path.join(out, "good", stem + ".bs"), data)
    put(os.path.join(out, "good", stem + ".list"), names)
    put(os.path.join(out, "good", stem + ".sha256"), sums)


# ---- Good: made by the tool ------------------------------------------------


def safetensors(tensors):
    """tensors: (name, dtype, shape, bytes)."""
    header, at = {}, 0
    for name, dtype, shape, raw in tensors:
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [at, at + len(raw)]}
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(
        t[3] for t in tensors)


def scaled(r, rows, columns, mean=0.0):
    """A matrix whose rows and columns differ in scale, columns in mean."""
    row = [2 ** r.uniform(-2, 2) for _ in range(rows)]
    column = [2 ** r.uniform(-2, 2) for _ in range(columns)]
    means = [r.choice((-mean, mean)) for _ in range(columns)]
    return [(r.gauss(0, 0.02) + m) * a * b for a in row
            for b, m in zip(column, means)]


def f8(values):
    """An E5M2 of each: the upper half of its binary16."""
    return f16(values)[1::2]


def e4m3(values):
    """The nearest E4M3 below, as binary16 with a bias of 7 has it."""
    halves = struct.unpack("<%dH" % len(values), f16(values))
    return bytes((h >> 8 & 128) | min(max((h >> 7 & 255) - 64, 0), 126)
                 for h in halves)


def inputs():
    """Small files that together have every dtype: (name, bytes)."""
    r = rng("inputs")

    def many(code, n, low, high):
        return struct.pack("<%d%s" % (n, code),
                           *[r.randint(low, high) for _ in range(n)])

    values = floats(r, 6000)
    outliers = values[:3000] + [1e30, -math.inf, math.nan, 0.0, -0.0, 1e-40]
    yield "bf16.safetensors", safetensors([
        ("w", "BF16", [60, 100], bf16(values)),
        ("outliers", "BF16", [3006], bf16(outliers)),
        ("zero", "BF16", [2000], bytes(4000)),
        ("none", "BF16", [0, 4], b""), ("scalar", "BF16", [], b"\x80?")])
    yield "f16.safetensors", safetensors([
        ("w", "F16", [3000], f16(values[:3000])),
        ("one", "F16", [1], b"\0<")])
    yield "f32.safetensors", safetensors([
        ("w", "F32", [2000], f32(values[:2000])),
        ("from.bf16", "F32", [3000], b"".join(
            b"\0\0" + struct.pack("<f", v)[2:] for v in values[:3000])),
        ("complex", "C64", [300], f32(values[:600]))])
    yield "f64.safetensors", safetensors([
        ("w", "F64", [800], struct.pack("<800d", *values[:800])),
        ("from.f32", "F64", [800], struct.pack(
            "<800d", *struct.unpack("<800f", f32(values[:800]))))])
    yield "scales.safetensors", safetensors([
        ("both", "BF16", [70, 90], bf16(scaled(r, 70, 90))),
        ("conv", "F16", [40, 64, 3], f16(scaled(r, 40, 192))),
        ("means", "F16", [130, 80], f16(scaled(r, 130, 80, 0.03))),
        ("stack", "F32", [3, 30, 70], f32(scaled(r, 90, 70)))])
    yield "f8.safetensors", safetensors([
        ("e5m2", "F8_E5M2", [6000], f8(values)),
        ("e4m3", "F8_E4M3", [4000], bytes(
            (s & 128) | 30 + g for s, g in zip(
                r.randbytes(4000), geometric(r, 4000, 0.2, 60)))),
        ("e8m0", "F8_E8M0", [3000], many("B", 3000, 118, 124)),
        ("f4", "F4", [2000], many("B", 1000, 0, 60)),
        ("bool", "BOOL", [2000], bytes(r.random() < 0.1
                                       for _ in range(2000)))])
    yield "integers.safetensors", safetensors([
        ("i8", "I8", [3000], struct.pack("<3000b", *[
            round(max(-127, min(127, v * 1000))) for v in values[:3000]])),
        ("u8", "U8", [2000], many("B", 2000, 100, 140)),
        ("i16", "I16", [2000], many("h", 2000, -300, 300)),
        ("u16", "U16", [2000], many("H", 2000, 0, 900)),
        ("i32", "I32", [1000], many("i", 1000, -70000, 70000)),
        ("u32", "U32", [1000], many("I", 1000, 0, 9)),
        ("i64", "I64", [1000], struct.pack("<1000q", *range(1000))),
        ("u64", "U64", [500], many("Q", 500, 0, 2**63))])
    yield "unknown.safetensors", safetensors([
        ("w", "BF16", [10], bytes(20)), ("what", "Q3_X", [30], bytes(range(
            30)))])
    yield "text.json", b'{"a line": "of a file that is no tensor"}\n' * 90
    yield "zeros.bin", bytes(300001)
    yield "noise.bin", r.randbytes(3001)
    yield "nothing", b""
    r = rng("inputs of 8 bits")
    values = scaled(r, 90, 130)
    yield "f8-scales.safetensors", safetensors([
        ("e5m2", "F8_E5M2", [90, 130], f8(values)),
        ("e4m3", "F8_E4M3", [90, 130], e4m3([v * 16 for v in values]))])


def large_inputs():
    """Too large to keep: enough that storage has columns clustered."""
    r = rng("large inputs")
    yield "columns.safetensors", safetensors([
        ("w", "BF16", [400, 330], bf16(scaled(r, 400, 330, 0.02)))])


def make_by_tool(out, folder):
    with tempfile.TemporaryDirectory() as tmp:
        for name, data in inputs():
            path = os.path.join(tmp, name)
            put(path, data)
            os.chmod(path, 0o640)
            os.utime(path, ns=(0, 1600000000987654321))
            stem = "tool-" + name.split(".")[0]
            made = os.path.join(tmp, stem + ".bs")
            subprocess.run([os.path.join(folder, "bigsmall"), "compress",
                            path, "-o", made], check=True,
                           capture_output=True)
            with open(made, "rb") as f:
                container = f.read()
            # The suffix is what the name had after the container's own stem.
            end = container[112:112 + container[77]].decode()
            save_good(out, stem, container, b"f 640 %d %d %s\n" % (
                1600000000987654321, len(data), (stem + end).encode()),
                      b"%s  %s\n" % (
                hashlib.sha256(data).hexdigest().encode(),
                (stem + end).encode()))


def main(args):
    if len(args) not in (1, 2):
        sys.exit("usage: make.py OUT [BIN] | make.py --inputs DIR")
    if args[0] == "--inputs":
        os.makedirs(args[1])
        for name, data in itertools.chain(inputs(), large_inputs()):
            put(os.path.join(args[1], name), data)
        return 0
    out = args[0]
    for folder in ("good", "bad", "future"):
        os.makedirs(os.path.join(out, folder), exist_ok=True)
    make_good(out)
    if len(args) == 2:
        make_by_tool(out, args[1])
    make_bad(out)
    make_future(out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
