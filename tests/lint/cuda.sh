#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cuda.sh - nvcc has no warning about the decoder for GPUs, for any of its
# architectures, its names are ours; and without a toolkit one line says so, and
# all else is built

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"
need nm binutils

# configure DIR: $work/log is what it says
configure() {
	cmake --preset cuda -B "$1" -DBIGSMALL_TESTS=OFF >"$work/log" 2>&1 ||
		{
			tail -n 20 "$work/log"
			fail "the cuda preset does not configure in $1"
		}
}

CUDACXX=/nonexistent/nvcc configure "$work/none"
line='-- CUDA: no toolkit found, skipped'
[ "$(grep -c -x -e "$line" "$work/log")" -eq 1 ] || {
	cat "$work/log"
	fail "without a toolkit it does not say: $line"
}
cmake --build "$work/none" --target help >"$work/targets"
grep -qw bigsmall "$work/targets" || fail "without a toolkit nothing is built"
if grep -w bigsmall_cuda "$work/targets"; then
	fail "without a toolkit there is a target for it"
fi

dir=$build/lint-cuda
configure "$dir"
if grep 'CUDA: .* skipped' "$work/log" >"$work/why"; then
	[ "$n_failed" -eq 0 ] || finish
	skip "$(sed 's/^-- //' "$work/why")"
fi
cmake --build "$dir" -j 2 --target bigsmall_cuda >"$work/log" 2>&1 || {
	grep -E -A 4 'error|warning' "$work/log" | head -n 40
	fail "the cuda preset does not build"
}
nm -g --defined-only -P "$dir/codec/cuda/libbigsmall_cuda.a" |
	awk 'NF > 1 && $2 != "V" { print $1 }' >"$work/names"
[ -s "$work/names" ] || fail "libbigsmall_cuda.a defines nothing"
if grep -v '^bs_' "$work/names"; then
	fail "these globals of libbigsmall_cuda.a do not begin with bs_"
fi
finish
