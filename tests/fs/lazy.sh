#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A mount opens no container before a name is asked for, however many there are,
# and each no more than once; what the command says of the store it finds out
# by itself, and within its time.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

n=300
model m 4
mkdir store/sub
i=0
while [ $i -lt $n ]; do
	ln store/m.bs "store/m$i.bs"
	i=$((i + 1))
done
# hard links share an inode: these are files of their own
cp store/m.bs store/sub/a.bs
head -c 4000 store/m.bs >store/cut.bs
# A directory that has just changed is read again, and what is damaged with it.
touch -d 2001-01-01 store store/sub

# Both by the daemon in the foreground and in the background.
check() {
	is "$1: superblocks read by mounting" 0 "$(stat_of superblocks_read)"
	is "$1: store bytes read by mounting" 0 "$(stat_of store_reads)"
	[ -d mnt/sub ] || fail "$1: no directory"
	names=$(stat_of superblocks_read)
	is "$1: one look-up" $((n + 2)) "$names"
	same mnt/m7.safetensors orig/m.safetensors
	is "$1: names" $((n + 3)) "$(find mnt -maxdepth 1 ! -path mnt | wc -l)"
	is "$1: superblocks read again" "$names" "$(stat_of superblocks_read)"
	is "$1: sub" a.safetensors "$(ls mnt/sub)"
	is "$1: with sub's" $((names + 1)) "$(stat_of superblocks_read)"
}
begin_mount
check foreground
end_mount "$work/mnt" noisy
grep -q '^mount.bigsmall: cut.bs: ' log.err || fail "it said: $(cat log.err)"

"$bigsmall" mount store mnt >out 2>err || fail "mount: exit $?"
check background
"$bigsmall" umount mnt || fail "umount: exit $?"

# problems are what is wrong in all the store, though nobody has looked at it
mkdir store/deep
head -c 4000 store/m.bs >store/deep/cut.bs
begin_mount
is "problems" 'cut.bs deep/cut.bs' \
	"$(sed 's/:.*//' mnt/.bigsmall/problems | sort | paste -sd ' ')"
end_mount "$work/mnt" noisy
finish
