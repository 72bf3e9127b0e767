#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# bad_chunks.sh - verify names every bad chunk with its tensor and no other;
# decompress refuses the file and names the first

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

damage() {
	python3 "$here/damage.py" "$@" || exit 1
}

model m.safetensors 4000
run 0 info --json m.safetensors
python3 - "$log/out" >tensors <<'PYTHON'
import json, sys
for t in json.load(open(sys.argv[1]))["tensors"]:
    print(t["name"], t["offset"], t["raw_bytes"])
PYTHON
run 0 compress m.safetensors
cp m.bs good.bs

# the chunk at the middle of each tensor, then all of them together
cp good.bs all.bs
while read -r name off len; do
	chunk=$(damage good.bs at $((off + len / 2)))
	cp good.bs bad.bs
	damage bad.bs chunk "$chunk"
	damage all.bs chunk "$chunk"
	for fast in "" --fast; do
		# shellcheck disable=SC2086 # an option or nothing
		run 1 verify $fast bad.bs
		says "chunk $chunk is damaged: tensor \"$name\", bytes"
		says "1 of 5 tensors are damaged, the other 4 are intact"
		is "lines" 2 "$(wc -l <"$log/err")"
		[ -s "$log/out" ] && fail "printed: $(cat "$log/out")"
	done
	run 1 decompress bad.bs -o out
	says "chunk $chunk of tensor \"$name\""
	says_once
	gone out
done <tensors

run 1 verify all.bs
while read -r name off len; do
	says "tensor \"$name\""
done <tensors
is "bad chunks named" 5 "$(grep -c 'chunk .* is damaged' "$log/err")"
says "5 of 5 tensors are damaged"
run 1 verify --json all.bs
is "bad chunks" 5 "$(field 'len(j[0]["bad"])')"
is "damaged tensors" 5 "$(field 'j[0]["damaged_tensors"]')"
is severity "{'damaged'}" "$(field '{b["severity"] for b in j[0]["bad"]}')"
is "where they are said to lie" True "$(field \
	"all(b['length'] > 0 and b['stored_length'] > 0
		for b in j[0]['bad'])")"

# every single chunk bad: each named once
cp good.bs every.bs
n=$(damage good.bs chunks)
damage every.bs every-chunk
run 1 verify --json every.bs
is "all chunks are named" True \
	"$(field "[b['chunk'] for b in j[0]['bad']] == list(range($n))")"

# the header's chunk: tensors cannot be named, and that is said
cp good.bs bad.bs
damage bad.bs chunk 0
run 1 verify bad.bs
says "its header is damaged, so its tensors cannot be named"
run 1 decompress bad.bs -o out
run 1 info bad.bs
gone out

# a page of records: all its chunks are lost; a model: those coded with it
cp good.bs bad.bs
damage bad.bs page 0
run 1 verify bad.bs
says "the index page of chunks 0 to"
run 1 decompress bad.bs -o out
run 1 info bad.bs
cp good.bs bad.bs
damage bad.bs page 1
run 1 verify bad.bs
says "is undecodable: tensor"
run 1 verify --fast bad.bs
run 1 decompress bad.bs -o out
gone out

# two files: the good one is fine, the code is the worse one's
run 1 verify good.bs bad.bs good.bs
is "fine ones" 2 "$(grep -c '^good.bs: fine' "$log/out")"
run 1 decompress bad.bs good.bs -o back/
same m.safetensors back/good.safetensors
gone back/bad.safetensors
is "files in back" good.safetensors "$(ls -A back)"

# tied tensors: bad bytes are bad in each
python3 - <<'PYTHON' || exit 1
import json, random, struct
raw = random.Random(5).randbytes(50000)
head = json.dumps({n: {"dtype": "U8", "shape": [50000], "data_offsets":
                       [i * 50000, (i + 1) * 50000]}
                   for i, n in enumerate(("embed", "lm_head"))}).encode()
open("tied.safetensors", "wb").write(
    struct.pack("<Q", len(head)) + head + raw + raw)
PYTHON
run 0 compress tied.safetensors
damage tied.bs chunk 1
run 1 verify tied.bs
says 'tensor "embed"'
says 'tensor "lm_head"'
says "2 of 2 tensors"

finish
