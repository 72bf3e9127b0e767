#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""decode.py - decoding by each table of kernels, and by zipnn, in one run

usage: V=$(sh tests/loaders/make_venv.sh tests/bench/requirements.txt)
       $V/bin/python tests/bench/decode.py [--rounds N] BIN CORPUS

BIN is the folder of a test build's programs; CORPUS a folder of .safetensors
files, or such files.  Each file is compressed; then bench_decode (which see) by
each table of kernels that this CPU has, and zipnn where this Python has it,
take turns, N times.  GB/s are 10^9 decoded bytes a second of one thread's
processor time, whole chunks or files from memory; zipnn decodes into huge pages
where the system grants them, for fresh small ones would take longer than it
does.  "of memcpy" is against copies of 64 MiB in the same process, "of zipnn"
against the same turn.  Medians, least and most in brackets.
"""
import argparse
import collections
import glob
import json
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time

TUNABLE = "glibc.malloc.hugetlb=1"
ZIPNN_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


def main_dtype(path):
    """The dtype with the most bytes."""
    with open(path, "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    n = collections.Counter()
    for name, t in head.items():
        if name != "__metadata__":
            n[t["dtype"]] += t["data_offsets"][1] - t["data_offsets"][0]
    return n.most_common(1)[0][0]


class Zipnn:
    """A file in zipnn's stream, to be decoded again and again."""

    def __init__(self, path):
        from zipnn import ZipNN

        with open(path, "rb") as f:
            raw = f.read()
        dtype = ZIPNN_DTYPES[main_dtype(path)]
        self.z = ZipNN(input_format="byte", bytearray_dtype=dtype, threads=1)
        self.len = len(raw)
        self.packed = self.z.compress(bytearray(raw))
        if bytes(self.z.decompress(self.packed)) != raw:
            sys.exit(f"{path}: zipnn gives back other bytes")

    def rates(self):
        """GB/s of three decodings: a call is about a tenth of a second.  One
        before them makes the pages ready."""
        out = []
        self.z.decompress(self.packed)
        for _ in range(3):
            begin = time.process_time()
            back = self.z.decompress(self.packed)
            out.append(self.len / (time.process_time() - begin) / 1e9)
            del back
        return out


def run_bench(program, cpu, packed):
    """Figure -> median of one bench_decode; None: not a CPU for it."""
    env = dict(os.environ, BIGSMALL_CPU=cpu)
    env.pop("GLIBC_TUNABLES", None)
    done = subprocess.run([program, "-r", "7", packed], text=True, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if done.returncode:
        return None
    found = re.findall(r"^(\w*) +median +([0-9.]+)", done.stdout, re.M)
    names = ["memcpy", "decode", "decode/memcpy", "kernel", "kernel/memcpy"]
    return dict(zip(names, (float(number) for _, number in found)))


def text(values):
    return (f"{statistics.median(values):.3f} "
            f"({min(values):.3f}-{max(values):.3f})")


def measure(path, packed, program, tables, zipnn, n_rounds):
    turns = collections.defaultdict(list)
    peer, over_peer = [], collections.defaultdict(list)
    for _ in range(n_rounds):
        rates = zipnn.rates() if zipnn else []
        peer += rates
        for cpu in tables:
            figures = run_bench(program, cpu, packed)
            for name, value in figures.items():
                turns[cpu, name].append(value)
            if rates:
                over_peer[cpu].append(figures["decode"] /
                                      statistics.median(rates))
    print(f"{os.path.basename(path)} ({main_dtype(path)})")
    if peer:
        print(f"  zipnn    {text(peer)} GB/s")
    for cpu in tables:
        line = (f"  {cpu:8} {text(turns[cpu, 'decode'])} GB/s, "
                f"{text(turns[cpu, 'decode/memcpy'])} of memcpy; kernel alone "
                f"{text(turns[cpu, 'kernel/memcpy'])}")
        if peer:
            line += f"; {text(over_peer[cpu])} of zipnn"
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("bin")
    parser.add_argument("corpus", nargs="+")
    args = parser.parse_args()
    files = []
    for path in args.corpus:
        files += sorted(glob.glob(os.path.join(path, "*.safetensors"))) \
            if os.path.isdir(path) else [path]
    # A dequantised model's bytes are of no trained model.
    files = [f for f in files if "dequant" not in f]
    if not files:
        sys.exit("decode.py: there are no .safetensors files")
    if TUNABLE not in os.environ.get("GLIBC_TUNABLES", ""):
        os.environ["GLIBC_TUNABLES"] = TUNABLE
        os.execv(sys.executable, [sys.executable] + sys.argv)
    try:
        Zipnn(files[0])
        has_zipnn = True
    except ImportError:
        has_zipnn = False
        print("this Python has no zipnn: not compared")
    program = os.path.join(args.bin, "bench_decode")
    with tempfile.TemporaryDirectory() as tmp:
        packed = os.path.join(tmp, "m.bs")
        tables = None
        for path in files:
            subprocess.run([os.path.join(args.bin, "bigsmall"), "compress",
                            "--force", path, "-o", packed], check=True,
                           stdout=subprocess.DEVNULL)
            if tables is None:
                tables = [cpu for cpu in ("avx512", "avx2", "neon",
                                      "scalar")
                          if run_bench(program, cpu, packed)]
            measure(path, packed, program, tables,
                    Zipnn(path) if has_zipnn else None, args.rounds)


main()
