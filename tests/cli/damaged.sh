#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# damaged.sh - truncated, bit-flipped, garbage and empty containers: a sentence,
# exit 1 or 2, no wrong byte, nothing left behind (damaged.py has the cases)

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m.safetensors 900
run 0 compress m.safetensors
mkdir cases
cd cases || exit 1
python3 "$here/damaged.py" "$bigsmall" ../m.bs ../m.safetensors ||
	fail "see above"

finish
