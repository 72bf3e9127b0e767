#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The 4-bit tensors of a .bsd show as a directory beside the exact file, byte by byte
# as docs/upstream.md says; it is labelled as lossy, and follows the config.json and
# the tokenizer beside the .bsd.  4-bit values that do not follow of the exact ones
# are EIO, even where the exact file is good.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
golden=$PWD/tests/golden/upstream # lib.sh goes to a folder of its own
check=$PWD/tests/fs/int4.py
. "$(dirname "$0")/lib.sh"

layer=model.layers.0.up_proj.weight
mkdir store/sub store/shards
cp "$golden/dual.bsd" "$golden/dual_hand.bsd" "$golden/bf16.bs" store/
cp "$golden/dual.bsd" store/sub/
cp "$golden/dual.bsd" store/shards/model-00001-of-00002.bsd
printf '{\n  "model_type": "llama",\n  "eps": 1e-05,\n  "theta": 5e5\n}\n' \
	>store/config.json
cp store/config.json store/shards/
echo '{"a": 1}' >store/tokenizer.json
touch -d '2024-02-03 04:05:06' store/dual.bsd

# config KEY...: what config.json has there
config() {
	python3 - mnt/dual.int4/config.json "$@" <<'PY'
import json
import sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2:]:
    value = value[key]
print(json.dumps(value))
PY
}

# the least cache, and one where all fits
for options in cache=4M,threads=1 cache=256M,threads=2; do
	begin_mount "$work/store" "$work/mnt" -o "$options"
	for name in dual dual_hand; do
		set -- 1
		[ $name = dual_hand ] || set -- 65536 "$layer=128"
		python3 "$check" mnt/$name.safetensors \
			mnt/$name.int4/model.safetensors 128 "$@" ||
			fail "$name ($options)"
	done
	[ "$options" = cache=256M,threads=2 ] || end_mount
done

# what is there, and that nobody takes it for something else
is "the root" "bf16.safetensors config.json dual.int4 dual.safetensors \
dual_hand.int4 dual_hand.safetensors shards sub tokenizer.json" \
	"$(cd mnt && echo *)"
is "files" "README.md config.json model.safetensors tokenizer.json" \
	"$(cd mnt/dual.int4 && echo *)"
for dir in mnt/sub/dual.int4 mnt/shards/model-00001-of-00002.int4; do
	is "$dir" "README.md model.safetensors quantization_config.json" \
		"$(cd "$dir" && echo *)"
	head -n 1 $dir/README.md | grep -q LOSSY || fail "$dir/README.md"
done
same mnt/dual.int4/tokenizer.json store/tokenizer.json
head -n 1 mnt/dual.int4/README.md | grep -q LOSSY || fail "the README"
grep -q '^- 1 tensor in 4 bits' mnt/dual.int4/README.md || fail "its counts"
config bigsmall_note | grep -q LOSSY || fail "config.json does not say so"
head -n 3 store/config.json >first_lines
head -n 3 mnt/dual.int4/config.json | cmp - first_lines || fail "config.json is not it"
is "theta" 500000.0 "$(config theta)"
is "group" 128 \
	"$(config quantization_config config_groups group_0 weights group_size)"
is "not packed" '["re:.*lm_head", "model.layers.1.up_proj"]' \
	"$(config quantization_config ignore)"
python3 - <<'EOF2' || fail "quantization_config.json"
import json
a = json.load(open("mnt/sub/dual.int4/quantization_config.json"))
b = json.load(open("mnt/dual.int4/config.json"))["quantization_config"]
assert a == b
EOF2
! grep -q quantization mnt/dual_hand.int4/config.json ||
	fail "nothing is packed in dual_hand"
is "modes and time" "755 644 1706933106" \
	"$(stat -c %a mnt/dual.int4) $(
		stat -c '%a %Y' mnt/dual.int4/model.safetensors)"
is "blocks" 0 "$(du -s mnt/dual.int4 | cut -f 1)"
cmp mnt/sub/dual.int4/model.safetensors mnt/dual.int4/model.safetensors ||
	fail "the place changes the weights"
