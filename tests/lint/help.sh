#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# help.sh - --help, the manual pages and the programs know the same options
#
# Of each subcommand and of mount.bigsmall: the options that --help lists are
# those of the page, and the program understands each; the mount options of both
# programs are those of mount.bigsmall(8).

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

# options_in: every -x and --word, one a line
options_in() {
	grep -oE '(^|[ ,[|])--?[A-Za-z][A-Za-z-]*' | tr -d ' ,[|' | sort -u
}

# help_options: of a --help on standard input, below "Options:"
help_options() {
	sed '1,/^Options:/d' | grep '^ *-' | sed 's/^ *//; s/  .*//' |
		options_in
}

# page_options PAGE SUBSECTION...: the ".It Fl" of these subsections
page_options() {
	page=$1
	shift
	for section; do
		awk -v want=".Ss $section" '
			/^\.S[sh]/ { inside = $0 == want }
			inside && /^\.It Fl/' "$page"
	done | sed 's/^\.It//; s/ Fl Fl / --/g; s/ Fl / -/g; s/ Ar .*//' |
		options_in
}

# mount_options: of a --help, the words below -o
mount_options() {
	awk '
		/^  -o / { inside = 1; next }
		inside && /passes on:/ { listing = 1; sub(/.*: /, "") }
		listing {
			if (sub(/\(.*/, ""))
				inside = listing = 0
			gsub(/[ ,]+/, "\n")
			gsub(/\.\.\./, "")
			print
			next
		}
		/^  -/ { inside = 0 }
		inside { sub(/^ */, ""); sub(/ .*/, ""); sub(/=.*/, ""); print }
	' | grep . | sort -u
}

page_mount_options() {
	sed -n 's/^\.It Cm //p' "$1" | sed 's/ Ns .*//; s/ , /\n/g' |
		sort -u
}

# compare WHAT FILE FILE: the two lists are one
compare() {
	if [ ! -s "$2" ] || [ ! -s "$3" ]; then
		fail "$1: a list is empty"
	elif ! diff "$2" "$3" >"$work/diff"; then
		fail "$1 differ:"
		cat "$work/diff"
	fi
}

# check PAGE PROGRAM [COMMAND] -- SUBSECTION...: its --help is in $work/help
check() {
	page=$1
	name=$2
	program="$bin/$2"
	command=
	shift 2
	if [ "$1" != -- ]; then
		command=$1
		name="$name $command"
		shift
	fi
	shift
	help_options <"$work/help" >"$work/a"
	page_options "$page" "$@" >"$work/b"
	compare "$name: options of --help (<) and of $page (>)" \
		"$work/a" "$work/b"
	# One that nobody handles is "not understood", or "no such option".
	while read -r option; do
		"$program" ${command:+"$command"} "$option" \
			>/dev/null 2>"$work/err" </dev/null
		! grep -E 'not understood|no such option' "$work/err" ||
			fail "$name lists $option, and does not take it"
	done <"$work/a"
}

page1=packaging/man/bigsmall.1
page8=packaging/man/mount.bigsmall.8

"$bin/bigsmall" --help >"$work/help" || fail "bigsmall --help failed"
sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p' "$work/help" |
	sort >"$work/commands"
sed -n 's/^\.Ss \([a-z].*\)/\1/p' "$page1" | sort >"$work/sections"
compare "commands of --help (<) and of $page1 (>)" \
	"$work/commands" "$work/sections"
help_options <"$work/help" >"$work/a"
page_options "$page1" "Options of every command" \
	"Options in place of a command" >"$work/b"
compare "options of bigsmall --help (<) and of $page1 (>)" \
	"$work/a" "$work/b"

# -h, --help is told once for all commands.
while read -r command; do
	"$bin/bigsmall" "$command" --help >"$work/help" ||
		fail "bigsmall $command --help failed"
	# plan takes what run does, which is told once.
	more=
	[ "$command" != plan ] || more=run
	check "$page1" bigsmall "$command" -- "$command" ${more:+"$more"} \
		"Options of every command"
	grep -q "^\.Cm $command\$" "$page1" ||
		fail "$command is not in the synopsis of $page1"
done <"$work/commands"

page_mount_options "$page8" >"$work/page"
"$bin/bigsmall" mount --help | mount_options >"$work/a"
compare "mount options of bigsmall mount --help (<) and of $page8 (>)" \
	"$work/a" "$work/page"
"$bin/mount.bigsmall" --help >"$work/help" ||
	fail "mount.bigsmall --help failed"
mount_options <"$work/help" >"$work/a"
compare "mount options of mount.bigsmall --help (<) and of $page8 (>)" \
	"$work/a" "$work/page"
check "$page8" mount.bigsmall -- Options
finish
