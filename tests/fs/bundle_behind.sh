#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# info and verify, given a bundle's directory or what is in it as the mount shows
# it, look at the container behind it; a plain directory of the same name is
# what it is.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

mkdir -p orig/x/sub/deep orig/x/x
python3 "$make_model" orig/x/sub/m.safetensors 300
cp orig/x/sub/m.safetensors orig/x/sub/deep/
echo text >orig/x/x/x
ln -s sub/m.safetensors orig/x/link
bundle x
mkdir store/dir store/plain
cp store/x.bs store/dir/y.bs
# hidden by a plain directory
cp store/x.bs store/plain.bs
cp orig/x/sub/m.safetensors store/plain/
ln -s x/sub store/to-sub

looks_behind() {
	for path in x x/ x/sub x/sub/m.safetensors x/sub/deep/m.safetensors \
		x/x x/x/x x/link x.bs dir/y dir/y/sub/m.safetensors \
		to-sub to-sub/m.safetensors; do
		"$bigsmall" info "$1/$path" >out 2>&1 ||
			fail "info $path: exit $?: $(cat out)"
		grep -q 'format version' out ||
			fail "info $path: not of the container: $(cat out)"
		"$bigsmall" verify "$1/$path" >out 2>&1 ||
			fail "verify $path: exit $?: $(cat out)"
	done
	(cd "$1/x/sub" && "$bigsmall" verify m.safetensors) >out 2>&1 ||
		fail "by a path relative to the bundle: $(cat out)"
	"$bigsmall" info "$1/plain/m.safetensors" >out 2>&1 || fail "info plain"
	grep -q 'format version' out && fail "a plain file is no container"
	for path in x/absent x/absent/m.safetensors y/sub/m.safetensors; do
		"$bigsmall" verify "$1/$path" >out 2>&1
		is "exit of verify $path" 2 $?
	done
}

begin_mount
looks_behind mnt
end_mount "$work/mnt" noisy
begin_mount "$work/store"
looks_behind store
end_mount "$work/store" noisy
finish
