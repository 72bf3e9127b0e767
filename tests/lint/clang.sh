#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# clang.sh - clang has no warning about the libraries and the programs

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"
need clang clang

dir=$build/lint-clang
{
	cmake --preset clang -B "$dir" -DBIGSMALL_TESTS=OFF &&
		cmake --build "$dir" -j 2
} >"$work/log" 2>&1 || {
	grep -E -A 4 'error:|Error ' "$work/log" | head -n 40
	fail "the clang preset does not build"
}
[ -x "$dir/bin/bigsmall" ] || fail "there is no bigsmall in $dir/bin"
finish
