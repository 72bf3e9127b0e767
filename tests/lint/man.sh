#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# man.sh - the manual pages are well-formed, and each names what it is about

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"
need mandoc mandoc

n=0
for page in packaging/man/*.[1-8]; do
	n=$((n + 1))
	mandoc -T lint -W warning "$page" || fail "$page: see above"
	name=$(basename "${page%.*}")
	mandoc -T ascii "$page" |
		sed 's/.\x08//g' >"$work/text"
	grep -q "^ *$name . [a-z]" "$work/text" ||
		fail "$page: its NAME section does not say what $name is"
	grep -q "^$(echo "$name" | tr '[:lower:]' '[:upper:]')(${page##*.})" \
		"$work/text" || fail "$page: its title is another"
done
[ "$n" -ge 2 ] || fail "there are $n manual pages in packaging/man"
finish
