#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# benchmark.sh - the rows of bigsmall benchmark are all there, of every kind of
# file; a Python without peers, or one that fails, costs no more than its rows

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
# shellcheck disable=SC2016 # what the stand-ins expand
. "$(dirname "$0")/lib.sh"

# rows: the last run's JSON is a list of whole rows; prints their names
rows() {
	python3 - "$log/out" <<'END' || fail "no good JSON"
import json
import sys

keys = {"name", "level", "ratio", "encode_gbps", "decode_gbps", "threads",
        "memcpy_gbps"}
names = []
for row in json.load(open(sys.argv[1])):
    names.append(row["name"])
    assert keys <= row.keys(), row
    assert row["threads"] >= 1, row
    for key in keys - {"name", "level", "threads"}:
        value = row[key]
        assert value is None or value > 0, row
    for key in "encode_gbps", "decode_gbps", "memcpy_gbps":
        if row[key] is not None:
            assert (row[key + "_min"] <= row[key] <= row[key + "_max"]), row
print(*names)
END
}

# python NAME LINE...: a program that stands in for a Python
python() {
	name=$1
	shift
	{
		echo '#!/bin/sh'
		printf '%s\n' "$@"
	} >"$name"
	chmod +x "$name"
}

ours='memcpy memcpy bigsmall bigsmall bigsmall bigsmall zstd-chunks'
model m.safetensors 700
size=$(stat -c %s m.safetensors)
run 0 compress m.safetensors

# the table, and the same as JSON
run 0 benchmark m.safetensors -j 2
prints "^m.safetensors: a safetensors file, "
for name in $ours; do
	prints "^$name .* (.*-.*)"
done
prints "^  with the SHA-256 "
is "lines of the table" 12 "$(grep -vc "^The load" "$log/out")"
[ ! -s "$log/err" ] || fail "errors: $(cat "$log/err")"
run 0 benchmark --json -j 2 m.safetensors
is "names" "$ours" "$(rows)"
is "threads" "1 2 1 2 1 1 1" "$(field '" ".join(str(r["threads"]) for r in j)')"
is "our size" "$(stat -c %s m.bs)" "$(field \
	'round(j[2]["ratio"] * j[2]["raw_bytes"])')"
is "raw bytes" "$size $size" "$(field \
	'"%d %d" % (j[2]["raw_bytes"], j[2]["file_bytes"])')"
is "levels" "default default inference storage 3" \
	"$(field '" ".join(r["level"] for r in j[2:])')"
is "figures of memcpy" "None None None" "$(field \
	'"%s %s %s" % (j[0]["ratio"], j[0]["encode_gbps"], j[0]["decode_gbps"])')"
is "no figure with SHA-256" 1,1 "$(field \
	'",".join(str(sum(r["encode_sha256_gbps"] is None for r in j if
	r["name"] == name)) for name in ("zstd-chunks", "zstd-chunks"))')"
run 0 benchmark --json -j 1 m.safetensors
is "names of one thread" "memcpy bigsmall bigsmall bigsmall zstd-chunks" "$(rows)"

# the content of a container, of a bundle, of other files
run 0 benchmark --json -j 1 m.bs
is "names of a .bs" "memcpy bigsmall bigsmall bigsmall zstd-chunks" "$(rows)"
is "bytes of a .bs" "$size" "$(field 'j[1]["raw_bytes"]')"
mkdir dir
cp m.safetensors dir/
echo small >dir/a.txt
run 0 compress dir
run 0 benchmark --json -j 1 dir.bs
is "bytes of a bundle" "$size" "$(field 'j[1]["raw_bytes"]')"
mkdir none
run 0 compress none
run 2 benchmark none.bs
says "holds no file"
head -c 300000 /dev/urandom >opaque
run 0 benchmark --json -j 2 opaque
is "names of an opaque file" "$ours" "$(rows)"
run 0 benchmark opaque
prints "^opaque: a file of other bytes, 300.0 kB"
: >empty
run 0 benchmark --json -j 2 empty
is "names of an empty file" "$ours" "$(rows)"
is "figures of an empty file" "[None]" "$(field \
	'sorted({r["decode_gbps"] for r in j}, key=str)')"
