#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Arguments and mount options: what is accepted, what it does, what is refused,
# and mount(8)'s way of calling a helper.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m 300
helper=$bin/mount.bigsmall

# code WANT COMMAND...
code() {
	want=$1
	shift
	"$@" >out 2>err </dev/null
	have=$?
	[ "$have" -eq "$want" ] || {
		fail "$*: exit $have, not $want"
		sed 's/^/    /' err
	}
}

options_of() {
	sed -n "s|^[^ ]* $work/mnt fuse.bigsmall \([^ ]*\) .*|\1|p" \
		/proc/self/mounts
}

# what mount(8) sends: operands first, rw, generic options
begin_mount "$work/store" "$work/mnt" -n -v -t bigsmall.sub \
	-o rw,noexec,nosuid,nodev,nofail,user,_netdev,default_permissions,x-y
same mnt/m.safetensors orig/m.safetensors
case ,$(options_of), in
*,ro,*) ;;
*) fail "not read-only: $(options_of)" ;;
esac
case ,$(options_of), in
*,noexec,*) ;;
*) fail "noexec is lost: $(options_of)" ;;
esac
end_mount

begin_mount -o 'ro,threads=3,cache=32m,max_read=128k,fsname=a\,b\\c'
is "fsname" 'a,b\134c' \
	"$(sed -n "s|^\([^ ]*\) $work/mnt .*|\1|p" /proc/self/mounts)"
case ,$(options_of), in
*,max_read=131072,*) ;;
*) fail "max_read: $(options_of)" ;;
esac
is "threads" 3 "$(stat_of threads)"
is "cache" $((32 << 20)) "$(stat_of cache_budget_bytes)"
same mnt/m.safetensors orig/m.safetensors
end_mount

if [ "$(id -u)" -eq 0 ]; then
	begin_mount
	case ,$(options_of), in
	*,allow_other,*) ;;
	*) fail "root's mount is for root alone: $(options_of)" ;;
	esac
	end_mount
	begin_mount -o noallow_other
	case ,$(options_of), in
	*,allow_other,*) fail "noallow_other: $(options_of)" ;;
	esac
	end_mount
fi

# fake: everything is checked, nothing is mounted
code 0 "$helper" store mnt -f
is_mounted "$work/mnt" && fail "-f mounted"

# refused
for option in nonsense allow_root remount prefetch=on prefetch=0 readahead=1k direct= \
	direct=yes cache= cache=x cache=0 cache=12q threads=0 \
	threads=x max_read=1 cache=99999999999999999999g; do
	code 1 "$helper" store mnt -o "$option"
	code 2 "$bigsmall" mount store mnt -o "$option"
	is "sentences for $option" 1 "$(wc -l <err)"
done
code 0 "$helper" store mnt -s -o nonsense -f
code 1 "$helper" store mnt -t ext4
code 1 "$helper"
code 1 "$helper" a b c
code 1 "$helper" --nonsense store
code 1 "$helper" "$work/absent"
code 1 "$helper" store "$work/absent"
code 1 "$helper" orig/m.safetensors mnt
mkdir store/inside
code 1 "$helper" store store/inside
grep -q 'lies inside' err || fail "not said: lies inside"
code 2 "$bigsmall" mount
code 2 "$bigsmall" mount a b c
code 2 "$bigsmall" umount
code 2 "$bigsmall" umount store
code 0 "$helper" --help
code 0 "$helper" --version
code 0 "$bigsmall" mount --help
code 0 "$bigsmall" umount --help
finish
