# SPDX-License-Identifier: Apache-2.0
"""reads.py - read a mounted file in one way, compare with the original

usage: reads.py WAY ORIGINAL MOUNTED

Exit 1: a byte, a count or an error is not what the original gives.
"""
import concurrent.futures
import ctypes
import mmap
import os
import random
import socket
import sys
import threading

PAGE = mmap.PAGESIZE


class Differs(Exception):
    pass


def same(what, have, want):
    if have != want:
        raise Differs(f"{what}: {len(have)} and {len(want)} bytes differ")


def mmap_private(fd, want):
    """As safetensors maps: private, writable, whole.  What is written stays
    in the process."""
    with mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE,
                   prot=mmap.PROT_READ | mmap.PROT_WRITE) as m:
        same("private map", m[:], want)
        m[5 * PAGE] ^= 0xff
        m[len(want) - 1] ^= 0xff
        if m[5 * PAGE] == want[5 * PAGE]:
            raise Differs("a private write is not seen")
    same("file", os.pread(fd, PAGE, 5 * PAGE), want[5 * PAGE:6 * PAGE])
    same("last byte", os.pread(fd, 1, len(want) - 1), want[-1:])


def mmap_shared(fd, want):
    """As Rust's loaders map: shared, read-only, whole."""
    with mmap.mmap(fd, 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ) as m:
        # From the end, then in order: read-ahead has nothing to go by first.
        for off in range(len(want) - PAGE, len(want) - 2000 * PAGE, -PAGE):
            same(off, m[off:off + PAGE], want[off:off + PAGE])
        same("shared map", m[:], want)
    try:
        mmap.mmap(fd, 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_WRITE)
    except PermissionError:
        return
    raise Differs("a shared map can be written")


def mmap_parts(fd, want):
    """Parts at page offsets, as llama.cpp and ranks of a job map."""
    rng = random.Random(3)
    for i in range(200):
        off = rng.randrange(len(want) // PAGE) * PAGE
        n = min(rng.choice((1, PAGE, 70001, 1 << 20, 3 << 20)),
                len(want) - off)
        flags = rng.choice((mmap.MAP_PRIVATE, mmap.MAP_SHARED))
        with mmap.mmap(fd, n, flags=flags, prot=mmap.PROT_READ,
                       offset=off) as m:
            if i % 3 == 0:
                m.madvise(rng.choice((mmap.MADV_WILLNEED, mmap.MADV_RANDOM,
                                      mmap.MADV_SEQUENTIAL)))
            same((off, n), m[:], want[off:off + n])


def page_end(fd, want):
    """The rest of the last page is zero in a map."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
                          ctypes.c_int, ctypes.c_int, ctypes.c_long]
    off = (len(want) - 1) // PAGE * PAGE
    p = libc.mmap(None, PAGE, mmap.PROT_READ, mmap.MAP_SHARED, fd, off)
    if p == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    tail = want[off:]
    same("last page", ctypes.string_at(p, PAGE),
         tail + bytes(PAGE - len(tail)))


def threads(path, want, flags, n_reads):
    fd = os.open(path, os.O_RDONLY | flags)
    start = threading.Barrier(16)

    def reader(seed):
        rng = random.Random(seed)
        buf = mmap.mmap(-1, (2 << 20) + PAGE)  # page-aligned memory
        start.wait()
        for _ in range(n_reads):
            n = rng.choice((1, 511, PAGE, 65536, 100001, 1 << 20, 2 << 20))
            off = rng.randrange(len(want) + PAGE)
            if flags:
                # Aligned as most systems demand; ours takes any.
                if rng.random() < 0.8:
                    off, n = off // PAGE * PAGE, -(-n // PAGE) * PAGE
                with memoryview(buf) as view, view[:n] as part:
                    got = os.preadv(fd, [part], off)
                    have = bytes(part[:got])
            else:
                have = os.pread(fd, n, off)
            if have != want[off:off + n]:
                raise Differs(f"{n} bytes at {off}: {len(have)} came, wrong")
        return n_reads

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        done = sum(pool.map(reader, range(16)))
    os.close(fd)
    print(done, "reads")


def sendfile(fd, want):
    """What a web server does."""
    a, b = socket.socketpair()
    got = []

    def receive():
        while piece := b.recv(1 << 20):
            got.append(piece)

    t = threading.Thread(target=receive)
    t.start()
    off = 0
    while off < len(want):
        n = os.sendfile(a.fileno(), fd, off, len(want) - off)
        if n == 0:
            break
        off += n
    a.close()
    t.join()
    same("sendfile", b"".join(got), want)


def past_end(fd, want):
    size = len(want)
    for back in (1, 2, 511, PAGE - 1, PAGE, PAGE + 1, 1000003):
        for n in (back, back + 1, back + PAGE, 4 << 20):
            same((back, n), os.pread(fd, n, size - back), want[size - back:])
    for off in (size, size + 1, size + 10 * PAGE, 1 << 50):
        same(off, os.pread(fd, PAGE, off), b"")
    if os.lseek(fd, 0, os.SEEK_END) != size:
        raise Differs("SEEK_END")


def main():
    way, original, mounted = sys.argv[1:]
    with open(original, "rb") as f:
        want = f.read()
    fd = os.open(mounted, os.O_RDONLY)
    if os.fstat(fd).st_size != len(want):
        sys.exit(f"{mounted}: {os.fstat(fd).st_size} bytes")
    # The kernel's copy is of no use to the test.
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        if way == "pread_threads":
            threads(mounted, want, 0, 250)
        elif way == "pread_direct":
            threads(mounted, want, os.O_DIRECT, 60)
        else:
            globals()[way](fd, want)
    except (Differs, OSError) as e:
        sys.exit(f"{mounted}: {way}: {e}")


main()
