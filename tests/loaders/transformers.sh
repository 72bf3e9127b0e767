#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# transformers.sh - transformers loads an encoder, and a chat model of eight
# shards by four threads, from the mount: same weights, same logits bit for bit,
# the chat model says the same; each chunk is decoded once

. "$(dirname "$0")/lib.sh"

need_models
model=SmolLM2-135M-Instruct
mkdir "$model"
cp -p "$corpus/models/$model"/*.j* "$model" || exit 1
"$python" "$here/shard.py" "$corpus/models/$model/model.safetensors" \
	"$model" 8 || exit 1
ln -s "$corpus/models/all-MiniLM-L6-v2" .
for model in all-MiniLM-L6-v2 SmolLM2-135M-Instruct; do
	store "$model/" "store-$model"
	all_once "$model" "store-$model" -- \
		"$python" "$here/transformers_load.py" "$model" mnt
	# What was loaded came from the mount: nothing is there without it.
	[ -z "$(ls "$work/mnt")" ] || fail "$work/mnt is not empty"
done
finish
