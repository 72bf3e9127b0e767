#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# bundle_links.sh - in a bundle, a link whose target lies inside stays a link,
# one that points outside is followed, and what no bundle can hold is refused
# with a sentence before anything is written; hostile bundles are not restored

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

mkdir -p hub/blobs/xx hub/m/blobs hub/m/snapshots/r/sub out/dir
model hub/blobs/xx/weights 300
echo '{}' >hub/m/blobs/config
ln -s ../../blobs/xx/weights hub/m/blobs/etag
ln -s ../../blobs/etag hub/m/snapshots/r/model.safetensors
ln -s ../../../blobs/config hub/m/snapshots/r/sub/config.json
echo far >out/dir/file
ln -s file out/dir/near
ln -s "$work/out/dir" hub/m/dir
ln -s "$work/hub/m/blobs" hub/m/absolute
ln -s ../../hub/m/blobs/config hub/m/around

# The whole hub: every link stays one but those to out/.
run 0 compress hub -o hub.bs
says 'around'
run 0 decompress hub.bs -o back
is 'two-step link' ../../blobs/xx/weights "$(readlink back/m/blobs/etag)"
is 'snapshot link' ../../blobs/etag \
	"$(readlink back/m/snapshots/r/model.safetensors)"
is 'absolute link' blobs "$(readlink back/m/absolute)"
is 'link around' blobs/config "$(readlink back/m/around)"
same hub/blobs/xx/weights back/m/snapshots/r/model.safetensors
[ -L back/m/dir ] && fail "a link out is not followed"
is 'followed directory' far "$(cat back/m/dir/file)"
is 'link in it' far "$(cat back/m/dir/near)"

# One model: what lies beside it is followed and stored under the link's name.
run 0 compress hub/m -o m.bs
run 0 decompress m.bs -o back2
[ -L back2/m/blobs/etag ] && fail "a link out of the model is kept"
same hub/blobs/xx/weights back2/blobs/etag
is 'link inside' ../../blobs/etag "$(readlink back2/snapshots/r/model.safetensors)"

# refused WHAT SENTENCE: bad/ cannot become a bundle
refused() {
	run 4 compress bad -o bad.bs
	says "$2"
	gone bad.bs
	rm -rf bad
	mkdir bad
	echo >bad/f
}
mkdir bad
ln -s /nowhere/at/all bad/l
refused dangling 'leads out of the directory to /nowhere/at/all'
ln -s l bad/l
refused loop 'leads to itself'
ln -s m bad/l
ln -s l bad/m
refused 'loop of two' 'leads to itself'
ln -s .. bad/l
refused 'cycle' 'is in itself'
mkfifo bad/pipe
refused pipe 'pipe, a socket or a device'

# A container that some other hand made: it is refused, and nothing is made.
n=0
for file in "$here"/../golden/bad/bundle-*.bs; do
	run 1 decompress "$file" -o hostile
	says "bundle"
	gone hostile
	n=$((n + 1))
done
[ $n -ge 40 ] || fail "only $n hostile bundles"
[ -z "$(find . -name '.*.tmp.*')" ] || fail "temporary files are left"

# A good bundle with damage inside: nothing is made either.
cp m.bs damaged.bs
printf 'XXXXXXXX' | dd of=damaged.bs bs=1 seek=60000 conv=notrunc 2>/dev/null
run 1 decompress damaged.bs -o damaged
says 'in it'
gone damaged
[ -z "$(find . -name '.*.tmp.*')" ] || fail "temporary files are left"
finish
