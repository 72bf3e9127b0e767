#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# upstream.sh - a file of BigSmall (Python) is recognised by its first four
# bytes, and every command says that it cannot be read yet

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

for magic in BGSM BGSD; do
	for tail in "" "\001\000\000\000" "$(printf '%05000d' 0)"; do
		# shellcheck disable=SC2059 # the tail has escapes
		printf "$magic$tail" >theirs.bs
		for command in info "info --json" verify "verify --fast" \
			decompress compress; do
			# shellcheck disable=SC2086 # a command and its option
			run 2 $command theirs.bs
			says "theirs.bs is a file of BigSmall (Python); it cannot be read yet"
			says_once
		done
	done
	cp theirs.bs model.safetensors
	run 2 compress model.safetensors
	says "BigSmall (Python)"
done
holds model.safetensors theirs.bs

# next to others, the others are done
model m.safetensors 20
run 2 compress theirs.bs m.safetensors
there m.bs
run 2 verify theirs.bs m.bs
prints "m.bs: fine"

# only at the start, and only whole, does it mean that
printf 'BGSX' >other
run 0 compress other
printf 'BGS' >short
run 0 compress short
run 0 decompress other.bs -o back
same other back

finish
