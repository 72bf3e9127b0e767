#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# superblock.sh - with either superblock destroyed everything still reads, and
# verify says which; with both it is a sentence

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m.safetensors
run 0 compress m.safetensors
cp m.bs good.bs
head -c 512 /dev/zero >zeros

# the first: flipped, zero, garbage
cp good.bs flipped.bs
python3 "$here/damage.py" flipped.bs first
cp good.bs zero.bs
dd if=zeros of=zero.bs conv=notrunc status=none
cp good.bs garbage.bs
head -c 512 /dev/urandom |
	dd of=garbage.bs conv=notrunc status=none
for name in flipped zero garbage; do
	run 0 decompress $name.bs -o $name
	says "the first superblock is damaged; the copy at the end is used"
	same m.safetensors $name
	for fast in "" --fast; do
		# shellcheck disable=SC2086 # an option or nothing
		run 1 verify $fast $name.bs
		says "its first superblock is damaged, the copy at its end served"
		says_once
	done
	run 1 info $name.bs
	prints "5, 0 of them tied"
	run 1 info --json $name.bs
	is first_superblock_ok False "$(field 'j["first_superblock_ok"]')"
	run 1 verify --json $name.bs
	is "superblocks" "(False, True)" "$(field \
		'j[0]["first_superblock_ok"], j[0]["last_superblock_ok"]')"
	run 4 compress $name.bs
	gone $name.bs.bs
done

# the copy
cp good.bs last.bs
python3 "$here/damage.py" last.bs last
run 1 verify last.bs
says "the copy of the superblock at its end is damaged"
run 0 info last.bs
run 0 decompress last.bs -o last
same m.safetensors last

# both
cp last.bs both.bs
dd if=zeros of=both.bs conv=notrunc status=none
dd if=zeros of=both.bs conv=notrunc status=none oflag=seek_bytes \
	seek=$(($(stat -c %s both.bs) - 512))
for command in verify "verify --fast" info decompress; do
	# shellcheck disable=SC2086 # a command and its option
	run 2 $command both.bs
	says "is not a .bs file of ours, or both its ends are damaged"
	says_once
done
cp last.bs both.bs
python3 "$here/damage.py" both.bs first
cp last.bs one_magic.bs
dd if=zeros of=one_magic.bs conv=notrunc status=none
for name in both one_magic; do
	for command in verify "verify --fast" info decompress; do
		# shellcheck disable=SC2086 # a command and its option
		run 1 $command $name.bs
		says_once
	done
done
gone both both.safetensors

finish
