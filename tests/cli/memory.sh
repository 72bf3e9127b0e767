#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# memory.sh - compress, decompress and verify take at most 256 MiB, 32 MiB a
# thread and 0.05 % of the file
#
# Measured on a file larger than all of that, which one that reads files whole
# could not pass, and on one whose directory and header are as large as they
# get.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

python3 - <<'PYTHON' || exit 1
import json, random, struct
rng = random.Random(17)

def write(path, sizes, name, fill, width=1):
    head, end = {}, 0
    for i, n in enumerate(sizes):
        head[name % i] = {"dtype": "BF16", "shape": [n // 2 // width, width],
                          "data_offsets": [end, end + n]}
        end += n
    text = json.dumps(head, separators=(",", ":")).encode()
    assert len(text) < 16 << 20
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        if not fill:
            f.truncate(f.tell() + end)
        while end > 0 and fill:
            f.write(fill[:end])
            end -= len(fill)

raw = bytearray(8 << 20)
raw[0::2] = rng.randbytes(4 << 20)
raw[1::2] = bytes(60 + c % 3 for c in rng.randbytes(4 << 20))
# one tensor, so nothing is tied; dense, so each chunk takes its room; as many
# columns as are looked at
write("large.safetensors", [320 << 20], "t%d", bytes(raw), 65536)
# 150,000 tensors of a header of nearly 16 MiB, which are merged
write("tiny.safetensors", [4] * 150000, "model.layers.%d.weight.x", b"")
# 20,000 tensors that are not
write("many.safetensors", [4096 + 2 * (i % 5) for i in range(20000)],
      "layer.%d", bytes(raw))
PYTHON

# within FILE THREADS COMMAND...: its peak is within the bound
within() {
	size=$(stat -c %s "$1")
	bound=$((256 * 1024 + 32 * 1024 * $2 + size / 2000 / 1024))
	what="$3 $1, $2 threads"
	shift 2
	peak=$(python3 "$here/measure.py" "$bigsmall" "$@" 2>"$log/err" |
		tail -n 1)
	echo "$what: $peak KiB of $bound"
	if [ -z "$peak" ] || [ "$peak" -gt "$bound" ]; then
		fail "$what: ${peak:-nothing} is more than $bound KiB"
		cat "$log/err"
	fi
}

# Several files at a time, and all of them in one.
mkdir dir
for i in 1 2 3 4 5 6; do
	dd if=large.safetensors of=dir/part$i bs=1M skip=$((i * 40)) count=40 \
		2>/dev/null
	python3 "$here/make_model.py" dir/m$i.safetensors 40000 $i
done
within dir 4 compress -j 4 dir
within dir 4 compress -j 4 dir -o out/
within dir 4 compress -j 4 --replace dir
within dir 4 decompress -j 4 --replace dir
within dir 4 decompress -j 4 dir.bs -o back
diff -r dir back || fail "the directory is not what it was"
rm -r dir dir.bs out back
# four large headers, of which one is in memory at a time
mkdir dir
for i in 1 2 3 4; do
	cp tiny.safetensors dir/$i.safetensors
done
within dir 4 compress -j 4 dir -o out/
rm -r dir out

for name in large tiny many; do
	src=$name.safetensors
	for threads in 1 4; do
		rm -f $name.bs back
		within $src $threads compress -j $threads $src
		within $src $threads decompress -j $threads $name.bs -o back
		same $src back
	done
	within $src 1 info $name.bs
	rm back
	within $src 4 compress -j 4 --storage $src --force
	[ $name = many ] && within $src "$(nproc)" verify $name.bs
	rm $src $name.bs
done

finish
