#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# mirror.sh - compress DIR -o OUT/ gives a directory in which every weight file
# is a .bs and all else is as it was; decompress DIR -o OUT/ gives that back; a
# run goes on where another one was cut off

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

tree() {
	python3 "$here/tree.py" "$@"
}

mkdir -p m/sub m/empty
model m/a.safetensors 600
model m/sub/b 300 2
echo '{"a": 1}' >m/config.json
head -c 100000 /dev/urandom >m/sub/noise.bin
ln m/sub/noise.bin m/sub/noise2.bin
ln -s sub/b m/link
ln -s ../outside m/out
chmod 600 m/config.json
chmod 750 m/sub
touch -d '2001-02-03 04:05:06.789' m/a.safetensors m/empty m/sub
touch -d '2002-02-03' m
tree m >want

run 0 compress m -o c/
prints 'left as they are'
says 'out of it and is left alone'
(cd c && holds a.bs config.json empty link out sub sub/b.bs sub/noise.bin \
	sub/noise2.bin)
is 'time of a directory' 981173106 "$(stat -c %Y c/sub)"
is 'mode of a directory' 750 "$(stat -c %a c/sub)"
is 'mode of a file' 600 "$(stat -c %a c/config.json)"
is 'link' ../outside "$(readlink c/out)"
same m/sub/noise.bin c/sub/noise.bin

# again: all is there already
tree c >once
run 0 compress m -o c/
prints 'was made of it before'
tree c >twice
same once twice

# what is missing is made, what is there stays
rm c/a.bs c/config.json
run 0 compress m -o c/
there c/a.bs c/config.json
is 'time of a copy' "$(stat -c %y m/config.json)" "$(stat -c %y c/config.json)"

# a source that changed since: refused without --force
cp -p m/a.safetensors keep
touch m/a.safetensors
run 4 compress m -o c/
says 'exists already'
run 0 compress m -o c/ --force
cp -p keep m/a.safetensors
run 0 compress m -o c/ --force

run 0 decompress c -o d/
tree d >have
same want have

# a directory that was there keeps its own mode; a link in it leads nowhere else
mkdir -p there elsewhere
chmod 1777 there
run 0 compress m -o there/
is 'mode of what was there' 1777 "$(stat -c %a there)"
rm -r there/sub
ln -s ../elsewhere there/sub
run 4 compress m -o there/
is 'written elsewhere' '' "$(ls elsewhere)"

# names that two sources would take: nothing is written
cp m/a.safetensors m/a
run 4 compress m -o e/
says 'would both become e/a.bs'
[ -e e ] && fail "e/ was made"
rm m/a
echo mine >m/a.bs
run 4 compress m -o e/
says 'would become e/a.bs'
rm m/a.bs

# in itself, or onto itself
run 2 compress m -o m/
says 'say --replace'
run 2 compress m -o m/sub/
says 'lies in m itself'
run 2 compress m -o m/new/
says 'lies in m itself'
[ -e m/new ] && fail "m/new was made"
run 2 decompress m -o ./m/new/
# several sources: each directory below OUT/ by its name
mkdir n
model n/x.safetensors 300
run 0 compress m n keep -o f/
there f/m/a.bs f/n/x.bs f/keep.bs
# "." and ".." have names, too, and are not where the results go
mkdir -p up/in p/q
cp c/a.bs up/in
(
	cd up/in || exit 1
	run 0 decompress . .. -o ../../p/q/
	exit "$n_failed"
) || fail "decompress . .."
(cd p && holds q q/in q/in/a.safetensors q/up q/up/in q/up/in/a.safetensors)
run 2 decompress f
says 'say --replace, or where to'
finish
