#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - run every fuzz target for some seconds, from its committed corpus
#
# usage: sh tests/fuzz/run.sh SECONDS [TARGET...]
#
# Needs clang with libFuzzer.  Programs, new inputs and findings go to
# $BIGSMALL_FUZZ_DIR, by default build/fuzz-run.  One target after another, one
# core.  Exit 0: nothing found; 1: a finding, named; 77: no clang here.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${BIGSMALL_FUZZ_DIR:-$root/build/fuzz-run}
cc=${FUZZ_CC:-clang}

if [ $# -lt 1 ]; then
	echo "usage: sh tests/fuzz/run.sh SECONDS [TARGET...]" >&2
	exit 2
fi
seconds=$1
shift

mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$root"
cat >"$out/probe.c" <<'PROBE'
int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n);
int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n)
{
	return p && n > 1u << 30 ? 1 : 0;
}
PROBE
if ! "$cc" -fsanitize=fuzzer,address,undefined "$out/probe.c" \
	-o "$out/probe" 2>/dev/null; then
	echo "fuzz: skipped: $cc with libFuzzer is not installed" >&2
	exit 77
fi

if [ $# -eq 0 ]; then
	for target in "$here"/fuzz_*.c; do
		target=${target##*/}
		set -- "$@" "${target%.c}"
	done
fi

sources=$(find codec -name '*.c')
rc=0
for target; do
	# shellcheck disable=SC2086 # a list of our own file names
	"$cc" -std=gnu11 -D_GNU_SOURCE -g -O1 \
		-fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -Icodec \
		"$here/$target.c" $sources \
		-lzstd -lcrypto -lcjson -lm -o "$out/$target"
	mkdir -p "$out/corpus/$target" "$out/findings"
	echo "$target: $seconds seconds"
	if "$out/$target" -max_total_time="$seconds" -max_len=8192 \
		-timeout=20 -rss_limit_mb=2048 \
		-artifact_prefix="$out/findings/$target-" \
		"$out/corpus/$target" "$here/corpus/$target" \
		>"$out/$target.log" 2>&1; then
		tail -n 1 "$out/$target.log"
	else
		tail -n 30 "$out/$target.log" >&2
		echo "$target: a finding; its input is in $out/findings" >&2
		rc=1
	fi
done
exit $rc
