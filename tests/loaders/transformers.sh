#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# transformers.sh - transformers loads an encoder and a chat model from the
# mount: same weights, same logits bit for bit, the chat model says the same

. "$(dirname "$0")/lib.sh"

need_models
for model in all-MiniLM-L6-v2 SmolLM2-135M-Instruct; do
	store "$corpus/models/$model" "store-$model"
	mount_store "$work/store-$model" "$work/$model"
	check "$model" "$python" "$here/transformers_load.py" \
		"$corpus/models/$model" "$work/$model"
	# What was loaded came from the mount: nothing is there without it.
	unmount "$work/$model"
	[ -e "$work/$model/model.safetensors" ] &&
		fail "$work/$model has a model.safetensors of its own"
done
finish