grep -q '; in 4 bits as well, lossy: 4 .int4; read-only' log.out ||
	fail "the mount's first line: $(cat log.out)"
"$bigsmall" status "$work/mnt" >out
grep -q '^  lossy *4 directories of 4-bit weights' out || fail "$(cat out)"
cp mnt/dual.int4/model.safetensors mnt/dual.int4/config.json orig/
refused "Read-only file system" rm mnt/dual.int4/README.md

# what lies beside it changes: in place, and by its name
exec 3<mnt/dual.int4/config.json
sed 's/llama/gemma/' store/config.json >edited
cat edited >store/config.json
wait_for grep -q '"model_type": "gemma",' mnt/dual.int4/config.json ||
	fail "config.json is an old one"
cmp - orig/config.json <&3 || fail "what was open has changed"
exec 3<&-
echo x >store/vocab.txt
rm store/tokenizer.json
wait_for test ! -e mnt/dual.int4/tokenizer.json || fail "the link stays"
same mnt/dual.int4/vocab.txt store/vocab.txt
same mnt/dual.int4/model.safetensors orig/model.safetensors

# a config.json that cannot be used, and a name that is taken
for text in '{"quantization_config": {}}' '{"a": 1' '[1]'; do
	echo "$text" >store/config.json
	wait_for test -e mnt/dual.int4/quantization_config.json ||
		fail "$text is used"
	grep -q '^config.json: .*goes without it' mnt/.bigsmall/problems ||
		fail "$text is no problem"
	echo '{}' >store/config.json
	wait_for test -e mnt/dual.int4/config.json || fail "{} is not used"
done
is "an empty config" '"compressed-tensors"' \
	"$(config quantization_config quant_method)"
! grep -q '^config.json: ' mnt/.bigsmall/problems || fail "it is mended"
mkdir store/dual_hand.int4
wait_for test ! -e mnt/dual_hand.int4/README.md || fail "a name that is taken"
grep -q '^dual_hand.bsd: the directory of its 4-bit tensors is hidden' \
	mnt/.bigsmall/problems || fail "it is hidden in silence"
end_mount "$work/mnt" noisy

# a bit of a scale, which the exact tensor does not depend on; one of the values
cp store/dual.bsd good.bsd
for place in scale value; do
	python3 - $place <<'EOF2'
import json
import sys
data = bytearray(open("good.bsd", "rb").read())
n = int.from_bytes(data[6:10], "little")
t = [t for t in json.loads(data[10:10 + n])["tensors"]
     if t["name"] == "model.layers.0.up_proj.weight"][0]["members"]["fast"]
at = 10 + n + t["offset"]
data[at + 10 + 2 * 700 if sys.argv[1] == "scale" else
     at + t["bytes"] // 2] ^= 1
open("store/dual.bsd", "wb").write(data)
EOF2
	begin_mount
	python3 - orig/model.safetensors mnt/dual.int4/model.safetensors \
		<<'EOF2' || fail "damage ($place)"
import json
import sys
from bad_pages import bad_pages
raw = open(sys.argv[1], "rb").read()
n = 8 + int.from_bytes(raw[:8], "little")
head = json.loads(raw[8:n])
name = "model.layers.0.up_proj.weight"
first = n + head[name + "_packed"]["data_offsets"][0]
end = n + head[name + "_scale"]["data_offsets"][1]
bad = bad_pages(sys.argv[1], sys.argv[2])
assert bad[0] == first // 4096 * 4096, (bad[0], first)
assert bad[-1] == (end - 1) // 4096 * 4096, (bad[-1], end)
EOF2
	grep -q "^dual.bsd: .*model.safetensors, in tensor $layer" \
		mnt/.bigsmall/problems || fail "$place: nobody says so"
	if [ $place = scale ]; then
		have=$(sha256sum <mnt/dual.safetensors)
		is "the exact file" "$(cat "$golden/dual.sha256")" "${have%% *}"
	else
		refused 'Input/output error' cat mnt/dual.safetensors
	fi
	end_mount "$work/mnt" noisy
done
finish
