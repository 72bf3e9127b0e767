#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A container that holds a directory shows as that directory: names, links,
# modes, times, sizes and bytes, however they are read; nothing can be written.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

umask 022
python3 - <<'EOT' || exit 1
import os, random
r = random.Random(3)
os.umask(0)
os.makedirs(b"orig/x/sub/deep/er")
os.makedirs(b"orig/x/empty/emptier")
def write(path, raw, mode=0o644, ns=981173106789000001):
    with open(os.path.join(b"orig/x", path), "wb") as f:
        f.write(raw)
    os.chmod(os.path.join(b"orig/x", path), mode)
    os.utime(os.path.join(b"orig/x", path), ns=(ns, ns))
weights = b"".join(bytes((r.randrange(256), r.choice((60, 61, 188, 189))))
                   for _ in range(400000))
write(b"model.safetensors", weights)
write(b"sub/deep/er/model.safetensors", weights[:-30001], 0o640, -7)
write(b"config.json", b'{"hidden": 1}\n', 0o600, 5)
write(b"run.sh", b"#!/bin/sh\necho it runs\n", 0o755)
write(b"none", b"", 0o444)
for i in range(300):
    write(b"sub/%d.txt" % i, b"text %d\n" % i * (i % 40))
# a file's own name sorts before the directory's entries, or after
write(b"sub.txt", b"dot")
write(b"sub-", b"dash")
for name in (b"\xff\xfe\x80", b"line\nfeed", b"back\\slash", b" ", b"-rf",
             b"\xe6\xa8\xa1\xe5\x9e\x8b", b"n" * 255, b"'\"$(x)`", b"x.bs"):
    write(name, name)
    write(b"sub/" + name, name * 2)
os.link(b"orig/x/model.safetensors", b"orig/x/sub/deep/hard")
os.link(b"orig/x/model.safetensors", b"orig/x/a-hard")
os.symlink(b"model.safetensors", b"orig/x/link")
os.symlink(b"../model.safetensors", b"orig/x/sub/up")
os.symlink(b"nowhere/to go", b"orig/x/dangling")
os.symlink(b"sub/deep", b"orig/x/to-dir")
for path, mode, ns in ((b"sub/deep", 0o750, 1), (b"sub", 0o1777, 2**60),
                       (b"empty/emptier", 0o711, -10**18), (b"", 0o775, 3)):
    os.chmod(os.path.join(b"orig/x", path), mode)
    os.utime(os.path.join(b"orig/x", path), ns=(ns, ns))
EOT
bundle x
"$bigsmall" compress orig/x -o store/made.bs >out 2>&1 ||
	fail "compress: exit $?: $(cat out)"
# the longest path that there can be
PYTHONPATH=$(dirname "$make_bundle")/../golden python3 - <<'EOT' || exit 1
from refenc import Blob, Container, Member
c = Container(bundle=True, suffix=b"")
text = c.add_blob(Blob(b"at the end"))
for n in range(1, 17):
    path = b"/".join([b"d" * 240] * n)
    c.members.append(Member(path, 2, mode=0o755))
path += b"/" + b"f" * 240
assert len(path) == 4096
c.members.append(Member(path, extents=[(text, 0, 10)]))
open("store/long.bs", "wb").write(c.done())
EOT
mkdir store/dir orig/empty
cp store/x.bs store/dir/y.bs
ln store/x.bs store/z.bs
bundle empty
chmod 600 store/dir/y.bs
model m
begin_mount -o threads=4

cat >compare.py <<'EOT'
import hashlib, os, stat, sys
a, b = (os.fsencode(p) for p in sys.argv[1:3])
n = 0
inodes = {}
def look(path):
    global n
    n += 1
    x, y = os.lstat(a + path), os.lstat(b + path)
    what = (path, oct(x.st_mode), oct(y.st_mode))
    assert stat.S_IFMT(x.st_mode) == stat.S_IFMT(y.st_mode), what
    if not stat.S_ISLNK(x.st_mode):
        assert y.st_mode & 0o7777 == x.st_mode & 0o777, what
    assert y.st_mtime_ns == x.st_mtime_ns, (what, y.st_mtime_ns)
    key = inodes.setdefault(y.st_ino, (x.st_dev, x.st_ino))
    assert key == (x.st_dev, x.st_ino), ("an inode of two files", what)
    if stat.S_ISLNK(x.st_mode):
        assert os.readlink(a + path) == os.readlink(b + path), what
    if stat.S_ISDIR(x.st_mode):
        names = sorted(os.listdir(a + path))
        assert sorted(os.listdir(b + path)) == names, what
        for e in os.scandir(b + path):
            st = e.stat(follow_symlinks=False)
            assert e.inode() == st.st_ino, (what, e.name)
            assert e.is_dir(follow_symlinks=False) == stat.S_ISDIR(st.st_mode)
            assert e.is_symlink() == stat.S_ISLNK(st.st_mode), e.name
            assert e.is_file(follow_symlinks=False) == stat.S_ISREG(st.st_mode)
        for name in names:
            look(path + b"/" + name)
        return
    assert y.st_size == x.st_size, (what, y.st_size)
    assert y.st_nlink == x.st_nlink, (what, y.st_nlink)
    if stat.S_ISREG(x.st_mode):
        have, want = (hashlib.sha256(open(p + path, "rb").read()).digest()
                      for p in (a, b))
        assert have == want, what
look(b"")
assert n > 300 or len(sys.argv) > 3, n
EOT
python3 compare.py orig/x mnt/x || fail "x differs"
python3 compare.py orig/x mnt/z || fail "z, the same container, differs"
python3 compare.py orig/x mnt/x || fail "x differs after z"
# a directory with two names would be moved by the kernel to the one used last
is "where x is" "$work/mnt/x/sub" \
	"$(cd mnt/x/sub && ls ../../z/sub >/dev/null && pwd -P)"
