#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# mount.sh - cold reads through our mount and through squashfuse's, in turns
#
# usage: sh mount.sh [-n ROUNDS] [-a KIB] BIN FILE.safetensors
#
# BIN is the folder of a build (bigsmall, mount.bigsmall, read_file).  FILE is
# compressed by us, and by mksquashfs with zstd in its default blocks of 128
# KiB.  For each round and way of reading (pread of 1 MiB, mmap walk) each of
# the two, and the plain file, is mounted anew after the kernel's caches were
# dropped, and read once from end to end; who comes first changes every round.
# Prints the median, least and most GB/s of each and the median of the rounds'
# ratios.  -a sets the kernel's read-ahead of both mounts after mounting;
# without it each has what its daemon left.  What is read is compared: the sums
# of all must be the same.
#
# Needs root (drop_caches), squashfs-tools, squashfuse.  Drops the caches of
# the whole machine.  Exit 1: the readers saw different bytes.

set -eu

rounds=7
ahead=
while getopts n:a: opt; do
	case $opt in
	n) rounds=$OPTARG ;;
	a) ahead=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
if [ $# -ne 2 ] || [ "$rounds" -lt 1 ]; then
	echo "usage: mount.sh [-n ROUNDS] [-a KIB] BIN FILE.safetensors" >&2
	exit 2
fi
[ "$(id -u)" -eq 0 ] || {
	echo "mount.sh: only root can drop the kernel's caches" >&2
	exit 3
}
for need in mksquashfs squashfuse_ll fusermount3; do
	command -v "$need" >/dev/null || {
		echo "mount.sh: $need is not installed:" \
			"apt install squashfs-tools squashfuse fuse3" >&2
		exit 3
	}
done
bin=$(cd "$1" && pwd)
file=$(realpath "$2")
name=${file##*/}
# On a disk, not in memory: what is stored has to be read, too.
work=$(mktemp -d /var/tmp/bigsmall-bench.XXXXXX)

clean_up() {
	for mnt in "$work/mnt-ours" "$work/mnt-squash"; do
		fusermount3 -u -z "$mnt" 2>/dev/null || :
	done
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

mkdir "$work/store" "$work/plain" "$work/mnt-ours" "$work/mnt-squash"
cp "$file" "$work/plain/$name"
"$bin/bigsmall" compress "$file" -o "$work/store/" >/dev/null
mksquashfs "$work/plain" "$work/squash" -comp zstd -quiet -no-progress \
	>/dev/null
echo "$name: $(stat -c %s "$file") bytes;" \
	"ours $(cat "$work"/store/*.bs | wc -c)," \
	"squashfs-zstd $(stat -c %s "$work/squash")"
echo "$(nproc) cores, Linux $(uname -r), load $(cut -d' ' -f1-3 /proc/loadavg)" \
	"${ahead:+read-ahead $ahead KiB}"

drop() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# set_ahead DIR: the read-ahead of the mount, if we were told one
set_ahead() {
	[ -n "$ahead" ] || return 0
	dev=$(awk -v dir="$1" '$5 == dir { print $3 }' /proc/self/mountinfo)
	echo "$ahead" >"/sys/class/bdi/$dev/read_ahead_kb"
}

# read_cold WAY WHAT: a line "WHAT WAY GB/s SUM" to the results
read_cold() {
	case $2 in
	ours)
		drop
		"$bin/mount.bigsmall" "$work/store" "$work/mnt-ours" >/dev/null
		set_ahead "$work/mnt-ours"
		path=$work/mnt-ours/$name
		;;
	squash)
		drop
		squashfuse_ll "$work/squash" "$work/mnt-squash"
		set_ahead "$work/mnt-squash"
		path=$work/mnt-squash/$name
		;;
	plain)
		drop
		path=$work/plain/$name
		;;
	esac
	"$bin/read_file" "$1" "$path" >"$work/line"
	case $2 in
	ours) "$bin/bigsmall" umount "$work/mnt-ours" ;;
	squash) fusermount3 -u "$work/mnt-squash" ;;
	esac
	echo "$2 $1 $(cut -d' ' -f3,4 "$work/line")" >>"$work/results"
}

round=0
while [ "$round" -lt "$rounds" ]; do
	for way in pread mmap; do
		if [ $((round % 2)) -eq 0 ]; then
			order="ours squash plain"
		else
			order="squash ours plain"
		fi
		for what in $order; do
			read_cold "$way" "$what"
		done
	done
	round=$((round + 1))
done

for way in pread mmap; do
	n_sums=$(awk -v way="$way" '$2 == way { print $4 }' "$work/results" |
		sort -u | wc -l)
	[ "$n_sums" -eq 1 ] || {
		echo "mount.sh: $way: the readers saw different bytes" >&2
		exit 1
	}
	for what in ours squash plain; do
		awk -v way="$way" -v what="$what" \
			'$1 == what && $2 == way { print $3 }' \
			"$work/results" >"$work/$what.rates"
	done
	paste "$work/ours.rates" "$work/squash.rates" | awk '{ print $1 / $2 }' \
		>"$work/ratio.rates"
	for what in ours squash plain ratio; do
		sort -n "$work/$what.rates" | awk -v what="$what" -v way="$way" '
			{ x[NR] = $1 }
			END {
				m = (x[int((NR + 1) / 2)] + \
					x[int(NR / 2) + 1]) / 2
				printf "cold %-5s %-6s median %6.3f   least " \
					"%6.3f   most %6.3f   of %d%s\n", way,
					what, m, x[1], x[NR], NR,
					what == "ratio" ? \
					" (ours / squash)" : " GB/s"
			}'
	done
done
echo "load after: $(cut -d' ' -f1-3 /proc/loadavg)"
