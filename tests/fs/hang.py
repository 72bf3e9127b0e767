# SPDX-License-Identifier: Apache-2.0
"""Read a mount in every way at once, and fail if anybody waits too long.

usage: hang.py STORE MNT SECONDS STALL READERS GROUP CONTAINER:ORIGINAL...

READERS processes read files of MNT: pread, mapping, O_DIRECT, readv past the
end, after MADV_WILLNEED and MADV_RANDOM, with FADV_DONTNEED and (root) drop_caches
in between, signals all the time.  One in a while is killed in the middle of it
and replaced, and so are the store's files, by rename.  Each pair is a version of
a file; sizes differ, so that it is known which one a reader has.  An operation
that takes more than STALL seconds, or a process that cannot be killed in that
time, is a hang: exit 1, and what it was.  GROUP is a memory group's folder for
the readers, or "": it is given little more than what they take themselves.
"""

import ctypes
import errno
import mmap
import os
import random
import shutil
import signal
import sys
import time

MIB = 1 << 20
WAYS = ("pread", "small", "map", "map_down", "direct", "vector", "willneed",
        "scattered")


class Hang:
    def __init__(self, argv):
        self.store, self.mnt = argv[0:2]
        self.until = time.monotonic() + float(argv[2])
        self.stall = float(argv[3])
        self.n_readers = int(argv[4])
        self.group = argv[5]
        pairs = [v.split(":") for v in argv[6:]]
        self.containers = [p[0] for p in pairs]
        self.wanted = {os.path.getsize(p[1]): open(p[1], "rb").read()
                       for p in pairs}
        assert len(self.wanted) == len(pairs), "sizes must differ"
        self.names = ["f%d" % i for i in range(6)]
        # What each reader does since when; seen by all.
        self.slots = mmap.mmap(-1, 16 * self.n_readers)
        self.table = (ctypes.c_double * (2 * self.n_readers)).from_buffer(
            self.slots)
        self.pids = {}
        self.n_killed = 0

    # ---- Readers ----------------------------------------------------------

    def timed(self, slot, way, call, *args):
        self.table[2 * slot + 1] = WAYS.index(way)
        self.table[2 * slot] = time.monotonic()
        try:
            return call(*args)
        finally:
            self.table[2 * slot] = 0

    def read(self, rng, slot):
        way = rng.choice(WAYS)
        path = os.path.join(self.mnt, rng.choice(self.names) + ".safetensors")
        flags = os.O_DIRECT if way == "direct" else 0
        try:
            fd = self.timed(slot, way, os.open, path, os.O_RDONLY | flags)
        except OSError as e:
            # Replaced twice between two looks.
            assert e.errno in (errno.ENOENT, errno.ESTALE), e
            return
        try:
            want = self.wanted[os.fstat(fd).st_size]
            at = 4096 * rng.randrange(max(1, len(want) // 4096 - 512))
            getattr(self, "read_by_" + ("map" if way in (
                "map_down", "willneed", "scattered") else way))(
                    rng, slot, way, fd, want, at)
            if rng.randrange(8) == 0:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            self.timed(slot, way, os.close, fd)

    def read_by_pread(self, rng, slot, way, fd, want, at):
        for _ in range(4):
            have = self.timed(slot, way, os.pread, fd, MIB, at)
            assert have == want[at:at + len(have)] and have, (way, at)
            at += len(have)
            if at == len(want):
                return

    def read_by_small(self, rng, slot, way, fd, want, at):
        for _ in range(30):
            at, n = rng.randrange(len(want)), rng.randrange(1, 9000)
            have = self.timed(slot, way, os.pread, fd, n, at)
            assert have == want[at:at + n], (way, at)

    def read_by_vector(self, rng, slot, way, fd, want, at):
        parts = [bytearray(rng.randrange(1, 200000)) for _ in range(6)]
        at = rng.randrange(len(want))
        n = self.timed(slot, way, os.preadv, fd, parts, at)
        assert b"".join(parts)[:n] == want[at:at + n] and n, (way, at)

    def read_by_direct(self, rng, slot, way, fd, want, at):
        with mmap.mmap(-1, 2 * MIB) as buf:
            n = self.timed(slot, way, os.preadv, fd, [buf], at)
            assert buf[:n] == want[at:at + n] and n, (way, at)

    def read_by_map(self, rng, slot, way, fd, want, at):
        with mmap.mmap(fd, len(want), mmap.MAP_PRIVATE,
                       mmap.PROT_READ) as m:
            offs = range(at, min(at + 4 * MIB, len(want)), 32768)
            if way == "willneed":
                self.timed(slot, way, m.madvise, mmap.MADV_WILLNEED)
            elif way == "map_down":
                offs = reversed(offs)
            elif way == "scattered":
                m.madvise(mmap.MADV_RANDOM)
                offs = [rng.randrange(len(want)) for _ in range(40)]
            for off in offs:
                have = self.timed(slot, way, m.__getitem__,
                                  slice(off, off + 32768))
                assert have == want[off:off + 32768], (way, off)

    def reader(self, slot, seed):
        rng = random.Random(seed)
        if self.group:
            with open(os.path.join(self.group, "cgroup.procs"), "w") as f:
                f.write(str(os.getpid()))
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.003)
        try:
            while True:
                self.read(rng, slot)
        except BaseException as e:
            print("    reader: %r" % e, flush=True)
            os._exit(1)

    # ---- The whole --------------------------------------------------------

    def start(self, slot, seed):
        self.table[2 * slot] = 0
        pid = os.fork()
        if pid == 0:
            self.reader(slot, seed)
        self.pids[slot] = pid

    def replace(self, rng):
        tmp = os.path.join(self.store, ".tmp")
        shutil.copyfile(rng.choice(self.containers), tmp)
        os.rename(tmp, os.path.join(self.store, rng.choice(self.names) + ".bs"))

    def end(self, slot, sig=signal.SIGKILL):
        """Kill a reader: it must go."""
        os.kill(self.pids[slot], sig)
        deadline = time.monotonic() + self.stall
        while os.waitpid(self.pids[slot], os.WNOHANG) == (0, 0):
            assert time.monotonic() < deadline, "a reader cannot be killed"
            time.sleep(0.01)

    def check(self):
        now = time.monotonic()
        for slot, pid in self.pids.items():
            since, way = self.table[2 * slot:2 * slot + 2]
            assert not since or now - since < self.stall, (
                "%s takes %.1f s" % (WAYS[int(way)], now - since))
            assert os.waitpid(pid, os.WNOHANG) == (0, 0), "a reader failed"

    def squeeze(self):
        """Leave the readers' group 48 MiB of pages besides their own."""
        names = (("memory.limit_in_bytes", "total_rss"),
                 ("memory.max", "anon"))
        for limit, key in names:
            path = os.path.join(self.group, limit)
            if os.path.exists(path):
                stat = dict(line.split() for line in open(
                    os.path.join(self.group, "memory.stat")))
                with open(path, "w") as f:
                    f.write(str(int(stat[key]) + 48 * MIB))

    def run(self):
        rng = random.Random(1)
        for slot in range(self.n_readers):
            self.start(slot, slot)
        n = 0
        began = time.monotonic()
        while time.monotonic() < self.until:
            time.sleep(0.02)
            n += 1
            self.check()
            if n % 5 == 0:
                self.replace(rng)
            if n % 10 == 0:
                slot = rng.randrange(self.n_readers)
                self.end(slot)
                self.n_killed += 1
                self.start(slot, n)
            if n % 100 == 99 and os.geteuid() == 0:
                with open("/proc/sys/vm/drop_caches", "w") as f:
                    f.write("1")
            if self.group and time.monotonic() - began > 2:
                self.squeeze()
                began = float("inf")
        assert self.n_killed > 0
        for slot in list(self.pids):
            self.end(slot)
            del self.pids[slot]


def main():
    hang = Hang(sys.argv[1:])
    try:
        hang.run()
    except AssertionError as e:
        print("    %s" % e)
        sys.exit(1)
    finally:
        for pid in hang.pids.values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    print("    %d readers killed" % hang.n_killed)


main()
