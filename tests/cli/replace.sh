#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# replace.sh - compress --replace puts a .bs in place of every weight file and
# leaves all else as it was; decompress --replace undoes it; a run goes on where
# another one was cut off; what would lose a file is refused

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

tree() {
	python3 "$here/tree.py" "$@"
}

mkdir -p m/sub m/blobs m/empty out
model m/a.safetensors 600
model m/blobs/0123abcd 300 2
model m/sub/b.safetensors 300 3
echo '{"a": 1}' >m/config.json
head -c 100000 /dev/urandom >m/noise.bin
python3 - <<'END'
import json, os, struct
data = os.urandom(200000)
head = json.dumps({"w": {"dtype": "U8", "shape": [200000],
                         "data_offsets": [0, 200000]}}).encode()
open("m/dense.safetensors", "wb").write(
    struct.pack("<Q", len(head)) + head + data)
END
ln -s ../blobs/0123abcd m/sub/link
ln -s nothing m/dangling
chmod 640 m/a.safetensors
touch -d '2001-02-03 04:05:06.789' m/a.safetensors m/blobs/0123abcd
setfattr -n user.note -v kept m/a.safetensors 2>/dev/null && has_xattr=1
tree m >want
inodes=$(stat -c '%n %i' m/config.json m/noise.bin m/dense.safetensors)

run 0 compress --replace m
prints 'compared and replaced'
prints 'dense.safetensors: less than 1 % would be saved; it is left'
prints 'mount.bigsmall m$'
says 'leads to nothing and is kept: dangling'
(cd m && holds a.bs blobs blobs/0123abcd.bs config.json dangling \
	dense.safetensors empty noise.bin sub sub/b.bs sub/link)
is 'files left' "$inodes" \
	"$(stat -c '%n %i' m/config.json m/noise.bin m/dense.safetensors)"
is 'mode of a.bs' 640 "$(stat -c %a m/a.bs)"

# again: nothing is left to do, and that is fine
tree m | grep -v '^b[^ ]* 4' >once
run 0 compress --replace m
tree m | grep -v '^b[^ ]* 4' >twice
same once twice

# the times of directories may change, nothing else
run 0 decompress --replace m
tree m >have
grep -v '^b[^ ]* 4[0-7]* ' want >want.files
grep -v '^b[^ ]* 4[0-7]* ' have >have.files
same want.files have.files
[ -z "${has_xattr-}" ] || is 'extended attribute' kept \
	"$(getfattr --only-values -n user.note m/a.safetensors 2>/dev/null)"

# cut off between the rename and the removal: both are there and equal
run 0 compress m/a.safetensors
run 0 compress --replace m --json
is outcome resumed "$(field '[x["outcome"] for x in j
	if x["source"] == "m/a.safetensors"][0]')"
gone m/a.safetensors
run 0 decompress m/a.bs
run 0 decompress --replace m
gone m/a.bs
there m/a.safetensors

# the same bytes, but a time that only one of them has
run 0 compress m/a.safetensors
cp -p m/a.safetensors keep.a
touch m/a.safetensors
run 4 compress --replace m
says 'another time or mode'
there m/a.safetensors m/a.bs
rm m/a.bs
mv keep.a m/a.safetensors

# both are there and not equal: neither is touched
run 0 compress m/a.safetensors
model m/a.safetensors 600 9
sha256sum m/a.bs m/a.safetensors >sums
run 4 compress --replace m
says 'holds another file'
sha256sum -c --quiet sums || fail "a file was touched"
run 4 decompress --replace m
says 'is another file'
sha256sum -c --quiet sums || fail "a file was touched"
rm m/a.bs

# two sources of one name, or one that something else has: nothing happens
for clash in a a.bs.d; do
	tree m >before
	if [ $clash = a ]; then
		cp m/a.safetensors m/a
		tree m >before
		run 4 compress --replace m
		says 'would both become m/a.bs'
		tree m >after
		same before after
		rm m/a
	else
		mkdir m/a.bs
		tree m >before
		run 4 compress --replace m
		says 'would become m/a.bs'
		tree m >after
		same before after
		rmdir m/a.bs
	fi
done

