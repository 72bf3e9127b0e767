#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# warps.sh - real weights, decoded as a GPU would, are what the library decodes:
# every chunk, by the unit test of the decoder for GPUs

. "$(dirname "$0")/lib.sh"

need_weights bf16 f16 f32
for dtype in bf16 f16 f32; do
	"$bigsmall" compress -o "$dtype.bs" "plain/$dtype.safetensors" \
		>compress.log 2>&1 || {
		cat compress.log
		die "bigsmall compress plain/$dtype.safetensors"
	}
	check "$dtype" "$bin/test_cuda" "$dtype.bs"
	grep -q '[1-9][0-9]* chunks' out || fail "$dtype has no chunks"
done
finish
