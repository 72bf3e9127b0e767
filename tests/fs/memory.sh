#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What the daemon takes is bounded, whatever is read: 1,000 models open at once
# and read by 16, a sparse file of 3 GB (100 with $BIGSMALL_ROUNDS), a model of
# 200 MB.  And the kernel holds what is shown once: the store's own bytes do not
# stay in its cache.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

threads=2
cache=40
bound=$(((cache + threads * 2 + 16) << 10))

# bounded WHAT: the most that the daemon has taken, in KiB
bounded() {
	rss=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' \
		"/proc/$daemon/status")
	[ "$rss" -le "$bound" ] || is_sanitized ||
		fail "$1: the daemon took $rss KiB of $bound"
}

n_models=1000
is_sanitized && n_models=100
model m 48
i=0
while [ $i -lt $n_models ]; do
	cp store/m.bs store/m$i.bs
	i=$((i + 1))
done
begin_mount -o threads=$threads,cache=${cache}M
python3 - $n_models <<'EOF' || fail "$n_models models: see above"
import concurrent.futures, os, resource, sys
n = int(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
want = open("orig/m.safetensors", "rb").read()
fds = [os.open("mnt/m%d.safetensors" % i, os.O_RDONLY) for i in range(n)]


def read(fd):
    assert os.pread(fd, len(want) + 1, 0) == want


with concurrent.futures.ThreadPoolExecutor(16) as pool:
    list(pool.map(read, fds))
EOF
bounded "$n_models models"
end_mount

rm store/*
gb=3
[ "${BIGSMALL_ROUNDS:-1}" -eq 1 ] || gb=100
is_sanitized && gb=1
python3 - $gb <<'EOF' || skip "this file system cannot hold a file of $gb GB"
import json, struct, sys
n = int(sys.argv[1]) * 10**9
text = json.dumps({"t": {"dtype": "U8", "shape": [n],
                         "data_offsets": [0, n]}}).encode()
try:
    with open("orig/sparse.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(f.tell() + n)
        for at in range(0, n - 10**8, n // 50):
            f.seek(at + 10**6)
            f.write(b"weights" * 10000)
except OSError as e:
    sys.exit(str(e))
EOF
"$bigsmall" compress orig/sparse.safetensors -o store/ >/dev/null 2>&1 ||
	fail "compress: exit $?"
begin_mount -o threads=$threads,cache=${cache}M
python3 - <<'EOF' || fail "sparse: see above"
import os
a = os.open("orig/sparse.safetensors", os.O_RDONLY)
b = os.open("mnt/sparse.safetensors", os.O_RDONLY)
size = os.fstat(a).st_size
assert os.fstat(b).st_size == size
# In order for a while, and then everywhere.
offs = [i << 20 for i in range(300)]
offs += range(0, size - (1 << 20), size // 1500 // 4096 * 4096)
for at in offs:
    assert os.pread(a, 1 << 20, at) == os.pread(b, 1 << 20, at), at
    os.posix_fadvise(b, at, 1 << 20, os.POSIX_FADV_DONTNEED)
EOF
bounded "$gb GB"
end_mount

rm store/* orig/*
mib=200
is_sanitized && mib=20
model big $((mib << 10))
for direct in on off; do
	# What compressing it left there.
	python3 -c '
import os
fd = os.open("store/big.bs", os.O_RDONLY)
os.fsync(fd)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)'
	begin_mount -o threads=$threads,cache=${cache}M,direct=$direct
	same mnt/big.safetensors orig/big.safetensors
	left=$(cached store/big.bs)
	[ "$left" -le $(($(stat -c %s store/big.bs) / 10)) ] ||
		fail "direct=$direct: the kernel holds $left bytes of the store"
	is "direct=$direct: decoded again" 0 "$(stat_of redecodes)"
	bounded "direct=$direct"
	end_mount
done
# Others may drop caches meanwhile.
is_seen() {
	cat orig/big.safetensors >/dev/null
	[ "$(cached orig/big.safetensors)" -ge $((mib * 900000)) ]
}
wait_for is_seen || fail "what is in the kernel's cache is not seen"
finish
