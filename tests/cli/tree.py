#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a directory holds, a line an entry: path, type, mode, time, SHA-256.

usage: tree.py DIR [--no-times]

Hard links show by the first of their names; a link by its text.
"""

import hashlib
import os
import stat
import sys


def entries(top):
    yield b"."
    for here, dirs, files in os.walk(top):
        for name in dirs + files:
            yield os.path.relpath(os.path.join(here, name), top)


def describe(top, path, first, with_times):
    full = os.path.join(top, path)
    st = os.lstat(full)
    time = str(st.st_mtime_ns) if with_times else "-"
    if stat.S_ISLNK(st.st_mode):
        return "link %s %r" % (time, os.readlink(full))
    line = "%o %s" % (st.st_mode, time)
    if stat.S_ISREG(st.st_mode):
        same = first.setdefault(st.st_ino, path)
        if same != path:
            return line + " as %r" % same
        with open(full, "rb") as f:
            line += " " + hashlib.sha256(f.read()).hexdigest()
    return line


def main():
    top = os.fsencode(sys.argv[1])
    first = {}
    for path in sorted(entries(top), key=lambda p: p.split(b"/")):
        print(repr(path), describe(top, path, first, len(sys.argv) < 3))


main()
