#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Damage a container in every way and watch what the commands make of it.

usage: damaged.py BIGSMALL CONTAINER ORIGINAL

Whatever the damage: no command crashes or hangs; each that fails says why in
sentences and exits 1 or 2; decompress gives exactly the original or nothing
at all; verify is content only where decompress is.  Prints what was wrong and
exits 1.
"""

import os
import random
import subprocess
import sys

from damage import SUPERBLOCK, Container

n_bad = n_runs = 0


def bad(label, text):
    global n_bad
    n_bad += 1
    print("%s: %s" % (label, text))


def bigsmall(label, *args):
    """Exit status and output of a command; its errors are looked at here."""
    global n_runs
    n_runs += 1
    try:
        done = subprocess.run([sys.argv[1], *args], timeout=120,
                              capture_output=True, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        bad(label, "%s hangs" % args[0])
        return -1
    code, lines = done.returncode, done.stderr.split(b"\n")[:-1]
    label = "%s: %s" % (label, " ".join(args[:2]))
    if code not in (0, 1, 2):
        bad(label, "exit %d: %r" % (code, done.stderr))
    if code and not lines:
        bad(label, "exit %d without a word" % code)
    if args[0] == "decompress" and code and len(lines) > 2:
        bad(label, "%d sentences" % len(lines))
    for line in lines:
        if not line.startswith(b"bigsmall: ") or not line.endswith(b"."):
            bad(label, "no sentence: %r" % line)
        if any(c < 32 or c == 127 for c in line):
            bad(label, "control characters: %r" % line)
    return code


def check(label, raw, original, expect=None):
    """'expect': what the exit statuses must be among, where that is known."""
    with open("bad.bs", "wb") as f:
        f.write(raw)
    restored = bigsmall(label, "decompress", "bad.bs", "-o", "out")
    if os.path.exists("out"):
        with open("out", "rb") as f:
            if f.read() != original:
                bad(label, "decompress gave other bytes")
        if restored:
            bad(label, "exit %d, and an output" % restored)
        os.remove("out")
    elif restored == 0:
        bad(label, "exit 0, and no output")
    found = bigsmall(label, "verify", "bad.bs")
    quick = bigsmall(label, "verify", "--fast", "bad.bs")
    info = bigsmall(label, "info", "bad.bs")
    if found == 0 and restored:
        bad(label, "verify is content, decompress is not")
    if quick == 0 and found:
        bad(label, "verify --fast is content, verify is not")
    if expect:
        for code in (restored, found, quick, info):
            if code not in expect:
                bad(label, "exit %d is not among %r" % (code, expect))
    left = sorted(os.listdir("."))
    if left != ["bad.bs"]:
        bad(label, "files were left: %r" % left)
        for name in left:
            os.remove(name)


def flip(raw, off, bit):
    ret = bytearray(raw)
    ret[off] ^= 1 << bit
    return ret


def truncations(box, original, rng):
    n = len(box.raw)
    cuts = {0, 1, 3, 4, 7, 8, SUPERBLOCK - 1, SUPERBLOCK, SUPERBLOCK + 1,
            1024, n - SUPERBLOCK - 1, n - SUPERBLOCK, n - SUPERBLOCK + 1,
            n - 1}
    cuts |= {off for off, _ in box.sections.values()}
    cuts |= {rng.randrange(n) for _ in range(12)}
    for cut in sorted(c for c in cuts if c < n):
        check("cut to %d" % cut, box.raw[:cut], original, (1, 2))
    # cut at the front, and with something after the end
    check("without its first byte", box.raw[1:], original, (1, 2))
    check("without its first superblock", box.raw[SUPERBLOCK:], original,
          (1, 2))
    check("one byte longer", box.raw + b"\0", original)
    check("twice", box.raw + box.raw, original)


def flips(box, original, rng):
    n = len(box.raw)
    spots = {"superblock": (0, SUPERBLOCK), "copy": (n - SUPERBLOCK,
                                                     SUPERBLOCK)}
    for kind, (off, length) in box.sections.items():
        spots["section %d" % kind] = (off, length)
    for i, (off, length) in enumerate(box.pages):
        spots["page %d" % i] = (off, length)
    for i in range(0, len(box.chunks), max(len(box.chunks) // 8, 1)):
        spots["chunk %d" % i] = box.chunks[i][:2]
    for name, (off, length) in spots.items():
        for _ in range(4 if length else 0):
            at, bit = off + rng.randrange(length), rng.randrange(8)
            check("bit %d of byte %d (%s)" % (bit, at, name),
                  flip(box.raw, at, bit), original)


def others(box, original, rng):
    n = len(box.raw)
    check("zeros", bytes(n), original, (2,))
    check("garbage", rng.randbytes(n), original, (2,))
    check("text", b"a text\n" * 500, original, (2,))
    check("the original", original, original, (2,))
    check("garbage between the superblocks",
          box.raw[:SUPERBLOCK] + rng.randbytes(n - 2 * SUPERBLOCK) +
          box.raw[-SUPERBLOCK:], original, (1,))
    check("only the superblocks", box.raw[:SUPERBLOCK] +
          box.raw[-SUPERBLOCK:], original, (1,))
    for _ in range(8):
        raw, at = bytearray(box.raw), rng.randrange(n)
        part = rng.randrange(1, 5000)
        raw[at:at + part] = bytes(len(raw[at:at + part]))
        check("%d zeros at %d" % (part, at), raw, original)
    for _ in range(8):
        raw, at, to = bytearray(box.raw), rng.randrange(n), rng.randrange(n)
        part = min(rng.randrange(1, 5000), n - at, n - to)
        raw[to:to + part] = box.raw[at:at + part]
        check("%d bytes of %d at %d" % (part, at, to), raw, original)


def main():
    box = Container(sys.argv[2])
    with open(sys.argv[3], "rb") as f:
        original = f.read()
    seed = int(os.environ.get("SEED", "1"))
    rng = random.Random(seed)
    check("whole", box.raw, original, (0,))
    truncations(box, original, rng)
    flips(box, original, rng)
    others(box, original, rng)
    print("%d commands, %d findings, SEED=%d" % (n_runs, n_bad, seed))
    sys.exit(n_bad > 0)


main()
