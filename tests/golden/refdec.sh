#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The document is complete and the golden files follow it: refdec.py, written
# from docs/format.md alone, decodes every good one to the noted bytes, names
# and fields, refuses every other one with the noted result, and decodes what
# the program under test makes of small files.

set -u
cd tests/golden || exit 1

for need in python3 zstd; do
	if ! command -v "$need" >/dev/null; then
		echo "skipped: refdec.py needs $need"
		exit 77
	fi
done

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0
fail() {
	echo "FAILED: $*"
	failed=1
}

# encodes FILE [LEVEL]: what the program makes of it is decoded to it
encodes() {
	file=$1
	"$BIGSMALL_BIN/bigsmall" compress "$@" -o "$tmp/x.bs" \
		>"$tmp/said" 2>&1 || {
		fail "compress $*"
		cat "$tmp/said"
		return
	}
	if ! python3 refdec.py "$tmp/x.bs" -o "$tmp/out" ||
		! cmp "$file" "$tmp/out"; then
		fail "$* decodes wrong"
	fi
	rm -f "$tmp/x.bs" "$tmp/out"
}

n=0
for file in good/*.bs; do
	stem=${file%.bs}
	if ! python3 refdec.py "$file" -o "$tmp/out" --list >"$tmp/list"; then
		fail "$file is refused"
		continue
	fi
	cmp "$tmp/list" "$stem.list" || fail "$file has other members"
	# A file of that name, or a tree of such files: sha256sum checks both.
	if [ -d "$tmp/out" ]; then
		(cd "$tmp/out" && find . -type f | wc -l) >"$tmp/n"
		# Hard links are files of the tree, not of the list.
		want=$(grep -c '^[fh] ' "$stem.list")
		[ "$(cat "$tmp/n")" -eq "$want" ] || fail "$file: files are missing"
		[ "$want" -eq 0 ] || sums=$PWD/$stem.sha256
		[ "$want" -eq 0 ] || (cd "$tmp/out" && sha256sum -c --quiet "$sums") ||
			fail "$file decodes to other bytes"
		chmod -R u+rwX "$tmp/out"
	else
		[ "$(sha256sum <"$tmp/out" | cut -c1-64)" = \
			"$(cut -c1-64 "$stem.sha256")" ] ||
			fail "$file decodes to other bytes"
	fi
	rm -rf "$tmp/out"
	n=$((n + 1))
done
[ "$n" -ge 20 ] || fail "only $n good files"

for folder in bad future; do
	python3 refdec.py --results "$folder"/*.bs | LC_ALL=C sort >"$tmp/results"
	diff "$folder/expect.txt" "$tmp/results" ||
		fail "$folder: results other than the noted ones"
	[ "$(wc -l <"$tmp/results")" -ge 5 ] || fail "$folder: too few files"
done
# A refusal is exit 1 and one sentence.
python3 refdec.py bad/magic.bs >"$tmp/said" 2>&1
status=$?
if [ "$status" -ne 1 ] || ! grep -q '^BS_ERR_MAGIC: ' "$tmp/said"; then
	fail "bad/magic.bs is not refused in a sentence"
fi

# What the encoder makes today, of each dtype and at each level.
if [ -n "${BIGSMALL_BIN:-}" ]; then
	python3 make.py --inputs "$tmp/in" || fail "make.py"
	for file in "$tmp/in"/*; do
		encodes "$file"
		case $file in
		*scales* | *columns*)
			encodes "$file" --inference
			encodes "$file" --storage
			;;
		esac
	done
fi
exit "$failed"
