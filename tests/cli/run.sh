#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - `bigsmall run`: answers as transformers gave them once, in the same
# bits with every CPU's kernels and any threads; what it refuses, and how

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

exec_dir=$here/../exec
probe=$(dirname "$bigsmall")/exec_probe

cat >"$log/compare.py" <<'END'
import json
import struct
import subprocess
import sys

probe, model, golden = sys.argv[1:4]
want = json.load(open(golden, encoding="utf-8"))
ids = " ".join(map(str, want["ids"])) + "\n"
out = subprocess.run([probe, "logits", model, "2"], input=ids.encode(),
                     stdout=subprocess.PIPE, check=True).stdout
n = len(want["logits"])
have = struct.unpack(f"<{n}f", out[-4 * n:])
worst = max(abs(a - b) for a, b in zip(have, want["logits"]))
if worst > 1e-4 * max(map(abs, want["logits"])):
    sys.exit(f"a logit is off by {worst}")
END
prompt_of() {
	python3 -c 'import json, sys
print(json.load(open(sys.argv[1], encoding="utf-8"))["prompt"])' "$1"
}
# answer MODEL ARGUMENT...: the likeliest tokens that follow the prompt
answer() {
	model=$1
	shift
	run 0 run "$model" "$prompt" --raw --temp 0 --json -n 24 "$@"
}

for name in $(python3 "$exec_dir/tiny.py" --list); do
	golden=$exec_dir/golden/$name.json
	python3 "$exec_dir/tiny.py" "$name" "$name" || fail "tiny.py $name"
	python3 "$log/compare.py" "$probe" "$name" "$golden" ||
		fail "$name: logits are not those of $golden"
	prompt=$(prompt_of "$golden")
	answer "$name"
	is "$name: tokens" True "$(field "j['tokens'] == json.load(
		open('$golden', encoding='utf-8'))['tokens']")"
	digest=$(field 'j["logits_sha256"]')
	is "$name: within what was announced" True \
		"$(field '0 < j["measured_bytes"] <= j["announced_bytes"]')"
	# A CPU that this machine is not is fatal, by a signal.
	for cpu in avx512 avx2 neon scalar; do
		for threads in 1 3; do
			# Each is another machine, to be measured once.
			XDG_STATE_HOME=$log/state-$cpu BIGSMALL_CPU=$cpu \
				"$bigsmall" run "$name" "$prompt" \
				--raw --temp 0 --json -n 24 -j $threads \
				>"$log/out" 2>"$log/err" </dev/null
			code=$?
			[ $code -ne 134 ] || [ $cpu = scalar ] || continue
			is "$name: exit with $cpu" 0 $code
			is "$name: $cpu, $threads threads" "$digest" \
				"$(field 'j["logits_sha256"]')"
		done
	done
done

# ---- the prompt, and what is said

run 0 run llama "a b" --raw --temp 0 -n 5
says '^llama, 0.1 million weights, .* bit-exact, .* at most .* of memory'
says 'tokens/s .* announced, .* measured'
cp "$log/out" "$log/want"
printf 'a b\n' | "$bigsmall" run llama --raw --temp 0 -n 5 \
	>"$log/out" 2>"$log/err" || fail "a prompt on standard input"
same "$log/want" "$log/out"
run 0 run llama/model.safetensors "a b" --raw --temp 0 -n 5
same "$log/want" "$log/out"
run 2 run llama --raw
says 'no prompt'
printf 'a\377b' >bad
"$bigsmall" run llama --raw <bad >"$log/out" 2>"$log/err"
is "exit of a prompt that is no UTF-8" 2 $?
says 'not valid UTF-8'
run 4 run llama "a b" --raw -n 512
says 'made for 512'

# ---- sampling: a seed is a seed

run 0 run llama "a b" --raw --temp 1.5 --seed 3 --json -n 16
first=$(field 'j["tokens"]')
run 0 run llama "a b" --raw --temp 1.5 --seed 3 --json -n 16 -j 3
is "the same seed" "$first" "$(field 'j["tokens"]')"
run 0 run llama "a b" --raw --temp 1.5 --seed 4 --json -n 16
[ "$first" != "$(field 'j["tokens"]')" ] || fail "another seed: the same tokens"
run 0 run llama "a b" --raw --temp 0 --json -n 16
greedy=$(field 'j["tokens"]')
for one in '--top-k 1' '--top-p 0'; do
	# shellcheck disable=SC2086 # two words
	run 0 run llama "a b" --raw --temp 1.5 $one --json -n 16
	is "$one" "$greedy" "$(field 'j["tokens"]')"
done

# ---- chat templates

run 2 run llama "a b" --chat
says 'no chat template; --raw'
run 2 run llama "a b" --chat --raw
cp -R llama chat
echo '{"bos_token": null, "chat_template": "{{ something else }}"}' \
	>chat/tokenizer_config.json