run 0 benchmark empty
# a header without its tensors
head -c 4000 m.safetensors >cut.safetensors
run 0 benchmark --json -j 1 cut.safetensors
is "bytes of a cut file" 4000 "$(field 'j[1]["raw_bytes"]')"

# a file that is too long is sampled
truncate -s 300M long
run 0 benchmark --json -j 1 long
is "bytes of a long file" "255995904 314572800" "$(field \
	'"%d %d" % (j[1]["raw_bytes"], j[1]["file_bytes"])')"
python3 - <<'END'
import json
import struct

n, each = 30, 10 << 20
head = {f"t{i}": {"dtype": "BF16", "shape": [1024, each // 2048],
                  "data_offsets": [i * each, (i + 1) * each]}
        for i in range(n)}
text = json.dumps(head).encode()
with open("long.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text)
    f.truncate(8 + len(text) + n * each)
END
run 0 benchmark -j 1 long.safetensors
prints "^long.safetensors: an even sample of its tensors, .* of 314.6 MB"
rm long long.safetensors

# what cannot be measured
run 2 benchmark
run 2 benchmark m.safetensors m.safetensors
run 2 benchmark no-such-file
says_once
run 2 benchmark dir
says "is a directory"
head -c 1000 m.bs >cut.bs
run 1 benchmark cut.bs
for threads in 0 257 x; do
	run 2 benchmark -j "$threads" m.safetensors
done
run 2 benchmark m.safetensors --python ./no-such-python
says_once

# a Python that has no peers, and some that fail
python lacks 'echo zipnn huffman -; echo lmz 1 -; echo zstandard 1 -'
run 0 benchmark --json -j 1 m.safetensors --python ./lacks
is "names without peers" "memcpy bigsmall bigsmall bigsmall zstd-chunks" "$(rows)"
says_once
says "has no zipnn, lmz, zstandard; not compared"
python none-at-all 'exit 0'
run 0 benchmark --json -j 1 m.safetensors --python ./none-at-all
says "has no peers"
python crashes 'kill -SEGV $$'
run 0 benchmark --json -j 1 m.safetensors --python ./crashes
is "names of ours" "memcpy bigsmall bigsmall bigsmall zstd-chunks" "$(rows)"
says "does not say which peers it has: it was killed by signal 11"
python fails 'exit 7'
run 0 benchmark --json -j 1 m.safetensors --python ./fails
says "it ended with exit code 7"

# children that are asked for a file's figures: good ones between bad ones
python peers 'case $2 in
list)
	echo zipnn huffman 1.0
	echo lmz 1 -
	for name in crash fail chat hang late good; do
		echo $name 1 2.0
	done
	exit
	;;
esac
cd "$5" && echo >file || exit
go() { read -r line; }
case $3 in
zipnn) cmp -s - "$MODEL" <&3 || exit; echo ready 1000 0
	while go; do echo 0.5 0.25; done ;;
crash) kill -SEGV $$ ;;
fail) echo failed it cannot ;;
chat) echo hello ;;
hang) sleep 600 & echo $! >"$CHILD"; wait ;;
late) echo ready 1000 0; go; exit 3 ;;
good) echo ready 2000 1; while go; do echo 0.5 0.25; done ;;
esac'
MODEL=$PWD/m.safetensors
CHILD=$log/child
export MODEL CHILD
have=$(ls -A /dev/shm)
BIGSMALL_PEER_SECONDS=2 "$bigsmall" benchmark --json -j 1 m.safetensors \
	--python ./peers >"$log/out" 2>"$log/err"
is "exit with peers" 0 $?
is "names with peers" \
	"memcpy bigsmall bigsmall bigsmall zstd-chunks zipnn good" "$(rows)"
is "version of a peer" 1.0 "$(field 'j[5]["version"]')"
is "figures of a peer" True "$(field \
	"abs(j[5]['encode_gbps'] - $size / 0.5e9) < 1e-5 and \
