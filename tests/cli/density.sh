#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# density.sh - what weights of each kind may take: of one byte, no more than the
# entropy of their bytes and what chunks cost, and less where rows differ; F16 and
# BF16 values in F32, half of what they take as they are

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

python3 - <<'PYTHON' || exit 1
import array, json, math, random, struct
rng = random.Random(5)
ROWS, COLUMNS = 900, 640
N = ROWS * COLUMNS

def f8(values, exponent, mantissa):
    """the nearest, by way of the nearest F32"""
    drop, bias = 23 - mantissa, (1 << (exponent - 1)) - 1
    least = 2.0 ** (1 - bias)
    out = bytearray()
    for v, u in zip(values, array.array("I", array.array("f", values).tobytes())):
        u &= 0x7fffffff
        if abs(v) < least:
            b = round(abs(v) / least * (1 << mantissa))
        else:
            b = ((u + (1 << drop - 1)) >> drop) - (127 - bias << mantissa)
        out.append(min(b, 0x7e) | (0x80 if v < 0 else 0))
    return bytes(out)

def i8(values):
    top = max(abs(v) for v in values)
    return bytes(round(127 * v / top) & 255 for v in values)

def entropy(raw):
    counts = [raw.count(i) for i in range(256)]
    return sum(c * math.log2(len(raw) / c) for c in counts if c) / 8

def save(name, dtype, raw):
    head = json.dumps({"w": {"dtype": dtype, "shape": [ROWS, COLUMNS],
                             "data_offsets": [0, len(raw)]}}).encode()
    with open(name + ".safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + raw)

plain = [rng.gauss(0, 1) for _ in range(N)]
rows = [2.0 ** rng.uniform(-2, 2) for _ in range(ROWS)]
scaled = [v * r for i, r in enumerate(rows)
          for v in plain[i * COLUMNS:(i + 1) * COLUMNS]]
limits = {}
for name, values in (("plain", plain), ("scaled", scaled)):
    for dtype, raw in (("F8_E4M3", f8(values, 4, 3)),
                       ("F8_E5M2", f8(values, 5, 2)), ("I8", i8(values))):
        save(name + "." + dtype, dtype, raw)
        # Tables: 12 bits.  Chunks: states of 256 bytes, a record of 32, counts, padding.  The
        # file: superblocks, records of the directory, a model and its table.
        limits[name + "." + dtype] = 1.001 * entropy(raw) + 300 * -(-N >> 17) + 2500
        if name == "scaled" and dtype != "I8":
            limits[name + "." + dtype] *= 0.95

# Some F16 are subnormal.
half = struct.pack("<%de" % N, *[v / 64 for v in scaled])
save("half", "F16", half)
save("half32", "F32", array.array("f", struct.unpack("<%de" % N, half)).tobytes())
wide = array.array("f", scaled).tobytes()
brain = b"".join(wide[i + 2:i + 4] for i in range(0, len(wide), 4))
save("brain", "BF16", brain)
save("brain32", "F32", b"".join(b"\0\0" + brain[i:i + 2] for i in range(0, len(brain), 2)))
json.dump(limits, open("limits.json", "w"))
PYTHON

for name in plain scaled; do
	for dtype in F8_E4M3 F8_E5M2 I8; do
		run 0 compress $name.$dtype.safetensors -o m.bs --force
		run 0 decompress m.bs -o back --force
		same $name.$dtype.safetensors back
		python3 -c '
import json, os, sys
size, limit = os.path.getsize("m.bs"), json.load(open("limits.json"))[sys.argv[1]]
print("%s: %d bytes, %d allowed" % (sys.argv[1], size, limit))
sys.exit(size > limit)' $name.$dtype || fail "$name.$dtype is larger"
	done
done

for name in half brain; do
	for width in "" 32; do
		run 0 compress $name$width.safetensors -o $name$width.bs
		run 0 decompress $name$width.bs -o back --force
		same $name$width.safetensors back
	done
	python3 -c '
import os, sys
def percent(name):
    return 100 * os.path.getsize(name + ".bs") / os.path.getsize(name + ".safetensors")
wide, narrow = percent(sys.argv[1] + "32"), percent(sys.argv[1])
print("%s: %.3f %%, in F32 %.3f %%" % (sys.argv[1], narrow, wide))
sys.exit(wide > narrow / 2 + 0.2)' $name || fail "$name in F32 is larger"
done

finish
