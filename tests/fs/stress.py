# SPDX-License-Identifier: Apache-2.0
"""Change a store while its mount is read.

usage: stress.py STORE MNT SECONDS CONTAINER:ORIGINAL...

Each pair is a version that any file of the store may have.  Writers add,
replace by rename, edit in place, remove and move; readers read, map, stat and
list.  A reader must have one version, whole, or an error that the change
accounts for; names that nobody touches must always be there, and right.  At
the end the mount shows what the store holds.  Exit 1: something was wrong, or
somebody hangs.
"""

import errno
import mmap
import multiprocessing
import os
import random
import shutil
import sys
import time

PIECE = 65536
# Which are only ever replaced by rename, and which are edited in place, too.
RENAMED = ["r%d" % i for i in range(5)]
EDITED = ["e%d" % i for i in range(3)]
DIRS = ["d%d" % i for i in range(2)]

# What an open or a read may end with, since the store changes below it.  A
# name is looked up again once by the kernel: ESTALE means that it was replaced
# twice meanwhile.
GONE = {errno.ENOENT, errno.ESTALE}


class Stress:
    def __init__(self, store, mnt, seconds, versions):
        self.store, self.mnt = store, mnt
        self.until = time.monotonic() + seconds
        self.containers = [v[0] for v in versions]
        self.wanted = [open(v[1], "rb").read() for v in versions]

    def goes_on(self):
        return time.monotonic() < self.until

    # ---- Writers ----------------------------------------------------------

    def put(self, rng, path):
        """Add or replace, at once."""
        tmp = os.path.join(self.store, ".tmp%d" % os.getpid())
        shutil.copyfile(rng.choice(self.containers), tmp)
        os.rename(tmp, path)

    def edit(self, rng, path):
        """Other bytes in the same file, not at once."""
        data = open(rng.choice(self.containers), "rb").read()
        with open(path, "wb", buffering=0) as f:
            at = 0
            while at < len(data):
                n = rng.choice((4096, 100000, len(data)))
                f.write(data[at:at + n])
                at += n

    def change_dir(self, rng):
        path = os.path.join(self.store, rng.choice(DIRS))
        what = rng.randrange(4)
        if what == 0:
            os.makedirs(path, exist_ok=True)
            self.put(rng, os.path.join(path, "r0.bs"))
        elif what == 1:
            shutil.rmtree(path, ignore_errors=True)
        elif what == 2:
            os.rename(path, os.path.join(self.store, rng.choice(DIRS)))
        else:
            self.put(rng, os.path.join(path, "r0.bs"))

    def write(self, rng):
        path = os.path.join(self.store, rng.choice(RENAMED) + ".bs")
        edited = os.path.join(self.store, rng.choice(EDITED) + ".bs")
        what = rng.randrange(8)
        try:
            if what < 3:
                self.put(rng, path)
            elif what == 3:
                os.unlink(path)
            elif what < 6:
                self.edit(rng, edited)
            elif what == 6:
                os.unlink(edited)
            else:
                self.change_dir(rng)
        except OSError as e:
            # The other writer was here.
            if e.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise
        time.sleep(rng.random() * 0.01)

    def numbers(self, versions):
        return [self.wanted.index(v) + 1 for v in versions]

    # ---- Readers ----------------------------------------------------------

    def read_pieces(self, fd, order, may_fail):
        """Every piece that can be had is of one and the same version."""
        left = [w for w in self.wanted if len(w) == os.fstat(fd).st_size]
        assert left, "a size that no version has"
        for off in order(range(0, len(left[0]), PIECE)):
            try:
                have = os.pread(fd, PIECE, off)
            except OSError as e:
                assert may_fail and e.errno == errno.EIO, e
                continue
            # A read ends early at the first page that cannot be had.
            end = off + (len(have) if may_fail else PIECE)
            was, left = left, [w for w in left if w[off:end] == have]
            assert left, "at %d of %s: %d bytes of none of them" % (
                off, self.numbers(was), len(have))

    def read_map(self, fd):
        size = os.fstat(fd).st_size
        with mmap.mmap(fd, size, prot=mmap.PROT_READ) as m:
            assert any(m[:] == w for w in self.wanted), "a mapping is wrong"

    def read(self, rng):
        name = rng.choice(RENAMED + EDITED + ["still"] +
                          [d + "/r0" for d in DIRS])
        may_fail = name in EDITED
        path = os.path.join(self.mnt, name + ".safetensors")
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError as e:
            allowed = GONE | ({errno.EIO} if may_fail else set())
            assert name != "still" and e.errno in allowed, (name, e)
            return
        try:
            if not may_fail and rng.randrange(3) == 0:
                self.read_map(fd)
            else:
                self.read_pieces(fd, rng.choice((
                    list, lambda o: list(reversed(o)),
                    lambda o: rng.sample(o, len(o)))), may_fail)
        except AssertionError as e:
            raise AssertionError(name) from e
        finally:
            os.close(fd)

    def look(self, rng):
        names = os.listdir(self.mnt)
        assert len(names) == len(set(names)), names
        assert "still.safetensors" in names and "plain" in names, names
        for name in names:
            try:
                st = os.stat(os.path.join(self.mnt, name))
            except OSError as e:
                # A container that is half written is EIO on its name.
                assert e.errno in GONE | {errno.EIO} and (
                    e.errno != errno.EIO or name[0] == "e"), (name, e)
                continue
            if name.endswith(".safetensors"):
                assert st.st_size in map(len, self.wanted), (name, st)
        assert open(os.path.join(self.mnt, "plain")).read() == "plain\n"
        time.sleep(rng.random() * 0.01)

    # ---- The whole --------------------------------------------------------

    def loop(self, step, seed):
        rng = random.Random(seed)
        n = 0
        while self.goes_on():
            step(rng)
            n += 1
        print("    %s: %d rounds" % (step.__name__, n), flush=True)

    def settled(self, path):
        """Whether the mount shows what the store holds, or why not."""
        shown = path[:-3] + ".safetensors"
        with open(os.path.join(self.store, path), "rb") as f:
            data = f.read()
        for container, want in zip(self.containers, self.wanted):
            if open(container, "rb").read() == data:
                with open(os.path.join(self.mnt, shown), "rb") as f:
                    return f.read() == want
        return True  # two writers edited it at once

    def check_end(self):
        deadline = time.monotonic() + 60
        for top, _, names in os.walk(self.store):
            for name in names:
                path = os.path.relpath(os.path.join(top, name), self.store)
                while path.endswith(".bs"):
                    try:
                        if self.settled(path):
                            break
                        why = "other bytes"
                    except OSError as e:
                        why = e
                    assert time.monotonic() < deadline, (path, why)
                    time.sleep(0.1)
        listed = set(os.listdir(self.store)) - {"plain"}
        shown = set(os.listdir(self.mnt)) - {"plain"}
        want = {n[:-3] + ".safetensors" if n.endswith(".bs") else n
                for n in listed}
        assert shown == want, (shown, want)


def main():
    store, mnt, seconds = sys.argv[1:4]
    stress = Stress(store, mnt, float(seconds),
                    [v.split(":") for v in sys.argv[4:]])
    steps = [stress.write] * 2 + [stress.read] * 4 + [stress.look]
    procs = [multiprocessing.Process(target=stress.loop, args=(s, i),
                                     name="%s %d" % (s.__name__, i))
             for i, s in enumerate(steps)]
    for p in procs:
        p.start()
    is_bad = False
    # Far more than anything takes: who is not done by then hangs.
    deadline = time.monotonic() + float(seconds) + 300
    for p in procs:
        p.join(max(0, deadline - time.monotonic()))
        if p.exitcode != 0:
            print("%s: %s" % (p.name, "it hangs" if p.exitcode is None
                              else "exit %d" % p.exitcode), flush=True)
            is_bad = True
            p.kill()
    if not is_bad:
        stress.check_end()
    # Whoever hangs in the kernel cannot be waited for.
    os._exit(is_bad)


main()
