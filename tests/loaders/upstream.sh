#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# upstream.sh - what BigSmall (Python) 4.0.0 compresses reads, through the mount
# and restored, as the files that it was made of: every dtype, either side of each
# size at which it changes its coding, tied, dual; and a model in shards loads in
# transformers

. "$(dirname "$0")/lib.sh"

venv=$(sh "$here/make_venv.sh" "$here/upstream_requirements.txt") ||
	die "BigSmall (Python) cannot be installed"
python=$venv/bin/python

# the probabilities are those of the library that it uses
want=$(sed -n 's/^[^"]*"\([0-9a-f]\{64\}\)";$/\1/p' \
	"$here/../unit/test_quantise.c")
have=$("$python" "$here/upstream_tables.py") || fail "upstream_tables.py"
[ "$have" = "$want" ] || fail "constriction's tables: $have, not $want"

for set in small large; do
	"$python" "$here/upstream_make.py" "$work/$set" "$set" >log 2>&1 || {
		cat log
		die "upstream_make.py $set"
	}
	mount_store "$work/$set" "$work/mnt"
	for sum in "$set"/*.sha256; do
		name=$(basename "$sum" .sha256)
		# The source itself hides the container.
		mv "$set/$name.safetensors" source
		have=$(sha256sum <"mnt/$name.safetensors")
		[ "${have%% *}" = "$(cat "$sum")" ] ||
			fail "$set/$name: the mount shows something else"
		for file in "$set/$name".bs*; do
			"$bigsmall" decompress "$file" -o back --force \
				>log 2>&1 || fail "$(cat log)"
			cmp source back || fail "$file"
		done
	done
	unmount "$work/mnt"
done

# a long tensor of each kind: none is held whole, and small reads are cheap
"$python" "$here/upstream_make.py" huge huge >log 2>&1 || {
	cat log
	die "upstream_make.py huge"
}
mv huge/huge.safetensors long
for command in "decompress -j 2 huge/huge.bs -o back --force" \
	"verify huge/huge.bs"; do
	# shellcheck disable=SC2086 # a command and its operands
	peak=$(python3 "$here/../cli/measure.py" "$bigsmall" $command | tail -n 1)
	[ "$peak" -le $((48 << 10)) ] || fail "$command: $peak KiB"
done
cmp long back || fail "huge.bs"
mount_store "$work/huge" "$work/mnt" -o cache=6M,threads=2
"$python" "$here/upstream_reads.py" mnt/huge.safetensors long \
	"$(daemons "$work/huge")" 6 2 || fail "small reads of long tensors"
unmount "$work/mnt"
rm -r huge long back

"$python" "$here/upstream_load.py" make model || die "no model was made"
mkdir store
mount_store "$work/store" "$work/mnt"
BIGSMALL_DISABLE_VERSION_CHECK=1 BIGSMALL_WORKERS=1 "$python" -m bigsmall.cli pipeline run \
	model store/model --no-upload >log 2>&1 || fail "$(tail -n 3 log)"
"$python" "$here/upstream_load.py" compare model mnt/model ||
	fail "transformers loads something else"
finish
