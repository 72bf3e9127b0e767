#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Many readers at once: no chunk is decoded twice at a time, the cache stays
# within its budget however small, and the daemon within its bound of memory.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

kib=40000
is_sanitized && kib=16000
model m $kib

# every chunk once, however many ask
begin_mount -o threads=8,cache=64M
for _ in 1 2 3 4 5 6 7 8; do
	sha256sum <mnt/m.safetensors >>sums &
	pids="${pids:-} $!"
done
for pid in $pids; do
	wait "$pid" || fail "a reader failed"
done
sha256sum <orig/m.safetensors >want
sort -u sums | cmp - want || fail "readers saw other bytes"
is "readers" 8 "$(wc -l <sums)"
chunks=$("$bigsmall" info --json store/m.bs |
	python3 -c 'import json, sys; print(json.load(sys.stdin)["chunks"])')
is "decodes" "$chunks" "$(stat_of decodes)"
is "decodes of chunks decoded before" 0 "$(stat_of redecodes)"
end_mount

# a cache smaller than the file: chunks come and go, bytes are right, and
# memory is the cache and 2 MiB a thread and 16 MiB
begin_mount -o threads=4,cache=12M
python3 - <<'EOF' || fail "random reads through a small cache"
import os, random, threading
want = open("orig/m.safetensors", "rb").read()
fd = os.open("mnt/m.safetensors", os.O_RDONLY | os.O_DIRECT)
errors = []
def read(seed):
    import mmap
    rng = random.Random(seed)
    buf = mmap.mmap(-1, 1 << 20)
    for _ in range(60 * int(os.environ.get("BIGSMALL_ROUNDS", 1))):
        off = rng.randrange(0, len(want) // 4096) * 4096
        n = rng.randrange(1, 257) * 4096
        got = os.preadv(fd, [memoryview(buf)[:n]], off)
        if buf[:got] != want[off:off + n]:
            errors.append((off, n))
threads = [threading.Thread(target=read, args=(i,)) for i in range(16)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not errors, errors[:3]
EOF
[ "$(stat_of redecodes)" -gt 0 ] || fail "nothing was evicted"
peak=$(stat_of cache_peak_bytes)
[ "$peak" -le $((12 << 20)) ] || fail "the cache grew to $peak bytes"
is "reads in flight" 0 "$(stat_of queue_depth)"
rss=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$daemon/status")
bound=$(((12 + 4 * 2 + 16) << 10))
[ "$rss" -le "$bound" ] || is_sanitized ||
	fail "the daemon took $rss KiB of $bound"
end_mount

# the least there can be
begin_mount -o threads=1,cache=1M,max_read=64k
same mnt/m.safetensors orig/m.safetensors
end_mount "$work/mnt" noisy
grep -q 'need a cache of' log.err || fail "the larger cache is not said"
finish
