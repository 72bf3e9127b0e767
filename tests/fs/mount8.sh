#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# mount(8) and umount(8) themselves, with the helper where they look for it: by
# hand, by lines of fstab(5), for root and for a user, and refused with the
# helper's exit code.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "only root can put a helper in place"
in_namespace
model m 300
mkdir upper later
undo() {
	umount -l /etc/fstab /dev/fuse "$work/dev" 2>/dev/null
	umount -l /usr/sbin "$work/upper"
}
[ "$(readlink -f /sbin)" = /usr/sbin ] || skip "/sbin is no link to /usr/sbin"
if ! { mount -t tmpfs none upper && mkdir upper/upper upper/work &&
	mount -t overlay -o lowerdir=/usr/sbin -o upperdir=upper/upper \
		-o workdir=upper/work overlay /usr/sbin; }; then
	skip "/sbin cannot be overlaid here"
fi
# As it is installed.
ln -s "$bin/mount.bigsmall" /sbin/mount.bigsmall
ln -s mount.bigsmall /sbin/mount.fuse.bigsmall

options_of() {
	sed -n "s|^[^ ]* $1 fuse.bigsmall \([^ ]*\) .*|\1|p" /proc/self/mounts
}
has_option() {
	case ,$(options_of "$work/mnt"), in
	*,$2,*) ;;
	*) fail "$1: no $2 but $(options_of "$work/mnt")" ;;
	esac
}
# check WHAT: it is mounted at mnt, and ended by umount(8)
check() {
	same mnt/m.safetensors orig/m.safetensors
	has_option "$1" ro
	umount "$work/mnt" || fail "$1: umount: exit $?"
	is_mounted "$work/mnt" && fail "$1: umount did nothing"
}
# mounts ARGUMENT...: mount(8) of store at mnt
mounts() {
	mount "$@" "$work/store" "$work/mnt" >out 2>err ||
		fail "mount $*: exit $?: $(cat err)"
	grep -q 'read-only' out || fail "mount $*: it said $(cat out)"
}

for flags in '' -r -w -n -v -s; do
	# shellcheck disable=SC2086 # none, or one
	mounts $flags -t bigsmall
	check "mount $flags"
done
for type in bigsmall.sub fuse.bigsmall; do
	mounts -t $type
	check "-t $type"
done
mounts -t bigsmall -o rw,noatime,nofail,_netdev,cache=32M,comment=x
check "options"
mounts -t bigsmall -o x-systemd.automount,X-mount.mkdir,users,noexec,nosuid
has_option "noexec" noexec
check "more options"
mounts -s -t bigsmall -o nonsense
check "sloppy"

# refused, by the helper's exit code
mount -t bigsmall -o nonsense "$work/store" "$work/mnt" 2>err
is "exit: a nonsense option" 1 $?
grep -q "no mount option nonsense" err || fail "it said: $(cat err)"
mount -t bigsmall "$work/absent" "$work/mnt" 2>err
is "exit: no store" 1 $?
mount -f -t bigsmall "$work/store" "$work/mnt" || fail "fake: exit $?"
is_mounted "$work/mnt" && fail "fake: it mounted"
mounts -t bigsmall
mount -t bigsmall "$work/store" "$work/mnt" >out 2>err
is "exit: mounted twice" 32 $?
grep -q 'already mounted' err || fail "twice: it said $(cat err)"
mount -o remount,rw "$work/mnt" >out 2>err
is "exit: remount" 1 $?
grep -q 'unmount it, and mount it again' err || fail "remount: $(cat err)"
same mnt/m.safetensors orig/m.safetensors

# busy, and lazily
exec 3<mnt/m.safetensors
umount "$work/mnt" 2>err && fail "umount: a busy mount was ended"
umount -l "$work/mnt" || fail "umount -l: exit $?"
is_mounted "$work/mnt" && fail "umount -l did nothing"
cmp - orig/m.safetensors <&3 || fail "the reader lost its file"
exec 3<&-

# fstab(5)
cat >fstab <<END
$work/store $work/mnt bigsmall rw,noexec,nofail,threads=2,user 0 0
$work/store $work/later bigsmall noauto,x-systemd.automount,x-systemd.idle-timeout=1min,timeout=60,_netdev 0 0
$work/store $work/store bigsmall noauto,ro,comment=in-place 0 0
END
findmnt --verify --tab-file fstab >out 2>&1 ||
	fail "findmnt --verify: $(cat out)"
grep -q '0 parse errors, 0 errors' out || fail "findmnt --verify: $(cat out)"
mount -T fstab -a >out 2>err || fail "mount -a: exit $?: $(cat err)"
has_option "mount -a" noexec
is "threads of fstab" 2 "$(stat_of threads)"
is_mounted "$work/later" && fail "mount -a: a line with noauto is mounted"
mount -T fstab -a -v >out 2>err || fail "mount -a again: exit $?: $(cat err)"
grep -q "$work/mnt *: already mounted" out || fail "mount -a: $(cat out)"
is "mounts after mount -a twice" 1 "$(grep -c " $work/mnt " /proc/self/mounts)"
check "mount -a"
{
	cat fstab
	echo "$work/absent $work/later bigsmall defaults 0 0"
} >fstab.bad
mount -T fstab.bad -a >out 2>err
is "exit: mount -a, of which one fails" 64 $?
check "mount -a, of which one fails"
mount -T fstab "$work/store" >out || fail "in place by fstab: exit $?"
same store/m.safetensors orig/m.safetensors
umount "$work/store" || fail "umount in place: exit $?"

# systemd's reading of the same lines
generator=/usr/lib/systemd/system-generators/systemd-fstab-generator
if [ -x $generator ] && command -v systemd-analyze >/dev/null; then
	mkdir units
	SYSTEMD_FSTAB=$work/fstab $generator "$work/units" "$work/units" \
		"$work/units" >out 2>&1 || fail "the generator: $(cat out)"
	name=$(systemd-escape --path "$work/later")
	for unit in "$name.automount" "$name.mount"; do
		[ -f "units/$unit" ] || fail "there is no $unit"
		systemd-analyze --man=no verify "$work/units/$unit" >out 2>&1 ||
			fail "systemd-analyze: $(cat out)"
		! grep -F "$name" out || fail "systemd-analyze speaks of it"
	done
	grep -qx 'Type=bigsmall' "units/$name.mount" || fail "another type"
	# What its mount unit runs.
	mount "$work/store" "$work/later" -t bigsmall \
		-o "$(sed -n 's/^Options=//p' "units/$name.mount")" >out ||
		fail "mount as the unit does: exit $?"
	same later/m.safetensors orig/m.safetensors
	umount "$work/later" || fail "umount as the unit does: exit $?"
fi

# a user, whom fstab lets mount: without a PATH, as mount(8) wants it
if command -v setpriv >/dev/null && [ -u "$(command -v mount)" ]; then
	fuse_for_all
	mount --bind fstab /etc/fstab || skip "there is no /etc/fstab"
	chmod 711 "$work"
	chown 65534 mnt
	as 65534 mount "$work/mnt" >out 2>err ||
		fail "a user's mount: exit $?: $(cat err)"
	as 65534 cmp mnt/m.safetensors orig/m.safetensors || fail "a user: cmp"
	ls mnt >/dev/null 2>&1 && fail "root sees the mount of a user"
	as 65534 umount "$work/mnt" 2>err ||
		fail "a user's umount: exit $?: $(cat err)"
	is_mounted "$work/mnt" && fail "a user's umount did nothing"
	as 65534 mount "$work/store" >out 2>err && fail "a user mounts root's"
fi
finish
