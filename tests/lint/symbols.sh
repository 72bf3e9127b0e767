#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# symbols.sh - names of libraries say whose they are, and no more are exported
# than are declared
#
# Every global of libbigsmall.a begins with bs_, of libbigsmallfs.a with bsfs_.
# The shared library exports what libbigsmall.map lists, and the map lists what
# bigsmall.h declares.  libbigsmall.a calls nothing that reads files, prints,
# exits or starts threads, and has no variables but the choice of kernels.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"
need nm binutils
need objdump binutils

# globals LIBRARY: the names it defines; sanitizers' own are not ours
globals() {
	nm -g --defined-only -P "$1" | awk 'NF > 1 { print $1 }' |
		grep -Ev '^(__odr_asan|__asan_|__tsan_|_GLOBAL__)' | sort -u
}

# prefix LIBRARY PREFIX
prefix() {
	if [ ! -f "$1" ]; then
		fail "$1 was not built"
		return
	fi
	globals "$1" >"$work/names"
	[ -s "$work/names" ] || fail "$1 defines nothing"
	if grep -v "^$2" "$work/names"; then
		fail "these globals of $1 do not begin with $2"
	fi
}

# same_lists WHAT FILE FILE
same_lists() {
	diff "$2" "$3" >"$work/diff" && return
	fail "$1"
	cat "$work/diff"
}

lib=$build/codec/libbigsmall.a
prefix "$lib" bs_
[ ! -d fs ] || prefix "$build/fs/libbigsmallfs.a" bsfs_
[ ! -d exec ] || prefix "$build/exec/libbigsmallexec.a" bsx_

sed -n 's/^[[:space:]]*\(bs_[a-z0-9_]*\);.*/\1/p' codec/libbigsmall.map |
	sort >"$work/map"
${CC:-cc} -E -P codec/bigsmall.h | grep -o '\<bs_[a-z0-9_]* *(' |
	tr -d ' (' | sort -u >"$work/header"
nm -D --defined-only -P "$build/codec/libbigsmall.so" |
	awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }' |
	sort >"$work/exports"
[ -s "$work/header" ] || fail "bigsmall.h declares nothing"
same_lists "libbigsmall.map (<) and libbigsmall.so (>) differ" \
	"$work/map" "$work/exports"
same_lists "bigsmall.h (<) and libbigsmall.map (>) differ" \
	"$work/header" "$work/map"

# $BIGSMALL_CPU is read, and an unknown name is fatal, with test hooks only.
denied='main|open(at)?(64)?|fopen(64)?|fdopen|read|p?readv?(64)?|write'
denied="$denied|p?writev?(64)?|close|mmap(64)?|ioctl|v?printf|puts|putchar"
denied="$denied|fputs|fwrite|v?fprintf|perror|syslog|stdout|stderr|_?exit"
denied="$denied|fork|time|clock_gettime|pthread_.*|thrd_.*|signal|sigaction"
denied="$denied|__v?f?printf_chk"
[ "$(cache_value BIGSMALL_TEST_HOOKS)" = ON ] || denied="$denied|getenv|abort"
if nm -u -P "$lib" | awk '{ print $1 }' | grep -Ex "$denied"; then
	fail "libbigsmall.a must not call these"
fi

case $(cache_value CMAKE_C_FLAGS) in
*-fsanitize*) ;;
*)
	objdump -t "$lib" | awk '
		/file format/ { object = $1 }
		object != "kernels.c.o:" && NF > 4 &&
			$(NF - 2) ~ /^\.(data|bss|tdata|tbss)(\..*)?$/ &&
			$(NF - 2) !~ /^\.data\.rel\.ro/ &&
			$NF != $(NF - 2) { print object, $NF }
		' >"$work/variables"
	if [ -s "$work/variables" ]; then
		cat "$work/variables"
		fail "libbigsmall.a has variables that outlive a call"
	fi
	;;
esac
finish
