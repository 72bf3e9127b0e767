#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# broken_disk.sh - --replace when the system fails: whatever call it is that
# fails, nothing is removed, nothing is left behind, and the next run ends it

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

command -v strace >/dev/null || skip "strace is not installed"
strace -o /dev/null true 2>/dev/null || skip "strace may not trace here"
# A leak cannot be looked for in what is traced.
ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
export ASAN_OPTIONS

mkdir m
model keep 600
cp keep m/a.safetensors

# broken CALL ERROR N COMMAND FROM: that the N-th such call fails is noticed,
# and m holds FROM afterwards
broken() {
	strace -f -qq -o /dev/null -e trace="$1" \
		-e inject="$1:error=$2:when=$3" \
		"$bigsmall" "$4" --replace -j 1 "$5" >"$log/out" 2>"$log/err"
	is "exit, $4, $1 $2 $3" 3 $?
	there "$5"
	[ -z "$(find m -name '.*')" ] || fail "left by $4, $1 $2 $3: $(ls -A m)"
}

# fsync is called for what was written, twice, then for its directory
for n in 1 2 3; do
	broken fsync EIO $n compress m/a.safetensors
	rm -f m/a.bs
done
broken renameat2 EIO 1 compress m/a.safetensors
broken unlink EPERM 1 compress m/a.safetensors
run 0 compress --replace m
gone m/a.safetensors
for n in 1 2 3; do
	broken fsync EIO $n decompress m/a.bs
	rm -f m/a.safetensors
done
broken renameat2 EIO 1 decompress m/a.bs
broken unlink EPERM 1 decompress m/a.bs

# both are there: the directory is written back before one goes
for n in 1 2; do
	broken fsync EIO $n compress m/a.safetensors
	broken fsync EIO $n decompress m/a.bs
done
there m/a.safetensors m/a.bs
run 0 decompress --replace m
same m/a.safetensors keep
gone m/a.bs

# whichever read of a bundle fails, it is not taken for a file without bytes
mkdir b
echo text >b/file
run 0 compress b
mv b keep.d
cp b.bs keep.bs
for n in 1 2 3 4 5 6; do
	for way in --replace '-o x'; do
		rm -rf b x
		# shellcheck disable=SC2086 # words
		strace -f -qq -o /dev/null -P b.bs -e trace=pread64 \
			-e inject=pread64:error=EIO:when=$n \
			"$bigsmall" decompress b.bs $way >"$log/out" 2>"$log/err"
		is "a bundle, read $n, $way" "" "$(find b x -type f -size 0 2>&1 |
			grep -v 'No such')"
		cmp -s b.bs keep.bs || fail "b.bs is lost: read $n, $way"
	done
done

# the directory of a bundle: one that may not be written to is removed as well;
# root may write to any
mkdir -p d/sub
echo text >d/sub/file
chmod 555 d/sub
run 0 compress d
mkdir e
who=
if [ "$(id -u)" -eq 0 ]; then
	who='setpriv --reuid=65534 --regid=65534 --clear-groups'
	chmod 755 "$work"
	chown 65534 e
fi
# shellcheck disable=SC2086 # words
$who strace -f -qq -o /dev/null -e trace=syncfs -e inject=syncfs:error=EIO \
	"$bigsmall" decompress d.bs -o e/d >"$log/out" 2>"$log/err"
is 'exit, a directory' 3 $?
is 'files left, a directory' '' "$(ls -A e)"
finish
