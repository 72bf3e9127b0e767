#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# completion.sh - bash, zsh and fish complete commands, options, their
# arguments and files of the right kind, of both programs

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

mkdir dir 'a dir'
: >m.bs
: >n.bs
: >'with space.bs'
: >m.safetensors
: >other.txt
commands=$("$bigsmall" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' |
	sort | paste -sd ' ')

# options_of COMMAND: what --help lists, as completions are compared
options_of() {
	"$bigsmall" "$1" --help | sed '1,/^Options:/d' |
		sed -n 's/^  -/-/p' | sed 's/  .*//; s/,//; s/ [A-Z].*//' |
		tr ' ' '\n' | sort | paste -sd ' '
}

# expect LINE WANT: noted for later, since a shell is started once
expect() {
	echo "$1" >>"$log/lines"
	echo "$2" >>"$log/want"
}

# check SHELL
check() {
	"$bigsmall" completion "$1" >"$log/script" ||
		fail "completion $1: exit $?"
	python3 "$here/complete.py" "$1" "$log/script" <"$log/lines" \
		>"$log/raw" || fail "$1 did not get through"
	# fish shows a directory with its slash.
	sed 's,/,,g' "$log/raw" >"$log/have"
	paste -d '\t' "$log/lines" "$log/want" "$log/have" |
		while IFS='	' read -r line want have; do
			[ "$want" = "$have" ] ||
				echo "$1: '$line' becomes '$have', not '$want'"
		done >"$log/wrong"
	[ ! -s "$log/wrong" ] || fail "$(cat "$log/wrong")"
}

expect 'bigsmall ' "$commands"
expect 'bigsmall comp' 'completion compress'
expect 'bigsmall --v' --version
for command in $commands; do
	expect "bigsmall $command -" "$(options_of "$command")"
done
expect 'bigsmall compress ' \
	'a dir dir m.bs m.safetensors n.bs other.txt with space.bs'
expect 'bigsmall compress -o o' other.txt
expect 'bigsmall compress -j ' ''
expect 'bigsmall verify n' n.bs
expect 'bigsmall decompress w' 'with space.bs'
expect 'bigsmall mount ' 'a dir dir'
expect 'bigsmall mount -o c' 'cache='
expect 'bigsmall mount -o ro,ti' 'ro,timeout='
expect 'bigsmall completion ' 'bash fish zsh'
expect 'mount.bigsmall ' 'a dir dir'
expect 'mount.bigsmall --f' '--fake --foreground'
expect 'mount.bigsmall -o ro,ca' 'ro,cache='

missing=
for shell in bash zsh fish; do
	if command -v "$shell" >/dev/null; then
		# What is no container is not offered; fish puts it last.
		[ "$shell" = fish ] ||
			expect 'bigsmall verify ' \
				'a dir dir m.bs n.bs with space.bs'
		check "$shell"
		[ "$shell" = fish ] || {
			sed -i '$d' "$log/lines"
			sed -i '$d' "$log/want"
		}
	else
		missing="$missing $shell"
	fi
done
run 2 completion tcsh
says "bash, zsh or fish"

[ -z "$missing" ] || [ "$n_failed" -ne 0 ] ||
	skip "these shells are not installed:$missing"
finish
