#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - install what the tests need, build, run all of them
#
# usage: sh tests/run.sh [CTEST OPTION]...	e.g. -L unit, -R mount
#
# Exit 0: every test passed or was skipped with its reason.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
sh packaging/deps.sh build run test

jobs=$(nproc)
cmake --preset test >/dev/null
cmake --build --preset test -j "$jobs"
ctest --test-dir build/test --output-on-failure "$@"
