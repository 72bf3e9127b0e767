#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# file_names.sh - any file name works: not UTF-8, with spaces, newlines, a dash
# in front, of 255 bytes; a link is followed, a directory, a pipe and a device
# are refused with a sentence

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m.safetensors 50

# no control character of a name reaches the terminal
harmless() {
	if LC_ALL=C grep -a -q "$(printf '\033')" "$log/out" "$log/err"; then
		fail "an escape character is printed"
	fi
}

bad=$(printf 'caf\351 \377')
newline=$(printf 'two\nlines\033[31m')
for name in "$bad" "$newline" "with space" "größe 模型" "-dash" "-j" \
	"\$x\`'\"\\"; do
	cp m.safetensors "./$name.safetensors"
	run 0 compress --json -- "$name.safetensors"
	python3 -m json.tool "$log/out" >/dev/null ||
		fail "no JSON for $name"
	there "./$name.bs"
	rm "./$name.safetensors"
	run 0 verify --json -- "$name.bs"
	python3 -m json.tool "$log/out" >/dev/null ||
		fail "no JSON for $name"
	run 0 info --json -- "$name.bs"
	python3 -m json.tool "$log/out" >/dev/null ||
		fail "no JSON for $name"
	run 0 decompress -- "$name.bs"
	same m.safetensors "./$name.safetensors"
	run 4 compress -- "$name.safetensors"
	says_once
	harmless
	run 0 compress --force -- "$name.safetensors"
	harmless
	run 0 info -- "$name.bs"
	harmless
	run 0 decompress --force -- "$name.bs"
	harmless
	rm -- "./$name.bs" "./$name.safetensors"
done

# 255 bytes are the longest name; its temporary file is no longer
long=$(printf '%0243d' 0)
cp m.safetensors "$long.safetensors"
run 0 compress "$long.safetensors"
run 0 decompress "$long.bs" --force
same m.safetensors "$long.safetensors"
rm "$long.safetensors" "$long.bs"
long=$(printf '%0255d' 0)
echo x >"$long"
run 2 compress "$long"
says "File name too long"
run 0 compress "$long" -o fits.bs
rm "$long" fits.bs

# a link is followed, and its own name is what counts
mkdir dir
mv m.safetensors dir/real.safetensors
ln -s dir/real.safetensors link.safetensors
run 0 compress link.safetensors
there link.bs
[ -L link.safetensors ] || fail "the link is gone"
run 0 decompress link.bs -o back
same back dir/real.safetensors
ln -s link.bs other.bs
run 0 verify other.bs
run 0 decompress other.bs
same other.safetensors back
ln -s loop.bs loop.bs
run 2 verify loop.bs
says_once
ln -s nowhere dangling
run 2 compress dangling
says_once

# what is no regular file
for command in decompress info; do
	run 2 $command dir
	says "directory"
done
mkfifo pipe
for command in compress decompress verify info; do
	run 2 $command pipe
	says "regular file"
	run 2 $command /dev/null
done

finish
