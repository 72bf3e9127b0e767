#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# scan.sh - bigsmall scan knows that what a mount of ours shows is compressed

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

# field FILE EXPRESSION: of its JSON, which is j
field() {
	python3 -c '
import json, sys
j = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$@"
}

model m 1500
cp orig/m.safetensors store/plain.safetensors
mkdir bundle
python3 "$make_model" bundle/one.safetensors 1500 2
python3 "$make_model" bundle/two.safetensors 700 3
"$bigsmall" compress bundle -o store/bundle.bs >/dev/null ||
	fail "compress: exit $?"
begin_mount
"$bigsmall" scan --json mnt/m.safetensors mnt/plain.safetensors >out ||
	fail "scan: exit $?"
is kinds "['container', 'safetensors']" "$(field out \
	'[f["kind"] for f in j["files"]]')"
is "bytes to compress" "$(stat -c %s store/plain.safetensors)" \
	"$(field out 'j["raw_bytes"]')"
is "bytes stored" "$(stat -c %s store/m.bs)" \
	"$(field out 'j["files"][0]["stored_bytes"]')"

# Files of a bundle take their shares of it.
"$bigsmall" scan --json mnt/bundle >out || fail "scan: exit $?"
is "kinds in a bundle" "['container', 'container']" "$(field out \
	'[f["kind"] for f in j["files"]]')"
size=$(stat -c %s store/bundle.bs)
sum=$(field out 'sum(f["stored_bytes"] for f in j["files"])')
if [ "$sum" -gt $((size + 1024)) ] || [ "$sum" -lt $((size * 9 / 10)) ]; then
	fail "files of a bundle of $size bytes take $sum"
fi
finish
