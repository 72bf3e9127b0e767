#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# replace.sh - directories of models are compressed in place and mounted over
# themselves: every file reads as before, by any name and link; a bundle among
# them, too; what is mounted cannot be replaced; unmounted, it can be undone

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

rev=0123456789abcdef
for store in store orig; do
	mkdir -p $store/m/sub $store/hub/blobs/xx $store/hub/x/blobs \
		$store/hub/x/snapshots/$rev $store/empty
done
python3 "$make_model" store/m/a.safetensors 900 1
python3 "$make_model" store/m/sub/b 300 2
python3 "$make_model" store/hub/blobs/xx/1234 300 3
echo '{}' >store/m/config.json
ln -s ../../blobs/xx/1234 store/hub/x/blobs/etag
ln -s ../../blobs/etag store/hub/x/snapshots/$rev/model.safetensors
ln -s sub/b store/m/link
chmod 640 store/m/a.safetensors
touch -d '2001-02-03 04:05:06.789' store/m/a.safetensors
cp -a store/. orig/

# seen DIR: names, types, modes, times of files, what links say, SHA-256
seen() {
	find "$1" -type d -printf '%P %y\n' -o \
		-type l -printf '%P %l\n' -o -printf '%P %y %m %s %T@\n' | sort
	find "$1" ! -type d -printf '%P\n' | sort | while read -r file; do
		sha256sum <"$1/$file"
	done
}
seen orig >want

"$bigsmall" compress --replace store >out || fail "compress: exit $?"
begin_mount "$work/store"
seen store >have
diff want have || fail "the mount shows another tree"
for command in compress decompress; do
	for dir in store store/m store/m/a.safetensors; do
		"$bigsmall" $command --replace $dir >out 2>err
		is "exit of $command --replace $dir" 4 $?
		grep -q "mounted by bigsmall; unmount it first: bigsmall umount $work/store\$" err ||
			fail "it said: $(cat err)"
	done
done
# from the mount another copy can be made
"$bigsmall" compress store/m -o copy/ >out || fail "compress to copy/: exit $?"
[ -f copy/a.bs ] || fail "there is no copy/a.bs"
end_mount "$work/store"

# a mount further down is found as well
begin_mount "$work/store/m"
"$bigsmall" compress --replace store >out 2>err
is "exit over a mount below" 4 $?
grep -q "store/m is mounted by bigsmall" err || fail "it said: $(cat err)"
end_mount "$work/store/m"

"$bigsmall" decompress --replace store >out || fail "decompress: exit $?"
seen store >have
diff want have || fail "decompress --replace does not undo it"

# bundles, which a mount shows as the directories that they were
mkdir all
"$bigsmall" compress store/m -o all/m.bs >out || fail "compress m: exit $?"
"$bigsmall" compress store/hub -o all/hub.bs >out || fail "hub: exit $?"
begin_mount "$work/all" "$work/mnt"
rm -rf orig/empty
seen orig >want
seen mnt >have
diff want have || fail "the bundles show another tree"
end_mount
finish
