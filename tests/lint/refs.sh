#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# refs.sh - the tree stands by itself, and is laid out as it should be
#
# No file names a path of somebody's machine, a host that packages or models
# come from, or work left undone; none is overlong; every source says its
# licence; the folders at the top are the fixed ones.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

tree_files >"$work/all" || exit
grep -vE '\.(bs|ecc|safetensors|seed|bin)$|^tests/(fuzz/corpus|golden/(good|bad|upstream|future))/' \
	"$work/all" >"$work/text"
[ -s "$work/text" ] || fail "there are no files"

# deny WHY PATTERN: no text file has it.  A pattern is written so that it does
# not find itself.
deny() {
	if tr '\n' '\0' <"$work/text" |
		xargs -0 grep -nIE "$2" >"$work/found"; then
		head -n 20 "$work/found"
		fail "$1"
	fi
}

deny "a path outside the tree" '\.\./[s]hared'
deny "a path of one machine" \
	'(^|[^A-Za-z0-9_.*}~-])/([w]ork|[r]oot|[h]ome/[a-z]+)(/|[^A-Za-z0-9_]|$)'
deny "a host that packages or models are fetched from" \
	'(py[p]i|pythonho[s]ted|np[m]js|crates)\.(org|io)|deb\.deb[i]an\.org|huggingfac[e]\.co|static\.rust-lan[g]|proxy\.golan[g]'
deny "work left undone" '\b([T]ODO|[F]IXME|[X]XX|[H]ACK)\b'

grep -E '\.(c|h|cu|cuh|sh|py|cmake)$|(^|/)CMakeLists\.txt$' "$work/text" \
	>"$work/sources"
while read -r file; do
	n=$(wc -l <"$file")
	[ "$n" -le 1000 ] || fail "$file has $n lines; 1000 at most"
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
		fail "$file does not begin with its licence"
done <"$work/sources"

sed -n 's,/.*,,p' "$work/all" | sort -u |
	grep -vxE '\.ci|\.github|codec|docs|exec|fs|packaging|tests|tools' \
		>"$work/found"
[ ! -s "$work/found" ] ||
	fail "no folder of the layout: $(tr '\n' ' ' <"$work/found")"
grep -v / "$work/all" |
	grep -vxE '\..*|CMakeLists\.txt|CMakePresets\.json|LICENSE|README\.md' \
		>"$work/found"
[ ! -s "$work/found" ] ||
	fail "does not belong at the top: $(tr '\n' ' ' <"$work/found")"
finish
