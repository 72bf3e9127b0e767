#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage.sh - --help exits 0 with text on standard output; a wrong use exits 2
# with a sentence, and writes nothing

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

run 0 --help
prints '^Usage: '
run 0 -h
run 0 --version
prints '^bigsmall [0-9]*\.[0-9]*\.[0-9]*$'
for command in $("$bigsmall" --help |
	sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
	commands="${commands-} $command"
	run 0 "$command" --help
	prints "^Usage: bigsmall $command"
	[ -s "$log/err" ] && fail "$command --help has errors"
	run 2 "$command" --no-such-option x
	says "no-such-option"
	run 0 "$command" -h
	# Some commands do with no operand.
	grep -q "^Usage: bigsmall $command \[" "$log/out" || run 2 "$command"
done
case $commands in
*compress*decompress*verify*info*) ;;
*) fail "--help does not list the commands: $commands" ;;
esac

run 2
run 2 frobnicate
says "frobnicate"
run 2 --frobnicate
model m.safetensors
for threads in 0 257 -1 x "" 1x 99999999999999999999; do
	run 2 compress -j "$threads" m.safetensors
	says "from 1 to 256"
done
run 2 compress m.safetensors -o
run 2 compress --dry-run=1 m.safetensors
run 2 info m.safetensors m.safetensors
run 2 compress no-such-file
says_once
run 2 decompress no-such-file.bs
says_once
run 2 verify no-such-file.bs
says_once
run 2 info no-such-file.bs
says_once
run 2 verify m.safetensors
says_once
holds m.safetensors

# a name that was not there does not keep the others from being done
run 2 compress no-such-file m.safetensors
there m.bs

finish