run 0 run chat "a b" --temp 0 -n 5
says 'template is not known here, so the prompt is taken as it is'
same "$log/want" "$log/out"
cat >chat/tokenizer_config.json <<'END'
{"chat_template": "{% if x %}{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}{% endif %}"}
END
printf 'a b\0' | "$probe" chat chat | tr -d '\0' >"$log/out"
printf '<|im_start|>%s\n%s<|im_end|>\n' system 'Be kind' user 'a b' \
	>"$log/want"
printf '<|im_start|>assistant\n' >>"$log/want"
same "$log/want" "$log/out"
run 0 run chat "a b" --json -n 3
is "prompt's first token" 271 "$(field 'j["prompt_tokens"][0]')"

# ---- what cannot be run: one sentence that names it

# spoil FILE EXPRESSION: a copy of the model, with JSON 'j' changed
spoil() {
	rm -rf spoilt
	cp -R llama spoilt
	python3 -c '
import json, sys
path = "spoilt/" + sys.argv[1]
j = json.load(open(path, encoding="utf-8"))
exec(sys.argv[2])
json.dump(j, open(path, "w", encoding="utf-8"))' "$1" "$2"
}
# refuses CODE PATTERN
refuses() {
	run "$1" run spoilt "a b" --raw -n 3
	says_once
	says "$2"
}
mkdir empty
run 2 run empty "a b"
says 'no config.json and no tokenizer.json'
run 2 run no-such-model "a b"
says_once
spoil config.json 'j["model_type"] = "mamba"'
refuses 2 'model_type is mamba'
spoil config.json 'j["architectures"] = ["LlamaForSequenceClassification"]'
refuses 2 'LlamaForSequenceClassification'
spoil config.json 'j["residual_multiplier"] = 0.5'
refuses 2 'residual_multiplier'
spoil config.json 'j["rope_scaling"] = {"rope_type": "yarn", "factor": 2.0}'
refuses 2 'yarn'
spoil config.json 'j["quantization_config"] = {"bits": 4}'
refuses 2 'quantization_config'
spoil config.json 'j["hidden_act"] = "relu"'
refuses 2 'hidden_act is relu'
spoil config.json 'j["num_hidden_layers"] = 4'
refuses 2 'no tensor model.layers.3.input_layernorm.weight'
spoil config.json 'j["num_hidden_layers"] = 2.5'
refuses 2 'num_hidden_layers'
spoil config.json 'j["intermediate_size"] = 71'
refuses 2 'model.layers.0.mlp.gate_proj.weight is not of the shape'
spoil config.json 'j["num_key_value_heads"] = 3'
refuses 2 'num_key_value_heads'
spoil tokenizer.json 'j["model"]["type"] = "Unigram"'
refuses 2 'Unigram'
spoil tokenizer.json 'j["normalizer"] = {"type": "Lowercase"}'
refuses 2 'Lowercase'
spoil tokenizer.json 'j["model"]["merges"].append("zq qz")'
refuses 2 'merge zq'
spoil tokenizer.json 'j["added_tokens"][0]["id"] = 5000
j["added_tokens"][0]["content"] = "a b"'
run 2 run spoilt "a b" --raw -n 3
says 'token 5000'
rm -rf spoilt
cp -R llama spoilt
echo '{"a":' >spoilt/config.json
refuses 1 'config.json is no JSON'
cp llama/config.json spoilt/
head -c 100000 llama/model.safetensors >spoilt/model.safetensors
refuses 1 'model.safetensors'
rm spoilt/model.safetensors
refuses 2 'model.safetensors.index.json'
# A model in parts.
python3 - <<'END'
import json
import os
import struct

os.makedirs("parts", exist_ok=True)
data = open("llama/model.safetensors", "rb").read()
(n,) = struct.unpack("<Q", data[:8])
header = json.loads(data[8:8 + n])
names, files = sorted(header), {}
for part in (0, 1):
    out, body = {}, b""
    for name in names[part::2]:
        a, b = header[name]["data_offsets"]
        out[name] = dict(header[name], data_offsets=[len(body),
                                                     len(body) + b - a])
        body += data[8 + n + a:8 + n + b]
        files[name] = f"part-{part}.safetensors"
    text = json.dumps(out).encode()
    with open(f"parts/part-{part}.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)
json.dump({"weight_map": files},
          open("parts/model.safetensors.index.json", "w"))
END
cp llama/*.json parts/
run 0 run parts "$prompt" --raw --temp 0 --json -n 8
parts=$(field 'j["logits_sha256"]')
run 0 run llama "$prompt" --raw --temp 0 --json -n 8
is "in parts" "$parts" "$(field 'j["logits_sha256"]')"
sed -i 's,part-1,x/../part-1,' parts/model.safetensors.index.json
run 2 run parts "$prompt"
says 'no name of a file'

finish
