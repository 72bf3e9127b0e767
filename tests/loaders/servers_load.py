# SPDX-License-Identifier: Apache-2.0
"""servers_load.py - load a model of many files as inference servers do

usage: servers_load.py WAY ORIGINAL MOUNTED

Both are folders.  WAY is one of prefetch, threads, ranks, eager, dropped.  Exit
1: a tensor is not the original's.
"""
import concurrent.futures
import glob
import os
import sys

import ml_dtypes  # noqa: F401  gives numpy its bfloat16
from safetensors import deserialize, safe_open
from safetensors.numpy import load_file

N_RANKS = 4


def compare(name, have, want):
    if (have.dtype, have.shape) != (want.dtype, want.shape) or \
            have.tobytes() != want.tobytes():
        raise ValueError(f"{name} differs")


def lazily(files, want):
    """Each file mapped, its tensors in order."""
    for file in files:
        with safe_open(file, framework="np") as f:
            for name in f.keys():
                compare(name, f.get_tensor(name), want[name])


def prefetch(files, want):
    """vLLM, --safetensors-load-strategy prefetch: eight threads, a file each,
    read it 16 MiB at a time into the page cache; the same files are loaded
    meanwhile."""
    def ahead(file):
        with open(file, "rb") as f:
            while f.read(16 << 20):
                pass

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = [pool.submit(ahead, file) for file in files]
        lazily(files, want)
        for future in done:
            future.result()


def threads(files, want):
    """SGLang, and vLLM with several threads: load_file in eight at a time, and
    each file out of the page cache once it is loaded."""
    def one(file):
        for name, tensor in load_file(file).items():
            compare(name, tensor, want[name])
        with open(file, "rb") as f:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, files))


def dropped(files, want):
    """The same again: what was dropped comes back."""
    threads(files, want)
    threads(files, want)


def ranks(files, want):
    """A process for each GPU, all at once, each its part of every tensor: the
    rows of some, the columns of others."""
    def rank(no):
        for file in files:
            with safe_open(file, framework="np") as f:
                for i, name in enumerate(f.keys()):
                    part = f.get_slice(name)
                    shape = part.get_shape()
                    dim = i % len(shape)
                    n = -(-shape[dim] // N_RANKS)
                    at = (slice(None),) * dim + (
                        slice(no * n, min((no + 1) * n, shape[dim])),)
                    if at[-1].start < shape[dim]:
                        compare(name, part[at], want[name][at])

    def child(no):
        try:
            rank(no)
            os._exit(0)
        except Exception as e:
            print(f"rank {no}: {e}", flush=True)
        os._exit(1)

    pids = []
    for no in range(N_RANKS):
        pid = os.fork()
        if pid == 0:
            child(no)
        pids.append(pid)
    if any(os.waitpid(pid, 0)[1] for pid in pids):
        raise ValueError("a rank failed")


def eager(files, want):
    """vLLM, eager; transformers with disable_mmap: one read of a whole file."""
    for file in files:
        with open(file, "rb") as f:
            for name, tensor in deserialize(f.read()):
                if tensor["data"] != want[name].tobytes():
                    raise ValueError(f"{name} differs")


def main():
    way, original, mounted = sys.argv[1:]
    want = {}
    for file in glob.glob(os.path.join(original, "*.safetensors")):
        want.update(load_file(file))
    files = sorted(glob.glob(os.path.join(mounted, "*.safetensors")))
    if len(files) < 4:
        sys.exit(f"{mounted}: {len(files)} files")
    try:
        {"prefetch": prefetch, "threads": threads, "ranks": ranks,
         "eager": eager, "dropped": dropped}[way](files, want)
    except (ValueError, OSError) as e:
        sys.exit(f"{mounted}: {way}: {e}")


main()
