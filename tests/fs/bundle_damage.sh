#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A damaged chunk is EIO for the files of a bundle that have it, and named with
# one of them in problems; the others go on being served.  A bundle that is cut
# off, whose directory is damaged, or that is hostile shows nothing, is EIO, and
# hurts nothing beside it.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

golden=$(dirname "$make_bundle")/../golden
mkdir -p orig/x/sub orig/good store/hostile
python3 "$make_model" orig/x/sub/bad.safetensors 900 1
python3 "$make_model" orig/x/well.safetensors 300 2
echo '{"a": 1}' >orig/x/config.json
cp orig/x/config.json orig/good/
bundle x
bundle good
cp store/x.bs store/cut.bs
cp store/x.bs store/directory.bs
cp store/x.bs store/both.bs
cp "$golden"/bad/bundle-*.bs store/hostile/
python3 - <<'EOT' || exit 1
import os, struct
def flip(path, at, n=1):
    with open(path, "r+b") as f:
        f.seek(at)
        b = f.read(n)
        f.seek(at)
        f.write(bytes(x ^ 0x10 for x in b))
data = open("store/x.bs", "rb").read()
raw = open("orig/x/sub/bad.safetensors", "rb").read()
flip("store/x.bs", data.index(raw[500000:500100]))
members, = struct.unpack_from("<Q", data, 208 + 8)
flip("store/directory.bs", members + 5)
os.truncate("store/cut.bs", len(data) - 1000)
flip("store/both.bs", 100, 8)
flip("store/both.bs", len(data) - 400, 8)
EOT
begin_mount

same mnt/x/well.safetensors orig/x/well.safetensors
same mnt/x/config.json orig/x/config.json
python3 - <<'EOT' || fail "the damaged file"
from bad_pages import bad_pages
bad = bad_pages("orig/x/sub/bad.safetensors", "mnt/x/sub/bad.safetensors")
assert len(bad) <= (1 << 17) // 4096 + 2, f"{len(bad)} pages are lost"
EOT
line=$(grep '^x.bs: ' mnt/.bigsmall/problems)
case $line in
*" of sub/bad.safetensors, in tensor "*damaged*verify*) ;;
*) fail "problems says of x.bs: $line" ;;
esac
is "bad chunks" 1 "$(stat_of bad_chunks)"
same mnt/x/well.safetensors orig/x/well.safetensors

# the directory is there, by its superblock, and cannot be looked into
is "its type" directory "$(stat -c %F mnt/directory)"
refused 'Input/output error' ls mnt/directory
refused 'Input/output error' cat mnt/directory/config.json
# whose superblock says that there was more, and whose says nothing
for name in cut both.safetensors; do
	refused 'Input/output error' ls "mnt/$name"
	# shellcheck disable=SC2010 # names are ours
	ls -1U mnt 2>/dev/null | grep -qx "$name" || fail "$name is not listed"
done
for name in directory cut both; do
	grep -q "^$name.bs: .*restore" mnt/.bigsmall/problems ||
		fail "$name.bs is not in problems"
done

# each of the golden files that a reader must refuse
ls mnt/hostile >names 2>/dev/null
is "hostile names" "$(find store/hostile -name '*.bs' | wc -l)" "$(wc -l <names)"
[ "$(wc -l <names)" -gt 20 ] || fail "few hostile bundles"
while read -r name; do
	[ -s "store/hostile/${name%.safetensors}.bs" ] || continue
	refused 'Input/output error' ls "mnt/hostile/$name"
	refused 'Input/output error' ls "mnt/hostile/$name/a"
done <names
for file in store/hostile/*.bs; do
	file=${file#store/}
	grep -qF "$file: " mnt/.bigsmall/problems ||
		fail "$file is not in problems"
done
same mnt/good/config.json orig/good/config.json

# mended, it reads again without a remount, and its problems are gone
for name in x directory; do
	python3 "$make_bundle" orig/x "store/$name.bs"
	mended() {
		diff -r "mnt/$name" orig/x >/dev/null 2>&1
	}
	wait_for mended || fail "the mended $name is not read"
	problem_is_gone() {
		! grep -q "^$name.bs" mnt/.bigsmall/problems
	}
	wait_for problem_is_gone || fail "the problem of $name stays"
done
end_mount "$work/mnt" noisy
finish
