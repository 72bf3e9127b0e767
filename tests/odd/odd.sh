#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# odd.sh - every odd file comes back byte for byte, from the tools and the mount
#
# For each file of make_odd.py: compress (twice, with one thread and with four:
# the same container), verify, info, decompress, cmp; what is no well-formed
# safetensors is said to be kept as opaque bytes, and nothing else is.  Then one
# mount shows all of them.  Exit 0, 1, or 77 without python3.

set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${BIGSMALL_BIN:-$root/build/release/bin}
if [ -d "$bin" ]; then
	bin=$bin/bigsmall
fi

if ! command -v python3 >/dev/null; then
	echo "odd: skipped: python3 is not installed"
	exit 77
fi
if [ ! -x "$bin" ]; then
	echo "odd: $bin is not there; build first"
	exit 1
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/bigsmall-odd.XXXXXX") || exit 1
mounted=

clean_up() {
	if [ -n "$mounted" ]; then
		"$bin" umount "$work/mnt" || "$bin" umount -l "$work/mnt"
	fi
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

n_bad=0
bad() {
	echo "odd: $*"
	sed 's/^/    /' "$work/err"
	n_bad=$((n_bad + 1))
}

container_of() {
	name=${1##*/}
	echo "${name%.safetensors}.bs"
}

# try WHAT COMMAND...: it must exit 0.
try() {
	what=$1
	shift
	"$@" >"$work/out" 2>"$work/err" && return 0
	bad "$what: exit $?"
	return 1
}

# said_opaque: whether the last compress said so
said_opaque() {
	grep -q "opaque" "$work/err"
}

check() {
	src=$1
	group=$2
	bs=$work/store/$(container_of "$src")
	label=$group/${src##*/}

	try "$label: compress" \
		"$bin" compress -j 4 --json -o "$work/store/" "$src" || return
	if [ "$group" = opaque ]; then
		said_opaque || bad "$label: not said to be opaque"
	else
		said_opaque && bad "$label: said to be opaque"
	fi
	if [ "$group/${src##*/}" = good/unknown_dtype.safetensors ]; then
		grep -q INT3 "$work/err" || bad "$label: dtype not named"
	fi
	if [ "$group/${src##*/}" = good/tied.safetensors ]; then
		grep -q '"tied_bytes": *200002' "$work/out" ||
			bad "$label: tied tensors are stored twice"
	fi
	try "$label: compress again" \
		"$bin" compress -j 1 -o "$work/again/" "$src" || return
	try "$label: not the same container" \
		cmp "$bs" "$work/again/${bs##*/}"
	rm -f "$work/again/${bs##*/}"

	raw_len=$(stat -c %s "$src")
	if [ "$(stat -c %s "$bs")" -gt $((raw_len + raw_len / 2000 + 4096)) ]
	then
		bad "$label: the container is larger than it may be"
	fi
	try "$label: verify" "$bin" verify "$bs"
	try "$label: info" "$bin" info "$bs"
	if try "$label: info --json" "$bin" info --json "$bs"; then
		mv "$work/out" "$work/json"
		try "$label: JSON of info" python3 -m json.tool "$work/json"
	fi
	try "$label: decompress" "$bin" decompress -o "$work/back/" "$bs" &&
		try "$label: decompressed" cmp "$src" "$work/back/${src##*/}"
	rm -f "$work/back/${src##*/}"
}

check_mount() {
	mkdir "$work/mnt"
	try "mount" "$bin" mount "$work/store" "$work/mnt" || return
	mounted=yes
	for group in good opaque plain; do
		for src in "$work/src/$group"/* "$work/src/$group"/.[!.]*; do
			[ -e "$src" ] || continue
			try "mounted $group/${src##*/}" \
				cmp "$src" "$work/mnt/${src##*/}"
		done
	done
	try "umount" "$bin" umount "$work/mnt" && mounted=
}

try "make_odd.py" python3 "$here/make_odd.py" "$work/src" || exit 1
mkdir "$work/store" "$work/again" "$work/back"
n=0
for group in good opaque plain; do
	for src in "$work/src/$group"/* "$work/src/$group"/.[!.]*; do
		[ -e "$src" ] || continue
		check "$src" "$group"
		n=$((n + 1))
	done
done

if ! "$bin" --help | grep -q '^  mount '; then
	echo "odd: there is no command mount: the mount was not tried"
elif [ -c /dev/fuse ] && (: <>/dev/fuse) 2>/dev/null; then
	check_mount
else
	echo "odd: /dev/fuse cannot be opened: the mount was not tried"
fi

echo "odd: $n files, $n_bad failures"
[ "$n_bad" -eq 0 ]
