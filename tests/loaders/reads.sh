#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# reads.sh - every way of reading gives the bytes of the original: mmap private
# and shared, whole and in parts; 16 threads of random pread, O_DIRECT among
# them; sendfile; across the end of the file; two processes at once

. "$(dirname "$0")/lib.sh"

# The second file has no page-aligned end, nor tensors that begin on pages.
need_weights bf16 f16
store plain store
mount_store "$work/store" "$work/mnt"
for file in plain/*; do
	for way in mmap_private mmap_shared mmap_parts page_end pread_threads \
		pread_direct sendfile past_end; do
		check "${file#plain/} $way" "$python" "$here/reads.py" "$way" \
			"$file" "mnt/${file#plain/}"
	done
done

# Two processes on one file, one mapped, one reading; both from the start.
file=bf16.safetensors
"$python" "$here/reads.py" mmap_shared "plain/$file" "mnt/$file" >one 2>&1 &
one=$!
"$python" "$here/reads.py" pread_threads "plain/$file" "mnt/$file" >two 2>&1 &
two=$!
wait "$one" || {
	fail "of two processes, the one that maps"
	cat one
}
wait "$two" || {
	fail "of two processes, the one that reads"
	cat two
}
finish
