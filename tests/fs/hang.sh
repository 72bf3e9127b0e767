#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Nobody hangs: 64 readers in every way there is, killed and signalled, while the
# kernel's cache is dropped, files are replaced and, where a memory group can be
# made, the readers and the daemon have little memory.  No operation takes 5
# seconds.  Also with the smallest cache and one thread.  $BIGSMALL_ROUNDS makes
# it longer.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

hang=$(cd "$OLDPWD" && cd "$(dirname "$0")" && pwd)/hang.py
seconds=$((8 * ${BIGSMALL_ROUNDS:-1}))
stall=5
readers=64
is_sanitized && {
	# Everything takes ten times as long.
	stall=60
	readers=24
}

set --
i=0
for kib in 3000 9000 20000 30001; do
	i=$((i + 1))
	model v$i $kib $i
	mv store/v$i.bs .
	set -- "$@" "v$i.bs:orig/v$i.safetensors"
done
for i in 0 1 2 3 4 5; do
	cp v$((i % 4 + 1)).bs store/f$i.bs
done

top=/sys/fs/cgroup/memory
[ -e /sys/fs/cgroup/cgroup.controllers ] && top=/sys/fs/cgroup
group=
if ! is_sanitized && mkdir "$top/bigsmall-hang.$$" 2>/dev/null; then
	group=$top/bigsmall-hang.$$
	[ -e "$group/memory.stat" ] || group=
fi
undo() {
	rmdir "$top/bigsmall-hang.$$" 2>/dev/null
}

# no_hang OPTIONS ARGUMENTS
no_hang() {
	options=$1
	shift
	begin_mount -o "$options"
	python3 "$hang" store mnt "$seconds" $stall $readers "$group" "$@" ||
		fail "$options: see above"
	is "$options: reads in flight" 0 "$(stat_of queue_depth)"
	# The mount answers, and every byte is right.
	for name in f0 f1; do
		size=$(stat -c %s mnt/$name.safetensors)
		for v in 1 2 3 4; do
			[ "$(stat -c %s orig/v$v.safetensors)" -ne "$size" ] ||
				same mnt/$name.safetensors \
					orig/v$v.safetensors
		done
	done
	peak=$(stat_of cache_peak_bytes)
	[ "$peak" -le $(($(stat_of cache_budget_bytes) + (8 << 20))) ] ||
		fail "$options: the cache grew to $peak bytes"
	end_mount "$work/mnt" noisy
	grep -v 'need a cache of' log.err | grep . &&
		fail "$options: the daemon said this"
}

no_hang threads=4,cache=64M,readahead=128k "$@"
no_hang threads=1,cache=1M "$@"
no_hang threads=2,cache=24M,prefetch=8M,direct=off "$@"
[ -n "$group" ] || is_sanitized || echo "without a memory group"
finish
