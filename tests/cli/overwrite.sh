#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# overwrite.sh - nothing that exists is replaced without --force, and with it
# never the file that is read

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m.safetensors
cp m.safetensors keep
run 0 compress m.safetensors
cp m.bs keep.bs.ok

# an output that exists is refused and stays as it is
run 4 compress m.safetensors
says "m.bs exists already"
says_once
same m.bs keep.bs.ok
echo mine >m.bs
run 4 compress m.safetensors
is "m.bs" mine "$(cat m.bs)"
run 4 compress --dry-run m.safetensors
run 0 compress --force m.safetensors
same m.bs keep.bs.ok
echo mine >m.safetensors
run 4 decompress m.bs
is "m.safetensors" mine "$(cat m.safetensors)"
run 0 decompress --force m.bs
same m.safetensors keep

# one refusal does not keep the others from being done
model n.safetensors 10
run 4 compress m.safetensors n.safetensors
there n.bs
rm n.bs n.safetensors

# --force replaces a link, not what it leads to
mv m.bs m2.bs
echo target >target
ln -s target m.bs
run 4 compress m.safetensors
run 0 compress --force m.safetensors
is target target "$(cat target)"
[ -L m.bs ] && fail "m.bs is a link still"
same m.bs m2.bs
ln -s nowhere dangling.bs
run 4 compress m.safetensors -o dangling.bs
run 0 compress m.safetensors -o dangling.bs --force
gone nowhere
same m.bs dangling.bs

# neither a directory nor a device is replaced
mkdir dir.bs
echo x >dir
run 4 compress dir --force
run 4 compress m.safetensors -o /dev/null --force
[ -c /dev/null ] || fail "/dev/null is no device any more"
run 4 decompress m2.bs -o /dev/null --force

# the source under its own name, another name, a link
run 4 compress m.safetensors -o m.safetensors --force
run 4 compress m.safetensors -o ./m.safetensors --force
says "to be read"
ln m.safetensors hard
ln -s m.safetensors soft
run 4 compress m.safetensors -o hard --force
run 4 compress soft -o m.safetensors --force
run 4 decompress m.bs -o m.bs --force
same m.safetensors keep
same m.bs keep.bs.ok

# two outputs of one name: nothing is written at all
mkdir sub out
cp m.safetensors sub/m.safetensors
echo x >m
run 4 compress m.safetensors sub/m.safetensors -o out/ --force
says "would both become"
rm m.bs
run 4 compress m.safetensors m --force
run 4 compress m ./m --force
run 4 compress m m.safetensors --dry-run
gone m.bs
is "files in out" "" "$(ls out)"
cp keep.bs.ok m.bs
cp keep.bs.ok sub/m.bs
run 4 decompress m.bs sub/m.bs -o new/ --force
is "files in new" "" "$(ls new)"

# an output that is another SRC: that one would be lost
echo first >f
echo second >f.bs
run 4 compress f f.bs --force
is f.bs second "$(cat f.bs)"
run 4 compress f.bs f --force
is f.bs second "$(cat f.bs)"
gone f.bs.bs

# what a killed run with the same process number left is no obstacle
mkdir stale
model stale/m.safetensors
# shellcheck disable=SC2016 # for the inner shell
sh -c ': >"stale/.m.bs.tmp.$$.0" && exec "$1" compress stale/m.safetensors' \
	sh "$bigsmall" >"$log/out" 2>"$log/err" || fail "stale: $(cat "$log/err")"
there stale/m.bs

# a link to a device or a pipe is never replaced, one to a file is
mkfifo fifo
ln -s fifo to_fifo
ln -s /dev/null to_null
ln -s nowhere to_nothing
for link in to_fifo to_null; do
	run 4 compress stale/m.safetensors -o $link --force
	[ -L $link ] || fail "$link was replaced"
done
run 0 compress stale/m.safetensors -o to_nothing --force
there to_nothing
# a file that holds more than its size says
if [ -r /proc/cpuinfo ]; then
	run 1 compress /proc/cpuinfo -o cpuinfo.bs
	says "more bytes than its size says"
	gone cpuinfo.bs
fi

finish
