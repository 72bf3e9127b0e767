#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# planner_mutants.sh - a planner that hides an announcement, or chooses what was
# not asked for, is caught by tests/unit/test_planner.c

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

root=$(cd "$here/../.." && pwd)
cc=$(command -v cc || command -v gcc || command -v clang) ||
	skip "there is no C compiler"
flags=$(pkg-config --cflags --libs cmocka) || skip "cmocka is not installed"

# What the planner calls, without the libraries.
cat >words.c <<'END'
#include <stdio.h>
#include "cmd.h"
#include "exec.h"

const char *bst_size(char *buf, uint64_t bytes)
{
	snprintf(buf, BST_SIZE_LEN, "%llu B", (unsigned long long)bytes);
	return buf;
}

double bsx_work_seconds(const struct bsx_work *work,
			const struct bsx_speed *speed, uint32_t n_before)
{
	return (double)work->bytes[0] / speed->product[0] +
	       (double)work->bytes_held * n_before / speed->product[2];
}
END
# build PROGRAM: the test, with planner.c as it stands here
build() {
	# shellcheck disable=SC2086 # several words
	"$cc" -O1 -I "$root/tools" -I "$root/exec" -I "$root/codec" \
		"$root/tests/unit/test_planner.c" planner.c words.c \
		$flags -o "$1" 2>"$log/err" || {
		cat "$log/err"
		fail "$1 does not compile"
	}
}
# mutant NAME OLD NEW: the text OLD, which is there once, becomes NEW
mutant() {
	python3 - "$root/tools/planner.c" "$2" "$3" >planner.c <<'END' ||
import sys

text = open(sys.argv[1], encoding="utf-8").read()
if text.count(sys.argv[2]) != 1:
    sys.exit(1)
print(text.replace(sys.argv[2], sys.argv[3]))
END
	{
		fail "$1: planner.c does not have this text once: $2"
		return
	}
	build "$1"
	[ ! -x "$1" ] || ! "./$1" >"$log/out" 2>&1 ||
		fail "$1: the test sees nothing"
}

cp "$root/tools/planner.c" .
build planner
./planner >"$log/out" 2>&1 || fail "the planner as it is: $(cat "$log/out")"

mutant never_announced 'snprintf(ret->announcement, sizeof(ret->announcement),' \
	'snprintf(ret->announcement, 1,'
mutant not_where_alone 'if (ret->member == BST_ORIGINAL)
		return "bit-exact";' \
	'if (ret->member == BST_ORIGINAL || strstr(why, "no others"))
		return "bit-exact";'
mutant not_where_slow 'if (ret->member == BST_ORIGINAL)
		return "bit-exact";' \
	'if (strstr(why, "would give"))
		return "INT4, not the original weights";
	if (ret->member == BST_ORIGINAL)
		return "bit-exact";'
mutant called_exact 'return "INT4, not the original weights";' \
	'return "bit-exact";'
mutant too_early 'rate < USABLE &&' 'rate < 20 * USABLE &&'
mutant perfect_ignored 'c->mode == BST_MODE_PERFECT || int4' 'int4'
mutant no_room_seen '!way->why_not && way->bytes <= c->room' '!way->why_not'
finish
