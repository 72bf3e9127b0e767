#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# layers.sh - the folders keep to their dependency direction
#
# codec includes no other folder; fs and exec include codec only, and never
# each other; each library has the files that may include it; main(), exit()
# and printing stand in tools/.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"
need python3 python3

PYTHONDONTWRITEBYTECODE=1 python3 tests/lint/layers.py . ||
	fail "a rule of the layers is broken; see above"
finish
