#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# json.sh - bigsmall mount --json says what there is, as one document

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

# field FILE EXPRESSION: of its JSON, which is j
field() {
	python3 -c '
import json, sys
j = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$@"
}

model m 1500
: >store/bad.bs
"$bigsmall" mount --json store mnt >out 2>err || fail "mount: exit $?"
[ ! -s err ] || fail "mount --json says: $(cat err)"
is mountpoint "$work/mnt" "$(field out 'j["mountpoint"]')"
is store "$work/store" "$(field out 'j["store"]')"
is "models, shown, stored" \
	"(1, $(stat -c %s orig/m.safetensors), $(stat -c %s store/m.bs))" \
	"$(field out '(j["models"], j["shown_bytes"], j["stored_bytes"])')"
is "number of problems" 1 "$(field out 'len(j["problems"])')"
is "name of a problem" True "$(field out '"bad.bs" in j["problems"][0]')"
"$bigsmall" umount mnt || fail "umount: exit $?"
finish
