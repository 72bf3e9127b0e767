#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The exit codes that mount(8) wants of its helper, each from the failure that
# it stands for, and bigsmall mount's own.  Whatever the failure, nothing stays
# mounted and no daemon stays behind.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

in_namespace
model m 300
helper=$bin/mount.bigsmall
for program in setpriv prlimit; do
	command -v $program >/dev/null || skip "$program is not installed"
done

# ends HELPER_CODE BIGSMALL_CODE WHAT [WRAPPER...]: how the two of them end
ends() {
	want=$1 want_bigsmall=$2 what=$3
	shift 3
	"$@" "$helper" store mnt >out 2>err </dev/null
	is "$what: mount.bigsmall" "$want" $?
	[ -s err ] || fail "$what: no sentence"
	"$@" "$bigsmall" mount store mnt >out 2>err </dev/null
	is "$what: bigsmall mount" "$want_bigsmall" $?
	is_mounted "$work/mnt" && fail "$what: mounted"
}
without_store() {
	mv store elsewhere
	"$@"
	code=$?
	mv elsewhere store
	return "$code"
}
ends 1 2 "no store" without_store
ends 2 3 "no descriptors" prlimit --nofile=5
begin_mount
"$helper" store mnt >out 2>err
is "mounted: mount.bigsmall" 32 $?
"$bigsmall" mount store mnt >out 2>err
is "mounted: bigsmall mount" 4 $?
end_mount

[ "$(id -u)" -eq 0 ] || finish
# In a user namespace only root is there.
as 65534 true 2>/dev/null || finish
fuse_for_all
undo() {
	umount -l /usr/bin/fusermount3 /dev/fuse "$work/dev" 2>/dev/null
}
chmod 711 "$work"
chown 65534 mnt
is_there() {
	[ -e "$1" ]
}

chmod 700 store
ends 1 3 "a store of another" as 65534
chmod 755 store

# A fusermount3 that keeps them waiting.
fusermount3=$(command -v fusermount3) || skip "fusermount3 is not installed"
cat >slow <<'END'
#!/bin/sh
echo $PPID >"$SLOW"
while [ ! -e "$SLOW.end" ]; do
	timeout 0.05 tail -f /dev/null
done
exit 1
END
chmod 755 slow
mkdir -m 777 marks
mount --bind slow "$fusermount3" || skip "fusermount3 cannot be replaced"

# begin_slowly PROGRAM...: sets $command, and $server when it mounts
begin_slowly() {
	SLOW=$work/marks/$((n_slow = ${n_slow:-0} + 1))
	export SLOW
	# A shell ignores SIGINT for its background jobs.
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		env --default-signal=INT "$@" >out 2>err &
	command=$!
	wait_for test -s "$SLOW" || fail "$*: it does not mount"
	read -r server <"$SLOW"
}
is_over() {
	! kill -0 "$server" 2>/dev/null
}
for signal in INT TERM HUP; do
	begin_slowly "$helper" store mnt
	kill -s $signal "$command"
	wait "$command"
	is "SIG$signal: mount.bigsmall" 8 $?
	grep -q interrupted err || fail "SIG$signal: it said $(cat err)"
	: >"$SLOW.end"
	wait_for is_over || fail "SIG$signal: the daemon stays"
done
begin_slowly "$bigsmall" mount store mnt
kill -s INT "$command"
wait "$command"
is "SIGINT: bigsmall mount" 130 $?
: >"$SLOW.end"
wait_for is_over || fail "the daemon stays"

# the daemon ends as it never should
for code in 4 3; do
	if [ $code = 4 ]; then
		begin_slowly "$helper" store mnt
	else
		begin_slowly "$bigsmall" mount store mnt
	fi
	kill -9 "$server"
	: >"$SLOW.end"
	wait "$command"
	is "a killed daemon" $code $?
	grep -q 'ended before' err || fail "a killed daemon: $(cat err)"
done
is_mounted "$work/mnt" && fail "something is mounted"

# and one that gives up
begin_slowly "$helper" store mnt
: >"$SLOW.end"
wait "$command"
is "fusermount3 fails" 32 $?
finish
