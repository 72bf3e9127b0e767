#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# opaque.sh - what is named so and is no safetensors is kept whole, and said so

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

head -c 5000 /dev/urandom >bad.safetensors
run 0 compress bad.safetensors
says "kept as opaque bytes: "
says_once
prints "nothing was to be gained"
run 0 info bad.bs
prints "a file of other bytes"
run 0 verify bad.bs
run 0 decompress bad.bs -o back
same bad.safetensors back

run 0 compress --json bad.safetensors --force
is kind opaque "$(field 'j[0]["kind"]')"
is reason True "$(field 'len(j[0]["reason"]) > 10')"

# any other name: nothing is wrong with it, so nothing is said
cp bad.safetensors other.bin
run 0 compress other.bin
[ -s "$log/err" ] && fail "said of other.bin: $(cat "$log/err")"

# a safetensors file under another name is modelled as one
model m.safetensors
cp m.safetensors weights.bin
run 0 compress --json weights.bin
is kind safetensors "$(field 'j[0]["kind"]')"
[ "$(stat -c %s weights.bin.bs)" -lt $((300 * 1024 * 3 / 4)) ] ||
	fail "weights.bin is not modelled"

# a dtype nobody knows is named, its tensor kept as bytes
python3 - <<'PYTHON'
import json, struct
head = json.dumps({"a": {"dtype": "Q7_K\x1b[31m", "shape": [9],
                         "data_offsets": [0, 6000]}}).encode()
open("q.safetensors", "wb").write(
    struct.pack("<Q", len(head)) + head + bytes(range(250)) * 24)
PYTHON
run 0 compress --json q.safetensors
says "Q7_K"
is unknown 1 "$(field 'j[0]["unknown_dtype_tensors"]')"
is kind safetensors "$(field 'j[0]["kind"]')"
run 0 decompress q.bs -o back --force
same q.safetensors back
run 0 info q.bs
# what comes from a file never reaches the terminal as a control character
run 0 compress q.safetensors --force
if LC_ALL=C grep -q "$(printf '\033')" "$log/err" "$log/out"; then
	fail "an escape character of the file is printed"
fi

finish
