#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# bundle_verify.sh - verify and info know bundles: every byte of every file is
# checked, each bad chunk is named with its file and tensor, and all that is
# whole is said to be

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

mkdir -p m/sub
model m/a.safetensors 3000
model m/sub/b.safetensors 600 2
for i in 1 2 3 4 5; do
	echo "{\"a\": $i}" >m/sub/c$i.json
done
: >m/zero
ln -s a.safetensors m/link
run 0 compress m

run 0 verify m.bs
prints 'fine: 8 files'
prints 'SHA-256 agrees'
run 0 verify --fast m.bs
run 0 verify m.bs --json
is ok True "$(field 'j[0]["ok"]')"
is files 8 "$(field 'j[0]["files"]')"

run 0 info m.bs
prints 'a directory: 8 files, 1 directories, 1 links'
run 0 info m.bs --json
is members 10 "$(field 'len(j["members"])')"
is 'SHA-256 of a file' "$(sha256sum <m/sub/b.safetensors | cut -c1-64)" \
	"$(field '[m["sha256"] for m in j["members"]
	if m["path"] == "sub/b.safetensors"][0]')"
is target a.safetensors "$(field '[m["target"] for m in j["members"]
	if m["path"] == "link"][0]')"
is size "$(stat -c %s m.bs)" "$(field 'j["stored_bytes"]')"

# every container of a directory, however deep
mkdir -p d/e
cp m.bs d/e/
run 0 compress m/a.safetensors -o d/
run 0 verify d
prints 'd/a.bs: fine'
prints 'd/e/m.bs: fine'
run 0 verify d --json
is objects 2 "$(field 'len(j)')"
printf 'XXXX' | dd of=d/a.bs bs=1 seek=90000 conv=notrunc 2>/dev/null
run 1 verify d
says 'd/a.bs'
prints 'd/e/m.bs: fine'
run 0 verify m
prints 'there is no .bs in it'

# A chunk of a large file, and the one that the small files share.
python3 - m.bs <<'END'
import json, struct, subprocess, sys
d = bytearray(open(sys.argv[1], "rb").read())
# chunk records by docs/format.md: the first page's
sections = {}
for i in range(d[78]):
    kind, _, _, off, length = struct.unpack_from("<HHIQQ", d, 208 + 32 * i)
    sections[kind] = (off, length)
page, length = struct.unpack_from("<QI", d, sections[5][0])
chunks = [struct.unpack_from("<QI", d, page + i)
          for i in range(0, length, 32)]
first = min(chunks)
last = max(chunks)
for at, n in (first, last):
    d[at + n // 2] ^= 0x10
open("bad.bs", "wb").write(d)
END
run 1 verify bad.bs
says 'the file "sub/c1.json" in it'
says 'tensor "'
says '\(6\|7\) of 8 files in it are damaged'
run 1 verify --fast bad.bs
run 1 verify bad.bs --json
is ok False "$(field 'j[0]["ok"]')"
[ "$(field 'len(j[0]["bad"])')" -ge 6 ] || fail "bad chunks are missing"
finish