# nor where a result would take the name of another source, or where one of
# several names of a file clashes
mkdir f
model f/x.bs 300
model f/x.safetensors 300 2
mkdir g
model g/a.safetensors 300
ln g/a.safetensors g/b.safetensors
model g/b 300 2
for dir in f g; do
	tree $dir >before
	run 4 compress --replace --force $dir
	says 'nothing was written'
	tree $dir >after
	same before after
	[ $dir = f ] || run 4 compress --force $dir -o out/$dir/
	[ -e out/$dir ] && fail "out/$dir was made"
done

# links that leave the directory are left alone, and the sentence helps
mkdir -p hub/x/blobs hub/x/snapshots/r
model hub/x/blobs/w 300
ln -s ../../blobs/w hub/x/snapshots/r/model.safetensors
run 0 compress --replace hub/x/snapshots/r
says "give $work/hub/x\$"
there hub/x/blobs/w
[ -L hub/x/snapshots/r/model.safetensors ] || fail "the link is gone"
run 0 compress --replace hub/x
gone hub/x/blobs/w
there hub/x/blobs/w.bs
run 0 compress --replace hub/x
LC_ALL=C grep -q 'leads to nothing' "$log/err" &&
	fail "a link to what a mount shows is said to lead to nothing"

# several names of one file: one .bs with as many
mkdir h
model h/a.safetensors 300
ln h/a.safetensors h/b.safetensors
ln h/a.safetensors h/c
cp h/a.safetensors keep
run 0 compress --replace h
says 'another name of h/a.safetensors with another ending'
is 'one file' "$(stat -c %i h/a.bs)" "$(stat -c %i h/b.bs)"
there h/c
gone h/a.safetensors h/b.safetensors
run 0 decompress --replace h
is 'one file' "$(stat -c %i h/a.safetensors)" "$(stat -c %i h/b.safetensors)"
same h/b.safetensors keep
gone h/a.bs h/b.bs

# what was there before is relied on only if it is a file, and of that name
model n 300
cp n n.safetensors
run 0 compress --replace n
run 4 compress --replace n.safetensors
says 'not called n.safetensors'
there n.bs n.safetensors
rm n.bs n.safetensors
mkdir l far
model far/l.safetensors 300
run 0 compress far/l.safetensors
mv far/l.bs l
ln -s ../far/l.safetensors l/l.safetensors
run 4 decompress --replace l/l.bs
there l/l.bs
rm l/l.safetensors
cp -p far/l.safetensors l
mv l/l.bs far
ln -s ../far/l.bs l/l.bs
run 4 compress --replace l/l.safetensors
there l/l.safetensors far/l.bs

# nor is a link to a .bs the .bs
rm l/l.safetensors
run 2 decompress --replace l/l.bs
says 'name the file that it leads to'
gone l/l.safetensors
cp -p far/l.safetensors l

# two runs at once, one this way and one that way: what one relies on, the
# other does not remove
rm l/l.bs
mv far/l.bs l
for file in l/l.safetensors l/l.bs; do
	for way in "compress l/l.safetensors" "decompress l/l.bs"; do
		# shellcheck disable=SC2086 # two words
		(
			flock 9
			run 4 ${way% *} --replace ${way#* }
			exit $n_failed
		) 9<$file || fail "$way with $file in use"
		says "$file is in use by another run"
		there l/l.safetensors l/l.bs
	done
done

# what another run is writing is not for this one, whatever it holds
mkdir t
model t/.w.safetensors.tmp.$$.0
run 0 compress --replace t
says 'belongs to another run'
there t/.w.safetensors.tmp.$$.0
rm -r t

# files by their names
cp keep k.safetensors
run 0 compress --replace k.safetensors
gone k.safetensors
run 0 decompress --replace k.bs
gone k.bs
same k.safetensors keep
echo text >t.txt
run 0 compress --replace t.txt
prints 'no safetensors file'
there t.txt
gone t.txt.bs t.bs
ln -s k.safetensors l.safetensors
run 2 compress --replace l.safetensors
says 'is a link'
run 2 compress --replace k.safetensors -o x.bs
says 'exclude each other'

# what cannot be read is named, and the others do not wait for it
if [ "$(id -u)" -ne 0 ]; then
	model m/z.safetensors 300
	chmod 0 m/z.safetensors
	run 3 compress --replace m
	says 'z.safetensors cannot be read'
	gone m/sub/b.safetensors
	there m/z.safetensors
	chmod 600 m/z.safetensors
	run 0 decompress --replace m
	rm m/z.safetensors
fi

# --dry-run does nothing
tree m >before
run 0 compress --replace --dry-run m
tree m >after
same before after
finish
