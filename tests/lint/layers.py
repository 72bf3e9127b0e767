#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""layers.py ROOT - check who includes whom, and who may print.

Prints each violation as FILE:LINE: SENTENCE; exits 1 if there is one.
"""
import os
import re
import sys

FOLDERS = ("codec", "fs", "exec", "tools")

# What a folder may include of others.  Its own headers are always allowed.
MAY_INCLUDE = {
    "codec": set(),
    # The names of damaged tensors stand in the safetensors header.
    "fs": {"codec/bigsmall.h", "codec/safetensors.h"},
    "exec": {
        "codec/bigsmall.h",
        "codec/safetensors.h",
        "codec/cuda/bigsmall_cuda.h",
    },
    "tools": {
        "codec/bigsmall.h",
        "codec/safetensors.h",
        "codec/cuda/bigsmall_cuda.h",
        "fs/fs.h",
        "exec/exec.h",
    },
}

# One library, one place: <header> -> the files that may include it.
ONLY = [
    (r"zstd(_errors)?\.h|zdict\.h", r"codec/plain\.c"),
    (r"xxh(ash|3)\.h", r"codec/checksum\.c"),
    (r"openssl/.*", r"codec/checksum\.c"),
    (r"isa-l.*|erasure_code\.h", r"codec/ecc\.c"),
    (
        r"cjson/.*|cJSON\.h",
        r"codec/safetensors\.c|codec/upstream/.*|exec/(hparams|tokenizer)\.c",
    ),
    (r"pcre2.*", r"exec/pretoken\.c"),
    (r"utf8proc\.h", r"exec/compose\.c"),
    (r"liburing.*", r"fs/uring\.c"),
    (r"fuse.*", r"fs/(session|inode)\.c|fs/fuse_ops\.[ch]"),
    (r"cuda.*", r".*/cuda/.*"),
    (r"curl/.*", r"(?!)"),
]

# A header that the codec must not include: it has no threads and no files.
CODEC_DENIED = re.compile(
    r"pthread\.h|threads\.h|fcntl\.h|unistd\.h|dirent\.h|signal\.h"
    r"|sys/(mman|stat|uio|socket|ioctl)\.h"
)

NOT_BELOW_TOOLS = re.compile(
    r"(?<![\w>.])(main|_?exit|_Exit|abort|v?printf|puts|putchar|perror"
    r"|v?syslog|v?warnx?|v?errx?)\s*\(|\b(stdout|stderr)\b"
)


def sources(root):
    for folder in FOLDERS:
        for at, dirs, names in os.walk(os.path.join(root, folder)):
            dirs.sort()
            for name in sorted(names):
                if name.endswith((".c", ".h", ".cu", ".cuh")):
                    yield os.path.relpath(os.path.join(at, name), root)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def code_of(text):
    """The text without comments and strings, and without what only a build
    with test hooks has; lines keep their numbers."""
    text = re.sub(
        r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\\n])*\'',
        blank,
        text,
        flags=re.S,
    )
    return re.sub(
        r"^#if(def)? .*BIGSMALL_TEST_HOOKS.*?^#(endif|else)",
        blank,
        text,
        flags=re.S | re.M,
    )


def find_header(headers, source, name):
    """The header of ours that an include of 'name' means, or None."""
    near = os.path.normpath(os.path.join(os.path.dirname(source), name))
    if near in headers:
        return near
    for header in headers:
        if header == name or header.endswith("/" + name):
            return header
    base = [h for h in headers if os.path.basename(h) == os.path.basename(name)]
    return base[0] if base else None


def check_include(headers, path, mark, name):
    """A sentence about what is wrong with an include, or None."""
    folder = path.split("/")[0]
    ours = find_header(headers, path, name)
    if ours is None and mark == '"':
        return f'"{name}" is no header of this tree'
    if ours is None:
        if folder == "codec" and CODEC_DENIED.fullmatch(name):
            return f"codec has no threads, files or signals: <{name}>"
        for pattern, allowed in ONLY:
            if re.fullmatch(pattern, name) and not re.fullmatch(allowed, path):
                return f"<{name}> belongs in {allowed} only"
        return None
    if "/cuda/" in ours and os.path.dirname(path) != os.path.dirname(ours):
        if ours not in MAY_INCLUDE[folder]:
            return f"{ours} is for its own folder"
    if mark == "<":
        return f'headers of ours are included by "{os.path.basename(ours)}"'
    if ours.split("/")[0] == folder or ours in MAY_INCLUDE[folder]:
        return None
    return f"{folder} may not include {ours}"


def check(root):
    files = list(sources(root))
    headers = [f for f in files if f.endswith((".h", ".cuh"))]
    stems = {}
    for path in files:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        plain = re.sub(r"/\*.*?\*/", blank, text, flags=re.S)
        for no, line in enumerate(plain.splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if found:
                wrong = check_include(headers, path, *found.groups())
                if wrong:
                    yield f"{path}:{no}: {wrong}"
        if not path.startswith("tools/"):
            for no, line in enumerate(code_of(text).splitlines(), 1):
                for found in NOT_BELOW_TOOLS.finditer(line):
                    word = found.group(1) or found.group(2)
                    yield f"{path}:{no}: {word} belongs in tools/"
        if path.endswith(".c"):
            other = stems.setdefault(os.path.basename(path), path)
            if other != path:
                yield f"{path}:1: {other} has the same name"
    if not any(f.startswith("codec/") for f in files):
        yield f"{root}: there is no codec/ here"


def main():
    wrong = list(check(sys.argv[1] if len(sys.argv) > 1 else "."))
    for sentence in wrong:
        print(sentence)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
