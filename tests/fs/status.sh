#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# status.sh - bigsmall status tells of each mount, and is not held up by one
# that hangs or whose daemon is gone

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

# status CODE ARGUMENT...: of the mounts of this test; it must not take long
status() {
	want=$1
	shift
	timeout 30 "$bigsmall" status "$@" >"$work/out" 2>"$work/err"
	is "status $*: exit" "$want" $?
}

prints() {
	grep -q -e "$1" "$work/out" || {
		fail "not printed: $1"
		sed 's/^/    /' "$work/out" "$work/err"
	}
}

# field EXPRESSION: of the JSON, in which m is the mount at mnt
field() {
	python3 -c '
import json, sys
m = [m for m in json.load(open("out")) if m["mountpoint"] == sys.argv[2]][0]
print(eval(sys.argv[1]))' "$1" "$work/mnt"
}

undo() {
	[ -z "$daemon" ] || kill -CONT "$daemon" 2>/dev/null
}

status 2 "$work/mnt"
grep -q 'not mounted by bigsmall' "$work/err" || fail "not said: not mounted"
if ! grep -q fuse.bigsmall /proc/self/mounts; then
	status 0
	prints '^Nothing is mounted'
	status 0 --json
	is "no mounts" '[]' "$(cat out)"
fi

model m 1500
model n 300
: >store/bad.bs
begin_mount
cat mnt/m.safetensors >/dev/null
exec 3<mnt/n.safetensors
status 0 "$work/mnt"
prints "^$work/mnt: 2 compressed files, .* shown from .* saved$"
prints "^  store *$work/store\$"
prints '^  readers *1 open file$'
prints '^  problems *bad.bs: '
exec 3<&-
status 0 --json mnt/
is answers True "$(field 'm["answers"]')"
is models 2 "$(field 'm["models"]')"
is pid "$daemon" "$(field 'm["pid"]')"
is open_files 0 "$(field 'm["open_files"]')"
is shown "$(cat orig/*.safetensors | wc -c)" "$(field 'm["shown_bytes"]')"
is stored "$(cat store/[mn].bs | wc -c)" "$(field 'm["stored_bytes"]')"
is problems_known True "$(field 'm["problems_known"]')"
is saved "$(($(cat orig/*.safetensors | wc -c) - \
	$(cat store/[mn].bs | wc -c)))" "$(field 'm["saved_bytes"]')"
is read True "$(field 'm["read_bytes"] >= 1500 * 1024')"
is problems 1 "$(field 'len(m["problems"])')"

# One that hangs: reported in a few seconds, whoever waits for the output.
kill -STOP "$daemon"
begin=$(date +%s)
out=$(timeout 30 "$bigsmall" status "$work/mnt")
is "hanging: exit" 3 $?
[ $(($(date +%s) - begin)) -lt 10 ] || fail "a hanging mount held it up"
case $out in
*'not answering (ETIMEDOUT)'*"bigsmall umount -l $work/mnt") ;;
*) fail "of a hanging mount: $out" ;;
esac
kill -CONT "$daemon"
status 0 "$work/mnt"

# One whose daemon is gone.
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
daemon=
status 3 "$work/mnt"
prints 'not answering (ENOTCONN)'
status 3 --json "$work/mnt"
is answers False "$(field 'm["answers"]')"
is error ENOTCONN "$(field 'm["error"]')"
"$bigsmall" umount -l "$work/mnt" || fail "umount -l: exit $?"
finish
