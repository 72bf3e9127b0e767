#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What is read in order is decoded ahead, each chunk once, whoever reads it and
# how: pread, several readers on one descriptor, mappings upwards and downwards
# with the kernel's usual read-ahead, processes, 16 MiB blocks by 8 threads,
# shards.  What is read at random is not, nor when the reader stops, when it is
# off, and where a memory group has little left.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

n_mib=40
is_sanitized && n_mib=20
model m $((n_mib << 10))
for i in 1 2 3 4; do
	model shard$i $((n_mib << 8)) $i
done

cat >reads.py <<'EOF'
import mmap, os, random, subprocess, sys, threading

KIB, MIB = 1 << 10, 1 << 20
way, path, want_path = sys.argv[1:4]
want = open(want_path, "rb").read()
size = len(want)
fd = os.open(path, os.O_RDONLY)


def check(off, n):
    have = os.pread(fd, n, off)
    assert have == want[off:off + n], (way, off, len(have))


def in_threads(work):
    errors = []

    def run(part):
        try:
            for off, n in part:
                check(off, n)
        except BaseException as e:
            errors.append(e)
    threads = [threading.Thread(target=run, args=(p,)) for p in work]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors[0]


def steps(begin, end, n):
    return [(at, min(n, end - at)) for at in range(begin, end, n)]


if way == "pread":
    for off, n in steps(0, size, MIB):
        check(off, n)
