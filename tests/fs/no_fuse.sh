#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A machine without /dev/fuse, or a user without fusermount3: one sentence with
# the remedy, exit 3 (mount(8)'s 32), and files are compressed all the same.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "only root can hide /dev/fuse"
unshare -m true 2>/dev/null || skip "no mount namespace can be made here"
model m 300

# without COMMAND...: in a world with an empty /dev
without() {
	unshare -m sh -c '
		mount --make-rprivate / &&
		mount -t tmpfs none /dev &&
		mknod /dev/null c 1 3 &&
		chmod 666 /dev/null &&
		exec "$@"' sh "$@"
}

without "$bigsmall" mount store mnt >out 2>err
is "exit" 3 $?
grep -q -e '--device /dev/fuse' err || fail "no remedy: $(cat err)"
is "sentences" 1 "$(wc -l <err)"
without "$bin/mount.bigsmall" store mnt >out 2>err
is "exit of mount.bigsmall" 32 $?
without "$bigsmall" decompress store/m.bs -o back.safetensors >out 2>err ||
	fail "decompress: $(cat err)"
same back.safetensors orig/m.safetensors
without "$bigsmall" verify store/m.bs >out 2>err || fail "verify"

if [ "$(stat -c %a /dev/fuse)" = 666 ] && command -v setpriv >/dev/null; then
	chmod 755 "$work"
	PATH=/nowhere "$(command -v setpriv)" --reuid 65534 --clear-groups \
		"$bigsmall" mount store mnt >out 2>err
	is "exit without fusermount3" 3 $?
	grep -q 'apt-get install fuse3' err || fail "no remedy: $(cat err)"
fi
finish
