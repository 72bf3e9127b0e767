#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tools.sh - sha256sum, cmp, cp, cat, tail and dd, direct and not, read from the
# mount what they read from the original

. "$(dirname "$0")/lib.sh"

need_weights bf16
name=bf16.safetensors
original=$work/plain/$name
store plain store
mount_store "$work/store" "$work/mnt"
mounted=$work/mnt/$name

# sum COMMAND...: the SHA-256 of what it prints
sum() {
	"$@" 2>"$work/err" | sha256sum | cut -d' ' -f1
}

size=$(stat -c %s "$original")
want=$(sum cat "$original")
[ "$(stat -c %s "$mounted")" = "$size" ] || fail "it has another size"
[ "$(stat -c %Y "$mounted")" = "$(stat -c %Y "$original")" ] ||
	fail "it has another time"
[ "$(stat -c '%a %F' "$mounted")" = "$(stat -c '%a %F' "$original")" ] ||
	fail "it has another mode"

cmp "$original" "$mounted" || fail "cmp: they differ"
[ "$(sha256sum <"$mounted" | cut -d' ' -f1)" = "$want" ] ||
	fail "sha256sum differs"
if ! cp "$mounted" copy || ! cmp "$original" copy; then
	fail "cp: they differ"
fi
rm -f copy
[ "$(sum dd if="$mounted" iflag=direct bs=1M)" = "$want" ] || {
	fail "dd iflag=direct bs=1M differs"
	cat err
}
[ "$(sum dd if="$mounted" iflag=direct bs=4k)" = "$want" ] || {
	fail "dd iflag=direct bs=4k differs"
	cat err
}
# Neither the offsets nor the sizes of these are aligned to anything.
[ "$(sum dd if="$mounted" bs=1000003)" = "$want" ] ||
	fail "dd bs=1000003 differs"
[ "$(sum tail -c 1000001 "$mounted")" = \
	"$(sum tail -c 1000001 "$original")" ] || fail "tail -c differs"
for flag in fullblock direct; do
	for bs in 65536 1048576; do
		# The last block crosses the end of the file: a short read.
		skip=$((size / bs))
		[ "$(sum dd if="$mounted" iflag="$flag" bs="$bs" \
			skip="$skip")" = "$(sum tail -c "$((size % bs))" \
			"$original")" ] || fail "the tail by $flag $bs differs"
	done
done

# Nothing can be written, by root neither.
for try in "touch $mounted" "rm -f $mounted" "mkdir $work/mnt/d" \
	"truncate -s 1 $mounted" "cp $original $work/mnt/new"; do
	$try 2>"$work/err" && fail "$try: it worked"
	grep -q 'Read-only file system' "$work/err" || {
		fail "$try: not refused as a read-only file system"
		cat "$work/err"
	}
done
cmp "$original" "$mounted" || fail "it was changed"
finish
