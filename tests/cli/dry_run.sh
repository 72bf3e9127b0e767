#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# dry_run.sh - --dry-run says what compress would do and writes nothing

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m.safetensors
echo x >x
run 0 compress --dry-run m.safetensors x
prints "Nothing was written"
holds m.safetensors x
run 0 compress --dry-run m.safetensors x -o new/
holds m.safetensors x
run 0 compress --dry-run --json m.safetensors
dry=$(field 'j[0]["stored_bytes"], j[0]["sha256"], j[0]["dry_run"]')
holds m.safetensors x
run 0 compress --json m.safetensors
real=$(field 'j[0]["stored_bytes"], j[0]["sha256"], not j[0]["dry_run"]')
is "what --dry-run says" "$real" "$dry"
is "size" "$(stat -c %s m.bs)" "$(field 'j[0]["stored_bytes"]')"

# where nothing could be written, --dry-run still works
run 4 compress --dry-run m.safetensors
run 0 compress --dry-run --force m.safetensors
holds m.safetensors m.bs x

finish
