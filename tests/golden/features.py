#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""features.py - whether the good files have every feature of the format

usage: features.py FILE...

Prints each feature and the first files that have it; of those that FEATURES
names, from docs/format.md, one after another, none may be missing: exit 1.
"""

import collections
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import refdec  # noqa: E402

CODINGS = ("raw", "constant", "coded", "local")

# 2, 3, 5: the container
FEATURES = ["version 0", "version 1", "a bundle", "a single file", "no chunk",
            "the copy serves",
            "an extent within a blob", "a blob named twice"]
FEATURES += ["member of type %d" % i for i in (1, 2, 3, 4)]
FEATURES += ["digest %d of a %s" % (i, what) for i in (0, 1, 2)
             for what in ("member", "blob")]
# 6, 7: blobs and chunks
FEATURES += ["chunks of 2^%d" % i for i in (17, 18, 19)]
FEATURES += ["pages of 2^%d" % i for i in (7, 9, 11)]
FEATURES += ["chunk %s" % c for c in ("raw", "constant", "zstd", "planes")]
FEATURES += ["a pattern of %d" % i for i in (1, 2, 4, 8)]
FEATURES += ["several index pages", "several pool pages",
             "several chunks in planes", "the longest chunk in planes"]
# 8: objects
FEATURES += ["a %s plane in elements of %d" % (c, u)
             for c in CODINGS for u in (1, 2, 4, 8)]
FEATURES += ["%d parts" % i for i in (1, 2, 3, 4)]
FEATURES += ["a coded plane of %d bits" % i for i in range(1, 17)]
FEATURES += ["%d tables" % (1 << i) for i in range(6)]
FEATURES += ["tables of %d bits" % i for i in (10, 11, 12)]
FEATURES += ["256 symbols", "a table of one symbol", "16 planes", "32 tables "
             "of several planes", "a model of several blobs",
             "classes as they are", "classes by zstd"]
FEATURES += ["%s in elements of %d" % (what, u) for u in (1, 2, 4, 8)
             for what in ("rows and columns", "escapes")]
FEATURES += ["rows alone", "columns alone", "classes of a later plane"]
FEATURES += ["a shift of %d" % i for i in (0, 1, 2, 3)]
FEATURES += ["escapes of one byte", "escapes of two bytes", "a base that wraps"]
# 9: chunks in planes
FEATURES += ["a local plane with a table", "a local plane without", "no plane "
             "coded", "nothing to carry", "less to carry than lanes hold",
             "all that lanes hold", "an odd raw section"]
FEATURES += ["a raw piece of %d" % i for i in (8, 4, 2, 1)]
FEATURES += ["fewer elements than lanes", "a last round of some lanes",
             "a last round of all lanes"]


def of_plane(model, plane):
    yield "a %s plane in elements of %d" % (CODINGS[plane.coding], model.unit)
    yield "%d parts" % len(plane.parts)
    if plane.coding != refdec.PLANE_CODED:
        return
    yield "a coded plane of %d bits" % plane.width
    yield "%d tables" % len(plane.tables)
    yield "tables of %d bits" % plane.tables[0].bits
    yield "a shift of %d" % plane.shift
    if plane.n_symbols == 256:
        yield "256 symbols"
    if plane.base + plane.n_symbols > 1 << plane.width:
        yield "a base that wraps"
    for t in plane.tables:
        if max(t.freqs) == (1 << t.bits) - 1:
            yield "a table of one symbol"
    if plane.has_escape:
        yield "escapes in elements of %d" % model.unit
        yield "escapes of %s" % ("two bytes" if plane.width > 8
                                 else "one byte")
    if plane.rows and plane.columns:
        yield "rows and columns in elements of %d" % model.unit
    elif plane.rows or plane.columns:
        yield "rows alone" if plane.rows else "columns alone"
    if (plane.rows or plane.columns) and plane is not model.planes[0]:
        yield "classes of a later plane"


def of_model(container, model):
    coded = [p for p in model.planes if p.coding == refdec.PLANE_CODED]
    if len(model.planes) == 16:
        yield "16 planes"
    if len(coded) > 1 and sum(len(p.tables) for p in coded) == 32:
        yield "32 tables of several planes"
    for p in model.planes:
        yield from of_plane(model, p)
        for ref in (p.row_ref, p.col_ref):
            if ref != refdec.NONE:
                yield "classes %s" % ("by zstd" if container.object(ref, 3)[8]
                                      else "as they are")


def of_planes_chunk(model, raw_len, stored):
    """By the parts of §9, up to the local tables."""
    n = raw_len // model.unit
    yield ("fewer elements than lanes" if n < 64 else
           "a last round of %s lanes" % ("some" if n % 64 else "all"))
    if n > 1 << 19:
        yield "the longest chunk in planes"
    coded = [p for p in model.planes if p.coding == refdec.PLANE_CODED]
    at = 4 + 4 * sum(p.has_escape for p in coded)
    raw = [p for p in model.planes if CODINGS[p.coding] == "raw"]
    for p in model.planes:
        if CODINGS[p.coding] != "local":
            continue
        if stored[at]:
            yield "a local plane with a table"
            at = refdec.Table(stored, at).end
            coded.append(p)
        else:
            yield "a local plane without"
            at += 1
            raw.append(p)
    pieces = [bits for p in raw for bits in refdec.pieces_of(p.width)]
    for bits in pieces:
        yield "a raw piece of %d" % bits
    section = sum(refdec.piece_len(bits, n) for bits in pieces)
    if not coded:
        yield "no plane coded"
    elif not section:
        yield "nothing to carry"
    else:
        yield ("less to carry than lanes hold" if section < 128 else
               "all that lanes hold")
        if section % 2:
            yield "an odd raw section"


def of_blob(container, blob):
    yield "chunks of 2^%d" % (blob.size.bit_length() - 1)
    yield "digest %d of a blob" % blob.alg
    model = None
    if blob.model != refdec.NONE:
        model = container.model(blob.model)
        yield from of_model(container, model)
    n_planes = 0
    for i in range(blob.n_chunks):
        number = blob.first_chunk + i
        page, at = divmod(number, 1 << container.sb.page_log2)
        off, length, coding = refdec.CHUNK.unpack_from(
            container.page_cached(page), 32 * at)[:3]
        yield "chunk %s" % ("raw", "constant", "zstd", "planes")[coding]
        if coding == 1:
            yield "a pattern of %d" % length
        if coding == 3:
            n_planes += 1
            begin = 0 if i == 0 else blob.first_len + (i - 1) * blob.size
            raw_len = min(blob.size if i else blob.first_len,
                          blob.length - begin)
            yield from of_planes_chunk(model, raw_len, container.stored(
                off, length, "a chunk"))
    if n_planes > 1:
        yield "several chunks in planes"


def of_file(data):
    container = refdec.Container(data)
    sb = container.sb
    yield "version %d" % sb.version
    yield "a bundle" if sb.is_bundle else "a single file"
    yield "pages of 2^%d" % sb.page_log2
    if refdec.Superblock(data[:512]).damage:
        yield "the copy serves"
    if not sb.n_chunks:
        yield "no chunk"
    if sb.n_chunks > 1 << sb.page_log2:
        yield "several index pages"
    if sb.n_pool_pages > 1:
        yield "several pool pages"
    for m in container.members:
        yield "member of type %d" % m.kind
        if m.kind == 1:
            yield "digest %d of a member" % m.alg
    named = collections.Counter(blob for _, _, blob, _ in container.extents)
    if max(named.values(), default=0) > 1:
        yield "a blob named twice"
    if any(length < container.blobs[blob].length
           for _, length, blob, _ in container.extents):
        yield "an extent within a blob"
    models = collections.Counter(b.model for b in container.blobs
                                 if b.model != refdec.NONE)
    if max(models.values(), default=0) > 1:
        yield "a model of several blobs"
    for blob in container.blobs:
        yield from of_blob(container, blob)


def main(paths):
    files = collections.defaultdict(list)
    for path in paths:
        with open(path, "rb") as f:
            found = set(of_file(f.read()))
        for feature in found:
            files[feature].append(os.path.basename(path))
    for feature in FEATURES:
        print("%s: %s" % (feature, ", ".join(files[feature][:3])))
    missing = [f for f in FEATURES if not files[f]]
    for feature in missing:
        print("no good file has " + feature, file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
