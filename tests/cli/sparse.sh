#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sparse.sh - a sparse file of 5 GB comes back byte for byte, and sparse

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

python3 - <<'PYTHON' || skip "this file system cannot hold a file of 5 GB"
import json, random, struct, sys
rng = random.Random(7)
head, end = {}, 0
for i, n in enumerate((1000000000, 1, 1999999998, 6, 2000000000)):
    head["t.%d" % i] = {"dtype": "U8", "shape": [n],
                        "data_offsets": [end, end + n]}
    end += n
text = json.dumps(head).encode()
try:
    with open("m.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        base = f.tell()
        f.truncate(base + end)
        for _ in range(20):
            f.seek(base + rng.randrange(end - 100000))
            f.write(rng.randbytes(100000))
except OSError as e:
    sys.exit(str(e))
PYTHON
[ "$(stat -c %b m.safetensors)" -lt 100000 ] ||
	skip "this file system has no sparse files"

run 0 compress --json m.safetensors
is raw_bytes "$(stat -c %s m.safetensors)" "$(field 'j[0]["raw_bytes"]')"
[ "$(stat -c %s m.bs)" -lt 4000000 ] || fail "m.bs: $(stat -c %s m.bs) bytes"
run 0 verify --fast m.bs
# decompress compares the SHA-256, which compress took of what it read
run 0 decompress m.bs -o back.safetensors
is "size" "$(stat -c %s m.safetensors)" "$(stat -c %s back.safetensors)"
[ "$(stat -c %b back.safetensors)" -lt 100000 ] ||
	fail "it came back with $(stat -c %b back.safetensors) blocks"
python3 - <<'PYTHON' || fail "it came back different"
import os, sys

# Compare the data of both files; everything else is a hole in both.
def extents(f):
    size, pos = os.fstat(f).st_size, 0
    while pos < size:
        try:
            pos = os.lseek(f, pos, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(f, pos, os.SEEK_HOLE)
        yield pos, end
        pos = end

a = os.open("m.safetensors", os.O_RDONLY)
b = os.open("back.safetensors", os.O_RDONLY)
n = 0
for f in (a, b):
    for pos, end in extents(f):
        while pos < end:
            part = min(end - pos, 1 << 20)
            n += part
            if os.pread(a, part, pos) != os.pread(b, part, pos):
                sys.exit("bytes from %d on differ" % pos)
            pos += part
if n < 4000000:
    sys.exit("only %d bytes compared" % n)
PYTHON

finish
