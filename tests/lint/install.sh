#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install.sh - what `cmake --install` puts there is complete, and works
#
# All files are in a DESTDIR; a C program finds header and library through
# pkg-config, and runs; mount(8)'s link is there, and is left alone when
# somebody installs under a home directory.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"
need pkg-config pkg-config

prefix=/usr/local
dest=$work/dest
DESTDIR=$dest cmake --install "$build" --prefix "$prefix" \
	>"$work/log" 2>&1 || {
	tail -n 20 "$work/log"
	fail "cmake --install failed"
	finish
}

version=$(sed -n 's/^#define BIGSMALL_VERSION_[A-Z]* //p' codec/bigsmall.h |
	paste -sd .)
libdir=$(cache_value CMAKE_INSTALL_LIBDIR)
lib=$prefix/$libdir
(cd "$dest" && find . ! -type d | sed 's/^\.//' | sort) >"$work/have"
sort >"$work/want" <<END
$prefix/bin/bigsmall
$prefix/bin/mount.bigsmall
$prefix/include/bigsmall.h
$lib/libbigsmall.a
$lib/libbigsmall.so
$lib/libbigsmall.so.${version%%.*}
$lib/libbigsmall.so.$version
$lib/pkgconfig/bigsmall.pc
$prefix/lib/systemd/user/bigsmall@.service
$prefix/share/bash-completion/completions/bigsmall
$prefix/share/bash-completion/completions/mount.bigsmall
$prefix/share/bigsmall/peers.py
$prefix/share/fish/vendor_completions.d/bigsmall.fish
$prefix/share/fish/vendor_completions.d/mount.bigsmall.fish
$prefix/share/man/man1/bigsmall.1
$prefix/share/man/man8/mount.bigsmall.8
$prefix/share/zsh/site-functions/_bigsmall
/sbin/mount.bigsmall
/sbin/mount.fuse.bigsmall
END
if [ -f "$build/codec/cuda/libbigsmall_cuda.a" ]; then
	printf '%s\n' "$prefix/include/bigsmall_cuda.h" \
		"$lib/libbigsmall_cuda.a" | sort -o "$work/want" - "$work/want"
fi
diff "$work/want" "$work/have" ||
	fail "installed files (>) are not those of the list (<)"
for name in mount.bigsmall mount.fuse.bigsmall; do
	link=$(readlink "$dest/sbin/$name")
	[ "$link" = "$prefix/bin/mount.bigsmall" ] ||
		fail "/sbin/$name leads to $link"
done
# unit_names PREFIX UNIT: the unit starts the programs of that prefix
unit_names() {
	if ! grep -q "^ExecStart=:$1/bin/mount.bigsmall " "$2" ||
		! grep -q "^ExecStopPost=.* $1/bin/bigsmall " "$2"; then
		fail "$2 starts: $(grep '^Exec' "$2")"
	fi
}
unit_names "$prefix" "$dest$prefix/lib/systemd/user/bigsmall@.service"
[ "$("$dest$prefix/bin/bigsmall" --version)" = "bigsmall $version" ] ||
	fail "the installed bigsmall does not say bigsmall $version"
for page in 1/bigsmall.1 8/mount.bigsmall.8; do
	cmp "packaging/man/${page#*/}" "$dest$prefix/share/man/man$page" ||
		fail "${page#*/} is not the page of the tree"
done
if command -v man >/dev/null; then
	for name in bigsmall mount.bigsmall; do
		man -M "$dest$prefix/share/man" -w "$name" >"$work/man" 2>&1
		grep -q "/$name\.[18]" "$work/man" ||
			fail "man does not find $name"
	done
fi

for shell in bash zsh fish; do
	"$bin/bigsmall" completion "$shell" >"$work/completion"
	find "$dest$prefix/share" -path "*$shell*" -name '*bigsmall*' |
		while read -r file; do
			cmp "$work/completion" "$file" || echo "$file"
		done >"$work/log" 2>&1
	[ ! -s "$work/log" ] ||
		fail "installed completions are old: $(cat "$work/log")"
done

# A program of somebody else's.  Sanitizers' runtimes come with their flags.
cat >"$work/version.c" <<'END'
#include <bigsmall.h>
#include <stdio.h>

int main(void)
{
	struct bs_workspace *ws;

	if (bs_workspace_new(&ws))
		return 1;
	bs_workspace_free(ws);
	printf("%s %s\n", bs_version(), bs_result_name(BS_ERR_CHECKSUM));
	return 0;
}
END
PKG_CONFIG_PATH=$dest$lib/pkgconfig
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion bigsmall)" = "$version" ] ||
	fail "bigsmall.pc has another version than $version"
flags=$(cache_value CMAKE_C_FLAGS)
want="$version BS_ERR_CHECKSUM"

# try WHAT [PKG-CONFIG OPTION]
try() {
	what=$1
	shift
	# shellcheck disable=SC2046,SC2086 # lists of words
	${CC:-cc} $flags "$work/version.c" -o "$work/version" \
		$(pkg-config --cflags --libs "$@" bigsmall) \
		>"$work/log" 2>&1 || {
		cat "$work/log"
		fail "a program does not link with the $what library"
		return
	}
	said=$(LD_LIBRARY_PATH=$dest$lib "$work/version") ||
		fail "a program with the $what library failed"
	[ "$said" = "$want" ] || fail "the program said: $said"
}

try shared
readelf -d "$work/version" 2>/dev/null |
	grep -q "NEEDED.*libbigsmall.so.${version%%.*}" ||
	fail "the program does not use the shared library"
rm "$dest$lib/libbigsmall.so" "$dest$lib/libbigsmall.so".*
try static --static

# Under a home directory: everything there, nothing elsewhere.
before=$(readlink /sbin/mount.bigsmall || ls /sbin/mount.bigsmall 2>&1)
env -u DESTDIR cmake --install "$build" --prefix "$work/home" \
	>"$work/log" 2>&1 || {
	tail -n 20 "$work/log"
	fail "cmake --install --prefix of a home directory failed"
}
[ -x "$work/home/bin/mount.bigsmall" ] || fail "home has no mount.bigsmall"
unit_names "$work/home" "$work/home/lib/systemd/user/bigsmall@.service"
grep -q "ln -s $work/home/bin/mount.bigsmall /sbin/" "$work/log" ||
	fail "how to have the link of /sbin is not said"
after=$(readlink /sbin/mount.bigsmall || ls /sbin/mount.bigsmall 2>&1)
[ "$before" = "$after" ] || fail "/sbin/mount.bigsmall was touched"
PKG_CONFIG_PATH=$work/home/$libdir/pkgconfig
got=$(cd "$(pkg-config --variable=includedir bigsmall)" && pwd -P)
[ "$got" = "$(cd "$work/home/include" && pwd -P)" ] ||
	fail "bigsmall.pc of the home directory leads to $got"
finish
