#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# growth.sh - a container is never more than 0.05 % + 4 KiB larger than what it
# was made of, however little that compresses

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

python3 - <<'PYTHON' || exit 1
import json, random, struct
rng = random.Random(11)

def st(path, sizes, dtype="U8", width=1):
    head, end = {}, 0
    for i, n in enumerate(sizes):
        head["t%d" % i] = {"dtype": dtype, "shape": [n // width],
                           "data_offsets": [end, end + n]}
        end += n
    text = json.dumps(head, separators=(",", ":")).encode()
    with open(path + ".safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + rng.randbytes(end))

for n in (0, 1, 7, 8, 511, 4095, 4096, 4097, 131071, 131072, 131073, 3000000):
    open("random.%d" % n, "wb").write(rng.randbytes(n))
    st("one.%d" % n, [n])
st("bf16", [2000000] * 5, "BF16", 2)
st("f64", [800000] * 5, "F64", 8)
# what the directory of a container costs most: small tensors of random bytes
st("tiny", [1] * 5000)
st("small", [4095] * 1000)
st("medium", [4096] * 3000)
st("uneven", [rng.randrange(1, 20000) for _ in range(1000)])
st("mixed", [1, 5000] * 1000, "F16", 1)
PYTHON

n=0
for src in *; do
	run 0 compress -o out.bs "$src"
	size=$(stat -c %s "$src")
	stored=$(stat -c %s out.bs)
	[ "$stored" -le $((size + size / 2000 + 4096)) ] ||
		fail "$src: $size bytes became $stored"
	run 0 decompress out.bs -o out
	same "$src" out
	rm -f out out.bs
	n=$((n + 1))
done
[ $n -ge 30 ] || fail "only $n files"

finish
