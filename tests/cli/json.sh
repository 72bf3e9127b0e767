#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# json.sh - --json is one document that parses, with exact bytes, whatever
# happens

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

parses() {
	python3 -m json.tool "$log/out" >/dev/null || fail "no JSON: $*"
}

model m.safetensors 700
size=$(stat -c %s m.safetensors)
sha=$(sha256sum <m.safetensors | cut -d ' ' -f 1)

run 0 compress --json m.safetensors
parses compress
stored=$(stat -c %s m.bs)
is source m.safetensors "$(field 'j[0]["source"]')"
is output m.bs "$(field 'j[0]["output"]')"
is raw_bytes "$size" "$(field 'j[0]["raw_bytes"]')"
is stored_bytes "$stored" "$(field 'j[0]["stored_bytes"]')"
is sha256 "$sha" "$(field 'j[0]["sha256"]')"
is kind safetensors "$(field 'j[0]["kind"]')"
is tensors 5 "$(field 'j[0]["tensors"]')"
is ratio True "$(field "abs(j[0]['ratio'] - $stored / $size) < 1e-5")"
is "sum of codings" "$size" "$(field \
	'sum(c["raw_bytes"] for c in j[0]["codec_stats"]["coding"].values())')"
is "sum of dtypes" "$size" "$(field \
	'sum(c["raw_bytes"] for c in j[0]["codec_stats"]["dtype"].values())')"
[ -s "$log/err" ] && fail "errors of a good compress"

run 0 info --json m.bs
parses info
is raw_bytes "$size" "$(field 'j["raw_bytes"]')"
is stored_bytes "$stored" "$(field 'j["stored_bytes"]')"
is sha256 "$sha" "$(field 'j["sha256"]')"
is holds safetensors "$(field 'j["holds"]')"
is names "embed layer.0 layer.1 layer.2 norm" \
	"$(field '" ".join(t["name"] for t in j["tensors"])')"
is dtypes "{'BF16'}" "$(field '{t["dtype"] for t in j["tensors"]}')"
is "end of the last tensor" "$size" "$(field \
	'j["tensors"][-1]["offset"] + j["tensors"][-1]["raw_bytes"]')"
is shape True "$(field 'all(2 * t["shape"][0] == t["raw_bytes"]
	for t in j["tensors"])')"

run 0 verify --json m.bs
parses verify
is "ok, sha256" "(True, True, '$sha')" \
	"$(field 'j[0]["ok"], j[0]["sha256_ok"], j[0]["sha256"]')"
is bad "[]" "$(field 'j[0]["bad"]')"
run 0 verify --fast --json m.bs
parses verify --fast
is fast True "$(field 'j[0]["fast"]')"

run 0 info --json m.safetensors
parses info of a plain file
is kind safetensors "$(field 'j["kind"]')"

# failures are objects of the same list
run 4 compress --json m.safetensors
parses refused
is exit 4 "$(field 'j[0]["exit"]')"
head -c 1000 m.bs >cut.bs
run 1 verify --json cut.bs m.bs no-such-file
parses three
is exits "[1, 0, 2]" "$(field '[one["exit"] for one in j]')"
run 2 compress --json no-such-file m.safetensors -o out/
parses two
is exits "[2, 0]" "$(field '[one["exit"] for one in j]')"
: >empty
run 0 compress --json empty
parses empty
is "bytes of empty" 0 "$(field 'j[0]["raw_bytes"]')"
run 0 info --json empty.bs
parses info of empty

finish
