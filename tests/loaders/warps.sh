#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# warps.sh - real weights, decoded as a GPU would, are what the library decodes:
# every chunk, by the unit test of the decoder for GPUs

. "$(dirname "$0")/lib.sh"

need_corpus
for name in minilm-l6-v2-bf16-rounded minilm-l6-v2-f32 whisper-tiny-f16; do
	"$bigsmall" compress -o "$name.bs" "$corpus/$name.safetensors" \
		>compress.log 2>&1 || {
		cat compress.log
		die "bigsmall compress $name.safetensors"
	}
	check "$name" "$bin/test_cuda" "$name.bs"
	grep -q '[1-9][0-9]* chunks' out || fail "$name has no chunks"
done
finish
