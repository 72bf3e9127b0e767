#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# once.sh - a whole load decodes each chunk once, with a cache that is smaller
# than the file: read from front to back by one reader, in large and small pieces
# and through a map; by four threads; by fifty processes that begin at once

. "$(dirname "$0")/lib.sh"

# once CACHE DTYPE WAY
once() {
	all_once "$2 $3" store -o "cache=$1,threads=4" -- \
		"$python" "$here/once_load.py" "$3" \
		"plain/$2.safetensors" "mnt/$2.safetensors"
}

need_loaders
need_weights bf16 f32
for dtype in bf16 f32; do
	mkdir store
	"$bigsmall" compress "plain/$dtype.safetensors" -o store/ \
		>compress.log 2>&1 || die "$(cat compress.log)"
	for way in read small map; do
		once 16M "$dtype" "$way"
	done
	# memcpy looks at the end of a tensor first, and the kernel reads some
	# of two chunks around it: they are in the cache when it comes to them,
	# if the cache holds the tensor.
	cache=32M
	[ "$dtype" = bf16 ] || cache=64M
	once "$cache" "$dtype" four
	once "$cache" "$dtype" processes
	rm -r store
done
finish
