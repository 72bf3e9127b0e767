#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run_stream.sh - `bigsmall run` with fewer layers in memory than there are, the
# head read in blocks: the same logits, and no more memory than was announced or
# allowed

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

exec_dir=$here/../exec

# answer MODEL ARGUMENT...
answer() {
	model=$1
	shift
	run 0 run "$model" "The fox said: 12 geese" --raw --temp 0 --json \
		-n 12 "$@"
}

# Each architecture, and what is special about some.
for name in $(python3 "$exec_dir/tiny.py" --list); do
	python3 "$exec_dir/tiny.py" "$name" "$name" || fail "tiny.py $name"
	answer "$name"
	digest=$(field 'j["logits_sha256"]')
	is "$name: layers in memory" 3 "$(field 'j["layers_in_memory"]')"
	answer "$name" --stream -j 3
	is "$name: streamed" "$digest" "$(field 'j["logits_sha256"]')"
	is "$name: layers in memory" 0 "$(field 'j["layers_in_memory"]')"
done

# A model of 24 layers of 9.4 MB, of the same random bytes again and again; its
# head has five times the size, and so has what embeds.
python3 "$exec_dir/large.py" large 640 24 || fail "large.py"
answer large
digest=$(field 'j["logits_sha256"]')
whole=$(field 'j["announced_bytes"]')
is "in memory" "24 True" "$(field \
	'j["layers_in_memory"], j["measured_bytes"] > 320 << 20' |
	tr -d '(,)')"
answer large --stream
is "streamed" "$digest" "$(field 'j["logits_sha256"]')"
is "memory when streamed" True "$(field \
	'j["measured_bytes"] <= j["announced_bytes"] < 80 << 20')"
# A prompt of two stretches, of which the second alone needs the head.
long=$(printf 'a b %.0s' $(seq 163))
run 0 run large "$long" --raw --temp 0 --json -n 3
digest_long=$(field 'j["logits_sha256"]')
run 0 run large "$long" --raw --temp 0 --json -n 3 --stream
is "a long prompt, streamed" "$digest_long" "$(field 'j["logits_sha256"]')"
answer large --budget 150M -j 1
is "within 150M" "$digest" "$(field 'j["logits_sha256"]')"
is "memory within 150M" True "$(field \
	'100 << 20 < j["measured_bytes"] <= j["announced_bytes"] <= 150 << 20')"
is "layers within 150M" True "$(field '4 < j["layers_in_memory"] < 12')"
says ' of 24 layers in memory, the rest (.* MB) read anew'
# All but what embeds, of which a token's row is read; all but the head, too.
answer large --budget $((whole - 25000000))
is "without what embeds" "24 $digest" "$(field 'j["layers_in_memory"]') $(field \
	'j["logits_sha256"]')"
says '24 of 24 layers in memory, the rest (1.3 kB) read anew'
answer large --budget $((whole - 87000000))
is "without the head" "24 $digest" "$(field 'j["layers_in_memory"]') $(field \
	'j["logits_sha256"]')"
says '24 of 24 layers in memory, the rest (51.2 MB) read anew'
answer large --budget 1G
is "within 1G" 24 "$(field 'j["layers_in_memory"]')"
says 'in memory as they are stored'
run 4 run large "a b" --raw -n 12 --budget 40M
says 'and there is room for'
run 4 run large "a b" --raw -n 12 --budget 1M
says 'before any weights'
run 2 run large "a b" --raw --budget 0

# What takes more than was announced is found out, whatever it answers.
cat >greedy.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

char *more;

int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
		   void *(*start)(void *), void *arg)
{
	int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
		    void *) = dlsym(RTLD_NEXT, "pthread_create");

	if (!more && (more = malloc(64 << 20)))
		memset(more, 1, 64 << 20);
	return next(thread, attr, start, arg);
}
END
if cc -shared -fPIC greedy.c -o greedy.so 2>/dev/null; then
	LD_PRELOAD=$PWD/greedy.so run 3 run large "a b" --raw -n 2 --stream -j 2
	says 'more than the .* announced; this is a bug'
fi

# A file that is cut while it is read: said, and no answer.
run 0 run large "a b" --raw --temp 0 --stream --json -n 2
cp large/model.safetensors whole
: >"$log/fifo.out"
"$bigsmall" run large "a b" --raw --temp 0 --stream -n 500 >"$log/fifo.out" \
	2>"$log/err" &
pid=$!
until [ -s "$log/fifo.out" ] || ! kill -0 $pid 2>/dev/null; do
	:
done
truncate -s 100M large/model.safetensors
wait $pid
is "exit when the file is cut" 1 $?
says 'model.safetensors ends too early'

# Stopped between two tokens, it ends at once.
cp whole large/model.safetensors
: >"$log/fifo.out"
"$bigsmall" run large "a b" --raw --temp 0 --stream -n 500 >"$log/fifo.out" \
	2>"$log/err" &
pid=$!
until [ -s "$log/fifo.out" ] || ! kill -0 $pid 2>/dev/null; do
	:
done
kill -TERM $pid
wait $pid
is "exit when interrupted" 130 $?
says 'interrupted'
finish
