#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""refdec.py - a second decoder of the container, from docs/format.md alone

It shares nothing with the C code: where the two disagree, one of them or the
document is wrong.  It is written to be read beside the document, section by
section, and checks every checksum, digest, bound and reserved field that the
document names.  Only zstd frames are left to the zstd program.

usage: refdec.py FILE.bs [-o OUT] [--list] [--sha256]
       refdec.py --results FILE.bs...

OUT is the file, or for a bundle the directory, that is made.  --list prints
what the container says of each member, --sha256 the hash of each file;
--results one line of name and result for each of many containers.
Exit 0; or 1 and one sentence that begins with the name of the result.
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
MAGIC = b"\x89BSC\r\n\x1a\n"
FILE, DIRECTORY, SYMLINK, HARDLINK = 1, 2, 3, 4
PLANE_RAW, PLANE_CONSTANT, PLANE_CODED, PLANE_LOCAL = 0, 1, 2, 3


class Bad(Exception):
    """The container is refused: the name of the result, and a sentence."""

    def __init__(self, name, text):
        super().__init__("BS_ERR_%s: %s" % (name, text))
        self.name = name


def check(good, text, name="CORRUPT"):
    if not good:
        raise Bad(name, text)


def ceil_div(a, b):
    return -(-a // b)


# ---- 3. Superblock ---------------------------------------------------------

SUPERBLOCK = struct.Struct("<8sHHIQQQQQQqIBBBB32s64sQQQQ256s40sQ")


class Superblock:
    def __init__(self, raw):
        (self.magic, self.version, self.length, self.flags, self.must,
         self.may, self.container_len, self.previous, self.n_members,
         self.total_size, self.mtime, self.mode, self.digest_alg,
         self.suffix_len, self.n_sections, self.page_log2, self.digest,
         self.suffix, self.n_blobs, self.n_chunks, self.n_extents,
         self.n_pool_pages, self.sections, self.reserved,
         self.checksum) = SUPERBLOCK.unpack(raw)
        self.damage = None
        if self.magic != MAGIC:
            self.damage = "the magic is wrong"
        elif self.length != 512:
            self.damage = "the superblock's length is wrong"
        elif self.checksum != xxh3_64(raw[:504]):
            self.damage = "the superblock's checksum is wrong"

    @property
    def is_bundle(self):
        return self.flags & 1 == 1


def find_superblock(data):
    check(data[:4] not in (b"BGSM", b"BGSD"),
          "this is a file of BigSmall (Python)", "VERSION")
    is_ours = data[:8] == MAGIC
    first = Superblock(data[:512]) if len(data) >= 512 else None
    if first and not first.damage:
        return first
    if len(data) >= 1024:
        copy = Superblock(data[-512:])
        if not copy.damage:
            return copy
    check(is_ours, "this is not a container", "MAGIC")
    check(first, "the file ends inside the superblock", "TRUNCATED")
    raise Bad("CHECKSUM", first.damage + ", and there is no good copy")


def check_digest(alg, digest, what):
    check(alg <= 2, what + " has an unknown digest algorithm")
    check(alg != 2 or not any(digest[16:]),
          what + " has bytes after its digest")


def digest_of(alg, raw):
    if alg == 1:
        return hashlib.sha256(raw).digest()
    return xxh3_128(raw) + bytes(16)


def check_superblock(sb, size):
    check(sb.version <= 1, "version %d is not known" % sb.version, "VERSION")
    check(sb.must == 0, "features %#x are not known" % sb.must, "FEATURE")
    check(sb.container_len <= size, "the file is truncated", "TRUNCATED")
    check(sb.container_len == size, "bytes follow the container")
    check(size >= 1024, "there is no room for two superblocks")
    check(sb.flags <= 1, "a reserved flag is set")
    check(not any(sb.reserved), "reserved bytes are set")
    check(sb.suffix_len <= 64, "the suffix is too long")
    check(not any(sb.suffix[sb.suffix_len:]), "bytes follow the suffix")
    check(not set(sb.suffix[:sb.suffix_len]) & {0, 0x2F},
          "the suffix has a NUL or a slash")
    check(5 <= sb.n_sections <= 8, "the number of sections is wrong")
    check(not any(sb.sections[32 * sb.n_sections:]),
          "bytes follow the sections")
    check(7 <= sb.page_log2 <= 11, "the records of a page are too many or few")
    check(sb.mode <= 0o7777, "the mode has more than permission bits")
    check_digest(sb.digest_alg, sb.digest, "the superblock")
    if sb.is_bundle:
        check(sb.digest_alg == 0, "a bundle has a digest")
    else:
        check(sb.n_members == 1, "a single file has several members")


# ---- 4 to 7. The directory -------------------------------------------------

MEMBER = struct.Struct("<BBHIqQQIIQQQQII32s16s")
EXTENT = struct.Struct("<QQQQ")
BLOB = struct.Struct("<QQQQBBBBIQQ32s8s")
PAGE = struct.Struct("<QIIQ")
CHUNK = struct.Struct("<QIB3sQQ")


class Record:
    def __init__(self, **fields):
        self.__dict__.update(fields)


class Container:
    """An open container: the directory is checked, pages and chunks when
    read."""

    def __init__(self, data):
        self.data = data
        self.sb = find_superblock(data)
        check_superblock(self.sb, len(data))
        self.pool = {}
        self.models = {}
        self.read_sections()
        self.read_pages()
        self.read_blobs()
        self.read_extents()
        self.read_members()

    def stored(self, off, length, what):
        check(off % 8 == 0, what + " does not begin at a multiple of 8")
        check(off >= 512 and off + length <= self.sb.container_len - 512,
              what + " is not between the superblocks")
        return self.data[off:off + length]

    def read_sections(self):
        self.sections = {}
        for i in range(self.sb.n_sections):
            kind, flags, reserved, off, length, checksum = struct.unpack_from(
                "<HHIQQQ", self.sb.sections, 32 * i)
            check(flags <= 1 and reserved == 0, "a section's reserved bits")
            check(kind not in self.sections, "a section is there twice")
            check(1 <= kind <= 5 or flags == 0,
                  "section type %d is not known" % kind, "FEATURE")
            check(length <= 2**30, "a section is too long")
            raw = self.stored(off, length, "section %d" % kind)
            self.sections[kind] = raw
            # What is not understood is not read.
            check(not 1 <= kind <= 5 or xxh3_64(raw) == checksum,
                  "section %d differs from its checksum" % kind, "CHECKSUM")
        for kind in range(1, 6):
            check(kind in self.sections, "section %d is missing" % kind)
        self.names = self.sections[3]

    def records(self, kind, layout, count):
        raw = self.sections[kind]
        check(len(raw) == count * layout.size,
              "the length of section %d is not that of its records" % kind)
        return layout.iter_unpack(raw)

    def read_pages(self):
        per_page = 1 << self.sb.page_log2
        n_index = ceil_div(self.sb.n_chunks, per_page)
        self.pages = []
        for i, (off, length, reserved, checksum) in enumerate(self.records(
                5, PAGE, n_index + self.sb.n_pool_pages)):
            check(reserved == 0, "a page record's reserved bytes")
            if i < n_index:
                n = min(per_page, self.sb.n_chunks - i * per_page)
                check(length == 32 * n, "an index page's length is wrong")
            else:
                check(1 <= length <= 2**24, "a pool page's length is wrong")
            self.stored(off, length, "page %d" % i)
            self.pages.append((off, length, checksum))
        self.n_index = n_index

    def page(self, i):
        off, length, checksum = self.pages[i]
        raw = self.data[off:off + length]
        check(xxh3_64(raw) == checksum,
              "page %d differs from its checksum" % i, "CHECKSUM")
        return raw

    def read_blobs(self):
        self.blobs = []
        n = 0
        for (length, first_chunk, n_chunks, first_len, log2, dtype, alg,
             reserved, base, width, model, digest, reserved2) in self.records(
                 4, BLOB, self.sb.n_blobs):
            check(reserved == 0 and not any(reserved2),
                  "a blob's reserved bytes")
            check(length > 0, "a blob is empty")
            check(17 <= log2 <= 19, "a blob's chunk size is wrong")
            check(first_chunk == n, "a blob's first chunk is wrong")
            check(1 <= first_len <= min((1 << log2) + 7, length),
                  "a blob's first chunk has a wrong length")
            check(n_chunks == 1 + ceil_div(length - first_len, 1 << log2),
                  "a blob's number of chunks is wrong")
            check(base == 2**32 - 1, "a blob has a base without its feature")
            check_digest(alg, digest, "a blob")
            n += n_chunks
            if dtype > 20:
                dtype = 0
            self.blobs.append(Record(
                length=length, first_chunk=first_chunk, n_chunks=n_chunks,
                first_len=first_len, size=1 << log2, dtype=dtype, alg=alg,
                width=width, model=model, digest=digest))
        check(n == self.sb.n_chunks, "the number of chunks is wrong")

    def read_extents(self):
        self.extents = []
        for off, length, blob, blob_off in self.records(
                2, EXTENT, self.sb.n_extents):
            check(length > 0, "an extent is empty")
            check(blob < len(self.blobs), "an extent's blob is not there")
            check(blob_off + length <= self.blobs[blob].length,
                  "an extent ends past its blob")
            self.extents.append((off, length, blob, blob_off))

    def name(self, off, length, what):
        check(length <= 4096, what + " is too long")
        check(off + length <= len(self.names), what + " is not in Names")
        return self.names[off:off + length]

    def read_members(self):
        self.members = []
        n = total = 0
        for (kind, alg, reserved, mode, mtime, size, name_off, name_len,
             target_len, target_off, first, count, _, _, reserved2, digest,
             reserved3) in self.records(1, MEMBER, self.sb.n_members):
            check(not reserved and not reserved2 and not any(reserved3),
                  "a member's reserved bytes")
            check(1 <= kind <= 4, "a member has an unknown type")
            check(mode <= 0o7777, "a mode has more than permission bits")
            check_digest(alg, digest, "a member")
            if kind != FILE:
                check(not alg and not size and not count,
                      "a member without bytes has a size, extents or digest")
            if kind in (FILE, DIRECTORY):
                check(target_len == 0, "a member that is no link has a target")
            check(first == n, "a member's first extent is wrong")
            n += count
            check(n <= len(self.extents), "a member's extents are not there")
            at = 0
            for off, length, _, _ in self.extents[first:n]:
                check(off == at, "a member's extents do not follow each other")
                at += length
            check(at == size, "a member's extents do not end at its size")
            total += size
            self.members.append(Record(
                kind=kind, alg=alg, mode=mode, mtime=mtime, size=size,
                name=self.name(name_off, name_len, "a name"),
                target=self.name(target_off, target_len, "a link's target")
                if target_len else b"", first=first, count=count,
                digest=digest))
        check(n == len(self.extents), "extents belong to no member")
        check(total == self.sb.total_size, "the total size is wrong")
        check(total < 2**63, "the files are larger than files can be")
        if self.sb.is_bundle:
            self.check_names()
        else:
            self.check_single()

    def check_single(self):
        m, sb = self.members[0], self.sb
        check(m.kind == FILE and m.name == b"",
              "the member of a single file is not a file without a name")
        check((m.size, m.mode, m.mtime, m.alg, m.digest)
              == (sb.total_size, sb.mode, sb.mtime, sb.digest_alg, sb.digest),
              "the member differs from the superblock")

    def check_names(self):
        before = None
        kinds = {}
        for m in self.members:
            parts = m.name.split(b"/")
            for part in parts:
                check(1 <= len(part) <= 255 and part not in (b".", b"..")
                      and 0 not in part, "a name is not a path")
            check(before is None or before < parts,
                  "members are not in order")
            before = parts
            check(len(parts) == 1
                  or kinds.get(b"/".join(parts[:-1])) == DIRECTORY,
                  "a member's parent is not a directory")
            kinds[m.name] = m.kind
        for m in self.members:
            check(m.kind != HARDLINK or m.target in kinds,
                  "a hard link's member is not there")
        links = {m.name: m.target for m in self.members if m.kind == SYMLINK}
        steps = 65536 + 64 * len(self.members)
        for name in links:
            steps -= self.follow(links, name)
            check(steps >= 0, "the links are too long to follow")

    def follow(self, links, name):
        """Walk along a symbolic link; the components that took."""
        place = name.split(b"/")
        todo = [place.pop()]
        targets = steps = 0
        while todo:
            part = todo.pop(0)
            if part in (b"", b"."):
                steps += part != b""
                continue
            steps += targets > 0
            if part == b"..":
                check(place, "a link leads out of the bundle")
                place.pop()
                continue
            target = links.get(b"/".join(place + [part]))
            if target is None:
                place.append(part)
                check(len(part) <= 255 and len(b"/".join(place)) <= 4096,
                      "a link leads to no path")
                continue
            targets += 1
            check(targets <= 40, "a link leads to itself")
            check(not target.startswith(b"/"), "a link is absolute")
            todo = target.split(b"/") + todo
        return steps

    # ---- 7. Chunks ---------------------------------------------------------

    def chunk(self, blob, i):
        """Chunk i of a blob, decoded."""
        number = blob.first_chunk + i
        per_page = 1 << self.sb.page_log2
        page = self.page_cached(number // per_page)
        off, length, coding, reserved, raw_sum, stored_sum = CHUNK.unpack_from(
            page, number % per_page * 32)
        at = 0 if i == 0 else blob.first_len + (i - 1) * blob.size
        raw_len = blob.first_len if i == 0 else min(blob.size,
                                                    blob.length - at)
        check(not any(reserved), "a chunk record's reserved bytes")
        check(1 <= length <= raw_len, "a chunk's stored length is wrong")
        check(coding <= 3, "a chunk has an unknown coding")
        stored = self.stored(off, length, "chunk %d" % number)
        if coding == 0:
            check(length == raw_len, "a raw chunk's length is wrong")
        elif coding == 1:
            check(length in (1, 2, 4, 8) and raw_len % length == 0,
                  "a constant chunk's pattern is wrong")
        elif coding == 3:
            check(blob.model != NONE, "a chunk in planes has no model")
            model = self.model(blob.model)
        check(xxh3_64(stored) == stored_sum,
              "chunk %d differs from its stored checksum" % number, "CHECKSUM")
        if coding == 0:
            raw = stored
        elif coding == 1:
            raw = stored * (raw_len // length)
        elif coding == 2:
            raw = zstd(stored)
        else:
            raw = decode_planes(model, blob, at, raw_len, stored)
        check(len(raw) == raw_len, "a chunk decodes to another length")
        check(xxh3_64(raw) == raw_sum,
              "chunk %d differs from its checksum" % number, "CHECKSUM")
        return raw

    def page_cached(self, i):
        if i not in self.pool:
            self.pool[i] = self.page(i)
        return self.pool[i]

    def blob_bytes(self, i):
        blob = self.blobs[i]
        raw = b"".join(self.chunk(blob, k) for k in range(blob.n_chunks))
        check(blob.alg == 0 or digest_of(blob.alg, raw) == blob.digest,
              "blob %d differs from its digest" % i, "CHECKSUM")
        return raw

    # ---- 8. Objects --------------------------------------------------------

    def object(self, ref, kind):
        page, off = ref >> 32, ref & 0xFFFFFFFF
        check(page < self.sb.n_pool_pages, "a reference to no page")
        raw = self.page_cached(self.n_index + page)
        check(off % 8 == 0, "a reference that is not a multiple of 8")
        check(off + 8 <= len(raw), "a reference past its page")
        found, length = struct.unpack_from("<II", raw, off)
        check(found == kind, "a reference to an object of another type")
        check(off + 8 + length <= len(raw), "an object that leaves its page")
        return raw[off + 8:off + 8 + length]

    def model(self, ref):
        if ref not in self.models:
            self.models[ref] = Model(self, ref)
        return self.models[ref]

    def classes(self, ref):
        if ref == NONE:
            return None
        raw = self.object(ref, 3)
        check(len(raw) >= 16, "a class array is too short")
        count, encoding, reserved = struct.unpack_from("<QB7s", raw)
        check(1 <= count <= 2**24, "the number of classes is wrong")
        check(not any(reserved), "a class array's reserved bytes")
        check(encoding <= 1, "a class array has an unknown encoding")
        if encoding == 0:
            end = 16 + count
            check(end <= len(raw), "a class array is too short")
            values = raw[16:end]
        else:
            check(len(raw) >= 20, "a class array is too short")
            end = 20 + struct.unpack_from("<I", raw, 16)[0]
            check(end <= len(raw), "a class array is too short")
            values = zstd(raw[20:end])
            check(len(values) == count, "the number of classes is wrong")
        check(len(raw) - end <= 7 and not any(raw[end:]),
              "bytes follow the classes")
        return values


def zstd(frame):
    """The content of exactly one frame without a dictionary (RFC 8878)."""
    try:
        check(frame[:4] == b"\x28\xb5\x2f\xfd", "a zstd frame's magic")
        descriptor = frame[4]
        single = descriptor >> 5 & 1
        n_dict = (0, 1, 2, 4)[descriptor & 3]
        n_size = (single, 2, 4, 8)[descriptor >> 6]
        at = 5 + (1 - single)
        check(not any(frame[at:at + n_dict]), "a zstd frame has a dictionary")
        at += n_dict + n_size
        last = 0
        while not last:
            check(at + 3 <= len(frame), "a zstd frame is cut off")
            header = int.from_bytes(frame[at:at + 3], "little")
            last = header & 1
            at += 3 + (1 if header >> 1 & 3 == 1 else header >> 3)
        at += 4 * (descriptor >> 2 & 1)
    except IndexError:
        raise Bad("CORRUPT", "a zstd frame is cut off") from None
    check(at == len(frame), "a zstd frame ends elsewhere than it should")
    run = subprocess.run(["zstd", "-dcq"], input=frame, capture_output=True,
                         check=False)
    check(run.returncode == 0, "a zstd frame does not decode")
    return run.stdout


# ---- 8.2 Table -------------------------------------------------------------

class Bits:
    """Bits from bytes, least significant first."""

    def __init__(self, raw, off):
        self.raw = raw
        self.at = 8 * off

    def get(self, n):
        value = 0
        for k in range(n):
            check(self.at >> 3 < len(self.raw), "a table is cut off")
            value |= (self.raw[self.at >> 3] >> (self.at & 7) & 1) << k
            self.at += 1
        return value

    def gamma(self):
        k = 0
        while not self.get(1):
            k += 1
            check(k <= 4, "a table's code is too long")
        return 1 << k | self.get(k)

    def end(self):
        """The padding to a byte is zero; the offset after it."""
        while self.at & 7:
            check(self.get(1) == 0, "a table's padding is not zero")
        return self.at >> 3


class Table:
    """Frequencies, and for each slot what decoding a symbol needs."""

    def __init__(self, raw, off):
        check(off + 2 <= len(raw), "a table is cut off")
        self.bits, last = raw[off], raw[off + 1]
        check(10 <= self.bits <= 12, "a table's precision is wrong")
        bits = Bits(raw, off + 2)
        self.freqs = []
        length = 0
        for _ in range(last + 1):
            z = bits.gamma() - 1
            length += -(z + 1) // 2 if z & 1 else z // 2
            check(0 <= length <= 12, "a frequency has no such length")
            freq = length if length < 2 else (
                1 << (length - 1) | bits.get(length - 1))
            check(freq < 1 << self.bits, "a frequency is too large")
            self.freqs.append(freq)
        self.end = bits.end()
        check(sum(self.freqs) == 1 << self.bits, "frequencies do not sum up")
        self.symbol, self.freq, self.bias = [], [], []
        for s, freq in enumerate(self.freqs):
            self.symbol += [s] * freq
            self.freq += [freq] * freq
            self.bias += range(freq)

    def limit(self, n_symbols):
        check(not any(self.freqs[n_symbols:]),
              "a table has a symbol that its plane lacks")


# ---- 8.1 Model -------------------------------------------------------------

class Plane:
    def __init__(self, raw, off):
        (self.coding, self.width, n_parts, self.table_log2, parts,
         self.n_symbols, self.escape, self.base, self.shift, reserved,
         self.row_ref, self.col_ref) = struct.unpack_from(
             "<BBBB8sHHQB7sQQ", raw, off)
        check(self.coding <= 3, "a plane has an unknown coding")
        check(1 <= self.width <= 64, "a plane's width is wrong")
        check(1 <= n_parts <= 4, "a plane's parts are too many or few")
        self.parts = [(parts[2 * i], parts[2 * i + 1])
                      for i in range(n_parts)]
        check(not any(parts[2 * n_parts:]), "a plane has unused parts")
        check(sum(n for _, n in self.parts) == self.width,
              "a plane's width is not that of its parts")
        check(not any(reserved), "a plane's reserved bytes")
        if self.coding == PLANE_CODED:
            check(self.width <= 16, "a coded plane is too wide")
            check(self.table_log2 <= 5, "a plane has too many tables")
            check(2 <= self.n_symbols <= 256, "a plane's symbols are wrong")
            check(self.escape == 65535 or self.escape < self.n_symbols,
                  "a plane's escape is not a symbol")
            check(self.shift < 16, "a plane's shift is wrong")
        else:
            check(self.table_log2 == 0 and self.n_symbols == 0
                  and self.escape == 65535 and self.shift == 0
                  and self.row_ref == NONE and self.col_ref == NONE,
                  "a plane has fields of another coding")
            check(self.coding != PLANE_LOCAL or self.width <= 8,
                  "a local plane is too wide")
            check(self.coding == PLANE_CONSTANT or self.base == 0,
                  "a plane has a base that it cannot use")
        check(self.base >> self.width == 0, "a plane's base is no value of it")
        self.tables = []
        self.rows = self.columns = None

    @property
    def has_escape(self):
        return self.coding == PLANE_CODED and self.escape != 65535


class Model:
    def __init__(self, container, ref):
        raw = container.object(ref, 1)
        check(len(raw) >= 8, "a model is too short")
        self.unit, n_planes, reserved = struct.unpack_from("<BB6s", raw)
        check(self.unit in (1, 2, 4, 8), "a model's unit is wrong")
        check(1 <= n_planes <= 16, "a model's planes are too many or few")
        check(not any(reserved), "a model's reserved bytes")
        at = 8 + 48 * n_planes
        check(at <= len(raw), "a model is too short")
        self.planes = [Plane(raw, 8 + 48 * i) for i in range(n_planes)]
        self.check_bits()
        coded = [p for p in self.planes if p.coding == PLANE_CODED]
        n_tables = sum(1 << p.table_log2 for p in coded)
        check(n_tables <= 32, "a model has too many tables")
        check(len(raw) == at + 8 * n_tables, "a model's length is wrong")
        n_classes = 0
        for p in coded:
            for _ in range(1 << p.table_log2):
                ref, = struct.unpack_from("<Q", raw, at)
                at += 8
                p.tables.append(self.read_table(container, ref, p))
            check(len({t.bits for t in p.tables}) == 1,
                  "a plane's tables differ in precision")
            p.rows = container.classes(p.row_ref)
            p.columns = container.classes(p.col_ref)
            n_classes += len(p.rows or b"") + len(p.columns or b"")
            check(n_classes <= 2**24, "a model has too many classes")

    @staticmethod
    def read_table(container, ref, plane):
        raw = container.object(ref, 2)
        table = Table(raw, 0)
        check(len(raw) - table.end <= 7 and not any(raw[table.end:]),
              "bytes follow a table")
        table.limit(plane.n_symbols)
        return table

    def check_bits(self):
        held = 0
        for p in self.planes:
            for low, n in p.parts:
                check(low + n <= 8 * self.unit, "a part leaves the element")
                mask = ((1 << n) - 1) << low
                check(not held & mask, "two planes hold the same bit")
                held |= mask
        check(held == (1 << 8 * self.unit) - 1, "no plane holds some bit")


# ---- 9. A chunk coded in planes --------------------------------------------

class Reader:
    def __init__(self, raw):
        self.raw = raw
        self.at = 0

    def take(self, n):
        check(n <= len(self.raw) - self.at, "a chunk in planes is cut off")
        self.at += n
        return self.raw[self.at - n:self.at]

    def u32(self):
        return int.from_bytes(self.take(4), "little")

    def array(self, code, n):
        return struct.unpack("<%d%s" % (n, code),
                             self.take(n * struct.calcsize("<" + code)))


def pieces_of(width):
    """The bits of a raw value's pieces, least significant first."""
    return [8] * (width // 8) + [b for b in (4, 2, 1) if width & b]


def piece_len(bits, n):
    return n if bits == 8 else 8 * bits * ceil_div(n, 64)


def read_piece(bits, n, raw):
    if bits == 8:
        return raw[:n]
    out = []
    for g in range(ceil_div(n, 64)):
        group = raw[8 * bits * g:8 * bits * (g + 1)]
        if bits == 4:
            out += [b & 15 for b in group]
            out += [b >> 4 for b in group]
        elif bits == 2:
            for m in range(4):
                out += [b >> 2 * m & 3 for b in group]
        else:
            for b in group:
                out += [b >> k & 1 for k in range(8)]
    return out[:n]


class Lanes:
    """The 64 rANS decoders and the words that they share."""

    def __init__(self, states, words):
        self.states = list(states)
        self.words = words
        self.used = 0

    def decode(self, n, table_of):
        """n symbols; table_of(i) is the table of element i."""
        states, words, used = self.states, self.words, self.used
        out = []
        try:
            for i in range(n):
                t = table_of(i)
                x = states[i & 63]
                slot = x & ((1 << t.bits) - 1)
                x = t.freq[slot] * (x >> t.bits) + t.bias[slot]
                if x < 1 << 16:
                    x = x << 16 | words[used]
                    used += 1
                states[i & 63] = x
                out.append(t.symbol[slot])
        except IndexError:
            raise Bad("CORRUPT", "a chunk's words are too few") from None
        self.used = used
        return out

    def carried(self):
        check(self.used == len(self.words), "a chunk's words are too many")
        for x in self.states:
            check(x >> 16 == 1, "a lane ends in a wrong state")
        return [x & 0xFFFF for x in self.states]


def coded_values(plane, lanes, blob, first, n):
    """Values of a plane of coding 2; None where an escape stands."""
    sums = None
    if plane.rows is not None or plane.columns is not None:
        width = blob.width
        check(width > 0, "a blob with classes has no width")
        rows, columns = plane.rows, plane.columns
        check(columns is None or len(columns) >= width,
              "column classes are too few")
        sums = []
        for at in range(first, first + n):
            r, c = divmod(at, width)
            check(rows is None or r < len(rows), "row classes are too few")
            sums.append((rows[r] if rows is not None else 0)
                        + (columns[c] if columns is not None else 0))
    mask = (1 << plane.width) - 1
    tables, log2 = plane.tables, plane.table_log2
    if sums is None:
        symbols = lanes.decode(n, lambda i: tables[0])
        return [None if s == plane.escape else s + plane.base & mask
                for s in symbols]
    symbols = lanes.decode(n, lambda i: tables[sums[i] % (1 << log2)])
    return [None if s == plane.escape else
            s + plane.base + ((q >> log2) << plane.shift) & mask
            for s, q in zip(symbols, sums)]


def decode_planes(model, blob, blob_off, raw_len, stored):
    check(raw_len % model.unit == 0,
          "a chunk in planes does not consist of whole elements")
    n = raw_len // model.unit
    check(blob_off % model.unit == 0,
          "a chunk in planes does not begin with an element")
    first = blob_off // model.unit

    read = Reader(stored)
    n_words = read.u32()
    n_escapes = {p: read.u32() for p in model.planes if p.has_escape}
    local = {}
    for p in model.planes:
        if p.coding != PLANE_LOCAL:
            continue
        if read.at < len(stored) and stored[read.at] == 0:
            read.take(1)
            continue
        local[p] = Table(stored, read.at)
        read.at = local[p].end
        local[p].limit(1 << p.width)
    is_coded = local or any(p.coding == PLANE_CODED for p in model.planes)
    check(is_coded or n_words == 0, "a chunk has words and no coded plane")
    states = read.array("I", 64) if is_coded else ()
    lanes = Lanes(states, read.array("H", n_words))

    values = {}
    for p in model.planes:
        if p.coding == PLANE_CODED:
            values[p] = coded_values(p, lanes, blob, first, n)
        elif p in local:
            values[p] = lanes.decode(n, lambda i, t=local[p]: t)
        elif p.coding == PLANE_CONSTANT:
            values[p] = [p.base] * n
    for p, count in n_escapes.items():
        size = ceil_div(p.width, 8)
        raw = read.take(count * size)
        mask = (1 << p.width) - 1
        queue = iter([int.from_bytes(raw[size * k:size * (k + 1)], "little")
                      & mask for k in range(count)])
        check(values[p].count(None) == count,
              "the number of escapes is wrong")
        values[p] = [next(queue) if v is None else v for v in values[p]]

    raw_planes = [p for p in model.planes if p not in values]
    raw_size = sum(piece_len(b, n) for p in raw_planes
                   for b in pieces_of(p.width))
    n_carried = min(64, raw_size // 2) if is_coded else 0
    section = read.take(raw_size - 2 * n_carried)
    check(read.at == len(stored), "bytes follow a chunk in planes")
    if is_coded:
        carried = lanes.carried()
        check(not any(carried[n_carried:]),
              "a lane carried what it should not")
        section += struct.pack("<%dH" % n_carried, *carried[:n_carried])
    for p in raw_planes:
        values[p], section = read_raw(p.width, n, section)
    return join(model, n, values)


def read_raw(width, n, section):
    """One raw plane's values, and what follows it in the raw section."""
    values, low = [0] * n, 0
    for bits in pieces_of(width):
        length = piece_len(bits, n)
        piece = read_piece(bits, n, section[:length])
        section = section[length:]
        values = [v | x << low for v, x in zip(values, piece)]
        low += bits
    return values, section


def join(model, n, values):
    elements = [0] * n
    for p in model.planes:
        column, left = values[p], p.width
        for low, bits in p.parts:
            left -= bits
            mask = (1 << bits) - 1
            elements = [e | (v >> left & mask) << low
                        for e, v in zip(elements, column)]
    code = {1: "B", 2: "H", 4: "I", 8: "Q"}[model.unit]
    return struct.pack("<%d%s" % (n, code), *elements)


# ---- The whole -------------------------------------------------------------

def decode(container):
    """The bytes of every member, in order; None where it has none.  Blobs
    and objects that no member needs are checked as well."""
    blobs = [container.blob_bytes(i) for i in range(len(container.blobs))]
    for blob in container.blobs:
        if blob.model != NONE:
            container.model(blob.model)
    out = []
    for m in container.members:
        if m.kind != FILE:
            out.append(None)
            continue
        raw = b"".join(blobs[b][at:at + length] for _, length, b, at in
                       container.extents[m.first:m.first + m.count])
        check(m.alg == 0 or digest_of(m.alg, raw) == m.digest,
              "a member differs from its digest", "CHECKSUM")
        out.append(raw)
    return out


def write(container, contents, out):
    """Make the file or the tree.  Links come last: nothing is written through
    one."""
    if not container.sb.is_bundle:
        with open(out, "wb") as f:
            f.write(contents[0])
        finish(os.fsencode(out), container.members[0])
        return
    top = os.fsencode(out)
    os.mkdir(top)
    for m, raw in zip(container.members, contents):
        path = os.path.join(top, m.name)
        if m.kind == DIRECTORY:
            os.mkdir(path)
        elif m.kind == FILE:
            with open(path, "wb") as f:
                f.write(raw)
    for m in container.members:
        path = os.path.join(top, m.name)
        if m.kind == HARDLINK:
            os.link(os.path.join(top, m.target), path)
        elif m.kind == SYMLINK:
            os.symlink(m.target, path)
    for m in reversed(container.members):
        if m.kind in (FILE, DIRECTORY):
            finish(os.path.join(top, m.name), m)
    finish(top, container.sb)


def finish(path, member):
    os.chmod(path, member.mode)
    os.utime(path, ns=(member.mtime, member.mtime))


def file_name(container, path):
    """The name of a single file: the container's own stem and the suffix."""
    stem = os.fsencode(os.path.basename(path))
    if stem.endswith(b".bs"):
        stem = stem[:-3]
    return stem + container.sb.suffix[:container.sb.suffix_len]


def print_results(paths):
    for path in paths:
        result = "BS_OK"
        try:
            with open(path, "rb") as f:
                decode(Container(f.read()))
        except Bad as bad:
            result = "BS_ERR_" + bad.name
        print(os.path.basename(path), result)
    return 0


def main(args):
    if args[:1] == ["--results"]:
        return print_results(args[1:])
    path = out = None
    wants = set()
    while args:
        arg = args.pop(0)
        if arg in ("--list", "--sha256"):
            wants.add(arg)
        elif arg == "-o" and args:
            out = args.pop(0)
        elif path is None and not arg.startswith("-"):
            path = arg
        else:
            path = None
            break
    if path is None:
        sys.exit("usage: refdec.py FILE.bs [-o OUT] [--list] [--sha256]")
    with open(path, "rb") as f:
        data = f.read()
    try:
        container = Container(data)
        contents = decode(container)
    except Bad as bad:
        print(bad, file=sys.stderr)
        return 1
    if out is not None:
        write(container, contents, out)
    show = sys.stdout.buffer.write
    for m, raw in zip(container.members, contents):
        name = m.name if container.sb.is_bundle else file_name(container, path)
        if "--list" in wants:
            link = b" -> " + m.target if m.target else b""
            show(b"%c %o %d %d %s%s\n" % (b"?fdlh"[m.kind], m.mode, m.mtime,
                                          m.size, name, link))
        if "--sha256" in wants and raw is not None:
            show(b"%s  %s\n" % (hashlib.sha256(raw).hexdigest().encode(),
                                name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
