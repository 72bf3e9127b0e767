#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# long.sh - the cases of run.sh with bigger counts, and the fuzzers
#
# usage: sh tests/long.sh [ROUNDS] [SECONDS]
#
# ROUNDS (20): how many times the counts of the randomised tests.  SECONDS
# (3600): for each fuzz target.

set -eu
unset CDPATH

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
BIGSMALL_ROUNDS=${1:-20}
export BIGSMALL_ROUNDS

sh tests/run.sh --timeout 36000
sh tests/fuzz/run.sh "${2:-3600}"
