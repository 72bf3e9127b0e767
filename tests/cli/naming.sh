#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# naming.sh - outputs get the names and the places that the manual promises
#
# m.safetensors <-> m.bs, any other f <-> f.bs; beside SRC, in a directory, or
# in a file, as -o says.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

mkdir -p in out a/b
model in/m.safetensors
echo '{"hidden_size": 4}' >in/config.json
echo text >in/noext
echo x >in/.safetensors

# beside SRC, wherever we are
run 0 compress in/m.safetensors in/config.json in/noext in/.safetensors
there in/m.bs in/config.json.bs in/noext.bs in/.safetensors.bs
gone m.bs in/m.safetensors.bs in/.bs

# a directory that exists, one that ends in a slash and does not yet
run 0 decompress -o out in/m.bs
same in/m.safetensors out/m.safetensors
run 0 decompress -o made/ in/m.bs
same in/m.safetensors made/m.safetensors
run 0 compress -o made2/ in/config.json
there made2/config.json.bs

# several SRC
run 0 decompress -o back/ in/m.bs in/config.json.bs in/noext.bs \
	in/.safetensors.bs
for file in m.safetensors config.json noext .safetensors; do
	same "in/$file" "back/$file"
done
run 0 compress -o several in/config.json in/noext
there several/config.json.bs several/noext.bs
echo text >nodir
run 2 compress -o nodir in/config.json in/noext
says "is not a directory"
run 2 compress --dry-run -o absent/x.bs in/config.json
says "absent"

# a file; the name it was given decides what it becomes again
run 0 compress -o a/b/given in/m.safetensors
there a/b/given
run 2 decompress a/b/given
says "name it with -o"
run 0 decompress -o a/again a/b/given
same in/m.safetensors a/again
mv a/b/given a/b/other.bs
run 0 decompress a/b/other.bs
same in/m.safetensors a/b/other.safetensors

# the current directory, and options after names
cd in || exit 1
rm -- *.bs .safetensors.bs
run 0 compress m.safetensors -j 2
run 0 decompress m.bs -o ../here.safetensors
same m.safetensors ../here.safetensors
run 0 compress -- noext
there m.bs noext.bs

# a directory of the output that is not there, or is a file
run 2 compress -o ../no/such/m.bs m.safetensors
says_once
run 2 compress -o noext/ m.safetensors
says_once
run 2 compress -o noext/x.bs m.safetensors
says_once
run 2 compress -o "" m.safetensors

finish
