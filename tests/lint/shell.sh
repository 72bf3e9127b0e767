#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# shell.sh - shellcheck has nothing to say about any script

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"
need shellcheck shellcheck

tree_files '*.sh' .ci/run >"$work/files" || exit
[ -s "$work/files" ] || fail "there are no scripts"
# A test sources the lib.sh of its own folder.  Not asked for: functions that
# are called by a name in a variable (SC2317), optional arguments (SC2119-20).
xargs shellcheck -x -P SCRIPTDIR -e SC2317,SC2119,SC2120 <"$work/files" || fail "see above"
finish
