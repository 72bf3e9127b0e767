#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# determinism.sh - the same file gives the same container, whatever the number
# of threads, the folder and the run

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

# one tensor of several slabs, many of one, ties, runs of small ones
python3 - <<'PYTHON' || exit 1
import json, random, struct
rng = random.Random(13)

def bf16(n):
    out = bytearray(2 * n)
    out[0::2] = rng.randbytes(n)
    out[1::2] = bytes(60 + c % 3 for c in rng.randbytes(n))
    return bytes(out)

def scaled(rows, columns):
    """rows and columns of different scale: classes are chosen"""
    row = [rng.randrange(8) for _ in range(rows)]
    col = [rng.randrange(8) for _ in range(columns)]
    out = bytearray(rng.randbytes(2 * rows * columns))
    out[1::2] = bytes(50 + r + c for r in row for c in col)
    return bytes(out)

tied = bf16(400000)
parts = [("big", scaled(9000, 1000)), ("scaled", scaled(300, 500)), ("tied", tied)]
parts += [("mid.%d" % i, bf16(rng.randrange(2000, 300000))) for i in range(40)]
parts += [("small.%d" % i, bf16(rng.randrange(1, 900))) for i in range(300)]
parts += [("tied2", tied)]
head, end = {}, 0
for name, raw in parts:
    n = len(raw) // 2
    columns = {"big": 1000, "scaled": 500}.get(name, 1)
    head[name] = {"dtype": "BF16", "shape": [n // columns, columns],
                  "data_offsets": [end, end + len(raw)]}
    end += len(raw)
text = json.dumps(head).encode()
with open("m.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text)
    f.writelines(raw for _, raw in parts)
PYTHON

run 0 compress -j 1 m.safetensors -o first.bs
for threads in 1 2 3 4 16; do
	run 0 compress -j $threads m.safetensors -o again.bs --force
	same first.bs again.bs
done
# the same from any kernels, where the build can be told (BIGSMALL_CPU)
export BIGSMALL_CPU=scalar
run 0 compress m.safetensors -o again.bs --force
unset BIGSMALL_CPU
same first.bs again.bs
mkdir other
cp -p m.safetensors other/renamed.safetensors
run 0 compress other/renamed.safetensors
same first.bs other/renamed.bs
for threads in 1 4; do
	run 0 decompress -j $threads first.bs -o back --force
	same m.safetensors back
done

# and so at the other levels, which are not the same as one another
for level in inference storage; do
	run 0 compress -j 1 --$level m.safetensors -o $level.bs
	cmp -s first.bs $level.bs && fail "--$level does nothing"
	for threads in 2 4; do
		run 0 compress -j $threads --$level m.safetensors -o again.bs \
			--force
		same $level.bs again.bs
	done
	export BIGSMALL_CPU=scalar
	run 0 compress --$level m.safetensors -o again.bs --force
	unset BIGSMALL_CPU
	same $level.bs again.bs
	run 0 decompress $level.bs -o back --force
	same m.safetensors back
done
cmp -s inference.bs storage.bs && fail "two levels are the same"
smaller=$(stat -c %s storage.bs)
[ "$smaller" -lt "$(stat -c %s first.bs)" ] || fail "--storage is larger"
run 2 compress --storage --inference m.safetensors
says "exclude each other"

# of the file itself only its time and its mode are in there
touch -d "2001-01-01" other/renamed.safetensors
run 0 compress other/renamed.safetensors --force
cmp -s first.bs other/renamed.bs && fail "the time is not recorded"
is "bytes that differ" True "$(python3 -c '
a, b = (open(n, "rb").read() for n in ("first.bs", "other/renamed.bs"))
print(len(a) == len(b) and sum(x != y for x, y in zip(a, b)) < 64)')"

finish
