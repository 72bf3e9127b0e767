#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# determinism.sh - the same file gives the same container, whatever the number
# of threads, the kernels, the folder and the run

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

# one tensor of several slabs, many of one, ties, runs of small ones, one of
# each dtype that has a model of its own
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

def below(top, low):
    """wider elements, with these low bytes"""
    return b"".join(low() + top[i:i + 2] for i in range(0, len(top), 2))

tied = bf16(400000)
parts = [("big", scaled(9000, 1000)), ("scaled", scaled(300, 500)), ("tied", tied)]
parts += [("mid.%d" % i, bf16(rng.randrange(2000, 300000))) for i in range(40)]
parts += [("small.%d" % i, bf16(rng.randrange(1, 900))) for i in range(300)]
parts += [("tied2", tied)]
parts = [(name, "BF16", raw) for name, raw in parts]
top = scaled(300, 500)
parts += [("kind.0", "F16", top), ("kind.1", "F8_E4M3", top[1::2]),
          ("kind.2", "F8_E5M2", top[1::2]), ("kind.3", "I8", top[1::2]),
          ("kind.4", "F32", below(top, lambda: rng.randbytes(2))),
          ("kind.5", "F32", below(top, lambda: bytes(2))),
          ("kind.6", "F64", below(top, lambda: bytes(4) + rng.randbytes(2))),
          ("kind.7", "I16", top)]
units = {"F32": 4, "F64": 8, "BF16": 2, "F16": 2, "I16": 2}
head, end = {}, 0
for name, dtype, raw in parts:
    n = len(raw) // units.get(dtype, 1)
    columns = {"big": 1000, "scaled": 500}.get(name, 500 if "kind" in name else 1)
    head[name] = {"dtype": dtype, "shape": [n // columns, columns],
                  "data_offsets": [end, end + len(raw)]}
    end += len(raw)
text = json.dumps(head).encode()
with open("m.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text)
    f.writelines(raw for _, _, raw in parts)
PYTHON

run 0 compress -j 1 m.safetensors -o first.bs
for threads in 1 2 3 4 16; do
	run 0 compress -j $threads m.safetensors -o again.bs --force
	same first.bs again.bs
done
mkdir other
cp -p m.safetensors other/renamed.safetensors
run 0 compress other/renamed.safetensors
same first.bs other/renamed.bs
for threads in 1 4; do
	run 0 decompress -j $threads first.bs -o back --force
	same m.safetensors back
done

# and so at each level, from any kernels, where the build can be told
# (BIGSMALL_CPU); what this CPU lacks aborts
for level in default inference storage; do
	set -- "--$level"
	[ $level = default ] && set --
	run 0 compress -j 1 "$@" m.safetensors -o $level.bs
	run 0 decompress $level.bs -o back --force
	same m.safetensors back
	for cpu in scalar avx2 avx512 neon; do
		{ BIGSMALL_CPU=$cpu "$bigsmall" doctor; } >"$log/out" 2>&1
		grep -q "the $cpu kernels" "$log/out" || continue
		for threads in 1 2 4; do
			echo "$level, $cpu, $threads threads"
			export BIGSMALL_CPU=$cpu
			run 0 compress -j $threads "$@" m.safetensors \
				-o again.bs --force
			unset BIGSMALL_CPU
			same $level.bs again.bs
		done
	done
done
same first.bs default.bs
cmp -s first.bs inference.bs && fail "--inference does nothing"
cmp -s first.bs storage.bs && fail "--storage does nothing"
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
