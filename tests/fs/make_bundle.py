#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a bundle as docs/format.md says, by the encoder of tests/golden.

usage: make_bundle.py DIR FILE		all that is in DIR
       make_bundle.py flat|deep N FILE	N entries, each file the same 14 bytes

Small files share a blob, others have one each: planes for the first 3000 bytes
of a .safetensors, zstd or as they are for the rest.  The same bytes for the
same contents, modes and times.
"""

import os
import stat
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "golden"))
from refenc import PLANES, RAW, ZSTD, Blob, Container, Member, zstd  # noqa: E402
from samples import bf16_model  # noqa: E402

SMALL = 4096
PLANES_LEN = 3000


def walk(top, below=b""):
    """The paths below 'top', in the order of members."""
    for name in sorted(os.listdir(os.path.join(top, below) or b".")):
        path = os.path.join(below, name)
        yield path
        full = os.path.join(top, path)
        if os.path.isdir(full) and not os.path.islink(full):
            yield from walk(top, path)


def in_order(path):
    return path.split(b"/")


def plain(raw):
    """zstd where it saves, chunk by chunk."""
    blob = Blob(raw)
    blob.codings = [
        ZSTD if len(set(part[:1000])) < 100 and len(zstd(part)) < len(part)
        else RAW for _, part, _ in list(blob.chunks())]
    return blob


def blobs_of(name, raw):
    """What a file is stored as: the numbers of bytes and their coding."""
    if name.endswith(b".safetensors") and len(raw) > PLANES_LEN:
        head = raw[:PLANES_LEN]
        yield Blob(head, [PLANES], bf16_model(head, 80), dtype=1)
        raw = raw[PLANES_LEN:]
    if raw:
        yield plain(raw)


def pack(top):
    st = os.stat(top)
    c = Container(bundle=True, suffix=b"", mode=st.st_mode & 0o7777,
                  mtime=st.st_mtime_ns)
    paths = sorted(walk(os.fsencode(top)), key=in_order)
    shared, small, first = bytearray(), {}, {}
    for path in paths:
        full = os.path.join(os.fsencode(top), path)
        st = os.lstat(full)
        if stat.S_ISREG(st.st_mode) and 0 < st.st_size <= SMALL:
            with open(full, "rb") as f:
                small[path] = len(shared), st.st_size
                shared += f.read()
    one = c.add_blob(plain(shared)) if shared else None
    for path in paths:
        full = os.path.join(os.fsencode(top), path)
        st = os.lstat(full)
        kw = {"mode": st.st_mode & 0o7777, "mtime": st.st_mtime_ns}
        if stat.S_ISDIR(st.st_mode):
            c.members.append(Member(path, 2, **kw))
        elif stat.S_ISLNK(st.st_mode):
            c.members.append(Member(path, 3, target=os.readlink(full), **kw))
        elif (st.st_dev, st.st_ino) in first:
            c.members.append(Member(
                path, 4, target=first[st.st_dev, st.st_ino], **kw))
        else:
            first[st.st_dev, st.st_ino] = path
            if path in small:
                extents = [(one,) + small[path]]
            else:
                with open(full, "rb") as f:
                    extents = [(c.add_blob(b), 0, len(b.raw))
                               for b in blobs_of(path, f.read())]
            c.members.append(Member(path, extents=extents, **kw))
    return c


def many(kind, n):
    """Directories count: n entries in all."""
    c = Container(bundle=True, suffix=b"", mode=0o755)
    text = c.add_blob(Blob(b'{"hidden": 1}\n'))
    paths = []
    if kind == "flat":
        paths = [(b"file-%06d.json" % i, 1) for i in range(n)]
    else:
        # directories within directories, eight to each, and 16 files
        todo = [b""]
        while len(paths) < n:
            top = todo.pop(0)
            for i in range(16):
                paths.append((top + b"weights-%02d.json" % i, 1))
            for i in range(8):
                paths.append((top + b"directory-%d" % i, 2))
                todo.append(top + b"directory-%d/" % i)
        paths = paths[:n]
    for path, what in sorted(paths, key=lambda p: in_order(p[0])):
        c.members.append(Member(path, what, mode=0o755 if what == 2 else 0o644,
                                extents=[(text, 0, 14)] if what == 1 else [],
                                alg=0))
    return c


def main():
    if len(sys.argv) == 4:
        c = many(sys.argv[1], int(sys.argv[2]))
    else:
        c = pack(sys.argv[1])
    data = c.done()
    with open(sys.argv[-1] + ".tmp", "wb") as f:
        f.write(data)
    os.rename(sys.argv[-1] + ".tmp", sys.argv[-1])


main()
