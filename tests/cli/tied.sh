#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tied.sh - tensors that a file holds more than once are stored once; such that
# only look alike are not

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

python3 - <<'PYTHON' || exit 1
import json, random, struct
rng = random.Random(3)

def write(path, tensors):
    head, data = {}, b""
    for name, dtype, raw in tensors:
        size = {"BF16": 2, "F16": 2, "U8": 1}[dtype]
        head[name] = {"dtype": dtype, "shape": [len(raw) // size],
                      "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)

a, b = rng.randbytes(400000), rng.randbytes(300000)
# the same ends, one byte in the middle differs
c = a[:200000] + bytes([a[200000] ^ 1]) + a[200001:]
write("one.safetensors", [("a", "U8", a), ("b", "U8", b)])
write("tied.safetensors", [("a", "U8", a), ("b", "U8", b), ("a2", "U8", a),
                           ("a3", "U8", a), ("b2", "U8", b)])
write("alike.safetensors", [("a", "U8", a), ("c", "U8", c),
                            ("longer", "U8", a + b"x")])
write("dtypes.safetensors", [("a", "BF16", a), ("b", "F16", a)])
PYTHON

run 0 compress --json one.safetensors
is "tied of one" 0 "$(field 'j[0]["tied"]')"
run 0 compress --json tied.safetensors
is tied "(3, 1100000)" "$(field 'j[0]["tied"], j[0]["tied_bytes"]')"
grown=$(($(stat -c %s tied.bs) - $(stat -c %s one.bs)))
[ "$grown" -lt 2000 ] || fail "three tied tensors take $grown bytes"
run 0 info tied.bs
prints "5, 3 of them tied"
run 0 info --json tied.bs
is "tied of info" 3 "$(field 'j["tied"]')"
run 0 compress tied.safetensors --force
prints "3 tensors are tied"

run 0 compress --json alike.safetensors
is "tied of alike" 0 "$(field 'j[0]["tied"]')"
run 0 compress --json dtypes.safetensors

for name in tied alike dtypes; do
	run 0 verify $name.bs
	run 0 decompress -o back/ $name.bs
	same $name.safetensors back/$name.safetensors
done

finish
