#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# completion.sh - bigsmall umount is completed with the mounts of ours, and a
# mount that hangs does not keep the shell waiting

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

complete=$(dirname "$make_model")/complete.py
model m 300
at="$work/a mount"
mkdir "$at"
undo() {
	[ -z "$daemon" ] || kill -CONT "$daemon"
	"$bigsmall" umount -l "$at" 2>/dev/null
}

begin_mount "$work/store" "$at"
kill -STOP "$daemon"
missing=
for shell in bash zsh fish; do
	command -v "$shell" >/dev/null || {
		missing="$missing $shell"
		continue
	}
	"$bigsmall" completion "$shell" >"$work/script"
	found=$(echo "bigsmall umount $work/a" |
		timeout 60 python3 "$complete" "$shell" "$work/script")
	is "$shell" "$at" "$found"
done
kill -CONT "$daemon"
"$bigsmall" umount "$at" || fail "umount: exit $?"
end_mount
[ -z "$missing" ] || [ "$n_failed" -ne 0 ] ||
	skip "these shells are not installed:$missing"
finish
