#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# format.sh - all C and CUDA is formatted as .clang-format says

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"
need clang-format clang-format

tree_files '*.c' '*.h' '*.cu' >"$work/files" || exit
[ -s "$work/files" ] || fail "there are no C files"
xargs clang-format --dry-run -Werror <"$work/files" 2>"$work/err" || {
	grep -m 20 'error:' "$work/err"
	fail "clang-format -i would change these lines (20 at most are shown)"
}
finish
