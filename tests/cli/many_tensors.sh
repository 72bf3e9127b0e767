#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# many_tensors.sh - 10,000 tensors: all come back, each is listed, and the
# directory of so many stays small

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

python3 - <<'PYTHON' || exit 1
import json, random, struct
rng = random.Random(19)
head, data = {}, bytearray()
for i in range(10000):
    # all sizes: merged with neighbours, alone, of several kinds
    n = 2 * rng.choice((0, 1, 8, 300, 2100, 3000))
    dtype = rng.choice(("BF16", "F16", "U8"))
    head["block.%d.weight" % i] = {
        "dtype": dtype, "shape": [n if dtype == "U8" else n // 2],
        "data_offsets": [len(data), len(data) + n]}
    raw = bytearray(rng.randbytes(n))
    raw[1::2] = bytes(60 + c % 3 for c in raw[1::2])
    data += raw
text = json.dumps(head).encode()
open("m.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
PYTHON

run 0 compress --json m.safetensors
is tensors 10000 "$(field 'j[0]["tensors"]')"
size=$(stat -c %s m.safetensors)
[ "$(stat -c %s m.bs)" -lt $((size * 85 / 100)) ] ||
	fail "$size bytes became $(stat -c %s m.bs)"
run 0 info --json m.bs
is "tensors listed" 10000 "$(field 'len({t["name"] for t in j["tensors"]})')"
is "stored bytes of tensors" True "$(field \
	'all(t["stored_bytes"] <= t["raw_bytes"] for t in j["tensors"])')"
run 0 info m.bs
prints "10000, "
run 0 verify --json m.bs
is tensors 10000 "$(field 'j[0]["tensors"]')"
run 0 decompress m.bs -o back
same m.safetensors back

finish
