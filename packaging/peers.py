#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""peers.py - other compressors, for `bigsmall benchmark --peers`, which runs it

usage: peers.py list            each peer: NAME, LEVEL, VERSION ("-": not here)
       peers.py run NAME LEVEL FOLDER    one of them, with a file at descriptor 3

run compresses the file, decompresses it and compares, and prints "ready SIZE
TURNS".  For each line of its input it then prints seconds of this process's
and its children's processor time: "ENCODE DECODE".  What takes long is not
done again, and TURNS is 1 where nothing would be.  "failed REASON" ends it.
FOLDER is for peers that work from file to file.

All use one thread.  Pages that are new cost a fast peer more than its work, so
results go to memory that is used again, where the peer can, and the caller asks
malloc for huge pages.
"""
import collections
import importlib.metadata
import importlib.util
import json
import os
import resource
import struct
import sys

LONG = 1.0  # seconds; a call that takes longer is done once
FD = 3

for name in ("OMP_NUM_THREADS", "BLOSC_NTHREADS", "NUMEXPR_NUM_THREADS",
             "OPENBLAS_NUM_THREADS", "BIGSMALL_WORKERS"):
    os.environ[name] = "1"


def tensors(raw):
    """name -> (dtype, begin, end) of a safetensors file; of others, {}."""
    try:
        n = struct.unpack_from("<Q", raw)[0]
        head = json.loads(bytes(raw[8:8 + n]))
        return {name: (t["dtype"], 8 + n + t["data_offsets"][0],
                       8 + n + t["data_offsets"][1])
                for name, t in head.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        return {}


def main_dtype(raw):
    """The dtype with the most bytes."""
    n = collections.Counter()
    for dtype, begin, end in tensors(raw).values():
        n[dtype] += end - begin
    return n.most_common(1)[0][0] if n else "U8"


class Peer:
    """A file's bytes and, once there, what they became.  'before' is not
    timed."""

    def __init__(self, raw, level, folder):
        self.raw = raw
        self.level = level
        self.folder = folder
        self.packed = None

    def before(self):
        pass

    def size(self):
        return len(self.packed)

    def check(self, back):
        if back != self.raw:
            raise ValueError("it gives back other bytes")


class Zipnn(Peer):
    def __init__(self, *args):
        super().__init__(*args)
        from zipnn import ZipNN

        dtypes = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
        dtype = dtypes.get(main_dtype(self.raw))
        if not dtype:
            raise ValueError("it knows BF16, F16 and F32 alone")
        self.z = ZipNN(input_format="byte", bytearray_dtype=dtype, threads=1)

    def before(self):
        self.copy = bytearray(self.raw)  # it changes what it is given

    def encode(self):
        self.packed = self.z.compress(self.copy)

    def decode(self):
        return self.z.decompress(self.packed)


class Zstandard(Peer):
    def __init__(self, *args):
        super().__init__(*args)
        import zstandard

        self.c = zstandard.ZstdCompressor(level=int(self.level))
        self.d = zstandard.ZstdDecompressor()

    def encode(self):
        self.packed = self.c.compress(self.raw)

    def decode(self):
        return self.d.decompress(self.packed)


class Blosc2(Peer):
    def __init__(self, *args):
        super().__init__(*args)
        import blosc2

        sizes = {"BF16": 2, "F16": 2, "I16": 2, "U16": 2, "F32": 4, "I32": 4,
                 "U32": 4, "F64": 8, "I64": 8, "U64": 8}
        self.b = blosc2
        self.params = {"codec": blosc2.Codec.ZSTD, "clevel": 1, "nthreads": 1,
                       "filters": [blosc2.Filter.SHUFFLE],
                       "filters_meta": [0],
                       "typesize": sizes.get(main_dtype(self.raw), 1)}
        self.out = bytearray(len(self.raw))

    def encode(self):
        self.packed = self.b.compress2(self.raw, **self.params)

    def decode(self):
        self.b.decompress2(self.packed, dst=self.out, nthreads=1)
        return self.out


class FromFile(Peer):
    """A peer that reads and writes files."""

    def __init__(self, *args):
        super().__init__(*args)
        self.names = tensors(self.raw)
        self.src = os.path.join(self.folder,
                                "m.safetensors" if self.names else "m.bin")
        self.dst = os.path.join(self.folder, "m.packed")
        self.back = os.path.join(self.folder, "back.safetensors")
        with open(self.src, "wb") as f:
            f.write(self.raw)

    def before(self):
        for path in (self.dst, self.back):
            if os.path.exists(path):
                os.unlink(path)

    def size(self):
        return os.path.getsize(self.dst)


class Lmz(FromFile):
    def encode(self):
        import lmz

        lmz.compress(self.src, self.dst, level=int(self.level), workers=1)

    def decode(self):
        import lmz

        lmz.decompress(self.dst, self.back, workers=1, overwrite=True)
        return None

    def check(self, back):
        with open(self.back, "rb") as f:
            super().check(f.read())


class Bigsmall(FromFile):
    def __init__(self, *args):
        super().__init__(*args)
        if not self.names:
            raise ValueError("it compresses safetensors files alone")
        self.dst = os.path.join(self.folder, "m.bs")

    def encode(self):
        import bigsmall

        bigsmall.compress(self.src, self.dst, mode=self.level, workers=1,
                          progress=False)

    def decode(self):
        import bigsmall

        return bigsmall.decompress(self.dst, progress=False)

    def check(self, back):
        for name, (_, begin, end) in self.names.items():
            if back[name].tobytes() != bytes(self.raw[begin:end]):
                raise ValueError("it gives back another tensor")


# The name in the table, the level, the package, the module, the class.
PEERS = [
    ("zipnn", "huffman", "zipnn", "zipnn", Zipnn),
    ("lmz", "1", "lmzip", "lmz", Lmz),
    ("blosc2", "shuffle-zstd-1", "blosc2", "blosc2", Blosc2),
    ("zstandard", "1", "zstandard", "zstandard", Zstandard),
    ("zstandard", "3", "zstandard", "zstandard", Zstandard),
    ("bigsmall-python", "balanced", "bigsmall", "bigsmall", Bigsmall),
]


def version(package, module):
    try:
        if importlib.util.find_spec(module):
            return importlib.metadata.version(package)
    except (importlib.metadata.PackageNotFoundError, ImportError, ValueError):
        pass
    return "-"


def seconds(call):
    """Its result, and what it took."""
    def now():
        return sum(r.ru_utime + r.ru_stime for r in (
            resource.getrusage(resource.RUSAGE_SELF),
            resource.getrusage(resource.RUSAGE_CHILDREN)))

    begin = now()
    ret = call()
    return ret, now() - begin


def run(peer, tell):
    def encode():
        peer.before()
        return seconds(peer.encode)[1]

    spent = encode()
    if LONG < spent < 5 * LONG:  # some compile themselves at first
        spent = encode()
    back, took = seconds(peer.decode)
    peer.check(back)
    del back
    tell(f"ready {peer.size()} {1 if min(spent, took) > LONG else 0}")
    for _ in sys.stdin:
        if spent <= LONG:
            spent = encode()
        if took <= LONG:
            took = seconds(peer.decode)[1]
        tell(f"{spent:.9f} {took:.9f}")


def main():
    # What a package prints is not for the caller.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(line):
        out.write(line + "\n")
        out.flush()

    if sys.argv[1:] == ["list"]:
        for name, level, package, module, _ in PEERS:
            tell(f"{name} {level} {version(package, module)}")
        return
    name, level, folder = sys.argv[2:]
    make = [p[4] for p in PEERS if p[:2] == (name, level)][0]
    with os.fdopen(FD, "rb") as f:
        f.seek(0)
        raw = f.read()
    try:
        run(make(raw, level, folder), tell)
    except Exception as why:  # whatever a package throws
        tell("failed " + " ".join(f"{type(why).__name__}: {why}".split())[:200])


if __name__ == "__main__":
    main()
