#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sysroot.sh - the arm64 libraries to build against, in a folder of their own
#
# usage: sh tests/cross/sysroot.sh DIR
#
# apt downloads Debian's packages, by lists of its own below DIR, and they are
# unpacked there; nothing is installed.  As a second architecture of the
# machine, libraries would have to be of the same versions in both, and upgrade
# what is installed.  Nothing is asked of the network if DIR is complete.
# Exit 3: the packages cannot be had.

set -eu

packages="libc6 libc6-dev linux-libc-dev libgcc-s1 libcrypt-dev
	libzstd1 libzstd-dev libxxhash0 libxxhash-dev libssl3 libssl-dev
	libcjson1 libcjson-dev libpcre2-8-0 libpcre2-dev libutf8proc2 libutf8proc-dev libcmocka0 libcmocka-dev libfuse3-3 libfuse3-dev
	liburing2 liburing-dev"

[ $# -eq 1 ] || {
	echo "usage: sh tests/cross/sysroot.sh DIR" >&2
	exit 2
}
mkdir -p "$1"
dir=$(cd "$1" && pwd)
wanted=$(echo "$packages" | tr -s '[:space:]' ' ')
if [ -f "$dir/complete" ] && [ "$(cat "$dir/complete")" = "$wanted" ]; then
	exit 0
fi

# apt_get WORD...: for arm64, with lists and packages below $dir/apt
apt_get() {
	apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
		-o APT::Sandbox::User="$(id -un)" \
		-o Dir::State="$dir/apt" -o Dir::State::status="$dir/apt/status" \
		-o Dir::Cache="$dir/apt/cache" "$@"
}

rm -rf "$dir/apt" "$dir/root"
mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" \
	"$dir/apt/debs" "$dir/root"
: >"$dir/apt/status"
cd "$dir/apt/debs"
# shellcheck disable=SC2086 # a list of package names
if ! { apt_get update && apt_get download $packages >/dev/null; }; then
	echo "sysroot.sh: apt-get could not download Debian's arm64" \
		"libraries." >&2
	exit 3
fi
for package in *.deb; do
	dpkg-deb -x "$package" "$dir/root"
done
rm -rf "$dir/apt"
echo "$wanted" >"$dir/complete"
