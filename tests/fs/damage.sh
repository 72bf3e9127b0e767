#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A damaged chunk is EIO for its own range, named with its tensor in problems;
# all else goes on being served.  Damaged, cut off, garbage and foreign
# containers are EIO or shown as they are, and hurt nothing else.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m 3000
model cut
model head
model both
# one bit in the middle of the stored data of m
python3 - <<'EOF'
import os
def flip(path, at, n=1):
    with open(path, "r+b") as f:
        f.seek(at)
        b = f.read(n)
        f.seek(at)
        f.write(bytes(x ^ 0x10 for x in b))
size = os.path.getsize("store/m.bs")
flip("store/m.bs", size // 2)
os.truncate("store/cut.bs", os.path.getsize("store/cut.bs") - 1000)
flip("store/head.bs", 0, 512)  # the copy at the end serves
size = os.path.getsize("store/both.bs")
flip("store/both.bs", 0, 8)
flip("store/both.bs", 100, 8)
flip("store/both.bs", size - 400, 8)
open("store/garbage.bs", "wb").write(bytes(range(256)) * 64)
open("store/empty.bs", "wb").close()
open("store/old.bs", "wb").write(b"BGSM" + bytes(5000))
open("store/delta.bsd", "wb").write(b"BGSD" + bytes(5000))
EOF
model good 800 2
begin_mount

python3 - <<'EOF' || fail "the damaged file"
from bad_pages import bad_pages
bad = bad_pages("orig/m.safetensors", "mnt/m.safetensors")
# one chunk and the pages that it shares with its neighbours
assert len(bad) <= (1 << 18) // 4096 + 2, f"{len(bad)} pages are lost"
EOF
line=$(grep '^m.bs: ' mnt/.bigsmall/problems)
case $line in
*"in tensor "*damaged*verify*) ;;
*) fail "problems says of m.bs: $line" ;;
esac
is "bad chunks" 1 "$(stat_of bad_chunks)"

for name in cut both; do
	refused 'Input/output error' cat "mnt/$name.safetensors"
	grep -q "^$name.bs: " mnt/.bigsmall/problems ||
		fail "$name.bs is not in problems"
done
same mnt/head.safetensors orig/head.safetensors
same mnt/good.safetensors orig/good.safetensors
for name in garbage.bs empty.bs old.bs delta.bsd; do
	same "mnt/$name" "store/$name"
	grep -q "^$name: " mnt/.bigsmall/problems ||
		fail "$name is not in problems"
done
# the damaged file is still there to be seen
for name in m.safetensors cut.safetensors; do
	# shellcheck disable=SC2010 # names are ours
	ls -1U mnt 2>/dev/null | grep -qx "$name" || fail "$name is not listed"
done

# mended, it reads again without a remount
cp orig/m.safetensors fixed.safetensors
"$bigsmall" compress fixed.safetensors -o store/m.bs --force >/dev/null 2>&1
mended() {
	cmp -s mnt/m.safetensors orig/m.safetensors
}
wait_for mended || fail "the mended file is not read"
problem_is_gone() {
	! grep -q '^m.bs' mnt/.bigsmall/problems
}
wait_for problem_is_gone || fail "the problem stays when it is mended"
end_mount "$work/mnt" noisy
finish
