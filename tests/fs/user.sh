#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A user's mount, through fusermount3: it shows the files to that user alone,
# and ends by umount and by SIGTERM.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "only root can become another user"
for program in setpriv fusermount3 unshare; do
	command -v $program >/dev/null || skip "$program is not installed"
done
unshare -m true 2>/dev/null || skip "no mount namespace can be made here"

model m 300
chmod -R go+rX "$work"
chown -R 65534:65534 "$work"

# shellcheck disable=SC2016 # for the inner shell
# A world of its own, where /dev/fuse is for everybody as it should be.
unshare -m sh -c '
	mount --make-rprivate / &&
	mount -t tmpfs none /dev &&
	mknod /dev/null c 1 3 && mknod /dev/fuse c 10 229 &&
	chmod 666 /dev/null /dev/fuse || exit 77
	as_user() {
		setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
	}
	n=0
	fail() {
		echo "FAILED: $*"
		n=1
	}
	cd "$1" || exit 1
	as_user "$2/bigsmall" mount store mnt >out 2>err ||
		fail "mount: exit $?: $(cat err)"
	as_user cmp mnt/m.safetensors orig/m.safetensors || fail "cmp"
	ls mnt >/dev/null 2>&1 && fail "root sees the mount of a user"
	as_user "$2/bigsmall" umount mnt || fail "umount: exit $?"
	grep -q " $1/mnt " /proc/self/mounts && fail "still mounted"

	: >out # what the mount before has said
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$2/mount.bigsmall" store mnt --foreground >out 2>err &
	i=0
	until grep -q read-only out || [ $i -gt 600 ]; do
		timeout 0.1 tail -f /dev/null
		i=$((i + 1))
	done
	as_user cmp mnt/m.safetensors orig/m.safetensors || fail "cmp again"
	# setpriv has become the daemon
	kill -s TERM $!
	wait $! || fail "the daemon: exit $?: $(cat err)"
	grep -q " $1/mnt " /proc/self/mounts && fail "SIGTERM: still mounted"
	exit $n
' sh "$work" "$bin"
code=$?
[ $code -ne 77 ] || skip "no device can be made here"
is "exit" 0 $code
finish
