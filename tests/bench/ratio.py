#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ratio.py - size of whole files: ours and those of other compressors

usage: V=$(sh tests/loaders/make_venv.sh tests/bench/requirements.txt)
       $V/bin/python tests/corpus.py --no-smollm2 --out CORPUS
       $V/bin/python tests/bench/ratio.py [--levels 3,19] [--all] BIGSMALL CORPUS

BIGSMALL is the program; CORPUS a folder of .safetensors files, or such files.
Prints the size in percent of the original, and compares what each makes of it
when read back.  zipnn gets the file's bytes and is told its main dtype; it has
no container of its own, so nothing but its stream is counted; ours is the .bs
with its index, checksums and digests.  Seconds are one thread's CPU time for
compression, once, and no benchmark.

--all: with all that packaging/peers.py knows, glyd and z4ai, where this Python
has them (tests/bench/peers.txt), and without seconds.  kinds.py beside this
makes other files.

Exit 1: something came back different, or ours is larger than zipnn's; with
--all, than the least.
"""
import argparse
import glob
import os
import resource
import subprocess
import sys
import tempfile

os.environ["BIGSMALL_DISABLE_VERSION_CHECK"] = "1"  # BigSmall (Python) asks
sys.dont_write_bytecode = True
root = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(root, "packaging"))
import peers  # noqa: E402


class Glyd(peers.Peer):
    def encode(self):
        import glyd

        self.packed = glyd.compress(self.raw)

    def decode(self):
        import glyd

        return glyd.decompress(self.packed)


class Z4ai(peers.Peer):
    def encode(self):
        import z4ai

        dtypes = {"BF16": "bf16", "F16": "fp16", "F32": "fp32", "I8": "int8",
                  "F8_E4M3": "fp8_e4m3", "F8_E5M2": "fp8_e5m2"}
        self.packed = z4ai.compress(self.raw, dtype=dtypes.get(
            peers.main_dtype(self.raw)), threads=1)

    def decode(self):
        import z4ai

        return z4ai.decompress(self.packed)


OTHERS = [("glyd", "max", "glyd", "glyd", Glyd),
          ("z4ai", "default", "z4ai", "z4ai", Z4ai)]


def cpu_seconds():
    return sum(r.ru_utime + r.ru_stime for r in (
        resource.getrusage(resource.RUSAGE_SELF),
        resource.getrusage(resource.RUSAGE_CHILDREN)))


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


def by_peer(make, level, path, tmp):
    """The same for a class of packaging/peers.py; None: it does not take the
    file."""
    with open(path, "rb") as f:
        raw = f.read()
    try:
        peer = make(raw, level, tmp)
    except ValueError:
        return None
    peer.before()
    peer.encode()
    size, spent = peer.size(), cpu_seconds()
    try:
        peer.check(peer.decode())
    except ValueError:
        return size, False, spent
    return size, True, spent


def ways(args):
    """(name, call by path and folder)"""
    yield "bigsmall", lambda p, t: ours(args.bigsmall, p, t)
    for name, level, package, module, make in peers.PEERS + OTHERS:
        is_here = peers.version(package, module) != "-"
        if name == "zipnn" or (args.all and is_here):
            yield (name if name == "zipnn" else f"{name} {level}",
                   lambda p, t, m=make, k=level: by_peer(m, k, p, t))
    for level in filter(None, args.levels.split(",")):
        yield (f"zstd -{level}",
               lambda p, t, level=level: zstd(level, p, t))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--levels", default="3,19")
    parser.add_argument("--all", action="store_true")
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

    columns = list(ways(args))
    print(f"{'file':34}{'bytes':>12} {'':7}" + "".join(
        f"{name.replace('bigsmall-python', 'bigsmall.py'):>23}"
        for name, _ in columns))
    status = 0
    for path in files:
        raw = os.path.getsize(path)
        with open(path, "rb") as f:
            dtype = peers.main_dtype(f.read())
        row, sizes = "", []
        for name, way in columns:
            with tempfile.TemporaryDirectory() as tmp:
                before = cpu_seconds()
                got = way(path, tmp)
            if not got:
                row += f"{'-':>23}"
                continue
            size, same, spent = got
            sizes.append((size, name))
            took = "" if args.all else f"{spent - before:6.1f}s"
            row += f"{f'{100 * size / raw:.3f} %{took}':>23}"
            if not same:
                print(f"{path}: {name} gives back other bytes")
                status = 1
        stem = os.path.basename(path)[:-len(".safetensors")]
        print(f"{stem:34}{raw:12} {dtype:7}{row}", flush=True)
        least = min(sizes[1:] if args.all else sizes[1:2], default=sizes[0])
        if sizes[0][0] > least[0]:
            print(f"{path}: ours has {sizes[0][0]} bytes, "
                  f"{least[1]}'s {least[0]}")
            status = 1
    sys.exit(status)


main()
