#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Each feature of docs/format.md is in some good file: what a later version must
# still read is not only what today's encoder makes.

if ! command -v python3 >/dev/null; then
	echo "skipped: features.py needs python3"
	exit 77
fi
exec python3 tests/golden/features.py tests/golden/good/*.bs