abs(j[5]['decode_gbps'] - $size / 0.25e9) < 1e-5 and \
abs(j[5]['ratio'] - 1000 / $size) < 1e-5")"
is "turns" "5 1" "$(field '"%d %d" % (j[5]["turns"], j[6]["turns"])')"
says "crash 1 is left out: it was killed by signal 11"
says "fail 1 is left out: it cannot"
says "chat 1 is left out: its answer is not understood"
says "hang 1 is left out: it did not answer for 2 seconds"
says "late 1 is left out: it ended with exit code 3"
says "has no lmz; not compared"
is "sentences" 6 "$(wc -l <"$log/err")"
# It may be a zombie, where nobody asks for orphans.
state=$(sed 's/.*) \(.\).*/\1/' "/proc/$(cat "$CHILD")/stat" 2>/dev/null)
case $state in
'' | Z | X) ;;
*) fail "what a peer started goes on: $state" ;;
esac
is "left in /dev/shm" "$have" "$(ls -A /dev/shm)"
run 0 benchmark empty --python ./lacks

# the script that comes with the program: a package that is right at level 1, and
# gives back too little at level 3
mkdir -p packages/zstandard-9.0.dist-info
printf '%s\n' 'Metadata-Version: 2.1' 'Name: zstandard' 'Version: 9.0' \
	>packages/zstandard-9.0.dist-info/METADATA
cat >packages/zstandard.py <<'END'
print("a package that prints")


class ZstdCompressor:
    def __init__(self, level):
        self.level = level

    def compress(self, raw):
        return bytes(raw[:len(raw) - (self.level - 1)])


class ZstdDecompressor:
    def decompress(self, packed):
        return packed
END
if PYTHONPATH=packages "$bigsmall" benchmark --json -j 1 m.safetensors \
	--peers >"$log/out" 2>"$log/err"; then
	rows >/dev/null
	is "levels of zstandard" "1 9.0 1.0" "$(field '" ".join(
		"%s %s %s" % (r["level"], r["version"], r["ratio"])
		for r in j if r["name"] == "zstandard")')"
	says "zstandard 3 is left out: ValueError: it gives back other bytes"
else
	fail "--peers: exit $?"
fi

# interrupted, while a peer is waited for and while we measure
python slow 'sleep 600'
# interrupt WHEN COMMAND...: once it listens, and has started a program (peer) or
# threads (rounds)
interrupt() {
	python3 - "$@" <<'END'
import os
import signal
import subprocess
import sys
import time

when = sys.argv[1]
child = subprocess.Popen(sys.argv[2:], preexec_fn=lambda: signal.signal(
    signal.SIGINT, signal.SIG_DFL))


def parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def is_there():
    with open(f"/proc/{child.pid}/status") as f:
        status = dict(line.rstrip().split(":", 1) for line in f)
    if not int(status["SigCgt"], 16) >> 1 & 1:
        return False
    if when == "rounds":
        return int(status["Threads"]) > 1
    return any(parent(pid) == child.pid for pid in os.listdir("/proc")
               if pid.isdigit())


deadline = time.monotonic() + 60
while child.poll() is None and not is_there():
    assert time.monotonic() < deadline, "it does not begin"
    time.sleep(0.01)
child.send_signal(signal.SIGINT)
sys.exit(child.wait(60))
END
}
interrupt peer "$bigsmall" benchmark m.safetensors --python ./slow \
	>"$log/out" 2>"$log/err"
is "exit in a peer" 130 $?
says "interrupted"
is "left in /dev/shm" "$have" "$(ls -A /dev/shm)"
python turn '[ "$2" = list ] && echo good 1 2.0 && exit
echo ready 2000 0
read -r line && kill -INT $PPID && sleep 600'
python3 -c '
import signal, subprocess, sys
sys.exit(subprocess.call(sys.argv[1:], preexec_fn=lambda: signal.signal(
    signal.SIGINT, signal.SIG_DFL)))' \
	"$bigsmall" benchmark m.safetensors --python ./turn \
	>"$log/out" 2>"$log/err"
is "exit in a turn of a peer" 130 $?
says "interrupted"
truncate -s 200M big
interrupt rounds "$bigsmall" benchmark -j 2 big >"$log/out" 2>"$log/err"
is "exit while measuring" 130 $?
says "interrupted"
[ ! -s "$log/out" ] || fail "a table of what was interrupted"

finish
