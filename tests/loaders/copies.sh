#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# copies.sh - tar, rsync, git and cp take from the mount what they take from the
# original directory: the same archive byte for byte, nothing to transfer, the
# same object names; also where they look for holes, since a compressed file has
# fewer blocks than bytes

. "$(dirname "$0")/lib.sh"

for tool in tar rsync git; do
	command -v "$tool" >/dev/null ||
		skip "$tool is not installed: sh packaging/deps.sh test"
done
need_weights bf16 f16
mkdir plain/sub
printf '{"a": 1}\n' >plain/sub/config.json
ln -s ../f16.safetensors plain/sub/latest
chmod 640 plain/f16.safetensors
touch -d '2024-02-29 12:34:56.987654321' plain/f16.safetensors
store plain store
# Removing the originals changed the times of their directories.
touch -r plain store
touch -r plain/sub store/sub
mount_store "$work/store" "$work/mnt"

# archive DIR OPTION...: the SHA-256 of the archive of it
archive() {
	dir=$1
	shift
	tar "$@" --sort=name --format=posix \
		--pax-option=delete=atime,delete=ctime -cf - -C "$dir" . |
		sha256sum | cut -d' ' -f1
}

[ "$(archive mnt)" = "$(archive plain)" ] || fail "tar: another archive"
for method in raw seek; do
	mkdir "$method"
	tar --sparse --hole-detection="$method" -cf - -C mnt . |
		tar -xf - -C "$method"
	check "tar --sparse, $method" diff -r --no-dereference plain "$method"
	rm -r "$method"
done

check rsync rsync -ani --delete mnt/ plain/
[ -s out ] && fail "rsync would transfer: $(cat out)"
check "rsync -c" rsync -acni --delete mnt/ plain/
[ -s out ] && fail "rsync -c would transfer: $(cat out)"
check "rsync, sparse" rsync -a --sparse mnt/ copy/
check "diff" diff -r --no-dereference plain copy
# Over a file that has some of the bytes already, by comparing blocks.
dd if=/dev/zero of=copy/bf16.safetensors conv=notrunc bs=4096 seek=1000 \
	count=300 2>err || die "$(cat err)"
check "rsync, blocks" rsync -a --no-whole-file --inplace -I mnt/ copy/
check "diff" diff -r --no-dereference plain copy
rm -r copy

for file in bf16.safetensors f16.safetensors sub/config.json; do
	[ "$(git hash-object "mnt/$file")" = \
		"$(git hash-object "plain/$file")" ] ||
		fail "git hash-object $file: another name"
done
# The whole tree, which git maps or reads as it likes; its folder is elsewhere.
tree() {
	git init -q --bare "$1.git" &&
		git --git-dir="$1.git" -c core.bare=false \
			-c core.compression=0 --work-tree="$1" add -A &&
		git --git-dir="$1.git" write-tree
}
[ "$(tree mnt)" = "$(tree plain)" ] || fail "git add: another tree"

for way in never auto always; do
	check "cp --sparse=$way" cp --sparse="$way" mnt/f16.safetensors copy
	cmp plain/f16.safetensors copy || fail "cp --sparse=$way: it differs"
	rm -f copy
done
finish
