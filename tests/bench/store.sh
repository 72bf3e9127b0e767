#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# store.sh - how long large stores take to mount, to list and to look into
#
# usage: sh store.sh [-n ROUNDS] BIN
#
# BIN is the folder of a build.  Two stores, of 1,000 and of 10,000 containers
# in one directory, each a file of its own of 4.6 KB, on the disk below
# /var/tmp.  For each round, with the kernel's caches dropped and without: the
# mount command from its start to its end, the first listing, the first
# listing with attributes, then 1,000 names looked up by stat() in a random
# order.  Prints the median, least and most of each, and how many superblocks
# had been read when the command was done.
#
# Needs root (drop_caches).  Drops the caches of the whole machine.

set -eu

rounds=7
while getopts n: opt; do
	case $opt in
	n) rounds=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
if [ $# -ne 1 ] || [ "$rounds" -lt 1 ]; then
	echo "usage: store.sh [-n ROUNDS] BIN" >&2
	exit 2
fi
[ "$(id -u)" -eq 0 ] || {
	echo "store.sh: only root can drop the kernel's caches" >&2
	exit 3
}
bin=$(cd "$1" && pwd)
make_model=$(cd "$(dirname "$0")" && pwd)/../cli/make_model.py
work=$(mktemp -d /var/tmp/bigsmall-bench.XXXXXX)

clean_up() {
	"$bin/bigsmall" umount -l "$work/mnt" 2>/dev/null || :
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

mkdir "$work/mnt"
python3 "$make_model" "$work/m.safetensors" 4 1
"$bin/bigsmall" compress "$work/m.safetensors" -o "$work/m.bs" >/dev/null
python3 - "$bin" "$work" "$rounds" <<'EOF'
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

bin_dir, work, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
mnt = work + "/mnt"
print("%d cores, Linux %s, load %s" % (
    os.cpu_count(), os.uname().release,
    open("/proc/loadavg").read().rsplit(" ", 2)[0]))


def timed(step):
    begin = time.perf_counter()
    step()
    return (time.perf_counter() - begin) * 1e3


def mount(store):
    subprocess.run([bin_dir + "/mount.bigsmall", store, mnt], check=True,
                   stdout=subprocess.DEVNULL)


def list_all():
    for entry in os.scandir(mnt):
        entry.stat()


def look_up(names):
    for name in names:
        os.stat(os.path.join(mnt, name))


def measure(store, is_cold):
    subprocess.run(["sync"], check=True)
    if is_cold:
        open("/proc/sys/vm/drop_caches", "w").write("3")
    # The program itself is in use on a machine that has a mount.
    subprocess.run([bin_dir + "/mount.bigsmall", "--version"], check=True,
                   stdout=subprocess.DEVNULL)
    row = {"mount": timed(lambda: mount(store))}
    stats = json.load(open(mnt + "/.bigsmall/stats"))
    row["superblocks read by mounting"] = stats["superblocks_read"]
    row["list names"] = timed(lambda: os.listdir(mnt))
    row["list with attributes"] = timed(list_all)
    names = os.listdir(mnt)
    subprocess.run([bin_dir + "/bigsmall", "umount", mnt], check=True)
    mount(store)
    names = random.sample(names, 1000)
    os.stat(os.path.join(mnt, names[0]))
    row["look up 1,000 names"] = timed(lambda: look_up(names))
    subprocess.run([bin_dir + "/bigsmall", "umount", mnt], check=True)
    return row


for n in 1000, 10000:
    store = "%s/%d" % (work, n)
    os.mkdir(store)
    for i in range(n):
        shutil.copyfile(work + "/m.bs", "%s/m%d.bs" % (store, i))
    for is_cold in True, False:
        rows = [measure(store, is_cold) for _ in range(rounds)]
        for key in rows[0]:
            values = [row[key] for row in rows]
            unit = "" if key.startswith("super") else " ms"
            print("%6d containers, %s: %-28s median %6.1f%s   least %6.1f   "
                  "most %6.1f   of %d" % (
                      n, "cold" if is_cold else "warm", key,
                      statistics.median(values), unit, min(values),
                      max(values), rounds))
EOF
echo "load after: $(cut -d' ' -f1-3 /proc/loadavg)"
