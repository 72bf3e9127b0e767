#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# -o timeout=N: a mount that nobody uses ends by itself, one that has a file
# open or is somebody's current directory does not.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m 300
is_over() {
	! is_mounted "$work/mnt"
}

begin_mount -o timeout=1
exec 3<mnt/m.safetensors
(cd mnt && exec tail -f /dev/null) &
holder=$!
# Longer than the time by far: it must still be there.
timeout 4 tail -f /dev/null
is_mounted "$work/mnt" || fail "it ended with a file open"
exec 3<&-
timeout 4 tail -f /dev/null
is_mounted "$work/mnt" || fail "it ended below a current directory"
same mnt/m.safetensors orig/m.safetensors
kill "$holder"
wait "$holder" 2>/dev/null
wait_for is_over || fail "it does not end"
end_mount
finish
