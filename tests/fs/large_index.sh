#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A container like that of a 147 GB model, of 10,000 tensors: the mount holds its
# directory alone, and for 4 KiB at a random place reads and decodes one chunk.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

"${bin%/*}/bin/bench_open" make store/large.bs || fail "make: exit $?"
begin_mount
is "size" 146801876992 "$(stat -c %s mnt/large.safetensors)"
python3 - <<'EOF' || fail "reading at random"
import json, os, random, sys
rng = random.Random(8)
TENSOR, HEADER, COUNT = 14 << 20, 151 << 13, 10000
fd = os.open("mnt/large.safetensors", os.O_RDONLY)

def stats():
    return json.load(open("mnt/.bigsmall/stats"))

def read(off):
    """what one read costs: chunks decoded, reads and bytes of the store"""
    before = stats()
    raw = os.pread(fd, 4096, off)
    after = stats()
    assert len(raw) == 4096, off
    return raw, [after[k] - before[k]
                 for k in ("decodes", "store_reads", "store_bytes")]

assert stats()["open_containers"] == 1
assert stats()["open_container_bytes"] < 150 * COUNT
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
# Constant chunks: 8 bytes repeated, seven of them equal; and some in planes.
places = rng.sample([(t, c) for t in range(1, COUNT, 2)
                     for c in range(2, 50)], 200)
places += [(t, 1) for t in range(0, COUNT, 200)]
worst = [0, 0, 0]
for tensor, chunk in places:
    at = (HEADER + tensor * TENSOR >> 18) + chunk << 18
    raw, cost = read(at + rng.randrange(64) * 4096)
    assert cost[0] == 1, (tensor, chunk, cost)
    if chunk > 1:
        assert raw == raw[:8] * 512 and raw[0] == raw[6] and raw[7] == 0x3c, at
    worst = [max(a, b) for a, b in zip(worst, cost)]
print("4 KiB, at most:", worst)
# In blocks that the disk reads whole.
assert worst[1] == 1 and worst[2] <= (256 + 8) << 10, worst
EOF
end_mount
finish
