#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Who sees a mount: root's is for all, as the modes of the files say; a user's
# is for that user alone, root left out, unless allow_other is given and
# fuse.conf allows it.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "only root can become other users"
for program in setpriv fusermount3; do
	command -v $program >/dev/null || skip "$program is not installed"
done
in_namespace
fuse_for_all
undo() {
	umount -l /etc/fuse.conf /etc/fuse.conf /dev/fuse "$work/dev" \
		2>/dev/null
}

model m 300
model secret 300 2
chmod 600 store/secret.bs
mkdir store/closed conf
cp store/m.bs store/closed/
chmod 700 store/closed
chmod 711 "$work"

# sees UID, sees_not UID: the mount at mnt
sees() {
	as "$1" cmp mnt/m.safetensors orig/m.safetensors || fail "$2: cmp"
}
sees_not() {
	as "$1" stat mnt/m.safetensors >/dev/null 2>&1 && fail "$2: seen"
	as "$1" ls mnt >/dev/null 2>&1 && fail "$2: listed"
}

# keeps_modes UID: what is its owner's alone stays that
keeps_modes() {
	as "$1" ls mnt >/dev/null || fail "$2: no listing"
	as "$1" cat mnt/secret.safetensors >/dev/null 2>&1 &&
		fail "$2: reads a file of mode 600"
	as "$1" ls mnt/closed >/dev/null 2>&1 &&
		fail "$2: lists a directory of mode 700"
}

begin_mount
sees 65534 "root's mount"
keeps_modes 65534 "root's mount"
same mnt/secret.safetensors orig/secret.safetensors
end_mount
begin_mount -o noallow_other
sees_not 65534 "noallow_other"
end_mount
begin_mount -o allow_other,default_permissions
keeps_modes 65534 "allow_other"
end_mount

# A user's.
chown -R 65534:65534 store mnt
begin_as_user() {
	as 65534 "$bin/mount.bigsmall" store mnt "$@" >out 2>err ||
		fail "mount.bigsmall $*: exit $?: $(cat err)"
}
begin_as_user -o default_permissions
sees 65534 "default_permissions"
grep " $work/mnt " /proc/self/mounts | grep -q default_permissions ||
	fail "default_permissions is lost"
as 65534 "$bigsmall" umount mnt || fail "umount: exit $?"
begin_as_user
sees 65534 "a user's mount"
sees_not 65533 "a user's mount, another"
sees_not 0 "a user's mount, root"
as 65533 "$bigsmall" umount mnt 2>/dev/null && fail "another ended the mount"
as 65534 "$bigsmall" umount mnt || fail "umount: exit $?"

# allow LINE: what fuse.conf says
allow() {
	echo "$1" >conf/fuse.conf
	mount --bind conf/fuse.conf /etc/fuse.conf || skip "there is no fuse.conf"
}
allow '# user_allow_other'
as 65534 "$bin/mount.bigsmall" store mnt -o allow_other >out 2>err
is "exit without user_allow_other" 1 $?
grep -q 'user_allow_other' err || fail "no remedy: $(cat err)"
is "sentences" 1 "$(wc -l <err)"
as 65534 "$bigsmall" mount store mnt -o allow_other >out 2>err
is "exit of bigsmall mount" 3 $?
allow ' user_allow_other '
begin_as_user -o allow_other
sees 65533 "a user's allow_other"
keeps_modes 65533 "a user's allow_other"
as 65534 "$bigsmall" umount mnt || fail "umount: exit $?"

# a place that is not the user's to mount on
chown 0 mnt
as 65534 "$bin/mount.bigsmall" store mnt >out 2>err
is "exit where the user may not write" 1 $?
grep -q 'may write to it' err || fail "it said: $(cat err)"
is "sentences" 1 "$(wc -l <err)"
chown 65534 mnt

# killed, aside and in place: named as such, cleaned up, mounted again
for dir in mnt store; do
	: >out # what the mount before has said
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$bin/mount.bigsmall" store $dir --foreground >out 2>err &
	pid=$!
	is_said() {
		grep -q read-only out
	}
	wait_for is_said || fail "$dir: not mounted: $(cat err)"
	kill -9 $pid
	wait $pid 2>/dev/null
	as 65534 ls $dir 2>&1 | grep -q 'not connected' ||
		fail "$dir: ls of a dead mount"
	as 65534 "$bigsmall" mount store $dir >out 2>err &&
		fail "$dir: mounted over a dead one"
	grep -q 'already mounted' err || fail "$dir: it said $(cat err)"
	as 65534 "$bigsmall" umount $dir || fail "$dir: umount: exit $?"
	as 65534 "$bigsmall" mount store $dir >out 2>err ||
		fail "$dir: mount after the dead one: $(cat err)"
	as 65534 cmp $dir/m.safetensors orig/m.safetensors || fail "$dir: cmp"
	as 65534 "$bigsmall" umount $dir || fail "$dir: the last umount"
done
finish
