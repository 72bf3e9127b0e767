#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# shell.sh - shellcheck has nothing to say about any script

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"
need shellcheck shellcheck

tree_files '*.sh' .ci/run >"$work/files" || exit
[ -s "$work/files" ] || fail "there are no scripts"
xargs shellcheck <"$work/files" || fail "see above"
finish
