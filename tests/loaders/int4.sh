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

# `bigsmall run` has these weights as well, by whatever way, and says so first.
python3 "$here/../exec/tiny.py" llama tiny || fail "tiny.py"
# answer MODEL ARGUMENT...: the digest of its logits
answer() {
	model=$1
	shift
	"$bigsmall" run "$model" "The fox" --raw --temp 0 --json -n 8 "$@" \
		>out 2>log </dev/null || fail "run $model: $(cat log)"
	sed -n 's/.*"logits_sha256": "\(.*\)".*/\1/p' out
}
for name in llama qwen; do
	cp tiny/tokenizer.json store/$name/
	cp tiny/tokenizer.json made/$name.fast/
	want=$(answer made/$name.fast)
	[ -n "$want" ] || fail "$name: no logits"
	for how in "store/$name" "mnt/$name" "store/$name/model.bsd"; do
		have=$(answer "$how" --mode fast)
		[ "$have" = "$want" ] || fail "$how: $have, not $want"
		head -n 1 log | grep -q '^NOTE: INT4' || fail "$how: $(cat log)"
	done
	[ "$(answer mnt/$name/model.int4)" = "$want" ] || fail "$name: by its name"
	head -n 1 log | grep -q '^NOTE: INT4' || fail "$name: $(cat log)"
	[ "$(answer store/$name)" != "$want" ] || fail "$name is not exact"
	! grep -q INT4 log || fail "$name: $(cat log)"
done
unmount "$work/mnt"
finish
