#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deps.sh - install what is missing, from Debian's packages
#
# usage: sh packaging/deps.sh [build] [run] [test] [cross]
#
#	build	compilers and libraries that the programs are made from
#	run	what the mount and the quickstart need besides
#	test	what the tests need besides
#	cross	what the preset cross-aarch64 needs besides
#
# Without a word: build.  Nothing is asked of the network if nothing is
# missing.  Exit 3: something is missing and cannot be installed.

set -eu

build="gcc libc6-dev make cmake pkg-config libzstd-dev libxxhash-dev
	libssl-dev libcjson-dev libpcre2-dev libutf8proc-dev
	libfuse3-dev liburing-dev"
run="fuse3 python3 python3-venv ca-certificates"
# libclang-rt is what clang's sanitizers and libFuzzer are linked from.
test="libcmocka-dev clang clang-format libclang-rt-14-dev squashfs-tools
	squashfuse zstd attr mandoc shellcheck systemd
	bash zsh fish rsync git busybox"
cross="gcc-aarch64-linux-gnu qemu-user"

want=
for set in "${@:-build}"; do
	case $set in
	build) want="$want $build" ;;
	run) want="$want $run" ;;
	test) want="$want $test" ;;
	cross) want="$want $cross" ;;
	*)
		echo "deps.sh: there is no set $set: build, run, test," \
			"cross" >&2
		exit 2
		;;
	esac
done

missing=
for package in $want; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" \
		2>/dev/null || :)
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps.sh: missing:$missing. Install them as root, or" \
			"install sudo." >&2
		exit 3
	fi
	as_root=sudo
fi
echo "deps.sh: installing$missing" >&2
# shellcheck disable=SC2086 # lists of package names
if ! { $as_root apt-get update -qq &&
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends $missing >/dev/null; }; then
	echo "deps.sh: apt-get could not install$missing." >&2
	exit 3
fi
