# SPDX-License-Identifier: Apache-2.0
"""bad.py - golden files with one thing wrong in each, for make.py"""

import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from refenc import (CONSTANT, NONE, PLANES, ZSTD, Blob,  # noqa: E402
                    Classes, Container, Member, Model, Plane, Table,
                    encode_planes, seal, table, zstd)
from samples import BF16_EXPONENT, bundle, put, rng, single  # noqa: E402
from xxh3 import xxh3_64  # noqa: E402


# ---- Bad: one thing wrong in each -------------------------------------------

COLUMNS, ROWS = 20, 15


def spoilable(**hooks):
    """A small container of four blobs that uses all there is: planes of each
    coding with two tables, both kinds of classes and escapes; zstd; constant;
    raw.  A hook gets an object's payload or a chunk's stored bytes, and what
    it returns is written."""
    r = rng("spoilable")

    def hooked(name, payload):
        return lambda: hooks.get(name, lambda x: x)(payload())

    row_classes = [k % 2 for k in range(ROWS)]
    column_classes = [k % 4 for k in range(COLUMNS)]
    n = ROWS * COLUMNS
    raw = b""
    for i in range(n):
        q = row_classes[i // COLUMNS] + column_classes[i % COLUMNS]
        s = 100 + (q >> 1) + r.choice([0] * (20 - 8 * (q & 1)) + [1, 2, 3])
        if i in (7, 170):
            s = 77
        raw += struct.pack("<H", s << 7 | r.choice([1, 1, 1, 1, 6]) << 4
                           | r.randrange(16))
    tables = [Table(11, [1700, 148, 100, 90, 10]),
              Table(11, [1400, 248, 200, 190, 10])]
    rows, columns = Classes(row_classes), Classes(column_classes, True)
    coded = Plane("coded", BF16_EXPONENT, tables, base=100, escape=4,
                  n_symbols=5, rows=rows, columns=columns)
    model = Model(2, [coded, Plane("local", [(4, 3)], bits=10),
                      Plane("raw", [(0, 4)]), Plane("constant", [(15, 1)])])
    for name, o in (("table", tables[0]), ("table1", tables[1]),
                    ("rows", rows), ("columns", columns), ("model", model)):
        o.payload = hooked(name, o.payload)
    layout = {}
    stored = encode_planes(model, raw, 0, COLUMNS, layout=layout)
    text = b"what will be, will be; " * 4
    keep = {"planes": lambda s, at: s}
    keep.update(hooks)
    c = Container()
    c.add_file([
        Blob(raw, [(PLANES, keep["planes"](stored, layout))], model,
             width=hooks.get("width", COLUMNS), dtype=1),
        Blob(text, [(ZSTD, hooks.get("zstd", lambda s: s)(zstd(text)))]),
        Blob(b"ab" * 20, [(CONSTANT, b"ab")]),
        Blob(r.randbytes(25)),
    ], mode=0o600)
    c.layout = layout
    c.raw = raw
    c.model = model
    return c


def place(c, what, off):
    """Where in the file a field stands: ('member', 0) and so on."""
    kind, i = what
    if kind == "sb":
        return off
    if kind == "section":
        return 208 + 32 * i + off
    if kind in ("chunk", "stored"):
        return c.at["chunk%d" % i] + off if kind == "stored" \
            else c.at["page0"] + 32 * i + off
    if kind == "object":
        return c.at["pool%d" % (i >> 32)] + (i & 0xFFFFFFFF) + off
    number, size = {"member": (1, 128), "extent": (2, 32), "name": (3, 1),
                    "blob": (4, 96), "page": (5, 24)}[kind]
    return c.at["section%d" % number] + size * i + off


class Spoiler:
    """Writes bad containers and the list of what is expected of them."""

    def __init__(self, out, folder):
        self.folder = os.path.join(out, folder)
        self.lines = []

    def save(self, name, data, result):
        put(os.path.join(self.folder, name + ".bs"), data)
        self.lines.append("%s.bs BS_ERR_%s\n" % (name, result))

    def field(self, name, what, off, code, value, result="CORRUPT",
              make=spoilable, **levels):
        """One field of a good container changed, checksums made right."""
        c = make()
        d = bytearray(c.done())
        struct.pack_into("<" + code, d, place(c, what, off), value)
        self.save(name, seal(d, **levels), result)

    def hook(self, name, key, change, result="CORRUPT"):
        self.save(name, spoilable(**{key: change}).done(), result)

    def done(self):
        self.lines.sort()
        put(os.path.join(self.folder, "expect.txt"),
            "".join(self.lines).encode())


def splice(at, new):
    """A hook that overwrites bytes."""
    return lambda p: p[:at] + new + p[at + len(new):]


SB = ("sb", 0)
BAD_SUPERBLOCK = [
    ("flags", 12, "I", 2), ("reserved", 464, "B", 1),
    ("reserved-end", 503, "B", 1), ("container-length-small", 32, "Q", 1024),
    ("suffix-length", 77, "B", 65), ("suffix-slash", 113, "B", 0x2F),
    ("suffix-nul", 113, "B", 0), ("suffix-tail", 175, "B", 1),
    ("sections-4", 78, "B", 4), ("sections-9", 78, "B", 9),
    ("sections-tail", 208 + 5 * 32 + 4, "B", 1),
    ("page-records-6", 79, "B", 6), ("page-records-12", 79, "B", 12),
    ("mode", 72, "I", 0o10600), ("digest-algorithm", 76, "B", 3),
    ("members-0", 48, "Q", 0), ("members-2", 48, "Q", 2),
    ("members-many", 48, "Q", 2**57 + 1), ("total-size", 56, "Q", 5),
    ("blobs", 176, "Q", 5), ("blobs-many", 176, "Q", 2**63),
    ("chunks", 184, "Q", 5), ("chunks-many", 184, "Q", 2**64 - 1),
    ("extents", 192, "Q", 5), ("pool-pages", 200, "Q", 2),
    ("pool-pages-many", 200, "Q", 2**64 - 1), ("mtime", 64, "q", 5),
    ("mode-differs", 72, "I", 0o644), ("digest-differs", 80, "B", 1),
]
BAD_SECTION = [
    ("flags", 0, 2, "H", 2), ("reserved", 0, 4, "I", 1),
    ("twice", 4, 0, "H", 1), ("missing", 4, 0, "H", 20),
    ("unaligned", 2, 8, "Q", 1001), ("in-superblock", 2, 8, "Q", 504),
    ("past-end", 0, 8, "Q", 1 << 40), ("overflow", 0, 8, "Q", 2**64 - 8),
    ("length", 0, 16, "Q", 64), ("long", 2, 16, "Q", 2**30 + 8),
]
BAD_RECORD = [
    ("member", 0, [
        ("type-0", 0, "B", 0), ("type-5", 0, "B", 5),
        ("type-directory", 0, "B", 2), ("digest-algorithm", 1, "B", 2),
        ("reserved", 2, "H", 1), ("reserved-middle", 76, "I", 1),
        ("reserved-end", 127, "B", 1), ("mode", 4, "I", 0o644),
        ("mtime", 8, "q", 5), ("size", 16, "Q", 5),
        ("name-length", 32, "I", 1), ("name-outside", 24, "Q", 1),
        ("target", 36, "I", 1), ("first-extent", 48, "Q", 1),
        ("extents-few", 56, "Q", 3), ("extents-many", 56, "Q", 2**64 - 1),
        ("digest-differs", 80, "B", 1)]),
    ("extent", 1, [
        ("offset", 0, "Q", 601), ("empty", 8, "Q", 0),
        ("long", 8, "Q", 93), ("blob", 16, "Q", 4),
        ("blob-many", 16, "Q", 2**64 - 1), ("past-blob", 24, "Q", 1),
        ("overflow", 24, "Q", 2**64 - 1)]),
    ("blob", 1, [
        ("empty", 0, "Q", 0), ("long", 0, "Q", 2**64 - 1),
        ("first-chunk", 8, "Q", 0), ("chunks-0", 16, "Q", 0),
        ("chunks-2", 16, "Q", 2), ("first-length-0", 24, "Q", 0),
        ("first-length-long", 24, "Q", 93), ("chunk-size-16", 32, "B", 16),
        ("chunk-size-20", 32, "B", 20), ("reserved", 35, "B", 1),
        ("reserved-end", 95, "B", 1), ("base", 36, "I", 0),
        ("digest-algorithm", 34, "B", 3)]),
    ("page", 0, [
        ("unaligned", 0, "Q", 513), ("in-superblock", 0, "Q", 0),
        ("past-end", 0, "Q", 1 << 50), ("length", 8, "I", 96),
        ("reserved", 12, "I", 1)]),
    ("page", 1, [
        ("pool-unaligned", 0, "Q", 513), ("pool-overflow", 0, "Q", 2**64 - 8),
        ("pool-empty", 8, "I", 0), ("pool-long", 8, "I", 2**24 + 8)]),
    ("chunk", 1, [
        ("unaligned", 0, "Q", 1001), ("in-superblock", 0, "Q", 0),
        ("past-end", 0, "Q", 1 << 45), ("overflow", 0, "Q", 2**64 - 8),
        ("stored-0", 8, "I", 0), ("stored-long", 8, "I", 93),
        ("coding", 12, "B", 4), ("reserved", 15, "B", 1),
        ("planes-without-model", 12, "B", 3)]),
    ("chunk", 2, [("constant-3", 8, "I", 3), ("constant-16", 8, "I", 16)]),
    ("chunk", 3, [("raw-short", 8, "I", 24), ("constant-25", 12, "B", 1)]),
]


def bad_superblock(s):
    good = spoilable().done()
    for name, off, code, value in BAD_SUPERBLOCK:
        s.field("superblock-" + name, SB, off, code, value)
    for name, i, off, code, value in BAD_SECTION:
        s.field("section-" + name, ("section", i), off, code, value)
    for i in range(5):
        s.field("section-checksum-%d" % (i + 1), ("section", i), 24, "Q", 1,
                "CHECKSUM", sections=False)
    d = bytearray(good)
    d[7] ^= 1
    d[-512 + 7] ^= 1
    s.save("magic", d, "MAGIC")
    d = bytearray(good)
    d[100] ^= 1
    d[-1] ^= 1
    s.save("both-checksums", d, "CHECKSUM")
    s.save("no-copy-left", bytes(512) + good[512:-1], "MAGIC")
    s.save("garbage", rng("garbage").randbytes(2000), "MAGIC")
    s.save("no-bytes", b"", "MAGIC")
    first = bytearray(good)
    first[464] = 1  # well formed but wrong: the copy is not for that
    first[504:512] = struct.pack("<Q", xxh3_64(bytes(first[:504])))
    s.save("superblock-contradicts", bytes(first), "CORRUPT")
    s.save("truncated", good[:len(good) // 2], "TRUNCATED")
    s.save("truncated-in-superblock", good[:300], "TRUNCATED")
    s.save("truncated-by-one", good[:-1], "TRUNCATED")
    s.save("bytes-follow", good + bytes(8), "CORRUPT")
    # Read as that program's, they are of a version it never had.
    for name, magic in (("bgsm", b"BGSM"), ("bgsd", b"BGSD")):
        s.save("upstream-" + name, magic + good[4:2000], "VERSION")
    s.save("upstream-with-copy", b"BGSM" + good[4:], "VERSION")


def bad_records(s):
    for kind, i, fields in BAD_RECORD:
        for name, off, code, value in fields:
            s.field("%s-%s" % (kind, name), (kind, i), off, code, value)
    # What is whole, but not what was written.
    s.field("page-checksum", ("page", 0), 16, "Q", 1, "CHECKSUM", pages=False)
    s.field("pool-checksum", ("page", 1), 16, "Q", 1, "CHECKSUM", pages=False)
    s.field("chunk-raw-checksum", ("chunk", 3), 16, "Q", 1, "CHECKSUM")
    s.field("chunk-stored-checksum", ("chunk", 3), 24, "Q", 1, "CHECKSUM",
            chunks=False)
    for i, name in enumerate(("planes", "zstd", "constant", "raw")):
        s.field("flipped-" + name, ("stored", i), 1, "B", 0xEE, "CHECKSUM",
                chunks=False)
    s.field("flipped-raw-sealed", ("stored", 3), 1, "B", 0xEE, "CHECKSUM")
    s.field("blob-digest", ("blob", 1), 56, "Q", 1, "CHECKSUM")
    c = spoilable()
    d = bytearray(c.done())
    for at in (80, place(c, ("member", 0), 80)):
        struct.pack_into("<Q", d, at, 1)
    s.save("digest-in-both-places", seal(d), "CHECKSUM")


def bad_zstd(s):
    def dictionary(frame):
        return frame[:4] + bytes([frame[4] | 1]) + frame[5:6] + b"\x07" \
            + frame[6:]

    half = zstd(b"half")
    s.hook("zstd-trailing", "zstd", lambda f: f + b"\0")
    s.hook("zstd-two-frames", "zstd", lambda f: f + half)
    s.hook("zstd-skippable", "zstd",
           lambda f: b"\x50\x2a\x4d\x18\1\0\0\0x" + f)
    s.hook("zstd-cut", "zstd", lambda f: f[:-1])
    s.hook("zstd-legacy", "zstd", lambda f: b"\x27" + f[1:])
    s.hook("zstd-garbage", "zstd", lambda f: b"garbage!")
    s.hook("zstd-short-content", "zstd", lambda f: half)
    s.hook("zstd-long-content", "zstd", lambda f: zstd(bytes(100000)))
    s.hook("zstd-dictionary", "zstd", dictionary)


BAD_MODEL = [
    ("unit-3", 0, "B", 3), ("unit-4", 0, "B", 4), ("planes-0", 1, "B", 0),
    ("planes-3", 1, "B", 3), ("planes-17", 1, "B", 17),
    ("reserved", 2, "B", 1), ("tables-none", 8 + 3, "B", 0),
]
BAD_PLANE = [  # of the coded plane, the first
    ("coding", 0, "B", 4), ("width", 1, "B", 7), ("width-0", 1, "B", 0),
    ("parts-0", 2, "B", 0), ("parts-5", 2, "B", 5),
    ("unused-part", 6, "B", 1), ("tables-6", 3, "B", 6),
    ("tables-5", 3, "B", 5), ("part-outside", 4, "B", 9),
    ("bit-twice", 4, "B", 6), ("symbols-1", 12, "H", 1),
    ("symbols-257", 12, "H", 257), ("symbols-few", 12, "H", 4),
    ("escape", 14, "H", 5), ("base", 16, "Q", 256), ("shift", 24, "B", 16),
    ("reserved", 25, "B", 1), ("rows-unaligned", 32, "Q", 1),
    ("rows-page", 32, "Q", 1 << 32), ("rows-type", 32, "Q", 0),
    ("columns-outside", 40, "Q", 1 << 20),
]
BAD_OTHER_PLANE = [
    ("raw-tables", 2, 3, "B", 1), ("raw-symbols", 2, 12, "H", 2),
    ("raw-escape", 2, 14, "H", 0), ("raw-base", 2, 16, "Q", 1),
    ("raw-shift", 2, 24, "B", 1), ("raw-rows", 2, 32, "Q", 0),
    ("raw-columns", 2, 40, "Q", 0), ("constant-base", 3, 16, "Q", 2),
]


def bad_model(s):
    for name, off, code, value in BAD_MODEL:
        s.hook("model-" + name, "model",
               splice(off, struct.pack("<" + code, value)))
    for name, off, code, value in BAD_PLANE:
        s.hook("plane-" + name, "model",
               splice(8 + off, struct.pack("<" + code, value)))
    for name, i, off, code, value in BAD_OTHER_PLANE:
        s.hook("plane-" + name, "model",
               splice(8 + 48 * i + off, struct.pack("<" + code, value)))
    s.hook("model-long", "model", lambda p: p + bytes(8))
    s.hook("model-short", "model", lambda p: p[:-8])
    s.hook("model-cut", "model", lambda p: p[:60])
    for name, value in (("table-outside", 1 << 30), ("table-page", 9 << 32),
                        ("table-unaligned", 4)):
        s.hook("model-" + name, "model", splice(
            8 + 4 * 48, struct.pack("<Q", value)))
    ref = spoilable().model.ref
    for name, value in (("type", 0), ("unaligned", ref + 4),
                        ("page", ref | 1 << 32), ("outside", ref + 800),
                        ("far", 0xFFFFFFF8)):
        s.field("blob-model-" + name, ("blob", 0), 48, "Q", value)
    s.field("blob-model-none", ("blob", 0), 48, "Q", NONE)
    s.field("object-type", ("object", ref), 0, "I", 4)
    s.field("object-leaves-page", ("object", ref), 4, "I", 1 << 20)
    # Coded and local planes that are too wide, too many tables.
    t = Table(10, [1000, 24])

    def build(planes, raw=bytes(4 * 300)):
        for p in planes:
            p.n_symbols = 2
        return single([Blob(raw, [PLANES], Model(4, planes))]).done()

    s.save("plane-coded-17-bits", build([
        Plane("coded", [(0, 17)], [t]), Plane("constant", [(17, 15)])]),
        "CORRUPT")
    s.save("plane-local-9-bits", build([
        Plane("local", [(0, 9)]), Plane("constant", [(9, 23)])]), "CORRUPT")
    s.save("model-33-tables", build([
        Plane("coded", [(0, 8)], [t] * 32), Plane("coded", [(8, 8)], [t]),
        Plane("constant", [(16, 16)])]), "CORRUPT")
    s.save("model-bit-missing", build([
        Plane("coded", [(0, 8)], [t]), Plane("constant", [(9, 23)])]),
        "CORRUPT")


def bad_tables(s):
    def code(bits, last, ones):
        """A table whose bits are written out, first bit first."""
        n = -(-len(ones) // 8)
        value = int(ones[::-1], 2) if ones else 0
        return lambda p: bytes([bits, last]) + value.to_bytes(n, "little")

    def freqs(bits, values):
        return lambda p: table(bits, values)

    s.hook("table-bits-9", "table", freqs(9, [256, 256]))
    s.hook("table-bits-13", "table", freqs(13, [4095, 4095, 2]))
    s.hook("table-bits-differ", "table", freqs(10, [800, 100, 100, 20, 4]))
    s.hook("table-sum-small", "table", freqs(11, [2000, 47]))
    s.hook("table-sum-large", "table", freqs(11, [2000, 49]))
    s.hook("table-one-symbol", "table", freqs(11, [2048]))
    s.hook("table-frequency-0", "table", freqs(11, [1024, 0, 1024, 0, 0, 1]))
    s.hook("table-symbol-outside", "table",
           freqs(11, [1024, 1000, 0, 0, 10, 14]))
    s.hook("table-negative-length", "table", code(11, 1, "010" + "1" * 5))
    s.hook("table-long-code", "table", code(11, 1, "0" * 40 + "1"))
    s.hook("table-length-13", "table", code(12, 1, "000011101" + "0" * 20))
    s.hook("table-cut", "table", lambda p: p[:4])
    s.hook("table-too-short", "table", lambda p: p[:1])
    s.hook("table-empty", "table", lambda p: b"")
    s.hook("table-8-zeros", "table", lambda p: p + bytes(8))
    s.hook("table-tail", "table", lambda p: p + b"\1")
    s.hook("table-padding", "table",
           lambda p: p[:-1] + bytes([p[-1] | 0x80]))


def bad_classes(s):
    for name, at, new in (("count-0", 0, bytes(8)),
                          ("count-large", 0, struct.pack("<Q", 2**24 + 1)),
                          ("count-overflow", 0, b"\xff" * 8),
                          ("encoding", 8, b"\2"), ("reserved", 9, b"\1"),
                          ("tail", ROWS + 16, b"\1")):
        s.hook("classes-" + name, "rows", splice(at, new))
    s.hook("classes-8-zeros", "rows", lambda p: p + bytes(8))
    s.hook("classes-cut", "rows", lambda p: p[:-1])
    s.hook("classes-no-head", "rows", lambda p: p[:15])
    s.hook("classes-rows-few", "rows",
           lambda p: Classes(p[16:16 + ROWS - 1]).payload())
    s.hook("classes-columns-few", "columns",
           lambda p: Classes(bytes(COLUMNS - 1), True).payload())
    s.hook("classes-together", "columns",
           lambda p: Classes(bytes(2**24), True).payload())
    s.hook("classes-zstd-cut", "columns", lambda p: p[:-1])
    s.hook("classes-zstd-length", "columns",
           splice(16, struct.pack("<I", 1 << 31)))
    s.hook("classes-zstd-short", "columns",
           splice(0, struct.pack("<Q", COLUMNS + 1)))
    s.hook("classes-zstd-long", "columns",
           splice(0, struct.pack("<Q", COLUMNS - 1)))
    s.field("blob-width-0", ("blob", 0), 40, "Q", 0)
    s.field("blob-width-small", ("blob", 0), 40, "Q", COLUMNS - 1)
    s.field("blob-width-large", ("blob", 0), 40, "Q", COLUMNS + 1)


def bad_planes(s):
    """Chunks in planes whose stored bytes have their right checksum."""
    def at(part, code, change):
        def hook(stored, layout):
            off = layout[part]
            size = struct.calcsize("<" + code)
            value, = struct.unpack_from("<" + code, stored, off)
            return stored[:off] + struct.pack("<" + code, change(value)) \
                + stored[off + size:]
        return hook

    def insert(part, what):
        return lambda stored, layout: stored[:layout[part]] + what \
            + stored[layout[part]:]

    def word_more(stored, layout):
        stored = insert("escapes", bytes(2))(stored, layout)
        return at("word_count", "I", lambda n: n + 1)(stored, layout)

    def word_less(stored, layout):
        off = layout["escapes"]
        stored = stored[:off - 2] + stored[off:]
        return at("word_count", "I", lambda n: n - 1)(stored, layout)

    def escape_more(stored, layout):
        stored = insert("raw", b"\0")(stored, layout)
        return at("escape_count", "I", lambda n: n + 1)(stored, layout)

    def local_outside(stored, layout):
        t = table(10, [1000, 0, 0, 0, 0, 0, 0, 0, 24])
        return stored[:layout["local"]] + t + stored[layout["states"]:]

    for name, hook in (
            ("words-more", at("word_count", "I", lambda n: n + 1)),
            ("words-less", at("word_count", "I", lambda n: n - 1)),
            ("words-many", at("word_count", "I", lambda n: 2**32 - 1)),
            ("word-left", word_more), ("word-missing", word_less),
            ("escapes-more", at("escape_count", "I", lambda n: n + 1)),
            ("escapes-less", at("escape_count", "I", lambda n: n - 1)),
            ("escapes-many", at("escape_count", "I", lambda n: 2**31)),
            ("escape-not-met", escape_more),
            ("byte-more", lambda p, _: p + b"\0"),
            ("byte-less", lambda p, _: p[:-1]),
            ("only-a-count", lambda p, _: p[:4]),
            ("three-bytes", lambda p, _: p[:3]),
            ("cut-in-states", lambda p, l: p[:l["states"] + 200]),
            ("state-0", at("states", "I", lambda x: 0)),
            ("state-high", at("states", "I", lambda x: x ^ 1 << 31)),
            ("local-outside", local_outside),
            ("local-bits-9", at("local", "B", lambda x: 9)),
            ("local-bits-255", at("local", "B", lambda x: 255))):
        s.hook("planes-" + name, "planes", hook)
    s.hook("planes-raw-flipped", "planes",
           lambda p, _: p[:-1] + bytes([p[-1] ^ 1]), "CHECKSUM")
    s.hook("planes-escape-flipped", "planes",
           at("escapes", "B", lambda x: x ^ 1), "CHECKSUM")
    # A raw section of 8 bytes carries 4 pairs; here lane 4 carries too.  Its
    # only symbol has frequency 1000 of 1024 and starts at 0.
    r = rng("carried")
    model = Model(8, [
        Plane("coded", [(0, 8)], [Table(10, [1000, 24])], n_symbols=2),
        Plane("raw", [(8, 1)]), Plane("constant", [(9, 55)])])
    raw = b"".join(struct.pack("<Q", r.randrange(2) << 8) for _ in range(64))
    layout = {}
    stored = bytearray(encode_planes(model, raw, layout=layout))
    x = (1 << 16) + 1
    struct.pack_into("<I", stored, layout["states"] + 4 * 4,
                     (x // 1000 << 10) + x % 1000)
    s.save("planes-lane-carries", single([
        Blob(raw, [(PLANES, bytes(stored))], model)]).done(), "CORRUPT")
    # No plane is coded, but there are words.
    model = Model(2, [Plane("raw", [(0, 8)]), Plane("constant", [(8, 8)])])
    raw = b"".join(bytes([k, 0]) for k in range(100))
    stored = encode_planes(model, raw)
    stored = struct.pack("<I", 1) + stored[4:] + bytes(2)
    s.save("planes-words-not-coded", single([
        Blob(raw, [(PLANES, stored)], model)]).done(), "CORRUPT")
    # Elements of 8 bytes in a chunk of 33.
    model = Model(8, [Plane("constant", [(0, 64)])])
    s.save("planes-part-of-element", single([
        Blob(bytes(33), [(PLANES, bytes(4))], model)]).done(), "CORRUPT")


def bad_bundle(s):
    def tree(name, members, result="CORRUPT"):
        c = Container(bundle=True, suffix=b"")
        c.members = members
        s.save("bundle-" + name, c.done(), result)

    def names(*names):
        return [Member(n, 2) for n in names]

    for name, what in (
            ("empty-name", [b""]), ("dot", [b"."]), ("dot-dot", [b".."]),
            ("inner-dot-dot", [b"a", b"a/.."]), ("absolute", [b"/a"]),
            ("slash-at-end", [b"a", b"a/"]), ("two-slashes", [b"a", b"a//b"]),
            ("nul", [b"a\0b"]), ("component-256", [b"c" * 256]),
            ("twice", [b"a", b"a"]), ("order", [b"b", b"a"]),
            ("order-slash", [b"a", b"a-b", b"a/b"]),
            ("no-parent", [b"a/b"]),
            ("child-first", [b"a/b", b"a"])):
        tree(name, names(*what))
    tree("parent-is-file", [Member(b"a"), Member(b"a/b")])
    tree("parent-is-link", [Member(b"a", 3, target=b"/"), Member(b"a/b")])
    tree("hard-link-to-nothing", [Member(b"a", 4, target=b"b"), Member(b"c")])
    tree("hard-link-without-target", [Member(b"a", 4)])
    tree("directory-with-target", [Member(b"a", 2, target=b"b")])
    def links(name, *links):
        """Links between the directories a, a/b and a file f."""
        tree("link-" + name, sorted(
            [Member(b"a", 2), Member(b"a/b", 2), Member(b"f")]
            + [Member(n, 3, target=t) for n, t in links],
            key=lambda m: m.name.split(b"/")))

    links("absolute", (b"l", b"/f"))
    links("out", (b"l", b"../x"))
    links("out-deeper", (b"a/b/l", b"../../../f"))
    links("out-and-in", (b"l", b"../bundle-link-out-and-in/f"))
    links("out-through-nothing", (b"l", b"none/../../f"))
    links("out-through-link", (b"a/b/up", b"../.."), (b"l", b"a/b/up/../f"))
    links("name-256", (b"l", b"c" * 256))
    links("loop", (b"l", b"l"))
    links("loop-of-two", (b"l", b"a/m"), (b"a/m", b"../l"))
    links("loop-in-the-middle", (b"l", b"l/x"))
    links("41-targets", *((b"l%02d" % i, b"l%02d" % (i + 1))
                          for i in range(41)))
    for name, i, off, code, value in (
            ("directory-with-size", 0, 16, "Q", 1),
            ("directory-with-digest", 0, 1, "B", 1),
            ("link-with-size", 8, 16, "Q", 1),
            ("directory-with-extents", 0, 56, "Q", 1),
            ("extents-of-another", 3, 48, "Q", 0),
            ("target-outside", 8, 40, "Q", 1 << 40),
            ("target-long", 8, 36, "I", 4097),
            ("name-outside", 9, 24, "Q", 1 << 63),
            ("name-too-long", 9, 32, "I", 4097),
            ("member-type-5", 8, 0, "B", 5)):
        s.field("bundle-" + name, ("member", i), off, code, value,
                make=bundle)
    for name, off, code, value in (("mode", 72, "I", 0o10000),
                                   ("digest-algorithm", 76, "B", 1),
                                   ("total-size", 56, "Q", 1)):
        s.field("bundle-superblock-" + name, SB, off, code, value,
                make=bundle)


def make_bad(out):
    s = Spoiler(out, "bad")
    bad_superblock(s)
    bad_records(s)
    bad_zstd(s)
    bad_model(s)
    bad_tables(s)
    bad_classes(s)
    bad_planes(s)
    bad_bundle(s)
    s.done()


def make_future(out):
    s = Spoiler(out, "future")
    s.field("version-2", SB, 8, "H", 2, "VERSION")
    s.field("version-65535", SB, 8, "H", 65535, "VERSION")
    s.field("feature-base", SB, 16, "Q", 1, "FEATURE")
    s.field("feature-63", SB, 16, "Q", 1 << 63, "FEATURE")

    def section(kind):
        c = spoilable()
        c.extra_sections = [(kind, 1, b"you need me")]
        return c

    s.save("section-must-16", section(16).done(), "FEATURE")
    s.save("section-must-999", section(999).done(), "FEATURE")
    # Only the copy is left, and it is of another version.
    c = spoilable()
    d = bytearray(c.done())
    struct.pack_into("<H", d, 8, 2)
    s.save("version-2-copy", bytes(512) + seal(d)[512:], "VERSION")
    s.done()
