#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# bundle.sh - a directory becomes one .bs, from which all of it comes back:
# names of any bytes, modes, times, links, hard links, empty directories and
# files; what is there twice is stored once, and small files share blobs

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

tree() {
	python3 "$here/tree.py" "$@"
}

mkdir -p m/sub/deep m/empty
model m/a.safetensors 600
model m/sub/b 300 2 # a weight file, whatever its name
cp m/a.safetensors m/sub/again.safetensors
ln m/a.safetensors m/hard
echo '{"a": 1}' >m/config.json
: >m/zero
printf 'x' >"m/sub/$(printf 'caf\351\001\n')"
printf 'y' >"m/$(printf '%0255d' 0)"
printf 'random' >m/sub/deep/tokenizer
head -c 300000 /dev/urandom >m/sub/deep/noise
ln -s a.safetensors m/link
ln -s ../../sub/b m/sub/deep/up
ln -s link m/link2
ln -s nothing m/sub/dangling
chmod 600 m/config.json
chmod 750 m/sub
chmod 1777 m/empty
touch -h -d '1999-12-31 23:59:59.123456789' m/link m/a.safetensors
touch -d '1960-01-01 01:02:03.5' m/sub/deep m/empty
touch -d '2020-02-20 20:20:20' m/sub m
chmod 711 m
tree m >want

run 0 compress m
prints '^m: .* saved'
prints 'stored once'
says 'dangling leads to nothing'
there m.bs
run 0 decompress m.bs -o back
tree back >have
same want have
run 0 decompress m.bs -o into/
[ "$(tree into/m | sha256sum)" = "$(sha256sum <want)" ] ||
	fail "it was not restored below into/"

# equal files and hard links cost nothing: about one copy of each model
size=$(stat -c %s m.bs)
limit=$(((600 + 300) * 1024 * 70 / 100 + 300000 + 12000))
[ "$size" -lt "$limit" ] || fail "m.bs has $size bytes, more than $limit"

# the same input gives the same container, wherever it is and by any threads
cp -a m n
run 0 compress n -o n1.bs -j 1
run 0 compress ./n/ -o n5.bs -j 5
same n1.bs n5.bs
same n1.bs m.bs

# the name is that of the directory, however it is reached
mkdir inside
cd m || exit 1
run 0 compress . -o ../inside/x.bs
cd .. || exit 1
same inside/x.bs m.bs
(cd m/sub && run 0 compress .. -o ../../inside/y.bs)
same inside/y.bs m.bs

# nothing is replaced, and a bundle does not go into its own directory
run 4 compress m
run 0 compress m --force
run 4 decompress m.bs
says 'm exists already'
run 4 decompress m.bs --force
run 2 compress m -o m/sub/self.bs
says 'lies in m itself'
gone m/sub/self.bs
tree m >have
same want have

# two sources of one name
mkdir x
echo >x/f
model x.safetensors 100
run 4 compress x/ x.safetensors
says 'would both become'
gone x.bs

# --dry-run and --json
run 0 compress m --json --dry-run -o dry.bs
is kind directory "$(field 'j[0]["kind"]')"
is files 10 "$(field 'j[0]["files"]')"
is outcome written "$(field 'j[0]["outcome"]')"
is stored_bytes "$size" "$(field 'j[0]["stored_bytes"]')"
gone dry.bs
rm -rf back
run 0 decompress m.bs -o back --json
is kind directory "$(field 'j[0]["kind"]')"

# small files share blobs: a thousand of them cost little more than their names
mkdir many
i=0
while [ $i -lt 1000 ]; do
	echo "{\"layer\": $i, \"type\": \"attention\"}" >many/file$i.json
	i=$((i + 1))
done
run 0 compress many --json
[ "$(field 'j[0]["blobs"]')" -le 2 ] || fail "small files have blobs each"
run 0 decompress many.bs -o many2
[ "$(tree many | sha256sum)" = "$(tree many2 | sha256sum)" ] ||
	fail "many small files are not what they were"

# an empty directory is one, too
mkdir nothing
run 0 compress nothing
run 0 decompress nothing.bs -o nothing2
[ -d nothing2 ] || fail "an empty directory does not come back"
finish
