/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_roundtrip.c - any bytes as weights: compressed, they come back the same
 *
 * Input: the dtype and whether the statistics are a sample's, one byte; how
 * often the rest is repeated (rarely often: it is slow), how wide rows are and
 * the level, one byte; the weights.
 */

#include "encode.h"

/* A little more than the default chunk size: two chunks. */
#define LEN_MAX ((size_t)300 << 10)

static void compare_blob(const struct bs_archive *ar, const struct mem *m,
			 const struct bs_page *page, const uint8_t *want)
{
	static struct bs_workspace *ws;
	static struct guarded in, out;
	struct bs_model *model = NULL;
	struct bs_blob b;
	uint64_t c;

	if (!ws)
		MUST(!bs_workspace_new(&ws));
	bs_archive_blob(ar, 0, &b);
	if (b.model != BS_NO_MODEL)
		MUST(!bs_model_load(ar, b.model, &model, NULL));
	for (c = 0; c < b.n_chunks; c++) {
		uint8_t *stored, *raw;
		struct bs_chunk chunk;

		bs_page_chunk(ar, page, c, &chunk);
		stored = guarded_get(&in, chunk.stored_len);
		raw = guarded_get(&out, chunk.raw_len);
		memcpy(stored, m->p + chunk.stored_off, chunk.stored_len);
		MUST(!bs_chunk_check_stored(&chunk, stored));
		MUST(!bs_chunk_decode(&chunk, &b, model, ws, stored, raw));
		MUST(!memcmp(raw, want + chunk.blob_off, chunk.raw_len));
	}
	bs_model_free(model);
}

static void round_trip(const struct piece *piece)
{
	struct bs_archive *ar;
	struct bs_source src;
	struct bs_page *page;
	struct bs_error err;
	uint8_t *file;
	struct mem m;

	m.len = encode_container(&file, piece, 1);
	m.p = file;
	src = mem_source(&m);
	MUST(!bs_archive_open(&ar, &src, &err));
	MUST(bs_archive_summary(ar)->size == piece->len);
	MUST(!bs_page_load(ar, 0, &page, &err));
	compare_blob(ar, &m, page, piece->data);
	bs_page_free(page);
	bs_archive_close(ar);
	free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* 7 stands for the period of the repetition. */
	static const uint64_t widths[] = {
		0, 1, 7, 64, 100, 1000, UINT64_C(1) << 40
	};
	struct piece piece = { 0 };
	size_t n, i, unit, width;
	uint8_t *raw;

	if (size < 3)
		return 0;
	piece.dtype = (data[0] & 127) % BS_DTYPE_N;
	piece.is_sample = data[0] >> 7;
	n = data[1] < 250 ? 1 + data[1] % 4u : LEN_MAX;
	width = data[1] % 8;
	piece.level = data[1] / 8 % BS_LEVEL_N;
	data += 2;
	size -= 2;
	if (n > LEN_MAX / size)
		n = LEN_MAX / size + 1;
	raw = malloc(n * size);
	MUST(raw);
	for (i = 0; i < n; i++)
		memcpy(raw + i * size, data, size);
	unit = bs_dtype_unit(piece.dtype);
	piece.data = raw;
	piece.len = n * size / unit * unit;
	piece.width = width < 7 ? widths[width] : size / unit;
	if (piece.len)
		round_trip(&piece);
	free(raw);
	return 0;
}
