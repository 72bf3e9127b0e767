#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# hub_in_place.sh - a Hugging Face cache is compressed in place and mounted over
# itself: the hub's library and transformers find and load a model by its name,
# unmodified, offline, and online as long as nothing is newer; its links are in
# two steps, to blobs that repositories share; unmounted, it is undone

. "$(dirname "$0")/lib.sh"

need_models
model=all-MiniLM-L6-v2
rev=0123456789abcdef0123456789abcdef01234567
hub=$work/hf/hub
repo=$hub/models--sentence-transformers--$model
mkdir -p "$hub/blobs" "$repo/blobs" "$repo/refs" "$repo/snapshots/$rev"
printf %s "$rev" >"$repo/refs/main"
(cd "$corpus/models/$model" && find . -type f -printf '%P\n') >files
while read -r file; do
	sum=$(sha256sum "$corpus/models/$model/$file" | cut -d' ' -f1)
	part=$(printf %.2s "$sum")
	mkdir -p "$hub/blobs/$part" "$(dirname "$repo/snapshots/$rev/$file")"
	cp "$corpus/models/$model/$file" "$hub/blobs/$part/$sum"
	up=../..
	[ "${file#*/}" = "$file" ] || up=../../..
	ln -s "../../blobs/$part/$sum" "$repo/blobs/$sum"
	ln -s "$up/blobs/$sum" "$repo/snapshots/$rev/$file"
	case $file in
	model.safetensors) weights=$hub/blobs/$part/$sum ;;
	esac
done <files

# as the snapshot it would be nothing: the sentence says what to give instead
"$bigsmall" compress --replace "$repo/snapshots/$rev" >out 2>err ||
	fail "compress of the snapshot: exit $?"
grep -q "give $hub\$" err || fail "it said: $(cat err)"
"$bigsmall" compress --replace "$repo" >out 2>err ||
	fail "compress of the repository: exit $?"
grep -q "give $hub\$" err || fail "it said: $(cat err)"
[ -f "$weights" ] || die "a file outside was touched"

check "compress" "$bigsmall" compress --replace "$hub"
[ -f "$weights.bs" ] || die "there is no $weights.bs"
[ -e "$weights" ] && die "$weights is still there"
mount_store "$hub" "$hub"
while read -r file; do
	cmp "$corpus/models/$model/$file" "$repo/snapshots/$rev/$file" ||
		fail "$file differs"
done <files
HF_HOME=$work/hf check "hub" "$python" "$here/hub_load.py" - \
	"sentence-transformers/$model" "$corpus/models/$model"
HF_HOME=$work/hf check "hub, online" "$python" "$here/hub_online.py" \
	"sentence-transformers/$model" "$rev"
unmount "$hub"

check "decompress" "$bigsmall" decompress --replace "$hub"
cmp "$corpus/models/$model/model.safetensors" "$weights" ||
	fail "it was not undone"
[ -z "$(find "$hub" -name '*.bs')" ] || fail "a .bs is left"
finish
