#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# interrupt.sh - a signal in the middle of the work ends it with 130, and
# leaves neither an output nor a temporary file

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model small.safetensors
truncate -s 1G big
mkdir in out
mv big in/

# interrupted SIGNAL ARGUMENT...: in the middle of writing to out/
interrupted() {
	sig=$1
	shift
	python3 "$here/during.py" out "$sig" "$bigsmall" "$@" \
		>"$log/out" 2>"$log/err"
	code=$?
	is "exit of $1 by $sig" 130 "$code"
	says "interrupted; nothing unfinished was left behind"
	is "files left by $1, $sig" "$left" "$(ls -A out)"
}

left=
for sig in INT TERM HUP; do
	interrupted $sig compress in/big -o out/ -j 2
done
run 0 compress in/big
for sig in INT TERM; do
	interrupted $sig decompress in/big.bs -o out/ -j 2
done
# the second SRC is never begun
interrupted INT compress in/big small.safetensors -o out/

# a bundle, and the directory that is restored of one
mkdir in/dir
mv in/big in/dir/
for sig in INT TERM; do
	interrupted $sig compress in/dir -o out/dir.bs -j 2
done
run 0 compress in/dir
interrupted INT decompress in/dir.bs -o out/dir -j 2
mv in/dir/big in/

# an output that stood there before is still the same
echo mine >out/big.bs
left=big.bs
interrupted INT compress in/big -o out/ --force
is out/big.bs mine "$(cat out/big.bs)"

finish