[ -d mnt/empty ] && is "an empty one" '' "$(ls -A mnt/empty)"
python3 compare.py orig/x mnt/made || fail "made by bigsmall, it differs"
python3 - <<'EOT' || fail "a path of 4096 bytes"
import os
fd = os.open("mnt/long", os.O_RDONLY)
while True:
    name, = os.listdir(fd)
    fd = os.open(name, os.O_RDONLY, dir_fd=fd)
    if name[0] == "f":
        break
assert os.read(fd, 100) == b"at the end"
EOT
is "what is in the root" 'dir empty long m.safetensors made x z' \
	"$(find mnt -mindepth 1 -maxdepth 1 -printf '%P\n' | sort | paste -sd ' ')"
# who may read the container may read what is in it, and nobody else
is "modes under 600" '720 700 711' \
	"$(stat -c %a mnt/dir/y mnt/dir/y/sub/deep mnt/dir/y/run.sh |
		paste -sd ' ')"
same mnt/dir/y/model.safetensors orig/x/model.safetensors
is "run from a bundle" 'it runs' "$(mnt/x/run.sh)"
is "through a link to a directory" "$(sha256sum <orig/x/model.safetensors)" \
	"$(sha256sum <mnt/x/to-dir/hard)"
is "no file twice" 1 \
	"$(stat -c %i mnt/x/a-hard mnt/x/sub/deep/hard | sort -u | wc -l)"

# what is not there
refused 'No such file' cat mnt/x/absent
refused 'No such file' ls mnt/x/sub/absent
refused 'Not a directory' ls mnt/x/config.json/below
refused 'No such file' cat mnt/x/dangling
refused 'No such file' ls mnt/x.bs
refused 'Is a directory' cat mnt/x
refused 'Is a directory' cat mnt/x/sub
# what is refused
refused 'Read-only' touch mnt/x/new
refused 'Read-only' mkdir mnt/x/sub/new
refused 'Read-only' rm -f mnt/x/config.json
refused 'Read-only' mv mnt/x/config.json mnt/x/other
refused 'Read-only' chmod 777 mnt/x/sub
refused 'Read-only' ln mnt/x/config.json mnt/x/again
refused 'Read-only' sh -c 'echo >>mnt/x/config.json'
refused 'Read-only' rmdir mnt/x

# ranges, direct reads, maps of every kind, from many threads
python3 - <<'EOT' || fail "ranges"
import mmap, os, random, threading
path = "x/sub/deep/er/model.safetensors"
want = open("orig/" + path, "rb").read()
fd = os.open("mnt/" + path, os.O_RDONLY)
direct = os.open("mnt/" + path, os.O_RDONLY | os.O_DIRECT)
shared = mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ)
private = mmap.mmap(fd, 0, mmap.MAP_PRIVATE,
                    mmap.PROT_READ | mmap.PROT_WRITE)
wrong = []
def read(seed):
    r = random.Random(seed)
    buf = mmap.mmap(-1, 1 << 20)
    for i in range(60):
        off, n = r.randrange(len(want) + 10), r.randrange(1, 300000)
        for have in (os.pread(fd, n, off), shared[off:off + n],
                     private[off:off + n]):
            if have != want[off:off + n]:
                wrong.append((off, n))
        off, n = off // 4096 * 4096, (n // 4096 + 1) * 4096
        got = os.preadv(direct, [memoryview(buf)[:n]], off)
        if buf[:got] != want[off:off + n]:
            wrong.append((off, n, "direct"))
threads = [threading.Thread(target=read, args=(i,)) for i in range(12)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not wrong, wrong[:3]
private[0:4] = b"mine"  # of the map alone
assert os.pread(fd, 4, 0) == want[:4]
EOT

# what it takes on the disk is what the container takes
for dir in x dir/y; do
	have=$(du -s --block-size=512 "mnt/$dir" | cut -f1)
	want=$(stat -c %b "store/$dir.bs")
	off=$((have - want))
	[ "${off#-}" -le 20 ] ||
		fail "du of $dir: $have blocks, and its container has $want"
done
is "du of an empty one" "$(stat -c %b store/empty.bs)" \
	"$(du -s --block-size=512 mnt/empty | cut -f1)"
same mnt/.bigsmall/store/x.bs store/x.bs
is "problems" '' "$(cat mnt/.bigsmall/problems)"
is "open files" 0 "$(stat_of open_files)"
[ "$(stat_of open_container_bytes)" -gt 0 ] || fail "directories are free"

# inodes: none twice in the whole mount, the same after a remount
inodes() {
	# z is x by another name, and a hard link a file by another
	find mnt mnt/.bigsmall mnt/.bigsmall/store ! -path 'mnt/z*' \
		\( -type d -o -links 1 \) -printf '%i %p\0' | sort -zu
}
inodes >inodes.1
tr '\n\0' '?\n' <inodes.1 | cut -d' ' -f1 | sort | uniq -d >twice
is "inodes that two files share" '' "$(cat twice)"
end_mount
begin_mount
inodes >inodes.2
cmp inodes.1 inodes.2 || fail "inodes changed with the remount"
# as the mount says itself: nothing is open before a name is asked for
end_mount
begin_mount
is "open at the beginning" 0 "$(stat_of open_containers)"
stat mnt/x >/dev/null
is "open after stat of a bundle" 0 "$(stat_of open_containers)"
stat mnt/x/sub >/dev/null
is "open after a look inside" 1 "$(stat_of open_containers)"
end_mount
finish
