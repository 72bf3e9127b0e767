#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# mount(8) and umount(8) themselves, with the helper where they look for it: by
# hand, from a line of fstab(5), and refused with the helper's exit code.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "only root can put a helper in place"
model m 300
mkdir overlay

# In a world of its own, /sbin has one file more.
# shellcheck disable=SC2016 # for the inner shell
unshare -m sh -c '
	mount --make-rprivate / && mount -t tmpfs none overlay &&
	mkdir overlay/upper overlay/work &&
	mount -t overlay -o lowerdir=/usr/sbin \
		-o upperdir="$1/overlay/upper" -o workdir="$1/overlay/work" \
		overlay /usr/sbin || exit 77
	[ /sbin -ef /usr/sbin ] || exit 77
	ln -s "$2/mount.bigsmall" /sbin/mount.bigsmall || exit 77
	n=0
	fail() {
		echo "FAILED: $*"
		n=1
	}
	check() {
		cmp mnt/m.safetensors orig/m.safetensors || fail "$*"
		umount mnt || fail "$*: umount: exit $?"
	}
	mount -t bigsmall "$1/store" "$1/mnt" >out || fail "mount: exit $?"
	check "by hand"
	mount -t bigsmall -o rw,noatime,nofail,cache=32M,x-systemd.automount \
		"$1/store" "$1/mnt" >out || fail "mount with options: exit $?"
	check "with options"

	echo "$1/store $1/mnt bigsmall ro,noexec,nofail,threads=2 0 0" >fstab
	findmnt --verify --tab-file fstab >out 2>&1 ||
		grep -q "^ *0 errors\|, 0 errors" out ||
		fail "findmnt --verify: $(cat out)"
	mount --fstab fstab "$1/mnt" >out || fail "mount by fstab: exit $?"
	grep " $1/mnt " /proc/self/mounts | grep -q noexec ||
		fail "noexec of fstab is lost"
	check "by fstab"

	mount -t bigsmall -o nonsense "$1/store" "$1/mnt" 2>err &&
		fail "a nonsense option was taken"
	grep -q "no mount option nonsense" err || fail "it said: $(cat err)"
	mount -f -t bigsmall "$1/store" "$1/mnt" || fail "fake: exit $?"
	grep -q " $1/mnt " /proc/self/mounts && fail "fake: it mounted"
	exit $n
' sh "$work" "$bin"
code=$?
[ $code -ne 77 ] || skip "/sbin cannot be overlaid here"
is "exit" 0 $code
finish
