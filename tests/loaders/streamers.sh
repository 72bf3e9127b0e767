#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# streamers.sh - loaders with ways of reading of their own get the bytes of the
# original, and have each chunk decoded once: fastsafetensors without GPUDirect,
# Run:ai's streamer, MLX, and llama.cpp's converter

. "$(dirname "$0")/lib.sh"

need_loaders
need_weights bf16 f16 f32
store plain store
set --
for file in plain/*.safetensors; do
	set -- "$@" "$file" "mnt/${file#plain/}"
done
for loader in fastsafetensors runai mlx gguf; do
	all_once "$loader" "$work/store" -- \
		"$python" "$here/streamers_load.py" "$loader" "$@"
done
finish
