#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""quickstart.py - the parts of quickstart.sh that are Python

  report JSON                 what bigsmall compress --json said, for people
  load MOUNTED ORIGINAL...    load each file of the same name from the directory
                              MOUNTED, compare it with the original tensor by
                              tensor, then both SHA-256
  sums ORIGINAL OTHER WHAT    both SHA-256 alone

Exit 1: something differs.
"""

import hashlib
import json
import os
import sys
import time


def say(what, text):
    print(f"{what:11} {text}", flush=True)


def rate(size, seconds):
    return f"{size / 1e6 / max(seconds, 1e-9):,.0f} MB/s"


def report(path):
    with open(path, encoding="utf-8") as file:
        for one in json.load(file):
            raw, stored = one["raw_bytes"], one["stored_bytes"]
            saved = "no smaller"
            if stored < raw:
                saved = f"{100 - 100 * stored / raw:.1f} % saved"
            name = os.path.basename(one["source"])
            say(
                "Compress",
                f"{name}: {raw:,} → {stored:,} bytes, {saved}, "
                f"{rate(raw, one['seconds'])}",
            )
    return 0


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 22), b""):
            digest.update(block)
    return digest.hexdigest()


def sums(original, other, what):
    a, b = sha256(original), sha256(other)
    say("SHA-256", f"{a}  {os.path.basename(original)}, the original")
    say("", f"{b}  {what}: {'equal' if a == b else 'DIFFERENT'}")
    return int(a != b)


def get(file, name):
    """A tensor; None where numpy has no such dtype."""
    try:
        return file.get_tensor(name)
    except (TypeError, AttributeError, ValueError):
        return None


def same(a, b):
    """By their bytes: a NaN equals itself."""
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and a.tobytes() == b.tobytes()
    )


def compare(mounted, original):
    """Each tensor, first through the mount; the time is the mount's alone.
    How many there are, the names of those that differ, how many numpy has no
    dtype for, and the seconds."""
    # ml_dtypes teaches numpy bfloat16 and its like.
    import ml_dtypes  # noqa: F401 pylint: disable=unused-import
    from safetensors import safe_open

    begin = time.monotonic()
    file = safe_open(mounted, framework="np")
    names = list(file.keys())
    seconds = time.monotonic() - begin
    truth = safe_open(original, framework="np")
    wrong = sorted(set(names) ^ set(truth.keys()))
    n_other = 0
    for name in names:
        begin = time.monotonic()
        tensor = get(file, name)
        seconds += time.monotonic() - begin
        if tensor is None:
            n_other += 1
        elif name not in wrong and not same(tensor, get(truth, name)):
            wrong.append(name)
    return len(names), wrong, n_other, seconds


def load(mounted, original):
    from safetensors import SafetensorError

    name = os.path.basename(original)
    try:
        n, wrong, n_other, seconds = compare(mounted, original)
    except SafetensorError as err:
        say("Load", f"{name}: safetensors cannot read it: {err}")
        return 0
    text = f"{name}: {n} tensors, {rate(os.path.getsize(original), seconds)}, "
    text += f"DIFFERENT: {', '.join(wrong)}" if wrong else "each equal"
    if n_other:
        text += f"; {n_other} of a dtype that numpy lacks"
    say("Load", text)
    return int(bool(wrong))


def main():
    command, *args = sys.argv[1:]
    code = 0
    if command == "report":
        code = report(args[0])
    elif command == "sums":
        code = sums(*args)
    elif command == "load":
        for original in args[1:]:
            path = os.path.join(args[0], os.path.basename(original))
            code |= load(path, original)
            code |= sums(original, path, "through the mount")
    else:
        sys.exit(__doc__)
    sys.exit(code)


if __name__ == "__main__":
    main()
