#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# bare_cc.sh - the codec builds with a plain `cc codec/*.c`
#
# No file needs a flag of its own and none a generated header, and all functions
# are declared.  The program built so opens a container and decodes its first
# chunk.

# shellcheck disable=SC1091,SC2154 # lib.sh gives the words used below
. "$(dirname "$0")/lib.sh"

cat >"$work/open.c" <<'END'
#include <bigsmall.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_at(void *ctx, void *buf, size_t len, uint64_t off)
{
	return pread(*(int *)ctx, buf, len, (off_t)off) == (ssize_t)len ? 0
									: -5;
}

int main(int argc, char **argv)
{
	int fd = open(argc > 1 ? argv[1] : "", O_RDONLY);
	struct bs_source src = { .pread = read_at, .ctx = &fd };
	struct bs_model *model = NULL;
	struct bs_workspace *ws;
	struct bs_archive *ar;
	struct bs_page *page;
	struct bs_chunk chunk;
	struct bs_blob blob;
	struct stat st;
	void *stored, *raw;
	uint64_t i;

	if (fstat(fd, &st) != 0)
		return 2;
	src.size = (uint64_t)st.st_size;
	if (bs_archive_open(&ar, &src, NULL) || bs_workspace_new(&ws))
		return 3;
	/* The first blob that has a model. */
	for (i = 0; i < bs_archive_n_blobs(ar); i++) {
		bs_archive_blob(ar, i, &blob);
		if (blob.model != BS_NO_MODEL)
			break;
	}
	if (i == bs_archive_n_blobs(ar) ||
	    bs_model_load(ar, blob.model, &model, NULL) ||
	    bs_page_load(ar, bs_archive_page_of(ar, blob.first_chunk), &page,
			 NULL))
		return 4;
	bs_page_chunk(ar, page, blob.first_chunk, &chunk);
	stored = malloc(chunk.stored_len);
	raw = malloc(chunk.raw_len);
	if (!stored || !raw ||
	    read_at(&fd, stored, chunk.stored_len, chunk.stored_off) ||
	    bs_chunk_decode(&chunk, &blob, model, ws, stored, raw))
		return 5;
	printf("%llu bytes, chunk of %u\n",
	       (unsigned long long)bs_archive_summary(ar)->size,
	       (unsigned)chunk.raw_len);
	free(raw);
	free(stored);
	bs_page_free(page);
	bs_model_free(model);
	bs_workspace_free(ws);
	bs_archive_close(ar);
	return 0;
}
END

sources=
for file in codec/*.c codec/upstream/*.c codec/x86/*.c codec/arm/*.c; do
	[ ! -f "$file" ] || sources="$sources $file"
done
libs=$(pkg-config --libs libzstd libxxhash libcrypto libcjson)
# shellcheck disable=SC2086 # lists of words
if ! ${CC:-cc} -O1 -Werror=implicit-function-declaration -Icodec $sources \
	"$work/open.c" -o "$work/open" $libs -lm >"$work/log" 2>&1; then
	head -n 20 "$work/log"
	fail "cc codec/*.c does not build"
	finish
fi

python3 - "$work/m.safetensors" <<'END'
import random
import struct
import sys

rng = random.Random(1)
data = b"".join(struct.pack("<f", rng.gauss(0, 0.02))[2:] for i in range(50000))
head = b'{"w":{"dtype":"BF16","shape":[50000],"data_offsets":[0,100000]}}'
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<Q", len(head)) + head + data)
END
"$bin/bigsmall" compress "$work/m.safetensors" >/dev/null ||
	fail "the container could not be made"
said=$("$work/open" "$work/m.bs") || fail "the program failed with exit $?"
size=$(wc -c <"$work/m.safetensors")
[ "$said" = "$size bytes, chunk of 100000" ] ||
	fail "the program said: $said"
finish
