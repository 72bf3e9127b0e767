#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ratio.py - size of whole files: ours, zipnn's, zstd's, in one run

usage: V=$(sh tests/loaders/make_venv.sh tests/bench/requirements.txt)
       $V/bin/python tests/corpus.py --no-smollm2 --out CORPUS
       $V/bin/python tests/bench/ratio.py [--levels 3,19] BIGSMALL CORPUS

BIGSMALL is the program; CORPUS a folder of .safetensors files, or such files.
Prints the size in percent of the original, and compares what each makes of it
when read back.  zipnn gets the file's bytes and is told its main dtype; it has
no container of its own, so nothing but its stream is counted; ours is the .bs
with its index, checksums and digests.  Seconds are one thread's CPU time for
compression, once, and no benchmark.

Exit 1: something came back different, or ours is larger than zipnn's.
"""
import argparse
import collections
import glob
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile

from zipnn import ZipNN

ZIPNN_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


def cpu_seconds():
    return sum(r.ru_utime + r.ru_stime for r in (
        resource.getrusage(resource.RUSAGE_SELF),
        resource.getrusage(resource.RUSAGE_CHILDREN)))


def main_dtype(path):
    """The dtype with the most bytes."""
    with open(path, "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    n = collections.Counter()
    for name, t in head.items():
        if name != "__metadata__":
            n[t["dtype"]] += t["data_offsets"][1] - t["data_offsets"][0]
    return n.most_common(1)[0][0]


def by_tool(pack, unpack, path, packed, back):
    """Compress with one program, decompress, compare; the size."""
    subprocess.run(pack, check=True, stdout=subprocess.DEVNULL)
    size = os.path.getsize(packed)
    spent = cpu_seconds()
    subprocess.run(unpack, check=True, stdout=subprocess.DEVNULL)
    same = subprocess.run(["cmp", "-s", path, back]).returncode == 0
    os.unlink(packed)
    os.unlink(back)
    return size, same, spent


def ours(bigsmall, path, tmp):
    packed, back = os.path.join(tmp, "m.bs"), os.path.join(tmp, "m.back")
    return by_tool([bigsmall, "compress", "-j", "1", path, "-o", packed],
                   [bigsmall, "decompress", "-j", "1", packed, "-o", back],
                   path, packed, back)


def zstd(level, path, tmp):
    packed, back = os.path.join(tmp, "m.zst"), os.path.join(tmp, "m.back")
    return by_tool(["zstd", "-q", "-T1", f"-{level}", path, "-o", packed],
                   ["zstd", "-q", "-d", packed, "-o", back],
                   path, packed, back)


def zipnn(path):
    with open(path, "rb") as f:
        raw = f.read()
    dtype = ZIPNN_DTYPES[main_dtype(path)]
    z = ZipNN(input_format="byte", bytearray_dtype=dtype, threads=1)
    packed = z.compress(bytearray(raw))  # which it changes: a copy
    spent = cpu_seconds()
    return len(packed), bytes(z.decompress(packed)) == raw, spent


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--levels", default="3,19")
    parser.add_argument("bigsmall")
    parser.add_argument("corpus", nargs="+")
    args = parser.parse_args()
    files = []
    for path in args.corpus:
        files += sorted(glob.glob(os.path.join(path, "*.safetensors"))) \
            if os.path.isdir(path) else [path]
    # A dequantised model's bytes are of no trained model.
    files = [f for f in files if "dequant" not in f]
    if not files:
        sys.exit("ratio.py: there are no .safetensors files")

    ways = [("bigsmall", lambda p, t: ours(args.bigsmall, p, t)),
            ("zipnn", lambda p, t: zipnn(p))]
    for level in filter(None, args.levels.split(",")):
        ways.append((f"zstd -{level}",
                     lambda p, t, level=level: zstd(level, p, t)))
    print(f"{'file':34}{'bytes':>12} {'':5}" +
          "".join(f"{name:>18}" for name, _ in ways))
    status = 0
    with tempfile.TemporaryDirectory() as tmp:
        for path in files:
            raw = os.path.getsize(path)
            row, sizes = "", []
            for name, way in ways:
                before = cpu_seconds()
                size, same, spent = way(path, tmp)
                sizes.append(size)
                row += f"{100 * size / raw:9.3f} %{spent - before:6.1f}s"
                if not same:
                    print(f"{path}: {name} gives back other bytes")
                    status = 1
            stem = os.path.basename(path)[:-len(".safetensors")]
            print(f"{stem:34}{raw:12} {main_dtype(path):5}{row}", flush=True)
            if sizes[0] > sizes[1]:
                print(f"{path}: ours has {sizes[0]} bytes, zipnn's {sizes[1]}")
                status = 1
    sys.exit(status)


main()
