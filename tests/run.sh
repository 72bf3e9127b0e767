#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - install what the tests need, build, run all of them
#
# usage: sh tests/run.sh [CTEST OPTION]...	e.g. -L unit, -R fs/damage
#
# Five builds: as released, with everything; with AddressSanitizer and
# UndefinedBehaviorSanitizer the unit tests, the fuzzers' corpora and the mount;
# with ThreadSanitizer what has threads; for aarch64 the unit tests and the
# corpora, under emulation; by clang what a compiler can change.  With options,
# the first alone.
# Exit 0: every test passed, or was skipped and said why.

set -eu
unset CDPATH

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
sh packaging/deps.sh build run test

jobs=$(nproc)

# build_and_test PRESET [CTEST OPTION]...
build_and_test() {
	preset=$1
	shift
	echo "== $preset"
	cmake --preset "$preset" >/dev/null
	cmake --build --preset "$preset" -j "$jobs" >"build/$preset.log" 2>&1 ||
		{
			cat "build/$preset.log"
			exit 1
		}
	ctest --test-dir "build/$preset" --output-on-failure -j "$jobs" \
		--no-tests=error "$@"
}

# The machine may lack them: no root, another distribution, a mirror without
# arm64.
test_aarch64() {
	if [ "$(uname -m)" != x86_64 ]; then
		echo "== cross-aarch64: skipped: it is made on x86-64 only"
	elif sh packaging/deps.sh cross &&
		sh tests/cross/sysroot.sh build/aarch64; then
		# Without a name of kernels they are the first table's.
		build_and_test cross-aarch64 -L 'unit|fuzz' \
			-E 'unit/test_(chunk|golden)$'
	else
		echo "== cross-aarch64: skipped: its compiler or libraries" \
			"cannot be had"
	fi
}

if [ $# -gt 0 ]; then
	build_and_test test "$@"
	exit
fi
build_and_test asan -L 'unit|fuzz|fs'
build_and_test tsan -R 'unit/test_cache|unit/test_uring|fs/|cli/interrupt'
test_aarch64
# Not what takes long by what it writes or waits for.
build_and_test clang -L 'unit|fuzz|golden|cli' \
	-E 'cli/(benchmark|interrupt|memory|replace|replace_killed|sparse)$'
build_and_test test
