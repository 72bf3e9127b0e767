# SPDX-License-Identifier: Apache-2.0
"""once_load.py - read a mounted file from front to back, compare

usage: once_load.py WAY ORIGINAL MOUNTED

WAY is read, map, small, four, or processes.  Exit 1: a byte is not the
original's.
"""
import mmap
import os
import sys
import threading

import ml_dtypes  # noqa: F401  gives numpy its bfloat16
from safetensors import safe_open

N_PROCESSES = 50
PAGE = mmap.PAGESIZE


def read(path, want, size=1 << 20):
    fd = os.open(path, os.O_RDONLY)
    off = 0
    while piece := os.pread(fd, size, off):
        if piece != want[off:off + len(piece)]:
            raise ValueError(f"{size} bytes at {off} differ")
        off += len(piece)
    if off != len(want):
        raise ValueError(f"{off} bytes came, not {len(want)}")
    os.close(fd)


def small(path, want):
    """Neither aligned to pages nor a part of anything."""
    read(path, want, 10007)


def mapped(path, want):
    """A private map, page after page."""
    with open(path, "rb") as f, mmap.mmap(
            f.fileno(), 0, flags=mmap.MAP_PRIVATE,
            prot=mmap.PROT_READ | mmap.PROT_WRITE) as m:
        for off in range(0, len(want), PAGE):
            if m[off:off + PAGE] != want[off:off + PAGE]:
                raise ValueError(f"the page at {off} differs")


def load(path, want):
    """As loaders do: the header, then each tensor out of a map, in the order
    of the file."""
    with safe_open(path, framework="np") as f:
        for name in f.offset_keys():
            if f.get_tensor(name).tobytes() != want[name]:
                raise ValueError(f"{name} differs")


def tensors(path):
    with safe_open(path, framework="np") as f:
        return {name: f.get_tensor(name).tobytes() for name in f.keys()}


def four(path, want):
    """Four threads, tensor by tensor, each the next that nobody has."""
    failed = []
    with safe_open(path, framework="np") as f:
        names = iter(f.offset_keys())
        lock = threading.Lock()

        def work():
            while True:
                with lock:
                    name = next(names, None)
                if name is None:
                    return
                if f.get_slice(name)[...].tobytes() != want[name]:
                    failed.append(name)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    if failed:
        raise ValueError(f"{failed[:5]} differ")


def processes(path, want):
    """Fifty, which begin at once."""
    gate, opened = os.pipe()
    pids = []
    for _ in range(N_PROCESSES):
        pid = os.fork()
        if pid == 0:
            os.close(opened)
            os.read(gate, 1)  # until nobody holds the other end
            try:
                load(path, want)
            except (ValueError, OSError) as e:
                print(f"{path}: {e}", flush=True)
                os._exit(1)
            os._exit(0)
        pids.append(pid)
    os.close(opened)
    failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)
    if failed:
        raise ValueError(f"{failed} of {N_PROCESSES} processes failed")


def main():
    way, original, mounted = sys.argv[1:]
    if way in ("read", "map", "small"):
        with open(original, "rb") as f:
            want = f.read()
    else:
        want = tensors(original)
    try:
        {"read": read, "map": mapped, "small": small, "four": four,
         "processes": processes}[way](mounted, want)
    except (ValueError, OSError) as e:
        sys.exit(f"{mounted}: {way}: {e}")


main()
