#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# queues.sh - many O_DIRECT reads of 8 MiB in flight on one descriptor give the
# bytes of the original, by io_submit and by io_uring, and through the page
# cache, and have each chunk decoded once, by two readers too, one after the
# other: InstantTensor's ways of reading

. "$(dirname "$0")/lib.sh"

# read_all WAY...: both files, one after the other
read_all() {
	for how; do
		for file in plain/*; do
			"$bin/read_queue" "$how" "mnt/${file#plain/}" >got ||
				return
			cmp "$file" got || return
		done
	done
}

need_weights bf16 f16
store plain store
ways=0
for way in aio uring uring-buffered; do
	"$bin/read_queue" "$way" plain/bf16.safetensors >/dev/null 2>err
	case $? in
	0) ;;
	77) continue ;;
	*) die "$way, of a plain file: $(cat err)" ;;
	esac
	all_once "$way" store -- read_all "$way"
	# The second finds nothing of O_DIRECT in the page cache.
	all_once "$way, twice" store -- read_all "$way" "$way"
	ways=$((ways + 1))
done
[ "$ways" -gt 0 ] || skip "io_submit and io_uring are forbidden here"
finish
