#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# density.sh - what weights of each kind may take: of one byte, no more than the
# entropy of their bytes and what chunks cost, and less where rows differ; values
# of a narrower type, about what they take as they are; half zeros, no more than
# their bytes' entropies

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
wide_of_brain = b"".join(b"\0\0" + brain[i:i + 2] for i in range(0, len(brain), 2))
save("brain32", "F32", wide_of_brain)
values = struct.unpack("<%df" % N, wide_of_brain)
save("brain16", "F16", struct.pack("<%de" % N, *values))
pruned = struct.pack("<%de" % N, *[v if abs(v) > 0.5 else 0 for v in values])
save("pruned", "F16", pruned)
limits["pruned"] = 1.001 * (entropy(pruned[::2]) + entropy(pruned[1::2])) + 4000
small = f8(scaled, 5, 2)
save("small16", "BF16", b"".join(
    struct.pack("<f", struct.unpack("<e", b"\0%c" % b)[0])[2:] for b in small))
json.dump(limits, open("limits.json", "w"))
PYTHON

# takes NAME: its container restores it
takes() {
	run 0 compress "$1.safetensors" -o "$1.bs" --force
	run 0 decompress "$1.bs" -o back --force
	same "$1.safetensors" back
}

for name in plain.F8_E4M3 plain.F8_E5M2 plain.I8 scaled.F8_E4M3 \
	scaled.F8_E5M2 scaled.I8 pruned; do
	takes $name
	python3 -c '
import json, os, sys
size = os.path.getsize(sys.argv[1] + ".bs")
limit = json.load(open("limits.json"))[sys.argv[1]]
print("%s: %d bytes, %d allowed" % (sys.argv[1], size, limit))
sys.exit(size > limit)' $name || fail "$name is larger"
done

# takes_no_more WIDE NARROW POINTS: percent of the bytes that NARROW would have
takes_no_more() {
	takes "$1"
	takes "$2"
	python3 -c '
import os, sys
wide, narrow = sys.argv[1:3]
raw = os.path.getsize(wide + ".safetensors")
a, b = (100 * os.path.getsize(name + ".bs") / raw for name in (wide, narrow))
print("%s: %.3f %%, %s: %.3f %%" % (wide, a, narrow, b))
sys.exit(a > b + float(sys.argv[3]))' "$@" || fail "$1 is larger than $2"
}
takes_no_more half32 half 0.2
takes_no_more brain32 brain 0.2
takes_no_more brain16 brain 0.2
takes_no_more small16 scaled.F8_E5M2 0.5

finish
