#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A store that changes all the time while many read, map, stat and list it: no
# wrong byte, no file lost, nobody hangs, and the daemon has let go of
# everything in the end.  $BIGSMALL_ROUNDS makes it longer.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

stress=$(cd "$OLDPWD" && cd "$(dirname "$0")" && pwd)/stress.py
set --
i=0
for kib in 40 300 300 900 1500 2600; do
	i=$((i + 1))
	model v$i $kib $i
	mv store/v$i.bs .
	set -- "$@" "v$i.bs:orig/v$i.safetensors"
done
cp v5.bs store/still.bs
echo plain >store/plain

# A cache that is too small, and more threads than processors.
begin_mount -o threads=4,cache=12M
python3 "$stress" store mnt $((15 * ${BIGSMALL_ROUNDS:-1})) "$@" ||
	fail "see above"
is "files open" 0 "$(stat_of open_files)"
holds_nothing() {
	! find "/proc/$daemon/fd" -lname '*(deleted)' 2>/dev/null | grep -q .
}
wait_for holds_nothing || fail "removed containers are kept open"
[ "$(stat_of stale_opens)" -gt 0 ] || fail "nothing was replaced under a reader"
end_mount "$work/mnt" noisy
finish
