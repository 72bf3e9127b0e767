#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# info and verify, given a file as the mount shows it, or a container's name
# that the mount hides, look at the container behind it.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m
mkdir store/sub
cp store/m.bs store/sub/
cp orig/m.safetensors orig/x
"$bigsmall" compress orig/x -o store/ >/dev/null 2>&1
mv store/x.bs store/y.safetensors.bs
cp orig/m.safetensors store/plain.safetensors

looks_behind() {
	for file in m.safetensors m.bs sub/m.safetensors sub/m.bs \
		y.safetensors; do
		"$bigsmall" verify "$1/$file" >out 2>&1 ||
			fail "verify $file: exit $?: $(cat out)"
		grep -q 'SHA-256 agrees' out || fail "verify $file: $(cat out)"
		"$bigsmall" info "$1/$file" >out 2>&1 ||
			fail "info $file: exit $?"
		grep -q 'format version' out ||
			fail "info $file: not of the container: $(cat out)"
	done
	(cd "$1/sub" && "$bigsmall" verify m.safetensors) >out 2>&1 ||
		fail "by a path relative to the mount: $(cat out)"
	"$bigsmall" info "$1/plain.safetensors" >out 2>&1 || fail "info plain"
	grep -q 'format version' out && fail "a plain file is no container"
	"$bigsmall" verify "$1/absent.safetensors" >out 2>&1
	is "exit of verify absent" 2 $?
}

begin_mount
looks_behind mnt
end_mount
begin_mount "$work/store"
looks_behind store
end_mount "$work/store"
finish
