#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# upstream.sh - every command reads the files of BigSmall (Python): restored they
# are the files that the safetensors library wrote, what is damaged is named and
# not written, what cannot be read is said

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

golden=$here/../golden/upstream

# digest FILE STEM: it is what STEM was made of
digest() {
	have=$(sha256sum <"$1")
	[ "${have%% *}" = "$(cat "$golden/$2.sha256")" ] ||
		fail "$1 is not what $2 was made of"
}

# restored: to the byte, with the container's own mode and time
mkdir in out
cp "$golden"/*.bs "$golden"/*.bsd in
chmod 600 in/f32.bs
touch -d '2024-02-03 04:05:06.789' in/f32.bs
for file in in/*.bs in/*.bsd; do
	stem=$(basename "$file")
	stem=${stem%.*}
	run 0 decompress "$file" -o out/
	prints "every MD5 agrees"
	digest "out/$stem.safetensors" "$stem"
	run 0 verify "$file"
	prints "$file: fine: .* every MD5 agrees"
	run 0 verify --fast "$file"
	prints "nothing else can be checked"
	run 0 info "$file"
	prints "a file of BigSmall (Python), format version [12]"
	run 0 info --json "$file"
	is "$file: kind" upstream "$(field 'j["kind"]')"
done
is "codec of a .bsd" '["int4g"]' "$(python3 -c '
import json, sys
print(json.dumps(sorted(json.load(sys.stdin)["coding"])))' <<END
$("$bigsmall" info --json in/dual_hand.bsd)
END
)"
[ "$(stat -c '%a %Y' out/f32.safetensors)" = "600 1706933106" ] ||
	fail "mode and time: $(stat -c '%a %Y' out/f32.safetensors)"
run 0 decompress in -o all/
digest all/ints.safetensors ints
digest all/dual.safetensors dual
run 0 decompress -j 1 in/bf16.bs -o single
digest single bf16
run 0 decompress in/bf16.bs --json -o json
is "decompress --json: upstream" True "$(field 'j[0]["upstream"]')"

# shards: with the tensors that are stored in another's name alone, and an index
run 0 decompress "$golden/hub" -o hub/
python3 "$here/shards.py" hub "$golden/hub/tensors.json" || fail "the shards"
run 0 verify "$golden/hub"
run 0 info --json "$golden/hub/model-00001-of-00002.bs"
is "tensors of a shard" 7 "$(field 'len(j["tensors"])')"
run 0 decompress "$golden/hub/bigsmall.index.json" -o index/
same index/model.safetensors.index.json hub/model.safetensors.index.json
mkdir bad
cp "$golden/hub/model-00001-of-00002.bs" bad
for text in '' '{}' '[]' '{"weight_map":{"a":"../x.bs"}}' \
	'{"weight_map":{"a":1}}' '{"weight_map":{},"metadata":{"duplicate_map":{"x":1}}}'; do
	printf '%s' "$text" >bad/bigsmall.index.json
	run 1 decompress bad/bigsmall.index.json
	says "the index is not what it should be"
	run 0 verify bad/model-00001-of-00002.bs
done
printf 'BSIX\001\000\000\000\001\000\000\000\000\000\000\000\006\000\000\000\004\000m.bs\000\000\000\000\000' \
	>bad/bigsmall.index.bin
run 0 decompress bad/bigsmall.index.bin -o binary
is "a binary index" '{}' "$(python3 -c '
import json
print(json.load(open("binary"))["weight_map"])')"
run 1 decompress bad -o both/
gone both/model.safetensors.index.json
rm bad/bigsmall.index.json
run 0 decompress bad -o only/
same only/model.safetensors.index.json binary

# its codecs by name
run 0 info in/bf16.bs
prints "bf16_se_rans"
run 0 info --json in/hand.bs
is "bf16_se_ac" 409600 "$(field 'j["coding"]["bf16_se_ac"]["raw_bytes"]')"
run 0 verify --json in/hand.bs
is "verify --json: tensors" 7 "$(field 'j[0]["tensors"]')"
is "verify --json: damaged" 0 "$(field 'j[0]["damaged_tensors"]')"
run 0 verify in
prints "in/undecodable.bs: fine"

# scan and compress take it for what it is
run 0 scan in/f16.bs
prints "compressed already by BigSmall (Python)"
run 0 scan --json in/f16.bs
prints '"kind": "upstream"'
run 4 compress in/f16.bs
says "in/f16.bs is compressed already, by BigSmall (Python)"

# never in its place: its header may have been another
run 4 decompress --replace in/f16.bs
says "without --replace"
digest out/f16.safetensors f16
[ -f in/f16.bs ] || fail "in/f16.bs is gone"

# what is damaged is named, the rest is not; nothing of it is written
cp in/bf16.bs bad.bs
printf '\377\377\377\377' | dd of=bad.bs bs=1 seek=100000 conv=notrunc 2>/dev/null
run 1 verify bad.bs
says 'tensor "[^"]*" is damaged, bytes [0-9]* to [0-9]* of the file'
says "1 of 14 tensors are damaged, the other 13 are intact"
run 1 verify --json bad.bs
is "verify --json: damaged" 1 "$(field 'j[0]["damaged_tensors"]')"
run 1 decompress bad.bs
says "nothing was written"
gone bad.safetensors

# 4-bit values are mentioned, and damaged ones told from damage of the tensor
run 0 info in/dual.bsd
prints "2 of them in 4 bits as well, lossy"
run 0 info --json in/dual.bsd
is "info --json: int4" 2 "$(field 'j["int4_tensors"]')"
run 0 scan in/dual.bsd
prints "with 4-bit weights (lossy) besides"
run 0 scan in/f16.bs
prints "by BigSmall (Python), [0-9.]* kB\.$"
python3 - in/dual.bsd scale.bsd <<'END'
import json
import sys
data = bytearray(open(sys.argv[1], "rb").read())
n = 10 + int.from_bytes(data[6:10], "little")
t = json.loads(data[10:n])["tensors"]
at = [x for x in t if "up_proj" in x["name"]][0]["members"]["fast"]["offset"]
data[n + at + 10 + 2 * 700] ^= 1
open(sys.argv[2], "wb").write(data)
END
run 1 verify scale.bsd
says 'the 4-bit values of tensor "[^"]*" are damaged.*The tensor itself is good'
run 1 verify --json scale.bsd
is "verify --json: int4_only" "[True]" \
	"$(field '[b["int4_only"] for b in j[0]["bad"]]')"
run 0 decompress scale.bsd -o scale
digest scale dual

# what nobody can read is said, in one sentence
for magic in BGSM BGSD; do
	for tail in "" "\001\000" "\001\000\000\000\000\000" \
		"$(printf '%05000d' 0)"; do
		# shellcheck disable=SC2059 # the tail has escapes
		printf "$magic$tail" >theirs.bs
		for command in info "info --json" verify "verify --fast" \
			decompress compress; do
			# shellcheck disable=SC2086 # a command and its option
			"$bigsmall" $command theirs.bs >/dev/null 2>"$log/err"
			code=$?
			case $code in
			1 | 2 | 4) ;;
			*) fail "$command of $magic$tail: exit $code" ;;
			esac
			says_once
		done
		gone theirs.safetensors
	done
done
printf 'BGSM\003\000\002\000\000\000{}' >theirs.bs
run 2 info theirs.bs
says "version 3; this program reads 1 and 2"
head='{"tensors":[{"name":"w","shape":[4],"dtype":"uint8","codec":"bf16_v8",'
head=$head'"offset":0,"compressed_bytes":0,"md5":"'
head=$head'00000000000000000000000000000000","extra":null}]}'
# shellcheck disable=SC2059 # an octal number
printf "BGSM\\001\\000\\$(printf '%03o' ${#head})\\000\\000\\000%s" "$head" \
	>theirs.bs
run 2 decompress theirs.bs
says 'tensor "w" is coded with "bf16_v8", which this program cannot read'

# only at the start, and only whole, does it mean that
printf 'BGSX' >other
run 0 compress other
printf 'BGS' >short
run 0 compress short
run 0 decompress other.bs -o back
same other back

finish
