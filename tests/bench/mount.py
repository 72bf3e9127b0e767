#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mount.py [OPTIONS] BIN FILE.safetensors - cold reads through mounts, in turns

BIN is the folder of a build (bigsmall, mount.bigsmall, read_file, bench_decode).
FILE is compressed by us, by mksquashfs with zstd in its default blocks of 128 KiB
and, if there is one, by lmz; each is mounted anew, with the kernel's caches
dropped, for every read, and the plain file is read as well:

  ours, ours-user   our mount as root, and as an unprivileged user (uid 65534)
  ours-off, user-off   the same with -o prefetch=off (only if asked for by --only)
  resident          our mount as root, with -o resident
  squashfuse        squashfuse_ll
  squashfuse-1m     the same with 1 MiB of read-ahead, as our mount gives itself
  squashfs          the kernel's own, on a loop device
  lmz               PyPI's lmzip
  plain             the file itself, from the same disk

by pread of 1 MiB, by a mapping that is copied out, by one that is walked, by pread
and by copying once more ("warm", "warmcopy"), and 4 KiB at random places
(microseconds).  Who comes first changes every round.  Prints the median, least and
most GB/s (10^9) of each, the processor time that its daemon and the reader took for
a GB (the kernel's own threads are not seen), and the median, least and most of the
rounds' ratios, ours over theirs.  What is read is compared: the sums of all must be
the same.  A read is done again, up to AGAIN times, if other programs took a tenth of
a processor beside it; how many were, and how many were kept all the same, is said.

Then ("many" for --only) 50 processes read the file at once, cold, and the daemon's
counters say how often each chunk was decoded; and with --device ("throttled"), store
and plain file are read from a device that a control group throttles to some GB/s.

Needs root, squashfs-tools and squashfuse.  Drops the caches of the whole machine.
Exit 1: the readers saw different bytes.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

WAYS = ("pread", "copy", "mmap", "warm", "warmcopy", "random")
READ_AS = {"warm": "pread", "warmcopy": "copy"}
AGAIN = 3
USER = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
TICK = os.sysconf("SC_CLK_TCK")
DEADLINE = 60  # seconds for mounting or unmounting


def run(*command, **options):
    return subprocess.run(command, check=True, text=True,
                          stdout=subprocess.PIPE, **options).stdout


def drop():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3")


def is_mounted(path):
    with open("/proc/self/mounts") as f:
        return any(line.split()[1] == path for line in f)


def cpu_seconds(pid):
    """In user mode, and altogether."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) / TICK,
            (int(fields[11]) + int(fields[12])) / TICK)


def machine_seconds():
    """Of all programs, in user mode."""
    with open("/proc/stat") as f:
        fields = f.readline().split()
    return (int(fields[1]) + int(fields[2])) / TICK


def run_counted(*command):
    """What it prints, and its seconds in user mode."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        out = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit("mount.py: %s: exit %d" % (command, child.returncode))
    return out, usage.ru_utime


def load():
    with open("/proc/loadavg") as f:
        return " ".join(f.read().split()[:3])


class Bench:
    def __init__(self, args):
        self.args = args
        self.bin = os.path.abspath(args.bin)
        self.file = os.path.realpath(args.file)
        self.name = os.path.basename(self.file)
        self.size = os.path.getsize(self.file)
        # By default on a disk: what is stored has to be read, too.
        self.work = tempfile.mkdtemp(prefix="bigsmall-bench.", dir=args.dir)
        os.chmod(self.work, 0o755)
        self.mnt = self.path("mnt")
        self.rates = {}
        self.cpus = {}
        self.sums = {}
        self.direct = []
        self.n_again = 0
        self.n_disturbed = 0

    def path(self, name):
        return os.path.join(self.work, name)

    def prepare(self):
        for name in ("store", "plain", "mnt"):
            os.mkdir(self.path(name))
        os.chown(self.mnt, 65534, 65534)
        shutil.copyfile(self.file, os.path.join(self.path("plain"), self.name))
        run(self.bin + "/bigsmall", "compress", self.file, "-o",
            self.path("store") + "/")
        self.container, = (os.path.join(self.path("store"), n)
                           for n in os.listdir(self.path("store")))
        os.chmod(self.container, 0o644)
        sizes = {"ours": os.path.getsize(self.container)}
        self.tasks = ["many", "throttled"]
        if self.args.only:
            only = self.args.only.split(",")
            self.systems = [w for w in only if w not in self.tasks]
            self.tasks = [w for w in only if w in self.tasks]
        else:
            self.systems = ["ours", "ours-user", "resident", "plain"]
            if shutil.which("mksquashfs"):
                self.systems.append("squashfs")
            if shutil.which("squashfuse_ll"):
                self.systems += ["squashfuse", "squashfuse-1m"]
            if self.args.lmz:
                self.systems.append("lmz")
        if any(what.startswith("squash") for what in self.systems):
            run("mksquashfs", self.path("plain"), self.path("squash"), "-comp",
                "zstd", "-quiet", "-no-progress")
            sizes["squashfs-zstd"] = os.path.getsize(self.path("squash"))
        if "lmz" in self.systems:
            run(self.args.lmz, "add", self.file, "--store", self.path("lmz"))
            sizes["lmz"] = sum(os.path.getsize(os.path.join(top, n))
                               for top, _, names in os.walk(self.path("lmz"))
                               for n in names)
        print("%s: %d bytes; %s" % (self.name, self.size, ", ".join(
            "%s %d" % pair for pair in sizes.items())))
        text = run(self.bin + "/bench_decode", "-r", "5", self.container)
        self.speed = float(re.search(r"decode +median +([\d.]+)", text)[1])
        print("%d cores, Linux %s, load %s; decoding %.2f GB/s of one core's "
              "time" % (os.cpu_count(), os.uname().release, load(),
                        self.speed))

    def start(self, command):
        daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL,
                                  stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + DEADLINE
        while not is_mounted(self.mnt):
            if daemon.poll() is not None:
                sys.exit("mount.py: %s: exit %d" % (command[0],
                                                    daemon.returncode))
            if time.monotonic() > deadline:
                daemon.kill()
                sys.exit("mount.py: %s does not mount" % command[0])
            time.sleep(0.01)
        return daemon

    def read_ahead(self, kib):
        with open("/proc/self/mountinfo") as f:
            dev, = (line.split()[2] for line in f
                    if line.split()[4] == self.mnt)
        with open("/sys/class/bdi/%s/read_ahead_kb" % dev, "w") as f:
            f.write(str(kib))

    @contextlib.contextmanager
    def mounted(self, what):
        """The file's path, and the daemon or None."""
        daemon = None
        ours = [self.bin + "/mount.bigsmall", self.path("store"), self.mnt,
                "--foreground"]
        if what == "plain":
            yield os.path.join(self.path("plain"), self.name), None
            return
        if what.endswith("-off"):
            ours += ["-o", "prefetch=off"]
        if what == "resident":
            ours += ["-o", "resident"]
        if what in ("ours-user", "user-off"):
            daemon = self.start(USER + ours)
        elif what.startswith("ours") or what == "resident":
            daemon = self.start(ours)
        elif what.startswith("squashfuse"):
            daemon = self.start(["squashfuse_ll", "-f", self.path("squash"),
                                 self.mnt])
            if what == "squashfuse-1m":
                self.read_ahead(1024)
        elif what == "lmz":
            daemon = self.start([self.args.lmz, "mount", "--store",
                                 self.path("lmz"), "-q", self.mnt])
        else:
            run("mount", "-t", "squashfs", "-o", "loop,ro",
                self.path("squash"), self.mnt)
        try:
            path = os.path.join(self.mnt, self.name)
            if what == "lmz":
                for top, _, names in os.walk(self.mnt):
                    if self.name in names:
                        path = os.path.join(top, self.name)
            yield path, daemon
        finally:
            deadline = time.monotonic() + DEADLINE
            while is_mounted(self.mnt):
                if subprocess.run(["umount", self.mnt],
                                  stderr=subprocess.DEVNULL).returncode:
                    if time.monotonic() > deadline:
                        sys.exit("mount.py: %s stays busy" % self.mnt)
                    time.sleep(0.05)
            if daemon:
                daemon.wait()

    def read_once(self, what, way):
        """What read_file prints, the daemon's seconds, and whether others took
        much of the machine meanwhile."""
        as_user = USER if what in ("ours-user", "user-off") else []
        command = as_user + [self.bin + "/read_file", READ_AS.get(way, way)]
        drop()
        with self.mounted(what) as (path, daemon):
            if way in READ_AS:
                run(*command, path)
            before = cpu_seconds(daemon.pid) if daemon else (0, 0)
            others, begin = machine_seconds(), time.monotonic()
            out, by_reader = run_counted(*command, path)
            took = time.monotonic() - begin
            after = cpu_seconds(daemon.pid) if daemon else (0, 0)
            others = machine_seconds() - others - by_reader - (after[0] -
                                                               before[0])
        # Three ticks are what counting in ticks may be wrong by.
        return (out.split(), after[1] - before[1],
                others > max(took / 10, 3 / TICK))

    def read(self, what, way):
        for i in range(AGAIN + 1):
            out, spent, is_disturbed = self.read_once(what, way)
            if not is_disturbed:
                break
            self.n_again += i < AGAIN
        self.n_disturbed += is_disturbed
        key = (what, way)
        if way == "random":
            self.rates.setdefault(key, []).append(float(out[0]))
            return
        self.rates.setdefault(key, []).append(float(out[2]))
        self.cpus.setdefault(key, []).append(
            (spent + float(out[4])) / self.size * 1e9)
        self.sums.setdefault("pread" if READ_AS.get(way, way) == "pread"
                             else "mmap", set()).add(out[3])

    def read_direct(self):
        """GB/s of what is stored, past the kernel's cache."""
        begin = time.monotonic()
        run("dd", "if=" + self.container, "of=/dev/null", "bs=4M",
            "iflag=direct", "status=none")
        return (os.path.getsize(self.container) / 1e9 /
                (time.monotonic() - begin))

    def measure(self):
        for i in range(self.args.rounds):
            order = self.systems[i % 2:] + self.systems[:i % 2]
            self.direct.append(self.read_direct())
            for way in self.args.ways:
                for what in order:
                    self.read(what, way)
        for way, sums in self.sums.items():
            if len(sums) != 1:
                sys.exit("mount.py: %s: the readers saw different bytes" % way)

    def mine(self):
        return [w for w in ("ours", "ours-user") if w in self.systems]

    def report(self):
        print("stored bytes, by direct reads of 4 MiB: %.2f (%.2f-%.2f) GB/s, of "
              "which %.2f are shown" % (
                  statistics.median(self.direct), min(self.direct),
                  max(self.direct), statistics.median(self.direct) *
                  self.size / os.path.getsize(self.container)))
        for way in self.args.ways:
            for what in self.systems:
                x = self.rates[what, way]
                line = "%-6s %-10s %8.3f (%.3f-%.3f)" % (
                    way, what, statistics.median(x), min(x), max(x))
                if way == "random":
                    print(line + " us")
                    continue
                line += " GB/s   cpu %.2f s/GB" % statistics.median(
                    self.cpus[what, way])
                for ours in self.mine():
                    y = [a / b for a, b in zip(self.rates[ours, way], x)]
                    if what not in self.mine():
                        line += "   %s / it %.2f (%.2f-%.2f)" % (
                            ours, statistics.median(y), min(y), max(y))
                print(line)
        mine = self.mine() if {"pread", "copy"} <= set(self.args.ways) else []
        for what in mine + [w for w in self.systems if mine and w == "resident"]:
            y = [a / b for a, b in zip(self.rates[what, "copy"],
                                       self.rates[what, "pread"])]
            print("copy / pread of %s: %.2f (%.2f-%.2f); beyond decoding %.2f "
                  "s/GB by pread" % (
                      what, statistics.median(y), min(y), max(y),
                      statistics.median(self.cpus[what, "pread"]) -
                      1 / self.speed))
        best = 2 / (1 / self.speed + 0.43)
        for what in mine:
            print("pread of %s: %.2f of two cores' bound, 2 / (1/D + 0.43) = "
                  "%.2f GB/s" % (
                      what, statistics.median(self.rates[what, "pread"]) / best,
                      best))
        print("%d reads done again since others were busy, %d kept" % (
            self.n_again, self.n_disturbed))

    def many(self):
        """Fifty at once, cold."""
        drop()
        with self.mounted("ours") as (path, daemon):
            begin = time.monotonic()
            procs = [subprocess.Popen([self.bin + "/read_file", "pread", path],
                                      stdout=subprocess.PIPE, text=True)
                     for _ in range(50)]
            sums = {p.communicate()[0].split()[3] for p in procs}
            spent = time.monotonic() - begin
            with open(self.mnt + "/.bigsmall/stats") as f:
                stats = json.load(f)
        if len(sums) != 1:
            sys.exit("mount.py: 50 processes saw different bytes")
        print("50 processes: %.2f s, %d chunks decoded, %d of them again" % (
            spent, stats["decodes"], stats["redecodes"]))

    def throttled(self):
        group = "/sys/fs/cgroup/blkio/bigsmall-bench.%d" % os.getpid()
        os.mkdir(group)
        was = "/sys/fs/cgroup/blkio/cgroup.procs"
        try:
            for rate in (0.5, 1, 2):
                with open(group + "/blkio.throttle.read_bps_device", "w") as f:
                    f.write("%s %d" % (self.args.device, rate * 1e9))
                with open(group + "/cgroup.procs", "w") as f:
                    f.write(str(os.getpid()))
                took = {"ours": [], "plain": []}
                for i in range(self.args.rounds):
                    for what in sorted(took, reverse=bool(i % 2)):
                        drop()
                        with self.mounted(what) as (path, _):
                            out = run(self.bin + "/read_file", "copy", path)
                        took[what].append(float(out.split()[1]))
                with open(was, "w") as f:
                    f.write(str(os.getpid()))
                y = [a / b for a, b in zip(took["ours"], took["plain"])]
                print("disk of %.1f GB/s: copy takes %.2f s, plain %.2f s; "
                      "%.2f (%.2f-%.2f) of plain" % (
                          rate, statistics.median(took["ours"]),
                          statistics.median(took["plain"]),
                          statistics.median(y), min(y), max(y)))
        finally:
            with open(was, "w") as f:
                f.write(str(os.getpid()))
            os.rmdir(group)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--rounds", type=int, default=7)
    parser.add_argument("--dir", default="/var/tmp", help="where to make store "
                        "and mount; in a tmpfs no disk is measured")
    parser.add_argument("--lmz", help="the program, to compare with it")
    parser.add_argument("--only", help="the systems to read, many and "
                        "throttled, separated by commas, and nothing else")
    parser.add_argument("--ways", type=lambda s: s.split(","), default=WAYS,
                        help="the ways to read, separated by commas")
    parser.add_argument("--device", help="MAJOR:MINOR of the disk, to throttle "
                        "it (control groups of version 1)")
    parser.add_argument("bin")
    parser.add_argument("file")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("mount.py: only root can drop the kernel's caches")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = Bench(args)
    try:
        bench.prepare()
        bench.measure()
        bench.report()
        if "many" in bench.tasks:
            bench.many()
        if "throttled" in bench.tasks and args.device:
            bench.throttled()
        print("load after: " + load())
    finally:
        shutil.rmtree(bench.work)


main()
