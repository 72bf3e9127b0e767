#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""upstream.py - decoding BigSmall (Python)'s files, by it and by us, in one run

usage: V=$(sh tests/loaders/make_venv.sh tests/loaders/upstream_requirements.txt)
       $V/bin/python tests/bench/upstream.py [--rounds N] BIN

BIN is the folder of a build's programs.  Files of 16 tensors of a million
normal weights are made, one for each codec that published models have.  Then
`bigsmall verify`, which decodes all and compares every MD5, and BigSmall's own
decoders, which compare nothing, take turns, on one processor.  MB/s are 10^6
decoded bytes a second of processor time, user and system; theirs without reading
the file.  The last column is how much sooner ours is done with two processors.
"""
import argparse
import json
import math
import os
import statistics
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "loaders"))
os.environ["NUMBA_NUM_THREADS"] = "1"
import upstream_make as make  # sets what BigSmall wants to be set


def sources():
    n = (1024, 1024)
    yield "bf16_se_rans", lambda: make.bf16(make.normal(*n))
    yield "fp16_se_ac", lambda: make.f16(make.normal(*n))
    yield "fp32_se_ac", lambda: make.f32(make.normal(*n))
    yield "fp8_cat_ac", lambda: make.fp8(make.normal(*n, scale=1))
    yield "bf16_native_f32_v2", lambda: (
        "float32", make.bf16(make.normal(*n))[1].astype("uint32") << 16)


def ours(program, path, n_cpus):
    """Seconds of processors, and by the clock."""
    cpus = os.sched_getaffinity(0)
    begin, start = os.times(), time.monotonic()
    os.sched_setaffinity(0, sorted(cpus)[:n_cpus])
    code = os.spawnv(os.P_WAIT, program, [program, "verify", "--json", path])
    os.sched_setaffinity(0, cpus)
    if code:
        sys.exit(f"bigsmall verify {path} failed")
    end, stop = os.times(), time.monotonic()
    return (end.children_user - begin.children_user +
            end.children_system - begin.children_system, stop - start)


def theirs(path, codec):
    from bigsmall import codec_registry
    with open(path, "rb") as file:
        data = file.read()
    at = 10 + struct.unpack("<I", data[6:10])[0]
    seconds = n_bytes = 0
    for t in json.loads(data[10:at])["tensors"]:
        if t["codec"] != codec:
            sys.exit(f"{path}: {t['codec']}, not {codec}")
        begin = at + t["offset"]
        blob = data[begin:begin + t["compressed_bytes"]]
        decode = codec_registry.get_codec(codec)[1]
        start = time.process_time()
        raw = decode(blob, t["extra"] or {}, math.prod(t["shape"]))
        seconds += time.process_time() - start
        n_bytes += len(raw)
    return seconds, n_bytes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("bin")
    args = parser.parse_args()
    program = os.path.join(args.bin, "bigsmall")
    with tempfile.TemporaryDirectory() as work:
        for codec, tensor in sources():
            path = os.path.join(work, codec)
            make.save(path + ".safetensors",
                      {f"w{i}": tensor() for i in range(16)})
            make.run("compress", path + ".safetensors", "-o", path + ".bs",
                     "--no-progress")
            os.remove(path + ".safetensors")
            theirs(path + ".bs", codec)  # compiles what it compiles
            rates = []
            for _ in range(args.rounds):
                seconds, n = theirs(path + ".bs", codec)
                one, clock = ours(program, path + ".bs", 1)
                rates.append((n / one / 1e6, n / seconds / 1e6,
                              seconds / one,
                              clock / ours(program, path + ".bs", 2)[1]))
            a, b, ratio, two = zip(*rates)
            print(f"{codec:20} {statistics.median(a):7.0f} "
                  f"{statistics.median(b):7.0f}  "
                  f"{statistics.median(ratio):5.2f} "
                  f"({min(ratio):.2f}-{max(ratio):.2f})  "
                  f"{statistics.median(two):5.2f} "
                  f"({min(two):.2f}-{max(two):.2f})",
                  file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
