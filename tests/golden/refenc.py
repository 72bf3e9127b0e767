# SPDX-License-Identifier: Apache-2.0
"""A second encoder of the container, from docs/format.md alone.

It chooses nothing: whoever calls it says how each chunk is coded, so that
golden files can use what the C encoder does not emit.  After Container.done()
the bytes and the place of each part are known, for make.py to spoil.
"""

import hashlib
import os
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from xxh3 import xxh3_64, xxh3_128  # noqa: E402

NONE = 2**64 - 1
RAW, CONSTANT, ZSTD, PLANES = 0, 1, 2, 3
UNIT_CODE = {1: "B", 2: "H", 4: "I", 8: "Q"}


def zstd(raw, level=19):
    """One frame that names its content size and has no checksum."""
    return subprocess.run(
        ["zstd", "-%d" % level, "-cq", "--no-check",
         "--stream-size=%d" % len(raw)],
        input=raw, capture_output=True, check=True).stdout


def digest(alg, raw):
    if alg == 1:
        return hashlib.sha256(raw).digest()
    return xxh3_128(raw) + bytes(16) if alg == 2 else bytes(32)


# ---- Tables ----------------------------------------------------------------


def scale(counts, bits):
    """Frequencies that sum to 2^bits, none of a counted symbol zero."""
    total = sum(counts)
    freqs = [max(1, (c << bits) // total) if c else 0 for c in counts]
    if sum(1 for f in freqs if f) < 2:
        freqs += [0] * (2 - len(freqs))
        freqs[freqs.index(0)] = 1
    while sum(freqs) != 1 << bits:
        excess = sum(freqs) - (1 << bits)
        i = freqs.index(max(freqs))
        freqs[i] -= min(excess, freqs[i] // 2) if excess > 0 else excess
    return freqs


def count(symbols, n=256):
    counts = [0] * n
    for s in symbols:
        counts[s] += 1
    return counts


def table(bits, freqs, last=None):
    """The bytes of §8.2."""
    if last is None:
        last = max(s for s, f in enumerate(freqs) if f)
    acc = n = before = 0

    def put(value, width):
        nonlocal acc, n
        acc |= value << n
        n += width

    for s in range(last + 1):
        f = freqs[s] if s < len(freqs) else 0
        length = f.bit_length()
        d = length - before
        before = length
        z1 = (2 * d if d >= 0 else -2 * d - 1) + 1
        k = z1.bit_length() - 1
        put(1 << k, k + 1)
        put(z1 & ((1 << k) - 1), k)
        if length >= 2:
            put(f & ((1 << length - 1) - 1), length - 1)
    return bytes([bits, last]) + acc.to_bytes((n + 7) // 8, "little")


class Table:
    def __init__(self, bits, freqs):
        self.bits = bits
        self.freqs = list(freqs) + [0] * (256 - len(freqs))
        self.starts = [sum(self.freqs[:s]) for s in range(256)]
        self.ref = None

    def payload(self):
        return table(self.bits, self.freqs)


# ---- Models ----------------------------------------------------------------


class Plane:
    """coding: 'raw', 'constant', 'coded' or 'local'; parts: (low, bits)."""

    def __init__(self, coding, parts, tables=(), base=0, escape=None,
                 n_symbols=256, shift=0, rows=None, columns=None, bits=11):
        self.coding = ("raw", "constant", "coded", "local").index(coding)
        self.parts = parts
        self.width = sum(n for _, n in parts)
        self.tables = list(tables)
        self.base = base
        self.escape = escape
        self.n_symbols = n_symbols
        self.shift = shift
        self.rows = rows
        self.columns = columns
        self.bits = bits  # of local tables

    def values(self, elements):
        out = []
        for e in elements:
            v = 0
            for low, n in self.parts:
                v = v << n | e >> low & ((1 << n) - 1)
            out.append(v)
        return out

    def record(self):
        coded = self.coding == 2
        log2 = len(self.tables).bit_length() - 1 if coded else 0
        parts = b"".join(bytes(p) for p in self.parts).ljust(8, b"\0")
        escape = 65535 if self.escape is None else self.escape
        return struct.pack(
            "<BBBB8sHHQB7xQQ", self.coding, self.width, len(self.parts), log2,
            parts, self.n_symbols if coded else 0, escape, self.base,
            self.shift, self.rows.ref if self.rows else NONE,
            self.columns.ref if self.columns else NONE)


class Classes:
    def __init__(self, values, packed=False):
        self.values = bytes(values)
        self.packed = packed
        self.ref = None

    def payload(self):
        head = struct.pack("<QB7x", len(self.values), self.packed)
        if not self.packed:
            return head + self.values
        frame = zstd(self.values)
        return head + struct.pack("<I", len(frame)) + frame


class Model:
    def __init__(self, unit, planes):
        self.unit = unit
        self.planes = planes
        self.ref = None

    def payload(self):
        out = struct.pack("<BB6x", self.unit, len(self.planes))
        out += b"".join(p.record() for p in self.planes)
        for p in self.planes:
            if p.coding == 2:
                out += b"".join(struct.pack("<Q", t.ref) for t in p.tables)
        return out


# ---- A chunk in planes -----------------------------------------------------


def pieces(width):
    return [8] * (width // 8) + [b for b in (4, 2, 1) if width & b]


def pack_piece(bits, values):
    n = len(values)
    if bits == 8:
        return bytes(values)
    groups = -(-n // 64)
    out = bytearray(8 * bits * groups)
    for i, v in enumerate(values):
        g, k = divmod(i, 64)
        if bits == 4:
            out[32 * g + k % 32] |= v << (4 if k >= 32 else 0)
        elif bits == 2:
            out[16 * g + k % 16] |= v << 2 * (k // 16)
        else:
            out[8 * g + k // 8] |= v << k % 8
    return bytes(out)


def raw_section(planes, elements):
    out = b""
    for p in planes:
        values = p.values(elements)
        for bits in pieces(p.width):
            out += pack_piece(bits, [v & ((1 << bits) - 1) for v in values])
            values = [v >> bits for v in values]
    return out


def symbols_of(p, elements, first, width):
    """(symbol, table) of each element, and the escaped values."""
    pairs, escaped = [], []
    log2 = len(p.tables).bit_length() - 1
    for i, v in enumerate(p.values(elements)):
        q = 0
        if p.rows:
            q += p.rows.values[(first + i) // width]
        if p.columns:
            q += p.columns.values[(first + i) % width]
        t = p.tables[q % (1 << log2)]
        s = (v - p.base - ((q >> log2) << p.shift)) % (1 << p.width)
        if s >= p.n_symbols or not t.freqs[s] or s == p.escape:
            assert p.escape is not None, "a value that has no symbol"
            escaped.append(v)
            s = p.escape
        pairs.append((s, t))
    return pairs, escaped


def encode_planes(model, raw, blob_off=0, width=0, local=True, layout=None):
    """The stored bytes of one chunk.  'local': whether local planes get a
    table here.  'layout', a dict, receives where each part lies."""
    code = UNIT_CODE[model.unit]
    elements = struct.unpack("<%d%s" % (len(raw) // model.unit, code), raw)
    first = blob_off // model.unit
    runs, escapes, tables, raw_planes = [], [], [], []
    for p in model.planes:
        if p.coding == 2:
            pairs, escaped = symbols_of(p, elements, first, width)
            runs.append(pairs)
            if p.escape is not None:
                escapes.append((p, escaped))
        elif p.coding == 3 and local:
            values = p.values(elements)
            t = Table(p.bits, scale(count(values), p.bits))
            tables.append(t.payload())
            runs.append([(v, t) for v in values])
        elif p.coding == 3:
            tables.append(b"\0")
        if p.coding == 0 or p.coding == 3 and not local:
            raw_planes.append(p)
    section = raw_section(raw_planes, elements)
    n_carried = min(64, len(section) // 2) if runs else 0
    end = len(section) - 2 * n_carried
    carried = struct.unpack("<%dH" % n_carried, section[end:])
    states = [(1 << 16) + c for c in carried] + [1 << 16] * (64 - n_carried)
    words = []
    for pairs in reversed(runs):
        for i in reversed(range(len(pairs))):
            s, t = pairs[i]
            f, x = t.freqs[s], states[i % 64]
            if x >= f << 32 - t.bits:
                words.append(x & 0xFFFF)
                x >>= 16
            states[i % 64] = (x // f << t.bits) + x % f + t.starts[s]
    words.reverse()
    parts = [("word_count", struct.pack("<I", len(words)))]
    parts += [("escape_count", struct.pack("<I", len(e))) for _, e in escapes]
    parts += [("local", t) for t in tables]
    parts.append(("states", struct.pack("<64I", *states) if runs else b""))
    parts.append(("words", struct.pack("<%dH" % len(words), *words)))
    parts += [("escapes", b"".join(v.to_bytes(-(-p.width // 8), "little")
                                   for v in e)) for p, e in escapes]
    parts.append(("raw", section[:end]))
    if layout is not None:
        at = 0
        for name, part in parts:
            layout.setdefault(name, at)
            at += len(part)
        layout["end"] = at
    return b"".join(part for _, part in parts)


# ---- The container ---------------------------------------------------------


class Blob:
    """'codings' says how each chunk is stored: RAW, (CONSTANT, pattern),
    ZSTD, PLANES or (PLANES, False) for local planes without tables; any
    coding with bytes stores them as they are.  The last entry serves the
    chunks that are left."""

    def __init__(self, raw, codings=(RAW,), model=None, first_len=None,
                 log2=17, width=0, dtype=0, alg=2):
        self.raw = bytes(raw)
        self.codings = list(codings)
        self.model = model
        self.first_len = min(first_len or 1 << log2, len(raw))
        self.log2 = log2
        self.width = width
        self.dtype = dtype
        self.alg = alg

    def chunks(self):
        at, length = 0, self.first_len
        k = 0
        while at < len(self.raw):
            yield (at, self.raw[at:at + length],
                   self.codings[min(k, len(self.codings) - 1)])
            at += length
            length = 1 << self.log2
            k += 1


class Member:
    """kind: 1 file, 2 directory, 3 symbolic, 4 hard link.  'extents': (blob
    number, offset, length)."""

    def __init__(self, name=b"", kind=1, extents=(), mode=0o644,
                 mtime=1700000000123456789, alg=1, target=b""):
        self.name = name
        self.kind = kind
        self.extents = list(extents)
        self.mode = mode
        self.mtime = mtime
        self.alg = alg if kind == 1 else 0
        self.target = target


class Container:
    def __init__(self, bundle=False, suffix=b".bin", page_log2=7,
                 pool_page=1 << 20, mode=0o755, mtime=0):
        self.mode, self.mtime = mode, mtime  # of a bundle's directory
        self.data = bytearray(512)
        self.bundle = bundle
        self.suffix = suffix
        self.page_log2 = page_log2
        self.pool_page = pool_page
        self.pool = [bytearray()]
        self.blobs = []
        self.chunk_records = []
        self.members = []
        self.at = {}  # name of a part: its offset in the file
        self.extra_sections = []
        self.may = 0
        self.version = 1

    def align(self):
        self.data += bytes(-len(self.data) % 8)
        return len(self.data)

    def object(self, kind, payload):
        """Put an object into the pool; its reference."""
        page = self.pool[-1]
        page += bytes(-len(page) % 8)
        if page and len(page) + 8 + len(payload) > self.pool_page:
            self.pool.append(bytearray())
            page = self.pool[-1]
        ref = len(self.pool) - 1 << 32 | len(page)
        page += struct.pack("<II", kind, len(payload)) + payload
        return ref

    def add_model(self, model):
        if model.ref is not None:
            return
        for p in model.planes:
            for t in p.tables:
                if t.ref is None:
                    t.ref = self.object(2, t.payload())
            for c in (p.rows, p.columns):
                if c and c.ref is None:
                    c.ref = self.object(3, c.payload())
        model.ref = self.object(1, model.payload())

    def add_blob(self, blob):
        """The number of the blob."""
        if blob.model:
            self.add_model(blob.model)
        first = len(self.chunk_records)
        for at, raw, how in blob.chunks():
            coding, extra = how if isinstance(how, tuple) else (how, True)
            if isinstance(extra, bytes):
                stored = extra
            elif coding == RAW:
                stored = raw
            elif coding == ZSTD:
                stored = zstd(raw)
            else:
                stored = encode_planes(blob.model, raw, at, blob.width, extra)
                assert 1 <= len(stored) <= len(raw)
            off = self.align()
            self.at["chunk%d" % len(self.chunk_records)] = off
            self.data += stored
            self.chunk_records.append(struct.pack(
                "<QIB3xQQ", off, len(stored), coding, xxh3_64(raw),
                xxh3_64(stored)))
        self.blobs.append((blob, first, len(self.chunk_records) - first))
        return len(self.blobs) - 1

    def add_file(self, raw_blobs, **kw):
        """A file of whole blobs, one after another."""
        self.members.append(Member(extents=[
            (self.add_blob(b), 0, len(b.raw)) for b in raw_blobs], **kw))

    def bytes_of(self, member):
        return b"".join(self.blobs[b][0].raw[at:at + n]
                        for b, at, n in member.extents)

    def page_records(self):
        out = []
        per = 1 << self.page_log2
        pages = [b"".join(self.chunk_records[i:i + per])
                 for i in range(0, len(self.chunk_records), per)]
        if self.pool[-1]:
            names = ["page%d" % i for i in range(len(pages))]
            names += ["pool%d" % i for i in range(len(self.pool))]
            pages += [bytes(p) for p in self.pool]
        else:
            names = ["page%d" % i for i in range(len(pages))]
            self.pool = []
        for name, page in zip(names, pages):
            off = self.at[name] = self.align()
            self.data += page
            out.append(struct.pack("<QIIQ", off, len(page), 0, xxh3_64(page)))
        return b"".join(out)

    def member_records(self):
        members, extents, names = bytearray(), bytearray(), bytearray()
        n = 0
        for m in self.members:
            raw = self.bytes_of(m)
            members += struct.pack(
                "<BBHIqQQIIQQQQII32s16x", m.kind, m.alg, 0, m.mode, m.mtime,
                len(raw), len(names), len(m.name), len(m.target),
                len(names) + len(m.name) if m.target else 0, n,
                len(m.extents), 0, 0, 0, digest(m.alg, raw))
            names += m.name + m.target
            n += len(m.extents)
            at = 0
            for blob, off, length in m.extents:
                extents += struct.pack("<QQQQ", at, length, blob, off)
                at += length
        return members, extents, names

    def blob_records(self):
        return b"".join(struct.pack(
            "<QQQQBBBBIQQ32s8x", len(b.raw), first, n, b.first_len, b.log2,
            b.dtype, b.alg, 0, 2**32 - 1, b.width,
            b.model.ref if b.model else NONE, digest(b.alg, b.raw))
            for b, first, n in self.blobs)

    def done(self):
        """The bytes of the container."""
        pages = self.page_records()
        members, extents, names = self.member_records()
        sections = b""
        n = 0
        for kind, flags, raw in [
                (1, 0, members), (2, 0, extents), (3, 0, names),
                (4, 0, self.blob_records()), (5, 0, pages)
        ] + self.extra_sections:
            off = self.at["section%d" % kind] = self.align()
            self.data += raw
            sections += struct.pack("<HHIQQQ", kind, flags, 0, off, len(raw),
                                    xxh3_64(raw))
            n += 1
        self.align()
        m = None if self.bundle else self.members[0]
        own = m or self
        total = sum(len(self.bytes_of(x)) for x in self.members
                    if x.kind == 1)
        block = struct.pack(
            "<8sHHIQQQQQQqIBBBB32s64sQQQQ256s40x",
            b"\x89BSC\r\n\x1a\n", self.version, 512, self.bundle, 0, self.may,
            len(self.data) + 512, 0, len(self.members), total,
            own.mtime, own.mode, m.alg if m else 0,
            len(self.suffix), n, self.page_log2,
            digest(m.alg, self.bytes_of(m)) if m else bytes(32), self.suffix,
            len(self.blobs), len(self.chunk_records),
            sum(len(x.extents) for x in self.members), len(self.pool),
            sections)
        block += struct.pack("<Q", xxh3_64(block))
        self.data[:512] = block
        self.data += block
        return bytes(self.data)


# ---- Sealing again what was changed ----------------------------------------


def seal(data, chunks=True, pages=True, sections=True, blocks=True):
    """Make checksums right again, from the chunks up to the superblocks, and
    the copy equal to the first superblock."""
    d = bytearray(data)

    def fix(field, off, length):
        if off + length <= len(d):
            struct.pack_into("<Q", d, field, xxh3_64(d[off:off + length]))

    n_sections = d[78]
    where = {}
    for i in range(min(n_sections, 8)):
        kind, _, _, off, length = struct.unpack_from("<HHIQQ", d, 208 + 32 * i)
        where[kind] = (208 + 32 * i, off, length)
    _, off, length = where.get(5, (0, 0, 0))
    records = range(off, min(off + length, len(d) - 24), 24)
    n_index = -(-struct.unpack_from("<Q", d, 184)[0] // (1 << d[79] % 12))
    for i, rec in enumerate(records):
        at, size = struct.unpack_from("<QI", d, rec)
        if chunks and i < n_index and at + size <= len(d):
            for c in range(at, at + size, 32):
                fix(c + 24, *struct.unpack_from("<QI", d, c))
        if pages:
            fix(rec + 16, at, size)
    if sections:
        for field, off, length in where.values():
            fix(field + 24, off, length)
    if blocks:
        fix(504, 0, 504)
        d[-512:] = d[:512]
    return bytes(d)
