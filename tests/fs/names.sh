#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A store beside its mount: what is shown, with which name, size, mode, times,
# inode and blocks; everything else as it is; nothing can be written.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m
model "größe ü 模型"
long=$(printf 'n%.0s' $(seq 200))
model "$long"
touch -d '2001-02-03 04:05:06.789 UTC' orig/old.json
echo '{"a": 1}' >orig/old.json
chmod 640 orig/old.json
touch -d '2001-02-03 04:05:06.789 UTC' orig/old.json
"$bigsmall" compress orig/old.json -o store/ >/dev/null 2>&1 || exit 1
cp store/m.bs store/renamed.bs
mkdir store/sub store/sub/deep store/empty
mv store/renamed.bs store/sub/deep/
echo plain >store/plain.txt
echo hidden >store/.hidden
ln -s m.safetensors store/link
ln -s nowhere store/dangling
ln -s ../../store store/sub/up
mkfifo store/fifo
# a container whose name would be "." is shown as it is
cp store/old.json.bs store/..bs
# no container: a name alone does not make one
echo 'text' >store/notes.bs
: >store/.bs
begin_mount

find mnt -mindepth 1 -printf '%P\n' | sort >have
cat >want <<EOF
..bs
.bs
.hidden
dangling
empty
fifo
größe ü 模型.safetensors
link
m.safetensors
$long.safetensors
notes.bs
old.json
plain.txt
sub
sub/deep
sub/deep/renamed.safetensors
sub/up
EOF
sort -o want want
diff want have || fail "the names differ"

for name in m "größe ü 模型" "$long"; do
	same "mnt/$name.safetensors" "orig/$name.safetensors"
done
same mnt/sub/deep/renamed.safetensors orig/m.safetensors
same mnt/old.json orig/old.json
same mnt/plain.txt store/plain.txt
same mnt/link orig/m.safetensors
is "a link's target" nowhere "$(readlink mnt/dangling)"
is "a fifo's type" fifo "$(stat -c %F mnt/fifo)"
format='%s %Y %y %a %u %g %h'
for name in m.safetensors old.json; do
	is "stat of $name" "$(stat -c "$format" "orig/$name")" \
		"$(stat -c "$format" "mnt/$name")"
done
for name in plain.txt sub fifo; do
	is "stat of $name" "$(stat -c "$format %i %b" "store/$name")" \
		"$(stat -c "$format %i %b" "mnt/$name")"
done
is "blocks" "$(stat -c %b store/m.bs)" "$(stat -c %b mnt/m.safetensors)"

# inodes: none twice, the directory says the same, stable over a remount
inodes() {
	find mnt mnt/.bigsmall mnt/.bigsmall/store -printf '%i %p\n' | sort -u
}
# shellcheck disable=SC2012 # names are ours
ls -1aUi mnt | awk '$2 == "m.safetensors" {print $1}' >dirent
is "d_ino" "$(stat -c %i mnt/m.safetensors)" "$(cat dirent)"
inodes >inodes.1
cut -d' ' -f1 inodes.1 | uniq -d >twice
is "inodes that two files share" '' "$(cat twice)"

# what the mount refuses
refused 'Read-only' touch mnt/new
refused 'Read-only' rm -f mnt/plain.txt
refused 'Read-only' mv mnt/plain.txt mnt/other
refused 'Read-only' chmod 600 mnt/m.safetensors
refused 'Read-only' mkdir mnt/dir
refused 'Read-only' ln -s a mnt/b
refused 'Read-only' sh -c 'echo >>mnt/m.safetensors'
refused 'No such file' cat mnt/m.bs
refused 'No such file' cat mnt/absent

# the store behind the mount, for tools; listed nowhere
same mnt/.bigsmall/store/m.bs store/m.bs
same mnt/.bigsmall/store/sub/deep/renamed.bs store/sub/deep/renamed.bs
"$bigsmall" verify mnt/.bigsmall/store/m.bs >/dev/null || fail "verify"
python3 -m json.tool mnt/.bigsmall/stats >/dev/null || fail "stats: no JSON"
grep -q '^notes.bs: ' mnt/.bigsmall/problems || fail "notes.bs is no problem"
grep -q '^..bs: ' mnt/.bigsmall/problems || fail "..bs is no problem"
is "problems" 2 "$(wc -l <mnt/.bigsmall/problems)"
if [ "$(id -u)" -eq 0 ]; then
	bdi=/sys/class/bdi/$(mountpoint -d mnt)/read_ahead_kb
	[ ! -w "$bdi" ] || is "read-ahead" 1024 "$(cat "$bdi")"
fi
is "df" "$(stat -f -c %b store)" "$(stat -f -c %b mnt)"

end_mount "$work/mnt" noisy
begin_mount
inodes >inodes.2
diff inodes.1 inodes.2 || fail "inodes changed with the remount"
end_mount "$work/mnt" noisy
finish
