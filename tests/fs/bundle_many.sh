#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# 100,000 names in a bundle, in one directory and in deep trees, are listed and
# looked up in no more than the time that each takes, with any cache; and take
# no memory but the container's directory, which the cache's budget pays for.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

n=100000
is_sanitized && n=20000
python3 "$make_bundle" flat $n store/flat.bs || exit 1
python3 "$make_bundle" deep $n store/deep.bs || exit 1

# in_time SECONDS COMMAND...: a watchdog: what is linear takes a tenth of it, and
# what is quadratic hours
in_time() {
	limit=$1
	shift
	timeout "$limit" "$@" || fail "$*: exit $? within $limit seconds"
}

in_time_all() {
	is "files in one directory" $n "$(in_time 10 ls -U mnt/flat | wc -l)"
	is "all of them" "$n" \
		"$(in_time 60 find mnt/flat -type f -size -2 | wc -l)"
	is "names in deep trees" $((n + 1)) \
		"$(in_time 60 find mnt/deep | wc -l)"
	# a last name is found as soon as a first
	in_time 10 python3 - $n <<'EOT' || fail "look-ups"
import os, random, sys
r = random.Random(1)
n = int(sys.argv[1])
for _ in range(3000):
    i = r.randrange(n)
    assert os.stat("mnt/flat/file-%06d.json" % i).st_size == 14
    assert not os.path.exists("mnt/flat/file-%06d" % i)
EOT
	is "a file's bytes" '{"hidden": 1}' \
		"$(cat "mnt/flat/file-0$((n - 1)).json")"
}

begin_mount -o threads=2,cache=256M
in_time_all
is "containers open" 2 "$(stat_of open_containers)"
directories=$(stat_of open_container_bytes)
[ "$directories" -gt $((n * 128)) ] || fail "$directories bytes of directories"
rss=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$daemon/status")
# not the cache, which is nearly empty: what is there besides
bound=$((directories / 1024 + ((2 * 2 + 16) << 10)))
[ "$rss" -le "$bound" ] || is_sanitized ||
	fail "the daemon took $rss KiB, not $bound"

# a place in the list that nobody was given: no name of another directory, and
# an end
python3 - <<'EOT' || fail "seeking in a directory"
import ctypes, os, random, struct
libc = ctypes.CDLL(None, use_errno=True)
r = random.Random(2)
names = set(os.listdir("mnt/deep/directory-1"))
fd = os.open("mnt/deep/directory-1", os.O_RDONLY | os.O_DIRECTORY)
buf = ctypes.create_string_buffer(32768)
seen = 0
for i in range(300):
    off = r.choice((r.randrange(200000), r.getrandbits(63), 2, 3))
    os.lseek(fd, off, os.SEEK_SET)
    got = libc.syscall(217 if os.uname().machine == "x86_64" else 61,
                       fd, buf, 32768)
    assert got >= 0, (off, ctypes.get_errno())
    at = 0
    while at < got:
        length, = struct.unpack_from("<H", buf, at + 16)
        name = buf.raw[at + 19:at + length].split(b"\0")[0].decode()
        assert name in names or name in (".", ".."), (off, name)
        at += length
        seen += 1
assert seen > 100, seen
EOT
end_mount

# an open directory and the cache share what there is
model m 40000
begin_mount -o threads=2,cache=32M
exec 3<"mnt/flat/file-0$((n - 1)).json"
sha256sum <mnt/m.safetensors >have
sha256sum <orig/m.safetensors | cmp - have || fail "a model beside it"
directories=$(stat_of open_container_bytes)
[ "$directories" -gt $((n * 128)) ] || fail "$directories bytes of directories"
[ "$(stat_of cache_evictions)" -gt 0 ] || fail "nothing made room"
peak=$(stat_of cache_peak_bytes)
[ "$peak" -le $(((32 << 20) - directories)) ] ||
	fail "the cache grew to $peak bytes beside $directories of directories"
exec 3<&-
end_mount

# a cache smaller than one directory: it stays while it is walked through
begin_mount -o threads=2,cache=6M
in_time_all
is "containers open" 1 "$(stat_of open_containers)"
[ "$(stat_of decodes)" -le 2 ] || fail "$(stat_of decodes) decodes of a chunk"
end_mount
finish
