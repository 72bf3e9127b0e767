#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Two store files that claim one name: the plain one is shown, or the first of
# two containers; the user hears of the other, at once and in problems.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m
model other 300 2
echo "the plain one" >store/m.safetensors
"$bigsmall" compress orig/m.safetensors -o store/tmp.bs >/dev/null 2>&1
# a container that was made of a file without an ending: it gets none back
cp orig/m.safetensors orig/x
"$bigsmall" compress orig/x -o store/ >/dev/null 2>&1
mv store/x.bs store/tmp.safetensors.bs
mkdir store/.bigsmall
echo "ours is in the way" >store/.bigsmall/file
begin_mount

is "the plain file" "the plain one" "$(cat mnt/m.safetensors)"
same mnt/other.safetensors orig/other.safetensors
same mnt/tmp.safetensors orig/m.safetensors
is "names of tmp" 1 "$(find mnt -name 'tmp*' | wc -l)"
for file in m.bs tmp.safetensors.bs .bigsmall; do
	grep -q "^$file: hidden" mnt/.bigsmall/problems ||
		fail "$file is not in problems"
	grep -q "$file: hidden" log.err || fail "$file is not said"
done
is "problems" 3 "$(wc -l <mnt/.bigsmall/problems)"

# removing the plain file shows the container again
rm store/m.safetensors
shown() {
	cmp -s mnt/m.safetensors orig/m.safetensors
}
wait_for shown || fail "the container does not come to light"
gone() {
	! grep -q '^m.bs' mnt/.bigsmall/problems
}
wait_for gone || fail "the problem stays"
end_mount "$work/mnt" noisy

# five are said, and how many more
rm -r store/.bigsmall
for i in 1 2 3 4 5 6 7; do
	echo text >"store/$i.bs"
done
begin_mount
is "sentences" 6 "$(wc -l <log.err)"
grep -q 'and 3 more' log.err || fail "not said: and 3 more"
is "problems" 8 "$(wc -l <mnt/.bigsmall/problems)"
end_mount "$work/mnt" noisy
finish
