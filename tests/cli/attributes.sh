#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# attributes.sh - a file comes back with its mode and its time to the
# nanosecond; the container has the mode of its source

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

model m.safetensors 50
for mode in 600 640 444 755 400; do
	for time in "2001-02-03 04:05:06.123456789" "1969-12-31 12:00:00.5" \
		"2099-12-31 23:59:59.999999999"; do
		chmod 644 m.safetensors
		touch -d "$time" m.safetensors
		chmod $mode m.safetensors
		rm -f m.bs back
		run 0 compress m.safetensors
		is "mode of m.bs" $mode "$(stat -c %a m.bs)"
		run 0 decompress m.bs -o back
		is "mode and time" "$(stat -c '%a %y' m.safetensors)" \
			"$(stat -c '%a %y' back)"
	done
done

# a mask does not widen or narrow it; a private file is never open to others
umask 077
chmod 664 m.safetensors
run 0 compress --force m.safetensors
is "mode under a mask" 664 "$(stat -c %a m.bs)"
# set-user-ID and its kin are not given to a file that we make
chmod 6755 m.safetensors
run 0 compress --force m.safetensors
run 0 decompress --force m.bs -o back
is "mode of a set-user-ID file" 755 "$(stat -c %a back)"

# a time that nanoseconds cannot count to: the nearest they can, and no failure
model far.safetensors
touch -d '2400-01-01 UTC' far.safetensors
run 0 compress far.safetensors
run 0 decompress far.bs -o far
same far.safetensors far

finish
