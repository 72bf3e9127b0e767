#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# hub_cache.sh - the Hugging Face cache works from the mount: blobs/SHA.bs shows
# as blobs/SHA, the relative links of a snapshot lead to it, and the hub's own
# code finds and loads the model offline, in a folder that it cannot write

. "$(dirname "$0")/lib.sh"

need_models
model=all-MiniLM-L6-v2
rev=0123456789abcdef0123456789abcdef01234567
repo=store/models--sentence-transformers--$model
mkdir -p "$repo/blobs" "$repo/refs" "$repo/snapshots/$rev"
printf %s "$rev" >"$repo/refs/main"
(cd "$corpus/models/$model" && find . -type f -printf '%P\n') >files
while read -r file; do
	sum=$(sha256sum "$corpus/models/$model/$file" | cut -d' ' -f1)
	cp "$corpus/models/$model/$file" "$repo/blobs/$sum"
	up=../..
	case $file in
	*/*)
		mkdir -p "$repo/snapshots/$rev/${file%/*}"
		up=../../..
		;;
	esac
	ln -s "$up/blobs/$sum" "$repo/snapshots/$rev/$file"
	case $file in
	*.safetensors)
		weights=$sum
		check "compress" "$bigsmall" compress "$repo/blobs/$sum"
		rm "$repo/blobs/$sum"
		;;
	esac
done <files
[ -f "$repo/blobs/$weights.bs" ] || die "there is no blobs/$weights.bs"
[ -e "$repo/snapshots/$rev/model.safetensors" ] &&
	die "the link leads somewhere without the mount"

mount_store "$work/store" "$work/mnt"
shown=mnt/${repo#store/}
[ "$(readlink "$shown/snapshots/$rev/model.safetensors")" = \
	"../../blobs/$weights" ] || fail "the link is not what it was"
[ -e "$shown/blobs/$weights.bs" ] && fail "the .bs is shown as well"
while read -r file; do
	cmp "$corpus/models/$model/$file" "$shown/snapshots/$rev/$file" ||
		fail "$file differs"
done <files
sum=$(sha256sum "$shown/blobs/$weights" | cut -d' ' -f1)
[ "$sum" = "$weights" ] || fail "blobs/$weights has the SHA-256 $sum"
check "hub" "$python" "$here/hub_load.py" "$work/mnt" \
	"sentence-transformers/$model" "$corpus/models/$model"
finish
