#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stand_ins.py - let a CUDA build of torch be imported without CUDA

usage: stand_ins.py SITE_PACKAGES

The only torch wheel for x86-64 Linux in the Python package index is linked
to a dozen GPU libraries of 3 GB, and it cannot be imported without them,
though a CPU never calls them.  This finds which libraries are missing and
which functions torch expects in each, and puts small libraries in their place
whose functions return 0.  The CUDA runtime itself (1 MB) has to be there, real:
it is what tells torch that there is no GPU.

Run the result with CUDA_VISIBLE_DEVICES set and empty: where there is a GPU
after all, these libraries are no use to it.
"""
import collections
import glob
import os
import re
import subprocess
import sys
import tempfile

# Loaded when a GPU first needs them, which is never.
LAZY = {"libtorch_cuda_linalg.so", "libcaffe2_nvrtc.so"}
# What every Linux has.
SYSTEM = re.compile(r"(ld-linux|lib(c|m|dl|rt|gcc_s|stdc\+\+|pthread)\.so)")


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    site = sys.argv[1]
    torch = os.path.join(site, "torch")
    place = os.path.join(site, "nvidia", "cu13", "lib")
    if not glob.glob(os.path.join(place, "libcudart.so.*")):
        sys.exit("stand_ins.py: the CUDA runtime is not in " + place)

    files = [f for f in glob.glob(os.path.join(torch, "lib", "*.so*")) +
             glob.glob(os.path.join(torch, "_C*.so"))
             if os.path.basename(f) not in LAZY]
    have = {os.path.basename(f) for f in files}
    have |= set(os.listdir(place))
    missing, wanted, defined = set(), set(), set()
    owner = {}  # of a symbol version
    for f in files + glob.glob(os.path.join(place, "*.so*")):
        for line in readelf("-d", f).splitlines():
            m = re.search(r"\(NEEDED\).*\[(.*)\]", line)
            if m and m[1] not in have and not SYSTEM.match(m[1]):
                missing.add(m[1])
        versions_of = None
        for line in readelf("-V", f).splitlines():
            m = re.search(r"Version: 1  File: (\S+)", line)
            if m:
                versions_of = m[1]
            m = re.search(r" Name: (\S+)  Flags", line)
            if m and versions_of in missing:
                owner[m[1]] = versions_of
        for line in readelf("--dyn-syms", f).splitlines():
            col = line.split()
            if len(col) < 8 or not col[0].endswith(":"):
                continue
            if col[6] != "UND":
                defined.add(col[7].split("@")[0])
            elif col[4] == "GLOBAL" and not col[7].startswith("_Z"):
                wanted.add(col[7])

    # A name with a version is of the library that defines the version; a name
    # without may be anybody's.
    by_lib = {lib: collections.defaultdict(list) for lib in missing}
    for symbol in sorted(wanted):
        name, _, version = symbol.partition("@")
        if version in owner:
            by_lib[owner[version]][version].append(name)
        elif not version and name not in defined:
            by_lib[min(missing)][""].append(name)
    with tempfile.TemporaryDirectory() as tmp:
        for lib, versions in sorted(by_lib.items()):
            source = os.path.join(tmp, "s.c")
            script = os.path.join(tmp, "s.map")
            with open(source, "w") as c, open(script, "w") as m:
                for version, names in versions.items():
                    for name in names:
                        c.write(f"long {name}(void) {{ return 0; }}\n")
                    if version:
                        m.write("%s { global: %s; };\n" %
                                (version, "; ".join(names)))
            cmd = ["gcc", "-shared", "-fPIC", "-w", "-fno-builtin",
                   "-Wl,-soname," + lib, source,
                   "-o", os.path.join(place, lib)]
            if os.path.getsize(script):
                cmd.append("-Wl,--version-script," + script)
            subprocess.run(cmd, check=True)
            print(f"{lib}: {sum(map(len, versions.values()))} functions")


if __name__ == "__main__":
    main()
