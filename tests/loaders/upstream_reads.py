# SPDX-License-Identifier: Apache-2.0
"""upstream_reads.py MOUNTED ORIGINAL PID CACHE_MIB THREADS - small reads here and
there of long tensors, once each was read whole by the daemon, PID

They are to give the original's bytes; to cost what 256 KiB take, wherever they
are, by the kernel's account of what the daemon reads (the buffers of a tensor's
streams are a quarter longer, and may be filled twice); and the daemon is to stay
within its memory.  Frames of zstd have no places, so a tensor with them costs more,
and a window of 4 MiB a frame for each thread that decodes: the last one in the
file is such a one.
"""
import json
import os
import random
import sys

MIB = 1 << 20
CHUNK = 256 << 10
FRAMES = 3  # of fp32_se_ac


def account(pid, file, word):
    with open(f"/proc/{pid}/{file}") as f:
        return next(int(line.split()[1]) for line in f
                    if line.startswith(word))


def main():
    mounted, original, pid = sys.argv[1:4]
    cache, threads = map(int, sys.argv[4:6])
    bound = (cache + 2 * threads + 16) * MIB
    fd, of = (os.open(path, os.O_RDONLY) for path in (mounted, original))
    with open(original, "rb") as f:
        n = int.from_bytes(f.read(8), "little")
        head = json.loads(f.read(n))
    rng = random.Random(5)
    for name, entry in sorted(head.items()):
        begin, end = (8 + n + off for off in entry["data_offsets"])
        os.pread(fd, 1, begin)
        has_frames = "fp32" in name
        if has_frames:
            bound += 2 * threads * FRAMES * (4 * MIB + MIB // 4)
        for _ in range(20):
            off = rng.randrange(begin, end - 4096)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
            cost = account(pid, "io", "rchar")
            got = os.pread(fd, 4096, off)
            cost = account(pid, "io", "rchar") - cost
            if got != os.pread(of, 4096, off):
                sys.exit(f"{name}: other bytes at {off}")
            if not has_frames and cost > 3 * CHUNK:
                sys.exit(f"{name}: {cost} bytes were read for some at {off}")
        taken = account(pid, "status", "VmHWM") << 10
        if taken > bound:
            sys.exit(f"{name}: the daemon took {taken} bytes of {bound}")


main()
