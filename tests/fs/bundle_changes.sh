#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A bundle is replaced, edited in place, removed, added, renamed under the
# mount.  A name leads to what is there now; what is open, file or directory,
# stays what it was, or is an error; nothing is a mixture of two versions.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

# the same names in both, and some that only one has; other numbers for all
for v in old new; do
	mkdir -p orig/$v/sub/deep
	python3 "$make_model" orig/$v/sub/model.safetensors 900 \
		"$([ $v = old ] && echo 1 || echo 2)"
	echo "$v" >orig/$v/sub/text
	echo "$v" >orig/$v/sub/deep/text
	ln -s text "orig/$v/sub/link-$v"
done
echo first >orig/new/a-first
mkdir orig/new/become orig/new/sub/more
echo file >orig/old/become
echo gone >orig/old/sub/gone
bundle old x
bundle new
mv store/new.bs .
cp store/x.bs old.bs
begin_mount

shows() {
	diff -r --no-dereference "mnt/$1" "orig/$2" >/dev/null 2>&1
}
shows x old || fail "x before all"

# ---- replaced by rename, while readers hold a file, a directory and a map
cat >readers.py <<'EOT'
import errno, mmap, os, subprocess, time
def said(path):
    # what stands there now, whatever is in the way for a moment
    end = time.time() + 60
    while True:
        try:
            return open(path).read()
        except OSError as e:
            assert time.time() < end, e
            time.sleep(0.01)
