#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# servers.sh - a model of many files is loaded as vLLM and SGLang load it, by
# threads that read ahead, by threads of load_file, by a process a GPU: same
# tensors, each chunk decoded once

. "$(dirname "$0")/lib.sh"

need_loaders
need_weights f32 bf16
for dtype in f32 bf16; do
	mkdir "$dtype"
	"$python" "$here/shard.py" "plain/$dtype.safetensors" "$dtype" 8 ||
		exit 1
	store "$dtype" "store-$dtype"
	for way in prefetch threads ranks eager; do
		all_once "$dtype $way" "store-$dtype" -- \
			"$python" "$here/servers_load.py" "$way" "$dtype" mnt
	done
	# What was dropped need not have stayed anywhere, decoded.
	mount_store "$work/store-$dtype" "$work/mnt"
	check "$dtype dropped" \
		"$python" "$here/servers_load.py" dropped "$dtype" mnt
	unmount "$work/mnt"
done
finish
