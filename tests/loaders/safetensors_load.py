# SPDX-License-Identifier: Apache-2.0
"""safetensors_load.py - load two files with safetensors, compare all bits

usage: safetensors_load.py ORIGINAL MOUNTED WAY...

WAY is one of safe_open_numpy, safe_open_torch, load_file_numpy,
load_file_torch, get_slice.  Exit 1: a tensor, a name or the metadata differs.
"""
import os
import random
import sys

import ml_dtypes  # noqa: F401  gives numpy its bfloat16
import numpy as np
from safetensors import safe_open


def bits(t):
    """The tensor's own bytes: NaN equals NaN, and -0 is not 0."""
    if isinstance(t, np.ndarray):
        return str(t.dtype), t.shape, t.tobytes()
    import torch
    raw = t.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return str(t.dtype), tuple(t.shape), raw


def opened(path, framework):
    with safe_open(path, framework=framework) as f:
        yield "__metadata__", f.metadata()
        for name in f.keys():
            yield name, bits(f.get_tensor(name))


def loaded(path, framework):
    if framework == "np":
        from safetensors.numpy import load_file
    else:
        from safetensors.torch import load_file
    for name, t in sorted(load_file(path).items()):
        yield name, bits(t)


def sliced(path):
    """Rows from the middle and columns from the middle, seeded; and every
    tensor in an order of its own, as tensor-parallel ranks ask for them."""
    rng = random.Random(11)
    with safe_open(path, framework="pt") as f:
        names = sorted(f.keys())
        rng.shuffle(names)
        for name in names:
            part = f.get_slice(name)
            shape = part.get_shape()
            if not shape or 0 in shape:
                continue
            lo = rng.randrange(shape[0])
            hi = rng.randrange(lo, shape[0]) + 1
            yield (name, lo, hi), bits(part[lo:hi])
            if len(shape) == 2:
                lo = rng.randrange(shape[1])
                hi = rng.randrange(lo, shape[1]) + 1
                yield (name, "column", lo, hi), bits(part[:, lo:hi])


def load(path, way):
    if way == "get_slice":
        return sliced(path)
    fn, framework = way.rsplit("_", 1)
    framework = {"numpy": "np", "torch": "pt"}[framework]
    return {"safe_open": opened, "load_file": loaded}[fn](path, framework)


def main():
    original, mounted = sys.argv[1:3]
    for way in sys.argv[3:]:
        with open(mounted, "rb") as f:  # the kernel's copy is of no use to us
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        n = 0
        for a, b in zip(load(original, way), load(mounted, way), strict=True):
            if a != b:
                sys.exit(f"{mounted}: {way}: {a[0]} differs from {original}")
            n += 1
        if n < 5:
            sys.exit(f"{original}: only {n} tensors")
        print(f"{mounted}: {way}: {n} equal")


main()
