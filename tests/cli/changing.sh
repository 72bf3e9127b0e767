#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# changing.sh - a source that changes while it is read is noticed: exit 1, a
# sentence, no output; and the change itself is untouched

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

mkdir out
truncate -s 1G big

# changed WHAT COMMAND: the source is changed in the middle by COMMAND
changed() {
	python3 "$here/during.py" out "$2" "$bigsmall" compress big \
		-o out/ -j 2 >"$log/out" 2>"$log/err"
	is "exit, $1" 1 $?
	says "it changed while it was being read"
	says_once
	is "files left, $1" "" "$(ls -A out)"
}

changed overwritten \
	'printf x | dd of=big bs=1 seek=1073741000 conv=notrunc status=none'
is "the byte" x "$(tail -c +1073741001 big | head -c 1)"
changed grown 'printf more >>big'
changed truncated 'truncate -s 1000 big'
is size 1000 "$(stat -c %s big)"
truncate -s 1G big
changed touched 'touch -d "1 hour ago" big'

# replaced by another file of that name: what was opened is what is stored
python3 "$here/during.py" out 'echo other >new && mv new big' \
	"$bigsmall" compress big -o out/ -j 2 >"$log/out" 2>"$log/err"
code=$?
case $code in
0)
	run 0 info --json out/big.bs
	is size 1073741824 "$(field 'j["raw_bytes"]')"
	;;
1) is "files left, replaced" "" "$(ls -A out)" ;;
*) fail "replaced: exit $code" ;;
esac

# what is copied beside containers, too
rm -rf out m
mkdir m out
head -c 50000000 /dev/zero >m/copied
python3 "$here/during.py" out 'echo more >>m/copied' \
	"$bigsmall" compress m -o out/ >"$log/out" 2>"$log/err"
is "exit, copied" 1 $?
says "m/copied: it changed while it was being read"
gone out/copied

# a link that took the place of a file is not followed
echo secret >secret
chmod 600 secret
echo plain >m/z
rm -rf out
mkdir out
python3 "$here/during.py" out 'ln -sf ../secret m/z' \
	"$bigsmall" compress m -o out/ >"$log/out" 2>"$log/err"
is "exit, link" 1 $?
gone out/z

finish
