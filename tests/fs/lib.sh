# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# lib.sh - what the tests of the mount share; sourced, not run
#
# Gives $work (a folder of its own, removed at the end, with store/, mnt/ and
# orig/), $bin, and the words below.  The daemon runs in the foreground of a
# background job, so that its exit code and its log are seen: `end_mount`
# fails where it did not exit with 0 or said something.  A test ends with
# `finish`.

set -u

bin=${BIGSMALL_BIN:-build/test/bin}
case $bin in
/*) ;;
*) bin=$PWD/$bin ;;
esac
bigsmall=$bin/bigsmall
make_model=$PWD/tests/cli/make_model.py
make_bundle=$PWD/tests/fs/make_bundle.py
PYTHONPATH=$PWD/tests/fs # bad_pages.py
unset NO_COLOR BIGSMALL_CPU
LC_ALL=C.UTF-8
PYTHONDONTWRITEBYTECODE=1
export LC_ALL PYTHONPATH PYTHONDONTWRITEBYTECODE

n_failed=0
daemon=

fail() {
	echo "FAILED: $*"
	n_failed=$((n_failed + 1))
}

skip() {
	echo "skipped: $*"
	exit 77
}

# shellcheck disable=SC2119 # its own argument, not the script's
finish() {
	[ -z "$daemon" ] || end_mount
	[ "$n_failed" -eq 0 ] && exit 0
	echo "$n_failed checks failed"
	exit 1
}

[ -x "$bin/mount.bigsmall" ] || {
	echo "$bin/mount.bigsmall is not there; build first"
	exit 1
}
[ -c /dev/fuse ] || skip "there is no /dev/fuse"
(: <>/dev/fuse) 2>/dev/null || skip "/dev/fuse cannot be opened"
[ "$(id -u)" -eq 0 ] || command -v fusermount3 >/dev/null ||
	skip "fusermount3 is not installed"

work=$(mktemp -d "${TMPDIR:-/tmp}/bigsmall-fs.XXXXXX") || exit 1
mkdir "$work/store" "$work/mnt" "$work/orig"
# What is kept of this machine is the test's own.
XDG_STATE_HOME=$work/state
export XDG_STATE_HOME

# A test with more to undo redefines this.
undo() {
	:
}

clean_up() {
	cd /
	for dir in "$work/mnt" "$work/store"; do
		while is_mounted "$dir"; do
			"$bigsmall" umount -l "$dir" || break
		done
	done
	undo
	[ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 1

is_mounted() {
	grep -q " $1 fuse.bigsmall " /proc/self/mounts
}

# in_namespace: the test begins anew in a mount namespace of its own; a user's
# is below a user namespace, too
in_namespace() {
	[ -z "${BIGSMALL_IN_NAMESPACE:-}" ] || return 0
	flags=-m
	[ "$(id -u)" -eq 0 ] || flags=-Urm
	unshare $flags true 2>/dev/null ||
		skip "no mount namespace can be made here"
	cd "$OLDPWD" || exit 1
	BIGSMALL_IN_NAMESPACE=1 unshare $flags --propagation private sh "$0"
	exit
}

# fuse_for_all: /dev/fuse is for everybody, as it should be; in_namespace, root
fuse_for_all() {
	if ! { mkdir "$work/dev" &&
		mount -t tmpfs none "$work/dev" &&
		mknod "$work/dev/fuse" c 10 229 &&
		chmod 666 "$work/dev/fuse" &&
		mount --bind "$work/dev/fuse" /dev/fuse &&
		(: <>/dev/fuse) 2>/dev/null; }; then
		skip "no device can be made here"
	fi
}

# as UID COMMAND...
as() {
	uid=$1
	shift
	setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"
}

# wait_for COMMAND...: until it succeeds, but no longer than a minute
wait_for() {
	deadline=$(($(date +%s) + 60))
	until "$@"; do
		[ "$(date +%s)" -lt "$deadline" ] || return 1
		# Give the processor away; the time is not counted on.
		timeout 0.05 tail -f /dev/null
	done
	return 0
}

is_ready() {
	grep -q 'read-only' "$work/log.out" || ! kill -0 "$daemon" 2>/dev/null
}

# begin_mount [ARGUMENT]...: store at mnt, or what the arguments say instead
begin_mount() {
	case ${1:-} in
	'' | -*) set -- "$work/store" "$work/mnt" "$@" ;;
	esac
	: >"$work/log.out"
	"$bin/mount.bigsmall" "$@" --foreground >"$work/log.out" \
		2>"$work/log.err" </dev/null &
	daemon=$!
	wait_for is_ready || fail "the mount is not ready after a minute"
	grep -q 'read-only' "$work/log.out" && return 0
	wait "$daemon"
	code=$?
	daemon=
	fail "mount.bigsmall $*: exit $code"
	sed 's/^/    /' "$work/log.err"
	exit 1
}

# Another process of the machine may look at the mount at the same time, and
# makes it busy; what we leave open ourselves stays.
try_umount() {
	"$bigsmall" umount "$1" 2>"$work/umount.err"
}

# end_mount [DIR] [noisy]: unmount; the daemon must end well, and silent unless
# the test made it speak
# shellcheck disable=SC2120 # the tests pass arguments
end_mount() {
	dir=${1:-$work/mnt}
	if is_mounted "$dir"; then
		wait_for try_umount "$dir" || {
			fail "umount $dir: $(cat "$work/umount.err")"
			"$bigsmall" umount -l "$dir"
		}
	fi
	wait "$daemon"
	code=$?
	daemon=
	[ "$code" -eq 0 ] || {
		fail "the daemon's exit code is $code"
		sed 's/^/    /' "$work/log.err"
	}
	if [ "${2:-}" != noisy ] && [ -s "$work/log.err" ]; then
		fail "the daemon said:"
		sed 's/^/    /' "$work/log.err"
	fi
}

is() {
	[ "$2" = "$3" ] || fail "$1: $3, not $2"
}

same() {
	cmp "$1" "$2" || fail "$1 and $2 differ"
}

# refused ERROR COMMAND...: it fails, and says ERROR
refused() {
	want=$1
	shift
	if "$@" >"$work/out" 2>"$work/err" </dev/null; then
		fail "$*: it was not refused"
	elif ! grep -q "$want" "$work/err"; then
		fail "$*: not '$want' but: $(cat "$work/err")"
	fi
}

# stat_of KEY: a number of .bigsmall/stats
stat_of() {
	sed -n "s/^ *\"$1\": \([0-9]*\),*\$/\1/p" "$work/mnt/.bigsmall/stats"
}

# cached FILE: how many bytes of it the kernel holds
cached() {
	python3 - "$1" <<'END'
import ctypes, mmap, os, sys
size = os.path.getsize(sys.argv[1])
fd = os.open(sys.argv[1], os.O_RDONLY)
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(None, ctypes.c_size_t(size), mmap.PROT_READ, mmap.MAP_SHARED,
               fd, ctypes.c_long(0))
seen = (ctypes.c_ubyte * ((size + 4095) // 4096))()
assert libc.mincore(ctypes.c_void_p(at), ctypes.c_size_t(size), seen) == 0
print(sum(b & 1 for b in seen) * 4096)
END
}

# is_sanitized: the programs are built with a sanitizer: slow, and large
is_sanitized() {
	nm "$bin/mount.bigsmall" 2>/dev/null | grep -q '__[at]san_init'
}

# bundle DIR [NAME]: a container of all that is in orig/DIR: store/NAME.bs
bundle() {
	python3 "$make_bundle" "$work/orig/$1" "$work/store/${2:-$1}.bs" ||
		exit 1
}

# model NAME [KIB [SEED]]: orig/NAME.safetensors, and its container in store/
model() {
	python3 "$make_model" "$work/orig/$1.safetensors" "${2:-1500}" \
		"${3:-1}" || exit 1
	"$bigsmall" compress "$work/orig/$1.safetensors" -o "$work/store/" \
		>/dev/null 2>&1 || {
		echo "compress failed"
		exit 1
	}
}
