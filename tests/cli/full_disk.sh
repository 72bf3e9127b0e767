#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# full_disk.sh - where the target fills up, both directions end with 3 and a
# sentence, and leave nothing behind
#
# A small tmpfs where this may be mounted (root), and a limit on file sizes,
# which everybody has.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2317 # lib.sh calls it
undo() {
	[ -n "${mounted-}" ] && umount -l "$mounted"
}

model m.safetensors 3000
cp m.safetensors keep
run 0 compress m.safetensors
mkdir small

for direction in compress decompress; do
	src=m.safetensors
	[ $direction = decompress ] && src=m.bs
	(
		# in blocks of 512 bytes
		ulimit -f 200
		"$bigsmall" $direction $src -o small/ >"$log/out" 2>"$log/err"
	)
	is "$direction past the limit" 3 $?
	says "File too large"
	says_once
	is "files left by $direction" "" "$(ls -A small)"
done

mounted=$work/small
if ! mount -t tmpfs -o size=1m tmpfs "$mounted" 2>/dev/null; then
	mounted=
	[ "$n_failed" -eq 0 ] || finish
	skip "no tmpfs can be mounted here; the limit on file sizes is held"
fi
run 3 compress m.safetensors -o small/
says "No space left on device"
says_once
is "files left by compress" "" "$(ls -A small)"
run 3 decompress m.bs -o small/
says "No space left on device"
says_once
is "files left by decompress" "" "$(ls -A small)"

# what fits still fits, also after such a failure
model tiny.safetensors 100
run 3 compress -j 1 m.safetensors tiny.safetensors -o small/
is "files after both" tiny.bs "$(ls -A small)"
echo mine >small/m.bs
run 3 compress m.safetensors --force -o small/
is small/m.bs mine "$(cat small/m.bs)"
same m.safetensors keep

# in place the same: the files are as they were
rm -f small/m.bs small/tiny.bs
mount -o remount,size=4m "$mounted"
cp m.safetensors small/
run 3 compress --replace small
says "No space left on device"
same small/m.safetensors keep
is "files left by --replace" m.safetensors "$(ls -A small)"
rm small/m.safetensors
cp m.bs small/
run 3 decompress --replace small
same small/m.bs m.bs
is "files left by --replace" m.bs "$(ls -A small)"

# a full standard output is a failure too, not a silence
"$bigsmall" info m.bs >/dev/full 2>"$log/err"
is "info to a full file" 3 $?
says "standard output"

finish