want = open("orig/old/sub/model.safetensors", "rb").read()
file = os.open("mnt/x/sub/model.safetensors", os.O_RDONLY)
sub = os.open("mnt/x/sub", os.O_RDONLY | os.O_DIRECTORY)
cwd = os.open("mnt/x", os.O_RDONLY | os.O_PATH)
map = mmap.mmap(file, 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
assert os.pread(file, 5000, 0) == want[:5000]
os.rename("new.bs", "store/.tmp")
os.rename("store/.tmp", "store/x.bs")
end = time.time() + 60
while said("mnt/x/sub/text") != "new\n":
    assert time.time() < end, "the old tree is still shown"
    time.sleep(0.05)
# the old file, whole: no page of it was there before
assert os.pread(file, len(want), 0) == want, "the open file changed"
assert map[:] == want, "the map changed"
assert os.fstat(file).st_size == len(want)
# asked of the daemon, not of the kernel's memory
for fd, size in ((file, len(want)), (sub, 0)):
    have = subprocess.run(["stat", "-L", "--cached=never", "-c", "%s",
                           f"/proc/self/fd/{fd}"], pass_fds=[fd],
                          capture_output=True, text=True)
    assert have.stdout == f"{size}\n", have
# the old directory, open: its old names, or none; never the new ones
try:
    names = sorted(os.listdir(sub))
    assert names == sorted(os.listdir("orig/old/sub")), names
except OSError as e:
    assert e.errno == errno.ESTALE, e
# names looked up from there: the old version is nowhere to be had
for dir, path in ((sub, "text"), (sub, "gone"), (sub, "deep/text"),
                  (sub, "link-old"), (cwd, "sub/text"), (cwd, "become"),
                  (sub, "more"), (sub, "link-new"), (cwd, "a-first")):
    try:
        fd = os.open(path, os.O_RDONLY, dir_fd=dir)
        raise AssertionError(f"{path}: {os.read(fd, 100)}")
    except OSError as e:
        assert e.errno in (errno.ESTALE, errno.ENOENT), (path, e)
with open("mnt/x/sub/model.safetensors", "rb") as f:
    assert f.read() == open("orig/new/sub/model.safetensors", "rb").read()
assert os.pread(file, 4096, 4096 * 7) == want[4096 * 7:4096 * 8]
EOT
cp new.bs keep.bs
python3 readers.py || fail "readers of what was replaced"
mv keep.bs new.bs
wait_for shows x new || fail "replaced: not as the new one"
[ -d mnt/x/become ] || fail "a file that became a directory"
is "old containers" 1 "$(stat_of open_containers)"

# ---- edited in place: the same inode in the store, another tree
exec 3<mnt/x/sub/model.safetensors
head -c 100 <&3 >/dev/null
cat old.bs >store/x.bs
wait_for shows x old || fail "edited in place"
python3 - <<'EOT' || fail "a mixture of two versions"
import os
old = open("orig/new/sub/model.safetensors", "rb").read()
for off in range(0, len(old), 65536):
    try:
        have = os.pread(3, 65536, off)
    except OSError as e:
        assert e.errno == 5, e
        continue
    assert have == old[off:off + len(have)], off
EOT
exec 3<&-

# ---- added, renamed, moved, removed, under a plain name and from it
cp new.bs store/.tmp && mv store/.tmp store/added.bs
wait_for shows added new || fail "added"
mv store/added.bs store/renamed.bs
wait_for shows renamed new || fail "renamed"
is_gone() {
	! [ -e "mnt/$1" ]
}
wait_for is_gone added || fail "the old name is still there"
mkdir store/dir
mv store/renamed.bs store/dir/
wait_for shows dir/renamed new || fail "moved"
mv store/dir store/other
wait_for shows other/renamed new || fail "moved with its directory"
mkdir store/other/renamed
echo plain >store/other/renamed/file
says_plain() {
	[ "$(cat mnt/other/renamed/file 2>/dev/null)" = plain ]
}
wait_for says_plain || fail "a plain directory does not hide a bundle"
said_hidden() {
	grep -q '^other/renamed.bs: hidden' mnt/.bigsmall/problems
}
wait_for said_hidden || fail "the hidden bundle is no problem"
rm -r store/other/renamed
wait_for shows other/renamed new || fail "a bundle does not come to light"
rm store/other/renamed.bs
wait_for is_gone other/renamed || fail "removed: still there"
# a bundle becomes a file's container, and back
cp orig/old/sub/model.safetensors m.safetensors
"$bigsmall" compress m.safetensors -o store/x.bs --force >/dev/null 2>&1
one_file() {
	cmp -s mnt/x.safetensors m.safetensors && is_gone x
}
wait_for one_file || fail "a bundle that became a file"
cp new.bs store/.tmp && mv store/.tmp store/x.bs
wait_for shows x new || fail "a file that became a bundle"

# ---- a version at a time: replace and open, again and again, with readers
python3 - <<'EOT' || fail "swaps"
import os, shutil, threading
want = {open(f"orig/{n}/sub/text").read():
        open(f"orig/{n}/sub/model.safetensors", "rb").read()
        for n in ("old", "new")}
bad, stop = [], threading.Event()
def read():
    while not stop.is_set():
        try:
            with open("mnt/x/sub/model.safetensors", "rb") as f:
                if f.read() not in want.values():
                    bad.append("a mixture")
            names = set(os.listdir("mnt/x/sub"))
            if not ({"link-old"} <= names) ^ ({"link-new"} <= names):
                bad.append(names)
            os.stat("mnt/x/sub/deep/text")
        except OSError as e:
            # twice in a row a name was another version's
            if e.errno != 116:
                bad.append(e)
threads = [threading.Thread(target=read) for _ in range(3)]
for t in threads:
    t.start()
for i in range(40):
    v = ("old", "new")[i % 2]
    shutil.copy(v + ".bs", "store/.tmp")
    os.rename("store/.tmp", "store/x.bs")
    for path in ("text", "deep/text"):
        for _ in range(100):
            try:
                have = open("mnt/x/sub/" + path).read()
                break
            except OSError as e:
                assert e.errno == 116, e
        assert have == v + "\n", (i, path, have)
stop.set()
for t in threads:
    t.join()
assert not bad, bad[:3]
EOT
wait_for shows x new || fail "x after all"
holds_nothing() {
	! find "/proc/$daemon/fd" -lname '*(deleted)' 2>/dev/null | grep -q .
}
wait_for holds_nothing || fail "a replaced container is kept open"
end_mount "$work/mnt" noisy
finish
