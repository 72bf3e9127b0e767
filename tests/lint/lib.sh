# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# lib.sh - what the tests of the tree itself share; sourced, not run
#
# The working directory is the root of the tree.  Gives $bin, $build (absolute)
# and $work (a folder of its own, removed at the end), and the words below.  A
# test ends with `finish`.

set -u

LC_ALL=C.UTF-8
export LC_ALL
n_failed=0

# fail SENTENCE...: note it and go on
fail() {
	echo "FAILED: $*"
	n_failed=$((n_failed + 1))
}

# skip SENTENCE...: the machine lacks something
skip() {
	echo "skipped: $*"
	exit 77
}

# need PROGRAM PACKAGE
need() {
	command -v "$1" >/dev/null || skip "$1 is not installed (package $2)"
}

finish() {
	[ "$n_failed" -eq 0 ] && exit 0
	echo "$n_failed checks failed"
	exit 1
}

absolute() {
	case $1 in
	/*) echo "$1" ;;
	*) echo "$PWD/$1" ;;
	esac
}

# tree_files [GLOB]...: the files that are, or are about to be, committed;
# those that are gone from the working tree are not named.
tree_files() {
	if [ -e .git ] && command -v git >/dev/null; then
		git -c safe.directory='*' ls-files -co --exclude-standard \
			-- "$@" | sort -u |
			while read -r file; do
				[ ! -f "$file" ] || echo "$file"
			done
	else
		skip "this is not a checkout of the repository"
	fi
}

# cache_value NAME: what the build was configured with
cache_value() {
	sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"
}

if [ ! -f codec/bigsmall.h ]; then
	echo "run this from the root of the tree"
	exit 1
fi
# shellcheck disable=SC2034 # for the tests
bin=$(absolute "${BIGSMALL_BIN:-build/test/bin}")
build=$(absolute "${BIGSMALL_BUILD:-build/test}")
work=$(mktemp -d "${TMPDIR:-/tmp}/bigsmall-lint.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
