#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# int4.sh - what BigSmall (Python) 4.0.0 has in 4 bits loads in transformers, with
# compressed-tensors, from the directory that the mount shows: the weights that
# that program itself makes of them, bit by bit, and their logits; and the
# directory above is the exact model

. "$(dirname "$0")/lib.sh"

venv=$(sh "$here/make_venv.sh" "$here/upstream_requirements.txt") ||
	die "BigSmall (Python) cannot be installed"
python=$venv/bin/python
"$python" -c 'import compressed_tensors' 2>/dev/null ||
	skip "compressed-tensors wants Python 3.11"

"$python" "$here/int4_load.py" make store >log 2>&1 || {
	cat log
	die "no models were made"
}
mkdir made
mv store/*.fast store/*.exact.safetensors made/
mount_store "$work/store" "$work/mnt"
"$python" "$here/int4_load.py" compare made mnt 2>log || {
	tail -n 30 log
	fail "transformers loads something else"
}
unmount "$work/mnt"
finish
