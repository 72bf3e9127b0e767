#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A store that lives below its own mount: written through a bind mount made
# beforehand, while readers hold what was there.  And two mounts of one store.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

in_namespace
model m 1500 1
model new 1500 2
model third 1700 3
mv store/new.bs store/third.bs .
mkdir behind two
mount --bind store behind || exit 1
undo() {
	umount -l "$work/behind" "$work/two" 2>/dev/null
}

reads() {
	cmp -s "$1" "orig/$2.safetensors"
}

begin_mount "$work/store"
reads store/m.safetensors m || fail "in place"
# replaced while it is read
exec 3<store/m.safetensors
cp new.bs behind/.tmp && mv behind/.tmp behind/m.bs
wait_for reads store/m.safetensors new || fail "replaced: old bytes"
cmp - orig/m.safetensors <&3 || fail "replaced: the open file changed"
exec 3<&-
# edited in place
cat third.bs >behind/m.bs
wait_for reads store/m.safetensors third || fail "edited: old bytes"
# added, removed, in a new directory
mkdir behind/dir
cp new.bs behind/dir/
wait_for reads store/dir/new.safetensors new || fail "added: not there"
rm behind/dir/new.bs
is_gone() {
	! [ -e "$1" ]
}
wait_for is_gone store/dir/new.safetensors || fail "removed: still there"
# compressed into the store while it is mounted
"$bigsmall" compress orig/new.safetensors -o behind/made.bs >out 2>&1 ||
	fail "compress: $(cat out)"
wait_for reads store/made.safetensors new || fail "compressed: not there"
refused 'already mounted' "$bigsmall" mount store

# beside it at the same time, from the store behind
"$bigsmall" mount behind mnt >out || fail "a second mount: exit $?"
"$bigsmall" mount behind two >out || fail "a third mount: exit $?"
for dir in store mnt two; do
	reads $dir/made.safetensors new || fail "$dir: made"
done
cp new.bs behind/.tmp && mv behind/.tmp behind/m.bs
for dir in store mnt two; do
	wait_for reads $dir/m.safetensors new || fail "$dir: old bytes"
done
"$bigsmall" umount two || fail "umount two: exit $?"
reads mnt/m.safetensors new || fail "mnt, after two has ended"
"$bigsmall" umount mnt || fail "umount mnt: exit $?"
reads store/m.safetensors new || fail "store, after the others have ended"
end_mount "$work/store"
finish