elif way == "half":
    for off, n in steps(0, size // 2, 128 * KIB):
        check(off, n)
elif way == "interleaved":
    part = size // 4 // 4096 * 4096
    for off, n in steps(0, part, 128 * KIB):
        for i in range(4):
            check(i * part + off, n)
elif way == "blocks":
    blocks = steps(0, size, 16 * MIB)
    in_threads([blocks[i::8] for i in range(8)])
elif way == "map" or way == "map_down":
    with mmap.mmap(fd, size, prot=mmap.PROT_READ) as m:
        order = steps(0, size, 64 * KIB)
        for off, n in reversed(order) if way == "map_down" else order:
            assert m[off:off + n] == want[off:off + n], (way, off)
elif way == "processes":
    procs = [subprocess.Popen([sys.executable, sys.argv[0],
                               ("pread", "map")[i % 2], path, want_path])
             for i in range(4)]
    assert not any(p.wait() for p in procs)
elif way == "random":
    rng = random.Random(3)
    # Not after each other, even by accident.
    offs = [i * 256 * KIB + 4096 * rng.randrange(32)
            for i in range(size // (256 * KIB))]
    rng.shuffle(offs)
    for off in offs[:60]:
        check(off, 4096)
EOF

# at_least WHAT LEAST IS
at_least() {
	[ "$3" -ge "$2" ] || fail "$1: $3, less than $2"
}

# reads_once WAY AHEAD: the file is read so, and no chunk decoded again
reads_once() {
	begin_mount -o readahead="$2",threads=2,cache=128M
	python3 reads.py "$1" mnt/m.safetensors orig/m.safetensors ||
		fail "$1: see above"
	at_least "$1, $2: ahead" $((n_mib / 8)) "$(stat_of prefetches)"
	at_least "$1, $2: used" $(($(stat_of prefetches) * 9 / 10)) \
		"$(stat_of prefetch_used)"
	again=$(stat_of redecodes)
	end_mount
	[ "$again" -eq 0 ]
}

# The kernel may drop pages that it has just read, when memory is short, and ask
# for them again: not each of three times.
for way in pread interleaved blocks map map_down processes; do
	for ahead in 128k 1m; do
		reads_once $way $ahead || reads_once $way $ahead ||
			reads_once $way $ahead ||
			fail "$way, $ahead: decoded again: $again, not 0"
	done
done

# four workers, each with shards of its own
begin_mount -o readahead=128k,threads=2,cache=128M
for i in 1 2 3 4; do
	python3 reads.py map mnt/shard$i.safetensors \
		orig/shard$i.safetensors >out$i 2>&1 &
	eval "pid$i=$!"
done
for i in 1 2 3 4; do
	eval "wait \$pid$i" || fail "shard $i: $(cat out$i)"
done
is "shards: decoded again" 0 "$(stat_of redecodes)"
at_least "shards: ahead" $((n_mib / 8)) "$(stat_of prefetches)"
is "streams of closed files" 0 "$(stat_of streams)"
end_mount

# who reads past the kernel's cache has no use for what is put there
begin_mount -o readahead=128k,threads=2,cache=128M
dd if=mnt/m.safetensors bs=1M iflag=direct 2>err | cmp - orig/m.safetensors ||
	fail "direct: $(cat err)"
at_least "direct: ahead" $((n_mib / 8)) "$(stat_of prefetches)"
is "direct: decoded again" 0 "$(stat_of redecodes)"
is "direct: pushed" 0 "$(stat_of pushed_bytes)"
end_mount

# a chunk for each place, and those of the header
begin_mount -o readahead=128k,threads=2,cache=128M
python3 reads.py random mnt/m.safetensors orig/m.safetensors ||
	fail "random: see above"
is "ahead of random reads" 0 "$(stat_of prefetches)"
[ "$(stat_of decodes)" -le 61 ] ||
	fail "60 places took $(stat_of decodes) chunks"
end_mount

# no further ahead than what was read, and 6 MiB
begin_mount -o readahead=128k,threads=2,cache=128M
python3 reads.py half mnt/m.safetensors orig/m.safetensors ||
	fail "half: see above"
most=$(((n_mib / 2 + 8) << 20))
[ "$(stat_of decoded_bytes)" -le $most ] ||
	fail "$(stat_of decoded_bytes) bytes decoded for half of the file"
end_mount

begin_mount -o prefetch=off,direct=off
python3 reads.py pread mnt/m.safetensors orig/m.safetensors ||
	fail "off: see above"
is "ahead when it is off" 0 "$(stat_of prefetches)"
is "most ahead when it is off" 0 "$(stat_of prefetch_max_bytes)"
end_mount

begin_mount -o prefetch=2M,readahead=64k
is "most ahead" $((2 << 20)) "$(stat_of prefetch_max_bytes)"
python3 reads.py map mnt/m.safetensors orig/m.safetensors ||
	fail "2M: see above"
end_mount

# with the smallest cache there is no room for it
begin_mount -o cache=6M,threads=2
same mnt/m.safetensors orig/m.safetensors
is "ahead in the smallest cache" 0 "$(stat_of prefetches)"
end_mount

# a group with a limit: less is loaded ahead, and all is read
group=/sys/fs/cgroup/memory/bigsmall-test.$$
limit=memory.limit_in_bytes
[ -e /sys/fs/cgroup/cgroup.controllers ] && {
	group=/sys/fs/cgroup/bigsmall-test.$$
	limit=memory.max
}
undo() {
	rmdir "$group" 2>/dev/null
}
if ! is_sanitized && mkdir "$group" 2>/dev/null &&
	echo $((96 << 20)) >"$group/$limit" 2>/dev/null; then
	begin_mount -o readahead=128k,threads=2,cache=40M
	before=$(stat_of prefetch_max_bytes)
	echo "$daemon" >"$group/cgroup.procs"
	python3 reads.py pread mnt/m.safetensors orig/m.safetensors ||
		fail "in a group: see above"
	echo $((64 << 20)) >"$group/$limit"
	python3 reads.py half mnt/shard1.safetensors \
		orig/shard1.safetensors || fail "in a group: see above"
	less_ahead() {
		python3 reads.py pread mnt/shard2.safetensors \
			orig/shard2.safetensors
		[ "$(stat_of prefetch_max_bytes)" -lt "$before" ]
	}
	wait_for less_ahead ||
		fail "a smaller group makes no difference: $before"
	end_mount
else
	echo "no memory group can be made here: not tested with one"
fi
finish
