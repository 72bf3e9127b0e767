#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The store changes under the mount: replaced, edited in place, removed, added,
# renamed.  Who opens a file gets the one that is there; who has it open keeps
# the old bytes, or an error; nobody gets a mixture.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m 1500 1
model new 1500 2
mv store/new.bs .
begin_mount

reads() {
	cmp -s "mnt/$1" "orig/$2"
}

same mnt/m.safetensors orig/m.safetensors
# replaced by rename, while a reader holds the old one
exec 3<mnt/m.safetensors
cp new.bs store/.tmp && mv store/.tmp store/m.bs
wait_for reads m.safetensors new.safetensors || fail "replaced: old bytes"
cmp - orig/m.safetensors <&3 || fail "replaced: the open file changed"
exec 3<&-

# edited in place: the same inode, other bytes
model third 1700 3
mv store/third.bs .
cat third.bs >store/m.bs
wait_for reads m.safetensors third.safetensors || fail "in place: old bytes"

# the same size and another time is a change, too
exec 3<mnt/m.safetensors
head -c 100 <&3 >/dev/null
cat new.bs >store/m.bs
python3 - <<'EOF' || fail "a mixture of two versions"
import os
# descriptor 3 was opened on the version before
old = open("orig/third.safetensors", "rb").read()
for off in range(0, len(old), 65536):
    try:
        have = os.pread(3, 65536, off)
    except OSError as e:
        assert e.errno == 5, e
        continue
    assert have == old[off:off + len(have)], off
EOF
exec 3<&-
wait_for reads m.safetensors new.safetensors || fail "in place again"

# added, renamed, removed
cp third.bs store/added.bs
wait_for reads added.safetensors third.safetensors || fail "added: not there"
mv store/added.bs store/renamed.bs
wait_for reads renamed.safetensors third.safetensors || fail "renamed"
is_gone() {
	! [ -e "mnt/$1" ]
}
wait_for is_gone added.safetensors || fail "the old name is still there"
rm store/renamed.bs
wait_for is_gone renamed.safetensors || fail "removed: still there"
# a plain file
echo one >store/text
is "plain" one "$(cat mnt/text)"
echo three >store/text
says_three() {
	[ "$(cat mnt/text)" = three ]
}
wait_for says_three || fail "the plain file is the old one"
mkdir store/dir
cp new.bs store/dir/
wait_for reads dir/new.safetensors new.safetensors || fail "a new directory"
mv store/dir store/moved
wait_for reads moved/new.safetensors new.safetensors || fail "a moved one"
wait_for is_gone dir || fail "the directory's old name is still there"
# a directory's own mode, the root's too
chmod 700 store/moved
chmod 711 store
has_modes() {
	[ "$(stat -c %a mnt mnt/moved 2>/dev/null | paste -sd ' ')" = '711 700' ]
}
wait_for has_modes || fail "modes: $(stat -c %a mnt mnt/moved)"

# a version at a time: replace and open, again and again
python3 - <<'EOF' || fail "opened after a replacement, the old file was read"
import os, shutil
want = [open(f"orig/{n}.safetensors", "rb").read() for n in ("new", "third")]
for i in range(60):
    shutil.copy(("new.bs", "third.bs")[i % 2], "store/.tmp")
    os.rename("store/.tmp", "store/m.bs")
    assert open("mnt/m.safetensors", "rb").read() == want[i % 2], i
EOF
# fstat() of what is open, when its name is another's; and a removed file's
# bytes are given back once nobody reads it
exec 3<mnt/m.safetensors
mv third.bs store/m.bs
wait_for reads m.safetensors third.safetensors || fail "the last replacement"
python3 -c 'import os; os.fstat(3)' || fail "fstat of an open file"
exec 3<&-
rm store/m.bs
holds_nothing() {
	! find "/proc/$daemon/fd" -lname '*(deleted)' 2>/dev/null | grep -q .
}
wait_for holds_nothing || fail "a removed container is kept open"
end_mount "$work/mnt" noisy
finish
