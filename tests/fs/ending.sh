#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# How a mount ends: umount, busy and lazy; SIGTERM and SIGINT, at once or when
# the last reader leaves; a daemon that was killed.  SIGUSR1 logs the stats.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m 1500

begin_mount
exec 3<mnt/m.safetensors
refused 'in use' "$bigsmall" umount mnt
is_mounted "$work/mnt" || fail "a busy mount was ended"
"$bigsmall" umount -l mnt || fail "umount -l: exit $?"
is_mounted "$work/mnt" && fail "still there after umount -l"
cmp - orig/m.safetensors <&3 || fail "the reader lost its file"
kill -0 "$daemon" || fail "the daemon left its reader"
exec 3<&-
end_mount

# by way of a link
ln -s mnt link
begin_mount
refused 'already mounted' "$bigsmall" mount store link
"$bigsmall" umount link || fail "umount by way of a link: exit $?"
end_mount

# the mount moves with a directory above it
mkdir above above/mnt
begin_mount "$work/store" "$work/above/mnt"
mv above moved
kill -s TERM "$daemon"
wait "$daemon"
is "exit after the mountpoint moved" 0 $?
daemon=
is_mounted "$work/moved/mnt" && fail "SIGTERM: still mounted where it moved"

for signal in TERM INT HUP; do
	begin_mount
	same mnt/m.safetensors orig/m.safetensors
	kill -s "$signal" "$daemon"
	wait "$daemon"
	is "exit after SIG$signal" 0 $?
	daemon=
	is_mounted "$work/mnt" && fail "SIG$signal: still mounted"
done

# with a reader: detached, and ended by its leaving
begin_mount
exec 3<mnt/m.safetensors
kill -s TERM "$daemon"
is_detached() {
	! is_mounted "$work/mnt"
}
wait_for is_detached || fail "SIGTERM does not detach a busy mount"
cmp - orig/m.safetensors <&3 || fail "the reader lost its file to SIGTERM"
exec 3<&-
wait "$daemon"
is "exit after its reader" 0 $?
daemon=

begin_mount
same mnt/m.safetensors orig/m.safetensors
kill -s USR1 "$daemon"
has_logged() {
	grep -q '"decodes": [1-9]' log.err
}
wait_for has_logged || fail "SIGUSR1 logs nothing"
end_mount "$work/mnt" noisy

# killed: named as such, and cleaned up, aside and in place
for dir in mnt store; do
	begin_mount "$work/store" "$work/$dir"
	kill -9 "$daemon"
	wait "$daemon" 2>/dev/null
	daemon=
	refused 'not connected' ls $dir
	refused 'already mounted' "$bigsmall" mount store $dir
	"$bigsmall" umount $dir/ || fail "a dead $dir cannot be ended: exit $?"
	begin_mount "$work/store" "$work/$dir"
	same $dir/m.safetensors orig/m.safetensors
	end_mount "$work/$dir"
done

# killed under a reader: its next read fails, and it can still be ended
begin_mount
exec 3<mnt/m.safetensors
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
daemon=
cat <&3 >out 2>&1 && fail "a dead mount is read to the end"
exec 3<&-
"$bigsmall" umount mnt || fail "a dead mount that was read: exit $?"
finish
