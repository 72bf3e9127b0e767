#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run_logits.sh - `bigsmall run` computes what transformers computes
#
# Small models of random weights of every architecture, and SmolLM2; of the
# latter also that its plain files and its mount give the same logits, whatever
# the threads.  What tests/cli/run.sh expects is still what transformers gives.

. "$(dirname "$0")/lib.sh"

need_models
mkdir tiny
for name in $("$python" "$root/tests/exec/tiny.py" --list); do
	"$python" "$root/tests/exec/tiny.py" "$name" "tiny/$name" ||
		die "tiny.py $name"
	"$python" "$here/run_logits.py" --golden golden.json "tiny/$name" ||
		fail "$name: no golden file"
	"$python" - golden.json "$root/tests/exec/golden/$name.json" <<'END' ||
import json
import sys

a, b = (json.load(open(path)) for path in sys.argv[1:])
near = all(abs(x - y) < 1e-3 for x, y in zip(a.pop("logits"), b.pop("logits")))
sys.exit(not (near and a == b))
END
		fail "$name: the golden file is not what transformers gives"
done

smollm=$corpus/models/SmolLM2-135M-Instruct
"$python" "$here/run_logits.py" "$bin/exec_probe" "$bigsmall" tiny/* \
	"$smollm" || fail "see above"

store "$smollm" store
mount_store "$work/store" "$work/mounted"

# digest MODEL THREADS
digest() {
	"$bigsmall" run "$1" "Why is the sky blue?" --json --temp 0 -n 8 \
		-j "$2" 2>"$work/err" | sed -n 's/.*"logits_sha256": //p'
}
plain=$(digest "$smollm" 1)
[ -n "$plain" ] || fail "no logits: $(cat "$work/err")"
for model in "$smollm" mounted; do
	for threads in 2 3; do
		[ "$(digest "$model" $threads)" = "$plain" ] ||
			fail "$model, $threads threads: other logits"
	done
done
finish
