#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run_int4.sh - 4-bit weights run as the BF16 that they stand for, streamed as
# well, and never unannounced: what is said, before anything is read, by plan too

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

exec_dir=$here/../exec
python3 "$exec_dir/large.py" exact 128 2 || fail "large.py"
python3 "$exec_dir/pack.py" exact meant 32 || fail "pack.py"
int4=meant/model.int4

# answer MODEL ARGUMENT...
answer() {
	model=$1
	shift
	run 0 run "$model" "The fox said: 12" --raw --temp 0 --json -n 8 "$@"
}
# announced: it is the first line, and the JSON has it
announced() {
	head -n 1 "$log/err" >"$log/first"
	grep -q '^NOTE: INT4 weights run, which are not the original' \
		"$log/first" || fail "not announced first: $(cat "$log/err")"
	is "bit-exact" "False True" "$(field 'str(j["bit_exact"]) + " " + str(
		j["announcement"].startswith("NOTE: INT4"))')"
	is "the sentence" "True" "$(field '("INT4, not the original" in j["plan"]
		and "bit-exact" not in j["plan"])')"
}

run 0 profile
answer meant
digest=$(field 'j["logits_sha256"]')
! grep -q INT4 "$log/err" || fail "exact weights are announced as INT4"
for how in "$int4" "$int4 --mode fast" "meant --mode fast" \
	"meant --mode fast --stream -j 1" "$int4/model.safetensors"; do
	# shellcheck disable=SC2086 # several words
	answer $how
	is "$how: logits" "$digest" "$(field 'j["logits_sha256"]')"
	is "$how: memory" True \
		"$(field '0 < j["measured_bytes"] <= j["announced_bytes"]')"
	announced
	# shellcheck disable=SC2086
	run 0 plan $how "The fox said: 12" --raw -n 8 --json
	cp "$log/first" "$log/err"
	announced
done
answer exact
[ "$digest" != "$(field 'j["logits_sha256"]')" ] || fail "nothing was rounded"
for command in plan run; do
	run 2 $command $int4 "a b" --raw -n 3 --mode perfect
	says 'INT4 weights alone'
done

# ---- what is no such model

# spoil EXPRESSION: a copy, with 'q' of its settings, or 'head' of its file, changed
spoil() {
	rm -rf spoilt
	cp -R $int4 spoilt
	python3 - "$1" <<'END'
import json
import struct
import sys

config = json.load(open("spoilt/config.json"))
data = open("spoilt/model.safetensors", "rb").read()
(n,) = struct.unpack("<Q", data[:8])
head, body = json.loads(data[8:8 + n]), bytearray(data[8 + n:])
q = config["quantization_config"]
w = q["config_groups"]["group_0"]["weights"]
at = "model.layers.1.mlp.up_proj.weight"
exec(sys.argv[1])
text = json.dumps(head).encode()
with open("spoilt/model.safetensors", "wb") as out:
    out.write(struct.pack("<Q", len(text)) + text + body)
json.dump(config, open("spoilt/config.json", "w"))
END
}
# refuses CODE PATTERN
refuses() {
	run "$1" run spoilt "a b" --raw -n 3
	says "$2"
}
for change in 'w["num_bits"] = 8' 'w["symmetric"] = False' 'w["type"] = "float"' \
	'w["group_size"] = 12' 'q["format"] = "marlin-24"' 'del q["config_groups"]' \
	'w["group_size"] = "32"'; do
	spoil "$change"
	refuses 2 'quantization_config is of a form'
done
spoil 'w["group_size"] = 64'
refuses 2 'weight_scale is not of the shape'
spoil 'w["group_size"] = 48'
refuses 2 'no whole number of groups'
spoil 'head[at + "_scales"] = head.pop(at + "_scale")'
refuses 2 'no tensor model.layers.1.mlp.up_proj.weight_scale'
spoil 'head[at + "_packed"]["dtype"] = "F32"'
refuses 2 'weight_packed is not of the shape'
spoil 'body[head[at + "_shape"]["data_offsets"][0]] ^= 1'
refuses 1 'weight_shape says another shape'
spoil 'del config["quantization_config"]'
refuses 2 'no tensor model.layers.0'
spoil 'config["bigsmall_note"] = "good"'
refuses 2 'bigsmall_note'
# Not packed, as a mount shows what cannot be: announced all the same.
cp meant/model.safetensors spoilt/
sed 's/{/{"bigsmall_note": "LOSSY", /' exact/config.json >spoilt/config.json
answer spoilt
is "not packed: logits" "$digest" "$(field 'j["logits_sha256"]')"
announced
finish
