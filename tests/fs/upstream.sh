#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Files of BigSmall (Python) are shown as the files they were made of, whether
# their tensors fit the cache or are decoded again from what was noted of them;
# a tensor whose MD5 does not agree is EIO whole and named, all else is served;
# what cannot be read is shown as it is.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
golden=$PWD/tests/golden/upstream # lib.sh goes to a folder of its own
shards=$PWD/tests/cli/shards.py
. "$(dirname "$0")/lib.sh"

cp "$golden"/*.bs "$golden"/*.bsd store
chmod 640 store/f32.bs
touch -d '2024-02-03 04:05:06' store/f32.bs

# check_all: what is shown has the digest that is noted
check_all() {
	for sum in "$golden"/*.sha256; do
		name=$(basename "$sum" .sha256)
		have=$(sha256sum <"mnt/$name.safetensors")
		is "$name" "$(cat "$sum")" "${have%% *}"
	done
}

# the least cache: long tensors are decoded twice; and one where all fit
for options in cache=6M,threads=2 cache=256M,threads=2 cache=4M,threads=1; do
	begin_mount "$work/store" "$work/mnt" -o "$options"
	check_all
	is "mode and time" "640 1706933106" \
		"$(stat -c '%a %Y' mnt/f32.safetensors)"
	for name in bf16 f32 hand dual dual_hand; do
		cp "mnt/$name.safetensors" "orig/$name.safetensors"
	done
	python3 - <<'EOF' || fail "reading here and there ($options)"
import os
import random
import threading

def read(seed):
    rng = random.Random(seed)
    for i in range(150):
        name = rng.choice(["bf16", "f32", "hand", "dual", "dual_hand"]) + ".safetensors"
        off = rng.randrange(os.path.getsize("orig/" + name))
        n = rng.choice([1, 100, 5000, 300000])
        with open("orig/" + name, "rb") as f, open("mnt/" + name, "rb") as g:
            os.posix_fadvise(g.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if os.pread(f.fileno(), n, off) != os.pread(g.fileno(), n, off):
                bad.append((name, off, n))

bad = []
threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not bad, bad
EOF
	end_mount
done

# a directory of shards, and what its index says; without one, and with one that
# is broken, they are as they are stored
cp -r "$golden/hub" store/hub
cp -r "$golden/hub" store/alone
rm store/alone/bigsmall.index.json
cp -r store/alone store/broken
echo '{' >store/broken/bigsmall.index.json
# a binary index alone, beside the other, and one that is cut off
python3 - "$golden/hub/bigsmall.index.json" <<'EOF'
import json
import os
import struct
import sys
weight_map = json.load(open(sys.argv[1]))["weight_map"]
shards = sorted(set(weight_map.values()))
names = [name.encode() for name in weight_map]
table = b"".join(struct.pack("<H", len(s)) + s.encode() for s in shards)
out = (b"BSIX\x01\0\0\0" + struct.pack("<III", len(shards), len(names), len(table)) +
       table + b"\x01\x03raw" + struct.pack("<I", sum(map(len, names))) +
       b"".join(names))
at = 0
for name, shard in zip(names, weight_map.values()):
    out += struct.pack("<IHHQQB5x", at, len(name), shards.index(shard), 7, 8, 0)
    at += len(name)
for dir, text in (("binary", out), ("cut", out[:-1]), ("hub", out)):
    if dir != "hub":
        os.system("cp -r store/alone store/" + dir)
    open(f"store/{dir}/bigsmall.index.bin", "wb").write(text)
EOF
begin_mount
same mnt/hub/bigsmall.index.bin store/hub/bigsmall.index.bin
same mnt/cut/bigsmall.index.bin store/cut/bigsmall.index.bin
[ ! -e mnt/binary/bigsmall.index.bin ] || fail "the binary index is there twice"
python3 - "$golden/hub/bigsmall.index.json" <<'EOF' || fail "the binary index"
import json
import sys
want = json.load(open(sys.argv[1]))["weight_map"]
have = json.load(open("mnt/binary/model.safetensors.index.json"))["weight_map"]
assert have == {k: v.replace(".bs", ".safetensors") for k, v in want.items()}
EOF
python3 "$shards" mnt/hub "$golden/hub/tensors.json" || fail "the shards"
[ ! -e mnt/hub/bigsmall.index.json ] || fail "the index is there twice"
for dir in alone broken cut; do
	[ ! -e "mnt/$dir/model.safetensors.index.json" ] ||
		fail "an index is made up in $dir"
	! grep -aq lm_head "mnt/$dir/model-00001-of-00002.safetensors" ||
		fail "$dir: nobody said so"
done
same mnt/broken/bigsmall.index.json store/broken/bigsmall.index.json
end_mount "$work/mnt" noisy

# damage: a bit of a tensor's stream of signs and exponents
python3 - <<'EOF'
import json
data = bytearray(open("store/bf16.bs", "rb").read())
n = int.from_bytes(data[6:10], "little")
t = [t for t in json.loads(data[10:10 + n])["tensors"]
     if t["name"] == "model.layers.1.long"][0]
data[10 + n + t["offset"] + t["compressed_bytes"] // 4] ^= 4
open("store/bf16.bs", "wb").write(data)
head = (b'{"tensors":[{"name":"w","shape":[4],"dtype":"uint8","codec":"bf16_v8'
        b'","offset":0,"compressed_bytes":0,"md5":"' + b"0" * 32 + b'"}]}')
open("store/strange.bs", "wb").write(
    b"BGSM\1\0" + len(head).to_bytes(4, "little") + head)
open("store/cut.bs", "wb").write(data[:n + 1000])
EOF
for options in cache=6M,threads=2 cache=256M,threads=2; do
	begin_mount "$work/store" "$work/mnt" -o "$options"
	python3 - <<'EOF' || fail "the damaged tensor ($options)"
import json
from bad_pages import bad_pages
want = open("orig/bf16.safetensors", "rb").read()
n = int.from_bytes(want[:8], "little")
at = json.loads(want[8:8 + n])["model.layers.1.long"]["data_offsets"]
first, end = at[0] + 8 + n, at[1] + 8 + n
bad = bad_pages("orig/bf16.safetensors", "mnt/bf16.safetensors")
assert bad[0] == first // 4096 * 4096, (bad[0], first)
assert bad[-1] == (end - 1) // 4096 * 4096, (bad[-1], end)
EOF
	line=$(grep '^bf16.bs: ' mnt/.bigsmall/problems)
	case $line in
	*"in tensor model.layers.1.long"*"the tensor is damaged"*verify*) ;;
	*) fail "problems says of bf16.bs: $line" ;;
	esac
	same mnt/strange.bs store/strange.bs
	grep -q '^strange.bs: .*bf16_v8.*shown as it is' mnt/.bigsmall/problems ||
		fail "strange.bs is not in problems"
	refused 'Input/output error' cat mnt/cut.safetensors
	same mnt/f32.safetensors orig/f32.safetensors
	end_mount "$work/mnt" noisy
done
finish
