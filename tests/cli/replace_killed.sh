#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# replace_killed.sh - the promise of --replace: killed at any moment, every file
# is there whole, as it was or as a .bs that decodes to it; the next run goes
# on; SIGINT leaves no temporary file and exits with 130

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

mkdir m
i=0
while [ $i -lt 12 ]; do
	model m/w$i.safetensors 900 $i
	i=$((i + 1))
done
cp -r m want

# whole: every file is there, at least once, and right
whole() {
	for file in want/*; do
		name=$(basename "$file" .safetensors)
		if [ -f "m/$name.safetensors" ]; then
			same "$file" "m/$name.safetensors"
		elif [ -f "m/$name.bs" ]; then
			rm -f one
			run 0 decompress "m/$name.bs" -o one
			same "$file" one
		else
			fail "$name is lost: $1"
		fi
	done
}

# cut_off SIGNAL MS COMMAND: end it after so many milliseconds; the exit code as
# a shell has it
cut_off() {
	python3 - "$@" <<'END'
import subprocess, sys, time
sig, ms, *command = sys.argv[1:]
p = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)
time.sleep(int(ms) / 1000)
p.send_signal(int(sig))
code = p.wait()
sys.exit(code if code >= 0 else 128 - code)
END
}

# How long a whole run takes here; the moments are spread over that.
took() {
	python3 - "$@" <<'END'
import subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(int((time.monotonic() - began) * 1000) + 1)
END
}
compress_ms=$(took "$bigsmall" compress --replace m -j 2)
decompress_ms=$(took "$bigsmall" decompress --replace m -j 2)

n_cut=0
seed=7
rounds=${BIGSMALL_ROUNDS:-1}
i=0
while [ $i -lt $((24 * rounds)) ]; do
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	signal=$((i % 2 == 0 ? 9 : 2))
	if [ $((i / 2 % 2)) -eq 0 ]; then
		command="compress" ms=$((seed % compress_ms))
	else
		command="decompress" ms=$((seed % decompress_ms))
	fi
	cut_off $signal $ms "$bigsmall" $command --replace m -j 2
	code=$?
	[ $code -eq 0 ] || n_cut=$((n_cut + 1))
	if [ $signal -eq 2 ] && [ $code -ne 0 ]; then
		is 'exit' 130 $code
	fi
	[ $signal -eq 9 ] || [ -z "$(find m -name '.*')" ] ||
		fail "SIGINT left a temporary file: $(ls -A m)"
	whole "$command cut off by $signal after $ms ms"
	find m -name '.*' -delete
	i=$((i + 1))
done
[ $n_cut -ge 5 ] || fail "only $n_cut runs were cut off"

# and a run that is left alone ends it
run 0 compress --replace m
[ "$(find m -name '*.bs' | wc -l)" -eq 12 ] || fail "files are left over"
run 0 decompress --replace m
for file in want/*; do
	same "$file" "m/$(basename "$file")"
done
(cd m && [ "$(find . -type f | wc -l)" -eq 12 ]) || fail "m has other files"
finish
