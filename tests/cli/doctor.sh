#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# doctor.sh - bigsmall doctor finds what is missing, says what helps, and exits
# 3 only if mounting cannot work

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

# doctor CODE COMMAND...: run under COMMAND
doctor() {
	want=$1
	shift
	"$@" "$bigsmall" doctor >"$log/out" 2>"$log/err" </dev/null
	is "doctor under $*: exit" "$want" $?
}

# As it is: the two forms agree, and with what they say.
"$bigsmall" doctor >"$log/out" 2>"$log/err"
usual=$?
case $usual in
0) prints '^Mounting can work here\.$' ;;
3) prints '^problem ' ;;
*) fail "doctor: exit $usual" ;;
esac
prints '^ok *CPU *decoding uses the [a-z]'
grep -v '^Mounting' "$log/out" | grep -v '\.$' && fail "these are no sentences"
n=$(grep -c '^problem ' "$log/out")
run "$usual" doctor --json
is can_mount "$([ "$usual" -eq 0 ] && echo True || echo False)" \
	"$(field 'j["can_mount"]')"
is problems "$n" "$(field \
	'sum(f["level"] == "problem" for f in j["findings"])')"
is "remedies of problems" True "$(field \
	'all(f["remedy"] for f in j["findings"] if f["level"] != "ok")')"
run 2 doctor x

[ "$(id -u)" -eq 0 ] || skip "only root can take things away from itself"
command -v setpriv >/dev/null || skip "setpriv is not installed (util-linux)"

# setpriv's user may not reach the build folder.
cp "$bigsmall" "$log/bigsmall"
chmod 755 "$log" "$log/bigsmall"
bigsmall=$log/bigsmall
user="setpriv --reuid 65534 --regid 65534 --clear-groups"

mkdir empty
# shellcheck disable=SC2086 # a list of words
doctor 3 $user env PATH="$work/empty"
prints '^problem *fusermount3 *.*apt-get install fuse3'
doctor 3 setpriv --bounding-set=-sys_admin
prints '^problem *mount .*CAP_SYS_ADMIN.*--cap-add SYS_ADMIN'
doctor "$usual" sh -c 'ulimit -n 64; exec "$@"' sh
prints '^note *open files *64 '

# What io_uring_setup(2) is refused by is a filter of system calls.
cat >filter.py <<'END'
import ctypes, os, platform, struct, sys
# ld nr; jeq io_uring_setup: errno EPERM; else allow
code = struct.pack("HBBIHBBIHBBIHBBI", 0x20, 0, 0, 0, 0x15, 0, 1, 425,
                   6, 0, 0, 0x50001, 6, 0, 0, 0x7fff0000)
buf = ctypes.create_string_buffer(code)
prog = struct.pack("HxxxxxxP", 4, ctypes.addressof(buf))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, prog, 0, 0):
    sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
END
doctor "$usual" python3 filter.py
prints '^note *io_uring *it is not permitted'

# In a mount namespace of its own, what others see is not touched.
unshare -m true 2>/dev/null || skip "no mount namespace can be made here"
cat >conf <<'END'
# user_allow_other
user_allow_other
END
if [ -f /etc/fuse.conf ] && command -v fusermount3 >/dev/null; then
	# shellcheck disable=SC2016,SC2086 # for the inner shell; a list
	doctor "$usual" unshare -m sh -c '
		mount --bind conf /etc/fuse.conf && exec "$@"' sh $user
	prints '^ok *allow_other *.*lets users'
	sed -i 2d conf
	# shellcheck disable=SC2016,SC2086 # as above
	doctor "$usual" unshare -m sh -c '
		mount --bind conf /etc/fuse.conf && exec "$@"' sh $user
	prints '^note *allow_other .*write user_allow_other into'
fi
# shellcheck disable=SC2016 # for the inner shell
doctor 3 unshare -m sh -c 'mount -t tmpfs none /dev && exec "$@"' sh
prints '^problem */dev/fuse'
prints '^Mounting does not work here: [1-9]'

finish
