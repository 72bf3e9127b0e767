#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# scan.sh - what scan estimates is what compress gives, to a percent of the
# file; what it says of values, of equal tensors and of links is exact

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

mkdir size found hub empty
python3 - <<'PYTHON' || exit 1
import array, json, random, struct
rng = random.Random(23)
SIZE = {"BF16": 2, "F16": 2, "F32": 4, "I8": 1}

def write(path, tensors):
    head, end = {}, 0
    for name, dtype, raw in tensors:
        head[name] = {"dtype": dtype, "shape": [len(raw) // SIZE[dtype]],
                      "data_offsets": [end, end + len(raw)]}
        end += len(raw)
    text = json.dumps(head, separators=(",", ":")).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.writelines(raw for _, _, raw in tensors)

noise = rng.randbytes(4 << 20)

def weights(n, unit, center, width):
    """n elements whose upper byte has exponents about 'center'."""
    table = bytes((rng.getrandbits(1) << 7) | min(max(int(
        rng.gauss(center, width)), 1), 120) for _ in range(256))
    out = bytearray(unit * n)
    for i in range(unit):
        at = rng.randrange(len(noise) - n)
        out[i::unit] = noise[at:at + n]
    out[unit - 1::unit] = out[unit - 1::unit].translate(table)
    return bytes(out)

# Larger than what is encoded of a file, and not alike from end to end.
write("size/large.safetensors",
      [("drifting", "BF16", b"".join(weights(1 << 19, 2, 60, 0.3 + i / 20)
                                     for i in range(100))),
       ("layered", "BF16", b"".join(weights(1 << 19, 2, 40 + i % 9, 0.5)
                                    for i in range(60)))])
# Of more tensors than are encoded at all.
write("size/many.safetensors",
      [("t%d" % i, "BF16", weights(8000 + i % 7, 2, 40 + i % 40, i % 7 / 4))
       for i in range(1500)])
write("size/mixed.safetensors",
      [("f32", "F32", weights(1 << 20, 4, 60, 0.7)),
       ("f16", "F16", weights(1 << 20, 2, 40, 2)),
       ("i8", "I8", rng.randbytes(1 << 20)),
       ("zero", "BF16", bytes(1 << 20)),
       ("small", "BF16", weights(100, 2, 60, 0.7))])
write("size/noise.safetensors", [("n", "I8", rng.randbytes(1 << 20))])

def f32(words):
    return array.array("I", words).tobytes()

n = 300000
halves = [rng.getrandbits(16) << 16 for _ in range(n)]
# Every F16 there is, as an F32: subnormal, infinite, not a number.
def widen(h):
    sign, e, m = h >> 15 << 31, h >> 10 & 31, h & 1023
    if e == 31:
        return sign | 0x7f800000 | m << 13
    if e:
        return sign | e + 112 << 23 | m << 13
    value = struct.unpack("I", struct.pack("f", m * 2.0 ** -24))[0]
    return sign | value
f16 = [widen(h) for h in range(65536)] * 4
last = list(halves)
last[-1] |= 1
# Between two subnormal F16s, and below the least.
between = f16[:-1] + [struct.unpack("I", struct.pack("f", 1.5 * 2.0 ** -24))[0]]
below = f16[:-1] + [struct.unpack("I", struct.pack("f", 2.0 ** -25))[0]]
shared, near = rng.randbytes(900000), None
near = shared[:450000] + bytes([shared[450000] ^ 1]) + shared[450001:]
write("found/a.safetensors",
      [("bf16", "F32", f32(halves)), ("f16", "F32", f32(f16)),
       ("last", "F32", f32(last)), ("between", "F32", f32(between)),
       ("below", "F32", f32(below)), ("shared", "I8", shared),
       ("tied", "I8", shared)])
write("found/b.safetensors", [("x", "I8", shared), ("near", "I8", near)])
PYTHON

# near FILE: the estimate is within a point of what compress gives
near() {
	run 0 compress --dry-run --json "$1"
	real=$(field 'j[0]["stored_bytes"]')
	run 0 scan --json "$1"
	off=$(field "abs(j['estimated_bytes'] - $real) * 100 / j['raw_bytes']")
	echo "$1: off by $off points"
	is "$1: within a point" True "$(python3 -c "print($off < 1)")"
}

for file in size/*; do
	near "$file"
done
prints '"worth_it": false'
run 0 scan size/noise.safetensors
prints 'noise.safetensors: 1.0 MB, nothing to be gained'
run 0 scan --json -j 1 size
cp "$log/out" "$log/one"
run 0 scan --json -j 3 size
same "$log/one" "$log/out"
is "bytes of dtypes" "$(cat size/* | wc -c)" \
	"$(field 'sum(d["raw_bytes"] for d in j["dtype"].values())')"

for threads in 1 4; do
	peak=$(python3 "$here/measure.py" "$bigsmall" scan -j $threads size |
		tail -n 1)
	[ "$peak" -lt $((256 * 1024 + 32 * 1024 * threads)) ] ||
		fail "$threads threads take $peak KiB"
done

# Exactly these: others are almost like them.
run 0 scan --json found
is "BF16 in F32" "{'tensors': 1, 'bytes': 1200000}" \
	"$(field 'j["f32_holds_bf16"]')"
is "F16 in F32" "{'tensors': 1, 'bytes': 1048576}" \
	"$(field 'j["f32_holds_f16"]')"
is tied "{'tensors': 1, 'bytes': 900000}" "$(field 'j["tied"]')"
is twins "{'tensors': 1, 'bytes': 900000}" "$(field 'j["twins"]')"
is "twins of files" '[0, 1]' \
	"$(field '[f["twins"]["tensors"] for f in j["files"]]')"
run 0 scan found
prints 'hidden *1 tensor, 1.2 MB, F32 that holds BF16 values alone'

# A cache: blobs, and links to them; one blob has no name of its own.
mkdir -p hub/blobs hub/snapshots/1 hub/snapshots/2
mv found/a.safetensors hub/blobs/0123abcd
mv found/b.safetensors hub/blobs/4567
echo '{}' >hub/blobs/config
for rev in 1 2; do
	ln -s ../../blobs/0123abcd hub/snapshots/$rev/model.safetensors
	ln -s ../../blobs/config hub/snapshots/$rev/config.json
done
ln -s .. hub/circle
ln -s nowhere hub/broken
run 0 compress size/mixed.safetensors -o hub/blobs/mixed.bs
size=$(cat hub/blobs/0123abcd hub/blobs/4567 | wc -c)
run 0 scan --json hub hub/blobs/4567
is "bytes of a cache" "$size" "$(field 'j["raw_bytes"]')"
is "names in a cache" "hub/snapshots/1/model.safetensors, hub/blobs/4567" \
	"$(field '", ".join(f["source"] for f in j["files"]
		if f["kind"] == "safetensors")')"
is kinds "container other safetensors safetensors" \
	"$(field '" ".join(sorted(f["kind"] for f in j["files"]))')"
run 0 scan hub
prints 'hub/blobs/mixed.bs: compressed already'
prints '^1 other file, 3 B, no safetensors'
prints '^2 files: .* saved. Do it'

run 0 scan empty
prints '^There is nothing to compress'
run 2 scan no-such-path
says_once
run 2 scan size/mixed.safetensors no-such-path
prints '^1 file: '
echo 'not json' >bad.safetensors
run 0 scan bad.safetensors
says 'opaque bytes'

# All of a tensor that looks like BF16 is read, which takes its time.
python3 - <<'PYTHON'
import json, struct
n = 16 << 30
text = json.dumps({"t": {"dtype": "F32", "shape": [n // 4],
                         "data_offsets": [0, n]}}).encode()
with open("zeros.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text)
    f.truncate(8 + len(text) + n)
PYTHON
timeout --preserve-status -s INT 0.3 "$bigsmall" scan zeros.safetensors \
	>"$log/out" 2>"$log/err"
is "interrupted: exit" 130 $?
says 'interrupted'
[ ! -s "$log/out" ] || fail "an interrupted scan prints a result"

finish
