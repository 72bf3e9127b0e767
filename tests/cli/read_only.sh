#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# read_only.sh - a target that may not be written to, and a source that may not
# be read, end with 3 and a sentence
#
# Root may write where modes forbid it, so for root the target is a read-only
# tmpfs.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2317 # lib.sh calls it
undo() {
	[ -n "${mounted-}" ] && umount -l "$mounted"
	[ -d "$work/ro" ] && chmod 755 "$work/ro"
}

model m.safetensors
run 0 compress m.safetensors
mkdir ro
cp m.safetensors ro/src.safetensors
cp m.bs ro/packed.bs
if [ "$(id -u)" -eq 0 ]; then
	mkdir mnt
	mount -t tmpfs tmpfs mnt 2>/dev/null || {
		rmdir mnt
		skip "no tmpfs can be mounted here, and root may write anywhere"
	}
	mounted=$work/mnt
	cp ro/* mnt/
	mount -o remount,ro mnt || skip "a tmpfs cannot be made read-only here"
	dir=mnt
else
	chmod 000 ro/packed.bs
	run 3 verify ro/packed.bs
	says "Permission denied"
	run 3 decompress ro/packed.bs
	chmod 644 ro/packed.bs
	chmod 555 ro
	dir=ro
fi
before=$(ls -A $dir)

run 3 compress $dir/src.safetensors
says "cannot be written"
says_once
run 3 decompress $dir/packed.bs
says "cannot be written"
says_once
run 3 compress m.safetensors -o $dir/sub/
says "cannot be made"
run 3 compress m.safetensors -o $dir/packed.bs --force
is "files in the target" "$before" "$(ls -A $dir)"
same m.bs $dir/packed.bs

# it is still read from there
run 0 verify $dir/packed.bs
run 0 compress --dry-run $dir/src.safetensors
run 0 compress $dir/src.safetensors -o here.bs
same m.safetensors $dir/src.safetensors
run 0 decompress $dir/packed.bs -o here.safetensors
same m.safetensors here.safetensors

finish
