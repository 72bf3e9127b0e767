#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Files with extreme layouts, through the mount: 10,000 tensors, tensors of a
# few bytes each of them tied, and a sparse file of 5 GB.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

gb=5
is_sanitized && gb=0.2
python3 - $gb <<'EOF' || skip "this file system cannot hold a file of 5 GB"
import json, random, struct, sys
rng = random.Random(5)

def header(sizes, dtype="BF16", unit=2):
    head, end = {}, 0
    for i, n in enumerate(sizes):
        head["t.%d" % i] = {"dtype": dtype, "shape": [n // unit],
                            "data_offsets": [end, end + n]}
        end += n
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text, end

def write(name, sizes, data):
    head, end = header(sizes)
    assert len(data) == end
    open("orig/%s.safetensors" % name, "wb").write(head + data)

sizes = [2 * rng.randrange(1, 700) for _ in range(10000)]
write("many", sizes, rng.randbytes(sum(sizes)))
# Each the same few bytes: as many extents as there are tensors, or one run.
write("tied", [64] * 20000, bytes(range(64)) * 20000)

part = int(float(sys.argv[1]) * 2e8)
head, end = header([part, 2, 2 * part - 2, 6, 2 * part - 6], "U8", 1)
try:
    with open("orig/sparse.safetensors", "wb") as f:
        f.write(head)
        f.truncate(len(head) + end)
        for _ in range(20):
            f.seek(len(head) + rng.randrange(end - 100000))
            f.write(rng.randbytes(100000))
except OSError as e:
    sys.exit(str(e))
EOF
for name in many tied sparse; do
	"$bigsmall" compress "orig/$name.safetensors" -o store/ \
		>/dev/null 2>&1 || fail "compress $name: exit $?"
done
begin_mount -o cache=16M
same mnt/many.safetensors orig/many.safetensors
same mnt/tied.safetensors orig/tied.safetensors
is "size" "$(stat -c %s orig/sparse.safetensors)" \
	"$(stat -c %s mnt/sparse.safetensors)"
# All of what was written, and some of what was not.
python3 - <<'EOF' || fail "the sparse file"
import os, random
rng = random.Random(6)
a = os.open("orig/sparse.safetensors", os.O_RDONLY)
b = os.open("mnt/sparse.safetensors", os.O_RDONLY)
size = os.fstat(a).st_size
ranges = [(rng.randrange(size), 300000) for _ in range(100)]
ranges += [(0, 200000), (size - 200000, 200001)]
at = 0
while True:
    try:
        at = os.lseek(a, at, os.SEEK_DATA)
    except OSError:
        break
    end = os.lseek(a, at, os.SEEK_HOLE)
    ranges.append((max(at - 5000, 0), end - at + 10000))
    at = end
assert len(ranges) > 110, len(ranges)
for at, n in ranges:
    while n > 0:
        x, y = os.pread(a, min(n, 1 << 20), at), os.pread(b, min(n, 1 << 20), at)
        assert x == y, (at, len(x), len(y))
        if not x:
            break
        at += len(x)
        n -= len(x)
EOF
rss=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$daemon/status")
bound=$(((16 + $(nproc) * 2 + 16) << 10))
[ "$rss" -le "$bound" ] || is_sanitized ||
	fail "the daemon took $rss KiB of $bound"
end_mount
finish
