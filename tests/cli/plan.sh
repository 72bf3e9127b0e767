#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# plan.sh - `bigsmall profile` and `plan`, and what `run` does of it: measured
# once and kept, the same sentence, receipts; what is refused, and how

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

exec_dir=$here/../exec
profile=$XDG_STATE_HOME/bigsmall/profile.json
for name in llama gemma2; do
	python3 "$exec_dir/tiny.py" $name $name || fail "tiny.py $name"
done

# ---- profile: once, and again when it is not this machine's

begin=$(date +%s)
run 0 profile --json
says '^Measuring this machine'
[ $(($(date +%s) - begin)) -lt 15 ] || fail "measuring took 15 s or more"
there "$profile"
is "figures" True "$(field '(all(j[c][k] > 0 for c in ("alone", "together")
	for k in ("memory_read", "product_bf16", "product_f16", "product_f32",
	"decode_bf16", "decode_f16", "decode_f32", "decode_f8_e4m3"))
	and j["cpus"] > 0 and j["memory_available_bytes"] > 0)')"
is "kernels" True "$(field '(j["decode_kernels"] in j["machine"]
	and j["product_kernels"] in j["machine"])')"
is "mode of the profile" 600 "$(stat -c %a "$profile")"
cp "$profile" kept
run 0 profile
[ ! -s "$log/err" ] || fail "measured again: $(cat "$log/err")"
prints 'decoding BF16'
same kept "$profile"
run 0 profile --force
says '^Measuring this machine'
# A file that nobody here wrote, or of another machine.
for text in '{' "$(sed 's/"machine": "/&x/' kept)"; do
	printf '%s' "$text" >"$profile"
	run 0 profile
	says '^Measuring this machine'
	run 0 profile
	[ ! -s "$log/err" ] || fail "measured again: $(cat "$log/err")"
done
# Where it is kept; and where it cannot be, that is said.
mkdir -p home/.local/state/bigsmall
cp kept home/.local/state/bigsmall/profile.json
HOME=$PWD/home XDG_STATE_HOME='' run 0 profile
[ ! -s "$log/err" ] || fail "measured again: $(cat "$log/err")"
: >file
XDG_STATE_HOME=$PWD/file run 0 profile
says 'cannot be kept in .*: Not a directory'
(unset XDG_STATE_HOME HOME && run 0 profile --json) || fail "without a home"
run 2 profile a b
run 2 profile no-such-file
# The disk of a file: once it is there, it is in the profile.
head -c 20000000 /dev/urandom >large
run 0 profile large --json
is "a disk" True "$(field 'any(j[k]["read"] > 0 for k in j if "disk_" in k)')"

# ---- plan and run say the same

# sentence: what both say, but for memory, of which each has its own
sentence() {
	sed -n '/^llama, .* weights/s/; at most .*//p' "$1"
}
for how in '' '--stream' '-j 1' '--resident plain' '--budget 60M'; do
	# shellcheck disable=SC2086 # several words
	run 0 plan llama "a b" --raw -n 5 $how
	sentence "$log/out" >want
	[ -s want ] || fail "no sentence with $how"
	# shellcheck disable=SC2086
	run 0 run llama "a b" --raw --temp 0 -n 5 $how
	sentence "$log/err" >have
	same want have
	grep -q 'from plain files, bit-exact, .* tokens/s$' want ||
		fail "the sentence with $how: $(cat want)"
done
run 0 plan llama "a b" --raw -n 5
prints '^Compress'
run 0 plan llama --raw --verbose
prints '^- the original weights, all layers in memory: .*; this is what runs'
prints '^- the original weights, no layer in memory: .*; slower'
run 0 plan llama --raw --stream --verbose
prints 'all layers in memory: .*; --stream excludes it'
prints '^llama, .*, 0 of 3 layers in memory, the rest .* read anew'
run 0 plan llama "a b" --raw -n 5 --json --gpu 20GB
is "plan's JSON" 'perfect True files 3 3 0 True None' "$(field '" ".join(
	str(x) for x in [j[k] for k in ("mode", "bit_exact", "source", "layers",
	"layers_in_memory", "read_per_token_bytes")] +
	[j["tokens_per_s"] > 0, j["announcement"]])')"
is "a GPU's sum" True "$(field '(j["gpu"]["fits"] and j["gpu"]["room_bytes"] ==
	20 * 10 ** 9 and j["gpu"]["sum_bytes"] == j["weight_bytes"] +
	j["gpu"]["kv_bytes"] + 10 ** 9)')"
run 0 plan llama --raw --gpu 1M
prints 'as a sum (no GPU is used): .* which does not fit'
run 0 run llama "a b" --raw --temp 0 -n 5 --json
is "run's JSON" 'True None True' "$(field '" ".join(str(x) for x in
	(j["bit_exact"], j["announcement"], "bit-exact" in j["plan"]))')"

# ---- in containers, without a mount

mkdir store
cp llama/*.json store/
run 0 compress llama/model.safetensors -o store/
run 0 compress llama -o bundle.bs
for model in store store/model.bs bundle.bs; do
	run 0 plan $model "a b" --raw -n 5 --json
	is "$model: source" "mount 156768" \
		"$(field 'j["source"] + " " + str(j["weight_bytes"])')"
	is "$model: stored" True "$(field '(j["compressed_bytes"] <
		j["weight_bytes"] and not j["compressed_is_estimated"])')"
done
run 0 plan store "a b" --raw -n 5
prints 'through a mount, bit-exact'
prints '^The disk has '

# ---- modes, and what is refused before anything is read

run 0 run llama "a b" --raw -n 3 --mode perfect
for command in plan run; do
	run 2 $command llama "a b" --raw -n 5 --mode fast
	says_once
	says 'this model has no fast member'
	run 2 $command llama "a b" --mode tiny
	run 2 $command llama "a b" --resident compressed
	run 2 $command llama "a b" --stream --resident plain
	run 4 $command llama "a b" --raw -n 5 --budget 1M
	says_once
done
run 2 run llama "a b" --gpu 20GB
run 2 plan llama --gpu nothing
run 2 plan
run 2 plan no-such-model
run 2 run llama --receipt --raw

# ---- receipts

run 0 run llama "a b" --raw --temp 0 -n 5 --json --receipt
digest=$(field 'j["logits_sha256"]')
tokens=$(field 'j["tokens"]')
receipt=$(sed -n 's/^Receipt: //p' "$log/err")
is "a receipt's name" "$(echo "$digest" | cut -c 1-32).json" \
	"$(basename "$receipt")"
cp "$receipt" "$log/out"
is "its logits" "$digest" "$(field 'j["logits_sha256"]')"
is "its tokens" "$tokens" "$(field 'j["tokens"]')"
is "its memory" True "$(field '0 < j["measured_bytes"] <= j["announced_bytes"]')"
is "its plan" True "$(field 'j["bit_exact"] and "bit-exact" in j["plan"]')"
for file in config.json tokenizer.json model.safetensors; do
	is "its $file" "$(sha256sum <llama/$file | cut -d ' ' -f 1)" \
		"$(field "[f['sha256'] for f in j['files']
			if f['file'] == '$file'][0]")"
done
rm -r "$XDG_STATE_HOME/bigsmall/receipts"
: >"$XDG_STATE_HOME/bigsmall/receipts"
run 2 run llama "a b" --raw --temp 0 -n 5 --receipt
says 'receipts/.*: Not a directory'
finish
