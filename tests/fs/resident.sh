#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# -o resident: a file is decoded once, whole, and read by the kernel without the
# daemon; openers at the same time wait for one decoding; files give way to one
# another within the size, and are read as usual where there is no room, or
# where a chunk is bad; one that is open in one way stays so.  Files of a bundle
# likewise.  A new version of a container is another file.  Users are told that
# it takes root.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" -ne 0 ]; then
	model m
	begin_mount -o resident
	same orig/m.safetensors mnt/m.safetensors
	grep -q "files are not kept resident" log.err || fail "nothing is said"
	is "resident files" 0 "$(stat_of resident_files)"
	end_mount "$work/mnt" noisy
	finish
fi

model a 6000 1
model b 7000 2
model c 5000 3
model big 21000 4
begin_mount -o resident=16m,threads=1
cat mnt/a.safetensors >/dev/null
if grep -q "no FUSE passthrough" log.err; then
	end_mount "$work/mnt" noisy
	skip "this kernel has no FUSE passthrough"
fi

# in memory: the daemon is not asked for a byte, in whatever way it is read
cat >read.py <<'EOT'
import mmap, os, random, sys, threading

path, want_path = sys.argv[1:]
want = open(want_path, "rb").read()
fd = os.open(path, os.O_RDONLY)
assert os.fstat(fd).st_size == len(want)
rng = random.Random(5)
for _ in range(200):
    off = rng.randrange(len(want) + 10)
    n = rng.choice((1, 4096, 70000))
    assert os.pread(fd, n, off) == want[off:off + n], off
for flags in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
    with mmap.mmap(fd, 0, flags, mmap.PROT_READ) as m:
        assert m[:] == want
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
assert os.pread(fd, 1 << 20, 0) == want[:1 << 20]
EOT
reads() {
	python3 read.py "mnt/$1.safetensors" "orig/$1.safetensors" ||
		fail "reading $1"
}
reads a
is "bytes asked for" 0 "$(stat_of read_bytes)"
is "resident files" 1 "$(stat_of resident_files)"
once=$(stat_of decodes)
[ "$once" -gt 0 ] || fail "nothing was decoded"
reads a
same orig/a.safetensors mnt/a.safetensors
is "decodes of a second reader" "$once" "$(stat_of decodes)"

# many openers of another: one decoding
: >failed
openers=
for _ in 1 2 3 4 5 6 7 8; do
	{ python3 read.py mnt/b.safetensors orig/b.safetensors ||
		echo bad >>failed; } &
	openers="$openers $!"
done
# shellcheck disable=SC2086 # a list of words
wait $openers
is "openers that failed" 0 "$(wc -l <failed)"
is "decoded again" 0 "$(stat_of redecodes)"
is "bytes asked for" 0 "$(stat_of read_bytes)"
is "resident files" 2 "$(stat_of resident_files)"

# the one that was unused for longest gives way, but not while it is open
exec 4<mnt/a.safetensors
reads c
is "resident files" 2 "$(stat_of resident_files)"
before=$(stat_of decodes)
reads a
reads c
is "decodes of what is there" "$before" "$(stat_of decodes)"
exec 5<mnt/c.safetensors
reads b
[ "$(stat_of read_bytes)" -gt 0 ] || fail "b was read without room for it"
is "resident files, both open" 2 "$(stat_of resident_files)"
cat <&4 | cmp orig/a.safetensors - || fail "a, open since"

# what is open as usual stays so; when it is closed, it may be resident
exec 6<mnt/b.safetensors
exec 4<&- 5<&-
reads b
is "resident files" 2 "$(stat_of resident_files)"
exec 6<&-
asked=$(stat_of read_bytes)
released() { [ "$(stat_of open_files)" -eq 0 ]; }
wait_for released
reads b
is "bytes asked for" "$asked" "$(stat_of read_bytes)"

# larger than all the room
same orig/big.safetensors mnt/big.safetensors
[ "$(stat_of read_bytes)" -gt "$asked" ] || fail "what does not fit is not read"
used=$(stat_of resident_bytes)
[ "$used" -le $((16 << 20)) ] || fail "$used bytes of memory are used"

# a new version is another file; who has the old one open goes on reading it
exec 4<mnt/b.safetensors
cp orig/b.safetensors old
python3 "$make_model" orig/b.safetensors 4000 9
"$bigsmall" compress --force orig/b.safetensors -o store/ >/dev/null
changed() { [ "$(stat -c %s mnt/b.safetensors)" -eq \
	"$(stat -c %s orig/b.safetensors)" ]; }
wait_for changed || fail "the new version is not seen"
reads b
cat <&4 | cmp old - || fail "b, open since before it was replaced"
exec 4<&-
is "errors" 0 "$(stat_of read_errors)"
end_mount

# a bad chunk: all else of the file is served
python3 - <<'EOT' || exit 1
import os
size = os.path.getsize("store/c.bs")
with open("store/c.bs", "r+b") as f:
    f.seek(size // 2)
    b = f.read(1)
    f.seek(size // 2)
    f.write(bytes([b[0] ^ 16]))
EOT
begin_mount -o resident=16m
python3 - <<'EOT' || fail "the damaged file"
from bad_pages import bad_pages
bad = bad_pages("orig/c.safetensors", "mnt/c.safetensors")
assert len(bad) < 70, len(bad)
EOT
reads a
is "resident files beside a damaged one" 1 "$(stat_of resident_files)"
end_mount "$work/mnt" noisy
rm store/c.bs
model c 5000 3

# files of a bundle, by their own entries; small ones share chunks
mkdir orig/d
cp orig/a.safetensors orig/d/one.safetensors
echo '{"a": 1}' >orig/d/config.json
echo text >orig/d/readme
: >orig/d/empty
bundle d
begin_mount -o resident
diff -r orig/d mnt/d || fail "the bundle"
is "bytes asked for" 0 "$(stat_of read_bytes)"
is "resident files of the bundle" 3 "$(stat_of resident_files)"
is "errors" 0 "$(stat_of read_errors)"

# the mount ends while a mapping is there
TOOL=$bigsmall python3 - <<'EOT' || fail "a mapping of a mount that has ended"
import mmap, os, subprocess
want = open("orig/c.safetensors", "rb").read()
fd = os.open("mnt/c.safetensors", os.O_RDONLY)
m = mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ)
subprocess.run([os.environ["TOOL"], "umount", "-l", "mnt"], check=True)
assert m[:] == want
EOT
end_mount

finish
