# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# lib.sh - what the tests of the command line share; sourced, not run
#
# Gives $work (a folder of its own, removed at the end), $here, $bigsmall, and
# the words below.  A test ends with `finish`.

set -u

# shellcheck disable=SC2034 # for the tests
here=$(cd "$(dirname "$0")" && pwd)
bigsmall=${BIGSMALL_BIN:-build/test/bin}/bigsmall
case $bigsmall in
/*) ;;
*) bigsmall=$PWD/$bigsmall ;;
esac
# In a pipe there is no progress line, and no terminal to be asked about.
unset NO_COLOR BIGSMALL_CPU
LC_ALL=C.UTF-8
# Our own tree stays clean.
PYTHONDONTWRITEBYTECODE=1
export LC_ALL PYTHONDONTWRITEBYTECODE

n_failed=0

# fail SENTENCE...: note it and go on
fail() {
	echo "FAILED: $*"
	n_failed=$((n_failed + 1))
}

# skip SENTENCE...: the machine lacks something
skip() {
	echo "skipped: $*"
	exit 77
}

finish() {
	[ "$n_failed" -eq 0 ] && exit 0
	echo "$n_failed checks failed"
	exit 1
}

if [ ! -x "$bigsmall" ]; then
	echo "$bigsmall is not there; build first"
	exit 1
fi
command -v python3 >/dev/null || skip "python3 is not installed"
work=$(mktemp -d "${TMPDIR:-/tmp}/bigsmall-cli.XXXXXX") || exit 1
log=$(mktemp -d "${TMPDIR:-/tmp}/bigsmall-log.XXXXXX") || exit 1
# What is kept of this machine is the test's own.
XDG_STATE_HOME=$log/state
export XDG_STATE_HOME

# A test with more to undo redefines this.
undo() {
	:
}

clean_up() {
	cd /
	undo
	rm -rf "$work" "$log"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 1

# run CODE ARGUMENT...: bigsmall exits so; its output is in $log/out, $log/err
run() {
	want=$1
	shift
	"$bigsmall" "$@" >"$log/out" 2>"$log/err" </dev/null
	code=$?
	[ "$code" -eq "$want" ] && return 0
	fail "bigsmall $*: exit $code, not $want"
	sed 's/^/    /' "$log/out" "$log/err"
	return 1
}

# says PATTERN: the last run's errors have it (basic regular expression)
says() {
	LC_ALL=C grep -a -q -e "$1" "$log/err" && return 0
	fail "not said: $1"
	sed 's/^/    /' "$log/err"
	return 1
}

# says_once: the last run's errors are one sentence
says_once() {
	[ "$(wc -l <"$log/err")" -eq 1 ] &&
		LC_ALL=C grep -a -q '^bigsmall: .*\.$' "$log/err" && return 0
	fail "not one sentence:"
	sed 's/^/    /' "$log/err"
}

# prints PATTERN: the last run's output has it
prints() {
	LC_ALL=C grep -a -q -e "$1" "$log/out" && return 0
	fail "not printed: $1"
	sed 's/^/    /' "$log/out"
}

# field EXPRESSION: of the last run's JSON, which is 'j' in Python
field() {
	python3 -c '
import json, sys
j = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$log/out" "$1"
}

# is WHAT WANT HAVE: two texts are the same
is() {
	[ "$2" = "$3" ] || fail "$1: $3, not $2"
}

# same FILE FILE: byte for byte
same() {
	cmp "$1" "$2" || fail "$1 and $2 differ"
}

# there FILE..., gone FILE...
there() {
	for file; do
		[ -f "$file" ] || fail "$file is not there"
	done
}

gone() {
	for file; do
		if [ -e "$file" ] || [ -L "$file" ]; then
			fail "$file is there"
		fi
	done
}

# holds NAME...: the folder we are in holds these files and no other
holds() {
	names=$(for file in "$@"; do echo "$file"; done | sort)
	found=$(find . -mindepth 1 -printf '%P\n' | sort)
	[ "$names" = "$found" ] && return 0
	fail "the folder holds other files than it should:"
	echo "$found" | sed 's/^/    /'
}

# model FILE [KIB [SEED]]: a small safetensors file of BF16 weights
model() {
	python3 "$here/make_model.py" "$1" "${2:-300}" "${3:-1}" || exit 1
}
