#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A mount over the store itself: the same names, the store within reach below
# .bigsmall/store, a second mount refused, and the store as it was afterwards.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m
mkdir store/sub
cp store/m.bs store/sub/
echo plain >store/plain.txt
(cd store && find . -type f -exec sha256sum {} + | sort) >before
begin_mount "$work/store"

same store/m.safetensors orig/m.safetensors
same store/sub/m.safetensors orig/m.safetensors
same store/plain.txt store/.bigsmall/store/plain.txt
[ -e store/m.bs ] && fail "the container is shown"
[ -f store/.bigsmall/store/m.bs ] || fail "the container is out of reach"
refused 'already mounted' "$bigsmall" mount store
refused 'already mounted' "$bigsmall" mount "$work/store" -o ro
"$bigsmall" mount store >/dev/null 2>&1
is "exit code" 4 $?
"$bin/mount.bigsmall" store >/dev/null 2>&1
is "exit code of mount.bigsmall" 32 $?
end_mount "$work/store"

(cd store && find . -type f -exec sha256sum {} + | sort) >after
diff before after || fail "the store has changed"
refused 'is not mounted' "$bigsmall" umount store

# the daemon in the background: the command returns when the mount answers
"$bigsmall" mount store >out || fail "mount: exit $?"
same store/m.safetensors orig/m.safetensors
grep -q '2 compressed files, .* shown from .* stored; read-only' out ||
	fail "it said: $(cat out)"
"$bigsmall" umount store || fail "umount: exit $?"
[ -f store/m.bs ] || fail "the store is not back"
finish
